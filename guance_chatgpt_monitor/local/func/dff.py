"""DFF as a worker of the local Func gives it to scripts: CACHE, STORE, RESP, CTX and THREAD.

Runs in the worker process, which needs nothing of this package: the standard library, and `redis` where a
Redis is given.
"""

import concurrent.futures
import http.client
import importlib
import json
import select
import types
from typing import Any, Dict, List, Optional

SCRIPT_MD5_KEY = "local_func:script_md5"


class FuncResponse:
    """DFF.RESP: an answer that is passed on as it is."""

    def __init__(
        self,
        data: Any,
        status_code: Optional[int] = None,
        content_type: Optional[str] = None,
        headers: Optional[Dict[str, str]] = None,
        allow_304: bool = False,
        download: bool = False,
    ) -> None:
        json.dumps(data)
        self.data = data
        self.control = {
            "status_code": status_code,
            "content_type": content_type,
            "headers": headers or {},
            "download": download or allow_304,
        }


class Backend:
    """Where DFF.CACHE and DFF.STORE are: a real Redis, or the server that started this process."""

    def __init__(self, server: str, redis_url: str) -> None:
        self._server = server
        self._connection: Optional[http.client.HTTPConnection] = None
        self._redis: Any = None
        if redis_url:
            redis = importlib.import_module("redis")
            self._redis_error = redis.RedisError
            self._redis = redis.Redis.from_url(redis_url, decode_responses=True)

    def cache(self, command: str, key: str, *args: Any) -> Any:
        # Redis takes strings, bytes and numbers, and returns strings.
        if self._redis is None:
            return self.ask("/_local/cache", [command, key, *map(str, args)])
        return self._redis.execute_command(command.upper(), key, *args)

    def script_md5(self, script_id: str) -> Optional[str]:
        """The MD5 of a script's code as it stands now: a round trip. None without a Redis."""
        if self._redis is None:
            return None
        try:
            stored: Optional[str] = self._redis.hget(SCRIPT_MD5_KEY, script_id)
            return stored
        except self._redis_error:
            return None  # the scripts are to see this failure themselves

    def ask(self, path: str, content: Any) -> Any:
        """Ask the server. The connection is given up whenever anything, a timeout too, interrupts it."""
        done = False
        try:
            if self._connection is not None and _is_closed(self._connection):
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._server)
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", path, json.dumps(content), headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
            done = True
        finally:
            if not done and self._connection is not None:
                self._connection.close()
                self._connection = None
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has ended it, as it does when nothing was asked for a minute."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


class Cache:
    """DFF.CACHE, scoped per script unless `scope` is given."""

    def __init__(self, backend: Backend, scope: str) -> None:
        self._backend = backend
        self._scope = scope

    def run(self, cmd: str, key: str, *args: Any, scope: Optional[str] = None) -> Any:
        return self._backend.cache(cmd, self._key(key, scope), *args)

    def _key(self, key: str, scope: Optional[str]) -> str:
        return f"func_cache@{self._scope if scope is None else scope}:{key}"

    def get(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("get", key, scope=scope)

    def set(
        self,
        key: str,
        value: Any,
        scope: Optional[str] = None,
        expires: Optional[int] = None,
        not_exists: bool = False,
    ) -> Any:
        options = [*(["EX", expires] if expires else []), *(["NX"] if not_exists else [])]
        return self.run("set", key, value, *options, scope=scope) is not None or None

    def delete(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("del", key, scope=scope)

    def exists(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("exists", key, scope=scope)

    def expire(self, key: str, expires: int, scope: Optional[str] = None) -> Any:
        return self.run("expire", key, expires, scope=scope)

    def ttl(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("ttl", key, scope=scope)

    def incr(self, key: str, step: int = 1, scope: Optional[str] = None) -> Any:
        return self.run("incrby", key, step, scope=scope)

    def hset(self, key: str, field: str, value: Any, scope: Optional[str] = None) -> Any:
        return self.run("hset", key, field, value, scope=scope)

    def hget(self, key: str, field: str, scope: Optional[str] = None) -> Any:
        return self.run("hget", key, field, scope=scope)

    def hgetall(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("hgetall", key, scope=scope)

    def hdel(self, key: str, field: str, scope: Optional[str] = None) -> Any:
        return self.run("hdel", key, field, scope=scope)

    def hincrby(self, key: str, field: str, amount: int, scope: Optional[str] = None) -> Any:
        return self.run("hincrby", key, field, amount, scope=scope)

    def lpush(self, key: str, value: Any, scope: Optional[str] = None) -> Any:
        return self.run("lpush", key, value, scope=scope)

    def rpush(self, key: str, value: Any, scope: Optional[str] = None) -> Any:
        return self.run("rpush", key, value, scope=scope)

    def lpop(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("lpop", key, scope=scope)

    def rpop(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("rpop", key, scope=scope)

    def rpoplpush(
        self,
        key: str,
        dest_key: Optional[str] = None,
        scope: Optional[str] = None,
        dest_scope: Optional[str] = None,
    ) -> Any:
        target = self._key(dest_key or key, dest_scope or scope)
        return self.run("rpoplpush", key, target, scope=scope)

    def llen(self, key: str, scope: Optional[str] = None) -> Any:
        return self.run("llen", key, scope=scope)

    def lrange(self, key: str, start: int = 0, stop: int = -1, scope: Optional[str] = None) -> Any:
        return self.run("lrange", key, start, stop, scope=scope)

    def ltrim(self, key: str, start: int, stop: int, scope: Optional[str] = None) -> Any:
        return self.run("ltrim", key, start, stop, scope=scope)


class Store:
    """DFF.STORE: any JSON, scoped likewise."""

    def __init__(self, backend: Backend, scope: str) -> None:
        self._backend = backend
        self._scope = scope

    def _ask(self, verb: str, key: str, scope: Optional[str], *args: Any) -> Any:
        return self._backend.ask("/_local/store", [verb, self._scope if scope is None else scope, key, *args])

    def get(self, key: str, scope: Optional[str] = None) -> Any:
        return self._ask("get", key, scope)

    def set(self, key: str, value: Any, scope: Optional[str] = None) -> None:
        self._ask("set", key, scope, value)

    def delete(self, key: str, scope: Optional[str] = None) -> None:
        self._ask("delete", key, scope)


class Context:
    """DFF.CTX: values of one task."""

    def __init__(self) -> None:
        self._values: Dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value


class Threads:
    """DFF.THREAD: awaited before the answer is sent."""

    def __init__(self) -> None:
        self._pool: Optional[concurrent.futures.ThreadPoolExecutor] = None
        self._futures: Dict[str, concurrent.futures.Future[Any]] = {}

    def submit(self, function: Any, *args: Any, **kwargs: Any) -> str:
        self._pool = self._pool or concurrent.futures.ThreadPoolExecutor(5)
        key = f"thread-result-{len(self._futures)}"
        self._futures[key] = self._pool.submit(function, *args, **kwargs)
        return key

    def get_result(self, key: str) -> Any:
        error = self._futures[key].exception()
        value = None if error else self._futures[key].result()
        return types.SimpleNamespace(key=key, value=value, error=error)

    def get_all_results(self) -> List[Any]:
        return [self.get_result(key) for key in self._futures]

    def finish(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)

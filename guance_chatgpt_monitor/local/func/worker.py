"""One worker process of the local Func. Runs scripts as the real one does.

Started as a program of its own, by the Python whose behaviour is wanted, which needs nothing of this
package: tasks come as lines of JSON on standard input, results go as lines of JSON to standard output.
"""

import builtins
import concurrent.futures
import functools
import http.client
import importlib
import inspect
import json
import os
import signal
import sys
import traceback
import types
from typing import Any, Dict, List, Optional

API_OPTIONS = frozenset(
    "timeout api_timeout expires cache_result queue category tags integration integration_config "  # noqa: SIM905
    "is_hidden fixed_cron_expr fixed_crontab delayed_cron_job delayed_crontab".split()
)


class TaskTimeout(BaseException):
    """The task ran past its timeout. Not an Exception: `except Exception` lets it pass."""


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
            self._redis = redis.Redis.from_url(redis_url, decode_responses=True)

    def cache(self, command: str, key: str, *args: Any) -> Any:
        # Redis takes text, bytes and numbers, and gives text.
        if self._redis is None:
            return self.ask("/_local/cache", [command, key, *map(str, args)])
        return self._redis.execute_command(command.upper(), key, *args)

    def ask(self, path: str, content: Any) -> Any:
        """Ask the server. The connection is given up whenever anything, a timeout too, interrupts it."""
        done = False
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._server)
            self._connection.request("POST", path, json.dumps(content))
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


class Cache:
    """DFF.CACHE, scoped per script unless told otherwise."""

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


class Task:
    """One run of one function, or of a script's top level alone."""

    def __init__(self, request: Dict[str, Any], scripts: Dict[str, str], backend: Backend) -> None:
        self._request = request
        self._scripts = scripts
        self._backend = backend
        self._modules: Dict[str, types.ModuleType] = {}
        self._context = Context()
        self._threads = Threads()
        self._masked: List[str] = []
        self._log: List[str] = []
        self._funcs: List[Dict[str, Any]] = []

    def run(self) -> Dict[str, Any]:
        result: Dict[str, Any] = {"status": "success"}
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, float(self._request["timeout_s"]))
        try:
            response = self._call()
            result.update(data=response.data, control=response.control)
        except TaskTimeout:
            result.update(status="timeout", exception="TaskTimeout", traceback=traceback.format_exc())
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            result.update(status="failure", exception=text, traceback=traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._threads.finish()
        result.update(log=[self._mask(line) for line in self._log], funcs=self._funcs)
        return result

    def _on_alarm(self, *_: Any) -> None:
        raise TaskTimeout

    def _call(self) -> FuncResponse:
        script_id, _, name = self._request["func_id"].partition(".")
        if script_id not in self._scripts:
            raise RuntimeError(f"Script not found: `{script_id}`")
        scope = self._scope(script_id, entry=True)
        exec(compile(self._scripts[script_id], script_id, "exec"), scope)  # noqa: S102 - what Func does
        if not name:
            return FuncResponse(None)
        if name not in scope:
            raise RuntimeError(f"Function not found: `{self._request['func_id']}`")
        returned = scope[name](**self._request["kwargs"])
        return returned if isinstance(returned, FuncResponse) else FuncResponse(returned)

    def _scope(self, script_id: str, entry: bool) -> Dict[str, Any]:
        # A fresh dict that is in no module of sys.modules: what a script defines ends with its task.
        allowed = {name: getattr(builtins, name) for name in dir(builtins) if name != "BaseException"}
        allowed.update(__import__=self._import, print=self._print)
        return {
            "__name__": script_id,
            "__file__": script_id,
            "__builtins__": allowed,
            "DFF": types.SimpleNamespace(
                API=functools.partial(self._api, entry),
                ENV=functools.partial(self._env, entry),
                CACHE=Cache(self._backend, script_id),
                STORE=Store(self._backend, script_id),
                RESP=FuncResponse,
                CTX=self._context,
                THREAD=self._threads,
            ),
            "_DFF_TASK_ID": self._request["task_id"],
            "_DFF_FUNC_ID": self._request["func_id"],
            "_DFF_ORIGIN": self._request["origin"],
            "_DFF_HTTP_REQUEST": self._request["http_request"],
        }

    def _import(
        self,
        name: str,
        globals: Any = None,  # noqa: A002 - the names that the import statement passes
        locals: Any = None,  # noqa: A002
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        globals.get("__name__")  # the real one looks here, too: without globals it fails
        if name not in self._scripts:
            return importlib.__import__(name, globals, locals, fromlist, level)
        if name not in self._modules:
            module = types.ModuleType(name)
            module.__dict__.clear()
            module.__dict__.update(self._scope(name, entry=False))
            exec(compile(self._scripts[name], name, "exec"), module.__dict__)  # noqa: S102
            # Known only from here on: two scripts that import each other never get here.
            self._modules[name] = module
        module = self._modules[name]
        for wanted in fromlist or ():
            value = module.__dict__.get(wanted)
            if not value:  # a name whose value is false is taken for missing
                raise ImportError(f"CustomImport: Cannot import name `{wanted}`")
            globals[wanted] = value
        return module

    def _print(self, *values: Any, **options: Any) -> None:
        self._log.append((options.get("sep") or " ").join(map(str, values)))

    def _mask(self, line: str) -> str:
        for secret in self._masked:
            line = line.replace(secret, "*****")
        return line

    def _env(self, entry: bool, env_id: str) -> Any:
        variable = self._request["env"].get(env_id)
        if variable is None:
            return None
        if entry and variable["type"] == "password" and variable["value"]:
            self._masked.append(variable["value"])
        return variable["value"]

    def _api(self, entry: bool, title: Any = None, **options: Any) -> Any:
        unknown = set(options) - API_OPTIONS
        if unknown:
            raise TypeError(f"DFF.API() got an unexpected keyword argument '{min(unknown)}'")
        timeout = options.get("timeout", 35)
        if not isinstance(timeout, int) or not 1 <= timeout <= 3600:
            raise ValueError("`timeout` should be between `1` and `3600` (seconds)")

        def decorate(function: Any) -> Any:
            if entry:
                config = {
                    "timeout": options.get("timeout"),
                    "fixedCronExpr": options.get("fixed_cron_expr") or options.get("fixed_crontab"),
                }
                self._funcs.append(
                    {
                        "name": function.__name__,
                        "title": title,
                        "description": inspect.getdoc(function),
                        "definition": f"{function.__name__}{inspect.signature(function)}",
                        "extraConfigJSON": {key: value for key, value in config.items() if value},
                        "category": options.get("category") or "general",
                        "tagsJSON": sorted(set(options.get("tags") or ())),
                        "defOrder": len(self._funcs),
                    }
                )
            return function

        return decorate


def main() -> None:
    """Serve tasks until standard input ends."""
    sys.path.pop(0)  # this folder, whose openai.py is not the SDK
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what anything writes to standard output is not a result
    settings = json.loads(sys.stdin.readline())
    backend = Backend(settings["server"], settings["redis_url"])
    scripts: Dict[str, str] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["scripts"] is not None:
            scripts = request["scripts"]
        result = Task(request, scripts, backend).run()
        results.write(json.dumps(result) + "\n")
        results.flush()


if __name__ == "__main__":
    main()

"""A stand-in for DataFlux Func: installs the built script set and runs it the way Func's workers do.

Five reused worker processes, fresh globals for each task, the authorization link with its two paths,
599 for an exception, JavaScript's numbers, auto-triggers, the management API (`routes`). What works
here works on the real one, as far as that was observed; what fails there fails here.
"""

import json
import re
import sys
import threading
import time
import uuid
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple, TypeVar

import yaml

from ..http_server import LocalServer, Request, Response
from .access import AccessChecker, AccessKey
from .api import ManagementAPI
from .arguments import as_javascript, read_arguments
from .cron import is_due
from .errors import ApiError
from .link import Throttle, check_auth, check_enabled
from .memory_cache import MemoryCache
from .packages import Packages
from .pool import Task, TaskResult, WorkerPool
from .routes import Router
from .sources import reader
from .startup import DeployError, Publisher
from .state import FuncState, Snapshot

__all__ = ["AccessKey", "DeployError", "LocalFunc", "TaskResult", "as_javascript"]

DEFAULT_TIMEOUT_S = 35
WORKERS = 5
MAX_RECORDS = 1000
# The real one (6.2.4): 6.5 ms of processor for a function that does nothing, of which 2 ms are spent here;
# and 1 to 1.5 ms for each script that a task loads.
OBSERVED_TASK_COST_S = 0.0035
OBSERVED_SCRIPT_COST_S = 0.001
LINK_RECORDS_KEPT = 100  # of each link that does not say otherwise

_NEVER_PUSHED = "local_func:never_pushed"
_LINK_PATH = re.compile(r"/api/v1/(?:al|sync)/([\w-]+)(/simplified)?")

Self = TypeVar("Self", bound="LocalFunc")


class LocalFunc(LocalServer):
    """Func on loopback. `python` runs the scripts; `redis_url` is where DFF.CACHE is, else in memory.

    What is changed is noticed by links and workers `visible_after_s` later; in the real one, some 5 s.
    `task_cost_s` and `script_cost_s` are processor time that a task, and each script that it loads, takes at
    least beside what is done here: for benchmarks, see OBSERVED_TASK_COST_S.
    When its Redis goes away, it stops, as the real one does, unless `exits_with_redis` is off.
    `access_keys` and `localhost_token` open the management API. `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        port: int = 0,
        workers: int = WORKERS,
        python: str = sys.executable,
        redis_url: str = "",
        cron: bool = False,
        clock: Callable[[], float] = time.time,
        visible_after_s: float = 0.0,
        access_keys: Sequence[AccessKey] = (),
        localhost_token: str = "",
        task_cost_s: float = 0.0,
        script_cost_s: float = 0.0,
        exits_with_redis: bool = True,
    ) -> None:
        super().__init__(port)
        self._redis_url = redis_url
        self._cron = cron
        self._exits_with_redis = exits_with_redis
        self._stop_lock = threading.Lock()
        self._costs = {"task_cost_s": str(task_cost_s), "script_cost_s": str(script_cost_s)}
        self._clock = clock
        self._state = FuncState(visible_after_s, clock)
        self._pool = WorkerPool(python, workers, self._state)
        self._publisher = Publisher(self._state, self._pool)
        self._throttle = Throttle(clock)
        self._store: Dict[str, Any] = {}
        self._cache = MemoryCache()
        self.packages = Packages(clock=clock)
        self.records: Deque[Dict[str, Any]] = deque(maxlen=MAX_RECORDS)
        self._records_lock = threading.Lock()
        access = AccessChecker(access_keys, localhost_token, clock)
        api = ManagementAPI(self._state, self._publisher, self.packages, self.records)
        self._router = Router(api, access)

    # ---- what a user does in Func's pages ----

    def install(self, source: str) -> str:
        """Install the script set of a market folder, a market's URL or an import zip; its id."""
        read = reader(source)
        meta = yaml.safe_load(read("META.yaml"))
        self._state.import_sets(meta, read, "user" if source.endswith(".zip") else "scriptMarket")
        return str(meta["scriptSets"][0]["id"])

    def set_env(self, env_id: str, value: str, env_type: str = "password") -> None:
        """Set an environment variable of Func."""
        row = {"id": env_id, "valueTEXT": value, "autoTypeCasting": env_type}
        self._state.env_variables[env_id] = row
        self._state.changed()

    def deploy(self, set_id: str, parameters: Optional[Dict[str, str]] = None) -> str:
        """Fill in the template, run it once, register its functions and its auto-trigger.

        An existing startup script is left as it is. Raises DeployError; the broken script stays.
        """
        return str(self._publisher.deploy(set_id, parameters or {}).script_id)

    def script(self, script_id: str) -> str:
        """The code of a script. Raises KeyError."""
        code: str = self._state.scripts[script_id]["code"]
        return code

    def edit(self, script_id: str, code: str) -> None:
        """Publish new code for a script, unchecked."""
        row = self._state.scripts.get(script_id, {})
        self._state.set_script(script_id, code, row.get("title"), row.get("publishVersion", 0) + 1)
        self._state.changed()

    def register(self, script_id: str, name: str) -> None:
        """Make a function of a script one that can be called, as publishing does with DFF.API's."""
        self._state.set_funcs(script_id, [{"name": name, "extraConfigJSON": {}}])
        self._state.changed()

    def set_timeout(self, func_id: str, timeout_s: int) -> int:
        """Change a function's time limit, in seconds; returns what it was."""
        config = self._state.funcs[func_id]["extraConfigJSON"]
        before = int(config.get("timeout") or DEFAULT_TIMEOUT_S)
        config["timeout"] = timeout_s
        return before

    def add_link(self, func_id: str, **settings: Any) -> str:
        """Create an authorization link; its URL, to which `/simplified` is added to call it.

        `settings` are those of the management API, such as `throttlingJSON`.
        """
        link_id = "auln-" + uuid.uuid4().hex[:16]
        self._state.sync_apis[link_id] = {"id": link_id, "funcId": func_id, **settings}
        self._state.changed()
        return f"{self.url}/api/v1/al/{link_id}"

    @property
    def cron_jobs(self) -> Dict[str, Tuple[str, str]]:
        """The auto-triggers that are on, by id: function and expression."""
        jobs = {}
        for job_id, job in self._state.cron_jobs.items():
            func = self._state.funcs.get(job["funcId"])
            if func is not None and not job.get("isDisabled"):
                expression = job.get("cronExpr") or func["extraConfigJSON"]["fixedCronExpr"]
                jobs[job_id] = (job["funcId"], expression)
        return jobs

    def fire_cron(self, moment: Optional[time.struct_time] = None) -> List[TaskResult]:
        """Run the auto-triggers that are due at `moment`, or all of them; wait for their results."""
        due = [
            (job_id, func_id)
            for job_id, (func_id, expression) in self.cron_jobs.items()
            if moment is None or is_due(expression, moment)
        ]
        return [self.run(func_id, origin="cronJob", origin_id=job_id) for job_id, func_id in due]

    def run(
        self,
        func_id: str,
        kwargs: Optional[Dict[str, Any]] = None,
        origin: str = "direct",
        http_request: Optional[Dict[str, Any]] = None,
        origin_id: str = "",
    ) -> TaskResult:
        """Run a function, or a script's top level, on one of the workers."""
        snapshot = self._state.visible()
        config = snapshot.funcs.get(func_id, {}).get("extraConfigJSON") or {}
        timeout_s = float(config.get("timeout") or DEFAULT_TIMEOUT_S)
        task = Task(func_id, kwargs or {}, origin, http_request or {}, timeout_s)
        started_s = self._clock()
        result = self._pool.run(task)
        self._record(task, result, origin_id, started_s)
        return result

    def clear(self) -> None:
        """Forget all: scripts, links, settings, packages, records."""
        self.recover({})

    def recovery_point(self) -> Dict[str, Any]:
        """Scripts, links and settings as they are, to come back to with `recover()`."""
        return self._state.copy_rows()

    def recover(self, point: Dict[str, Any]) -> None:
        """Scripts, links and settings as they were; no records, no cache, no packages of the user's."""
        self._state.replace_rows(point)
        self.packages.clear()
        self.records.clear()
        self.clear_cache()

    def clear_cache(self) -> None:
        """Empty DFF.CACHE and DFF.STORE."""
        self._store.clear()
        self._cache = MemoryCache()
        if self._redis_url:
            import redis

            redis.Redis.from_url(self._redis_url).flushdb()
            self._pool.forget_published()

    def worker_pids(self) -> List[int]:
        """The process ids of the workers."""
        return self._pool.pids()

    def worker_stderr(self) -> str:
        """What the workers wrote to standard error, `logging` included."""
        return self._pool.stderr()

    # ---- the server ----

    def start(self: Self) -> Self:
        super().start()
        self._pool.start({"server": f"127.0.0.1:{self.port}", "redis_url": self._redis_url, **self._costs})
        if self._cron:
            threading.Thread(target=self._run_cron, daemon=True).start()
        if self._redis_url and self._exits_with_redis:
            threading.Thread(target=self._exit_with_redis, daemon=True).start()
        return self

    def stop(self) -> None:
        with self._stop_lock:  # its Redis may go away just now
            super().stop()
            self._pool.stop()

    def respond(self, request: Request) -> Optional[Response]:
        if request.path.startswith("/_local/"):
            return self._respond_worker(request)
        found = _LINK_PATH.fullmatch(request.path)
        try:
            if found is None:
                return self._router.respond(request)
            return self._call_link(found.group(1), request, bool(found.group(2)))
        except ApiError as error:
            return error.response(request)

    def _call_link(self, link_id: str, request: Request, simplified: bool) -> Optional[Response]:
        snapshot = self._state.visible()
        try:
            kwargs = read_arguments(request, simplified)
        except ValueError as error:
            raise ApiError("EClientBadRequest", str(error)) from None
        self._admit(snapshot, link_id, request, kwargs)
        func_id = snapshot.sync_apis[link_id]["funcId"]
        if func_id not in snapshot.funcs:
            raise ApiError("EClientNotFound", "No such Func", {"funcId": func_id})
        http_request = {"method": request.method, "url": request.path, "body": kwargs}
        result = self.run(func_id, kwargs, "syncAPI", http_request, link_id)
        detail = {"exception": result.exception, "traceback": result.traceback}
        if result.status == "failure":
            raise ApiError("EFuncFailed", "Func task failed", detail)
        if result.status == "timeout":
            raise ApiError("EFuncTimeout", "Func task timeout", detail)
        if result.status == "no_response":
            raise ApiError("EWorkerNoResponse", "Worker no response", {"funcId": func_id})
        return _answer(result) if result.status == "success" else None

    def _admit(self, snapshot: Snapshot, link_id: str, request: Request, kwargs: Dict[str, Any]) -> None:
        link = snapshot.sync_apis.get(link_id)
        if link is None:
            raise ApiError("EClientNotFound", "No such Sync API", {"id": link_id})
        check_auth(snapshot.api_auths.get(link.get("apiAuthId") or ""), request, kwargs)
        check_enabled(link)
        self._throttle.count(link)

    def _record(self, task: Task, result: TaskResult, origin_id: str, started_s: float) -> None:
        """What Func keeps of a task: the call's arguments and its answer, too."""
        record = {
            "task_id": task.task_id,
            "func_id": task.func_id,
            "kwargs": task.kwargs,
            "origin": task.origin,
            "origin_id": origin_id,
            "triggered_at_ms": int(started_s * 1000),
            "ended_at_ms": int(self._clock() * 1000),
            **result._asdict(),
        }
        rows = self._state.cron_jobs if task.origin == "cronJob" else self._state.sync_apis
        owner = rows.get(origin_id, {})
        limit = owner.get("taskRecordLimit")
        limit = LINK_RECORDS_KEPT if limit is None else limit
        with self._records_lock:
            same = [kept for kept in self.records if origin_id and kept["origin_id"] == origin_id]
            for old in same[: max(0, len(same) + 1 - limit)]:
                self.records.remove(old)
            if limit:
                self.records.append(record)
        if origin_id in rows:
            status = "success" if result.status == "success" else "failure"
            owner["lastTaskStatus"] = {"status": status, "timestamp": int(started_s)}

    def _respond_worker(self, request: Request) -> Response:
        if (request.method, request.path) not in (("POST", "/_local/cache"), ("POST", "/_local/store")):
            return Response(404, {"error": f"nothing at {request.method} {request.path}"})
        try:
            run = self._cache.run if request.path == "/_local/cache" else self._run_store
            return Response(200, {"result": run(*request.json())})
        except Exception as error:
            return Response(200, {"error": f"{type(error).__name__}: {error}"})

    def _run_store(self, verb: str, scope: str, key: str, *value: Any) -> Any:
        if verb not in ("get", "set", "delete"):
            raise ValueError(f"the store has no command {verb}")
        name = json.dumps([scope, key])
        if verb == "set":
            self._store[name] = value[0]
        elif verb == "delete":
            self._store.pop(name, None)
        return self._store.get(name)

    def _run_cron(self) -> None:
        while not self.stopping.wait(60 - self._clock() % 60):
            self.fire_cron(time.localtime(self._clock()))

    def _exit_with_redis(self) -> None:
        import redis

        with redis.Redis.from_url(self._redis_url) as client:
            try:
                while not self.stopping.is_set():
                    client.blpop([_NEVER_PUSHED], timeout=1)
            except redis.ConnectionError:
                self.stop()


def _answer(result: TaskResult) -> Response:
    control = result.control or {}
    data = as_javascript(result.data)
    content_type = control.get("content_type") or ""
    status_code = control.get("status_code") or 200
    headers = control.get("headers") or {}
    if not data and not isinstance(data, (dict, list)):
        data = ""  # None, False, 0 and "" are an empty answer
    if isinstance(data, (dict, list)):
        return Response(status_code, data, content_type, headers)
    text = data if isinstance(data, str) else json.dumps(data)
    return Response(status_code, text, content_type or "text/html; charset=utf-8", headers)

"""One worker process of the local Func. Runs scripts as the real one does.

Started as a program of its own, by the Python whose behaviour is wanted, which needs nothing of this
package: tasks come as lines of JSON on standard input, results go as lines of JSON to standard output.
"""

import builtins
import functools
import hashlib
import importlib
import inspect
import json
import os
import signal
import sys
import time
import traceback
import types
from typing import Any, Dict, List, NamedTuple

if __name__ == "__main__":
    from dff import Backend, Cache, Context, FuncResponse, Store, Threads  # type: ignore[import-not-found]
else:
    from .dff import Backend, Cache, Context, FuncResponse, Store, Threads

API_OPTIONS = frozenset(
    "timeout api_timeout expires cache_result queue category tags integration integration_config "  # noqa: SIM905
    "is_hidden fixed_cron_expr fixed_crontab delayed_cron_job delayed_crontab".split()
)


class TaskTimeout(BaseException):
    """The task ran past its timeout. Not an Exception: `except Exception` lets it pass."""


class _Compiled(NamedTuple):
    source: str
    md5: str
    code: Any


class Scripts:
    """The scripts as they were handed to this worker, and their code, which is compiled once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._sources: Dict[str, str] = {}
        self._compiled: Dict[str, _Compiled] = {}

    def replace(self, sources: Dict[str, str]) -> None:
        self._sources = sources
        kept = self._compiled.items()
        self._compiled = {name: each for name, each in kept if sources.get(name) == each.source}

    def __contains__(self, script_id: str) -> bool:
        return script_id in self._sources

    def load(self, script_id: str) -> Any:
        """The code of a script, after asking whether it has changed: each task asks anew for each script."""
        stored_md5 = self._backend.script_md5(script_id)
        compiled = self._compiled.get(script_id)
        if compiled is None or stored_md5 not in (None, compiled.md5):
            source = self._sources[script_id]
            md5 = hashlib.md5(source.encode("utf-8")).hexdigest()  # noqa: S324 - Func's own marker, no secret
            compiled = _Compiled(source, md5, compile(source, script_id, "exec"))
            self._compiled[script_id] = compiled
        return compiled.code


class Task:
    """One run of one function, or of a script's top level alone."""

    def __init__(
        self,
        request: Dict[str, Any],
        scripts: Scripts,
        backend: Backend,
        costs: Dict[str, float],
    ) -> None:
        self._request = request
        self._costs = costs
        self._scripts = scripts
        self._backend = backend
        self._modules: Dict[str, types.ModuleType] = {}
        self._context = Context()
        self._threads = Threads()
        self._masked: List[str] = []
        self._log: List[str] = []
        self._funcs: List[Dict[str, Any]] = []
        self._loaded: List[str] = []
        self._has_ended = False

    def run(self) -> Dict[str, Any]:
        result: Dict[str, Any] = {"status": "success"}
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, float(self._request["timeout_s"]))
        try:
            _use_processor(time.thread_time() + self._costs["task_cost_s"])
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
            self._has_ended = True
        result.update(log=[self._mask(line) for line in self._log], funcs=self._funcs, loaded=self._loaded)
        return result

    def _on_alarm(self, *_: Any) -> None:
        raise TaskTimeout

    def _call(self) -> FuncResponse:
        script_id, _, name = self._request["func_id"].partition(".")
        if script_id not in self._scripts:
            raise RuntimeError(f"Script not found: `{script_id}`")
        scope = self._scope(script_id, entry=True)
        exec(self._code_of(script_id), scope)  # noqa: S102 - what Func does
        if not name:
            return FuncResponse(None)
        if name not in scope:
            raise RuntimeError(f"Function not found: `{self._request['func_id']}`")
        returned = scope[name](**self._request["kwargs"])
        return returned if isinstance(returned, FuncResponse) else FuncResponse(returned)

    def _code_of(self, script_id: str) -> Any:
        self._loaded.append(script_id)
        began_s = time.thread_time()
        code = self._scripts.load(script_id)
        _use_processor(began_s + self._costs["script_cost_s"])
        return code

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
            if self._has_ended:
                raise RuntimeError(f"the task that loaded this code has ended: it cannot import `{name}`")
            module = types.ModuleType(name)
            module.__dict__.clear()
            module.__dict__.update(self._scope(name, entry=False))
            exec(self._code_of(name), module.__dict__)  # noqa: S102
            # Known only from here on: two scripts that import each other never get here.
            self._modules[name] = module
        module = self._modules[name]
        for wanted in fromlist or ():
            value = module.__dict__.get(wanted)
            if not value:  # a falsy value is taken for a missing name
                raise ImportError(f"CustomImport: Cannot import name `{wanted}`")
            globals[wanted] = value
        return module

    def _print(self, *values: Any, **options: Any) -> None:
        # After its end, the task's log has been sent: what an object that outlives it prints is lost.
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


def _use_processor(until_s: float) -> None:
    """Spin until time.thread_time() is this: the real one has more to do."""
    while time.thread_time() < until_s:
        pass


def main() -> None:
    """Serve tasks until standard input ends."""
    sys.path.pop(0)  # this folder: its modules are not what scripts import
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what anything writes to standard output is not a result
    settings = json.loads(sys.stdin.readline())
    backend = Backend(settings["server"], settings["redis_url"])
    scripts = Scripts(backend)
    costs = {name: float(settings[name]) for name in ("task_cost_s", "script_cost_s")}
    for line in sys.stdin:
        request = json.loads(line)
        if request["scripts"] is not None:
            scripts.replace(request["scripts"])
        result = Task(request, scripts, backend, costs).run()
        results.write(json.dumps(result) + "\n")
        results.flush()


if __name__ == "__main__":
    main()

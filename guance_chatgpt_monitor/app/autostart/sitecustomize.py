"""Found by every Python that `guance-chatgpt-monitor run` starts, before the application: see run.py.

Monitors the openai package, LiteLLM and openai-agents once something imports them; then imports the
`sitecustomize` that it hides. It may be read by a Python that has neither this project nor openai, or that is
older than both.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: PTH100, PTH120 - to import pathlib takes longer than all else here, in every process

import _thread
import importlib.machinery
import importlib.util
import os
import sys

# Threads that are asking the other finders, some of which ask all finders in turn.
_looking = set()  # type: ignore[var-annotated]


class _Finder:
    """Finds these packages as everybody does, and has each monitored as soon as it is imported."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        thread = _thread.get_ident()
        if name not in ("openai", "litellm", "agents") or thread in _looking:
            return None
        _looking.add(thread)
        try:
            for finder in list(sys.meta_path):
                spec = None if finder is cls else finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                    return spec
        except Exception:
            pass  # the import itself will raise it
        finally:
            _looking.discard(thread)
        return None


class _Loader:
    """Wraps another loader. An object of its own, since others wrap it in turn and set attributes on it."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module):
        # As without us, for code that reads its source or resources.
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        spec = getattr(module, "__spec__", None)
        if spec is not None and spec.loader is self:
            spec.loader = self._loader
        self._loader.exec_module(module)
        if module.__name__ == "openai":
            _instrument()
        elif "openai" in sys.modules:  # else it is an `agents` of the application's own
            _watch_imported()

    def __getattr__(self, name):
        return getattr(self._loader, name)


def _instrument():
    try:
        from guance_chatgpt_monitor import instrument

        instrument()
    except Exception as error:
        # Only in the program itself: others may parse the output of what it starts.
        if os.environ.get("CHATGPT_MONITOR_RUN_PID") == str(os.getpid()):
            said = "guance-chatgpt-monitor: not monitored: ", type(error).__name__, ": ", str(error), "\n"
            sys.stderr.write("".join(said))


def _watch_imported():
    try:
        # They import openai, which is monitored then, before they are ready themselves.
        from guance_chatgpt_monitor.app.instrument import watch_imported

        watch_imported()
    except Exception:
        pass  # then openai is not monitored either, which was reported


def _import_next():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


sys.meta_path.insert(0, _Finder)
_import_next()

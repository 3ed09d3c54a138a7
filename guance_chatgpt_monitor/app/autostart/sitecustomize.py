"""Found by every Python that `guance-chatgpt-monitor run` starts, before the application: see run.py.

Monitors the openai package once something imports it; then imports the `sitecustomize` in whose way it
stands. It may be read by a Python that has neither this project nor openai, or is older than both.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: PTH100, PTH120 - to import pathlib takes longer than all else here, in every process

import importlib.machinery
import importlib.util
import os
import sys


class _Finder:
    """Finds openai as everybody does, and instruments it as soon as it is imported."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):  # noqa: ARG003
        if name != "openai" or cls not in sys.meta_path:
            return None
        sys.meta_path.remove(cls)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, cls)
        loader = getattr(spec, "loader", None)
        if loader is not None:
            _instrument_after(loader)
        return spec


def _instrument_after(loader):
    load = loader.exec_module

    def exec_module(module):
        load(module)
        if _Finder in sys.meta_path:
            sys.meta_path.remove(_Finder)
        _instrument()

    loader.exec_module = exec_module


def _instrument():
    try:
        from guance_chatgpt_monitor import instrument

        instrument()
    except Exception as error:
        # To the program itself, not to what it starts: that may be anything, and read by anything.
        if os.environ.get("CHATGPT_MONITOR_RUN_PID") == str(os.getpid()):
            said = "guance-chatgpt-monitor: not monitored: ", type(error).__name__, ": ", str(error), "\n"
            sys.stderr.write("".join(said))


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

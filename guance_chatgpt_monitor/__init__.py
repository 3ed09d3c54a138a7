"""Monitors ChatGPT calls with Guance: five metrics per call, sent to DataKit.

    from openai import OpenAI
    from guance_chatgpt_monitor import monitor

    client = monitor(OpenAI())

`instrument()` does that for every client of the process, `observe()` is for calls made some other way.
The settings are described in `guance_chatgpt_monitor.app.environment`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .app.instrument import instrument, monitor, uninstrument
    from .app.observe import observe

__version__ = "0.2.0"

__all__ = ["flush", "instrument", "monitor", "observe", "shutdown", "uninstrument"]

# Imported at the first use: the command line, which has no use for them, starts the faster.
_MODULES = {
    "instrument": "app.instrument",
    "monitor": "app.instrument",
    "uninstrument": "app.instrument",
    "observe": "app.observe",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})


def flush(timeout_s: float = 5.0) -> bool:
    """Deliver what was observed so far, or put it on the backlog; False if that took longer."""
    from .app.exporter import existing_exporter

    exporter = existing_exporter()
    return exporter is None or exporter.flush(timeout_s)


def shutdown(timeout_s: float = 2.0) -> None:
    """Deliver what was observed, or put it on the backlog, and stop. Called at a normal exit by itself."""
    from .app.exporter import existing_exporter

    exporter = existing_exporter()
    if exporter is not None:
        exporter.shutdown(timeout_s)

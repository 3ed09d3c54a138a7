"""Monitors ChatGPT calls with Guance: five metrics per call, sent to DataKit.

    from openai import OpenAI
    from guance_chatgpt_monitor import monitor

    client = monitor(OpenAI())

`instrument()` does the same for every client in the process; `observe()` records calls that do not go
through the SDK. For the settings, see `guance_chatgpt_monitor.core.settings_table`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .app.instrument import instrument, monitor, uninstrument
    from .app.observe import observe

__version__ = "0.2.0"

__all__ = ["flush", "instrument", "monitor", "observe", "shutdown", "uninstrument"]

# Imported on first use, so that the command line, which needs none of them, starts faster.
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
    """Deliver the calls recorded so far, or add them to the backlog.

    Args:
        timeout_s: how long to wait, in seconds.

    Returns:
        False if `timeout_s` was not enough. Never raises.
    """
    from .app.exporter import existing_exporter

    exporter = existing_exporter()
    return exporter is None or exporter.flush(timeout_s)


def shutdown(timeout_s: float = 2.0) -> None:
    """Deliver the calls recorded so far, or add them to the backlog, and stop recording.

    A normal exit of the process does this by itself.

    Args:
        timeout_s: how long to wait, in seconds. Never raises.
    """
    from .app.exporter import existing_exporter

    exporter = existing_exporter()
    if exporter is not None:
        exporter.shutdown(timeout_s)

"""Monitors ChatGPT calls with Guance: five metrics per call, sent to DataKit.

    from openai import OpenAI
    from guance_chatgpt_monitor import monitor

    client = monitor(OpenAI())

`instrument()` does that for every client of the process, `observe()` is for calls made some other way.
The settings are described in `guance_chatgpt_monitor.app.environment`.
"""

from .app.instrument import instrument, monitor, uninstrument
from .app.observe import observe

__version__ = "0.1.0"

__all__ = ["flush", "instrument", "monitor", "observe", "shutdown", "uninstrument"]


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

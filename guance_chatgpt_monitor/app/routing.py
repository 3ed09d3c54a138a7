"""Whose calls go where: the `Scope` of one `monitor()` or `instrument()`, kept on the client or on its class.

On the object itself, so that a copy has it, too, and a second import of this package finds it.
"""

import atexit
import time
from typing import Any, Callable, Dict, Optional

from .failsafe import guarded
from .jobs import end_jobs
from .streams import end_open

ATTRIBUTE = "_guance_chatgpt_monitor"


class Scope:
    """Where the calls of one `monitor()` or `instrument()` go; `clock` is in seconds."""

    def __init__(
        self,
        exporter: Any,
        stream_usage: bool = False,
        log_content: bool = False,
        log_errors: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.submit = exporter.submit
        self.stream_usage = stream_usage
        self.log_content = log_content
        self.log_errors = log_errors
        self.clock = clock

    def __deepcopy__(self, _: Any) -> "Scope":
        return self  # with a client; what it holds cannot be copied


def scope_of(client: Any) -> Optional[Scope]:
    """The client's own scope, else its class's; None if it is not monitored."""
    found: Optional[Scope] = getattr(client, ATTRIBUTE, None)
    return found


def open_scope(settings: Dict[str, Any]) -> Optional[Scope]:
    """None if the settings switch the monitor off. Raises ValueError for an invalid setting."""
    # Imported late: the command line and the build for Func import this package, too.
    from .environment import Settings
    from .exporter import get_exporter

    read = Settings.read(**settings)
    exporter = get_exporter(read)
    if not read.enabled:
        return None
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    return Scope(exporter, read.stream_usage, read.log_content, read.log_errors)


def _at_exit() -> None:
    """End the streams that are still open, then the exporter, which registers no handler before a call."""
    from .exporter import existing_exporter

    guarded(end_open)
    guarded(end_jobs)
    exporter = existing_exporter()
    if exporter is not None:
        guarded(exporter.end_with_process)

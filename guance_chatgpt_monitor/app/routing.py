"""Whose calls go where."""

import atexit
from typing import Any, Dict, Optional

from .endings import end_open
from .failsafe import guarded


class Scope:
    """The calls of one `monitor()`, or of one `instrument()` until `uninstrument()`."""

    def __init__(self, exporter: Any, stream_usage: bool = False, log_content: bool = False) -> None:
        self.submit = exporter.submit
        self.stream_usage = stream_usage
        self.log_content = log_content
        self.active = True


def open_scope(settings: Dict[str, Any]) -> Optional[Scope]:
    """None where the settings switch the monitor off. Raises ValueError for a wrong one."""
    # Imported late: the command line and the build for Func import this package, too.
    from .environment import Settings
    from .exporter import get_exporter

    read = Settings.read(**settings)
    exporter = get_exporter(read)
    if not read.enabled:
        return None
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    return Scope(exporter, read.stream_usage, read.log_content)


def _at_exit() -> None:
    """End the streams that are still open, and the exporter, whose own handler is not there before a call."""
    from .exporter import existing_exporter

    guarded(end_open)
    exporter = existing_exporter()
    if exporter is not None:
        guarded(exporter.end_with_process)

"""The one guard around all our code: an application never sees an error of the monitor."""

import logging
import time
from typing import Any, Callable

_log = logging.getLogger("guance_chatgpt_monitor")

LOG_INTERVAL_S = 60.0

_logged_s = -LOG_INTERVAL_S  # on the clock of time.monotonic()


def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns; None if it raises an Exception."""
    try:
        return function(*arguments)
    except Exception as error:
        try:
            report(function, error)
        except Exception:
            pass
        return None


def report(where: Any, error: Exception) -> None:
    """Log the place and the class of an error.

    Never its message, which may hold what the application sent or received.
    """
    name = getattr(where, "__qualname__", type(where).__name__)
    warn(f"a call may be missing from the monitor: {type(error).__name__} in {name}")


def warn(text: str) -> None:
    """Log `text`, which must hold none of the application's data; one warning a minute at most."""
    global _logged_s
    now_s = time.monotonic()
    if now_s - _logged_s < LOG_INTERVAL_S:
        return
    _logged_s = now_s
    log_warning(text)


def log_warning(text: str) -> None:
    """Log `text`. Never raises, whatever the application's log handlers do."""
    try:
        _log.warning(text)
    except Exception:
        pass

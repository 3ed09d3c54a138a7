"""The one guard around every line that is ours: an application never meets an error of the monitor's."""

import logging
import time
from typing import Any, Callable

_log = logging.getLogger("guance_chatgpt_monitor")

LOG_INTERVAL_S = 60.0

_logged_s = -LOG_INTERVAL_S  # on the clock of time.monotonic()


def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` returns; None where it raises an Exception."""
    try:
        return function(*arguments)
    except Exception as error:
        try:
            report(function, error)
        except Exception:
            pass
        return None


def report(where: Any, error: Exception) -> None:
    """Log where it happened and the class of the error.

    Never its text, which may hold what the application sent or received.
    """
    name = getattr(where, "__qualname__", type(where).__name__)
    warn(f"a call may be missing from the monitor: {type(error).__name__} in {name}")


def warn(text: str) -> None:
    """Log `text`, which holds nothing of the application's; once a minute at most, whatever it says."""
    global _logged_s
    now_s = time.monotonic()
    if now_s - _logged_s < LOG_INTERVAL_S:
        return
    _logged_s = now_s
    log_warning(text)


def log_warning(text: str) -> None:
    """Log `text`; never raises, as a handler of the application's may."""
    try:
        _log.warning(text)
    except Exception:
        pass

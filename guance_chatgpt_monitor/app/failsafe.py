"""The one guard around all our code: an application never sees an error of the monitor."""

import logging
import time
from typing import Any, Callable

_log = logging.getLogger("guance_chatgpt_monitor")

LOG_INTERVAL_S = 60.0


class RareWarnings:
    """Logs one warning a minute at most. `clock` gives seconds, and only goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_s = float("-inf")

    def warn(self, text: str) -> None:
        """Log `text`, which must hold none of the application's data, unless one was logged just before."""
        now_s = self._clock()
        if now_s - self._logged_s >= LOG_INTERVAL_S:
            self._logged_s = now_s
            log_warning(text)


rare_warnings = RareWarnings()  # those of the process


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
    rare_warnings.warn(text)


def log_warning(text: str) -> None:
    """Log `text`. Never raises, whatever the application's log handlers do."""
    try:
        _log.warning(text)
    except Exception:
        pass

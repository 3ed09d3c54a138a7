"""What guards a function that is called through an authorization link: authentication, throttling."""

import base64
import threading
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, Tuple

from ..http_server import Request
from .errors import ApiError
from .state import Row

# The lengths of the windows in seconds; each begins at a multiple of its length.
_WINDOWS_S = {
    "bySecond": 1,
    "byMinute": 60,
    "byHour": 3600,
    "byDay": 86400,
    "byMonth": 86400 * 30,
    "byYear": 86400 * 365,
}


def check_auth(auth: Optional[Row], request: Request, body: Any) -> None:
    """Raises ApiError. A link whose authentication was deleted is open, as in the real one."""
    if auth is None:
        return
    config = auth["configJSON"]
    if auth["type"] == "fixedField":
        if not any(_field_matches(field, request, body) for field in config.get("fields") or ()):
            raise ApiError("EAPIAuth", "Fixed Field Auth failed")
    elif auth["type"] == "httpBasic" and not _basic_matches(config.get("users") or (), request):
        raise ApiError("EAPIAuth", "HTTP basic Auth failed")


def _field_matches(field: Row, request: Request, body: Any) -> bool:
    name, value = field["name"], field["value"]
    if field["location"] == "header":
        return bool(request.headers.get(name) == value)
    if field["location"] == "query":
        return bool(request.query.pop(name, None) == value)
    # A field that authenticates is not an argument of the function.
    return isinstance(body, dict) and bool(body.pop(name, None) == value)


def _basic_matches(users: Any, request: Request) -> bool:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        username, _, password = base64.b64decode(encoded).decode("utf-8").partition(":")
    except ValueError:
        return False
    return any(user["username"] == username and user["password"] == password for user in users)


def check_enabled(link: Row) -> None:
    """Raises ApiError for a link that is disabled or expired."""
    if link.get("isDisabled"):
        raise ApiError("EBizCondition.SyncAPIDisabled", "This Sync API is disabled")
    expires = link.get("expireTime")
    if expires and datetime.fromisoformat(expires.replace("Z", "+00:00")) < datetime.now(timezone.utc):
        raise ApiError("EBizCondition.SyncAPIExpired", "This Sync API is already expired")


class Throttle:
    """Counts the calls of each link. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Dict[Tuple[str, str, int], int] = {}

    def count(self, link: Row) -> None:
        """Count one call. Raises ApiError when it is one too many; a limit of null allows none."""
        for rule, limit in (link.get("throttlingJSON") or {}).items():
            now_s, window_s = self._clock(), _WINDOWS_S[rule]
            window = int(now_s / window_s)
            with self._lock:
                key = (link["id"], rule, window)
                current = self._counts[key] = self._counts.get(key, 0) + 1
            if current > (limit or 0):
                detail = {
                    "rule": rule,
                    "limit": limit,
                    "currentCount": current,
                    "waitSeconds": int((window + 1) * window_s - now_s) + 1,
                }
                raise ApiError("EClientRateLimit.APIThrottling", "Maximum calling rate exceeded", detail)

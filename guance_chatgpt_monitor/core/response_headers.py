"""What is kept of an answer's some 25 headers, and what those say.

Only six are kept, because they wait for the exporter's thread, with those of up to 10,000 other answers.
"""

import math
from typing import Any, Dict, Optional, Tuple

RATE_LIMIT_FIELDS = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens")
MAX_REQUEST_ID = 128  # characters; OpenAI's have 36
MAX_NUMBER = 32  # characters; what is longer is not a number

_NAMES = (
    *("x-ratelimit-" + name.replace("_", "-") for name in RATE_LIMIT_FIELDS),
    "openai-processing-ms",
    "x-request-id",
)
_RAW_NAMES = dict.fromkeys(name.encode() for name in _NAMES)  # ordered, and quick to look up

# The values of the headers in _NAMES, in that order; None for each that is missing.
Picked = Tuple[Any, ...]
NOTHING: Picked = (None,) * len(_NAMES)


def pick_headers(headers: Any) -> Picked:
    """What to keep of `headers`: httpx's, or any mapping with lower-case names.

    NOTHING for anything else, such as None.
    """
    try:
        # httpx's own list, with names in lower case: `raw` would take 5 us more for each call.
        found = {name: value for _, name, value in headers._list if name in _RAW_NAMES}
        return tuple(map(found.get, _RAW_NAMES))
    except (AttributeError, TypeError, ValueError):
        pass
    raw = getattr(headers, "raw", None)
    if isinstance(raw, list):  # another httpx's
        found = {name.lower(): value for name, value in raw}
        return tuple(map(found.get, _RAW_NAMES))
    if not hasattr(headers, "get"):
        return NOTHING
    return tuple(map(headers.get, _NAMES))


def read_numbers(picked: Optional[Picked]) -> Tuple[Dict[str, float], Optional[float]]:
    """The rate limits in the headers, field -> count, and the API's processing time in seconds.

    Omits what is missing, or is not a finite number of 0 or more.
    """
    *counts, processing_time_ms = map(_read_number, (picked or NOTHING)[:-1])
    limits = {name: count for name, count in zip(RATE_LIMIT_FIELDS, counts) if count is not None}
    return limits, None if processing_time_ms is None else processing_time_ms / 1000


def read_request_id(picked: Optional[Picked]) -> str:
    """The request id; empty if there is none, or it cannot be one."""
    text = _text((picked or NOTHING)[-1])
    return text if len(text) <= MAX_REQUEST_ID and text.isascii() and text.isprintable() else ""


def _read_number(value: Any) -> Optional[float]:
    try:
        number = float(value) if len(value) <= MAX_NUMBER else math.inf
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < math.inf else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""

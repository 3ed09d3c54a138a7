"""What is kept of an answer's headers, some 25 of which six tell something, and what these six tell.

Kept is little because it waits: for the exporter's thread, with up to 10,000 others.
"""

import math
from typing import Any, Dict, Optional, Tuple

RATE_LIMIT_FIELDS = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens")
MAX_REQUEST_ID = 128  # characters; OpenAI's have 36
MAX_NUMBER = 32  # characters, likewise; what is longer is none

_NAMES = (
    *("x-ratelimit-" + name.replace("_", "-") for name in RATE_LIMIT_FIELDS),
    "openai-processing-ms",
    "x-request-id",
)
_RAW_NAMES = dict.fromkeys(name.encode() for name in _NAMES)  # ordered, and quick to look up

# The values of the headers in _NAMES, in that order; None where the answer has none.
Picked = Tuple[Any, ...]
NOTHING: Picked = (None,) * len(_NAMES)


def pick_headers(headers: Any) -> Picked:
    """What is to be kept of `headers`: httpx's, any mapping with lower-case names, or None.

    What is no headers at all tells nothing.
    """
    try:
        # What httpx has inside, with names in lower case: through `raw`, a call takes some 5 us more.
        found = {name: value for _, name, value in headers._list if name in _RAW_NAMES}
        return tuple([found.get(name) for name in _RAW_NAMES])
    except (AttributeError, TypeError, ValueError):
        pass
    raw = getattr(headers, "raw", None)
    if isinstance(raw, list):  # another httpx's
        found = {name.lower(): value for name, value in raw}
        return tuple([found.get(name) for name in _RAW_NAMES])
    if not hasattr(headers, "get"):
        return NOTHING
    return tuple([headers.get(name) for name in _NAMES])


def read_numbers(picked: Optional[Picked]) -> Tuple[Dict[str, float], Optional[float]]:
    """What is left of the minute's limits, field -> count, of those that the answer told; and the API's
    processing time in seconds. Not one that is no number, is negative or has no end."""
    *counts, processing_time_ms = map(_read_number, (picked or NOTHING)[:-1])
    limits = {name: count for name, count in zip(RATE_LIMIT_FIELDS, counts) if count is not None}
    return limits, None if processing_time_ms is None else processing_time_ms / 1000


def read_request_id(picked: Optional[Picked]) -> str:
    """The id in the picked headers; empty where there is none that can be one."""
    text = _text((picked or NOTHING)[-1])
    return text if len(text) <= MAX_REQUEST_ID and text.isascii() and text.isprintable() else ""


def _read_number(value: Any) -> Optional[float]:
    text = _text(value)
    if not text or len(text) > MAX_NUMBER:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""

"""What is kept of an answer's headers, some 25 of which six tell something, and what these six tell.

Kept is little because it waits: for the exporter's thread, with up to 10,000 others.
"""

import math
from operator import itemgetter
from typing import Any, Callable, Dict, Optional, Tuple

RATE_LIMIT_FIELDS = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens")
MAX_REQUEST_ID = 128  # characters; OpenAI's have 36

# The values of the headers in _NAMES, in that order; None where the answer has none.
Picked = Tuple[Optional[bytes], ...]

_NAMES = (
    *(b"x-ratelimit-" + name.replace("_", "-").encode() for name in RATE_LIMIT_FIELDS),
    b"openai-processing-ms",
    b"x-request-id",
)
_PROCESSING_MS = "processing_ms"
_NUMBERS = (*RATE_LIMIT_FIELDS, _PROCESSING_MS)
_1ST, _2ND, _3RD, _4TH, _5TH, _6TH = _NAMES
_NOTHING: Picked = (None,) * len(_NAMES)

# What the headers of an answer tell: what is left of the minute's limits, field -> count, of those that it
# told; its processing time in seconds; and its id, empty where it has none.
HeaderFacts = Tuple[Dict[str, float], Optional[float], str]
NO_HEADERS: HeaderFacts = ({}, None, "")

# How many headers an answer had that had all six -> what takes these out of such a list. The answers of one
# API are alike, and to look at six places takes a fifth of looking at all names.
_layouts: Dict[int, Callable[[Any], Any]] = {}
MAX_LAYOUTS = 64


def pick_headers(headers: Any) -> Picked:
    """What is to be kept of `headers`: httpx's, any mapping with lower-case names, or None.

    In the way of the application: 0.4 us for an answer like one before, 2 to 3 us for another. What is no
    headers at all tells nothing.
    """
    inside = getattr(headers, "_list", None)  # httpx's own, without the copies that it hands out
    take = _layouts.get(len(inside)) if type(inside) is list else None
    if take is not None:
        a, b, c, d, e, f = take(inside)  # of each: the name, that in lower case, the value
        if a[1] == _1ST and b[1] == _2ND and c[1] == _3RD and d[1] == _4TH and e[1] == _5TH and f[1] == _6TH:
            return a[2], b[2], c[2], d[2], e[2], f[2]
    return _search(headers, inside)


def _search(headers: Any, inside: Any) -> Picked:
    try:
        places = {name: n for n, (_, name, _) in enumerate(inside)}
    except (TypeError, ValueError):  # not httpx's, or another httpx's: what is inside is not documented
        return _of_others(headers)
    found = [places.get(name) for name in _NAMES]
    if None not in found:
        if len(_layouts) >= MAX_LAYOUTS:
            _layouts.clear()
        _layouts[len(inside)] = itemgetter(*found)
    return tuple(None if n is None else inside[n][2] for n in found)


def _of_others(headers: Any) -> Picked:
    raw = getattr(headers, "raw", None)
    if isinstance(raw, list):
        values = {name.lower(): value for name, value in raw}
        return tuple(map(values.get, _NAMES))
    if not hasattr(headers, "get"):
        return _NOTHING
    texts = [headers.get(name.decode()) for name in _NAMES]
    return tuple(text.encode("utf-8", "replace") if isinstance(text, str) else None for text in texts)


def read_headers(picked: Optional[Picked]) -> HeaderFacts:
    """What the picked headers tell. A number that is none, is negative or has no end is not told."""
    if picked is None:
        return NO_HEADERS
    numbers: Dict[str, float] = {}
    for name, value in zip(_NUMBERS, picked):
        if value is not None:
            try:
                number = float(value)
            except ValueError:
                continue
            if 0 <= number < math.inf:
                numbers[name] = number
    processing_time_ms = numbers.pop(_PROCESSING_MS, None)
    processing_time_s = None if processing_time_ms is None else processing_time_ms / 1000
    return numbers, processing_time_s, _request_id(picked[-1])


def _request_id(value: Optional[bytes]) -> str:
    if value is None or len(value) > MAX_REQUEST_ID or not value.isascii():
        return ""
    text = value.decode("ascii")
    return text if text.isprintable() else ""

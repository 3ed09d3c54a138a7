"""What is kept of an answer's headers, some 25 of which six tell something, and what these six tell.

Kept is little because it waits: for the exporter's thread, with up to 10,000 others.
"""

import math
from operator import itemgetter
from typing import Any, Callable, Dict, List, Optional, Tuple

RATE_LIMIT_FIELDS = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens")
MAX_REQUEST_ID = 128  # characters; OpenAI's have 36
MAX_NUMBER = 32  # characters, likewise; what is longer is none
MAX_NUMBERS = 512  # that are remembered

# The values of the headers in _NAMES, in that order, a line each; empty where the answer has none. In one
# piece: the memory of several would be missing to the next calls, which would take some that no cache has.
Picked = bytes
_join = b"\n".join

_NAMES = (
    *(b"x-ratelimit-" + name.replace("_", "-").encode() for name in RATE_LIMIT_FIELDS),
    b"openai-processing-ms",
    b"x-request-id",
)
_1ST, _2ND, _3RD, _4TH, _5TH, _6TH = _NAMES
_NOTHING: Picked = _join([b""] * len(_NAMES))

# What the headers of an answer tell in numbers: what is left of the minute's limits, field -> count, of those
# that it told; and its processing time in seconds.
HeaderNumbers = Tuple[Dict[str, float], Optional[float]]
_NO_NUMBERS: HeaderNumbers = ({}, None)
_EXACT = 2**53  # below, a float without a fraction is the same integer

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
            return _join((a[2], b[2], c[2], d[2], e[2], f[2]))
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
    return _join([b"" if n is None else inside[n][2] for n in found])


def _of_others(headers: Any) -> Picked:
    raw = getattr(headers, "raw", None)
    if isinstance(raw, list):
        values = {name.lower(): value for name, value in raw}
        return _join([values.get(name, b"") for name in _NAMES])
    if not hasattr(headers, "get"):
        return _NOTHING
    texts = [headers.get(name.decode()) for name in _NAMES]
    return _join([text.encode("utf-8", "replace") if isinstance(text, str) else b"" for text in texts])


def read_numbers(picked: Optional[Picked]) -> HeaderNumbers:
    """The numbers that the picked headers tell; not one that is none, is negative or has no end."""
    values = _values(picked)
    if not values:
        return _NO_NUMBERS
    *counts, processing_time_ms = map(_numbers.__getitem__, values[:-1])
    limits = dict(zip(RATE_LIMIT_FIELDS, counts))
    if None in counts:
        limits = {name: number for name, number in limits.items() if number is not None}
    return limits, None if processing_time_ms is None else processing_time_ms / 1000


class _Numbers(Dict[bytes, Any]):
    """What was read last: the limits are the same in each answer, and what is left of them often is."""

    def __missing__(self, value: bytes) -> Optional[float]:
        if len(value) > MAX_NUMBER:
            return None
        if len(self) >= MAX_NUMBERS:
            self.clear()
        number = self[value] = _read_number(value)
        return number


_numbers = _Numbers()


def _read_number(value: bytes) -> Optional[float]:
    try:
        number = float(value)
    except ValueError:
        return None
    if not 0 <= number < math.inf:
        return None
    # An integer is written in half the time.
    return int(number) if number < _EXACT and number.is_integer() else number


def read_request_id(picked: Optional[Picked]) -> str:
    """The id in the picked headers; empty where there is none that can be one."""
    values = _values(picked)
    if not values or len(values[-1]) > MAX_REQUEST_ID or not values[-1].isascii():
        return ""
    text = values[-1].decode("ascii")
    return text if text.isprintable() else ""


def _values(picked: Optional[Picked]) -> List[bytes]:
    """By _NAMES, or none at all. A header made by hand may have a line break in it; over HTTP, none has."""
    values = [] if picked is None else picked.split(b"\n")
    return values if len(values) == len(_NAMES) else []

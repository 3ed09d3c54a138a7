"""The fault words of the OpenAI stand-in, and the answers that they replace or change.

`server` documents the words; `delivery` decides when an answer is sent, and how much of it.
"""

import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from .errors import Body, RefusalError, refuse_content, refuse_quota, refuse_status

MAX_FAULT_S = 3600.0


class Fault(NamedTuple):
    """A fault word; `seconds` is its number, if it has one."""

    word: str
    seconds: Optional[float] = None


NO_FAULT = Fault("ok")

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"

# Status, content type and body of what is not the API's own.
_PAGES: Dict[str, Tuple[int, str, bytes]] = {
    "html200": (200, _HTML, b"<html><head><title>Sign in</title></head><body></body></html>"),
    "html502": (502, _HTML, b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"),
    "empty200": (200, _JSON, b""),
}

_REFUSALS: Dict[str, Callable[[], RefusalError]] = {
    "insufficient_quota": refuse_quota,
    "content_filter": refuse_content,
}


def parse_fault(word: str) -> Fault:
    """Raises ValueError, which names the known words."""
    timed = re.fullmatch(r"(slow:|drip:|429\+)([0-9]+(?:\.[0-9]+)?)", word)
    if timed and float(timed.group(2)) <= MAX_FAULT_S:
        return Fault(timed.group(1)[:-1], float(timed.group(2)))
    if word in _PLAIN_WORDS or re.fullmatch(r"[45][0-9][0-9]", word):
        return Fault(word)
    raise ValueError(
        f"unknown fault: {word!r}; the faults are {', '.join(_PLAIN_WORDS)}, 400 to 599, 429+N, slow:S "
        f"and drip:S, with N and S in seconds, at most {MAX_FAULT_S:g}"
    )


def parse_faults(words: str) -> List[Fault]:
    """The faults in a list with commas. Raises ValueError."""
    return [parse_fault(word.strip()) for word in words.split(",")]


def fault_page(fault: Fault) -> Optional[Tuple[int, str, bytes]]:
    """Status, content type and body, where the fault is a page."""
    return _PAGES.get(fault.word)


def fault_refusal(fault: Fault) -> Optional[RefusalError]:
    """The error, where the fault is one of the API's."""
    if fault.word.isdigit():
        return refuse_status(int(fault.word))
    make = _REFUSALS.get(fault.word)
    return make() if make else None


def change_answer(bodies: List[Body], fault: Fault) -> List[Body]:
    """What the fault leaves of an answer: of its one body, or of the events of a stream."""
    change = _CHANGES.get(fault.word)
    return change(bodies) if change else bodies


def _drop_usage(bodies: List[Body]) -> List[Body]:
    # The chunk that is there for the usage alone has no choices.
    return [_without_usage(body) for body in bodies if body.get("choices") != []]


def _without_usage(body: Body) -> Body:
    kept = {name: value for name, value in body.items() if name != "usage"}
    if "response" in kept:
        kept["response"] = _without_usage(kept["response"])
    return kept


def _null_fields(bodies: List[Body]) -> List[Body]:
    return [_with_nulls(body) for body in bodies]


def _with_nulls(body: Body) -> Body:
    return {name: _null(name, value) for name, value in body.items()}


def _null(name: str, value: object) -> object:
    if name in ("usage", "model", "embedding"):
        return None
    if name in ("content", "delta", "text") and isinstance(value, str):
        return None
    if isinstance(value, list):
        return [_with_nulls(part) if isinstance(part, dict) else part for part in value]
    return _with_nulls(value) if isinstance(value, dict) else value


def _replace_with_error(_: List[Body]) -> List[Body]:
    return [refuse_status(500).body]


_CHANGES: Dict[str, Callable[[List[Body]], List[Body]]] = {
    "no_usage": _drop_usage,
    "null_fields": _null_fields,
    "error200": _replace_with_error,
}

_PLAIN_WORDS = ("ok", *_PAGES, *_REFUSALS, *_CHANGES, "hang", "reset", "cut")

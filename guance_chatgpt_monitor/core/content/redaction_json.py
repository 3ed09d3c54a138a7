"""JSON within a string: its values are replaced as values, so that it stays JSON.

Of a string, only what the rules found is replaced; a number is replaced whole, by a string. The value of a name
such as `password` is replaced whole: a string, a number, or everything in a list or an object. Strings that
hold JSON are treated alike, several levels deep.
"""

import json
import re
from itertools import islice
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from .redaction_containers import SCHEMA_TYPES
from .redaction_keys import KEY
from .redaction_labels import CODE, PASSWORD, SECRET, WEAK, label_of_name
from .redaction_plausible import is_plausible, is_random_enough, is_strong

_Span = Tuple[int, int, str]  # start, end, what takes its place

MAX_TRIES = 50  # per string, at places that look like the beginning of JSON
MAX_DEPTH = 5
_MIN_SECRET_DIGITS = 6

_BEGINNING = re.compile(r"[{\[](?=\s*(?:[\"{\[]|-?[0-9]|\}|\]))")
_PARSER = json.JSONDecoder(parse_int=str, parse_float=str)
# In valid JSON: a string, with its colon if it is a name; another value; a bracket.
_TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?|([^\s{}\[\],:"]+)|([{}\[\]])')
_ESCAPED = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)")
# An object such as {"name": "password", "value": "..."}.
_NAMING = frozenset(("name", "key", "label", "field", "id", "title", "header", "variable", "env", "property"))
_VALUING = frozenset(("value", "val", "content", "text", "default", "data", "answer"))
_TELLING = _NAMING | _VALUING | {"type"}


class _Leaf(NamedTuple):
    """A string, without its quotes, or another scalar."""

    start: int
    end: int
    is_string: bool
    kind: str  # of its label, if it has one
    span: int  # index of the first span that may overlap it


class _Container:
    """A list or an object that is being read."""

    def __init__(self, kind: str, first_leaf: int) -> None:
        self.kind = kind  # of the container's own label
        self.name = ""
        self.first_leaf = first_leaf
        self.seen: Dict[str, Tuple[int, str]] = {}  # name -> (leaf, value), of those that label others

    def kind_within(self) -> str:
        return (label_of_name(self.name) if self.name else "") or self.kind


def keep_json(text: str, spans: Sequence[_Span], redact: Callable[[str], str], depth: int) -> Iterator[_Span]:
    """The spans, adjusted so that JSON stays JSON, and those of the values that only their names give away.

    `spans` are sorted and do not overlap; `redact` redacts a string within a string.
    """
    islands = list(_islands(text))
    for start, end, mark in spans:
        for first, last in islands:
            if start < first < end:
                yield start, first, mark
            if first < end and start < last:
                start = last  # within, by value
        if start < end:
            yield start, end, mark
    for island in islands:
        for leaf in _leaves(text, *island, spans):
            yield from _in_leaf(text, leaf, spans, redact, depth)


def _in_leaf(
    text: str, leaf: _Leaf, spans: Sequence[_Span], redact: Callable[[str], str], depth: int
) -> Iterator[_Span]:
    chars = text[leaf.start : leaf.end]
    if leaf.kind and _is_secret(chars, leaf):
        yield leaf.start, leaf.end, KEY if leaf.is_string else f'"{KEY}"'
        return
    if leaf.is_string and depth < MAX_DEPTH and '\\"' in chars and ("{" in chars or "[" in chars):
        said = _decoded(chars)
        redacted = redact(said)
        if redacted != said:
            yield leaf.start, leaf.end, json.dumps(redacted, ensure_ascii=False)[1:-1]
        return
    for start, end, mark in islice(spans, leaf.span, None):
        if start >= leaf.end:
            return
        if not leaf.is_string:
            yield leaf.start, leaf.end, f'"{mark}"'
            return
        first, last = _on_escapes(chars, max(start, leaf.start) - leaf.start, min(end, leaf.end) - leaf.start)
        yield leaf.start + first, leaf.start + last, mark


def _is_secret(chars: str, leaf: _Leaf) -> bool:
    if leaf.kind == WEAK:
        return is_random_enough(chars)
    if leaf.is_string:
        return is_plausible(_decoded(chars), leaf.kind, True)
    if leaf.kind == SECRET:
        return len(chars) >= _MIN_SECRET_DIGITS and chars.isdigit()
    return leaf.kind in (PASSWORD, CODE) and is_plausible(chars, leaf.kind, True)


def _decoded(chars: str) -> str:
    try:
        return str(json.loads(f'"{chars}"', strict=False))
    except ValueError:
        return chars


def _on_escapes(chars: str, start: int, end: int) -> Tuple[int, int]:
    """The same positions, moved outwards where they split an escape."""
    for escape in _ESCAPED.finditer(chars) if "\\" in chars else ():
        if escape.start() < start < escape.end():
            start = escape.start()
        if escape.start() < end < escape.end():
            end = escape.end()
    return start, end


# ---- where it is ----


def _islands(text: str) -> Iterator[Tuple[int, int]]:
    position = 0
    for _ in range(MAX_TRIES):
        beginning = _BEGINNING.search(text, position)
        if beginning is None:
            return
        position = beginning.start()
        try:
            _, end = _PARSER.raw_decode(text, position)
        except (ValueError, RecursionError):  # not JSON, or thousands of levels deep
            position += 1
        else:
            yield position, end
            position = end


def _leaves(text: str, start: int, end: int, spans: Sequence[_Span]) -> List[_Leaf]:
    """Those names and values that have a label or a span, or hold JSON themselves."""
    leaves: List[_Leaf] = []
    open_: List[_Container] = []
    n = 0
    for token in _TOKEN.finditer(text, start, end):
        string, colon, scalar, bracket = token.groups()
        if bracket is not None:
            if bracket in "{[":
                open_.append(_Container(open_[-1].kind_within() if open_ else "", len(leaves)))
            else:
                _close(open_.pop(), leaves, text)
            continue
        first, last = token.span(1 if scalar is None else 3)
        within = open_[-1]
        kind = ""
        telling = False
        if colon is not None:
            within.name = string
        else:
            kind = within.kind_within()
            name = within.name.lower()
            telling = name in _TELLING
            if telling:
                within.seen[name] = len(leaves), scalar or string
        while n < len(spans) and spans[n][1] <= first:
            n += 1
        if kind or telling or (n < len(spans) and spans[n][0] < last) or (string and '\\"' in string):
            leaves.append(_Leaf(first, last, scalar is None, kind, n))
    return leaves


def _close(closed: _Container, leaves: List[_Leaf], text: str) -> None:
    """Label the leaves that their siblings give away."""
    seen = closed.seen
    if closed.kind and seen.get("type", (0, ""))[1].lower() in SCHEMA_TYPES:
        # A description of fields, as JSON Schema is: only a default can be secret.
        values = {n for name, (n, _) in seen.items() if name in _VALUING}
        for n in range(closed.first_leaf, len(leaves)):
            if n not in values or not is_strong(text[leaves[n].start : leaves[n].end]):
                leaves[n] = leaves[n]._replace(kind="")
        return
    kinds = [label_of_name(chars) for name, (_, chars) in seen.items() if name in _NAMING]
    kind = next(filter(None, kinds), "")
    for name, (n, _) in seen.items():
        if kind and name in _VALUING and not leaves[n].kind:
            leaves[n] = leaves[n]._replace(kind=kind)

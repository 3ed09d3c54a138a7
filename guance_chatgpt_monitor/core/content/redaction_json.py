"""JSON in a text: where it is, and its values replaced as values, so that it stays JSON.

What the rules found in the text is kept within the values: of a number, all of it becomes a text, of a text,
what was found. The value of a name such as `password` is replaced whole, be it a text, a number, or all that
is in a list or an object. A text that is JSON itself is treated alike, several deep.
"""

import json
import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from .redaction_keys import KEY
from .redaction_labels import CODE, WEAK, label_of_name
from .redaction_plausible import is_plausible, is_random_enough

_Span = Tuple[int, int, str]  # start, end, what takes its place

MAX_TRIES = 50  # of one text, that begin like JSON and are none
MAX_DEPTH = 5

_BEGINNING = re.compile(r"[{\[](?=\s*(?:[\"{\[]|-?[0-9]|\}|\]))")
_TOKEN = re.compile(
    r"\s*(?:(\"(?:[^\"\\\x00-\x1f]|\\.)*\")|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)|([{}\[\],:]))"
)
_ESCAPED = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)")
_SCHEMA = frozenset(("string", "object", "array", "integer", "number", "boolean", "null"))
# An object such as {"name": "password", "value": "..."}.
_NAMING = frozenset(("name", "key", "label", "field", "id", "title", "header", "variable", "env", "property"))
_VALUING = frozenset(("value", "val", "content", "text", "default", "data", "answer"))


class _Leaf(NamedTuple):
    """A text or a number in there; a text without its quotes."""

    start: int
    end: int
    is_text: bool
    kind: str  # of its label, if it has one


def keep_json(text: str, spans: Sequence[_Span], redact: Callable[[str], str], depth: int) -> Iterator[_Span]:
    """The spans, those in JSON made to keep its form; and those of its values that only their names tell of.

    `spans` are in order; `redact` does the same for a text within.
    """
    islands = list(_islands(text))
    for start, end, mark in spans:
        for first, last, _ in islands:
            if start < first < end:
                yield start, first, mark
            if first < end and start < last:
                start = last  # in there, the values are taken
        if start < end:
            yield start, end, mark
    if not islands:
        return
    leaves = [leaf for island in islands for leaf in island[2]]
    n = 0
    ordered = sorted(spans)
    for leaf in leaves:
        while n < len(ordered) and ordered[n][1] <= leaf.start:
            n += 1
        yield from _in_leaf(text, leaf, ordered[n:], redact, depth)


def _in_leaf(
    text: str, leaf: _Leaf, spans: Sequence[_Span], redact: Callable[[str], str], depth: int
) -> Iterator[_Span]:
    chars = text[leaf.start : leaf.end]
    if leaf.kind and _is_secret(chars, leaf):
        yield leaf.start, leaf.end, KEY if leaf.is_text else f'"{KEY}"'
        return
    if leaf.is_text and depth < MAX_DEPTH and '\\"' in chars and ("{" in chars or "[" in chars):
        said = _decoded(chars)
        redacted = redact(said)
        if redacted != said:
            yield leaf.start, leaf.end, json.dumps(redacted, ensure_ascii=False)[1:-1]
        return
    for start, end, mark in spans:
        if start >= leaf.end:
            return
        if end <= leaf.start:
            continue
        if not leaf.is_text:
            yield leaf.start, leaf.end, f'"{mark}"'
            return
        first, last = _on_escapes(chars, max(start, leaf.start) - leaf.start, min(end, leaf.end) - leaf.start)
        yield leaf.start + first, leaf.start + last, mark


def _is_secret(chars: str, leaf: _Leaf) -> bool:
    if leaf.kind == WEAK:
        return is_random_enough(chars)
    if not leaf.is_text and (chars in ("true", "false", "null") or leaf.kind not in ("password", CODE)):
        return leaf.kind == "secret" and len(chars) > MAX_DEPTH and chars.isdigit()
    return is_plausible(_decoded(chars) if leaf.is_text else chars, leaf.kind, True)


def _decoded(chars: str) -> str:
    try:
        return str(json.loads(f'"{chars}"', strict=False))
    except ValueError:
        return chars


def _on_escapes(chars: str, start: int, end: int) -> Tuple[int, int]:
    """Made wider where they begin or end within an escape."""
    for escape in _ESCAPED.finditer(chars) if "\\" in chars else ():
        if escape.start() < start < escape.end():
            start = escape.start()
        if escape.start() < end < escape.end():
            end = escape.end()
    return start, end


# ---- where it is ----


def _islands(text: str) -> Iterator[Tuple[int, int, List[_Leaf]]]:
    position = 0
    n_left = 2 * len(text)  # tokens
    for _ in range(MAX_TRIES):
        beginning = _BEGINNING.search(text, position)
        if beginning is None:
            return
        position = beginning.start()
        end, leaves, n_read = _read(text, position, n_left)
        n_left -= n_read
        if end:
            yield position, end, leaves
        position = max(end, position + 1)


def _read(text: str, start: int, most: int) -> Tuple[int, List[_Leaf], int]:
    """Where the JSON that begins at `start` ends, 0 if it is none; its leaves; how many tokens were read.

    No recursion: any depth.
    """
    leaves: List[_Leaf] = []
    position = start
    open_: List[Dict[str, Any]] = []
    expected = "value"
    for n_read in range(most):
        token = _TOKEN.match(text, position)
        if token is None:
            return 0, [], n_read
        position = token.end()
        string, scalar, symbol = token.groups()
        if string is not None and expected in ("name", "name or }"):
            open_[-1]["name"] = string[1:-1]
            leaves.append(_Leaf(token.start(1) + 1, token.end(1) - 1, True, ""))
            expected = ":"
        elif (string is not None or scalar is not None) and expected in ("value", "value or ]"):
            first, last = token.span(1 if string is not None else 2)
            text_width = 1 if string is not None else 0
            _note(
                open_[-1], leaves, _Leaf(first + text_width, last - text_width, string is not None, ""), text
            )
            expected = ", or end"
        elif symbol in ("{", "[") and expected in ("value", "value or ]"):
            kind = ""
            if open_:
                kind = _label(open_[-1])
            open_.append({"symbol": symbol, "kind": kind, "name": "", "first": len(leaves), "seen": {}})
            expected = "name or }" if symbol == "{" else "value or ]"
        elif symbol == ":" and expected == ":":
            expected = "value"
        elif symbol == "," and expected == ", or end":
            expected = "name" if open_[-1]["symbol"] == "{" else "value"
        elif symbol == "}" and expected in ("name or }", ", or end") and open_[-1]["symbol"] == "{":
            _close_object(open_.pop(), leaves)
            expected = ", or end"
        elif symbol == "]" and expected in ("value or ]", ", or end") and open_[-1]["symbol"] == "[":
            open_.pop()
            expected = ", or end"
        else:
            return 0, [], n_read
        if not open_:
            return position, leaves, n_read
    return 0, [], most


def _label(parent: Dict[str, Any]) -> str:
    """The kind of label that what stands in `parent` has, by its name or by what is around."""
    name = parent["name"]
    return (label_of_name(name) if name else "") or str(parent["kind"])


def _note(parent: Dict[str, Any], leaves: List[_Leaf], leaf: _Leaf, text: str) -> None:
    name = parent["name"]
    if name.lower() in _NAMING or name.lower() in _VALUING or name == "type":
        parent["seen"][name.lower()] = len(leaves), text[leaf.start : leaf.end]
    leaves.append(leaf._replace(kind=_label(parent)))


def _close_object(closed: Dict[str, Any], leaves: List[_Leaf]) -> None:
    seen: Dict[str, Tuple[int, str]] = closed["seen"]
    if closed["kind"] and seen.get("type", (0, ""))[1] in _SCHEMA:
        # What describes a form, as JSON Schema does, has no secret.
        for n in range(closed["first"], len(leaves)):
            leaves[n] = leaves[n]._replace(kind="")
        return
    kinds = [label_of_name(chars) for name, (_, chars) in seen.items() if name in _NAMING]
    kind = next(filter(None, kinds), "")
    for name, (n, _) in seen.items():
        if kind and name in _VALUING and not leaves[n].kind:
            leaves[n] = leaves[n]._replace(kind=kind)

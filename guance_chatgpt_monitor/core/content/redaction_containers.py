"""Quoted strings, lists and dicts of any language, also where their quotes are escaped."""

import re
from typing import List, Tuple

from .redaction_plausible import is_plausible

_Extent = Tuple[int, int]

QUOTES = "\"'`\u201c\u201d\u2018\u2019\u300c\u300d\u300e\u300f\u00ab\u00bb"
_CLOSERS = {
    "\u201c": "\u201d\u201c",
    "\u2018": "\u2019\u2018",
    "\u300c": "\u300d",
    "\u300e": "\u300f",
    "\u00ab": "\u00bb",
}
_BACKSLASHES_OR_QUOTE = re.compile(rf"\\+|[{QUOTES}]")
MAX_BLOCK_CHARS = 2000


class Steps:
    """How many more items of lists and dicts are read in one string: nested ones are read again."""

    def __init__(self, n_chars: int) -> None:
        self.left = 2 * n_chars + MAX_BLOCK_CHARS


def end_of_quoted(text: str, start: int, n_backslashes: int, quote: str) -> int:
    """Where a quoted string ends: at the matching quote, or with the line."""
    limit = min(len(text), start + MAX_BLOCK_CHARS)
    if len(quote) == 3:
        end = text.find(quote, start, limit)
        return end if end >= 0 else limit
    closers = _CLOSERS.get(quote, quote)
    line_end = text.find("\n", start, limit)
    limit = limit if line_end < 0 else line_end
    n_before = escaped = 0
    for part in _BACKSLASHES_OR_QUOTE.finditer(text, start, limit):
        if part.group()[0] == "\\":
            n_before, escaped = part.end() - part.start(), part.end()
            continue
        if part.group() in closers:
            n = n_before if escaped == part.start() else 0
            # As many as before the opening quote, or more by a multiple for backslashes in the value.
            if n >= n_backslashes and (n - n_backslashes) % (2 * (n_backslashes + 1)) == 0:
                return part.start() - n_backslashes
        n_before = 0
    return limit


_ITEM = re.compile(rf"(\\*)([{QUOTES}])|[^\s,:;=\[\]{{}}(){QUOTES}\\]+|[\[\]{{}}]|[,:;=()\\]|\s+")
_FOLLOWED_BY_VALUE = re.compile(r"\\*[\"'`]?\s*(?::|=>)")
# The types of JSON Schema.
SCHEMA_TYPES = frozenset(("string", "object", "array", "integer", "number", "boolean", "null"))


def find_in_container(text: str, start: int, kind: str, steps: Steps) -> List[_Extent]:
    """All values in there. A description of fields, as JSON Schema is, has no secrets."""
    extents: List[_Extent] = []
    depth, position, name = 0, start, ""
    limit = min(len(text), start + MAX_BLOCK_CHARS)
    while position < limit and steps.left > 0:
        steps.left -= 1
        item = _ITEM.match(text, position, limit)
        if item is None:
            break
        position = item.end()
        first, last, is_quoted = item.start(), item.end(), bool(item.group(2))
        if is_quoted:
            first = item.end()
            last = end_of_quoted(text, first, len(item.group(1)), item.group(2))
            position = last + len(item.group(1)) + 1
        elif item.group() in "[{":
            depth += 1
            continue
        elif item.group() in "]}":
            depth -= 1
            if not depth:
                break
            continue
        elif item.group().isspace() or item.group() in ",:;=()\\":
            continue
        chars = text[first:last]
        if _FOLLOWED_BY_VALUE.match(text, last):
            name = chars
        elif name == "type" and chars.lower() in SCHEMA_TYPES:
            return []
        elif is_plausible(chars, kind, is_quoted):
            extents.append((first, last))
    return extents

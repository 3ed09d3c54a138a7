"""A string as its reader sees it: in plain letters, without invisible characters, with its escapes resolved.

Full-width, mathematical and circled letters are read as ASCII, digits of other scripts as 0 to 9. Escapes are
those of JSON and programming languages, of URLs and of HTML; a string that is escaped several times, such as
JSON within JSON, gives one view per level. A view knows where each of its characters is in the original.
"""

import html
import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from typing import Callable, Dict, Iterator, List, Optional, Tuple

MAX_ESCAPED = 5  # levels

_DIGITS_FROM = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0x0ED0, 0x1040, 0x17E0, 0x1810)
_LETTERS = (
    (0xFF01, 0xFF5F),
    (0xFE50, 0xFE6C),
    (0x1D400, 0x1D800),
    (0x2100, 0x2150),
    (0x2460, 0x2500),
    (0x1F130, 0x1F14A),
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0]"
)
_TAGS = re.compile(
    "[\U000e0000-\U000e0fff]"
)  # on their own: they would make the pattern above ten times slower


def _plain_characters() -> Dict[int, str]:
    """One character for each, so that positions stay."""
    plain: Dict[int, str] = {}
    for first, last in _LETTERS:
        for code in range(first, last):
            read_as = unicodedata.normalize("NFKC", chr(code))
            if len(read_as) == 1 and read_as.isascii():
                plain[code] = read_as
    plain.update((first + n, str(n)) for first in _DIGITS_FROM for n in range(10))
    plain[0x2236] = ":"
    plain.update(dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63), "-"))
    plain.update(dict.fromkeys((0x00A0, 0x3000, 0x202F, 0x205F, *range(0x2000, 0x200B)), " "))
    return plain


_PLAIN = _plain_characters()
# Searching for a few ranges takes a tenth of the time of translating the whole string.
_FOLDABLE = re.compile("[\xa0\u0660-\u1fff\u2000-\u2500\u3000\ufe50-\uff5e\U0001d400-\U0001f14a]+")
_LOWER = {code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U000[0-9A-Fa-f]{5}"
    r"|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}|\\[abfnrtv0\"'`\\/]"
    r"|%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)
_CODE_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}")
_URL_ESCAPE_BUT_AT = re.compile(r"%(?!40)[0-9A-Fa-f]{2}")
_SIMPLE = {
    "\\" + letter: [(2, char)]
    for letter, char in (*zip("nrtabfv0", "\n\r\t     "), *zip("\"'`\\/", "\"'`\\/"))
}

# Of a character of a view: its position, its width (0: removed), and its start and end in the view before.
_Change = Tuple[int, int, int, int]
_Resolve = Callable[[str], List[Tuple[int, str]]]


class View:
    """`text`; `lowered` and `shielded` are of the same length."""

    def __init__(self, text: str, parent: "Optional[View]" = None, changes: Tuple[_Change, ...] = ()) -> None:
        self.text = text
        self._parent = parent
        self._changes = changes
        self._at = [change[0] for change in changes]

    @cached_property
    def lowered(self) -> str:
        lowered = self.text.lower()
        # One letter of Turkish becomes two.
        return lowered if len(lowered) == len(self.text) else self.text.translate(_LOWER)

    @cached_property
    def shielded(self) -> str:
        """With spaces for escapes: the letter of an escape right before a key or number is no part of it."""
        text = self.text
        if "\\" in text:
            for letter in "bfnrt":
                text = text.replace("\\" + letter, "  ")
            text = _CODE_ESCAPE.sub(" " * 6, text)
        return _URL_ESCAPE_BUT_AT.sub(" " * 3, text) if "%" in text else text

    def origin(self, start: int, end: int) -> Tuple[int, int]:
        """The positions in the original; `start` must be below `end`."""
        start, end = self._left(start), self._right(end)
        return (start, end) if self._parent is None else self._parent.origin(start, end)

    def _left(self, position: int) -> int:
        """Where the character at `position` begins."""
        n = bisect_right(self._at, position) - 1
        if n < 0:
            return position
        at, width, start, end = self._changes[n]
        return start if width and at == position else end + position - at - width

    def _right(self, position: int) -> int:
        """Where the character before `position` ends."""
        n = bisect_right(self._at, position - 1) - 1
        if n >= 0 and self._changes[n][1] and self._at[n] == position - 1:
            return self._changes[n][3]
        return self._left(position - 1) + 1


def views_of(text: str) -> Iterator[View]:
    """The string in plain letters, and then with one more level of escapes resolved each time."""
    view = _in_plain_letters(View(text), _folded(text))
    yield view
    for _ in range(MAX_ESCAPED):
        if "\\" not in view.text and "%" not in view.text and "&" not in view.text:
            return
        resolved = _rewritten(view, _ESCAPE, _resolved)
        if resolved is view:
            return
        view = _in_plain_letters(resolved, _folded(resolved.text))
        yield view


def _folded(text: str) -> str:
    return text if text.isascii() else _FOLDABLE.sub(lambda match: match.group().translate(_PLAIN), text)


def _in_plain_letters(view: View, folded: str) -> View:
    if folded != view.text:
        view = View(folded, view)
    if not folded.isascii():
        for pattern in (_INVISIBLE, _TAGS):
            view = _rewritten(view, pattern, lambda _: [(1, "")])
    return view


def _rewritten(view: View, pattern: "re.Pattern[str]", resolve: _Resolve) -> View:
    """A new view; `view` itself if `pattern` does not match."""
    pieces: List[str] = []
    changes: List[_Change] = []
    position = n_written = 0
    for match in pattern.finditer(view.text):
        start = match.start()
        pieces.append(view.text[position:start])
        n_written += start - position
        escape = match.group()
        for n_chars, char in _SIMPLE.get(escape) or resolve(escape):
            changes.append((n_written, len(char), start, start + n_chars))
            pieces.append(char)
            n_written += len(char)
            start += n_chars
        position = match.end()
    if not changes:
        return view
    pieces.append(view.text[position:])
    return View("".join(pieces), view, tuple(changes))


def _resolved(escape: str) -> List[Tuple[int, str]]:
    """The characters that an escape stands for, each with its length before."""
    if escape[0] == "%":
        return _percent_decoded(escape)
    if escape[0] == "&":
        char = html.unescape(escape)
        return [(len(escape), char if len(char) == 1 else " ")]
    if escape[1].isdigit():
        return [(4, chr(int(escape[1:], 8)))]
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        return [(12, chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)))]
    code = int(escape[2:].strip("{}"), 16)
    return [(len(escape), chr(code) if code < 0x110000 else " ")]


def _percent_decoded(escape: str) -> List[Tuple[int, str]]:
    raw = bytes.fromhex(escape.replace("%", ""))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        return [(3, char) for char in text]
    return [(3 * len(char.encode("utf-8")), char) for char in text]

"""Secrets and personal data in a text, found and replaced by a mark.

- `[key]`: keys, tokens and passwords, see `redaction_rules`, and the keys that are known;
- `[email]`, and `[base64]` for data URLs, see there;
- `[phone]`, `[card]`, `[id-card]`: see `redaction_numbers`;
- `[redacted]`: what the user's own patterns match.

Full-width characters count as the ASCII ones. In doubt, rather a number too many is replaced. What no rule
can know, names and addresses above all, stays: that is for the user's own patterns.

The time is linear in the length: no repeat stands in a repeat of the same characters, and what can match long
begins only where a run of its characters begins.
"""

import re
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from .redaction_numbers import find_numbers
from .redaction_patterns import compile_patterns
from .redaction_rules import ANY_CASE_RULES, KEY, SECRET_NAME, UNESCAPED_RULES, WRITTEN_RULES, Rule

# So much is read beyond the length that is kept: what begins before the cut is seen whole. Longer than this
# are only keys and tokens, which are known by how they begin.
LOOKAHEAD_CHARS = 1024
CUT_MARK = "…[cut]"
REDACTED = "[redacted]"
# A shorter "key" is a placeholder, whose letters may stand anywhere.
MIN_SECRET_CHARS = 8

_Span = Tuple[int, int, str]  # start, end, mark

# One character for one character, so that what is found stands at the same place in the text.
_FOLDED: Dict[int, str] = {
    **{0xFF01 + n: chr(0x21 + n) for n in range(94)},  # full-width forms
    **{first + n: str(n) for first in (0x0660, 0x06F0) for n in range(10)},  # Arabic digits
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63), "-"),
    **dict.fromkeys((0x00A0, 0x3000, 0x202F, 0x205F, *range(0x2000, 0x200C), 0xFEFF), " "),
}
# A regular expression finds them in a tenth of the time that translating the whole text takes.
_FOLDABLE = re.compile("[" + "".join(map(chr, _FOLDED)) + "]+")
_LOWER = {code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}|\\[bfnrt]|%(?!40)[0-9A-Fa-f]{2}")


class Redactor:
    """Replaces what the rules find, the `secrets` wherever they stand, and what the user's `patterns` match.

    Stateless, so for any thread. Raises ValueError for a wrong pattern, see `compile_patterns()`.
    """

    def __init__(self, patterns: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        known = [secret.strip() for secret in secrets]
        self._secrets = [re.compile(re.escape(secret)) for secret in known if len(secret) >= MIN_SECRET_CHARS]
        self._patterns = compile_patterns(patterns)

    def redact(self, text: str, max_chars: int) -> str:
        """`text` with marks, and `CUT_MARK` behind the first `max_chars` characters if it is longer."""
        window = text[: max_chars + LOOKAHEAD_CHARS]
        # Sorted by nothing else: of rules that find the same, the first gives the mark.
        spans = sorted(self._spans(window), key=_start)
        redacted = _put_marks(window, spans, max_chars)
        if len(text) <= max_chars and len(redacted) <= max_chars:
            return redacted
        return redacted[:max_chars] + CUT_MARK

    def redact_json(self, value: Any, max_chars: int) -> Any:
        """A JSON value with marks in its texts and for its whole numbers.

        Apart from `redact()` of the text that it becomes: there, escapes stand in the way.
        """
        if isinstance(value, dict):
            return {
                self.redact(str(name), max_chars): KEY
                if item and isinstance(item, str) and SECRET_NAME.search(str(name).lower())
                else self.redact_json(item, max_chars)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.redact_json(item, max_chars) for item in value]
        if isinstance(value, str):
            return self.redact(value, max_chars)
        if isinstance(value, int) and not isinstance(value, bool):
            digits = str(value)
            redacted = self.redact(digits, max_chars)
            return value if redacted == digits else redacted
        return value

    def _spans(self, text: str) -> Iterator[_Span]:
        folded = text if text.isascii() else _FOLDABLE.sub(_folded, text)
        for readable in [text] if folded == text else [text, folded]:
            for secret in self._secrets:
                for match in secret.finditer(readable):
                    yield (*match.span(), KEY)
            for pattern in self._patterns:
                for match in pattern.finditer(readable):
                    yield (*match.span(), REDACTED)
        lowered = folded.lower()
        if len(lowered) != len(folded):  # one letter of Turkish becomes two
            lowered = folded.translate(_LOWER)
        # An escaped character right before a key or a number is no letter or digit of it. (%40 is an @.)
        unescaped = _ESCAPE.sub(_blanks, folded) if "\\" in folded or "%" in folded else folded
        for rules, searched in (
            (WRITTEN_RULES, folded),
            (ANY_CASE_RULES, lowered),
            (UNESCAPED_RULES, unescaped),
        ):
            for rule in rules:
                if any(needle in lowered for needle in rule.needles):
                    yield from _matches(rule, searched)
        yield from find_numbers(unescaped)


def _matches(rule: Rule, text: str) -> Iterator[_Span]:
    """What the rule finds: of a pattern with groups, the group that took part."""
    for match in rule.pattern.finditer(text):
        yield (*match.span(match.lastindex or 0), rule.mark)


def _start(span: _Span) -> int:
    return span[0]


def _put_marks(text: str, spans: Sequence[_Span], max_chars: int) -> str:
    """The first `max_chars` characters of `text`; of spans that overlap, the first gives the mark."""
    parts: List[str] = []
    position = 0
    for start, end, mark in spans:
        if start >= max_chars:
            break
        if start >= position:
            parts += [text[position:start], mark]
        position = max(position, end)
    parts.append(text[position:max_chars])
    return "".join(parts)


def _folded(match: "re.Match[str]") -> str:
    return match.group().translate(_FOLDED)


def _blanks(match: "re.Match[str]") -> str:
    return " " * len(match.group())

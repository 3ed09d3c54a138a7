"""Secrets and personal data in a text, found and replaced by a mark.

- `[key]`: keys, tokens and passwords by their form (`redaction_keys`), by their label (`redaction_labels`,
  `redaction_values`, `redaction_tables`), by where protocols have them (`redaction_credentials`), and the
  secrets that are known (`redaction_secrets`);
- `[email]`, and `[base64]` for data URLs, see `redaction_keys`;
- `[phone]`, `[card]`, `[id-card]`: see `redaction_numbers`;
- `[redacted]`: what the user's own patterns match.

All of it is looked for in plain letters and with escapes resolved (`redaction_views`); JSON stays JSON
(`redaction_json`). What no rule can know, names and addresses above all, stays: that is for the user's own
patterns.

The time is linear in the length: no repeat stands in a repeat of the same characters, and what can match long
begins only where a run of its characters begins.
"""

from itertools import chain
from typing import Iterator, List, Sequence, Tuple

from .redaction_code import find_in_calls
from .redaction_credentials import find_credentials
from .redaction_json import keep_json
from .redaction_keys import KEY, find_addresses, find_keys
from .redaction_labels import Label, find_labels
from .redaction_numbers import find_numbers
from .redaction_patterns import PatternBudget, compile_patterns
from .redaction_secrets import KnownSecrets
from .redaction_tables import find_headed
from .redaction_values import find_assigned
from .redaction_views import View, views_of

# So much is read beyond the length that is kept: what begins before the cut is seen whole. Longer than this
# are only keys and tokens, which are known by how they begin.
LOOKAHEAD_CHARS = 1024
CUT_MARK = "…[cut]"
REDACTED = "[redacted]"

_Span = Tuple[int, int, str]  # start, end, mark


class Redactor:
    """Replaces what the rules find, the `secrets` wherever they stand, and what the user's `patterns` match.

    Stateless, so for any thread. Raises ValueError for a wrong pattern, see `compile_patterns()`.
    """

    def __init__(self, patterns: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        self._secrets = KnownSecrets(secrets)
        self._patterns = compile_patterns(patterns)

    def redact(self, text: str, max_chars: int, secrets: Sequence[str] = ()) -> str:
        """`text` with marks, and `CUT_MARK` behind the first `max_chars` characters if it is longer.

        `secrets` are further ones that are known, of the call that the text is from.
        """
        known = [self._secrets]
        if secrets and not self._secrets.values.issuperset(secrets):
            known.append(KnownSecrets(secrets))
        lookahead = max(LOOKAHEAD_CHARS, *(2 * each.longest_chars for each in known))
        redacted, is_cut = self._redact(text, max_chars, lookahead, known, 0)
        return redacted[:max_chars] + CUT_MARK if is_cut or len(redacted) > max_chars else redacted

    def _redact(
        self, text: str, max_chars: int, lookahead: int, known: List[KnownSecrets], depth: int
    ) -> Tuple[str, bool]:
        """The text, and whether the rest of it is missing."""
        window = text[: max_chars + lookahead]
        budget = PatternBudget(self._patterns)
        found: List[_Span] = []
        is_labelled = False
        for n, view in enumerate(views_of(window)):
            if n == 0 and view.text != window:  # patterns may be written in full-width characters, too
                found += _known_spans(View(window), known, budget)
            labels = sorted(find_labels(view.text, view.lowered))
            found += _spans(view, labels, known, budget)
            is_labelled = is_labelled or bool(labels)
        spans = _merged(found)
        if (spans or is_labelled) and ("{" in window or "[" in window):

            def redact_within(said: str) -> str:
                return self._redact(said, len(said), lookahead, known, depth + 1)[0]

            # Sorted by nothing else: of what begins at one place, the first gives the mark.
            spans = sorted(keep_json(window, spans, redact_within, depth), key=_start)
        end = min(max_chars, budget.checked_to(len(window)))
        return _put_marks(window, spans, end), len(text) > end


def _spans(
    view: View, labels: Sequence[Label], known: Sequence[KnownSecrets], budget: PatternBudget
) -> Iterator[_Span]:
    """All that is found in one view, at its place in the original."""
    text, lowered = view.text, view.lowered
    yield from _known_spans(view, known, budget)
    for find in (find_keys, find_numbers, find_addresses):
        for start, end, mark in find(view.shielded, lowered):
            yield (*view.origin(start, end), mark)
    extents = chain(
        find_credentials(text, lowered),
        find_assigned(text, lowered, labels),
        find_headed(text, lowered, labels),
        find_in_calls(text) if "(" in text else (),
    )
    for start, end in extents:
        yield (*view.origin(start, end), KEY)


def _known_spans(view: View, known: Sequence[KnownSecrets], budget: PatternBudget) -> Iterator[_Span]:
    for secrets in known:
        for start, end in secrets.find(view.text):
            yield (*view.origin(start, end), KEY)
    for start, end in budget.find(view):
        yield (*view.origin(start, end), REDACTED)


def _start(span: _Span) -> int:
    return span[0]


def _merged(spans: Sequence[_Span]) -> List[_Span]:
    """In order and apart; of those that overlap, the first gives the mark."""
    merged: List[_Span] = []
    for start, end, mark in sorted(spans, key=_start):
        if merged and start < merged[-1][1]:
            first, last, first_mark = merged[-1]
            merged[-1] = first, max(last, end), first_mark
        else:
            merged.append((start, end, mark))
    return merged


def _put_marks(text: str, spans: Sequence[_Span], max_chars: int) -> str:
    """The first `max_chars` characters of `text`."""
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

"""Finds secrets and personal data in a string and replaces them with marks.

- `[key]`: known secrets (`redaction_secrets`); keys and tokens by their form (`redaction_keys`); credentials
  of protocols and commands (`redaction_credentials`); and whatever has a label: `redaction_labels` finds the
  labels, `redaction_beginnings` where a value may begin, `redaction_values` the value, `redaction_plausible`
  decides whether it is a secret; `redaction_tables` and `redaction_code` find those of tables and programs;
- `[email]`, and `[base64]` for data URLs: `redaction_keys`;
- `[phone]`, `[card]`, `[id-card]`: `redaction_numbers`;
- `[redacted]`: matches of the user's own patterns (`redaction_patterns`).

Rules run on the string in plain letters, and with escapes resolved (`redaction_views`). JSON stays JSON
(`redaction_json`). Whatever no rule can know, such as names and addresses, is left to the user's patterns.

Time is linear in the length: no repeat stands within a repeat of the same characters, and a pattern that can
match a long run starts only where the run starts.
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

# How far beyond the cut a string is read, so that whatever begins before the cut is seen whole. Only keys and
# tokens are longer, and their beginning gives them away.
LOOKAHEAD_CHARS = 1024
CUT_MARK = "…[cut]"
REDACTED = "[redacted]"

_Span = Tuple[int, int, str]  # start, end, mark


class Redactor:
    """Replaces what the rules find, the `secrets` wherever they occur, and matches of the user's `patterns`.

    Safe to use from any thread. Raises ValueError for an invalid pattern, see `compile_patterns()`.
    """

    def __init__(self, patterns: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        self._secrets = KnownSecrets(secrets)
        self._patterns = compile_patterns(patterns)

    def redact(self, text: str, max_chars: int, secrets: Sequence[str] = ()) -> str:
        """`text` with marks, cut after `max_chars` characters, with `CUT_MARK` at the cut.

        `secrets`: further known secrets, those of the call that the text comes from.
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
        """The redacted string, and whether its end is missing."""
        window = text[: max_chars + lookahead]
        budget = PatternBudget(self._patterns)
        found: List[_Span] = []
        is_labelled = False
        for n, view in enumerate(views_of(window)):
            if n == 0 and view.text != window:  # patterns may contain full-width characters, too
                found += _known_spans(View(window), known, budget)
            labels = sorted(find_labels(view.text, view.lowered))
            found += _spans(view, labels, known, budget)
            is_labelled = is_labelled or bool(labels)
        spans = _merged(found)
        if (spans or is_labelled) and ("{" in window or "[" in window):

            def redact_within(said: str) -> str:
                return self._redact(said, len(said), lookahead, known, depth + 1)[0]

            # A stable sort by start only: where two spans start together, the first gives the mark.
            spans = sorted(keep_json(window, spans, redact_within, depth), key=_start)
        end = min(max_chars, budget.checked_to(len(window)))
        return _put_marks(window, spans, end), len(text) > end


def _spans(
    view: View, labels: Sequence[Label], known: Sequence[KnownSecrets], budget: PatternBudget
) -> Iterator[_Span]:
    """Everything found in one view, at its position in the original."""
    text, lowered = view.text, view.lowered
    yield from _known_spans(view, known, budget)
    for find in (find_keys, find_numbers, find_addresses):
        for start, end, mark in find(view.shielded, lowered):
            yield (*view.origin(start, end), mark)
    extents = chain(
        find_credentials(text, lowered),
        find_assigned(text, lowered, labels),
        find_headed(text, lowered, labels),
        find_in_calls(text, lowered),
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
    """Sorted, overlapping ones merged; the first of them gives the mark."""
    merged: List[_Span] = []
    for start, end, mark in sorted(spans, key=_start):
        if merged and start < merged[-1][1]:
            first, last, first_mark = merged[-1]
            merged[-1] = first, max(last, end), first_mark
        else:
            merged.append((start, end, mark))
    return merged


def _put_marks(text: str, spans: Sequence[_Span], max_chars: int) -> str:
    """The first `max_chars` characters of `text`, with the marks."""
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

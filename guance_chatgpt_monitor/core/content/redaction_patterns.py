"""The user's own patterns: checked where they are set, and run within bounds, so that none stops the process.

Whoever calls gives the text. Python tries a regular expression without letting go of the interpreter: one that
takes a minute stops every thread for a minute. So only a pattern is taken that can be shown to need few steps
(`pattern_cost`), it is run on windows that are short enough for them, and all patterns of a text together have
a budget of time, behind which the text is cut.

Weighed: RE2 (`google-re2`), which never takes longer than linear. Scripts in Func have `openai` and `requests`
only, it has no package for Python 3.8, and there `\\w`, `\\d` and `\\b` know ASCII only: a pattern would take out
more on one host than on another.
"""

import re
import time
from typing import Iterator, List, NamedTuple, Pattern, Sequence, Tuple

from .pattern_cost import ENDLESS, steps_per_character
from .redaction_views import View

MAX_PATTERNS = 50
MAX_PATTERN_CHARS = 500
# Of the processor's time of this thread, for all patterns and one text.
BUDGET_S = 0.25
# What a window may take, some 20 ms at the worst.
_MAX_STEPS = 4_000_000
# A match of any pattern may be half as long as this, or as its own window.
MIN_WINDOW_CHARS = 512
_MAX_WINDOW_CHARS = 1 << 18


class Checked(NamedTuple):
    """A pattern, and the length of the windows that it is run on."""

    pattern: Pattern[str]
    window_chars: int


def compile_patterns(patterns: Sequence[str]) -> List[Checked]:
    """Raises ValueError; the message goes on after the name of the setting, and quotes no pattern."""
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(text, str) for text in patterns):
        raise ValueError('must be a list of regular expressions, such as ["CUST-[0-9]{6}"]')
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"must be {MAX_PATTERNS} at most")
    return [_compile(text, number) for number, text in enumerate(patterns, 1)]


def _compile(text: str, number: int) -> Checked:
    if len(text) > MAX_PATTERN_CHARS:
        raise ValueError(f"must have up to {MAX_PATTERN_CHARS} characters each: number {number} has more")
    try:
        pattern = re.compile(text)
        matches_nothing = pattern.match("") is not None
    except (re.error, RecursionError, OverflowError) as error:
        reason = getattr(error, "msg", type(error).__name__)
        raise ValueError(f"must be regular expressions: number {number} is none ({reason})") from None
    if matches_nothing:
        raise ValueError(f"must not match an empty text: number {number} does")
    window_chars = _window_chars(pattern)
    if not window_chars:
        raise ValueError(
            "must be patterns of which it can be shown that they take little time: number "
            f"{number} repeats what can match in several ways, such as (a+)+, (a|b)*c or .*.*x. Give a repeat "
            r"an upper bound, as in \w{1,20}, or have it end with a character that it does not match, as in [^@]+@"
        )
    return Checked(pattern, window_chars)


def _window_chars(pattern: Pattern[str]) -> int:
    """The longest on which the pattern keeps to its steps; 0 if there is none."""
    n_chars, longest = MIN_WINDOW_CHARS, 0
    while n_chars <= _MAX_WINDOW_CHARS:
        try:
            steps = steps_per_character(pattern, n_chars)
        except (RecursionError, ArithmeticError, LookupError, TypeError, ValueError):
            steps = ENDLESS  # not understood
        if steps * n_chars > _MAX_STEPS:
            break
        longest = n_chars
        n_chars *= 4
    return longest


class PatternBudget:
    """Of one text: what the patterns match, as long as there is time."""

    def __init__(self, patterns: Sequence[Checked]) -> None:
        self._patterns = patterns
        self._until_s = time.thread_time() + BUDGET_S if patterns else 0.0
        self._is_spent = False
        self._checked_to = -1

    def checked_to(self, n_chars: int) -> int:
        """Up to where in the original all patterns were tried; `n_chars` is its length."""
        return self._checked_to if self._is_spent else n_chars

    def find(self, view: View) -> Iterator[Tuple[int, int]]:
        for checked in self._patterns:
            for start in range(0, len(view.text), checked.window_chars // 2):
                if time.thread_time() > self._until_s:
                    self._stop(view.origin(start, start + 1)[0])
                    break
                yield from _in_window(checked, view.text, start)

    def _stop(self, position: int) -> None:
        self._checked_to = min(self._checked_to, position) if self._is_spent else position
        self._is_spent = True


def _in_window(checked: Checked, text: str, start: int) -> Iterator[Tuple[int, int]]:
    """The matches that begin in the first half of the window."""
    end = min(len(text), start + checked.window_chars)
    half = start + checked.window_chars // 2
    for match in checked.pattern.finditer(text, start, end):
        first, last = match.span()
        if first >= half and end < len(text):
            return
        while last == end and end < len(text) and not text[last].isspace():
            end = last = last + 1  # cut by the window: to the end of the word
        if last > first:
            yield first, last

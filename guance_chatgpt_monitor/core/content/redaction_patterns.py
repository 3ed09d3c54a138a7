"""The user's own patterns: checked when they are set, and run within bounds, so that none stalls the process.

Callers choose the text, and Python holds the interpreter lock while it matches: a pattern that takes a minute
stops every thread for a minute. So a pattern is accepted only if it can be shown to need few steps
(`pattern_cost`), it runs on windows short enough for that, and all patterns share a time budget per string;
what comes after that is cut off.

RE2 (`google-re2`), which is always linear, was considered. But scripts in Func have only `openai` and
`requests`, it has no package for Python 3.8, and its `\\w`, `\\d` and `\\b` know ASCII only: a pattern would
redact more on one host than on another.
"""

import re
import time
from typing import Iterator, List, NamedTuple, Pattern, Sequence, Tuple

from .pattern_cost import ENDLESS, steps_per_character
from .redaction_views import View

MAX_PATTERNS = 50
MAX_PATTERN_CHARS = 500
# CPU time of this thread, for all patterns on one string.
BUDGET_S = 0.25
# Per window: some 20 ms at worst.
_MAX_STEPS = 4_000_000
# Any match of up to half a window is found.
MIN_WINDOW_CHARS = 512
_MAX_WINDOW_CHARS = 1 << 18


class Checked(NamedTuple):
    """A pattern, and the length of the windows that it runs on."""

    pattern: Pattern[str]
    window_chars: int


def compile_patterns(patterns: Sequence[str]) -> List[Checked]:
    """Raises ValueError; its message continues the name of the setting, and quotes no pattern."""
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(text, str) for text in patterns):
        raise ValueError('must be a list of regular expressions, such as ["CUST-[0-9]{6}"]')
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"must have at most {MAX_PATTERNS} patterns")
    return [_compile(text, number) for number, text in enumerate(patterns, 1)]


def _compile(text: str, number: int) -> Checked:
    if len(text) > MAX_PATTERN_CHARS:
        raise ValueError(
            f"must have patterns of at most {MAX_PATTERN_CHARS} characters: number {number} is longer"
        )
    try:
        pattern = re.compile(text)
        matches_nothing = pattern.match("") is not None
    except (re.error, RecursionError, OverflowError) as error:
        reason = getattr(error, "msg", type(error).__name__)
        raise ValueError(f"must be regular expressions: number {number} is not ({reason})") from None
    if matches_nothing:
        raise ValueError(f"must not match an empty string: number {number} does")
    window_chars = _window_chars(pattern)
    if not window_chars:
        raise ValueError(
            f"must have patterns that provably take little time: number {number} repeats something that can "
            "match in several ways, as in (a+)+, (a|ab)*c or .*.*x. Give the repeat an upper bound, as in "
            r"\w{1,20}, or follow it by a character that it cannot match, as in [^@]+@"
        )
    return Checked(pattern, window_chars)


def _window_chars(pattern: Pattern[str]) -> int:
    """The longest on which the pattern needs few enough steps; 0 if there is none."""
    n_chars, longest = MIN_WINDOW_CHARS, 0
    while n_chars <= _MAX_WINDOW_CHARS:
        try:
            steps = steps_per_character(pattern, n_chars)
        except (RecursionError, ArithmeticError, LookupError, TypeError, ValueError):
            steps = ENDLESS  # a pattern that is not understood
        if steps * n_chars > _MAX_STEPS:
            break
        longest = n_chars
        n_chars *= 4
    return longest


class PatternBudget:
    """Matches the patterns on one string as long as there is time."""

    def __init__(self, patterns: Sequence[Checked]) -> None:
        self._patterns = patterns
        self._until_s = time.thread_time() + BUDGET_S if patterns else 0.0
        self._is_spent = False
        self._checked_to = -1

    def checked_to(self, n_chars: int) -> int:
        """How far all patterns were tried, in characters of the original, which has `n_chars`."""
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
            end = last = last + 1  # cut by the window: extended to the end of the word
        if last > first:
            yield first, last

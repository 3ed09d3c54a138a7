"""The user's own patterns: checked where they are set, so that none stops the process later.

Python tries a regular expression without letting go of the interpreter: one that takes a minute stops every
thread for a minute.
"""

import re
from typing import List, Pattern, Sequence

MAX_PATTERNS = 50
MAX_PATTERN_CHARS = 500

# The parts of a regular expression that matter here: escaped characters, sets, groups, choices, repeats.
_PART = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|\(\?(?:[:=!>]|<[=!]|P?<\w+>|[aiLmsux-]*:)|[()|]"
    r"|[*+?]|\{\d*,?\d*\}|.",
    re.DOTALL,
)
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\{\d{2,}\}")


def compile_patterns(patterns: Sequence[str]) -> List[Pattern[str]]:
    """Raises ValueError; the message goes on after the name of the setting, and quotes no pattern."""
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(text, str) for text in patterns):
        raise ValueError('must be a list of regular expressions, such as ["CUST-[0-9]{6}"]')
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"must be {MAX_PATTERNS} at most")
    return [_compile(text, number) for number, text in enumerate(patterns, 1)]


def _compile(text: str, number: int) -> Pattern[str]:
    if len(text) > MAX_PATTERN_CHARS:
        raise ValueError(f"must have up to {MAX_PATTERN_CHARS} characters each: number {number} has more")
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = getattr(error, "msg", type(error).__name__)
        raise ValueError(f"must be regular expressions: number {number} is none ({reason})") from None
    if pattern.match("") is not None:
        raise ValueError(f"must not match an empty text: number {number} does")
    if _repeats_what_varies(text):
        raise ValueError(
            "must not repeat a group with a repeat or a choice in it, such as (a+)+ or (a|b)*, which can "
            f"take for ever: number {number} does"
        )
    return pattern


def _repeats_what_varies(pattern: str) -> bool:
    """Whether a group is repeated that may match one text in several ways: then the tries multiply."""
    parts = _PART.findall(pattern)
    varies = [False]  # of each open group, innermost last
    for part, following in zip(parts, [*parts[1:], ""]):
        if part.startswith("("):
            varies.append(False)
        elif part == ")" and len(varies) > 1:
            inner = varies.pop()
            if inner and _REPEAT.fullmatch(following):
                return True
            varies[-1] = varies[-1] or inner
        elif part in ("|", "?") or _REPEAT.fullmatch(part):
            varies[-1] = True
    return False

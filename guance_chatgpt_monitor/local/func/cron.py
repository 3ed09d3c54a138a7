"""Five-field cron expressions, as far as auto-triggers use them: `*`, numbers, lists, ranges, steps."""

import time
from typing import Tuple

_RANGES: Tuple[Tuple[int, int], ...] = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def is_due(expression: str, moment: time.struct_time) -> bool:
    """Whether the minute of `moment` matches. Raises ValueError for an expression it cannot read."""
    fields = expression.split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"a cron expression has five fields: {expression!r}")
    weekday = (moment.tm_wday + 1) % 7  # cron's week begins with Sunday
    values = (moment.tm_min, moment.tm_hour, moment.tm_mday, moment.tm_mon, weekday)
    return all(
        any(_matches(part, value, *limits) for part in field.split(","))
        for field, value, limits in zip(fields, values, _RANGES)
    )


def _matches(part: str, value: int, lowest: int, highest: int) -> bool:
    span, _, step = part.partition("/")
    if span == "*":
        start, end = lowest, highest
    else:
        first, _, last = span.partition("-")
        start = int(first)
        end = int(last) if last else (highest if step else start)
    if not lowest <= start <= end <= highest:
        raise ValueError(f"{part!r} is not between {lowest} and {highest}")
    hits = range(start, end + 1, int(step or 1))
    return value in hits or (highest == 7 and value == 0 and 7 in hits)

"""Cutting lines into requests to DataKit, and preparing those that have waited."""

from itertools import groupby
from typing import Iterator, List, Tuple

from .backlog import length_bytes, timestamp_ns

BATCH_LINES = 500
# A batch of points is a fifth of it; the logs of a few calls can be more.
BATCH_BYTES = 1024 * 1024
MAX_AGE_S = 12 * 3600.0  # older lines are dropped
TIME_KEPT_S = 2 * 3600.0 - 60  # DataKit overwrites the time of older points, unless told not to


def cut(lines: List[str]) -> List[List[str]]:
    """`lines`, in order, cut into requests of up to BATCH_BYTES, or of one line that is longer."""
    requests: List[List[str]] = []
    room_bytes = 0
    for line in lines:
        n_bytes = length_bytes(line)
        if n_bytes > room_bytes or not requests:
            requests.append([])
            room_bytes = BATCH_BYTES
        requests[-1].append(line)
        room_bytes -= n_bytes
    return requests


def surplus(lines: List[str], max_lines: int, max_bytes: int) -> int:
    """How many of the oldest lines exceed the bounds."""
    room_bytes = max_bytes
    for n, line in enumerate(reversed(lines)):
        room_bytes -= length_bytes(line)
        if n >= max_lines or room_bytes < 0:
            return len(lines) - n
    return 0


def by_age(lines: List[str], now_s: float) -> Iterator[Tuple[bool, List[str]]]:
    """`lines`, in order, in groups that are too old to be delivered (True) or not."""
    oldest_ns = int((now_s - MAX_AGE_S) * 1e9)
    for too_old, group in groupby(lines, lambda line: timestamp_ns(line) < oldest_ns):
        yield too_old, list(group)


def as_replayed(lines: List[str], now_s: float, are_series: bool) -> List[str]:
    """The lines with the field `delay`, the seconds between the call and now.

    DataKit gives every point of a request that is more than 2 h old the same new time, and points of one
    series would overwrite each other. So we give each its own time of now. A DataKit that is set not to
    (`auto_timestamp_correction = false`) does not say so, and would keep the old times.
    """
    now_ns = int(now_s * 1e9)
    replayed = []
    for n, line in enumerate(lines):
        head, _, stamp = line.rpartition(" ")
        at_ns = timestamp_ns(line)
        delay_s = (now_ns - at_ns) / 1e9
        if are_series and abs(delay_s) > TIME_KEPT_S:
            # The digits below the microsecond identify the process that made the call: shifted, they match
            # no call made now.
            stamp = str((now_ns // 1000 + n) * 1000 + (at_ns + 500) % 1000)
        replayed.append(f"{head},delay={round(max(0.0, delay_s), 3)} {stamp}")
    return replayed

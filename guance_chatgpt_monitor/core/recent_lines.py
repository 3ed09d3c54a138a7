"""What DataKit took recently. A DataKit that is stopped loses what it took in its last 10 s (observed)."""

import time
from typing import Callable, List, NamedTuple, Sequence

from .backlog import length_bytes

LOST_S = 15.0  # what a DataKit took so long before it was stopped is sent again
# How far the clocks of several processes may differ; within one process, how far an uptime is rounded.
SLACK_S = 1.0
OWN_SLACK_S = 0.01
# In one process. 2,000 calls a second with lines of 250 bytes fill half of it in LOST_S.
MAX_BYTES = 16 * 1024 * 1024


class Taken(NamedTuple):
    """The lines of one request, as they were sent, and when DataKit took them."""

    at_s: float
    lines: List[str]


def lost_lines(taken: Sequence[Taken], started_at_s: float, slack_s: float = SLACK_S) -> List[str]:
    """The lines in `taken` that are lost if DataKit was started at `started_at_s`, on the same clock.

    These are what it took in the last LOST_S before it was stopped. Nobody knows when that was: its last
    answer counts. A DataKit that was not started since has lost nothing.
    """
    before = [each for each in taken if each.at_s < started_at_s + slack_s]
    newest_s = max((each.at_s for each in before), default=0.0)
    return [line for each in before if each.at_s >= newest_s - LOST_S for line in each.lines]


class RecentLines:
    """The lines of one process, in memory; beyond `max_bytes`, the oldest are forgotten."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, max_bytes: int = MAX_BYTES) -> None:
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._taken: List[Taken] = []
        self._n_bytes = 0

    def is_empty(self) -> bool:
        return not self._taken

    def age_s(self) -> float:
        """How many seconds ago the newest were taken; 0 if there are none."""
        return self._monotonic() - self._taken[-1].at_s if self._taken else 0.0

    def add(self, lines: List[str]) -> None:
        """DataKit has just taken these, and has not been restarted since it took the others."""
        now_s = self._monotonic()
        self._taken.append(Taken(now_s, lines))
        self._n_bytes += sum(map(length_bytes, lines))
        while self._taken[0].at_s < now_s - LOST_S or self._n_bytes > self._max_bytes:
            self._n_bytes -= sum(map(length_bytes, self._taken.pop(0).lines))
            if not self._taken:
                break

    def take_lost(self, uptime_s: float) -> List[str]:
        """What was lost if DataKit has been running for `uptime_s` only; it is forgotten here."""
        started_at_s = self._monotonic() - uptime_s
        lost = lost_lines(self._taken, started_at_s, OWN_SLACK_S)
        kept = [each for each in self._taken if each.at_s >= started_at_s + OWN_SLACK_S]
        self.clear()
        self._taken = kept
        self._n_bytes = sum(length_bytes(line) for each in kept for line in each.lines)
        return lost

    def clear(self) -> None:
        """Forget all: they are safe."""
        self._taken, self._n_bytes = [], 0

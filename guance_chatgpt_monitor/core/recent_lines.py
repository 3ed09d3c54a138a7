"""What DataKit took lately. It has its last 10 s in memory, and loses them when it is stopped (observed)."""

import time
from typing import Callable, List, NamedTuple, Sequence

from .backlog import length_bytes

LOST_S = 15.0  # before a DataKit is stopped: what it took then is sent again
# Between the clocks of those who note when lines were taken; in one process, what a rounded uptime costs.
SLACK_S = 1.0
OWN_SLACK_S = 0.01
# Of one process; a line of 250 bytes at 2,000 calls a second for LOST_S has half of it.
MAX_BYTES = 16 * 1024 * 1024


class Taken(NamedTuple):
    """Lines as they were sent, and when DataKit took them."""

    at_s: float
    lines: List[str]


def lost_lines(taken: Sequence[Taken], started_at_s: float, slack_s: float = SLACK_S) -> List[str]:
    """Of `taken`, what a DataKit has lost that was started at `started_at_s`, on the same clock.

    That is what its predecessor took in the last LOST_S before it was stopped, or before its last sign of
    life: when it was stopped nobody knows. A DataKit that was not started since has lost nothing.
    """
    before = [each for each in taken if each.at_s < started_at_s + slack_s]
    newest_s = max((each.at_s for each in before), default=0.0)
    return [line for each in before if each.at_s >= newest_s - LOST_S for line in each.lines]


class RecentLines:
    """The lines of one process, in memory, in the bounds of `max_bytes`: beyond, the oldest are let go."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, max_bytes: int = MAX_BYTES) -> None:
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._taken: List[Taken] = []
        self._n_bytes = 0

    def is_empty(self) -> bool:
        return not self._taken

    def age_s(self) -> float:
        """How long ago the newest were taken; 0 where there are none."""
        return self._monotonic() - self._taken[-1].at_s if self._taken else 0.0

    def add(self, lines: List[str]) -> None:
        """DataKit has taken them just now, and it is the one that took the others."""
        now_s = self._monotonic()
        self._taken.append(Taken(now_s, lines))
        self._n_bytes += sum(map(length_bytes, lines))
        while self._taken[0].at_s < now_s - LOST_S or self._n_bytes > self._max_bytes:
            self._n_bytes -= sum(map(length_bytes, self._taken.pop(0).lines))
            if not self._taken:
                break

    def take_lost(self, uptime_s: float) -> List[str]:
        """What the predecessor of a DataKit that runs for `uptime_s` has lost; it is forgotten here."""
        started_at_s = self._monotonic() - uptime_s
        lost = lost_lines(self._taken, started_at_s, OWN_SLACK_S)
        kept = [each for each in self._taken if each.at_s >= started_at_s + OWN_SLACK_S]
        self.clear()
        self._taken = kept
        self._n_bytes = sum(length_bytes(line) for each in kept for line in each.lines)
        return lost

    def clear(self) -> None:
        """They are safe."""
        self._taken, self._n_bytes = [], 0

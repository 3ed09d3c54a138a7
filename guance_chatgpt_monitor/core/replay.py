"""One run of a replayer: what it has done, whether it may go on, and how fast."""

from typing import Callable, Dict, NamedTuple, Tuple

from .backlog import Backlog, Claim
from .datakit import DataKitError

LOCK_S = 30  # far above the longest request, and the longest that a dead replayer blocks others
# DataKit takes 100 requests a second from one address: replaying leaves half of them to the callers.
REQUEST_INTERVAL_S = 0.02
LONGEST_INTERVAL_S = 1.6  # doubled up to here after each 429; then the rest is left to the next run


class Replay(NamedTuple):
    """What one replay did. `problem` says in words why it stopped early; empty if nothing is left."""

    replayed: int = 0
    problem: str = ""
    datakit_failed: bool = False


class Refusals:
    """Refused lines by measurement and reason: reported once, and never with the line."""

    def __init__(self) -> None:
        self._counts: Dict[Tuple[str, str], int] = {}

    def add(self, line: str, reason: str) -> None:
        key = (line.split(",", 1)[0].split(" ", 1)[0], reason)
        self._counts[key] = self._counts.get(key, 0) + 1

    def say(self, say: Callable[[str], None], noun: str) -> None:
        for (measurement, reason), count in self._counts.items():
            say(f"DataKit refused {count} {noun} of {measurement}: {reason}; dropped")


class Run:
    """One run, for about `budget_s` at most on the clock `monotonic`."""

    def __init__(
        self,
        backlog: Backlog,
        budget_s: float,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.replayed = 0
        self.problem = ""
        self.datakit_failed = False
        self.is_over = False
        self.refusals = Refusals()
        self._backlog = backlog
        self._sleep = sleep
        self._monotonic = monotonic
        self._until_s = monotonic() + budget_s
        self._interval_s = REQUEST_INTERVAL_S
        self._has_settled = False
        self._last_request_s = float("-inf")

    def holds_lock(self) -> bool:
        """Take the lock, or extend it. If it is lost because we were too slow, another replayer goes on."""
        if not self._backlog.acquire("replay", LOCK_S):
            self.stop("another replay is under way")
        return not self.is_over

    def release_lock(self) -> None:
        self._backlog.release("replay")

    def may_go_on(self) -> bool:
        """Whether there is time for one more step; there always is until the first lines are settled.

        Otherwise a run could end while it halves a batch, and each next one would start that again, forever.
        """
        if self._has_settled and self._monotonic() + self._pause_s() >= self._until_s:
            self.stop("the time for one run is used up; the next one goes on")
        return not self.is_over and self.holds_lock()

    def may_request(self) -> bool:
        """Whether there is time for one more request; waits until it may be sent."""
        if not self.may_go_on():
            return False
        pause_s = self._pause_s()
        if pause_s > 0:
            self._sleep(pause_s)
        self._last_request_s = self._monotonic()
        return True

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        self._has_settled = True
        return self._backlog.settle(claim, n_lines, counts)

    def slow_down(self, error: DataKitError) -> bool:
        """Whether to try again after `error`."""
        if error.status_code == 429 and self._interval_s * 2 <= LONGEST_INTERVAL_S:
            self._interval_s *= 2
            return True
        self.datakit_failed = True
        self.stop(str(error))
        return False

    def speed_up(self) -> None:
        self._interval_s = max(REQUEST_INTERVAL_S, self._interval_s / 2)

    def stop(self, problem: str) -> None:
        self.problem = problem
        self.is_over = True

    def result(self) -> Replay:
        return Replay(self.replayed, self.problem, self.datakit_failed)

    def _pause_s(self) -> float:
        return max(0.0, self._last_request_s + self._interval_s - self._monotonic())

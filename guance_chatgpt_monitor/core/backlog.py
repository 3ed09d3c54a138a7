"""Where undelivered lines wait, with the counters and marks that their deliverers share: the interface.

Func keeps them in its cache (`cache_backlog`), an application in a file or in memory.
"""

from abc import ABC, abstractmethod
from typing import Dict, List, NamedTuple, Optional

MAX_LINES = 100_000
MAX_BYTES = 64 * 1024 * 1024


class Claim(NamedTuple):
    """Lines that one deliverer has taken, oldest first. Each stays in the backlog until it is settled.

    `n_settled` older lines of the claim are settled already; `counts` says how.
    """

    claim_id: str
    lines: List[str]
    n_settled: int = 0
    counts: Dict[str, int] = {}  # noqa: RUF012 - never modified
    complete: bool = True  # False: whoever took the lines was interrupted, and may yet take more

    def after(self, n_lines: int, counts: Dict[str, int]) -> "Claim":
        """What is left when the first `n_lines` are settled."""
        return self._replace(
            lines=self.lines[n_lines:],
            n_settled=self.n_settled + n_lines,
            counts=add_counts(self.counts, counts),
        )


class Size(NamedTuple):
    """How much waits, claimed lines included; `oldest_ns` is the oldest line's timestamp, 0 if none."""

    lines: int
    n_bytes: int
    oldest_ns: int


def length_bytes(line: str) -> int:
    """The length of a line as it is sent, in bytes."""
    return len(line.encode("utf-8", "replace"))


def timestamp_ns(line: str) -> int:
    """The timestamp at the end of a line, in nanoseconds since 1970; 0 if there is none."""
    try:
        return int(line.rsplit(" ", 1)[1])
    except (IndexError, ValueError):
        return 0


# -- counters ------------------------------------------------------------------------------------

# The names of the counters. There is one more for each reason that lines are dropped for.
DELIVERED = "delivered"
REPLAYED = "replayed"
WRITES = "writes"
WRITE_US = "write_us"
_DROPPED = "dropped:"


def count_of_dropped(reason: str, count: int) -> Dict[str, int]:
    """`count` lines dropped for `reason`, as `Backlog.add()` takes it."""
    return {_DROPPED + reason: count}


def dropped_by_reason(counts: Dict[str, int]) -> Dict[str, int]:
    """Reason -> lines dropped for it."""
    return counts_below(counts, _DROPPED)


def counts_below(counts: Dict[str, int], prefix: str) -> Dict[str, int]:
    """The counters above 0 whose names begin with `prefix`, which is cut off."""
    return {name[len(prefix) :]: n for name, n in counts.items() if name.startswith(prefix) and n}


def add_counts(counts: Dict[str, int], more: Dict[str, int]) -> Dict[str, int]:
    """The sums of two sets of counters."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}


class Backlog(ABC):
    """Lines in the order of their calls, counters and marks. Any method may raise if it is unavailable.

    Whoever dies with a claim leaves the unsettled rest to the next `claim()`: a line may be delivered
    twice, and never disappears.
    """

    # How many lines `push()` and counters `add()` take in one step: all, or none if it raises.
    at_once = 500

    @abstractmethod
    def push(self, lines: List[str]) -> int:
        """Add the newest lines; returns how many of the oldest were dropped to stay within the bounds."""

    @abstractmethod
    def claim(self, max_lines: int) -> Optional[Claim]:
        """Take the oldest lines, or the rest of an earlier claim; None if nothing waits."""

    @abstractmethod
    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        """Mark the first `n_lines` as delivered or dropped and count them, in one step; returns the rest."""

    @abstractmethod
    def size(self) -> Size:
        """How much waits, counted afresh."""

    @abstractmethod
    def add(self, counts: Dict[str, int]) -> None:
        """Add to counters that never go back."""

    @abstractmethod
    def totals(self) -> Dict[str, int]:
        """All counters. One caller at a time: it holds a lock."""

    @abstractmethod
    def load(self, name: str) -> str:
        """The string saved under `name`; empty if there is none."""

    @abstractmethod
    def save(self, name: str, text: str) -> None:
        """Save `text` under `name` for all who share the backlog."""

    @abstractmethod
    def acquire(self, name: str, expires_s: int) -> bool:
        """Take the lock `name`, or extend it if it is ours; it expires after `expires_s`."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Release the lock `name` if it is ours."""

"""Where undelivered lines wait, and what those who deliver them tell each other: what delivery asks for.

Func keeps them in its cache (`cache_backlog`), an application in a file or in memory.
"""

from abc import ABC, abstractmethod
from typing import Dict, List, NamedTuple, Optional

MAX_LINES = 100_000
MAX_BYTES = 64 * 1024 * 1024


class Claim(NamedTuple):
    """Lines that one deliverer has taken, oldest first. Each stays in the backlog until it is settled.

    Of the claim, `n_settled` older lines are settled already, in the ways that `counts` says.
    """

    claim_id: str
    lines: List[str]
    n_settled: int = 0
    counts: Dict[str, int] = {}  # noqa: RUF012 - never changed in place
    complete: bool = True  # False: whoever took the lines was cut off, and may yet take more

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
    """The timestamp at the end of a line; 0 if there is none."""
    try:
        return int(line.rsplit(" ", 1)[1])
    except (IndexError, ValueError):
        return 0


# -- counters ------------------------------------------------------------------------------------

# What the counters are called: besides these, one for each reason that lines are dropped for.
DELIVERED = "delivered"
REPLAYED = "replayed"
WRITES = "writes"
WRITE_US = "write_us"
_DROPPED = "dropped:"


def count_of_dropped(reason: str, count: int) -> Dict[str, int]:
    """`count` lines dropped for `reason`, as `Backlog.add()` takes it."""
    return {_DROPPED + reason: count}


def dropped_by_reason(counts: Dict[str, int]) -> Dict[str, int]:
    """Of all counters, reason -> lines dropped for it."""
    return counts_below(counts, _DROPPED)


def counts_below(counts: Dict[str, int], prefix: str) -> Dict[str, int]:
    """Of all counters, those above 0 whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: n for name, n in counts.items() if name.startswith(prefix) and n}


def add_counts(counts: Dict[str, int], more: Dict[str, int]) -> Dict[str, int]:
    """The sums of two sets of counters."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}


class Backlog(ABC):
    """Lines in the order of their calls, counters and marks. Any method may raise if the place is away.

    Whoever dies with a claim leaves what is not settled of it to the next `claim()`: a line may be
    delivered twice, and never disappears.
    """

    # How many lines `push()` and counters `add()` takes in one step: all of them, or, when it raises, none.
    at_once = 500

    @abstractmethod
    def push(self, lines: List[str]) -> int:
        """Add the newest lines; returns how many of the oldest had to go to stay within the bounds."""

    @abstractmethod
    def claim(self, max_lines: int) -> Optional[Claim]:
        """Take the oldest lines, or what is left of an earlier claim; None if nothing waits."""

    @abstractmethod
    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        """The first `n_lines` are delivered or dropped, and counted so, in one step; returns what is left."""

    @abstractmethod
    def size(self) -> Size:
        """How much waits, counted afresh."""

    @abstractmethod
    def add(self, counts: Dict[str, int]) -> None:
        """Add to counters that never go back."""

    @abstractmethod
    def totals(self) -> Dict[str, int]:
        """All counters. One caller at a time: whoever asks holds a lock."""

    @abstractmethod
    def load(self, name: str) -> str:
        """The text saved under `name`, or an empty one."""

    @abstractmethod
    def save(self, name: str, text: str) -> None:
        """Keep `text` under `name` for all who share the backlog."""

    @abstractmethod
    def acquire(self, name: str, expires_s: int) -> bool:
        """Take the lock `name`, or lengthen it when it is ours; it frees itself after `expires_s`."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Free the lock `name` if it is ours."""

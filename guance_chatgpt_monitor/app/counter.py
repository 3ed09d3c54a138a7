"""A counter that any thread may add to, even in a finalizer."""

from itertools import count


class Counter:
    """Counts without a lock: `next()` on a count is atomic."""

    def __init__(self) -> None:
        self._count = count()
        self._taken = 0
        self._reads = 0

    def add(self) -> None:
        next(self._count)

    def take(self) -> int:
        """How many were added since the last call. One thread at a time."""
        total = next(self._count) - self._reads
        self._reads += 1
        new, self._taken = total - self._taken, total
        return new

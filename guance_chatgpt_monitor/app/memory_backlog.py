"""The backlog in memory, for a process that has nowhere to write to. It ends with the process."""

import threading
import uuid
from collections import deque
from itertools import islice
from typing import Deque, Dict, List, Optional, Tuple

from ..core.backlog import Backlog, Claim, Size, add_counts, length_bytes, timestamp_ns

# Far less than a file may hold: it is the application's memory.
MEMORY_MAX_LINES = 10_000
MEMORY_MAX_BYTES = 8 * 1024 * 1024


class MemoryBacklog(Backlog):
    """The backlog of one process; threads may share it. No method raises."""

    def __init__(self, max_lines: int = MEMORY_MAX_LINES, max_bytes: int = MEMORY_MAX_BYTES) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._lines: Deque[str] = deque()
        # One at a time, as it is taken over until it is settled.
        self._claim_id = ""
        self._claimed: List[str] = []
        self._n_bytes = 0
        self._totals: Dict[str, int] = {}
        self._texts: Dict[str, str] = {}

    def push(self, lines: List[str]) -> int:
        with self._lock:
            self._lines.extend(lines)
            self._n_bytes += _n_bytes(lines)
            dropped = 0
            while self._lines and (self._n_lines() > self._max_lines or self._n_bytes > self._max_bytes):
                self._n_bytes -= _n_bytes([self._lines.popleft()])
                dropped += 1
            return dropped

    def claim(self, max_lines: int) -> Optional[Claim]:
        with self._lock:
            if not self._claimed:
                self._claim_id = uuid.uuid4().hex
                self._claimed = [self._lines.popleft() for _ in range(min(max_lines, len(self._lines)))]
            return Claim(self._claim_id, list(self._claimed)) if self._claimed else None

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        with self._lock:
            if self._claimed and claim.claim_id == self._claim_id:
                self._n_bytes -= _n_bytes(self._claimed[:n_lines])
                del self._claimed[:n_lines]
                self._add(counts)
        return claim.after(n_lines, counts)

    def size(self) -> Size:
        with self._lock:
            oldest = self._claimed[:1] + list(islice(self._lines, 1))
            return Size(self._n_lines(), self._n_bytes, min(map(timestamp_ns, oldest), default=0))

    def add(self, counts: Dict[str, int]) -> None:
        with self._lock:
            self._add(counts)

    def totals(self) -> Dict[str, int]:
        with self._lock:
            return dict(self._totals)

    def load(self, name: str) -> str:
        return self._texts.get(name, "")

    def save(self, name: str, text: str) -> None:
        self._texts[name] = text

    def acquire(self, name: str, expires_s: int) -> bool:  # noqa: ARG002 - the base class's names
        return True  # no other process shares it

    def release(self, name: str) -> None:
        """Do nothing: no other process shares it."""

    def take_all(self) -> Tuple[List[str], Dict[str, int]]:
        """Remove and return all lines, oldest first, and all counters."""
        with self._lock:
            lines, totals = [*self._claimed, *self._lines], self._totals
            self._claimed, self._totals = [], {}
            self._lines.clear()
            self._n_bytes = 0
            return lines, totals

    def lines_in_memory(self) -> int:
        """How many lines end with the process."""
        return self.size().lines

    def close(self) -> None:
        """Do nothing."""

    def _add(self, counts: Dict[str, int]) -> None:
        self._totals = add_counts(self._totals, counts)

    def _n_lines(self) -> int:
        return len(self._lines) + len(self._claimed)


def _n_bytes(lines: List[str]) -> int:
    return sum(map(length_bytes, lines))

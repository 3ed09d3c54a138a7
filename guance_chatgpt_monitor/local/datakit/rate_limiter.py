"""How many requests DataKit takes a second."""

import threading
from typing import Callable, Dict, Tuple


class RateLimiter:
    """A token bucket for each client and path, one second's worth deep."""

    def __init__(self, per_second: float, clock_ns: Callable[[], int]) -> None:
        if per_second <= 0:
            raise ValueError(f"rate_limit is {per_second}: give requests a second, or None for no limit")
        self.per_second = per_second
        self._depth = max(1.0, per_second)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._buckets: Dict[Tuple[str, str], Tuple[float, int]] = {}

    def take(self, client: str, path: str) -> bool:
        """Whether this request is within the limit."""
        now_ns = self._clock_ns()
        with self._lock:
            tokens, then_ns = self._buckets.get((client, path), (self._depth, now_ns))
            tokens += max(0, now_ns - then_ns) / 1e9 * self.per_second
            tokens = min(tokens, self._depth)
            allowed = tokens >= 1
            self._buckets[client, path] = (tokens - 1 if allowed else tokens, now_ns)
            return allowed

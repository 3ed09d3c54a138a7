"""How DataKit reads a request's body, and how many requests it takes a second."""

import gzip
import threading
import zlib
from typing import Callable, Dict, Tuple

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES = 10


class HandlerCrashError(Exception):
    """DataKit's handler would crash here, and answer 200."""


def decode(body: bytes, encoding: str) -> bytes:
    """Raises OSError, EOFError or zlib.error for what DataKit cannot decode."""
    if not encoding:
        return body
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding != "gzip":
        raise OSError(f"unsupported content-encoding: {encoding}")
    if not body.startswith(_GZIP_MAGIC) or len(body) < _GZIP_HEADER_BYTES:
        raise HandlerCrashError
    return gzip.decompress(body)


class RateLimiter:
    """A token bucket for each client and path, one second's worth deep."""

    def __init__(self, per_second: float, clock_ns: Callable[[], int]) -> None:
        self._per_second = per_second
        self._depth = max(1.0, per_second)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._buckets: Dict[Tuple[str, str], Tuple[float, int]] = {}

    def take(self, client: str, path: str) -> bool:
        now_ns = self._clock_ns()
        with self._lock:
            tokens, then_ns = self._buckets.get((client, path), (self._depth, now_ns))
            tokens += max(0, now_ns - then_ns) / 1e9 * self._per_second
            tokens = min(tokens, self._depth)
            allowed = tokens >= 1
            self._buckets[client, path] = (tokens - 1 if allowed else tokens, now_ns)
            return allowed

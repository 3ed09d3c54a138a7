"""How much of what was said may wait in memory, from the end of a call until its log line is made."""

import sys
import threading
from typing import Any, List

from .counter import Counter

# To walk what the SDK itself has just written or read takes a fraction of that; beyond, it is enough.
MAX_STEPS = 20_000


class ContentBudget:
    """`max_bytes` for all calls together. Beyond, a call has no log line, and still its point. Any thread."""

    def __init__(self, max_bytes: int) -> None:
        self.refused = Counter()
        self._max_bytes = max_bytes
        self._n_bytes = 0
        # One that its holder may take again: a call may end in a finalizer, in the middle of anything.
        self._lock = threading.RLock()

    def admit(self, observation: Any) -> None:
        """Count what was said in a call, its attribute `content`, or let go of it. Never raises."""
        content = getattr(observation, "content", None)
        if content is None:
            return
        try:
            size = getattr(content, "size_bytes", None)
            n_bytes = size() if size is not None else size_bytes(content)
        except Exception:  # an object of the application's that does not like to be looked at
            n_bytes = self._max_bytes + 1
        with self._lock:
            if self._n_bytes + n_bytes <= self._max_bytes:
                self._n_bytes += n_bytes
                observation.content_bytes = n_bytes
                return
        observation.content = None
        self.refused.add()

    def release(self, observation: Any) -> None:
        """Its line is made, or is not to be."""
        observation.content = None
        with self._lock:
            self._n_bytes -= getattr(observation, "content_bytes", 0)
        observation.content_bytes = 0


def size_bytes(value: Any) -> int:
    """The memory of the strings in what an application sent or received, and little for the rest."""
    total = 0
    waiting: List[Any] = [value]
    for _ in range(MAX_STEPS):
        if not waiting:
            break
        each = waiting.pop()
        total += sys.getsizeof(each)
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend(each)
        elif not isinstance(each, (str, bytes, int, float, type(None))):
            waiting.extend(getattr(each, "__dict__", {}).values())
            waiting.extend(getattr(each, name, None) for name in getattr(type(each), "__slots__", ()))
    return total

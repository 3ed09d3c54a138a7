"""How much content may wait in memory, from the end of a call until its log line is made."""

import sys
import threading
from typing import Any, List

from .counter import Counter

# Beyond so many objects, the size is taken as it is by then.
MAX_STEPS = 20_000


class ContentBudget:
    """`max_bytes` for all calls together. Beyond that, a call has its point but no log line. Any thread."""

    def __init__(self, max_bytes: int) -> None:
        self.refused = Counter()
        self._max_bytes = max_bytes
        self._n_bytes = 0
        # Reentrant: a call may end in a finalizer, in the middle of anything.
        self._lock = threading.RLock()

    def admit(self, observation: Any) -> None:
        """Count the `content` of a call, or drop it. Never raises."""
        content = getattr(observation, "content", None)
        if content is None:
            return
        try:
            size = getattr(content, "size_bytes", None)
            n_bytes = size() if size is not None else size_bytes(content)
        except Exception:  # an object of the application that cannot be inspected
            n_bytes = self._max_bytes + 1
        with self._lock:
            if self._n_bytes + n_bytes <= self._max_bytes:
                self._n_bytes += n_bytes
                observation.content_bytes = n_bytes
                return
        observation.content = None
        self.refused.add()

    def release(self, observation: Any) -> None:
        """The line of this call is made, or will not be."""
        observation.content = None
        with self._lock:
            self._n_bytes -= getattr(observation, "content_bytes", 0)
        observation.content_bytes = 0


def size_bytes(value: Any) -> int:
    """Roughly the memory of what an application sent or received: that of its strings above all."""
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

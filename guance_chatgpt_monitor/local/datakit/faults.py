"""What goes wrong in the DataKit stand-in, one word for each kind of fault.

- `ok`: nothing.
- `400` to `599`: this status; nothing is kept. 400, 403 and 429 have DataKit's error body, 408 its text.
- `hang`: no answer until the mode is set, then as that mode says; none at all once stopped.
- `slow:S`: as usual, after S seconds.
- `reset`: a TCP reset; nothing is kept. `reset_after`: the points are kept, then a TCP reset.
- `crash200`: 200 without `X-Datakit`; nothing is kept, as when DataKit's handler crashes.
- `no_header200`: the points are kept, but no answer has `X-Datakit`, as behind some proxies.

A ping takes part in `hang` and `reset` only, and only when they are the mode.
"""

import threading
from collections import deque
from typing import Callable, Deque, Optional, Union

MAX_SLOW_S = 600.0
STOPPED = "stopped"

_WORDS = ("ok", "hang", "reset", "reset_after", "crash200", "no_header200")
_STATUS_CODES = range(400, 600)


class Faults:
    """A queue, from which each write takes one, and the mode, which holds when the queue is empty."""

    def __init__(self) -> None:
        self.queue: Deque[str] = deque()
        self._mode: Optional[str] = None
        self._modes_set = 0
        self._starts = 0
        self._is_stopped = False
        self._changed = threading.Condition()

    @property
    def mode(self) -> Optional[str]:
        """A fault; None for none. Setting an unknown word raises ValueError."""
        return self._mode

    @mode.setter
    def mode(self, word: Union[str, int, None]) -> None:
        checked = None if word is None else check_fault(word)
        with self._changed:
            self._mode = None if checked == "ok" else checked
            self._modes_set += 1
            self._changed.notify_all()

    def of_write(self) -> str:
        """The fault that this write meets, after a hang has ended: STOPPED if the server was stopped.

        Raises ValueError for an unknown word in the queue.
        """
        return self._outlast_hang(lambda: check_fault(self.queue.popleft()) if self.queue else self._mode)

    def of_ping(self) -> str:
        """The same for a ping."""
        return self._outlast_hang(lambda: self._mode)

    def begin(self) -> None:
        """The server is started."""
        with self._changed:
            self._starts += 1
            self._is_stopped = False

    def end_hangs(self) -> None:
        """The server is stopped."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _outlast_hang(self, next_fault: Callable[[], Optional[str]]) -> str:
        with self._changed:
            fault = next_fault() or "ok"
            modes_set, starts = self._modes_set, self._starts
            while fault == "hang":
                if not self._is_stopped:
                    self._changed.wait()
                if self._is_stopped or starts != self._starts:
                    return STOPPED
                if modes_set != self._modes_set:
                    fault, modes_set = self._mode or "ok", self._modes_set
            return fault


def check_fault(word: Union[str, int]) -> str:
    """The word of a fault. Raises ValueError."""
    text = str(word)
    if text in _WORDS or (text.isdigit() and int(text) in _STATUS_CODES):
        return text
    if text.startswith("slow:") and 0 <= seconds_of(text) <= MAX_SLOW_S:
        return text
    known = f"{', '.join(_WORDS)}, slow:S (up to {MAX_SLOW_S:g}) or 400 to 599"
    raise ValueError(f"{text!r} is not a fault: give {known}")


def seconds_of(slow: str) -> float:
    """The S of `slow:S`."""
    return float(slow[len("slow:") :])

"""A daemon thread that starts late, can be woken, and leaves the application's signals alone.

Whatever it waits for is made when it starts: an application often forks, or lets gevent patch the standard
library, after it has imported and called us.
"""

import queue
import signal
import sys
import threading
from typing import Callable, Optional


class BackgroundThread:
    """Runs `work` once on a thread of its own; after its end, or its death, `start()` begins another."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._thread: Optional[threading.Thread] = None
        self._starting = threading.Lock()
        # A SimpleQueue is reentrant: a call may end in a finalizer, in the middle of anything.
        self._signals: queue.SimpleQueue[None]

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def was_started(self) -> bool:
        return self._thread is not None

    @property
    def is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def start(self) -> bool:
        """Whether it runs, or is being started; False if no thread can be started any more."""
        if sys.is_finalizing():  # below Python 3.12, starting one would block forever
            return False
        # Without waiting: a finalizer may run in the middle of it, and end a call.
        if not self._starting.acquire(blocking=False):
            return True
        try:
            if not self.is_alive:
                self._signals = queue.SimpleQueue()
                # Assigned before it starts: a signal handler may raise right after.
                self._thread = threading.Thread(
                    target=self._run,
                    args=(threading.get_native_id(),),
                    name="guance_chatgpt_monitor",
                    daemon=True,
                )
                self._thread.start()
            return True
        except Exception:  # the interpreter is ending, or the process has too many threads
            if self._thread is not None and self._thread.ident is None:  # else it runs all the same
                self._thread = None
            return False
        finally:
            self._starting.release()

    def wake(self) -> None:
        """End its pause, or the next one."""
        if self._thread is not None:
            self._signals.put(None)

    def pause(self, pause_s: float) -> None:
        """On the thread: wait for `pause_s`, or for `wake()`."""
        try:
            self._signals.get(timeout=pause_s)
        except queue.Empty:
            pass

    def join(self, timeout_s: float) -> None:
        """Wait for its end, unless this is the thread itself."""
        if self._thread is not None and not self.is_current and self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self, starter_id: int) -> None:
        if threading.get_native_id() != starter_id:  # else it is a greenlet
            _block_signals()
        self._work()


def _block_signals() -> None:
    """Block all signals on this thread: those of the process are for the application's threads.

    Otherwise a signal that the application has blocked for a while would reach the process through ours.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)


# A thread's own faults.
_FAULTS = {
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
    if hasattr(signal, name)
}

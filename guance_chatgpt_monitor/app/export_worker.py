"""The exporter's queue and the thread that empties it."""

import queue
import signal
import sys
import threading
import time
from collections import deque
from itertools import count
from typing import Any, Callable, Deque, Iterator, List, Optional

from ..core.delivery import BATCH_LINES
from ..core.metrics import PointMaker
from .environment import Settings
from .export_logs import QUEUE_FULL, make_content_log
from .export_pipeline import REPORT_EVERY_S, Pipeline
from .failsafe import log_warning

BATCH_EVERY_S = 1.0
DRAIN_POLL_S = 0.01


class Worker:
    """For one process, and until it is stopped.

    `say` takes one line for the operator; `points` outlives the worker, so that timestamps stay unique.

    Whatever may be waited for is made when the thread starts: an application often forks, or lets gevent
    replace the standard library, after it has imported and called us.
    """

    def __init__(
        self,
        settings: Settings,
        points: PointMaker,
        say: Callable[[str], None],
        batch_every_s: float = BATCH_EVERY_S,
        report_every_s: float = REPORT_EVERY_S,
    ) -> None:
        self.queue: Deque[Any] = deque()
        self.max_queue = settings.max_queue
        # With so many calls before it, a call wakes the worker, unless it is awake; never above the queue's
        # limit, so that this is all that a call compares. The first one starts the thread.
        self.wake_at = 0
        self.is_awake = False
        # More than this is more than DataKit takes at the time: it goes to the backlog at once.
        self._behind_at = self.max_queue // 2
        self._batch_calls = min(BATCH_LINES, self._behind_at)
        self._batch_every_s = batch_every_s
        self._refused = _Counter()
        self._flushes: Deque[_Flush] = deque()
        self._stopping = False
        # For the end of a process that a DataKit keeps waiting: what comes yet goes to the backlog.
        self.asks_datakit = True
        self._draining = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._starting = threading.Lock()
        self._say = say
        content_log = make_content_log(settings)
        self._make_pipeline: Callable[[], Pipeline] = lambda: Pipeline(
            settings, points, content_log, say, self._pause, report_every_s
        )
        self._pipeline: Optional[Pipeline] = None
        # A SimpleQueue may be put to in the middle of anything: a call may end in a finalizer.
        self._signals: queue.SimpleQueue[None]
        self._in_hand: List[str] = []
        self._taken_over = False

    # -- on any thread -----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Count a call that found the queue full."""
        self._refused.add()

    def wake(self) -> bool:
        """Start the thread, or end its waiting; False if none can be started any more."""
        # Before the signal: the thread sets them anew.
        self.is_awake = True
        self.wake_at = self.max_queue
        if self._thread is None or not self._thread.is_alive():
            return self._start()
        self._signals.put(None)
        return True

    def flush(self, timeout_s: float) -> bool:
        """Whether all that was in the queue is delivered, or on the backlog, within the time."""
        if self._thread is None and not self.queue:
            return True
        if threading.current_thread() is self._thread:
            return False  # it cannot wait for itself
        flush = _Flush()
        self._flushes.append(flush)
        until_s = time.monotonic() + timeout_s
        if self.wake():
            flush.done.wait(timeout_s)
        else:
            self.drain()
        while not flush.done.is_set() and time.monotonic() < until_s:  # another is at it
            flush.done.wait(DRAIN_POLL_S)
            self.drain()
        return flush.ok

    def drain(self) -> None:
        """Deliver what is in the queue on the caller's own thread: the process can have no other any more.

        Not waited for if another is at it, who looks once more when it is done; not more often, since others
        may submit for ever.
        """
        for _ in range(2):
            if not self._draining.acquire(blocking=False):
                return
            try:
                succeeded = self._try(lambda: self._turn(drain=True))
            finally:
                self._draining.release()
            if not succeeded or not (self.queue or self._flushes):
                return

    def stop(self, timeout_s: float) -> bool:
        """Empty the queue and end the thread. Half the time is for DataKit, the rest for the backlog.

        Whether DataKit's half was enough.
        """
        until_s = time.monotonic() + timeout_s
        self._stopping = True
        try:
            if self._thread is not None:
                self._signals.put(None)
                if self._thread is not threading.current_thread() and self._thread.is_alive():
                    self._thread.join(timeout_s / 2)
        finally:  # also when somebody presses Ctrl-C once more
            if self._pipeline is not None or self.queue:
                self._take_over(until_s)
        return self._thread is None or not self._thread.is_alive()

    def _start(self) -> bool:
        if sys.is_finalizing():  # below Python 3.12, its start would be waited for, for ever
            self.is_awake = False
            self.wake_at = 0
            return False
        # Not waited for: a finalizer may run in the middle of it, and end a call.
        if not self._starting.acquire(blocking=False):
            return True
        try:
            if self._thread is None or not self._thread.is_alive():
                self._signals = queue.SimpleQueue()
                # Known before it starts: what a signal's handler raises may come right after.
                self._thread = threading.Thread(
                    target=self._run,
                    args=(threading.get_native_id(),),
                    name="guance_chatgpt_monitor",
                    daemon=True,
                )
                self._thread.start()
            return True
        except Exception:  # the interpreter is ending, or the process has too many threads
            if self._thread is not None and self._thread.ident is None:  # else it runs, whatever was raised
                self._thread = None
            self.is_awake = False
            self.wake_at = min(len(self.queue) + self._batch_calls, self.max_queue)
            return False
        finally:
            self._starting.release()

    def _lock(self) -> threading.Lock:
        """Held while the pipeline is made, and while calls of the queue become the lines in hand."""
        # One step for the interpreter: whoever needs it first makes it.
        lock: threading.Lock = self.__dict__.setdefault("_taking", threading.Lock())
        return lock

    def _opened(self) -> Pipeline:
        with self._lock():
            if self._pipeline is None:
                self._pipeline = self._make_pipeline()
            return self._pipeline

    def _batch(self, at_the_end: bool) -> Iterator[Any]:
        """The next calls of the queue, for the thread until it is taken over.

        Another thread may be taking some, too: one of the two is about to end.
        """
        for _ in range(min(len(self.queue), BATCH_LINES)):
            if self._taken_over is not at_the_end:
                return
            try:
                observation = self.queue.popleft()
            except IndexError:
                return
            yield observation

    # -- on the thread -----------------------------------------------------------------------------

    def _run(self, starter_id: int) -> None:
        if threading.get_native_id() != starter_id:  # else it is a greenlet of gevent's
            _block_signals()
        try:
            while not self._stopping:
                self._try(lambda: self._turn(drain=False), lambda: self._opened().run_due())
                self._wait()
            # Again, now that it is known: what was submitted before is in the queue.
            self._try(lambda: self._turn(drain=True), lambda: self._opened().finish())
        finally:
            # Should the thread be killed, the next call starts another.
            self.is_awake = False
            self.wake_at = 0

    def _try(self, *steps: Callable[[], None]) -> bool:
        try:
            for step in steps:
                step()
            return True
        except Exception as error:
            self._say(f"the exporter failed ({type(error).__name__})")
            return False

    def _turn(self, drain: bool) -> None:
        pipeline = self._opened()
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        try:
            # What comes while a batch is under way waits for the next: no requests of a few points each.
            n_calls = len(self.queue) if drain or flushes else 1
            for _ in range(0, n_calls, BATCH_LINES):
                self._deliver_batch(pipeline)
            for flush in flushes:
                flush.ok = pipeline.is_settled()
        finally:
            for flush in flushes:
                flush.done.set()
        pipeline.count_dropped(QUEUE_FULL, self._refused.take())

    def _deliver_batch(self, pipeline: Pipeline) -> None:
        behind = len(self.queue) > self._behind_at or not self.asks_datakit
        with self._lock():
            self._in_hand = self._in_hand + pipeline.lines_of(self._batch(at_the_end=False))
        try:
            if not (behind and pipeline.keep(self._in_hand)):
                pipeline.deliver(self._in_hand)
        except BaseException:
            # They may be delivered, and are the same points then.
            if pipeline.keep(self._in_hand):
                self._in_hand = []
            raise
        self._in_hand = []

    def _wait(self) -> None:
        self.is_awake = False
        self.wake_at = self._batch_calls - 1
        # Looked at after wake_at is set: a call from here on is seen now, or gives a signal.
        if len(self.queue) < self._batch_calls and not self._flushes and not self._stopping:
            due_in_s = self._pipeline.due_in_s() if self._pipeline is not None else self._batch_every_s
            self._pause(min(self._batch_every_s, due_in_s))

    def _pause(self, pause_s: float) -> None:
        try:
            self._signals.get(timeout=pause_s)
        except queue.Empty:
            pass

    # -- at the end --------------------------------------------------------------------------------

    def _take_over(self, until_s: float) -> None:
        """Put on the backlog what the thread had no time for, and what it is just delivering.

        That may be delivered twice then, and is the same point.
        """
        self._taken_over = True
        # The thread lets go of it after the call that it is reading, unless it is stuck there.
        if self._lock().acquire(timeout=max(0.0, until_s - time.monotonic())):
            self._lock().release()
            pipeline = self._opened()
        else:
            pipeline = self._pipeline or self._make_pipeline()
        lines = self._in_hand + pipeline.stranded()
        lost = 0
        while lines or self.queue:
            if not lines:
                lines = pipeline.lines_of(self._batch(at_the_end=True))
            elif pipeline.keep(lines[:BATCH_LINES]):
                del lines[:BATCH_LINES]
            elif time.monotonic() >= until_s:
                lost = len(lines) + len(self.queue)
                break
        pipeline.count_dropped(QUEUE_FULL, self._refused.take())
        lost += pipeline.keep_logs(until_s)
        lost += pipeline.close()
        if lost:
            what = "point(s) or log line(s) end with this process: neither DataKit nor a file took them"
            log_warning(f"{lost} {what}")


def _block_signals() -> None:
    """Have this thread get no signal: those of the process are for the application's threads.

    One that has blocked a signal for a while would otherwise be ended by it, through ours.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)


# What a thread itself does wrong is its own.
_FAULTS = {
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
    if hasattr(signal, name)
}


class _Flush:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.ok = False


class _Counter:
    """Counts without a lock: `next()` on a count is one step for the interpreter."""

    def __init__(self) -> None:
        self._count = count()
        self._taken = 0
        self._reads = 0

    def add(self) -> None:
        next(self._count)

    def take(self) -> int:
        """How many were added since the last time. One thread at a time."""
        total = next(self._count) - self._reads
        self._reads += 1
        new, self._taken = total - self._taken, total
        return new

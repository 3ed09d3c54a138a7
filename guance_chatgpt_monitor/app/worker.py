"""The exporter's queue and the work of its thread: calls to lines, lines to the channels."""

import sys
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Iterable, Iterator, List, Optional

from ..core.batches import BATCH_LINES
from ..core.delivery import MONITOR_ERROR, QUEUE_FULL
from ..core.line_protocol import encode
from ..core.metrics import PointMaker
from .background_thread import BackgroundThread
from .channels import Channels, open_channels
from .content_budget import ContentBudget
from .content_queue import make_content_log
from .counter import Counter
from .environment import Settings
from .failsafe import log_warning

BATCH_EVERY_S = 1.0
REPORT_EVERY_S = 60.0
DRAIN_POLL_S = 0.01
# The part of each turn that log lines get, after the points.
LOGS_BUDGET_S = 0.5
# A point takes some 15 us, so a slice holds the interpreter for 2 ms; a whole batch would for 8. In a busy
# application, it can take 100 ms to get the interpreter back, so slices must not be small.
SLICE_CALLS = 100


class Worker:
    """For one process, until it is stopped.

    `say` takes one line for the operator; `points` outlives the worker, so that timestamps stay unique.

    An observation has `to_call()`. If its call is to be logged, it also has an attribute `content` that is
    not None, and `to_conversation()`, which returns a Conversation, or None for no line. Both methods are
    called on the thread.
    """

    def __init__(
        self,
        settings: Settings,
        points: PointMaker,
        say: Callable[[str], None],
        batch_every_s: float = BATCH_EVERY_S,
        report_every_s: float = REPORT_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue: Deque[Any] = deque()
        self.max_queue = settings.max_queue
        # A call that finds so many in the queue wakes the worker if it sleeps, or starts the thread. Never
        # above the queue's limit, so that a call compares nothing else.
        self.wake_at = 0
        self.is_awake = False
        # More than this is more than DataKit takes at present: calls go to the backlog at once.
        self._behind_at = self.max_queue // 4
        self._batch_calls = min(BATCH_LINES, self._behind_at)
        self._batch_every_s = batch_every_s
        self._monotonic = monotonic
        self._refused = Counter()
        self._flushes: Deque[_Flush] = deque()
        self._stopping = False
        # False at the end of a process that DataKit keeps waiting: further calls go to the backlog.
        self.asks_datakit = True
        self._draining = threading.Lock()
        self._thread = BackgroundThread(self._run)
        self._points = points
        self._say = say
        content_log = make_content_log(settings)
        logs = settings.log_content or settings.log_errors
        self.budget = ContentBudget(settings.max_queue_bytes) if logs else None
        pause, budget = self._thread.pause, self.budget
        self._make_channels: Callable[[], Channels] = lambda: open_channels(
            settings, content_log, budget, say, pause, monotonic
        )
        # Made when the thread starts, so that an earlier fork inherits no locks and connections.
        self._opened: Optional[Channels] = None
        self._report_every_s = report_every_s
        self._report_at_s = float("inf")
        self._in_hand: List[str] = []
        self._taken_over = False
        self._left: List[str] = []  # of what was taken over

    # -- on any thread -----------------------------------------------------------------------------

    def refuse(self) -> None:
        """Count a call that found the queue full."""
        self._refused.add()

    def wake(self) -> bool:
        """Start or wake the thread; False if none can be started any more."""
        # Before the signal: the thread sets them again.
        self.is_awake = True
        self.wake_at = self.max_queue
        if self._thread.is_alive:
            self._thread.wake()
        elif not self._thread.start():
            self.is_awake = False
            may_start_later = not sys.is_finalizing()
            self.wake_at = min(len(self.queue) + self._batch_calls, self.max_queue) if may_start_later else 0
            return False
        return True

    def flush(self, timeout_s: float) -> bool:
        """Whether everything in the queue is delivered, or on the backlog, within `timeout_s`."""
        if not self._thread.was_started and not self.queue:
            return True
        if self._thread.is_current:
            return False  # it cannot wait for itself
        flush = _Flush()
        self._flushes.append(flush)
        until_s = self._monotonic() + timeout_s
        if self.wake():
            flush.done.wait(timeout_s)
        else:
            self.drain()
        while not flush.done.is_set() and self._monotonic() < until_s:  # another thread is draining
            flush.done.wait(DRAIN_POLL_S)
            self.drain()
        return flush.ok

    def drain(self) -> None:
        """Deliver the queue on the caller's own thread, when no thread can be started any more.

        Returns at once if another thread is draining: that looks once more when it is done, but not more
        often, since others may go on submitting forever.
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
        """Empty the queue and end the thread: half the time is for DataKit, the rest for the backlog.

        Returns whether DataKit's half was enough. After an exception, which a signal handler may raise, call
        `take_over()`.
        """
        until_s = self._monotonic() + timeout_s
        self._stopping = True
        self._thread.wake()
        self._thread.join(timeout_s / 2)
        self.take_over(until_s)
        return not self._thread.is_alive

    # -- calls to lines ----------------------------------------------------------------------------

    def _lock(self) -> threading.Lock:
        """Held while the channels are opened, and while queued calls become the lines in hand."""
        # Atomic: whoever needs it first makes it.
        lock: threading.Lock = self.__dict__.setdefault("_taking", threading.Lock())
        return lock

    def _channels(self) -> Channels:
        with self._lock():
            if self._opened is None:
                self._opened = self._make_channels()
                self._report_at_s = self._monotonic() + self._report_every_s
            return self._opened

    def _batch(self, at_the_end: bool) -> Iterator[Any]:
        """The next calls in the queue; none for the thread once its work has been taken over.

        Another thread may be taking calls, too: one of the two is about to end.
        """
        for _ in range(min(len(self.queue), BATCH_LINES)):
            if self._taken_over is not at_the_end:
                return
            try:
                observation = self.queue.popleft()
            except IndexError:
                return
            yield observation

    def _add_lines(self, lines: List[str], channels: Channels, observations: Iterable[Any]) -> None:
        """Add their points; those that cannot be made are counted as dropped. Content is read later."""
        for n, observation in enumerate(observations, 1):
            try:
                call = observation.to_call()
                point = self._points.from_call(call)
                lines.append(encode(point))
                if channels.content is not None:
                    channels.content.note(observation, call, point)
            except Exception as error:
                channels.metrics.count_dropped(MONITOR_ERROR, 1)
                # Not its message, which may hold what the application sent or received.
                self._say(f"a call could not be read ({type(error).__name__}): dropped")
            except BaseException:  # a signal handler has raised: read it again
                self.queue.appendleft(observation)
                raise
            if n % SLICE_CALLS == 0:
                time.sleep(0)

    # -- on the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._try(lambda: self._turn(drain=False), self._run_due)
                self._wait()
            # Once more: what was submitted before the stop is in the queue now.
            self._try(lambda: self._turn(drain=True), self._finish)
        finally:
            # If the thread is killed, the next call starts another.
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
        channels = self._channels()
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        try:
            # Calls that come during a batch wait for the next one: no requests of a few points each.
            n_calls = len(self.queue) if drain or flushes else 1
            for _ in range(0, n_calls, BATCH_LINES):
                self._deliver_batch(channels)
            if flushes:
                channels.deliver_content()
                settled = [channel.is_settled() for channel in channels.all]  # a list: each has to try
                for flush in flushes:
                    flush.ok = all(settled)
        finally:
            for flush in flushes:
                flush.done.set()
        channels.metrics.count_dropped(QUEUE_FULL, self._refused.take())

    def _deliver_batch(self, channels: Channels) -> None:
        metrics = channels.metrics
        behind = len(self.queue) > self._behind_at or not self.asks_datakit
        with self._lock():
            self._add_lines(self._in_hand, channels, self._batch(at_the_end=False))
        if not self._in_hand:
            return
        try:
            if not (behind and metrics.try_keep(self._in_hand)):
                metrics.deliver(self._in_hand)
        except BaseException:
            # They may have been delivered already; then these are the same points.
            if metrics.try_keep(self._in_hand):
                self._in_hand = []
            raise
        self._in_hand = []

    def _run_due(self) -> None:
        """Log lines, replays and the report, each if it is time."""
        channels = self._channels()
        # Each may wait for DataKit; if that is slow, waiting calls go first.
        if len(self.queue) >= self._batch_calls:
            return
        channels.deliver_content(self._monotonic() + LOGS_BUDGET_S)
        for channel in channels.that_may_replay():
            channel.run_due()
        if self._monotonic() >= self._report_at_s:
            self._report_at_s = self._monotonic() + self._report_every_s
            self._report(channels)

    def _finish(self) -> None:
        """The end of an orderly stop: log lines, what would end with the process, and the last report."""
        channels = self._channels()
        channels.deliver_content()
        if channels.metrics.is_up:
            for channel in channels.all:
                channel.replay_memory()
            self._report(channels)

    def _report(self, channels: Channels) -> None:
        metrics = channels.metrics
        metrics.health.count_unpriced(self._points.unpriced)
        for channel in channels.all:
            channel.report(self._report_every_s, lambda lines: metrics.deliver(lines, counted=False))

    def _wait(self) -> None:
        self.is_awake = False
        self.wake_at = self._batch_calls - 1
        # Checked after wake_at is set: from here on, a call is either seen now or wakes us.
        if len(self.queue) < self._batch_calls and not self._flushes and not self._stopping:
            due_in_s = self._batch_every_s
            if self._opened is not None:
                due_in_s = min(due_in_s, self._opened.due_in_s(), self._report_at_s - self._monotonic())
            self._thread.pause(max(0.0, due_in_s))

    # -- at the end --------------------------------------------------------------------------------

    def take_over(self, until_s: float) -> None:
        """Put on the backlog what the thread had no time for, and what it is delivering right now.

        The latter may be delivered twice, as the same points. Call it again after an exception.
        """
        if self._opened is None and not self.queue:
            return
        self._taken_over = True
        # The thread releases it after the call that it is reading, unless it is stuck there.
        if self._lock().acquire(timeout=max(0.0, until_s - self._monotonic())):
            self._lock().release()
            channels = self._channels()
        else:
            channels = self._opened or self._make_channels()
        metrics = channels.metrics
        self._left = lines = [*self._left, *self._in_hand, *metrics.stranded]
        lost = 0
        while lines or self.queue:
            if not lines:
                self._add_lines(lines, channels, self._batch(at_the_end=True))
            elif metrics.try_keep(lines[:BATCH_LINES]):
                del lines[:BATCH_LINES]
            elif self._monotonic() >= until_s:
                lost = len(lines) + len(self.queue)
                break
        metrics.count_dropped(QUEUE_FULL, self._refused.take())
        if channels.content is not None:
            lost += channels.content.keep(until_s)
        metrics.health.count_unpriced(self._points.unpriced)
        lost += sum(channel.close() for channel in channels.all)
        if lost:
            what = "point(s) or log line(s) end with this process: neither DataKit nor a file took them"
            log_warning(f"{lost} {what}")


class _Flush:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.ok = False

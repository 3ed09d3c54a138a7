"""Takes what was observed of a call off the application's hands; a daemon thread does the rest.

**In the way of the application**: `Exporter.submit()` looks at the length of a deque and appends, in 0.1 to
0.5 us. It never waits: a full queue refuses the call, which is counted as dropped with the reason
`queue_full`. That is a last resort. A quarter full, the thread puts calls on the backlog without asking
DataKit first, and while a batch waits, it replays nothing. What keeps it from that is one request to a
DataKit that is slow, hangs or drips: 2.5 s at most, in which 2,000 calls a second fill half of the queue.

**On the thread**: batches of up to 500 points or one second; what DataKit does not take goes to the backlog
and is replayed when DataKit is back, also after a restart of the application, or by a sister process.

**At the end of the process** (an atexit handler; in the children of multiprocessing, which have none, a
finalizer of its own): the queue is delivered, and after half of SHUTDOWN_S put on the backlog. Lost is the
queue, a second's calls, of a process that is killed, or ended by os._exit() or a signal without a handler.
What other exit handlers call after ours, and what ends with the interpreter, is delivered where it is called.

**Forks**: a child begins with an empty queue, new locks, no thread and no connection. The parent's thread
goes on, and delivers the parent's calls.

**gevent**: the thread is a greenlet. It yields while it waits for the network and for the backlog's lock,
and every 100 points; what it does not yield for is SQLite, about 2 ms for 500 points.
"""

import atexit
import os
import sys
import threading
import time
import weakref
from typing import Any, Callable, List, Optional

from ..core.host import own_host
from ..core.metrics import PointMaker
from ..core.prices import preload_table
from .environment import Settings
from .failsafe import log_warning
from .worker import BATCH_EVERY_S, REPORT_EVERY_S, Worker

SHUTDOWN_S = 2.0
LOG_INTERVAL_S = 60.0


class Exporter:
    """Sends what `submit()` takes to DataKit, with these settings. Any thread may use it, in any process.

    `batch_every_s` and `report_every_s` are the longest that a call waits for its batch, and the pause
    between two reports of the monitor on itself.
    """

    def __init__(
        self,
        settings: Settings,
        batch_every_s: float = BATCH_EVERY_S,
        report_every_s: float = REPORT_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        if settings.enabled:
            preload_table()
        self._batch_every_s = batch_every_s
        self._report_every_s = report_every_s
        self._monotonic = monotonic
        self._points = PointMaker(
            settings.measurement,
            settings.service_name,
            settings.tags,
            price_provider=settings.price_provider,
            host=own_host(settings.host),
        )
        self._say = _Rarely(monotonic)
        self.is_shut_down = False
        self._is_ending = False
        self._ends_at_s = float("inf")
        self._asks_datakit = True
        self.start_over()
        _living.add(self)

    def submit(self, observation: Any) -> None:
        """Hand over one call: an object whose `to_call()` gives the Call, asked for on the thread.

        Never waits and never raises.
        """
        worker = self._worker
        if worker.budget is not None:
            worker.budget.admit(observation)
        calls = worker.queue
        if len(calls) < worker.wake_at:
            calls.append(observation)
        else:
            self._submit_and_wake(worker, observation)

    def _submit_and_wake(self, worker: Worker, observation: Any) -> None:
        if not self.settings.enabled:
            return
        if len(worker.queue) < worker.max_queue:
            worker.queue.append(observation)
        else:
            worker.refuse()
        if not worker.is_awake:
            self._wake(worker)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Whether everything submitted before is delivered, or on the backlog, within `timeout_s`."""
        return self._worker.flush(timeout_s)

    def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Deliver what was submitted, or put it on the backlog, and end the thread.

        Takes at most about `timeout_s`. A later `submit()` starts a new thread.
        """
        worker, until_s = self._worker, self._monotonic() + timeout_s
        try:
            self.start_over()
            self.is_shut_down = True
        finally:  # also when somebody presses Ctrl-C right now
            try:
                self._asks_datakit = worker.stop(timeout_s)
            except BaseException:  # and once more, wherever that was
                worker.take_over(until_s)
                raise

    def end_with_process(self) -> None:
        """As `shutdown()`, at the end of the process: what comes yet is delivered where it is submitted."""
        if not self._is_ending:
            self._is_ending = True
            self._ends_at_s = self._monotonic() + SHUTDOWN_S
        # Whom DataKit has kept waiting before, it does not again; nor who was not even left the time.
        answered, self._asks_datakit = self._asks_datakit, False
        try:
            self.shutdown()
        finally:
            self._asks_datakit = self._worker.asks_datakit = answered and self._asks_datakit

    def start_over(self) -> None:
        """As in a new process. The old worker keeps what it has."""
        self._worker = Worker(
            self.settings,
            self._points,
            self._say,
            self._batch_every_s,
            self._report_every_s,
            self._monotonic,
        )
        self._ends_with_process = False

    def start_over_in_child(self) -> None:
        """After a fork: nothing inherited is used, or even collected, which could wait for its locks."""
        _inherited.append(self._worker)
        self._points.unpriced.clear()  # the parent counts them
        self._is_ending = False
        self.start_over()

    def _wake(self, worker: Worker) -> None:
        try:
            if self._is_ending:
                worker.asks_datakit = worker.asks_datakit and self._monotonic() < self._ends_at_s
                worker.drain()
                return
            if not self._ends_with_process:
                self._ends_with_process = True
                self.is_shut_down = False
                _call_at_exit(self.end_with_process)
            if not worker.wake() and sys.is_finalizing():
                worker.drain()
        except Exception:
            pass  # the next call tries again; nothing may reach the application


class _Rarely:
    """Logs one line a minute at most: a DataKit that is down would fill the application's log."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._logged_s = float("-inf")

    def __call__(self, text: str) -> None:
        now_s = self._monotonic()
        if now_s - self._logged_s >= LOG_INTERVAL_S:
            self._logged_s = now_s
            log_warning(text)


def _call_at_exit(end: Callable[[], None]) -> None:
    atexit.unregister(end)
    atexit.register(end)
    # The children of multiprocessing, and of what is made after it, end by os._exit(), after finalizers of
    # their own. billiard is Celery's, multiprocess pathos'.
    for package in ("multiprocessing", "billiard", "multiprocess"):
        process = sys.modules.get(package + ".process")
        util = sys.modules.get(package + ".util")
        if process is not None and util is not None and _is_child(process):
            util.Finalize(None, end, exitpriority=-100)


def _is_child(process: Any) -> bool:
    """Whether this process is one that the package with this module has started."""
    # Of the first process, the name is none that a child has; billiard has no parent_process().
    return type(process.current_process()).__name__ != "_MainProcess"


# -- the exporter of the process -------------------------------------------------------------------


class _Shared:
    """What `get_exporter()` gives, and whether its settings were asked for."""

    exporter: Optional[Exporter] = None
    given = False
    told: List[str] = []  # noqa: RUF012 - never changed in place; the settings that had no effect
    lock = threading.Lock()


def get_exporter(settings: Optional[Settings] = None) -> Exporter:
    """The exporter of this process; made with these settings, or those of the environment, if there is none.

    The first settings stay until `shutdown()`: with other ones, a warning says which have no effect.
    Raises ValueError for a wrong setting in the environment.
    """
    exporter = _Shared.exporter
    if exporter is not None and settings is None:
        return exporter
    with _Shared.lock:
        exporter = _Shared.exporter
        if exporter is None or (settings is not None and _makes_room(exporter)):
            if exporter is None or exporter.settings != settings:
                exporter = Exporter(Settings.read() if settings is None else settings)
            _Shared.exporter, _Shared.given, _Shared.told = exporter, settings is not None, []
        elif settings is not None and settings.enabled:
            # How streams are read is each client's own.
            ignored = [name for name in exporter.settings.differences(settings) if name != "stream_usage"]
            if ignored and ignored != _Shared.told:  # once, not with each client
                _Shared.told = ignored
                log_warning(f"monitored already with other settings: no effect of {', '.join(ignored)}")
        return exporter


def existing_exporter() -> Optional[Exporter]:
    """The exporter of this process, if anything was to be monitored."""
    return _Shared.exporter


def _makes_room(exporter: Exporter) -> bool:
    return not _Shared.given or not exporter.settings.enabled or exporter.is_shut_down


# -- fork ------------------------------------------------------------------------------------------

_living: "weakref.WeakSet[Exporter]" = weakref.WeakSet()
_inherited: List[Worker] = []


def _after_fork_in_child() -> None:
    _Shared.lock = threading.Lock()
    for exporter in list(_living):
        exporter.start_over_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

"""Takes observed calls from the application; a daemon thread does the rest.

**On the application's thread**: `Exporter.submit()` compares the length of a deque and appends, in 0.1 to
0.5 us. It never waits: if the queue is full, the call is counted as dropped with the reason `queue_full`.
That is a last resort. When the queue is a quarter full, the exporter's thread puts calls on the backlog
without asking DataKit, and while a batch waits, it replays nothing. What can delay it is one request to a
DataKit that is slow, hangs or drips: 2.5 s at most, in which 2,000 calls a second fill half of the queue.

**On the exporter's thread**: batches of up to 500 points, or one second's. What DataKit does not take goes to
the backlog and is replayed when DataKit is back, also after a restart of the application or by another of its
processes.

**At the end of the process** (by an atexit handler; in children of multiprocessing, which run none, by a
finalizer of multiprocessing): the queue is delivered, and after half of SHUTDOWN_S put on the backlog. If the
process is killed, or ended by os._exit() or a signal without a handler, the queue is lost: a second's calls.
Calls that other exit handlers make after ours, or that end with the interpreter, are delivered where they are
submitted.

**Forks**: a child starts with an empty queue, new locks, no thread and no connection. The parent's thread
goes on delivering the parent's calls.

**gevent**: the thread is a greenlet. It yields while it waits for the network and for the backlog's lock, and
every 100 points; it does not yield during SQLite's work, about 2 ms for 500 points.
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
from .failsafe import RareWarnings, log_warning
from .worker import BATCH_EVERY_S, REPORT_EVERY_S, Worker

SHUTDOWN_S = 2.0


class Exporter:
    """Sends what `submit()` takes to DataKit, with these settings. For any thread, in any process.

    A call waits at most `batch_every_s` for its batch; the monitor reports on itself every `report_every_s`.
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
        # An outage of DataKit must not fill the application's log.
        self._say = RareWarnings(monotonic).warn
        self.is_shut_down = False
        self._is_ending = False
        self._ends_at_s = float("inf")
        self._asks_datakit = True
        self.start_over()
        _living.add(self)

    def submit(self, observation: Any) -> None:
        """Take one call: an object with `to_call()`, which is called on the exporter's thread.

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
        """Deliver what was submitted, or put it on the backlog, and end the thread, within about `timeout_s`.

        A later `submit()` starts a new thread.
        """
        worker, until_s = self._worker, self._monotonic() + timeout_s
        try:
            self.start_over()
            self.is_shut_down = True
        finally:  # also if Ctrl-C comes right now
            try:
                self._asks_datakit = worker.stop(timeout_s)
            except BaseException:
                worker.take_over(until_s)
                raise

    def end_with_process(self) -> None:
        """`shutdown()` at the end of the process: later calls are delivered where they are submitted."""
        if not self._is_ending:
            self._is_ending = True
            self._ends_at_s = self._monotonic() + SHUTDOWN_S
        # If DataKit has kept us waiting, or no time is left, it is not asked again.
        answered, self._asks_datakit = self._asks_datakit, False
        try:
            self.shutdown()
        finally:
            self._asks_datakit = self._worker.asks_datakit = answered and self._asks_datakit

    def start_over(self) -> None:
        """Begin as in a new process. The old worker keeps what it has."""
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
        """Begin after a fork. Nothing inherited is used, nor collected, which might wait for its locks."""
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


def _call_at_exit(end: Callable[[], None]) -> None:
    atexit.unregister(end)
    atexit.register(end)
    # Children of multiprocessing and of its forks end by os._exit(), after finalizers of its own. billiard is
    # Celery's fork, multiprocess that of pathos.
    for package in ("multiprocessing", "billiard", "multiprocess"):
        process = sys.modules.get(package + ".process")
        util = sys.modules.get(package + ".util")
        if process is not None and util is not None and _is_child(process):
            util.Finalize(None, end, exitpriority=-100)


def _is_child(process: Any) -> bool:
    """Whether the package of this module has started this process."""
    # By the name of the class: billiard has no parent_process().
    return type(process.current_process()).__name__ != "_MainProcess"


# -- the exporter of the process -------------------------------------------------------------------


class _Shared:
    """What `get_exporter()` returns, and whether its settings were given explicitly."""

    exporter: Optional[Exporter] = None
    given = False
    ignored: List[str] = []  # noqa: RUF012 - never changed in place; the settings that were warned of
    lock = threading.Lock()


def get_exporter(settings: Optional[Settings] = None) -> Exporter:
    """The exporter of this process, made with these settings or the environment's if there is none yet.

    The first settings stay until `shutdown()`; a warning says which of any others have no effect. Raises
    ValueError for an invalid setting in the environment.
    """
    exporter = _Shared.exporter
    if exporter is not None and settings is None:
        return exporter
    with _Shared.lock:
        exporter = _Shared.exporter
        if exporter is None or (settings is not None and _makes_room(exporter)):
            if exporter is None or exporter.settings != settings:
                exporter = Exporter(Settings.read() if settings is None else settings)
            _Shared.exporter, _Shared.given, _Shared.ignored = exporter, settings is not None, []
        elif settings is not None and settings.enabled:
            # Each client has its own `stream_usage`.
            ignored = [name for name in exporter.settings.differences(settings) if name != "stream_usage"]
            if ignored and ignored != _Shared.ignored:  # once, not for each client
                _Shared.ignored = ignored
                log_warning(f"monitored already with other settings: no effect of {', '.join(ignored)}")
        return exporter


def existing_exporter() -> Optional[Exporter]:
    """The exporter of this process; None if nothing was ever monitored."""
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

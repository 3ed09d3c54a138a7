"""From observations to DataKit, or to the backlog and from there to DataKit; and the monitor's own report."""

import logging
import time
from typing import Any, Callable, Dict, Iterable, List, Sequence, Union

from .datakit import DataKit, DataKitError
from .delivery import BACKLOG_FULL, Delivery
from .health import Health, Report
from .line_protocol import encode
from .memory_backlog import MEMORY_MAX_BYTES, MEMORY_MAX_LINES, MemoryBacklog
from .metrics import PointMaker
from .settings import Settings

try:
    # Not where it is needed: a fork in the middle of an import leaves the child unable to import it.
    from .file_backlog import FileBacklog
except ImportError:  # a Python may be built without SQLite
    FileBacklog = None  # type: ignore[assignment, misc]

REPORT_EVERY_S = 60.0
# One turn of replaying, while which calls wait.
REPLAY_BUDGET_S = 0.2
# From a replay that failed to the next, doubled each time; and from one that left nothing.
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REPLAY_EVERY_S = 60.0
# A point takes some 20 us: so many at a time keep the interpreter from others for half a millisecond,
# a whole batch would for ten.
SLICE_CALLS = 25

MONITOR_ERROR = "monitor_error"

_log = logging.getLogger("guance_chatgpt_monitor")


class Pipeline:
    """What the exporter's thread works with. One thread at a time, but for `keep()`.

    `say` takes one line for the operator, `sleep` may return early. Nothing raises for a DataKit or a
    backlog that is away.
    """

    def __init__(
        self,
        settings: Settings,
        points: PointMaker,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
        report_every_s: float = REPORT_EVERY_S,
    ) -> None:
        self._points = points
        self._say = say
        self._datakit = _WatchedDataKit(settings.datakit_url)
        self._backlog = _make_backlog(settings)
        self._memory: Dict[str, Any] = {}
        self._delivery = Delivery(self._datakit, self._backlog, say, self._memory, sleep=sleep)
        self._health = Health(self._backlog, settings.service_name)
        self._report_every_s = report_every_s
        self._dropped: Dict[str, int] = {}
        self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = time.monotonic()
        self._report_at_s = time.monotonic() + report_every_s

    def lines_of(self, observations: Iterable[Any]) -> List[str]:
        """Their points; those that cannot be made are counted as dropped."""
        lines = []
        for n, observation in enumerate(observations, 1):
            try:
                lines.append(encode(self._points.from_call(observation.to_call())))
            except Exception as error:
                self.count_dropped(MONITOR_ERROR, 1)
                # Not its text, which may hold what the application sent or received.
                self._say(f"a call could not be read ({type(error).__name__}): dropped")
            if n % SLICE_CALLS == 0:
                time.sleep(0)
        return lines

    def deliver(self, lines: List[str]) -> None:
        """To DataKit, or to the backlog."""
        if lines:
            self._delivery.deliver(lines)
        self._expect_replay()

    def keep(self, lines: List[str]) -> bool:
        """To the backlog at once; False if it does not take them."""
        try:
            dropped = self._backlog.push(lines)
        except Exception:
            return False
        self.count_dropped(BACKLOG_FULL, dropped)
        self._expect_replay()
        return True

    def stranded(self) -> List[str]:
        """Lines that the backlog did not take when DataKit did not either."""
        return list(self._memory.get("stranded", ()))

    def is_settled(self) -> bool:
        """Whether every line is with DataKit or on the backlog; tries once more with those that are not."""
        if self.stranded():
            self._replay()  # which begins with them
        return not self.stranded()

    def count_dropped(self, reason: str, count: int) -> None:
        if count:
            self._dropped[reason] = self._dropped.get(reason, 0) + count

    def run_due(self) -> None:
        """Replay and report, each if it is time."""
        if time.monotonic() >= self._replay_at_s:
            self._replay()
        if time.monotonic() >= self._report_at_s:
            self._report_at_s = time.monotonic() + self._report_every_s
            self._report()

    def due_in_s(self) -> float:
        """When `run_due()` has something to do; never below 0."""
        return max(0.0, min(self._replay_at_s, self._report_at_s) - time.monotonic())

    def finish(self) -> None:
        """The last of an orderly end: what would end with the process, and what it counted."""
        if self._datakit.up:
            if self._backlog.lines_in_memory():
                self._delivery.replay(REPLAY_BUDGET_S)
            self._report()

    def close(self) -> int:
        """How many lines end with this process."""
        n_lines = self._backlog.lines_in_memory()
        try:
            self._save_dropped()
            self._backlog.close()
        except Exception:
            pass  # the end of the process closes it, too
        return n_lines

    def _replay(self) -> None:
        self._replay_at_s = time.monotonic() + self._backoff_s
        replay = self._delivery.replay(REPLAY_BUDGET_S)
        if not replay.problem:
            wait_s = REPLAY_EVERY_S
        elif replay.replayed and not replay.datakit_failed:
            wait_s = 0.0  # there is more
        else:
            wait_s = self._backoff_s
        if replay.datakit_failed:
            self._backoff_s = min(self._backoff_s * 2, LONGEST_BACKOFF_S)
        elif replay.replayed:
            self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = time.monotonic() + wait_s

    def _expect_replay(self) -> None:
        """Have a replay soon if something waits."""
        soon_s = time.monotonic() + self._backoff_s
        if soon_s < self._replay_at_s and self._n_waiting():
            self._replay_at_s = soon_s

    def _n_waiting(self) -> int:
        try:
            return self._backlog.size().lines
        except Exception:
            return 0  # asked again after the next batch

    def _report(self) -> None:
        """Send the monitor's own points, for all who share the backlog, if there is anything to say."""
        try:
            self._save_dropped()
            # Kept until it expires: that makes one report in the time, whoever makes it.
            if not self._backlog.acquire("report", max(1, int(self._report_every_s))):
                return
            unsent = self._health.unsent_lines()
            report = self._health.make(self._datakit.up)
            if unsent or _says_anything(report):
                self._delivery.deliver(report.lines, counted=False)
            self._health.sent()
        except Exception as error:
            self._say(f"the monitor's own report failed ({type(error).__name__})")

    def _save_dropped(self) -> None:
        for reason in list(self._dropped):
            count = self._dropped[reason]
            self._backlog.add({"dropped:" + reason: count})
            self._dropped[reason] -= count


class _WatchedDataKit(DataKit):
    """Knows whether the last write reached it."""

    up = True

    def write(self, lines: Sequence[str], category: str = "metric") -> bool:
        try:
            named_itself = super().write(lines, category)
            self.up = True
            return named_itself
        except DataKitError as error:
            self.up = error.lines_refused or error.status_code == 429
            raise


def _make_backlog(settings: Settings) -> Union[MemoryBacklog, "FileBacklog"]:
    max_lines, max_bytes = settings.backlog_max_lines, settings.backlog_max_bytes
    # What is said here is said once: it does not count against the one line a minute.
    if settings.backlog and FileBacklog is not None:
        return FileBacklog(settings.backlog, _log.warning, max_lines, max_bytes)
    if settings.backlog:
        _log.warning("this Python has no sqlite3: what DataKit does not take is kept in memory only")
    return MemoryBacklog(min(max_lines, MEMORY_MAX_LINES), min(max_bytes, MEMORY_MAX_BYTES))


def _says_anything(report: Report) -> bool:
    return bool(report.delivered or report.replayed or report.dropped or report.size.lines)

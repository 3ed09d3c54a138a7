"""The lines of one of DataKit's categories: to DataKit, or to a backlog of their own and later to DataKit."""

import os
import time
from pathlib import Path
from typing import Callable, List, Union

from ..core.batches import BATCH_LINES
from ..core.datakit import DataKit, DataKitError
from ..core.delivery import METRIC, Category, Delivery
from ..core.health import Health
from ..core.host import own_host
from ..core.recent_lines import LOST_S, RecentLines
from ..core.replay import Replay
from .environment import Settings
from .failsafe import log_warning
from .memory_backlog import MEMORY_MAX_BYTES, MEMORY_MAX_LINES, MemoryBacklog

try:
    # At the top: a fork in the middle of an import leaves the child unable to import it.
    from .file_backlog import FileBacklog
except ImportError:  # a Python may be built without SQLite
    FileBacklog = None  # type: ignore[assignment, misc]

# One turn of replaying; calls wait meanwhile.
REPLAY_BUDGET_S = 0.2
# Until the next replay: after one that failed, doubled each time; after one that left nothing.
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REPLAY_EVERY_S = 60.0


class Channel(Delivery):
    """A delivery that knows when to replay and what to report. One thread at a time, except `try_keep()`.

    `say` takes one line for the operator, `sleep` may return early, `monotonic` times all pauses.
    """

    def __init__(
        self,
        settings: Settings,
        category: Category,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        before_replay: Callable[[str], str] = lambda line: line,
    ) -> None:
        self._waiting = _make_backlog(settings, category)
        host = own_host(settings.host)
        datakit = DataKit(settings.datakit_url, ca=settings.datakit_ca, adds_host=bool(host))
        super().__init__(
            datakit,
            self._waiting,
            say,
            sleep=sleep,
            category=category,
            monotonic=monotonic,
            on_taken=self._note_taken,
            before_replay=before_replay,
        )
        self.health = Health(
            self._waiting,
            settings.service_name,
            category="" if category is METRIC else category.name,
            tags={**settings.tags, "host": host},
        )
        self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = monotonic()
        self._recent = RecentLines(monotonic)
        self._recent_at_s = float("-inf")
        self._connections_known = 0
        self._lost: List[str] = []

    @property
    def stranded(self) -> List[str]:
        return [*self._lost, *super().stranded]

    def deliver(self, lines: List[str], counted: bool = True) -> bool:
        arrived = super().deliver(lines, counted)
        self._send_lost()
        self._expect_replay()
        return arrived

    def try_keep(self, lines: List[str]) -> bool:
        kept = super().try_keep(lines)
        self._expect_replay()
        return kept

    def is_settled(self) -> bool:
        """Whether every line is with DataKit or on the backlog; tries again with those that are not."""
        if self.stranded:
            self._replay()  # which begins with them
        return not self.stranded

    def run_due(self) -> None:
        """Replay, and check whether DataKit has lost lines, each if it is time."""
        if self._monotonic() >= self._replay_at_s:
            self._replay()
        if self._recent_due_in_s() <= 0:
            self._see_to_recent()

    def due_in_s(self) -> float:
        """Seconds until `run_due()` has something to do; 0 or less for now."""
        return min(self._replay_at_s - self._monotonic(), self._recent_due_in_s())

    def replay_memory(self) -> None:
        """Deliver the lines that would end with the process."""
        if self._waiting.lines_in_memory():
            self.replay(REPLAY_BUDGET_S)

    def report(self, every_s: float, send: Callable[[List[str]], object]) -> None:
        """Send the monitor's own points, for all processes that share the backlog, if there is news."""
        try:
            self.save_counts()
            # Held until it expires, so that one process makes one report in that time.
            if not self._waiting.acquire("report", max(1, int(every_s))):
                return
            unsent = self.health.unsent_lines()
            report = self.health.make(self.is_up)
            if unsent or report.says_anything():
                send(report.lines)
            self.health.sent()
        except Exception as error:
            self._say(f"the monitor's own report failed ({type(error).__name__})")

    def close(self) -> int:
        """How many lines end with this process."""
        try:
            self.save_counts()
            self._waiting.close()
        except Exception:
            pass  # the end of the process closes it
        self._datakit.close()
        return self._waiting.lines_in_memory()

    def _replay(self) -> None:
        self._replay_at_s = self._monotonic() + self._backoff_s
        # Looking is cheaper than the lock that a replay takes first.
        replay = Replay() if self._is_empty() else self.replay(REPLAY_BUDGET_S)
        if not replay.problem:
            wait_s = REPLAY_EVERY_S
            self.is_up = True  # a sister process may have delivered what this one could not
        elif replay.replayed and not replay.datakit_failed:
            wait_s = 0.0  # there is more
        else:
            wait_s = self._backoff_s
        if replay.datakit_failed:
            self._backoff_s = min(self._backoff_s * 2, LONGEST_BACKOFF_S)
        elif replay.replayed:
            self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = self._monotonic() + wait_s
        self._send_lost()

    # -- a DataKit that was stopped ------------------------------------------------------------------

    def _note_taken(self, lines: List[str]) -> None:
        # After a restart of DataKit, the connection is new, or writes have failed.
        if self.has_failed or self._datakit.connections != self._connections_known:
            self._find_lost()
        self._recent.add(lines)

    def _find_lost(self) -> bool:
        """Move recent lines that DataKit has lost to `_lost`. Returns whether that could be found out."""
        try:
            uptime_s = None if self._recent.is_empty() else self._datakit.ping().uptime_s
        except DataKitError as error:
            if error.status_code in (None, 429) or error.status_code >= 500:
                return False
            uptime_s = None  # it takes points but does not answer pings
        if uptime_s is not None:
            self._lost += self._recent.take_lost(uptime_s)
        self.has_failed, self._connections_known = False, self._datakit.connections
        return True

    def _see_to_recent(self) -> None:
        """Nothing was written for a while: by now, what DataKit took last is safe or lost."""
        self._recent_at_s = self._monotonic() + LOST_S
        if self._find_lost():
            self._recent.clear()
            self._send_lost()

    def _recent_due_in_s(self) -> float:
        if self._recent.is_empty():
            return float("inf")
        return max(LOST_S - self._recent.age_s(), self._recent_at_s - self._monotonic())

    def _send_lost(self) -> None:
        lost, self._lost = self._lost, []
        if lost:
            noun = self._category.noun
            self._say(f"DataKit was restarted: {len(lost)} {noun} of its last {LOST_S:.0f} s are sent again")
        for start in range(0, len(lost), BATCH_LINES):
            super().deliver(lost[start : start + BATCH_LINES], counted=False)

    def _expect_replay(self) -> None:
        """Replay soon if something is waiting."""
        soon_s = self._monotonic() + self._backoff_s
        if soon_s < self._replay_at_s and not self._is_empty():
            self._replay_at_s = soon_s

    def _is_empty(self) -> bool:
        """Whether nothing is waiting; False while that cannot be read."""
        try:
            return not self.stranded and not self._waiting.size().lines
        except Exception:
            return False


def backlog_path(settings: Settings, category: Category) -> Path:
    """The backlog's file; those of other categories than metrics are beside it."""
    path = Path(settings.backlog)
    return path if category is METRIC else path.with_name(f"{path.stem}-{category.name}{path.suffix}")


def has_backlog_file(settings: Settings, category: Category) -> bool:
    """Whether it exists and is visible."""
    if not settings.backlog or FileBacklog is None:
        return False
    return os.path.exists(backlog_path(settings, category))  # noqa: PTH110 - without an error, unlike Path


def _make_backlog(settings: Settings, category: Category) -> Union[MemoryBacklog, "FileBacklog"]:
    max_lines, max_bytes = settings.backlog_max_lines, settings.backlog_max_bytes
    # Each of these is logged once, and not counted against the one line a minute.
    if settings.backlog and FileBacklog is not None:
        path = str(backlog_path(settings, category))
        return FileBacklog(path, log_warning, max_lines, max_bytes)
    if settings.backlog and category is METRIC:
        log_warning("this Python has no sqlite3: points that DataKit does not take are kept in memory only")
    return MemoryBacklog(min(max_lines, MEMORY_MAX_LINES), min(max_bytes, MEMORY_MAX_BYTES))

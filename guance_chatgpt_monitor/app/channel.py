"""Lines of one of DataKit's categories: to DataKit, or to a backlog of its own and from there to DataKit."""

import os
import time
from pathlib import Path
from typing import Callable, List, Union

from ..core.datakit import DataKit
from ..core.delivery import METRIC, Category, Delivery
from ..core.health import Health
from ..core.replay import Replay
from .environment import Settings
from .failsafe import log_warning
from .memory_backlog import MEMORY_MAX_BYTES, MEMORY_MAX_LINES, MemoryBacklog

try:
    # Not where it is needed: a fork in the middle of an import leaves the child unable to import it.
    from .file_backlog import FileBacklog
except ImportError:  # a Python may be built without SQLite
    FileBacklog = None  # type: ignore[assignment, misc]

# One turn of replaying, while which calls wait.
REPLAY_BUDGET_S = 0.2
# From a replay that failed to the next, doubled each time; and from one that left nothing.
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
REPLAY_EVERY_S = 60.0


class Channel(Delivery):
    """A delivery that knows when to replay and what to report. One thread at a time, but for `try_keep()`.

    `say` takes one line for the operator, `sleep` may return early, `monotonic` is the clock of all pauses.
    """

    def __init__(
        self,
        settings: Settings,
        category: Category,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = _make_backlog(settings, category)
        datakit = DataKit(settings.datakit_url)
        super().__init__(datakit, self._waiting, say, sleep=sleep, category=category, monotonic=monotonic)
        self.health = Health(
            self._waiting, settings.service_name, category="" if category is METRIC else category.name
        )
        self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = monotonic()

    def deliver(self, lines: List[str], counted: bool = True) -> bool:
        arrived = super().deliver(lines, counted)
        self._expect_replay()
        return arrived

    def try_keep(self, lines: List[str]) -> bool:
        kept = super().try_keep(lines)
        self._expect_replay()
        return kept

    def is_settled(self) -> bool:
        """Whether every line is with DataKit or on the backlog; tries once more with those that are not."""
        if self.stranded:
            self._replay()  # which begins with them
        return not self.stranded

    def replay_if_due(self) -> None:
        if self._monotonic() >= self._replay_at_s:
            self._replay()

    def due_in_s(self) -> float:
        """When `replay_if_due()` has something to do; 0 or less for now."""
        return self._replay_at_s - self._monotonic()

    def replay_memory(self) -> None:
        """Deliver what would end with the process."""
        if self._waiting.lines_in_memory():
            self.replay(REPLAY_BUDGET_S)

    def report(self, every_s: float, send: Callable[[List[str]], object]) -> None:
        """Send the points on this channel, for all who share its backlog, if there is anything to say."""
        try:
            self.save_counts()
            # Kept until it expires: that makes one report in the time, whoever makes it.
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
            pass  # the end of the process closes it, too
        self._datakit.close()
        return self._waiting.lines_in_memory()

    def _replay(self) -> None:
        self._replay_at_s = self._monotonic() + self._backoff_s
        # The lock alone, which a replay takes first, is more work than to look.
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

    def _expect_replay(self) -> None:
        """Have a replay soon if something waits."""
        soon_s = self._monotonic() + self._backoff_s
        if soon_s < self._replay_at_s and not self._is_empty():
            self._replay_at_s = soon_s

    def _is_empty(self) -> bool:
        """Whether nothing waits; not while that cannot be told."""
        try:
            return not self.stranded and not self._waiting.size().lines
        except Exception:
            return False


def backlog_path(settings: Settings, category: Category) -> Path:
    """The backlog's file; that of another category than the metrics' stands beside it."""
    path = Path(settings.backlog)
    return path if category is METRIC else path.with_name(f"{path.stem}-{category.name}{path.suffix}")


def has_backlog_file(settings: Settings, category: Category) -> bool:
    """Whether there is one, and it can be seen."""
    if not settings.backlog or FileBacklog is None:
        return False
    return os.path.exists(backlog_path(settings, category))  # noqa: PTH110 - without an error, unlike Path


def _make_backlog(settings: Settings, category: Category) -> Union[MemoryBacklog, "FileBacklog"]:
    max_lines, max_bytes = settings.backlog_max_lines, settings.backlog_max_bytes
    # What is said here is said once: it does not count against the one line a minute.
    if settings.backlog and FileBacklog is not None:
        path = str(backlog_path(settings, category))
        return FileBacklog(path, log_warning, max_lines, max_bytes)
    if settings.backlog and category is METRIC:
        log_warning("this Python has no sqlite3: what DataKit does not take is kept in memory only")
    return MemoryBacklog(min(max_lines, MEMORY_MAX_LINES), min(max_bytes, MEMORY_MAX_BYTES))

"""Lines of one of DataKit's categories: to DataKit, or to a backlog of its own and from there to DataKit."""

import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Union

from ..core.datakit import DataKit, DataKitError
from ..core.delivery import BACKLOG_FULL, METRIC, Category, Delivery, Replay
from ..core.health import Health, Report
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


class Channel:
    """One thread at a time, but for `keep()`. Nothing raises for a DataKit or a backlog that is away.

    `say` takes one line for the operator, `sleep` may return early.
    """

    def __init__(
        self,
        settings: Settings,
        category: Category,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._say = say
        self._datakit = _WatchedDataKit(settings.datakit_url)
        self._backlog = _make_backlog(settings, category)
        self._memory: Dict[str, Any] = {}
        self._delivery = Delivery(
            self._datakit, self._backlog, say, self._memory, sleep=sleep, category=category
        )
        self._health = Health(
            self._backlog, settings.service_name, category="" if category is METRIC else category.name
        )
        self._dropped: Dict[str, int] = {}
        self._backoff_s = FIRST_BACKOFF_S
        self._replay_at_s = time.monotonic()

    @property
    def is_up(self) -> bool:
        """Whether the last write reached DataKit, or nothing is left of it."""
        return self._datakit.up

    def deliver(self, lines: List[str], counted: bool = True) -> None:
        """To DataKit, or to the backlog; `counted` as delivered, as the monitor's own points are not."""
        if lines:
            self._delivery.deliver(lines, counted)
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

    def count_unpriced(self, counts: Dict[str, int]) -> None:
        self._health.count_unpriced(counts)

    def replay_if_due(self) -> None:
        if time.monotonic() >= self._replay_at_s:
            self._replay()

    def due_in_s(self) -> float:
        """When `replay_if_due()` has something to do; 0 or less for now."""
        return self._replay_at_s - time.monotonic()

    def replay_memory(self) -> None:
        """Deliver what would end with the process."""
        if self._backlog.lines_in_memory():
            self._delivery.replay(REPLAY_BUDGET_S)

    def report(self, every_s: float, send: Callable[[List[str]], object]) -> None:
        """Send the points on this channel, for all who share its backlog, if there is anything to say."""
        try:
            self._save_dropped()
            # Kept until it expires: that makes one report in the time, whoever makes it.
            if not self._backlog.acquire("report", max(1, int(every_s))):
                return
            unsent = self._health.unsent_lines()
            report = self._health.make(self._datakit.up)
            if unsent or _says_anything(report):
                send(report.lines)
            self._health.sent()
        except Exception as error:
            self._say(f"the monitor's own report failed ({type(error).__name__})")

    def close(self) -> int:
        """How many lines end with this process."""
        try:
            self._save_dropped()
            self._backlog.close()
        except Exception:
            pass  # the end of the process closes it, too
        self._datakit.close()
        return self._backlog.lines_in_memory()

    def _replay(self) -> None:
        self._replay_at_s = time.monotonic() + self._backoff_s
        # The lock alone, which a replay takes first, is more work than to look.
        replay = Replay() if self._is_empty() else self._delivery.replay(REPLAY_BUDGET_S)
        if not replay.problem:
            wait_s = REPLAY_EVERY_S
            self._datakit.up = True  # a sister process may have delivered what this one could not
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
        if soon_s < self._replay_at_s and not self._is_empty():
            self._replay_at_s = soon_s

    def _is_empty(self) -> bool:
        """Whether nothing waits; not while that cannot be told."""
        try:
            return not self.stranded() and not self._backlog.size().lines
        except Exception:
            return False

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


def _says_anything(report: Report) -> bool:
    return bool(report.delivered or report.replayed or report.dropped or report.size.lines)

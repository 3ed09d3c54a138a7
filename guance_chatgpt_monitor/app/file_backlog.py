"""The backlog in one SQLite file, which any number of processes and threads share.

Once `push()` has returned, the lines survive the end of the process, however it ends: the operating system
has them. `synchronous=NORMAL` with a write-ahead log saves the disk a flush for each push; a power cut may
take the last seconds, but never damages the file.

SQLite forbids carrying a connection over a fork: it is closed before, and opened again on the next use in
either process.
"""

import os
import sqlite3
import threading
import time
import uuid
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, TypeVar

from ..core.backlog import MAX_BYTES, MAX_LINES, Backlog, Claim, Size, count_of_dropped
from ..core.delivery import BACKLOG_FULL
from .backlog_database import BacklogDatabase
from .file_ownership import check_is_ours
from .memory_backlog import MemoryBacklog

try:
    import fcntl
except ImportError:  # Windows, where a file that others have open cannot be renamed
    fcntl = None  # type: ignore[assignment]

# How long an operation waits for other processes, which lock the file for milliseconds at a time.
BUSY_WAIT_S = 0.5
LONGEST_PAUSE_S = 0.02
# How long until an unusable file (disk full, no permission) is tried again.
RETRY_S = 60.0
# How long a fork waits for another thread's operation.
FORK_WAIT_S = 1.0

T = TypeVar("T")


class FileBacklog(Backlog):
    """The backlog at `path`; folder and file are created on first use, for their owner alone.

    `say` takes a line for the operator, once for each kind. A damaged file is renamed to `PATH.damaged` and
    replaced by a new one. A file that other users own, can write or have linked is not used. While the file
    is unusable, lines are kept in memory, within the bounds of MemoryBacklog, and move to the file when it is
    usable again. The same holds, without a warning, while another process locks the file: that is waited for
    once, for BUSY_WAIT_S.
    """

    def __init__(
        self,
        path: str,
        say: Callable[[str], None],
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - a link stays a link
        self._say = say
        self._said: Set[str] = set()
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._start_over()
        _living.add(self)

    def push(self, lines: List[str]) -> int:
        return self._do(lambda place: place.push(lines))

    def claim(self, max_lines: int) -> Optional[Claim]:
        return self._do(lambda place: place.claim(max_lines))

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        return self._do(lambda place: place.settle(claim, n_lines, counts))

    def size(self) -> Size:
        return self._do(lambda place: place.size(), writes=False)

    def add(self, counts: Dict[str, int]) -> None:
        self._do(lambda place: place.add(counts))

    def totals(self) -> Dict[str, int]:
        return self._do(lambda place: place.totals(), writes=False)

    def load(self, name: str) -> str:
        return self._do(lambda place: place.load(name), writes=False)

    def save(self, name: str, text: str) -> None:
        self._do(lambda place: place.save(name, text))

    def acquire(self, name: str, expires_s: int) -> bool:
        return self._do(lambda place: place.acquire(name, expires_s))

    def release(self, name: str) -> None:
        self._do(lambda place: place.release(name))

    def lines_in_memory(self) -> int:
        """How many lines end with the process, because the file is unusable."""
        return self._memory.size().lines

    def close(self) -> None:
        """Move what is in memory to the file, if it is usable again, and close it. The next use opens it."""
        if self.lines_in_memory():
            self._retry_at_s = float("-inf")
            self._is_held = False  # waited for once more: else they end with the process
            self._do(lambda place: place.size())
        with self._locked():
            self._close()

    def _start_over(self) -> None:
        """Begin with nothing of the process that this one was forked from."""
        self._lock = threading.Lock()
        self._token = uuid.uuid4().hex
        self._file: Optional[BacklogDatabase] = None
        self._memory = MemoryBacklog()
        self._retry_at_s = float("-inf")
        self._is_held = False  # by another process, when it was last asked for

    # -- one operation -----------------------------------------------------------------------------

    def _do(self, work: Callable[[Backlog], T], writes: bool = True) -> T:
        # Not SQLite's own waiting, which would stop all greenlets of a gevent process.
        until_s = self._monotonic() + (0 if self._is_held else BUSY_WAIT_S)
        pause_s = 0.001
        may_set_aside = True
        while True:
            with self._locked():
                try:
                    done = work(self._place())
                    if writes:  # readers do not wait for writers
                        self._is_held = False
                    return done
                except (sqlite3.Error, OSError) as error:
                    if _is_busy(error):
                        if self._monotonic() >= until_s:
                            self._is_held = True
                            return work(self._memory)
                    elif _is_damage(error) and may_set_aside and self._set_aside():
                        may_set_aside = False
                    else:
                        self._give_up(error)
                        return work(self._memory)
            self._sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=BUSY_WAIT_S):
            raise sqlite3.OperationalError("database is locked by another thread")
        try:
            yield
        finally:
            self._lock.release()

    def _place(self) -> Backlog:
        """The file, or memory while the file is unusable."""
        if self._monotonic() < self._retry_at_s:
            return self._memory
        # Another process may have deleted it or set it aside.
        if self._file is not None and not self._file.is_in_place():
            self._close()
        if self._file is None:
            self._file = self._open()
        self._move_from_memory(self._file)
        return self._file

    def _open(self) -> BacklogDatabase:
        if _abandoned:
            raise sqlite3.NotSupportedError("this process was forked in the middle of a write")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_is_ours(self._path)
        with _folder_locked(self._path.parent):
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._rename_damaged()
                return self._connect()

    def _connect(self) -> BacklogDatabase:
        return BacklogDatabase(self._path, self._max_lines, self._max_bytes, self._token, self._clock)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _move_from_memory(self, file: BacklogDatabase) -> None:
        lines, totals = self._memory.take_all()
        if not lines and not totals:
            return
        try:
            dropped = file.put(lines, totals)
        except BaseException:
            self._memory.push(lines)
            self._memory.add(totals)
            raise
        if dropped:
            self._memory.add(count_of_dropped(BACKLOG_FULL, dropped))

    # -- what goes wrong ---------------------------------------------------------------------------

    def _give_up(self, error: Exception) -> None:
        self._close()
        self._retry_at_s = self._monotonic() + RETRY_S
        self._say_once(
            "unusable",
            f"the backlog {self._path} cannot be used ({error}): points that DataKit does not take are kept"
            " in memory only; set another file with the setting `backlog` (CHATGPT_MONITOR_BACKLOG)",
        )

    def _set_aside(self) -> bool:
        """Rename the damaged file, unless another process has. Returns whether a new one can be created."""
        damaged, self._file = self._file, None
        if damaged is None:
            return False
        try:
            with _folder_locked(self._path.parent):
                if damaged.is_in_place():
                    self._rename_damaged()
            return True
        except OSError:
            return False
        finally:
            damaged.close()

    def _rename_damaged(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            try:
                Path(f"{self._path}{suffix}").replace(f"{self._path}.damaged{suffix}")
            except FileNotFoundError:
                pass  # the two beside the file come and go
        self._say_once("damaged", f"the backlog {self._path} is damaged: renamed to .damaged and replaced")

    def _say_once(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._say(text)

    # -- fork --------------------------------------------------------------------------------------

    def rest(self) -> bool:
        """Close the connection until `wake()`. Returns whether that was possible in time."""
        if not self._lock.acquire(timeout=FORK_WAIT_S):
            return False
        self._close()
        return True

    def wake(self) -> None:
        """End `rest()`."""
        self._lock.release()

    def abandon(self, at_rest: bool) -> None:
        """Start over in a forked child. Inherited locks are replaced, never acquired."""
        if not at_rest:
            # Using it, or even closing it, could damage the file under the parent.
            _abandoned.append(self._file)
        self._start_over()


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Opening and setting aside exclude each other: the old file must not get the new one's companions.

    Raises BlockingIOError while another process does either.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_busy(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return "lock" in str(error)  # "database is locked", "locking protocol"
    return isinstance(error, BlockingIOError)


def _is_damage(error: Exception) -> bool:
    # "database disk image is malformed", "file is not a database": the class itself, not a subclass.
    return type(error) is sqlite3.DatabaseError


# -- fork ------------------------------------------------------------------------------------------

_living: "weakref.WeakSet[FileBacklog]" = weakref.WeakSet()
# Connections that a fork caught in the middle of a write: kept forever, since they must not be closed.
_abandoned: List[Any] = []
# Thread -> the backlogs that it has put to rest before its fork.
_at_rest: Dict[int, List[FileBacklog]] = {}


def _before_fork() -> None:
    _at_rest[threading.get_ident()] = [backlog for backlog in list(_living) if backlog.rest()]


def _after_fork_in_parent() -> None:
    for backlog in _at_rest.pop(threading.get_ident(), []):
        backlog.wake()


def _after_fork_in_child() -> None:
    at_rest = _at_rest.pop(threading.get_ident(), [])
    _at_rest.clear()
    for backlog in list(_living):
        backlog.abandon(backlog in at_rest)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )

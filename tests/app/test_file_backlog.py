"""The backlog in a file and in memory: real SQLite, real processes, real kills."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guance_chatgpt_monitor.app.backlog_database import SCHEMA_VERSION
from guance_chatgpt_monitor.app.file_backlog import BUSY_WAIT_S, RETRY_S, FileBacklog
from guance_chatgpt_monitor.app.memory_backlog import MEMORY_MAX_LINES, MemoryBacklog
from guance_chatgpt_monitor.core.backlog import Backlog, Claim
from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.delivery import Delivery
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534


def line(n: int) -> str:
    return f"openai,status=ok question=1.0 {n}"


def lines(start: int, stop: int) -> list[str]:
    return [line(n) for n in range(start, stop)]


class Clock:
    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s


def no_word(text: str) -> None:
    raise AssertionError(f"unexpected report: {text}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "backlog.sqlite3"


@pytest.fixture
def backlog(path: Path) -> Iterator[FileBacklog]:
    opened = FileBacklog(str(path), no_word)
    yield opened
    opened.close()


@pytest.fixture(params=["file", "memory"])
def make(request: pytest.FixtureRequest, path: Path) -> Callable[..., Backlog]:
    """Makes a backlog of the requested kind with these bounds."""

    def make_backlog(**bounds: int) -> Backlog:
        if request.param == "memory":
            return MemoryBacklog(**bounds)
        return FileBacklog(str(path), no_word, **bounds)  # type: ignore[arg-type]

    return make_backlog


def finish(backlog: Backlog, claim: Claim) -> None:
    """Settle all lines of a claim, and count nothing."""
    backlog.settle(claim, len(claim.lines), {})


def drain(backlog: Backlog, batch: int = 500) -> list[str]:
    drained: list[str] = []
    while True:
        claim = backlog.claim(batch)
        if claim is None:
            return drained
        drained += claim.lines
        finish(backlog, claim)


# -- what every backlog promises -------------------------------------------------------------------


def test_lines_come_back_oldest_first(make: Callable[..., Backlog]) -> None:
    backlog = make()
    assert backlog.push(lines(1, 4)) == 0
    assert backlog.push(lines(4, 6)) == 0
    first = backlog.claim(2)
    assert first is not None
    assert first.lines == lines(1, 3)
    assert backlog.size().lines == 5
    finish(backlog, first)
    assert backlog.size() == (3, sum(map(len, lines(3, 6))), 3)
    assert drain(backlog) == lines(3, 6)
    assert backlog.size() == (0, 0, 0)
    assert backlog.claim(10) is None


def test_an_unfinished_claim_is_claimed_again(make: Callable[..., Backlog]) -> None:
    backlog = make()
    backlog.push(lines(1, 10))
    claim = backlog.claim(3)
    assert backlog.claim(500) == claim
    assert claim is not None
    finish(backlog, claim)
    finish(backlog, claim)  # the process believed dead finishes it too
    assert drain(backlog) == lines(4, 10)


def test_the_oldest_lines_are_evicted_beyond_the_line_bound(make: Callable[..., Backlog]) -> None:
    backlog = make(max_lines=10)
    assert backlog.push(lines(1, 9)) == 0
    assert backlog.push(lines(9, 14)) == 3
    assert backlog.push(lines(100, 200)) == 100
    assert drain(backlog) == lines(190, 200)
    assert backlog.size() == (0, 0, 0)


def test_the_oldest_lines_are_evicted_beyond_the_byte_bound(make: Callable[..., Backlog]) -> None:
    wide = "openai,model=模型 question=1.0 7"
    backlog = make(max_bytes=2 * len(line(1)) + len(wide.encode()))
    assert backlog.push([*lines(1, 4), wide]) == 1
    assert drain(backlog) == [*lines(2, 4), wide]
    assert backlog.size() == (0, 0, 0)


def test_claimed_lines_are_not_evicted(make: Callable[..., Backlog]) -> None:
    backlog = make(max_lines=5)
    backlog.push(lines(1, 6))
    claim = backlog.claim(2)
    assert backlog.push(lines(6, 9)) == 3
    assert backlog.claim(500) == claim
    assert drain(backlog) == lines(1, 3) + lines(6, 9)


def test_lines_are_settled_from_the_front_and_counted(make: Callable[..., Backlog]) -> None:
    backlog = make()
    backlog.push(lines(1, 11))
    claim = backlog.claim(6)
    assert claim is not None
    rest = backlog.settle(claim, 2, {"replayed": 2})
    assert rest.lines == lines(3, 7)
    assert backlog.size() == (8, sum(map(len, lines(3, 11))), 3)
    assert backlog.totals() == {"replayed": 2}
    rest = backlog.settle(rest, 1, {"dropped:too_old": 1})
    taken_over = backlog.claim(500)
    assert taken_over is not None
    assert taken_over.lines == rest.lines == lines(4, 7)
    assert backlog.settle(taken_over, 3, {"replayed": 3}).lines == []
    assert backlog.totals() == {"replayed": 5, "dropped:too_old": 1}
    assert drain(backlog) == lines(7, 11)
    assert backlog.size() == (0, 0, 0)


def test_counters_and_strings_are_kept(make: Callable[..., Backlog]) -> None:
    backlog = make()
    assert backlog.totals() == {}
    backlog.add({"delivered": 3, "dropped:too_old": 1})
    backlog.add({"delivered": 2})
    assert backlog.totals() == {"delivered": 5, "dropped:too_old": 1}
    assert backlog.load("last_report") == ""
    backlog.save("last_report", "first")
    backlog.save("last_report", '{"totals": {}}')
    assert backlog.load("last_report") == '{"totals": {}}'


def test_threads_share_a_backlog(make: Callable[..., Backlog]) -> None:
    backlog = make()

    def push(start: int) -> None:
        for n in range(start, start + 20):
            backlog.push([line(n)])
            backlog.add({"delivered": 1})

    threads = [threading.Thread(target=push, args=(1 + 100 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backlog.totals() == {"delivered": 120}
    assert len(set(drain(backlog))) == 120


# -- the file --------------------------------------------------------------------------------------


def test_everything_survives_a_restart(path: Path) -> None:
    first = FileBacklog(str(path), no_word)
    first.push(lines(1, 600))
    first.add({"delivered": 7})
    first.save("down_until_s", "1.5")
    first.claim(500)
    first.close()
    second = FileBacklog(str(path), no_word)
    assert second.size().lines == 599
    assert second.totals() == {"delivered": 7}
    assert second.load("down_until_s") == "1.5"
    assert drain(second) == lines(1, 600)


def test_the_folder_and_its_files_are_private(backlog: FileBacklog, path: Path) -> None:
    backlog.push(lines(1, 3))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [path.name, f"{path.name}-shm", f"{path.name}-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_lock_has_one_owner_until_it_is_released_or_expires(path: Path) -> None:
    clock = Clock()
    one, other = (FileBacklog(str(path), no_word, clock=clock) for _ in range(2))
    assert one.acquire("replay", 30)
    assert not other.acquire("replay", 30)
    assert other.acquire("trial", 30)
    other.release("replay")
    assert not other.acquire("replay", 30)
    clock.now_s += 29
    assert one.acquire("replay", 30)
    clock.now_s += 29
    assert not other.acquire("replay", 30)
    clock.now_s += 2
    assert other.acquire("replay", 30)
    assert not one.acquire("replay", 30)
    other.release("replay")
    assert one.acquire("replay", 30)
    clock.now_s -= 3600  # a clock set back blocks nobody
    assert other.acquire("replay", 30)


def test_a_claim_is_not_taken_over_while_its_owner_holds_the_lock(path: Path) -> None:
    clock = Clock()
    now = [f"openai question=1.0 {int(clock.now_s * 1e9) + n}" for n in range(10)]
    one, other = (FileBacklog(str(path), no_word, clock=clock) for _ in range(2))
    one.push(now)
    assert one.acquire("replay", 30)
    claim = one.claim(4)
    assert claim is not None
    with LocalDataKit() as datakit:
        replay = Delivery(DataKit(datakit.url), other, no_word, clock=clock).replay(5)
        assert (replay.replayed, replay.problem) == (0, "another replay is under way")
        clock.now_s += 31  # the owner is stuck or dead
        assert Delivery(DataKit(datakit.url), other, no_word, clock=clock).replay(5).replayed == 10
        finish(one, claim)
        assert datakit.count() == 10
    assert one.size() == (0, 0, 0)


def test_lines_settled_twice_are_counted_once(path: Path) -> None:
    """One process was so slow that another took over its claim; then it resumes."""
    slow, fast = (FileBacklog(str(path), no_word) for _ in range(2))
    slow.push(lines(1, 11))
    claims = slow.claim(8), fast.claim(8)
    assert claims[0] == claims[1]
    assert claims[0] is not None
    fast_rest = fast.settle(claims[0], 4, {"replayed": 4})
    slow_rest = slow.settle(claims[0], 3, {"replayed": 3})
    assert slow.totals() == {"replayed": 4}
    slow_rest = slow.settle(slow_rest, 3, {"replayed": 3})
    assert slow.totals() == {"replayed": 6}
    fast.settle(fast_rest, 4, {"replayed": 4})
    slow.settle(slow_rest, 2, {"replayed": 2})
    assert slow.totals() == {"replayed": 8}
    assert drain(slow) == lines(9, 11)


def test_a_full_backlog_evicts_its_oldest_lines(backlog: FileBacklog) -> None:
    for start in range(0, 100_000, 10_000):
        backlog.push(lines(start, start + 10_000))
    assert backlog.size().lines == 100_000
    assert backlog.push(lines(100_000, 100_500)) == 500
    claim = backlog.claim(500)
    assert claim is not None
    assert claim.lines == lines(500, 1000)
    finish(backlog, claim)
    assert backlog.size().lines == 99_500


def test_a_deleted_file_is_created_again(backlog: FileBacklog, path: Path) -> None:
    backlog.push(lines(1, 3))
    for file in path.parent.iterdir():
        file.unlink()
    backlog.push(lines(3, 5))
    other = FileBacklog(str(path), no_word)
    assert drain(other) == lines(3, 5)


# -- several processes -----------------------------------------------------------------------------

PUSHER = """
import sys
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
path, first, batches, size = sys.argv[1], *map(int, sys.argv[2:])
backlog = FileBacklog(path, print)
for n in range(first, first + batches * size, size):
    backlog.push([f"openai,status=ok question=1.0 {k}" for k in range(n, n + size)])
    backlog.add({"delivered": size})
    print(n + size, flush=True)
"""


def start(code: str, *args: object, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)


@pytest.mark.slow
def test_processes_share_the_file(path: Path) -> None:
    processes = [start(PUSHER, path, 1 + 10_000 * n, 40, 25) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    backlog = FileBacklog(str(path), no_word)
    assert backlog.totals() == {"delivered": 4000}
    assert backlog.size().lines == 4000
    pushed = {line(n + 10_000 * k) for k in range(4) for n in range(1, 1001)}
    assert set(drain(backlog)) == pushed


@pytest.mark.slow
def test_a_killed_process_loses_nothing_it_had_pushed(path: Path) -> None:
    """Two push endlessly and are killed at a random moment; each batch is there as a whole or not at all."""
    pushed: dict[int, int] = {}
    for round_ in range(4):
        firsts = [1 + 10_000_000 * (2 * round_ + n) for n in range(2)]
        processes = [start(PUSHER, path, first, 10_000, 50) for first in firsts]
        for process, first in zip(processes, firsts):
            assert process.stdout is not None
            for _ in range(3 + 4 * round_):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
            pushed[first] = int(rest[-1]) if rest else first + 50 * (3 + 4 * round_)
            process.wait()
    backlog = FileBacklog(str(path), no_word, max_lines=10_000_000)
    found = [int(text.rsplit(" ", 1)[1]) for text in drain(backlog)]
    for first, end in pushed.items():
        own = [n for n in found if first <= n < first + 10_000_000]
        assert own == list(range(first, own[-1] + 1))
        assert own[-1] + 1 in (end, end + 50)  # killed between a push and its acknowledgement
    assert len(found) == len(set(found))


CLAIMER = """
import sys
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
backlog = FileBacklog(sys.argv[1], print)
backlog.acquire("replay", 30)
print(len(backlog.claim(500).lines), flush=True)
sys.stdin.read()
"""


def test_the_claim_of_a_killed_process_is_taken_over(backlog: FileBacklog, path: Path) -> None:
    backlog.push(lines(1, 1001))
    with start(CLAIMER, path, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "500\n"
        assert not backlog.acquire("replay", 30)
        process.kill()
    assert backlog.size().lines == 1000
    assert drain(backlog) == lines(1, 1001)


def test_closing_waits_for_a_locked_file(path: Path) -> None:
    clock = Clock()
    waited: list[float] = []

    def sleep(pause_s: float) -> None:
        clock.now_s += pause_s
        waited.append(pause_s)
        if len(waited) > n_before:
            holder.execute("ROLLBACK")

    n_before = 1_000_000
    backlog = FileBacklog(str(path), no_word, monotonic=clock, sleep=sleep)
    backlog.push(lines(1, 2))
    holder = sqlite3.connect(str(path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    backlog.push(lines(2, 4))
    n_before = len(waited)
    backlog.close()
    holder.close()
    assert backlog.lines_in_memory() == 0
    assert drain(FileBacklog(str(path), no_word)) == lines(1, 4)


def test_memory_takes_over_while_another_process_locks_the_file(path: Path) -> None:
    clock = Clock()
    backlog = FileBacklog(str(path), no_word, monotonic=clock, sleep=clock.sleep)
    backlog.push(lines(1, 3))
    holder = sqlite3.connect(str(path), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started_s = clock()
    for n in range(3, 53):
        assert backlog.push([line(n)]) == 0
        backlog.add({"delivered": 1})
    assert BUSY_WAIT_S <= clock() - started_s < 2 * BUSY_WAIT_S  # waited for once, not a hundred times
    assert backlog.lines_in_memory() == 50
    holder.execute("ROLLBACK")
    holder.close()
    backlog.push(lines(53, 54))
    assert backlog.lines_in_memory() == 0
    assert backlog.totals() == {"delivered": 50}
    assert drain(backlog) == lines(1, 54)


# -- fork ------------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child, and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def succeeded(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_parent_and_forked_child_can_use_the_same_object(backlog: FileBacklog) -> None:
    backlog.push(lines(1, 3))
    assert backlog.acquire("replay", 30)

    def work() -> None:
        backlog.push(lines(100, 103))
        assert not backlog.acquire("replay", 30)  # the lock is the parent's

    child = in_child(work)
    backlog.push(lines(3, 5))
    assert succeeded(child)
    assert sorted(drain(backlog)) == sorted(lines(1, 5) + lines(100, 103))


# Prints how many lines the thread has pushed.
FORKS = """
import os, sys, threading
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
backlog = FileBacklog(sys.argv[1], print)
stop = threading.Event()
pushed = []

def push():
    while not stop.is_set():
        backlog.push([f"openai,status=ok question=1.0 {len(pushed) + 1}"])
        pushed.append(1)

thread = threading.Thread(target=push)
thread.start()
for round_ in range(10):
    children = []
    for n in range(3):
        first = 1_000_000 + 30 * round_ + 10 * n
        child = os.fork()
        if not child:
            failed = True
            try:
                backlog.push([f"openai,status=ok question=1.0 {k}" for k in range(first, first + 10)])
                failed = False
            finally:
                os._exit(failed)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
stop.set()
thread.join()
backlog.close()
print(len(pushed))
"""


@pytest.mark.slow
def test_forks_lose_nothing_while_another_thread_pushes(path: Path) -> None:
    # In the process of the tests, which is large, each fork would take a tenth of a second.
    environment = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # about fork and threads
    with start(FORKS, path, env=environment, stderr=subprocess.PIPE) as process:
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    found = drain(FileBacklog(str(path), no_word))
    assert set(found) == set(lines(1, int(said) + 1) + lines(1_000_000, 1_000_300))
    assert len(found) == len(set(found))
    with sqlite3.connect(str(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_child_forked_in_the_middle_of_a_write_uses_memory(path: Path) -> None:
    """The write hangs for longer than a fork waits."""
    said: list[str] = []
    hanging, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        hanging.set()
        go_on.wait(30)
        return time.time()

    backlog = FileBacklog(str(path), said.append, clock=clock)
    thread = threading.Thread(target=backlog.acquire, args=("replay", 30))
    thread.start()
    assert hanging.wait(10)

    def work() -> None:
        go_on.set()
        other = FileBacklog(str(path), said.append)
        other.push(lines(1, 3))
        assert other.lines_in_memory() == 2
        assert "forked in the middle" in said[0]

    child = in_child(work)
    go_on.set()
    thread.join()
    assert succeeded(child)
    backlog.push(lines(1, 3))
    assert drain(backlog) == lines(1, 3)
    assert said == []


# -- who can read the file, and what stays in it --------------------------------------------------


def made_unsafe(path: Path, how: str) -> None:
    """Make a backlog that others could read or change."""
    made = FileBacklog(str(path), no_word)
    made.push(lines(1, 3))
    made.close()
    if how == "a link":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    elif how == "a hard link":
        os.link(path, path.with_name("elsewhere"))
    elif how == "a link beside it":
        Path(f"{path}-wal").symlink_to(path.with_name("elsewhere"))
    elif how == "others can write it":
        path.chmod(0o666)
    elif how == "others can write its folder":
        path.parent.chmod(0o777)
    elif how == "another user's":
        os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize(
    "how",
    [
        "a link",
        "a hard link",
        "a link beside it",
        "others can write it",
        "others can write its folder",
        pytest.param(
            "another user's",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root can give files away"),
        ),
    ],
)
def test_a_file_that_others_control_is_not_used(path: Path, how: str) -> None:
    made_unsafe(path, how)
    said: list[str] = []
    backlog = FileBacklog(str(path), said.append)
    backlog.push(lines(3, 5))
    assert backlog.lines_in_memory() == 2
    assert len(said) == 1
    assert "cannot be used" in said[0]
    assert "kept in memory" in said[0]
    assert drain(backlog) == lines(3, 5)


def test_a_file_that_others_can_read_is_made_private(path: Path) -> None:
    FileBacklog(str(path), no_word).push(lines(1, 3))
    path.chmod(0o644)
    backlog = FileBacklog(str(path), no_word)
    assert backlog.size().lines == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_delivered_lines_leave_no_trace_in_the_files(backlog: FileBacklog, path: Path) -> None:
    backlog.push([f'openai answer="private-{n}" {n}' for n in range(20_000)])
    size = path.stat().st_size + Path(f"{path}-wal").stat().st_size
    assert size > 100_000
    drain(backlog, 5000)
    for file in path.parent.iterdir():
        assert b"private" not in file.read_bytes()
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < size / 10


def test_a_lowered_bound_is_reached_in_steps(path: Path) -> None:
    FileBacklog(str(path), no_word).push(lines(0, 5000))
    lowered = FileBacklog(str(path), no_word, max_lines=100)
    dropped = [lowered.push([line(5000 + n)]) for n in range(6)]
    assert dropped == [1001, 1001, 1001, 1001, 901, 1]
    assert drain(lowered)[-1] == line(5005)


# -- a file that cannot be used --------------------------------------------------------------------


def test_a_file_that_is_not_a_database_is_set_aside(path: Path) -> None:
    said: list[str] = []
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 1000)
    backlog = FileBacklog(str(path), said.append)
    backlog.push(lines(1, 3))
    assert Path(f"{path}.damaged").read_bytes().startswith(b"not a database")
    assert len(said) == 1
    assert "damaged" in said[0]
    assert str(path) in said[0]
    backlog.close()
    assert drain(FileBacklog(str(path), no_word)) == lines(1, 3)


def test_a_file_damaged_while_two_use_it_is_set_aside_once(path: Path) -> None:
    said: list[str] = []
    one, other = (FileBacklog(str(path), said.append) for _ in range(2))
    one.push(lines(1, 5000))
    other.push(lines(5000, 5001))
    one.close()
    other.close()
    one.size(), other.size()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    one.push(lines(6000, 6002))
    other.push(lines(6002, 6004))
    one.push(lines(6004, 6006))
    assert len(said) == 1
    assert sorted(file.name for file in path.parent.glob("*.damaged")) == [f"{path.name}.damaged"]
    one.close()
    other.close()
    assert drain(FileBacklog(str(path), no_word)) == lines(6000, 6006)


@pytest.mark.parametrize("foreign", ["another version", "another application"])
def test_another_programs_file_is_not_touched(path: Path, foreign: str) -> None:
    said: list[str] = []
    if foreign == "another version":
        made = FileBacklog(str(path), no_word)
        made.push(lines(1, 3))
        made.close()
    path.parent.mkdir(exist_ok=True)
    with sqlite3.connect(str(path)) as connection:
        if foreign == "another version":
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        else:
            connection.execute("CREATE TABLE lines (mine TEXT)")
    connection.close()
    before = path.read_bytes()
    backlog = FileBacklog(str(path), said.append)
    backlog.push(lines(1, 3))
    assert drain(backlog) == lines(1, 3)
    assert path.read_bytes() == before
    assert len(said) == 1
    assert {"another version": "version", "another application": "another program"}[foreign] in said[0]


def test_an_unusable_place_is_reported_once_and_memory_takes_over(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "file").write_text("in the way")
    backlog = FileBacklog(str(tmp_path / "file" / "backlog.sqlite3"), said.append)
    assert backlog.push(lines(1, 4)) == 0
    backlog.add({"delivered": 3})
    assert backlog.acquire("replay", 30)
    assert backlog.lines_in_memory() == 3
    assert backlog.totals() == {"delivered": 3}
    assert drain(backlog) == lines(1, 4)
    assert len(said) == 1
    assert "CHATGPT_MONITOR_BACKLOG" in said[0]
    assert backlog.push(lines(0, MEMORY_MAX_LINES + 7)) == 7


def test_the_file_is_used_again_once_it_can_be(tmp_path: Path) -> None:
    said: list[str] = []
    clock = Clock()
    in_the_way = tmp_path / "state"
    in_the_way.write_text("in the way")
    path = in_the_way / "backlog.sqlite3"
    backlog = FileBacklog(str(path), said.append, monotonic=clock)
    backlog.push(lines(1, 4))
    backlog.add({"delivered": 3})
    claim = backlog.claim(2)
    assert claim is not None
    in_the_way.unlink()
    backlog.push(lines(4, 6))
    assert backlog.lines_in_memory() == 5
    clock.now_s += RETRY_S
    backlog.push(lines(6, 8))
    assert backlog.lines_in_memory() == 0
    finish(backlog, claim)  # its lines have moved to the file, and are delivered again
    backlog.close()
    other = FileBacklog(str(path), no_word)
    assert other.totals() == {"delivered": 3}
    assert drain(other) == lines(1, 8)
    assert len(said) == 1


FULL_DISK = """
import resource, sys
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
backlog = FileBacklog(sys.argv[1], lambda text: print("said:", text))
backlog.push(["openai question=1.0 1"])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for n in range(2, 5002, 500):
    backlog.push([f"openai question=1.0 {k}" for k in range(n, n + 500)])
print("in memory:", backlog.lines_in_memory() > 0)
backlog.close()
"""


def test_a_full_disk_loses_nothing_already_kept(path: Path) -> None:
    """Simulated by a limit on the size of files, which to SQLite looks the same."""
    with start(FULL_DISK, path, stderr=subprocess.PIPE) as process:
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert output.count("said:") == 1
    assert "in memory: True" in output
    found = drain(FileBacklog(str(path), no_word))
    assert found == lines_of_full_disk(len(found))
    assert 1 <= len(found) < 5001


def lines_of_full_disk(n: int) -> list[str]:
    return [f"openai question=1.0 {k}" for k in range(1, n + 1)]


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root can become another user")
def test_a_missing_permission_is_reported_once_and_memory_takes_over(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from guance_chatgpt_monitor.app.file_backlog import FileBacklog\n"
        f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "backlog = FileBacklog(sys.argv[1], print)\n"
        "backlog.push(['openai question=1.0 1', 'openai question=1.0 2'])\n"
        "print(backlog.lines_in_memory())\n"
    )
    with start(code, tmp_path / "state" / "backlog.sqlite3") as process:
        output = process.communicate(timeout=30)[0].splitlines()
    assert len(output) == 2
    assert "Permission denied" in output[0]
    assert output[1] == "2"
    assert list(tmp_path.iterdir()) == []


def test_a_claim_outlives_its_object(path: Path) -> None:
    first = FileBacklog(str(path), no_word)
    first.push(lines(1, 4))
    claim = first.claim(2)
    del first
    second = FileBacklog(str(path), no_word)
    assert claim is not None
    finish(second, Claim(claim.claim_id, claim.lines))
    assert drain(second) == lines(3, 4)

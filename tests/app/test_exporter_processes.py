"""The exporter when processes end, fork or are killed: real processes, on the supported Pythons."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import interpreters
import pytest
import requests
from exporting import WAIT_S, WatchedDataKit, stamps_in
from preloaded import SDK, Done, Program, preloaded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = Path(__file__).resolve().parent.parent

IMPORTS = """
import os, sys, time
sys.modules["genai_prices"] = None  # its import is half of what such a program takes
from exporting import Observed, submit
from guance_chatgpt_monitor.app.exporter import Exporter, get_exporter
from guance_chatgpt_monitor.app.environment import Settings
"""
# Every program gets DataKit and backlog from the environment, and prints the calls it submits.
PROLOGUE = f"""{IMPORTS}

def made(stamps):
    os.write(1, "".join("%d\\n" % stamp for stamp in stamps).encode())

exporter = get_exporter()
"""


@pytest.fixture
def datakit() -> Iterator[WatchedDataKit]:
    with WatchedDataKit() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "backlog.sqlite3"


@pytest.fixture(params=["this", "oldest", "newest"])
def python(request: pytest.FixtureRequest) -> str:
    return {
        "this": interpreters.current,
        "oldest": lambda: interpreters.with_packages(interpreters.OLDEST),
        "newest": lambda: interpreters.with_packages(interpreters.newest()),
    }[request.param]()


def environment(datakit: WatchedDataKit, path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(path.parent.parent),  # where gunicorn leaves a file
        "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # about fork and threads
        "CHATGPT_MONITOR_DATAKIT_URL": datakit.url,
        "CHATGPT_MONITOR_BACKLOG": str(path),
        "CHATGPT_MONITOR_SERVICE_NAME": "tested",
    }


def start(
    code: str, datakit: WatchedDataKit, path: Path, python: str = sys.executable, imports: str = IMPORTS
) -> Program:
    """Start a program in a process where `imports` were executed, and nothing else."""
    as_in_environment = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
    whole = as_in_environment + PROLOGUE + code
    return preloaded(imports, python).start(whole, environment(datakit, path))


def start_anew(
    code: str, datakit: WatchedDataKit, path: Path, python: str = sys.executable
) -> "subprocess.Popen[str]":
    """Start a Python of its own."""
    return subprocess.Popen(
        [python, "-c", code],
        env=environment(datakit, path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    code: str, datakit: WatchedDataKit, path: Path, python: str = sys.executable, imports: str = IMPORTS
) -> list[int]:
    """Return the calls a program made; it must exit with 0 and report only that DataKit is unreachable."""
    return calls_of(start(code, datakit, path, python, imports).communicate())


def run_anew(
    code: str, datakit: WatchedDataKit, path: Path, python: str = sys.executable, first: str = ""
) -> list[int]:
    """The same in a Python of its own; `first` runs before anything is imported."""
    process = start_anew(first + PROLOGUE + code, datakit, path, python)
    try:
        output, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return calls_of(Done(process.returncode, output, errors))


def calls_of(done: Done) -> list[int]:
    said = [text for text in done.stderr.splitlines() if "wait in the backlog" not in text]
    assert (done.returncode, said) == (0, [])
    return [int(text) for text in done.stdout.split()]


# -- the end of a process --------------------------------------------------------------------------

# Registered before our exit handler, so called after it. We promise 2 s; a busy machine may need more.
TIMED = """
import atexit
def check():
    elapsed_s = time.monotonic() - ended_s
    if elapsed_s > 20.0:
        sys.stderr.write("the exit took %%.2f s" %% elapsed_s)
atexit.register(check)
made(submit(exporter, %d))
ended_s = time.monotonic()
"""


def test_a_normal_exit_delivers(datakit: WatchedDataKit, path: Path) -> None:
    assert run(TIMED % 200, datakit, path) == datakit.stamps()
    assert stamps_in(path) == []


def test_an_exit_with_datakit_down_is_quick_and_loses_nothing(
    datakit: WatchedDataKit, path: Path, python: str
) -> None:
    datakit.stop()
    stamps = run(TIMED % 9999, datakit, path, python)
    assert len(stamps) == 9999
    # A batch may be there twice: the thread was writing it when the exit took over.
    assert sorted(set(stamps_in(path))) == stamps


def test_an_exit_with_datakit_hanging_is_quick_and_loses_nothing(datakit: WatchedDataKit, path: Path) -> None:
    datakit.mode = "hang"
    stamps = run(TIMED % 3000, datakit, path)
    assert sorted(set(stamps_in(path))) == stamps


def test_an_exit_by_an_exception_delivers(datakit: WatchedDataKit, path: Path) -> None:
    process = start("made(submit(exporter, 5)); raise SystemExit(7)", datakit, path)
    done = process.communicate()
    assert done.returncode == 7
    assert [int(text) for text in done.stdout.split()] == datakit.stamps()


@pytest.mark.parametrize(("n_before", "mode"), [(2, "hang"), (0, "")])
def test_a_call_that_ends_with_the_interpreter_is_not_lost(
    datakit: WatchedDataKit, path: Path, python: str, n_before: int, mode: str
) -> None:
    datakit.mode = mode or None
    code = """
from guance_chatgpt_monitor import observe
def answer():
    with observe():
        yield "a"
words, others = answer(), answer()
next(words), next(others)  # the rest is never read
made(submit(exporter, %d))
"""
    run(code % n_before, datakit, path, python)
    arrived = [*datakit.stamps(), *stamps_in(path)]
    assert len(set(arrived)) == 2 + n_before
    assert not mode or not datakit.stamps()


@pytest.mark.parametrize(("n_before", "mode"), [(0, ""), (2, ""), (2, "hang")])
def test_calls_in_exit_handlers_are_not_lost(
    datakit: WatchedDataKit, path: Path, n_before: int, mode: str
) -> None:
    datakit.mode = mode or None
    code = f"""
from openai import OpenAI
from guance_chatgpt_monitor import monitor
atexit.register(lambda: made(submit(exporter, 1)))
monitor(OpenAI(api_key="sk-none"))
atexit.register(lambda: made(submit(exporter, 1)))
made(submit(exporter, {n_before}))
atexit.register(lambda: made(submit(exporter, 1)))
ended_s = time.monotonic()
"""
    stamps = run(TIMED % 0 + code, datakit, path, imports=IMPORTS + SDK)
    assert len(stamps) == n_before + 3
    assert set(stamps) == {*datakit.stamps(), *stamps_in(path)}


# The second signal arrives while the exit waits for the thread, or saves what the thread left behind.
ENDS_TWICE = """
import signal, threading
def end(*_):
    os.write(2, b"ending\\n")
    sys.exit(0)
signal.signal(signal.SIG%(sent)s, end)

class Ending(Observed):
    sent = False
    def to_call(self):
        on_thread = threading.current_thread() is not threading.main_thread()
        while %(on_thread)s and on_thread and not exporter.is_shut_down:
            time.sleep(0.001)
        if on_thread is %(on_thread)s and not Ending.sent:
            Ending.sent = True
            os.kill(os.getpid(), signal.SIG%(sent)s)
        return super().to_call()

class Stuck(Observed):
    def to_call(self):
        while not Ending.sent:
            time.sleep(0.001)
        return super().to_call()

if not %(on_thread)s:
    exporter.submit(Stuck())
    made(submit(exporter, 50))
stamp = time.time_ns() // 1000 * 1000
exporter.submit(Ending(stamp))
made([stamp])
made(submit(exporter, 50))
os.kill(os.getpid(), signal.SIG%(sent)s)
"""


@pytest.mark.parametrize("on_thread", [True, False], ids=["while it waits", "while it saves"])
@pytest.mark.parametrize("sent", ["INT", "TERM"])
def test_a_second_signal_during_the_exit_loses_nothing(
    datakit: WatchedDataKit, path: Path, sent: str, on_thread: bool
) -> None:
    datakit.mode = "hang"
    done = start(ENDS_TWICE % {"sent": sent, "on_thread": on_thread}, datakit, path).communicate()
    assert done.stderr.count("ending\n") == 2
    stamps = [int(text) for text in done.stdout.split()]
    assert len(stamps) == (51 if on_thread else 101)
    assert set(stamps) <= set(stamps_in(path))


def test_a_signal_blocked_by_the_application_stays_blocked(datakit: WatchedDataKit, path: Path) -> None:
    code = """
import signal
made(submit(exporter, 1))
exporter.flush(20)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(os.getpid(), signal.SIGUSR1)
assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
"""
    assert len(run(code, datakit, path)) == 1


def test_greenlets_are_left_with_no_signal_blocked(datakit: WatchedDataKit, path: Path) -> None:
    code = """
import gevent, signal
def end():
    exporter.shutdown()
    made(submit(exporter, 1))
gevent.joinall([gevent.spawn(lambda: made(submit(exporter, 1))), gevent.spawn(end)], raise_error=True)
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
exporter.shutdown()
os._exit(0)  # skips the complaints of gevent and urllib3 at exit, which are not ours
"""
    assert len(run_anew(code, datakit, path, first=PATCH + "\n")) == 2


def test_daemon_threads_that_keep_calling_do_not_delay_the_exit(datakit: WatchedDataKit, path: Path) -> None:
    datakit.mode = "slow:0.1"
    code = """
import threading
from openai import OpenAI
from guance_chatgpt_monitor import monitor
atexit.register(lambda: exporter.submit(Observed()))
monitor(OpenAI(api_key="sk-none"))
def call():
    while True:
        exporter.submit(Observed())
        time.sleep(0.04)
for _ in range(8):
    threading.Thread(target=call, daemon=True).start()
ended_s = time.monotonic()
"""
    run(TIMED % 1 + code, datakit, path, imports=IMPORTS + SDK)


def test_lines_in_memory_move_to_the_file_once_it_works_again(datakit: WatchedDataKit, path: Path) -> None:
    datakit.stop()
    code = """
import resource
free, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a disk that is full
made(submit(exporter, 30))
exporter.flush(20)
resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
made(submit(exporter, 30))
"""
    done = start(code, datakit, path).communicate()
    assert done.returncode == 0
    assert "cannot be used" in done.stderr
    assert "end with this process" not in done.stderr
    stamps = [int(text) for text in done.stdout.split()]
    assert set(stamps) == set(stamps_in(path))


def test_an_exit_causes_no_warning_under_strict_python(
    datakit: WatchedDataKit, path: Path, python: str
) -> None:
    first = "import warnings; warnings.simplefilter('error')\n"
    code = "made(submit(exporter, 3)); exporter.flush(20); made(submit(exporter, 3))"
    stamps = run_anew(code, datakit, path, python, first)
    assert datakit.stamps() == stamps


def test_waiting_calls_are_delivered_after_a_restart(datakit: WatchedDataKit, path: Path) -> None:
    datakit.stop()
    stamps = run("made(submit(exporter, 600))", datakit, path)
    datakit.start()
    # It runs until its first replay, which starts with the first call, is done.
    stamps += run(
        "made(submit(exporter, 1))\nimport sqlite3\n"
        "while sqlite3.connect(os.environ['CHATGPT_MONITOR_BACKLOG'])"
        ".execute('SELECT n_lines FROM size').fetchone()[0]: time.sleep(0.01)",
        datakit,
        path,
    )
    assert datakit.stamps() == stamps


# -- kills -----------------------------------------------------------------------------------------

# Each process uses microseconds of its own, which identify its calls.
ENDLESS = """
while True:
    stamp = (time.time_ns() // 3000 * 3 + %d) * 1000
    exporter.submit(Observed(stamp))
    made([stamp])
    time.sleep(0.0005)
"""


@pytest.mark.parametrize("outage", [False, True], ids=["up", "down"])
def test_a_killed_process_loses_only_what_was_in_memory(
    datakit: WatchedDataKit, path: Path, outage: bool
) -> None:
    """Three at a time share a backlog; each is killed at a different moment."""
    if outage:
        datakit.stop()
    chance = random.Random(5)
    made: list[tuple[list[int], int]] = []
    processes = [start(ENDLESS % n, datakit, path) for n in range(3)]
    for process in processes:
        stamps = [int(process.stdout.readline())]
        until_ns = stamps[0] + int(chance.uniform(0.5, 1.2) * 1e9)
        while stamps[-1] < until_ns:
            stamps.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        killed_at_ns = time.time_ns()
        stamps += map(int, process.stdout.read().split())
        process.wait()
        made.append((stamps, killed_at_ns))
    arrived = set(datakit.stamps()) | set(stamps_in(path))
    for stamps, killed_at_ns in made:
        n_arrived = sum(stamp in arrived for stamp in stamps)
        # First in, first out: only the last calls are lost, none older than a batch and a write.
        assert n_arrived > 0
        assert set(stamps[:n_arrived]) <= arrived
        lost = stamps[n_arrived:]
        assert all(killed_at_ns - stamp < 4e9 for stamp in lost)
    assert arrived <= {stamp for stamps, _ in made for stamp in stamps}


# -- forks -----------------------------------------------------------------------------------------

FORKS = """
children = []
for n in range(3):
    pid = os.fork()
    if not pid:
        made(submit(exporter, 20))
        sys.exit(0)
    children.append(pid)
made(submit(exporter, 20))
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""

# Forks while the thread is busy: its locks may be held, its connections in use.
FORK_AT_ANY_TIME = """
for round_ in range(12):
    made(submit(exporter, 120))
    pid = os.fork()
    if not pid:
        made(submit(exporter, 3))
        assert exporter.flush(20)
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_children_forked_before_the_first_call_deliver_their_own(datakit: WatchedDataKit, path: Path) -> None:
    stamps = run(FORKS, datakit, path)
    assert len(stamps) == 80
    assert sorted(datakit.stamps()) == sorted(stamps)


def test_children_forked_after_the_first_call_deliver_their_own(
    datakit: WatchedDataKit, path: Path, python: str
) -> None:
    stamps = run("made(submit(exporter, 20))" + FORKS, datakit, path, python)
    assert len(stamps) == 100
    assert sorted(datakit.stamps()) == sorted(stamps)
    assert sum(datakit.batches) == 100 + datakit.count("openai_monitor")  # no child delivers the parent's


@pytest.mark.parametrize("outage", [False, True], ids=["up", "down"])
def test_a_fork_at_any_time_loses_nothing(datakit: WatchedDataKit, path: Path, outage: bool) -> None:
    if outage:
        datakit.stop()
    stamps = run(FORK_AT_ANY_TIME, datakit, path)
    assert len(stamps) == 12 * 123
    assert sorted(datakit.stamps() + stamps_in(path)) == sorted(stamps)


MULTIPROCESSING = """
import multiprocessing

def work(n):
    made(submit(get_exporter(), n))

if __name__ == "__main__":
    made(submit(exporter, 10))
    context = multiprocessing.get_context("%s")
    processes = [context.Process(target=work, args=(10,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    made(submit(exporter, 10))
"""


def test_forked_children_of_multiprocessing_deliver_on_exit(
    datakit: WatchedDataKit, path: Path, python: str
) -> None:
    stamps = run(MULTIPROCESSING % "fork", datakit, path, python)
    assert len(stamps) == 50
    assert sorted({*datakit.stamps(), *stamps_in(path)}) == sorted(stamps)


@pytest.mark.parametrize("package", ["billiard", "multiprocess"])
def test_children_of_multiprocessings_forks_deliver_on_exit(
    datakit: WatchedDataKit, path: Path, package: str
) -> None:
    code = MULTIPROCESSING.replace("import multiprocessing", f"import {package} as multiprocessing")
    stamps = run(code % "fork", datakit, path)
    assert len(stamps) == 50
    assert sorted({*datakit.stamps(), *stamps_in(path)}) == sorted(stamps)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_spawned_children_of_multiprocessing_deliver_on_exit(
    datakit: WatchedDataKit, path: Path, tmp_path: Path, method: str
) -> None:
    program = tmp_path / "program.py"  # a file, because the children import it
    program.write_text(PROLOGUE + MULTIPROCESSING % method)
    code = f"import os, sys; os.execv(sys.executable, [sys.executable, {str(program)!r}])"
    stamps = run_anew("", datakit, path, first=code)
    assert len(stamps) == 50
    assert sorted({*datakit.stamps(), *stamps_in(path)}) == sorted(stamps)


# -- gevent and gunicorn ---------------------------------------------------------------------------

PATCH = "from gevent import monkey; monkey.patch_all()"

GEVENT = """
import gevent

n_ticks = 0
def tick():
    global n_ticks
    while True:
        gevent.sleep(0.005)
        n_ticks += 1

ticker = gevent.spawn(tick)
made(submit(exporter, 450))
gevent.sleep(0)
n_ticks = 0
assert exporter.flush(20)
ticker.kill()
assert n_ticks >= %d, n_ticks
"""


@pytest.mark.parametrize(("mode", "n_ticks"), [("ok", 0), ("slow:2", 10)])
def test_other_greenlets_run_while_calls_are_delivered(
    datakit: WatchedDataKit, path: Path, mode: str, n_ticks: int
) -> None:
    """Even while DataKit is slow to answer."""
    pytest.importorskip("gevent")
    datakit.mode = mode
    stamps = run_anew(GEVENT % n_ticks, datakit, path, first=PATCH)
    assert len(stamps) == 450
    assert set(datakit.stamps() + stamps_in(path)) == set(stamps)


APPLICATION = """
submit(exporter, 5)  # in gunicorn's own process

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (os.getpid(), submit(exporter, 1)[0])]
"""


@pytest.mark.parametrize("worker_class", ["sync", "gevent"])
def test_preloaded_gunicorn_workers_deliver_their_calls(
    datakit: WatchedDataKit, path: Path, tmp_path: Path, worker_class: str
) -> None:
    pytest.importorskip("gunicorn")
    if worker_class == "gevent":
        pytest.importorskip("gevent")
    (tmp_path / "served.py").write_text(PROLOGUE + APPLICATION)
    options = ["--preload", "-w", "2", "-k", worker_class, "-b", "127.0.0.1:0", "--chdir", str(tmp_path)]
    command = ["-m", "gunicorn", "served:application", *options]
    code = f"import os, sys; os.execv(sys.executable, [sys.executable, *{command}])"
    with start_anew(code, datakit, path) as process:
        try:
            assert process.stderr is not None
            url = next(found[1] for text in process.stderr if (found := re.search(r"at: (http://\S+)", text)))
            stamps: dict[str, list[str]] = {}
            # gunicorn waits half a minute for a worker stopped before its first request.
            while len(stamps) < 2:
                worker, stamp = requests.get(url, timeout=WAIT_S).text.split()
                stamps.setdefault(worker, []).append(stamp)
            process.terminate()
            process.communicate(timeout=60)
        finally:
            process.kill()
    served = {int(stamp) for stamps_of_one in stamps.values() for stamp in stamps_of_one}
    kept = {*datakit.stamps(), *stamps_in(path)}  # a busy machine may leave no time for DataKit
    assert served < kept
    assert len(kept) == len(served) + 5

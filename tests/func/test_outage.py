"""An outage of DataKit, Redis or a worker loses no point: the built set in Func, and real processes.

Each test counts: points made = points stored + points counted as dropped.
"""

import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cache_client
import interpreters
import pytest
import requests
from cache_client import bad_line, cache_of, line, run_threads
from stack import STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.core.backlog import dropped_by_reason
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.server import TaskResult
from guance_chatgpt_monitor.local.func.worker import Backend, Cache
from guance_chatgpt_monitor.local.http_server import Request, Response

pytestmark = pytest.mark.slow

CALLERS = 20
WORKERS = 3
KILLS = 15  # at moments by chance; tests/core/test_delivery.py dies before each Redis command in turn
INVALID = {"no": "question"}  # refused before OpenAI is asked: a call and its point take milliseconds

needs_redis = pytest.mark.skipif(not LocalRedis.is_available(), reason="no redis-server on this machine")


class WatchedDataKit(LocalDataKit):
    """Tells of each request; those that are to meet wait until all of them are here."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.meeting: threading.Barrier | None = None

    def respond(self, request: Request) -> Response | None:
        self.arrivals.put(None)
        if self.meeting is not None:
            self.meeting.wait(60)
        return super().respond(request)

    def await_requests(self, count: int) -> None:
        """Wait until so many have come since the last `ignore_requests()`."""
        for _ in range(count):
            self.arrivals.get(timeout=60)

    def ignore_requests(self) -> None:
        """Those so far."""
        self.arrivals = queue.SimpleQueue()


class Outage:
    """Calls through the link, and what became of their points."""

    def __init__(self, stack: Stack, redis_url: str) -> None:
        self.stack = stack
        self.datakit = stack.datakit
        self.made = 0
        self.dropped: dict[str, int] = {}
        self._redis_url = redis_url
        self._lock = threading.Lock()

    def _cache(self) -> Cache:
        return cache_of(Backend(f"127.0.0.1:{self.stack.func.port}", self._redis_url))

    def backlog(self) -> CacheBacklog:
        return CacheBacklog(self._cache())

    def fill(self, lines: list[str]) -> None:
        self.backlog().push(lines)
        self.made += len(lines)

    def call(self) -> None:
        answer = self.stack.post(INVALID)
        assert answer.status_code == 400, answer.text
        with self._lock:
            self.made += 1

    def call_from_20(self, calls_each: int = 1, meanwhile: Callable[[int], None] = lambda _: None) -> None:
        """20 callers at once; each runs `meanwhile(n)` after its n-th call."""

        def caller(_: int) -> None:
            for n in range(calls_each):
                self.call()
                meanwhile(n)

        run_threads(CALLERS, caller)

    def call_each_worker(self) -> None:
        """Make one call in each worker: DataKit answers when all of them are writing to it."""
        assert isinstance(self.datakit, WatchedDataKit)
        workers = len(self.stack.func.worker_pids())
        self.datakit.meeting = threading.Barrier(workers)
        run_threads(workers, lambda _: self.call())
        self.datakit.meeting = None

    def collect(self) -> TaskResult:
        result = self.stack.collect()
        assert result.status == "success", result
        self.add_dropped(result)
        return result

    def add_dropped(self, result: TaskResult) -> None:
        with self._lock:
            for reason, count in (result.data["dropped"] or {}).items():
                self.dropped[reason] = self.dropped.get(reason, 0) + count

    def collect_all(self) -> TaskResult:
        """Collect as often as the auto-trigger would need."""
        for _ in range(20):
            result = self.collect()
            if result.data["backlog_lines"] == 0:
                self.collect()  # it reports what the previous one dropped
                return result
        raise AssertionError(result)

    def reported_dropped(self) -> dict[str, int]:
        """The sums by reason, as a dashboard shows them."""
        sums: dict[str, int] = {}
        for point in self.stack.points("openai_monitor"):
            if "reason" in point.tags:
                reason = point.tags["reason"]
                sums[reason] = sums.get(reason, 0) + int(float(point.fields["dropped"]))
        return sums

    def let_lock_expire(self) -> None:
        """As happens 30 s after a replayer died."""
        for name in ("replay", "health"):
            self._cache().delete(f"lock_{name}", scope=cache_client.SCOPE)

    def assert_accounted(self) -> None:
        self.collect_all()
        assert len(self.stack.points()) + sum(self.dropped.values()) == self.made
        assert self.reported_dropped() == self.dropped


def stack_of(built: Built, python: str = sys.executable, **options: Any) -> Stack:
    """Without a probe, no worker imports the SDK, which takes it three times as long as all the rest."""
    stack = Stack(built, python, probe=False, **options)
    stack.datakit = WatchedDataKit()
    return stack


@pytest.fixture(scope="module")
def running_stack(built: Built, shared_redis: LocalRedis | None) -> Iterator[Stack]:
    with stack_of(built, workers=WORKERS, redis_url=shared_redis.url if shared_redis else "") as stack:
        yield stack


@pytest.fixture
def outage(stack: Stack, shared_redis: LocalRedis | None) -> Outage:
    return Outage(stack, shared_redis.url if shared_redis else "")


# ---- DataKit ----


@pytest.mark.parametrize(
    "fault", ["stopped", "500", "429", "408", "403", "reset", "reset_after", "hang", "crash200"]
)
def test_an_outage_under_20_callers_loses_nothing(outage: Outage, fault: str) -> None:
    outage.call_each_worker()  # each worker has seen that this DataKit sends its header
    if fault == "stopped":
        outage.datakit.stop()
    else:
        outage.datakit.mode = fault
    received = outage.datakit.requests_total
    outage.call_from_20()
    # Each worker may try until the first has failed; after that, none does.
    assert outage.datakit.requests_total - received <= WORKERS
    if fault == "stopped":
        outage.datakit.start()
    outage.datakit.mode = None
    result = outage.collect_all()
    assert result.data["problem"] == ""
    assert outage.dropped == {}
    outage.assert_accounted()


def test_points_that_datakit_rejects_are_counted(outage: Outage) -> None:
    outage.datakit.mode = "400"
    outage.call_from_20()
    outage.datakit.mode = None
    outage.assert_accounted()
    assert outage.dropped == {"invalidLinePoint": CALLERS}


def test_one_bad_line_in_a_thousand_is_dropped_alone(outage: Outage) -> None:
    outage.fill([bad_line(n) if n == 333 else line(n) for n in range(1000)])
    outage.call()
    result = outage.collect()
    assert result.data["replayed"] == 999
    assert "DataKit refused 1 point(s) of openai: invalidLinePoint; dropped" in result.log
    assert "NaN" not in "".join(result.log)
    outage.assert_accounted()
    assert outage.dropped == {"invalidLinePoint": 1}


def test_an_intermittent_datakit_under_20_callers_loses_nothing(outage: Outage) -> None:
    faults = iter(["reset_after", "500", "hang", "429", "reset"] * 4)

    def change(n: int) -> None:
        if n % 2:
            outage.datakit.mode = next(faults, None)
        else:
            outage.datakit.mode = None
            outage.backlog().save("down_until_s", "")  # as after 30 s

    outage.call_from_20(2, change)
    outage.datakit.mode = None
    outage.assert_accounted()
    assert outage.dropped == {}


def test_three_collectors_and_20_callers_with_an_intermittent_datakit_lose_nothing(outage: Outage) -> None:
    outage.fill([line(n) for n in range(2000)])
    calling = threading.Event()
    calling.set()
    problems: set[str] = set()

    def collect(_: int) -> None:
        while calling.is_set():
            problems.add(outage.collect().data["problem"])

    def call(_: int) -> None:
        outage.datakit.faults.extend(["ok", "ok", "429", "500"])
        try:
            outage.call_from_20(2)
        finally:
            calling.clear()

    run_threads(4, lambda n: call(n) if n == 3 else collect(n))
    outage.datakit.faults.clear()
    outage.assert_accounted()
    assert outage.dropped == {}
    assert not any("cannot be reached" in problem for problem in problems)


def test_replayed_points_keep_the_time_of_their_calls(outage: Outage) -> None:
    outage.datakit.stop()
    before_ns = time.time_ns()
    outage.call()
    after_ns = time.time_ns()
    outage.datakit.start()
    outage.collect_all()
    point = outage.stack.point()
    assert before_ns <= point.timestamp_ns <= after_ns
    assert 0 < float(point.fields["delay"]) < 60
    assert all(isinstance(value, float) for value in point.fields.values())


def test_the_first_call_after_an_outage_is_written_at_once(outage: Outage) -> None:
    outage.datakit.stop()
    outage.call()
    outage.datakit.start()
    outage.collect()
    outage.call()
    assert len(outage.stack.points()) == 2


@pytest.mark.parametrize("python", ["this", "oldest"])
def test_an_outage_without_redis_loses_nothing(built: Built, python: str) -> None:
    with_packages = interpreters.with_packages
    path = interpreters.current() if python == "this" else with_packages(interpreters.OLDEST)
    with stack_of(built, path, workers=2) as stack:
        outage = Outage(stack, "")
        stack.datakit.stop()
        outage.call_from_20()
        outage.fill([bad_line(1)])
        stack.datakit.start()
        outage.assert_accounted()
        assert outage.dropped == {"invalidLinePoint": 1}


# ---- bounds ----


def test_a_full_backlog_and_old_points_are_counted(outage: Outage) -> None:
    outage.stack.configure(backlog_max_lines=30)
    outage.fill([line(n, time.time_ns() - 13 * 3600 * 10**9) for n in range(20)])
    outage.datakit.stop()
    for _ in range(20):  # in turn: two at once may each evict for both
        outage.call()
    assert outage.backlog().size().lines == 30
    outage.datakit.start()
    outage.assert_accounted()
    assert outage.dropped == {"backlog_full": 10, "too_old": 10}


# ---- the report of collect() ----


def test_collect_reports_an_unreachable_datakit(outage: Outage) -> None:
    outage.datakit.stop()
    outage.call()
    result = outage.collect()
    assert result.data["datakit_up"] is False
    assert (
        result.data["problem"]
        == f"DataKit at {outage.datakit.url} cannot be reached (ConnectionRefusedError)"
    )
    assert result.data["problem"] in result.log
    waiting = result.data["backlog_lines"]
    told = f"{waiting} point(s) wait in the backlog, the oldest for "
    assert [line for line in result.log if line.startswith(told)]
    outage.datakit.start()
    result = outage.collect()
    replayed = result.data["replayed"]
    assert replayed > waiting  # the report of the previous run waited too
    assert f"delivered {replayed} point(s) that had waited in the backlog" in result.log
    assert "everything is delivered" in result.log


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("403", "403 publicAccessDisabled: allow this host, in datakit.conf [http_api] public_apis"),
        ("429", "429 reachMaxAPILimit: rate limited"),
        ("500", "answered 500"),
    ],
)
def test_collect_reports_why_nothing_is_delivered(outage: Outage, fault: str, said: str) -> None:
    outage.datakit.mode = fault
    outage.call()
    result = outage.collect()
    assert said in result.data["problem"]
    assert outage.datakit.url in result.data["problem"]
    assert result.data["datakit_up"] is False
    assert result.data["backlog_lines"] >= 1
    outage.datakit.mode = None
    outage.assert_accounted()


# ---- workers ----


def test_workers_killed_in_the_middle_of_chat_lose_no_other_point(outage: Outage) -> None:
    assert isinstance(outage.datakit, WatchedDataKit)
    outage.call()
    outage.datakit.mode = "hang"
    outage.datakit.ignore_requests()
    lost: list[int] = []

    def call(n: int) -> None:
        try:
            outage.call()
        except requests.RequestException:  # Func does not answer a task whose worker died
            lost.append(n)

    callers = threading.Thread(target=lambda: run_threads(CALLERS, call))
    callers.start()
    outage.datakit.await_requests(WORKERS)
    for pid in outage.stack.func.worker_pids():
        os.kill(pid, signal.SIGKILL)
    callers.join()
    assert len(lost) == WORKERS
    outage.datakit.mode = None
    outage.collect_all()
    assert outage.made <= len(outage.stack.points()) <= outage.made + WORKERS
    assert outage.dropped == {}


def test_a_collect_killed_in_mid_batch_loses_nothing(outage: Outage, tmp_path: Path) -> None:
    assert isinstance(outage.datakit, WatchedDataKit)
    stack, pid_file = outage.stack, tmp_path / "pid"
    code = f"import os\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n" + stack.func.script(STARTUP)
    outage.fill([bad_line(n) if n % 400 == 7 else line(n) for n in range(1200)])
    for _ in range(2):
        stack.func.edit(STARTUP, code)
        outage.datakit.ignore_requests()
        results: list[TaskResult] = []
        collecting = threading.Thread(target=lambda r=results: r.append(stack.collect()))
        collecting.start()
        outage.datakit.await_requests(3)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        collecting.join()
        assert results[0].status == "lost"
        outage.let_lock_expire()
    outage.collect_all()
    assert len(outage.stack.points()) == 1197
    assert outage.reported_dropped() == {"invalidLinePoint": 3}


# ---- real processes with a real Redis ----


@pytest.fixture
def redis_url(shared_redis: LocalRedis | None) -> str:
    if shared_redis is None:
        pytest.skip("no redis-server on this machine")
    import redis

    redis.Redis.from_url(shared_redis.url).flushdb()
    return shared_redis.url


@pytest.fixture
def datakit() -> Iterator[LocalDataKit]:
    with LocalDataKit() as server:
        yield server


def backlog_at(redis_url: str) -> CacheBacklog:
    return CacheBacklog(cache_of(Backend("", redis_url)))


def dropped_at(redis_url: str) -> dict[str, int]:
    return dropped_by_reason(backlog_at(redis_url).totals())


def replay_rest(redis_url: str, datakit_url: str) -> None:
    cache_of(Backend("", redis_url)).delete("lock_replay", scope=cache_client.SCOPE)
    delivery = cache_client.delivery_over(redis_url, datakit_url, sleep=lambda _: None)
    assert delivery.replay(60.0).problem == ""
    assert backlog_at(redis_url).size().lines == 0


@needs_redis
def test_20_calling_and_3_replaying_processes_lose_nothing(redis_url: str, datakit: LocalDataKit) -> None:
    calls_each = 20
    context = cache_client.processes()
    go, done = context.Event(), context.Event()
    callers: list[Any] = [
        context.Process(
            target=cache_client.deliver_lines, args=(redis_url, datakit.url, caller, calls_each, go)
        )
        for caller in range(CALLERS)
    ]
    replayers: list[Any] = [
        context.Process(target=cache_client.replay_until, args=(redis_url, datakit.url, done, go))
        for _ in range(3)
    ]
    faults = ["ok"] * 30 + ["500", "reset_after", "429", "reset", "408"]
    random.Random(3).shuffle(faults)
    datakit.faults.extend(faults)
    for process in callers + replayers:
        process.start()
    go.set()
    for process in callers:
        process.join(60)
    done.set()
    for process in replayers:
        process.join(60)
    assert [process.exitcode for process in callers + replayers] == [0] * (CALLERS + 3)
    datakit.faults.clear()
    replay_rest(redis_url, datakit.url)
    assert datakit.count("openai") == CALLERS * calls_each
    assert dropped_at(redis_url) == {}


@needs_redis
def test_a_replayer_killed_in_mid_batch_again_and_again_loses_nothing(
    redis_url: str, datakit: LocalDataKit
) -> None:
    context = cache_client.processes()
    moments = random.Random(50)
    lock = cache_of(Backend("", redis_url))
    killed = 0
    for n in range(KILLS):
        lines = [line(100 * n + i) for i in range(100)]
        if n % 5 == 0:
            lines[moments.randrange(100)] = bad_line(100 * n)
        backlog_at(redis_url).push(lines)
        lock.delete("lock_replay", scope=cache_client.SCOPE)
        process: Any = context.Process(target=cache_client.replay_once, args=(redis_url, datakit.url))
        process.start()
        while process.is_alive() and not lock.exists("lock_replay", scope=cache_client.SCOPE):
            process.join(0.001)
        process.join(moments.uniform(0, 0.05))  # roughly the duration of a batch of 100
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed > KILLS / 2
    replay_rest(redis_url, datakit.url)
    assert dropped_at(redis_url) == {"invalidLinePoint": KILLS // 5}
    assert datakit.count("openai") == 100 * KILLS - KILLS // 5


# ---- Redis ----


@needs_redis
def test_redis_restarts_during_an_outage_lose_nothing(built: Built) -> None:
    redis = LocalRedis().start()
    try:
        with stack_of(built, workers=2, redis_url=redis.url, exits_with_redis=False) as stack:
            outage = Outage(stack, redis.url)
            stack.datakit.stop()
            outage.call_from_20()
            redis.stop()
            redis.start()
            assert outage.backlog().size().lines == CALLERS
            outage.call_from_20()
            redis.stop()
            outage.call_from_20()  # with neither DataKit nor Redis
            redis.start()
            outage.call_from_20()  # each worker puts what it kept on the backlog
            assert outage.backlog().size().lines == outage.made
            stack.datakit.start()
            outage.assert_accounted()
            assert outage.dropped == {}
    finally:
        redis.remove()


@needs_redis
def test_without_redis_points_are_written_and_collect_reports_it(built: Built) -> None:
    redis = LocalRedis().start()
    try:
        with stack_of(built, redis_url=redis.url, exits_with_redis=False) as stack:
            outage = Outage(stack, redis.url)
            redis.stop()
            for _ in range(3):
                outage.call()
            assert len(stack.points()) == 3
            result = stack.collect()
            assert "the backlog cannot be reached" in result.data["problem"]
            assert result.data["dropped"] is None
            redis.start()
            assert outage.collect().data["delivered"] == 3
    finally:
        redis.remove()

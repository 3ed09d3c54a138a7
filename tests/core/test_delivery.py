"""Delivery, backlog and report: what is kept, delivered, dropped and counted, whatever happens in between.

With the cache in memory and, if it is installed, with a real Redis; against the local DataKit.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cache_client import (
    KilledError,
    MemoryBackend,
    PuppetBackend,
    bad_line,
    cache_of,
    dying_at,
    line,
)

from guance_chatgpt_monitor.core.backlog import dropped_by_reason
from guance_chatgpt_monitor.core.batches import BATCH_BYTES, BATCH_LINES
from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.delivery import (
    DOWN_S,
    LOGGING,
    MAX_STRANDED_BYTES,
    MAX_STRANDED_LINES,
    Delivery,
)
from guance_chatgpt_monitor.core.health import Health, Report
from guance_chatgpt_monitor.core.line_protocol import Point as Line
from guance_chatgpt_monitor.core.line_protocol import encode
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit, Point
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.worker import Backend

pytestmark = pytest.mark.slow

HOUR_NS = 3600 * 10**9


class Clock:
    """The clock of the delivery and of DataKit; `sleep` returns at once."""

    def __init__(self) -> None:
        self.now_s = time.time()
        self.slept_s = 0.0
        self._readings = 0

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        self.now_s += 0.001  # like a real one, it never stops
        return self.now_s

    def time_ns(self) -> int:
        self._readings += 1  # like a real one, it never repeats a value
        return int(self.now_s * 1e9) + self._readings

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds


class Bench:
    """One Func: its cache, its DataKit, its clock. `worker()` stands for a worker process."""

    def __init__(self, backend: Any, datakit: LocalDataKit, clock: Clock) -> None:
        self.backend = backend
        self.datakit = datakit
        self.clock = clock
        self.said: list[str] = []
        self.read_timeout_s = 10.0

    def backlog(self, backend: Any = None, **bounds: int) -> CacheBacklog:
        cache = cache_of(backend or self.backend)
        return CacheBacklog(cache, clock_ns=self.clock.time_ns, **bounds)  # type: ignore[arg-type]

    def worker(self, backend: Any = None, memory: Any = None, **bounds: int) -> Delivery:
        return Delivery(
            DataKit(self.datakit.url, self.read_timeout_s),
            self.backlog(backend, **bounds),
            self.said.append,
            memory,
            self.clock.time,
            self.clock.sleep,
            monotonic=self.clock.monotonic,
        )

    def logger(self, backend: Any = None, memory: Any = None) -> Delivery:
        """A worker that delivers logs."""
        return Delivery(
            DataKit(self.datakit.url, self.read_timeout_s),
            self.backlog(backend),
            self.said.append,
            memory,
            self.clock.time,
            self.clock.sleep,
            LOGGING,
            self.clock.monotonic,
        )

    def logs(self) -> list[Point]:
        return self.datakit.points("openai", "logging")

    def health(self, backend: Any = None) -> Health:
        return Health(self.backlog(backend), "test", self.clock.time_ns)

    def fill(self, lines: list[str]) -> None:
        """Put lines on the backlog, as a worker does while DataKit is down."""
        self.backlog().push(lines)

    def let_locks_expire(self) -> None:
        for name in ("replay", "health", "trial"):
            cache_of(self.backend).delete(f"lock_{name}", scope="guance_chatgpt_monitor")

    def replay_all(self) -> int:
        """Replay as often as the auto-trigger would need, and return the number of points."""
        replayed = 0
        for _ in range(100):
            self.let_locks_expire()
            replay = self.worker().replay(60.0)
            replayed += replay.replayed
            if not replay.problem:
                return replayed
        raise AssertionError(replay)

    def stored(self, measurement: str = "openai") -> list[Point]:
        return self.datakit.points(measurement)

    def dropped(self) -> dict[str, int]:
        return dropped_by_reason(self.backlog().totals())

    def assert_each_is_stored(self, made: list[str], dropped: int) -> None:
        """Like `assert_accounted()`, but points too old to keep their time may be stored twice."""
        assert self.backlog().size().lines == 0
        assert sum(self.dropped().values()) == dropped
        on_time = [point for point in self.stored() if float(point.fields["delay"]) < 7200]
        late = {point.fields["n"] for point in self.stored() if float(point.fields["delay"]) >= 7200}
        assert len(on_time) + len(late) == len(made) - dropped

    def assert_accounted(self, made: list[str], dropped: int = 0) -> None:
        """Points made = points stored + points counted as dropped, and nothing waits."""
        assert self.backlog().size().lines == 0
        assert sum(self.dropped().values()) == dropped
        assert len(self.stored()) == len(made) - dropped


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def datakit(clock: Clock) -> Iterator[LocalDataKit]:
    with LocalDataKit(clock_ns=clock.time_ns) as server:
        yield server


@pytest.fixture(params=["redis", "memory"])
def bench(
    request: pytest.FixtureRequest, shared_redis: LocalRedis | None, datakit: LocalDataKit, clock: Clock
) -> Bench:
    if request.param == "memory":
        return Bench(MemoryBackend(), datakit, clock)
    if shared_redis is None:
        pytest.skip("no redis-server on this machine")
    import redis

    redis.Redis.from_url(shared_redis.url).flushdb()
    return Bench(Backend("", shared_redis.url), datakit, clock)


@pytest.fixture
def quick(datakit: LocalDataKit, clock: Clock) -> Bench:
    """Only with the cache in memory, for tests that repeat hundreds of times."""
    return Bench(MemoryBackend(), datakit, clock)


def lines(count: int, at_ns: int = 0, **tags: str) -> list[str]:
    return [line(n, at_ns, **tags) for n in range(count)]


# ---- writing at once ----


def test_a_point_is_written_at_once(bench: Bench) -> None:
    bench.worker().deliver(lines(1))
    assert len(bench.stored()) == 1
    assert "delay" not in bench.stored()[0].fields
    assert bench.backlog().totals()["delivered"] == 1
    assert bench.said == []


def test_the_monitors_own_points_are_not_counted_as_delivered(bench: Bench) -> None:
    bench.worker().deliver([line(0, measurement="openai_monitor")], counted=False)
    assert len(bench.stored("openai_monitor")) == 1
    assert "delivered" not in bench.backlog().totals()


def test_no_call_tries_a_datakit_marked_down(bench: Bench) -> None:
    bench.datakit.mode = "500"
    made = lines(20)
    for one in made:
        bench.worker().deliver([one])
    assert bench.datakit.requests_total == 1
    assert bench.backlog().size().lines == 20
    bench.datakit.mode = None
    assert bench.replay_all() == 20
    bench.assert_accounted(made)


def test_after_the_mark_expires_one_call_tries_and_clears_it(bench: Bench) -> None:
    bench.datakit.mode = "500"
    bench.worker().deliver(lines(1))
    bench.clock.now_s += DOWN_S + 1
    bench.worker().deliver(lines(1))
    bench.worker().deliver(lines(1))
    assert bench.datakit.requests_total == 2  # the failed trial set the mark again
    bench.clock.now_s += DOWN_S + 1
    bench.let_locks_expire()
    bench.datakit.mode = None
    bench.worker().deliver(lines(1))
    bench.worker().deliver(lines(1))
    assert len(bench.stored()) == 2


def test_one_caller_at_a_time_tries_a_hanging_datakit(bench: Bench) -> None:
    bench.datakit.mode = "500"
    bench.worker().deliver(lines(1))
    bench.clock.now_s += DOWN_S + 1
    bench.datakit.mode, bench.read_timeout_s = "hang", 0.2
    trial = threading.Thread(target=lambda: bench.worker().deliver(lines(1)))
    received = bench.datakit.requests_total
    trial.start()
    while bench.datakit.requests_total == received:
        trial.join(0.001)
    for _ in range(5):
        bench.worker().deliver(lines(1))
    assert bench.datakit.requests_total == received + 1
    trial.join()
    assert bench.backlog().size().lines == 7


def test_a_mark_in_the_future_is_ignored(bench: Bench) -> None:
    bench.datakit.mode = "500"
    bench.worker().deliver(lines(1))
    bench.datakit.mode = None
    bench.clock.now_s -= 3600
    bench.worker().deliver(lines(1))
    assert len(bench.stored()) == 1


def test_a_successful_replay_clears_the_mark(bench: Bench) -> None:
    bench.datakit.mode = "500"
    bench.worker().deliver(lines(1))
    bench.datakit.mode = None
    assert bench.replay_all() == 1
    bench.worker().deliver(lines(1))
    assert len(bench.stored()) == 2


# ---- verdicts ----


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", ""),
        ("503", ""),
        ("429", ""),
        ("408", ""),
        ("401", ""),  # about the address, not the lines
        ("403", ""),
        ("404", ""),
        ("402", ""),
        ("422", ""),
        ("reset", ""),
        ("reset_after", ""),
        ("hang", ""),
        ("400", "invalidLinePoint"),
        ("413", "413"),
    ],
)
def test_only_a_verdict_about_the_lines_drops_them(bench: Bench, fault: str, reason: str) -> None:
    bench.datakit.mode = fault
    if fault == "hang":
        bench.read_timeout_s = 0.2
    made = lines(3)
    for one in made:
        bench.clock.now_s += DOWN_S + 1
        bench.let_locks_expire()
        bench.worker().deliver([one])
    if not reason:
        assert bench.backlog().size().lines == 3
        assert bench.dropped() == {}
    else:
        assert bench.backlog().size().lines == 0
        assert bench.dropped() == {reason: 3}
    bench.datakit.mode = None
    bench.replay_all()
    bench.assert_accounted(made, dropped=3 if reason else 0)


def test_once_datakit_sent_its_header_a_200_without_it_is_not_a_delivery(bench: Bench) -> None:
    datakit = DataKit(bench.datakit.url)
    worker = Delivery(datakit, bench.backlog(), bench.said.append, clock=bench.clock.time)
    bench.datakit.faults.extend(["ok", "crash200"])
    made = lines(2)
    for one in made:
        worker.deliver([one])
    assert len(bench.stored()) == 1
    assert bench.backlog().size().lines == 1
    bench.replay_all()
    bench.assert_accounted(made)


def test_workers_share_the_knowledge_that_datakit_sends_its_header(bench: Bench) -> None:
    made = lines(2)
    bench.worker(memory={}).deliver(made[:1])
    bench.datakit.faults.append("crash200")
    bench.worker(memory={}).deliver(made[1:])
    assert (len(bench.stored()), bench.backlog().size().lines) == (1, 1)
    bench.replay_all()
    bench.assert_accounted(made)


def test_everything_is_delivered_through_a_proxy_that_hides_the_header(bench: Bench) -> None:
    bench.datakit.mode = "no_header200"
    made = lines(2)
    for one in made:
        bench.worker().deliver([one])
    bench.assert_accounted(made)


def test_one_bad_line_in_a_thousand_is_dropped_alone(bench: Bench) -> None:
    made = lines(1000)
    made[617] = bad_line(617)
    bench.fill(made)
    assert bench.replay_all() == 999
    bench.assert_accounted(made, dropped=1)
    assert bench.dropped() == {"invalidLinePoint": 1}
    assert bench.said == ["DataKit refused 1 point(s) of openai: invalidLinePoint; dropped"]
    assert bench.datakit.requests_total < 30


def test_a_refused_point_is_reported_with_its_measurement(bench: Bench) -> None:
    bench.fill([line(0), line(1, measurement="other").replace("question=1.0", "question=NaN"), line(2)])
    bench.replay_all()
    assert bench.said == ["DataKit refused 1 point(s) of other: invalidLinePoint; dropped"]
    assert "NaN" not in "".join(bench.said)


def test_a_backlog_of_bad_lines_is_cleared_under_the_rate_limit(bench: Bench) -> None:
    with LocalDataKit(rate_limit=100, clock_ns=bench.clock.time_ns) as datakit:
        bench.datakit = datakit
        made = [bad_line(n) for n in range(150)]
        bench.fill(made)
        bench.replay_all()
        bench.assert_accounted(made, dropped=150)


# ---- replay ----


def test_replay_is_oldest_first_in_batches_with_time_and_delay(bench: Bench) -> None:
    made = lines(BATCH_LINES * 2 + 1)
    bench.fill(made)
    bench.clock.now_s += 100
    assert bench.replay_all() == len(made)
    bench.assert_accounted(made)
    requests = bench.datakit.requests_received
    assert [request.encoding for request in requests] == ["gzip", "gzip", ""]
    stored = bench.stored()
    assert [point.fields["n"] for point in stored] == list(range(len(made)))
    assert all(90 < point.fields["delay"] < 110 for point in stored)  # type: ignore[operator]
    received = [point.received_at_ns for point in stored]
    assert received == sorted(received)


def test_a_line_delivered_twice_is_stored_once(bench: Bench) -> None:
    made = lines(100)
    bench.fill(made)
    bench.datakit.faults.append("reset_after")
    assert bench.worker().replay(60.0).datakit_failed
    assert len(bench.stored()) == 100  # stored, but the answer was lost
    bench.clock.now_s += 5
    assert bench.replay_all() == 100
    bench.assert_accounted(made)


def test_a_replay_stops_and_reports_when_datakit_fails(bench: Bench) -> None:
    bench.fill(lines(3 * BATCH_LINES))
    bench.datakit.faults.extend(["ok", "500"])
    replay = bench.worker().replay(60.0)
    assert (replay.replayed, replay.datakit_failed) == (BATCH_LINES, True)
    assert "answered 500" in replay.problem
    assert bench.datakit.requests_total == 2
    bench.worker().deliver(lines(1))  # DataKit is marked down
    assert bench.datakit.requests_total == 2


def test_only_one_replayer_runs_at_a_time(bench: Bench) -> None:
    bench.fill(lines(3))
    other = bench.backlog()
    assert other.acquire("replay", 30)
    assert bench.worker().replay(60.0).problem == "another replay is under way"
    assert bench.datakit.requests_total == 0
    other.release("replay")
    assert bench.worker().replay(60.0).replayed == 3


def test_a_replayer_that_lost_its_lock_stops(bench: Bench) -> None:
    made = lines(2 * BATCH_LINES)
    bench.fill(made)
    taken: list[int] = []

    def take_lock_over(n: int, command: str) -> None:
        if command == "hincrby" and not taken:  # in the middle of the first batch
            taken.append(n)
            bench.let_locks_expire()
            assert bench.backlog().acquire("replay", 30)

    replay = bench.worker(PuppetBackend(bench.backend, take_lock_over)).replay(60.0)
    assert taken
    assert replay.problem == "another replay is under way"
    assert bench.datakit.requests_total == 1
    bench.replay_all()
    bench.assert_accounted(made)


def test_the_lock_of_a_dead_replayer_expires() -> None:
    now = [0.0]
    backend = MemoryBackend(lambda: now[0])
    dead, alive = (CacheBacklog(cache_of(backend)) for _ in range(2))
    assert dead.acquire("replay", 30)
    assert not alive.acquire("replay", 30)
    now[0] = 31.0
    assert alive.acquire("replay", 30)
    assert not dead.acquire("replay", 30)


def test_each_run_continues_where_the_last_ran_out_of_time(bench: Bench) -> None:
    made = [bad_line(n) for n in range(32)]
    bench.fill(made)
    for left in reversed(range(32)):  # even without time, a run settles the lines of one request
        assert bool(bench.worker().replay(0.0).problem) == bool(left)
        assert bench.backlog().size().lines == left
    bench.assert_accounted(made, dropped=32)


def test_after_429_the_replayer_slows_down_and_loses_nothing(bench: Bench) -> None:
    with LocalDataKit(rate_limit=2, clock_ns=bench.clock.time_ns) as datakit:
        bench.datakit = datakit
        made = lines(BATCH_LINES * 3)
        bench.fill(made)
        replay = bench.worker().replay(60.0)
        assert (replay.replayed, replay.problem) == (len(made), "")
        assert 3 < datakit.requests_total < 3 * 3
        bench.assert_accounted(made)


def test_a_lasting_rate_limit_is_reported_and_left_to_the_next_run(bench: Bench) -> None:
    bench.fill(lines(3))
    bench.datakit.mode = "429"
    replay = bench.worker().replay(60.0)
    assert "rate limited" in replay.problem
    assert bench.datakit.requests_total < 15
    assert bench.backlog().size().lines == 3


def test_replay_leaves_half_of_datakits_requests_to_the_callers(bench: Bench) -> None:
    bench.fill([bad_line(n) for n in range(75)])  # at least one request each
    started_s = bench.clock.now_s
    bench.replay_all()
    assert bench.datakit.requests_total >= 75
    assert bench.datakit.requests_total / (bench.clock.now_s - started_s) <= 51


# ---- time ----


@pytest.mark.parametrize("hours", [-3, 3, 11])
def test_points_too_old_to_keep_their_time_are_all_stored(bench: Bench, hours: int) -> None:
    """DataKit gives all old points of a request one time, so those of a series could overwrite each other."""
    at_ns = bench.clock.time_ns() - hours * HOUR_NS
    made = [
        *lines(550, at_ns, request_model="a"),
        *lines(50, at_ns + 2000, request_model="b"),
        *lines(10, bench.clock.time_ns()),
    ]
    bench.fill(made)
    bench.replay_all()
    bench.assert_accounted(made)
    assert bench.datakit.requests_total == 2
    late = [point for point in bench.stored() if point.tags.get("request_model")]
    assert all(abs(point.timestamp_ns - bench.clock.time_ns()) < 10**9 for point in late)
    assert all(float(point.fields["delay"]) == pytest.approx(max(0, hours) * 3600, abs=60) for point in late)
    assert not any("__orig_time" in point.fields for point in late)


def test_a_new_point_never_shares_a_time_with_an_old_one(bench: Bench) -> None:
    """The digits below the microsecond are constant within a process."""
    now_ns = bench.clock.time_ns() // 1000 * 1000 + 123
    made = [line(0, now_ns - 3 * HOUR_NS + n * 1000) for n in range(100)]
    bench.fill(made)
    bench.replay_all()
    assert {point.timestamp_ns % 1000 for point in bench.stored()} == {623}


def test_points_older_than_12_h_are_dropped_and_counted(bench: Bench) -> None:
    now_ns = bench.clock.time_ns()
    made = [*lines(700, now_ns - 13 * HOUR_NS), *lines(3, now_ns)]
    bench.fill(made)
    assert bench.replay_all() == 3
    bench.assert_accounted(made, dropped=700)
    assert bench.dropped() == {"too_old": 700}
    assert bench.datakit.requests_total == 1


def test_points_older_than_12_h_are_dropped_during_an_outage(bench: Bench) -> None:
    now_ns = bench.clock.time_ns()
    bench.fill([*lines(700, now_ns - 13 * HOUR_NS), *lines(3, now_ns)])
    bench.datakit.stop()
    assert bench.worker().drop_too_old(60.0).problem == ""
    assert bench.backlog().size().lines == 3
    assert bench.dropped() == {"too_old": 700}
    bench.datakit.start()
    assert bench.replay_all() == 3


# ---- bounds ----


def test_a_full_backlog_drops_the_oldest_and_counts_them(bench: Bench) -> None:
    bench.datakit.mode = "500"
    made = lines(50)
    for one in made:
        bench.worker(max_lines=20).deliver([one])
    assert bench.backlog().size().lines == 20
    bench.datakit.mode = None
    bench.replay_all()
    assert [point.fields["n"] for point in bench.stored()] == list(range(30, 50))
    bench.assert_accounted(made, dropped=30)
    assert bench.dropped() == {"backlog_full": 30}


def test_a_backlog_is_bounded_by_bytes_too(bench: Bench) -> None:
    bench.datakit.mode = "500"
    made = lines(50)
    n_bytes = len(made[-1])
    for one in made:
        bench.worker(max_bytes=10 * n_bytes).deliver([one])
    size = bench.backlog().size()
    assert size.lines == 10
    assert size.n_bytes <= 10 * n_bytes
    bench.datakit.mode = None
    bench.replay_all()
    bench.assert_accounted(made, dropped=40)


def test_a_lost_list_does_not_make_the_backlog_full(bench: Bench) -> None:
    made = lines(15)
    backlog = bench.backlog(max_bytes=sum(map(len, made)))
    backlog.push(made)
    cache_of(bench.backend).delete("backlog", scope="guance_chatgpt_monitor")  # as Redis does on eviction
    assert backlog.push(made) == 0
    assert backlog.size().lines == 15


def test_replay_frees_the_backlog(bench: Bench) -> None:
    for _ in range(5):
        made = lines(15)
        assert bench.backlog(max_bytes=2000).push(made) == 0
        assert bench.replay_all() == 15


# ---- Redis unreachable ----


class FlakyBackend:
    """A Redis that fails after a number of commands."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.left: int | None = 0  # commands until it fails; None for never

    def cache(self, command: str, key: str, *args: Any) -> Any:
        if self.left is not None:
            if self.left <= 0:
                raise ConnectionError("no Redis")
            self.left -= 1
        return self._backend.cache(command, key, *args)


def test_without_redis_points_are_written_and_counted_later(bench: Bench) -> None:
    flaky = FlakyBackend(bench.backend)
    memory: dict[str, Any] = {}
    for n in range(3):
        bench.worker(flaky, memory).deliver([line(n)])
    assert len(bench.stored()) == 3
    flaky.left = None
    bench.worker(flaky, memory).deliver([line(3)])
    assert bench.backlog().totals()["delivered"] == 4


@pytest.mark.parametrize("datakit_is_back", [True, False])
def test_points_kept_without_redis_and_datakit_follow_with_the_next_call(
    bench: Bench, datakit_is_back: bool
) -> None:
    flaky = FlakyBackend(bench.backend)
    memory: dict[str, Any] = {}
    bench.datakit.mode = "500"
    made = lines(5)
    for one in made[:4]:
        bench.worker(flaky, memory).deliver([one])
    assert any("backlog cannot be reached" in said for said in bench.said)
    flaky.left = None
    bench.datakit.mode = None if datakit_is_back else "500"
    bench.worker(flaky, memory).deliver([made[4]])
    assert bench.backlog().size().lines == (4 if datakit_is_back else 5)
    bench.datakit.mode = None
    bench.replay_all()
    bench.assert_accounted(made)


def test_memory_keeps_no_more_lines_than_the_bound(bench: Bench) -> None:
    flaky = FlakyBackend(bench.backend)
    memory: dict[str, Any] = {}
    bench.datakit.stop()
    made = lines(MAX_STRANDED_LINES + 7)
    for start in range(0, len(made), 100):
        bench.worker(flaky, memory).deliver(made[start : start + 100])
    flaky.left = None
    bench.datakit.start()
    bench.worker(flaky, memory).replay(60.0)
    bench.assert_accounted(made, dropped=7)


@pytest.mark.parametrize("left", range(12))
def test_a_redis_failing_in_the_middle_of_a_push_loses_nothing(quick: Bench, left: int) -> None:
    flaky = FlakyBackend(quick.backend)
    flaky.left = left
    memory: dict[str, Any] = {}
    quick.datakit.mode = "500"
    made = [bad_line(n) for n in range(4)]
    quick.worker(flaky, memory, max_lines=2).deliver(made)
    quick.datakit.mode = None
    flaky.left = None
    quick.worker(flaky, memory, max_lines=2).deliver([])
    quick.worker(flaky, memory, max_lines=2).replay(60.0)
    quick.assert_accounted(made, dropped=4)


def test_a_redis_failing_in_the_middle_of_a_replay_loses_nothing(quick: Bench) -> None:
    made = [*lines(40), bad_line(100), *lines(40, time.time_ns() + 1000)]
    quick.fill(made)
    flaky = FlakyBackend(quick.backend)
    flaky.left, step = 0, 0
    memory: dict[str, Any] = {}
    while True:
        quick.let_locks_expire()
        replay = quick.worker(flaky, memory).replay(60.0)
        if not replay.problem:
            break
        assert "backlog cannot be reached" in replay.problem
        step += 7
        flaky.left = step
    flaky.left = None
    quick.assert_accounted(made, dropped=1)


# ---- logs ----


def log_line(n: int, text: str, at_ns: int = 0) -> str:
    return encode(
        Line("openai", {"t": "v"}, {"n": float(n)}, (at_ns or time.time_ns()) + n), {"answer": text}
    )


def test_the_backlog_keeps_a_log_unchanged(bench: Bench) -> None:
    text = 'a "quoted" \\ text,\n# with line breaks = 1 2\n\n'
    bench.datakit.mode = "500"
    assert bench.logger().deliver([log_line(n, text) for n in range(3)]) is False
    assert bench.said == [f"DataKit at {bench.datakit.url} answered 500; 3 log line(s) wait in the backlog"]
    bench.datakit.mode = None
    bench.clock.now_s += 60.0
    assert bench.logger().replay(60.0).replayed == 3
    assert [log.fields["answer"] for log in bench.logs()] == [text] * 3
    assert all(float(log.fields["delay"]) >= 59.0 for log in bench.logs())
    assert bench.stored() == []


def test_deliver_returns_whether_datakit_took_the_lines(bench: Bench) -> None:
    assert bench.worker().deliver(lines(1)) is True
    assert bench.worker().deliver([bad_line(1)]) is True  # refused, but answered
    bench.datakit.mode = "403"
    assert bench.worker().deliver(lines(1)) is False
    bench.datakit.mode = None
    assert bench.worker().deliver(lines(1)) is False  # marked down, so not tried
    assert bench.backlog().size().lines == 2


def test_lines_can_be_kept_without_trying_datakit(bench: Bench) -> None:
    bench.logger().keep([log_line(1, "x")])
    assert bench.datakit.requests_total == 0
    assert bench.backlog().size().lines == 1


def test_a_request_has_at_most_a_megabyte_or_one_line(bench: Bench) -> None:
    made = [log_line(n, "x" * 300_000) for n in range(8)] + [log_line(9, "x" * (BATCH_BYTES + 1))]
    bench.logger().deliver(made[:4])
    assert bench.datakit.requests_total == 2
    bench.fill(made[4:])
    assert bench.logger().replay(60.0).replayed == 5
    assert bench.datakit.requests_total == 5
    assert len(bench.logs()) == 9


def test_a_bad_log_among_long_ones_is_dropped_alone(bench: Bench) -> None:
    bad = log_line(5, "x").replace("n=5.0", "n=NaN")
    made = [log_line(n, "x" * 300_000) for n in range(5)]
    bench.logger().deliver([*made[:2], bad, *made[2:]])
    assert sorted(log.fields["n"] for log in bench.logs()) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert bench.dropped() == {"invalidLinePoint": 1}
    assert bench.said == ["DataKit refused 1 log line(s) of openai: invalidLinePoint; dropped"]


def test_old_logs_go_in_one_request(bench: Bench) -> None:
    """Unlike points of a series, logs do not overwrite each other when DataKit replaces their time."""
    at_ns = int((bench.clock.now_s - 3 * 3600) * 1e9)
    bench.fill([log_line(n, "x", at_ns) for n in range(40)])
    assert bench.logger().replay(60.0).replayed == 40
    assert bench.datakit.requests_total == 1
    assert len(bench.logs()) == 40


def test_memory_keeps_no_more_bytes_than_the_bound(bench: Bench) -> None:
    flaky = FlakyBackend(bench.backend)
    memory: dict[str, Any] = {}
    bench.datakit.stop()
    size = MAX_STRANDED_BYTES // 8
    for n in range(12):
        bench.logger(flaky, memory).deliver([log_line(n, "x" * size)])
    flaky.left = None
    bench.datakit.start()
    bench.logger(flaky, memory).replay(60.0)
    assert [log.fields["n"] for log in bench.logs()] == [float(n) for n in range(5, 12)]
    assert bench.dropped() == {"backlog_full": 5}


# ---- killed or stalled at every moment ----


def mixed(clock: Clock) -> list[str]:
    """Too old, late, bad and good lines: everything a replayer handles."""
    now_ns = clock.time_ns()
    return [
        *lines(2, now_ns - 13 * HOUR_NS),
        *lines(2, now_ns - 3 * HOUR_NS),
        *lines(2, now_ns),
        bad_line(5, now_ns),
        *lines(2, now_ns + 100),
    ]


def commands_of(run: Callable[[Any], object], backend: Any) -> list[str]:
    """The cache commands that `run` executes."""
    commands: list[str] = []
    run(PuppetBackend(backend, lambda _, command: commands.append(command)))
    return commands


def test_a_replayer_killed_at_any_command_loses_nothing_and_counts_once(quick: Bench) -> None:
    made = mixed(quick.clock)
    quick.fill(made)
    commands = commands_of(lambda backend: quick.worker(backend).replay(60.0), quick.backend)
    assert len(commands) > 30
    for fatal in range(len(commands)):
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        quick.fill(made)
        with pytest.raises(KilledError):
            quick.worker(PuppetBackend(quick.backend, dying_at(fatal))).replay(60.0)
        quick.replay_all()
        quick.assert_each_is_stored(made, dropped=3)
        assert quick.dropped() == {"too_old": 2, "invalidLinePoint": 1}
        assert quick.backlog().totals()["replayed"] == 6


def test_a_late_point_is_not_written_twice_by_interrupted_replays(quick: Bench) -> None:
    made = lines(2000, quick.clock.time_ns() - 3 * HOUR_NS)
    quick.fill(made)
    for _ in range(10):
        quick.datakit.faults.extend(["ok", "500"])
        quick.let_locks_expire()
        quick.worker().replay(60.0)
    quick.replay_all()
    quick.assert_accounted(made)


def test_a_replayer_killed_at_any_command_causes_no_eviction(quick: Bench) -> None:
    made, more = lines(6), lines(6, time.time_ns() + 1000)
    quick.fill(made)
    commands = commands_of(lambda backend: quick.worker(backend).replay(60.0), quick.backend)
    n_bytes = len(more[0])

    def killed_at(fatal: int) -> None:
        quick.backend = MemoryBackend()
        quick.fill(made)
        with pytest.raises(KilledError):
            quick.worker(PuppetBackend(quick.backend, dying_at(fatal))).replay(60.0)

    for fatal in range(len(commands)):
        killed_at(fatal)
        waiting = quick.backlog().size().n_bytes
        killed_at(fatal)
        assert quick.backlog(max_bytes=waiting + 6 * n_bytes).push(more) == 0, fatal


def test_a_stalled_replayer_that_resumes_loses_nothing_and_counts_once(quick: Bench) -> None:
    # It stalls for longer than its lock lasts, while another replayer does all the work.
    made = mixed(quick.clock)
    quick.fill(made)
    commands = commands_of(lambda backend: quick.worker(backend).replay(60.0), quick.backend)
    for moment in range(len(commands)):
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        quick.fill(made)

        def meanwhile(n: int, _: str, moment: int = moment) -> None:
            if n == moment:
                quick.replay_all()
                quick.dropped()

        quick.worker(PuppetBackend(quick.backend, meanwhile)).replay(60.0)
        quick.replay_all()
        quick.assert_each_is_stored(made, dropped=3)


def test_leftovers_of_killed_replayers_are_removed(quick: Bench) -> None:
    made = mixed(quick.clock)
    quick.fill(made)
    commands = commands_of(lambda backend: quick.worker(backend).replay(60.0), quick.backend)
    quick.datakit.clear()
    quick.fill(made)
    for fatal in range(len(commands)):
        with pytest.raises(KilledError):
            quick.worker(PuppetBackend(quick.backend, dying_at(fatal))).replay(60.0)
        quick.let_locks_expire()
        quick.fill(made)
    quick.replay_all()
    quick.clock.now_s += 2 * 3600
    totals = quick.backlog().totals()
    kept = cache_of(quick.backend).hgetall("backlog_claims", scope="guance_chatgpt_monitor")
    assert kept == {}
    assert quick.backlog().totals() == totals


class Turns:
    """Two workers on threads take turns."""

    def __init__(self) -> None:
        self._turn = threading.Semaphore(0), threading.Semaphore(0)

    def give(self, to: int) -> None:
        self._turn[to].release()

    def wait(self, me: int) -> None:
        assert self._turn[me].acquire(timeout=20)


@pytest.mark.parametrize("dies", ["never", "when it has taken one more", "when it has taken all"])
def test_a_stalled_replayer_that_resumes_during_another_replay_loses_nothing(quick: Bench, dies: str) -> None:
    # The first stalls while it takes lines; the second is still taking over when the first resumes.
    made = lines(3)
    quick.fill(made)
    commands = commands_of(lambda backend: quick.worker(backend).replay(60.0), quick.backend)
    taking = [n for n, command in enumerate(commands) if command == "rpoplpush"]
    pauses = [(first, second) for first in taking for second in range(len(commands))]
    for first_pause, second_pause in pauses:
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        quick.fill(made)
        turns = Turns()

        def run_first(turns: Turns = turns, pause: int = first_pause) -> None:
            def before(n: int, command: str) -> None:
                if n == pause:
                    turns.give(1)
                    turns.wait(0)
                taken = n > pause and command != "rpoplpush"
                if (dies.endswith("one more") and n > pause + 1) or (dies.endswith("all") and taken):
                    raise KilledError

            turns.wait(0)
            try:
                quick.worker(PuppetBackend(quick.backend, before)).replay(60.0)
            except KilledError:
                pass
            turns.give(1)

        def run_second(turns: Turns = turns, pause: int = second_pause) -> None:
            def before(n: int, _: str) -> None:
                if n == pause:
                    turns.give(0)
                    turns.wait(1)

            turns.wait(1)
            quick.let_locks_expire()
            quick.worker(PuppetBackend(quick.backend, before)).replay(60.0)
            turns.give(0)

        threads = [threading.Thread(target=run) for run in (run_first, run_second)]
        for thread in threads:
            thread.start()
        turns.give(0)
        for thread in threads:
            thread.join(30)
        quick.replay_all()
        assert len(quick.stored()) == len(made), (first_pause, second_pause)
        assert quick.backlog().size().lines == 0


def test_a_caller_killed_at_any_command_loses_at_most_its_own_point(quick: Bench) -> None:
    made = lines(4)
    quick.datakit.mode = "500"
    quick.fill(made[:3])
    commands = commands_of(lambda backend: quick.worker(backend).deliver(made[3:]), quick.backend)
    for fatal in range(len(commands)):
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        quick.datakit.mode = "500"
        quick.fill(made[:3])
        with pytest.raises(KilledError):
            quick.worker(PuppetBackend(quick.backend, dying_at(fatal))).deliver(made[3:])
        quick.datakit.mode = None
        quick.replay_all()
        assert quick.dropped() == {}
        assert {point.fields["n"] for point in quick.stored()} >= {0.0, 1.0, 2.0}


# ---- the report ----


def report_once(bench: Bench, backend: Any = None) -> Report:
    health, worker = bench.health(backend), bench.worker(backend)
    unsent = health.unsent_lines()
    report = health.make(datakit_up=True)
    worker.deliver(unsent + report.lines, counted=False)
    health.sent()
    return report


def reported(bench: Bench) -> dict[str, float]:
    """The sums over all reports in DataKit, as a dashboard shows them."""
    sums: dict[str, float] = {}
    for point in bench.stored("openai_monitor"):
        for name in ("delivered", "replayed", "dropped"):
            sums[name] = sums.get(name, 0.0) + float(point.fields.get(name, 0.0))
    return sums


def test_a_report_covers_the_time_since_the_last(bench: Bench) -> None:
    bench.worker().deliver(lines(1))
    bench.worker().deliver([bad_line(0)])
    bench.fill(lines(2, bench.clock.time_ns() - 100 * 10**9))
    report = report_once(bench)
    assert (report.delivered, report.replayed, report.dropped) == (1, 0, {"invalidLinePoint": 1})
    assert report.write_time_s == pytest.approx(0.001, rel=0.01)
    assert report.size.lines == 2
    assert 99 < report.oldest_age_s < 102
    points = bench.stored("openai_monitor")
    fields = next(point.fields for point in points if "reason" not in point.tags)
    assert fields["backlog_lines"] == 2.0
    assert fields["backlog_bytes"] == report.size.n_bytes > 0
    assert fields["datakit_up"] == 1.0
    assert all(isinstance(value, float) for point in points for value in point.fields.values())
    by_reason = [point for point in points if "reason" in point.tags]
    assert [(point.tags["reason"], point.fields) for point in by_reason] == [
        ("invalidLinePoint", {"dropped": 1.0})
    ]
    bench.clock.now_s += 60
    bench.replay_all()
    report = report_once(bench)
    assert (report.delivered, report.replayed, report.dropped) == (0, 2, {})
    assert report.size.lines == 0
    assert reported(bench) == {"delivered": 1.0, "replayed": 2.0, "dropped": 1.0}


def test_an_unsent_report_waits_like_any_point(bench: Bench) -> None:
    bench.worker().deliver(lines(3))
    bench.datakit.mode = "500"
    report_once(bench)
    bench.datakit.mode = None
    bench.replay_all()
    bench.clock.now_s += 60
    report_once(bench)
    assert reported(bench)["delivered"] == 3.0


def test_a_reporter_killed_at_any_command_reports_each_count_once(quick: Bench) -> None:
    made = mixed(quick.clock)

    def happen() -> None:
        quick.worker().deliver([line(1)])
        quick.worker().deliver([bad_line(2)])
        quick.fill(made)
        quick.replay_all()

    happen()
    commands = commands_of(lambda backend: report_once(quick, backend), quick.backend)
    for fatal in range(len(commands)):
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        happen()
        for _ in range(2):  # the next one is killed too
            try:
                report_once(quick, PuppetBackend(quick.backend, dying_at(fatal)))
            except KilledError:
                pass
            quick.let_locks_expire()
            quick.clock.now_s += 1
        quick.clock.now_s += 60
        report_once(quick)
        quick.replay_all()
        quick.clock.now_s += 60
        report_once(quick)
        assert reported(quick)["delivered"] == 1.0
        assert reported(quick)["dropped"] == 4.0
        assert reported(quick)["replayed"] >= 6.0


@pytest.mark.parametrize("dies", [False, True])
def test_simultaneous_reporters_report_each_count_once(quick: Bench, dies: bool) -> None:
    commands = commands_of(lambda backend: report_once(quick, backend), quick.backend)
    for moment in range(len(commands)):
        quick.backend = MemoryBackend()
        quick.datakit.clear()
        quick.worker().deliver([line(1)])
        quick.worker().deliver([bad_line(2)])

        def meanwhile(n: int, _: str, moment: int = moment) -> None:
            if n == moment:
                quick.clock.now_s += 1
                report_once(quick)
            if dies and n >= moment:
                raise KilledError

        try:
            report_once(quick, PuppetBackend(quick.backend, meanwhile))
        except KilledError:
            pass
        quick.let_locks_expire()
        quick.clock.now_s += 60
        report_once(quick)
        assert reported(quick) == {"delivered": 1.0, "replayed": 0.0, "dropped": 1.0}, moment


def test_after_the_cache_is_cleared_counting_starts_from_0(bench: Bench) -> None:
    bench.worker().deliver(lines(5))
    report_once(bench)
    cache_of(bench.backend).delete("totals", scope="guance_chatgpt_monitor")
    bench.worker().deliver(lines(2))
    bench.clock.now_s += 60
    assert report_once(bench).delivered == 2

"""A stopped DataKit loses its last 10 s, like the real one, and Func sends them again."""

import time
from collections.abc import Iterator

import pytest
from cache_client import MemoryBackend, cache_of, line
from in_process import Collected, collect_at, places_of
from stack import Stack

from guance_chatgpt_monitor.func.cache_backlog import SCOPE
from guance_chatgpt_monitor.func.taken_lines import MAX_ENTRIES, TakenLines
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit

pytestmark = pytest.mark.slow

INVALID = {"no": "question"}


@pytest.fixture(scope="module")
def running_stack(running_stack: Stack) -> Iterator[Stack]:
    with running_stack.another_datakit(lambda port: LocalDataKit(port, forgetful=True)):
        yield running_stack


@pytest.fixture
def stack(stack: Stack) -> Stack:
    stack.configure(log_content=True)
    return stack


def collect_elsewhere(stack: Stack) -> Collected:
    """One run of collect() in another worker than the one that made the calls."""
    return collect_at(places_of(stack), time.time(), log_content=True)


def restart(stack: Stack) -> None:
    """Restart DataKit, after collect() has seen that it was up for an hour."""
    stack.collect()
    stack.datakit.stop()
    stack.datakit.start()


def stamps(stack: Stack) -> list[int]:
    return [point.timestamp_ns for point in stack.points()]


def test_no_call_is_missing_after_a_restart(stack: Stack) -> None:
    for _ in range(5):
        assert stack.ask().status_code == 200
    taken = stamps(stack)
    restart(stack)
    assert stamps(stack) == []  # they really were lost
    result = collect_elsewhere(stack)
    assert sorted(stamps(stack)) == sorted(taken)
    assert len(stack.datakit.points("openai", "logging")) == 5
    said = "\n".join(result.log)
    assert "point(s) that it may have lost are sent again" in said
    assert "5 log line(s) that it may have lost" in said


def test_replayed_points_are_sent_again_too(stack: Stack) -> None:
    stack.datakit.mode = "500"
    for _ in range(3):
        stack.post(INVALID)
    stack.datakit.mode = None
    stack.collect()
    assert len(stack.points()) == 3
    restart(stack)
    stack.collect()
    assert len(stack.points()) == 3


def test_nothing_is_sent_again_without_a_restart(stack: Stack) -> None:
    stack.collect()
    stack.post(INVALID)
    for result in (collect_elsewhere(stack), stack.collect(), collect_elsewhere(stack)):
        assert "sent again" not in "\n".join(result.log)
    assert len(stack.points()) == 1


def test_points_are_sent_again_only_once(stack: Stack) -> None:
    stack.ask()
    restart(stack)
    assert "sent again" in "\n".join(stack.collect().log)
    assert "sent again" not in "\n".join(collect_elsewhere(stack).log)
    assert len(stack.datakit.points("openai", "logging")) == 1


# ---- what is kept ----


class Kept:
    """The lines that a Func keeps, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1_780_000_000.0
        self.cache = cache_of(MemoryBackend(lambda: self.now_s))
        self.lines = TakenLines(self.cache, SCOPE, lambda: self.now_s)
        self.again: list[str] = []

    def collect(self, uptime_s: float) -> int:
        return self.lines.send_again(uptime_s, self.again.extend)

    def count(self) -> int:
        minute = int(self.now_s) // 60
        keys = [f"taken_{n}" for n in range(minute - 800, minute + 1)]
        return sum(self.cache.llen(key, scope=SCOPE) for key in keys)


def test_taken_lines_are_deleted_by_the_second_collect_after() -> None:
    kept = Kept()
    for n in range(30):
        kept.lines.note([line(n)])
        kept.now_s += 60
        assert kept.collect(kept.now_s) == 0
    assert 2 <= kept.count() <= 4


def test_lines_taken_before_a_long_outage_are_sent_again() -> None:
    kept = Kept()
    kept.collect(1000.0)
    kept.lines.note([line(1)])
    kept.now_s += 30
    kept.lines.note([line(2)])
    for _ in range(5 * 60):
        kept.now_s += 60
        kept.lines.keep_longer()
    assert kept.collect(20.0) == 1  # the last 15 s before the outage
    assert kept.again == [line(2, int(kept.again[0].rsplit(" ", 1)[1]) - 2)]


def test_without_collect_taken_lines_are_bounded_and_expire() -> None:
    kept = Kept()
    for n in range(MAX_ENTRIES + 5):
        kept.lines.note([str(n)])
    assert kept.count() == MAX_ENTRIES
    kept.now_s += 16 * 60
    assert kept.count() == 0


def test_long_entries_are_bounded_in_bytes() -> None:
    kept = Kept()
    for _ in range(40):
        kept.lines.note(["x" * 1024 * 1024])
    assert kept.count() <= 16


def test_after_a_killed_collect_the_next_one_sends_the_lines() -> None:
    kept = Kept()
    kept.lines.note([line(1)])
    kept.now_s += 10

    def die(_: list[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.lines.send_again(2.0, die)
    assert kept.collect(3.0) == 1


# ---- a healthy call ----


def test_a_healthy_call_takes_few_redis_commands(stack: Stack) -> None:
    stack.configure(tags={"team": "counted"})
    code = stack.func.script("startup__guance_chatgpt_monitor")
    counting = (
        "import types\n"
        "class Counted:\n"
        "    def __getattr__(self, name):\n"
        "        def call(*arguments, **options):\n"
        "            print(name, arguments[0])\n"
        "            return getattr(DFF.CACHE, name)(*arguments, **options)\n"
        "        return call\n"
        "counted = types.SimpleNamespace(CACHE=Counted(), STORE=None, RESP=DFF.RESP)\n"
    )
    stack.func.edit(
        "startup__guance_chatgpt_monitor", counting + code.replace("    DFF,\n", "    counted,\n")
    )
    for _ in range(5):
        stack.post(INVALID)
    commands = sorted((record["log"] for record in stack.func.records), key=len)
    # Note the point and count it; now and then, read whether DataKit is marked down. One of the calls may
    # add up the worker's writes.
    assert len(commands[2]) in (2, 3), commands

"""DataKit loses its last 10 s when it is stopped, as the real one does, and still no call is missing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_client import line
from exporting import WatchedDataKit, settings

from guance_chatgpt_monitor.app.channel import Channel
from guance_chatgpt_monitor.core.delivery import LOGGING, METRIC, Category

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = Path(__file__).resolve().parent.parent


class Clock:
    """Shared by DataKit and the application."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s

    def ns(self) -> int:
        return int(self.now_s * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def datakit(clock: Clock) -> Iterator[WatchedDataKit]:
    with WatchedDataKit(forgetful=True, clock_ns=clock.ns) as started:
        yield started


def channel_to(datakit: WatchedDataKit, clock: Clock, category: Category = METRIC) -> Channel:
    said: list[str] = []
    return Channel(settings(datakit.url, "off"), category, said.append, lambda _: None, clock)


def restart(datakit: WatchedDataKit, clock: Clock, down_s: float = 3.0) -> None:
    datakit.stop()
    clock.now_s += down_s
    datakit.start()
    clock.now_s += 1.0


@pytest.mark.parametrize("category", [METRIC, LOGGING])
def test_the_last_lines_before_a_restart_are_sent_again(
    datakit: WatchedDataKit, clock: Clock, category: Category
) -> None:
    channel = channel_to(datakit, clock, category)
    for n in range(30):
        channel.deliver([line(n)])
        clock.now_s += 1.0
    restart(datakit, clock)
    assert datakit.count("openai", category.name) == 21
    channel.deliver([line(30)])
    stored = datakit.points("openai", category.name)
    assert {point.fields["n"] for point in stored} == set(range(31))
    assert category is LOGGING or len(stored) == 31
    # 15 s and no more: lines the real DataKit has already passed on are not sent again.
    assert sum(datakit.batches) == 31 + 16


def test_calls_made_while_datakit_is_stopped_are_delivered_too(datakit: WatchedDataKit, clock: Clock) -> None:
    channel = channel_to(datakit, clock)
    for n in range(3):
        channel.deliver([line(n)])
    datakit.stop()
    channel.deliver([line(3)])
    clock.now_s += 60.0
    datakit.start()
    clock.now_s += 1.0
    channel.run_due()
    assert {point.fields["n"] for point in datakit.points("openai")} == set(range(4))


def test_a_restart_between_two_writes_is_noticed(datakit: WatchedDataKit, clock: Clock) -> None:
    channel = channel_to(datakit, clock)
    channel.deliver([line(0)])
    clock.now_s += 1.0
    restart(datakit, clock)
    assert datakit.count("openai") == 0
    channel.run_due()
    assert 0 < channel.due_in_s() <= 16
    clock.now_s += channel.due_in_s()
    channel.run_due()
    assert datakit.count("openai") == 1


def test_nothing_is_sent_again_without_a_restart(datakit: WatchedDataKit, clock: Clock) -> None:
    channel = channel_to(datakit, clock)
    clock.now_s += 100.0
    for n in range(20):
        channel.deliver([line(n)])
        clock.now_s += 1.0
        if n % 5 == 0:
            datakit.faults.append("reset")
            channel.deliver([line(100 + n)])  # reconnects to the same DataKit
            clock.now_s += 31.0
            channel.run_due()
    clock.now_s += 60.0
    channel.run_due()
    assert datakit.count("openai") == 24
    assert sum(datakit.batches) == 24 + 4  # plus the reset ones


APPLICATION = """
import os, select, sys
from exporting import submit
from guance_chatgpt_monitor.app.exporter import get_exporter
exporter = get_exporter()
while not select.select([sys.stdin], [], [], 0.02)[0]:
    os.write(1, b"%d\\n" % submit(exporter, 1)[0])
exporter.flush(20)
"""


@pytest.mark.parametrize("n_calls", [1, 40], ids=["short", "long"])
def test_no_call_of_a_real_process_is_missing_after_restarts(tmp_path: Path, n_calls: int) -> None:
    """`n_calls` are made while DataKit is down."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}",
        "CHATGPT_MONITOR_BACKLOG": str(tmp_path / "backlog.sqlite3"),
    }
    with WatchedDataKit(forgetful=True) as datakit:
        environment["CHATGPT_MONITOR_DATAKIT_URL"] = datakit.url
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", APPLICATION]
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin
            assert process.stdout
            made: set[int] = set()
            for n in range(3):
                assert datakit.wait_for_writes(len(datakit.batches) + 2)
                datakit.stop()
                stopped_ns, n_meanwhile = time.time_ns(), 0
                while n_meanwhile < n_calls:  # to the backlog
                    made.add(stamp := int(process.stdout.readline()))
                    n_meanwhile += stamp > stopped_ns
                datakit.start()
                assert n or datakit.count("openai") == 0
            started_ns = time.time_ns()
            while not {stamp for stamp in made if stamp < started_ns} <= set(datakit.stamps()):
                made.add(int(process.stdout.readline()))  # the application is still running
            process.stdin.close()
            made |= {int(text) for text in process.stdout}
        assert process.returncode == 0
        assert datakit.wait_for(len(made))
        assert len(made) > 100
        assert set(datakit.stamps()) == made

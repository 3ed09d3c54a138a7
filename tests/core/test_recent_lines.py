"""After a restart, DataKit is sent what it took in its last 15 s again, and nothing else."""

import pytest

from guance_chatgpt_monitor.core.recent_lines import RecentLines, Taken, lost_lines

TAKEN = [Taken(float(at_s), [f"m f=1 {at_s}"]) for at_s in (100, 110, 120, 130)]


@pytest.mark.parametrize(
    ("started_at_s", "lost"),
    [
        (50, []),  # running since before the first
        (200, [120, 130]),  # stopped after the last
        (125, [110, 120]),  # what came after its start is safe
        (130.5, [120, 130]),  # clocks may differ slightly, so these are sent again
        (101, [100]),
    ],
)
def test_the_lost_lines_follow_from_datakits_start(started_at_s: float, lost: list[int]) -> None:
    assert lost_lines(TAKEN, started_at_s) == [f"m f=1 {at_s}" for at_s in lost]


def test_without_lines_nothing_is_lost() -> None:
    assert lost_lines([], 100.0) == []


def test_only_the_last_lines_are_sent_again_and_only_once() -> None:
    now = [0.0]
    recent = RecentLines(lambda: now[0])
    for now[0] in (0.0, 10.0, 20.0):
        recent.add([f"m f=1 {now[0]:.0f}"])
    now[0] = 30.0
    assert recent.take_lost(uptime_s=1.0) == ["m f=1 10", "m f=1 20"]
    assert recent.take_lost(uptime_s=1.0) == []
    assert recent.is_empty()


def test_lines_are_kept_however_long_datakit_is_down() -> None:
    now = [0.0]
    recent = RecentLines(lambda: now[0])
    recent.add(["m f=1 1"])
    now[0] = 3600.0
    assert recent.age_s() == 3600.0
    assert recent.take_lost(uptime_s=5.0) == ["m f=1 1"]


def test_memory_is_bounded() -> None:
    recent = RecentLines(lambda: 0.0, max_bytes=100)
    for n in range(10):
        recent.add([f"{n}" * 40])
    assert recent.take_lost(uptime_s=0.0) == ["8" * 40, "9" * 40]
    recent.add(["x" * 101])
    assert recent.is_empty()

"""Work within a time limit, on reused threads."""

import threading

import pytest
from cache_client import run_threads

from guance_chatgpt_monitor.func import time_limit
from guance_chatgpt_monitor.func.time_limit import within


def test_the_result_or_exception_of_the_work_is_passed_on() -> None:
    assert within(30, lambda: 1) == 1

    def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        within(30, fail)


def test_successive_calls_share_a_thread() -> None:
    assert len({within(30, threading.get_ident) for _ in range(20)}) == 1


def test_simultaneous_calls_have_a_thread_each() -> None:
    meet = threading.Barrier(5)

    def call(_: int) -> None:
        within(30, lambda: meet.wait(30))

    run_threads(5, call)


def test_the_result_of_late_work_is_discarded() -> None:
    go, done = threading.Event(), threading.Event()

    def work() -> str:
        go.wait(30)
        done.set()
        return "late"

    with pytest.raises(TimeoutError):
        within(0.01, work)
    assert within(30, lambda: "mine") == "mine"
    go.set()
    assert done.wait(30)
    assert [within(30, lambda n=n: n) for n in range(5)] == list(range(5))  # type: ignore[misc]


def test_an_idle_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "IDLE_S", 0.01)
    monkeypatch.setattr(time_limit, "_idle", [])
    thread = within(30, threading.current_thread)
    thread.join(30)
    assert not thread.is_alive()
    assert time_limit._idle == []
    assert within(30, threading.current_thread) is not thread

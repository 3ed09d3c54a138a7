"""Costs sent to Guance, from Func and from an application, and the count of calls without a known price."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import interpreters
import pytest
from cache_client import MemoryBackend, PuppetBackend, cache_of
from exporting import WatchedDataKit, settings
from stack import Stack

from guance_chatgpt_monitor.app.exporter import Exporter
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
from guance_chatgpt_monitor.app.memory_backlog import MemoryBacklog
from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.core.backlog import Backlog
from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.health import Health
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog

pytestmark = pytest.mark.slow

LONG = "word " * 2000  # so that the stand-in reports most of it as cached


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """Without what the workers have counted for earlier tests and not yet reported."""
    stack.collect()
    stack.reset()
    return stack


# ---- from Func ----


def test_the_cost_follows_openais_prices(stack: Stack) -> None:
    stack.configure(price_provider="openai")
    usage = stack.ask(LONG).json()["usage"]
    fields = stack.point().fields
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert 0 < cached < usage["prompt_tokens"]
    usd_per_million = (
        (usage["prompt_tokens"] - cached) * 0.15 + cached * 0.075 + usage["completion_tokens"] * 0.60
    )
    assert fields["cost"] == pytest.approx(usd_per_million / 1e6)
    stack.collect()
    assert not [point for point in stack.points("openai_monitor") if "unpriced_calls" in point.fields]


def test_a_flex_answer_costs_less(stack: Stack) -> None:
    stack.configure(price_provider="openai")
    for tier in ("default", "flex"):
        assert stack.ask(model="o3", service_tier=tier).status_code == 200
    usual, flex = (point.fields["cost"] for point in stack.points())
    assert flex == pytest.approx(usual / 2)


def test_an_error_has_no_cost_and_is_not_counted(stack: Stack) -> None:
    stack.configure(price_provider="openai")
    stack.openai.faults.extend(["401", "no_usage"])
    stack.ask()
    stack.ask()
    assert ["cost" in point.fields for point in stack.points()] == [False, False]
    stack.collect()
    assert not [point for point in stack.points("openai_monitor") if "unpriced_calls" in point.fields]


def test_calls_without_a_price_are_counted_once_by_model(stack: Stack) -> None:
    for model in ("gpt-4o", "mine", "mine"):
        stack.ask(model=model)
    assert all("cost" not in point.fields for point in stack.points())
    task = stack.collect()
    counted = [point for point in stack.points("openai_monitor") if "unpriced_calls" in point.fields]
    assert {point.tags["model"]: point.fields for point in counted} == {
        "gpt-4o-2024-07-18": {"unpriced_calls": 1.0},
        "mine-2024-07-18": {"unpriced_calls": 2.0},
    }
    assert {(point.tags["service_name"], "reason" in point.tags) for point in counted} == {
        ("dataflux-func", False)
    }
    assert any("2 call(s) of mine-2024-07-18: the price is unknown" in line for line in task.log)
    stack.datakit.clear()
    stack.collect()
    assert not [point for point in stack.points("openai_monitor") if "unpriced_calls" in point.fields]


def test_without_a_price_table_nothing_is_counted(built: Built) -> None:
    python = interpreters.with_packages(interpreters.OLDEST)  # which genai-prices does not support
    with Stack(built, python, price_provider="openai") as stack:
        assert stack.ask().status_code == 200
        assert "cost" not in stack.point().fields
        assert stack.point().fields["total_tokens"] > 0
        stack.collect()
        assert stack.points("openai_monitor")
        assert not [point for point in stack.points("openai_monitor") if "unpriced_calls" in point.fields]


def test_a_wrong_provider_is_reported_at_once(stack: Stack) -> None:
    stack.configure(price_provider="https://api.openai.com/v1")
    assert "price_provider must be a provider, such as openai or azure_openai" in str(stack.ask().text)


# ---- from an application ----


class Answered:
    """A call as the exporter receives it."""

    def __init__(self, model: str, provider: str = "openai") -> None:
        self._call = Call(
            "chat",
            response_model=model,
            provider_name=provider,
            usage=Usage(1500.0, 1000.0, 500.0, 400.0),
        )
        self._call.end()

    def to_call(self) -> Call:
        return self._call


@pytest.fixture
def datakit() -> Iterator[WatchedDataKit]:
    with WatchedDataKit() as server:
        yield server


def test_an_application_sends_costs_and_counts_unpriced_calls(
    datakit: WatchedDataKit, tmp_path: Path
) -> None:
    exporter = Exporter(settings(datakit.url, tmp_path / "backlog", price_provider="openai"))
    exporter.submit(Answered("gpt-4o-mini-2024-07-18"))
    exporter.submit(Answered("gpt-4o-mini-2024-07-18", "proxy.example.org"))
    exporter.submit(Answered("mine"))
    exporter.shutdown(20.0)
    costs = [point.fields.get("cost") for point in datakit.points("openai")]
    assert costs == [pytest.approx((600 * 0.15 + 400 * 0.075 + 500 * 0.60) / 1e6)] * 2 + [None]
    assert datakit.total("unpriced_calls", model="mine", service_name="tested") == 1.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # about fork and threads
def test_a_forked_child_counts_only_its_own_calls(datakit: WatchedDataKit, tmp_path: Path) -> None:
    exporter = Exporter(settings(datakit.url, tmp_path / "backlog.sqlite3"))
    exporter.submit(Answered("mine"))
    assert exporter.flush(20.0)
    child = os.fork()
    if child == 0:
        try:
            exporter.submit(Answered("mine"))
            exporter.shutdown(20.0)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    exporter.shutdown(20.0)
    assert datakit.count("openai") == 2
    # Only one of the two reports in this minute, but both have counted.
    assert file_backlog(tmp_path).totals()["unpriced:mine"] == 2


# ---- the count ----


class CutOff:
    """Makes the cache unreachable on demand."""

    unreachable = False

    def __call__(self, _: int, __: str) -> None:
        if self.unreachable:
            raise ConnectionError("unreachable")


def cache_backlog(_: Path) -> Backlog:
    return CacheBacklog(cache_of(MemoryBackend()))


def file_backlog(folder: Path) -> Backlog:
    return FileBacklog(str(folder / "backlog.sqlite3"), print)


def memory_backlog(_: Path) -> Backlog:
    return MemoryBacklog()


@pytest.mark.parametrize("make", [cache_backlog, file_backlog, memory_backlog])
def test_each_model_has_a_counter_up_to_a_bound(make: Callable[[Path], Backlog], tmp_path: Path) -> None:
    backlog = make(tmp_path)
    for process in range(3):
        health = Health(backlog, "s")
        health.count_unpriced({f"model-{process}-{n}": 2 for n in range(100)})
        health.count_unpriced({"model-0-7": 1})
    unpriced = Health(backlog, "s").make(True).unpriced
    assert len(unpriced) == 201
    assert unpriced["model-0-7"] == 2 + 3
    assert unpriced["other"] == 2 * 100
    assert sum(unpriced.values()) == 3 * 200 + 3


def test_counts_wait_while_the_cache_is_unreachable() -> None:
    cut_off = CutOff()
    health = Health(CacheBacklog(cache_of(PuppetBackend(MemoryBackend(), cut_off))), "s")
    counts = {"a": 1, "b": 2}
    cut_off.unreachable = True
    health.count_unpriced(counts)
    assert counts == {"a": 1, "b": 2}
    cut_off.unreachable = False
    health.count_unpriced(counts)
    assert counts == {}
    assert health.make(True).unpriced == {"a": 1, "b": 2}

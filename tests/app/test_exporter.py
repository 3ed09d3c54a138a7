"""The exporter in one process: batches, outages, bounds, and its report about itself."""

import gc
import json
import logging
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cache_client import line
from exporting import WAIT_S, Observed, WatchedDataKit, settings, stamps_in, submit
from preloaded import preloaded

import guance_chatgpt_monitor
from guance_chatgpt_monitor.app.exporter import Exporter
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
from guance_chatgpt_monitor.core.call import Call

THREAD_NAME = "guance_chatgpt_monitor"


@pytest.fixture
def datakit() -> Iterator[WatchedDataKit]:
    with WatchedDataKit() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "backlog.sqlite3"


@pytest.fixture
def make(datakit: WatchedDataKit, path: Path) -> Iterator[Callable[..., Exporter]]:
    """Makes an exporter that writes to this DataKit and keeps this backlog."""
    made = []

    def make_exporter(batch_every_s: float = 1.0, report_every_s: float = 60.0, **further: Any) -> Exporter:
        further.setdefault("backlog", path)
        exporter = Exporter(settings(datakit.url, **further), batch_every_s, report_every_s)
        made.append(exporter)
        return exporter

    yield make_exporter
    datakit.mode = None
    for exporter in made:
        exporter.shutdown()


@pytest.fixture(scope="module", autouse=True)
def _no_exporter_of_other_tests() -> None:
    guance_chatgpt_monitor.shutdown()


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


# -- delivering ------------------------------------------------------------------------------------


def test_a_call_becomes_a_point_within_a_second_or_so(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    exporter = make(tags={"team": "web"}, measurement="chatgpt")
    exporter.submit(Observed(model="gpt-4o-mini"))
    assert datakit.wait_for(1, "chatgpt")
    (point,) = datakit.points("chatgpt")
    assert point.tags == {
        "operation_name": "chat",
        "provider_name": "openai",
        "request_model": "gpt-4o-mini",
        "status": "ok",
        "status_code": "200",
        "stream": "false",
        "service_name": "tested",
        "team": "web",
        "host": "local",
    }
    assert point.fields["question"] == 1.0
    assert point.fields["total_tokens"] == 30.0
    assert "delay" not in point.fields


def test_calls_go_out_when_the_time_is_up(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make()
    exporter.submit(Observed())
    assert datakit.wait_for(1)
    submit(exporter, 3)
    assert datakit.wait_for(4)
    assert datakit.batches == [1, 3]


def test_calls_go_out_when_a_batch_is_full(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(batch_every_s=3600)
    stamps: list[int] = []
    for n_calls in (1, 500, 500):  # the first call goes out at once, and the thread waits before each batch
        stamps += submit(exporter, n_calls)
        assert datakit.wait_for(len(stamps))
    assert datakit.batches == [1, 500, 500]
    assert {request.encoding for request in datakit.requests_received} == {"", "gzip"}
    assert datakit.stamps() == stamps


def test_flush_delivers_everything_submitted(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(batch_every_s=3600)
    assert exporter.flush(0.0)  # nothing to wait for
    stamps = submit(exporter, 1700)
    assert exporter.flush(WAIT_S)
    assert datakit.stamps() == stamps
    assert exporter.flush(WAIT_S)


def test_flush_gives_up_at_its_timeout(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    datakit.mode = "hang"
    exporter = make()
    submit(exporter, 3)
    assert not exporter.flush(0.2)  # it would be True after waiting for the write to time out
    datakit.mode = None
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 3


def test_many_threads_can_submit_at_once(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make()
    threads = [
        threading.Thread(target=lambda: deque(map(exporter.submit, [Observed() for _ in range(400)])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(our_threads()) == 1
    assert exporter.flush(WAIT_S)
    assert datakit.wait_for(3200)


def test_the_thread_is_a_daemon_that_starts_with_the_first_call(make: Callable[..., Exporter]) -> None:
    exporter = make()
    assert our_threads() == []
    exporter.submit(Observed())
    (thread,) = our_threads()
    assert thread.daemon
    exporter.shutdown()
    assert our_threads() == []


def test_calls_after_a_shutdown_are_delivered(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make()
    stamp = time.time_ns()
    exporter.submit(Observed(stamp))
    exporter.shutdown()
    assert datakit.count("openai") == 1
    exporter.submit(Observed(stamp))  # the same moment, but still a point of its own
    exporter.shutdown()
    assert datakit.count("openai") == 2


def test_a_call_that_ends_in_a_finalizer_is_delivered(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    """The garbage collector may run anywhere, even in the middle of our own code."""
    exporter = make(batch_every_s=0.001)

    class Abandoned:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            exporter.submit(Observed())

    thresholds = gc.get_threshold()
    gc.set_threshold(10, 2, 2)
    try:
        for _ in range(1500):
            Abandoned()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 1500


def test_nothing_happens_when_disabled(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make(enabled=False)
    submit(exporter, 1000)
    assert exporter.flush(0.0)
    exporter.shutdown()
    assert our_threads() == []
    assert datakit.requests_total == 0
    assert not path.parent.exists()


# -- outages ---------------------------------------------------------------------------------------


def test_calls_made_during_an_outage_are_delivered_after_it(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make()
    datakit.stop()
    stamps = submit(exporter, 700)
    assert exporter.flush(WAIT_S)
    datakit.start()
    assert datakit.wait_for(700)
    assert datakit.stamps() == stamps
    assert all(point.fields["delay"] > 0 for point in datakit.points("openai"))
    exporter.shutdown()
    assert stamps_in(path) == []


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_temporary_refusals_lose_no_call(
    make: Callable[..., Exporter], datakit: WatchedDataKit, fault: str
) -> None:
    exporter = make()
    datakit.mode = fault
    stamps = submit(exporter, 20)
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 0
    datakit.mode = None
    assert datakit.wait_for(20)
    assert datakit.stamps() == stamps


def test_waiting_calls_are_delivered_after_the_application_restarts(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    datakit.stop()
    first = make()
    stamps = submit(first, 1200)
    first.shutdown()
    datakit.start()
    second = make()
    stamps += submit(second, 1)
    assert datakit.wait_for(1201)
    assert datakit.stamps() == stamps


def test_a_shutdown_with_datakit_down_keeps_a_full_queue(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.stop()
    exporter = make()
    stamps = submit(exporter, 9000)
    exporter.shutdown()
    # A batch may be there twice: the thread was writing it when the shutdown took over.
    assert sorted(set(stamps_in(path))) == stamps


def test_a_shutdown_with_datakit_hanging_keeps_the_batch_under_way(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.mode = "hang"
    exporter = make()
    stamps = submit(exporter, 1)
    assert datakit.wait_for_writes(1)
    stamps += submit(exporter, 800)
    exporter.shutdown()
    assert len(datakit.batches) <= 2  # no time is spent on further writes
    assert stamps_in(path) == stamps


class Held(Observed):
    """A call that blocks while it is read until `may_be_read`, and holds up its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.is_being_read = threading.Event()
        self.may_be_read = threading.Event()

    def to_call(self) -> Call:
        self.is_being_read.set()
        assert self.may_be_read.wait(WAIT_S)
        return super().to_call()


def hold_a_batch(exporter: Exporter, n_calls: int) -> Held:
    """Make the thread read a batch of `n_calls` + 1; return its first call, which is being read."""
    before, first = Held(), Held()
    exporter.submit(before)
    assert before.is_being_read.wait(WAIT_S)
    exporter.submit(first)
    submit(exporter, n_calls)
    before.may_be_read.set()
    assert first.is_being_read.wait(WAIT_S)
    return first


def test_a_shutdown_loses_no_call_when_the_thread_is_stuck(
    make: Callable[..., Exporter], datakit: WatchedDataKit, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    held = hold_a_batch(exporter, 10)
    (thread,) = our_threads()
    exporter.shutdown(0.2)
    held.may_be_read.set()
    thread.join(WAIT_S)
    submit(make(), 1)  # which starts the replay
    assert datakit.wait_for(1 + 11 + 1)
    assert len(set(datakit.stamps())) == 1 + 11 + 1
    # On a busy machine, DataKit may be reported as slow.
    assert [text for text in caplog.messages if "wait in the backlog" not in text] == []


def test_without_a_file_the_backlog_is_in_memory(
    make: Callable[..., Exporter], datakit: WatchedDataKit, tmp_path: Path
) -> None:
    exporter = make(backlog="off")
    datakit.stop()
    submit(exporter, 30)
    assert exporter.flush(WAIT_S)
    datakit.start()
    assert datakit.wait_for(30)
    assert list(tmp_path.iterdir()) == []


def test_lines_lost_with_the_process_are_reported(
    make: Callable[..., Exporter], datakit: WatchedDataKit, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make(backlog="off")
    datakit.stop()
    submit(exporter, 30)
    exporter.shutdown()
    assert "30 point(s) or log line(s) end with this process" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("up", [True, False])
def test_a_backlog_locked_by_another_process_loses_no_call(
    make: Callable[..., Exporter],
    datakit: WatchedDataKit,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    up: bool,
) -> None:
    exporter = make()
    stamps = submit(exporter, 1)
    assert exporter.flush(WAIT_S)
    if not up:
        datakit.stop()
    holder = sqlite3.connect(str(path), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    stamps += submit(exporter, 5)
    assert exporter.flush(WAIT_S)
    if up:
        exporter.shutdown()
        assert datakit.stamps() == stamps
        assert caplog.text == ""  # nothing is lost or reported as lost
    holder.execute("ROLLBACK")
    holder.close()
    if not up:
        datakit.start()
        assert datakit.wait_for(6)
        assert sorted(datakit.stamps()) == stamps


def test_two_exporters_share_a_backlog(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    one, other = make(tags={"process": "1"}), make(tags={"process": "2"})
    datakit.stop()
    stamps = submit(one, 300) + submit(other, 300)
    assert one.flush(WAIT_S)
    assert other.flush(WAIT_S)
    one.shutdown()
    datakit.start()
    assert datakit.wait_for(600)
    assert sorted(datakit.stamps()) == sorted(stamps)


# -- bounds ----------------------------------------------------------------------------------------


def test_a_full_queue_drops_calls_and_counts_them(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.mode = "hang"
    exporter = make(max_queue=100)
    submit(exporter, 1)
    assert datakit.wait_for_writes(1)
    submit(exporter, 1000)
    datakit.mode = None
    exporter.shutdown(WAIT_S)
    assert datakit.count("openai") + len(stamps_in(path)) == 101
    assert datakit.total("dropped", reason="queue_full") == 900


def test_calls_go_to_the_backlog_when_datakit_is_too_slow(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.mode = "hang"
    exporter = make(max_queue=2000)
    stamps = submit(exporter, 1)
    assert datakit.wait_for_writes(1)
    stamps += submit(exporter, 1999)
    datakit.mode = "slow:0.1"
    exporter.shutdown(WAIT_S)
    kept = stamps_in(path)
    assert len(kept) == 1500
    assert sorted(kept + datakit.stamps()) == stamps


def test_nothing_is_replayed_while_calls_wait(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    waiting = FileBacklog(str(path), print)
    waiting.push([line(n) for n in range(50)])
    waiting.close()
    datakit.mode = "hang"
    exporter = make(max_queue=4000)
    submit(exporter, 1)
    assert datakit.wait_for_writes(1)
    submit(exporter, 1000)
    datakit.mode = None
    assert datakit.wait_for(1051)
    # The call under way, then the waiting calls in full batches, and only then the backlog.
    assert datakit.batches == [1, 500, 500, 50]


def test_the_backlog_keeps_its_bound_and_counts_what_it_drops(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.stop()
    exporter = make(backlog_max_lines=100)
    stamps = submit(exporter, 1300)
    exporter.shutdown()
    kept = stamps_in(path)
    assert len(kept) == 100
    assert set(kept) < set(stamps)
    datakit.start()
    exporter = make(backlog_max_lines=100)
    submit(exporter, 1)
    exporter.shutdown()
    assert datakit.total("dropped", reason="backlog_full") == 1200


@pytest.mark.slow
def test_memory_stays_flat_with_ever_new_models(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    datakit.stop()
    exporter = make(backlog_max_lines=1000)

    def run(name: str) -> int:
        for n in range(1500):
            exporter.submit(Observed(model=f"{name}-{n}"))
        exporter.shutdown()  # with the thread at rest, only what is kept is measured
        gc.collect()
        return sys.getallocatedblocks()

    run("warm")
    before, after = run("first"), run("second")
    assert after - before < 500  # to keep a number or a string of each model takes 1500


# -- what goes wrong -------------------------------------------------------------------------------


class Broken:
    def to_call(self) -> Call:
        raise ValueError("what the user said")


def test_an_unreadable_call_is_counted_and_loses_no_other(
    make: Callable[..., Exporter], datakit: WatchedDataKit, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    for observation in (Observed(), Broken(), None, Observed()):
        exporter.submit(observation)
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 2
    exporter.shutdown()
    assert datakit.total("dropped", reason="monitor_error") == 2
    assert "ValueError" in caplog.text
    assert "what the user said" not in caplog.text


def test_a_logging_handler_that_raises_loses_no_call(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError

    datakit.stop()
    monkeypatch.setattr(logging.getLogger("guance_chatgpt_monitor"), "handlers", [Broken()])
    exporter = make()
    stamps = submit(exporter, 700)
    exporter.shutdown()
    assert set(stamps_in(path)) == set(stamps)


def test_a_rejected_point_is_dropped_alone(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make()
    submit(exporter, 1)
    assert exporter.flush(WAIT_S)
    # The batch is refused as a whole, then one of its halves is.
    datakit.faults.extend(["400", "400", "ok"])
    submit(exporter, 2)
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 2
    exporter.shutdown()
    assert datakit.total("dropped", reason="invalidLinePoint") == 1


def test_an_outage_is_logged_at_most_once_a_minute(
    make: Callable[..., Exporter], datakit: WatchedDataKit, caplog: pytest.LogCaptureFixture
) -> None:
    datakit.mode = "500"
    exporter = make()
    for _ in range(5):
        submit(exporter, 1000)
        exporter.flush(WAIT_S)
        exporter.submit(Broken())
    assert exporter.flush(WAIT_S)
    records = [record for record in caplog.records if record.name == "guance_chatgpt_monitor"]
    assert [record.levelno for record in records] == [logging.WARNING]
    assert "answered 500" in records[0].getMessage()


# -- the report ------------------------------------------------------------------------------------


def test_the_report_counts_what_was_delivered(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(report_every_s=0.05)
    submit(exporter, 7)
    assert datakit.wait_for(1, "openai_monitor")
    exporter.shutdown()
    assert datakit.total("delivered") == 7
    point = datakit.points("openai_monitor")[0]
    assert point.tags["service_name"] == "tested"
    assert point.fields["datakit_up"] == 1.0
    assert point.fields["backlog_lines"] == 0.0


def test_there_is_no_report_without_news(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(batch_every_s=0.001, report_every_s=0.001)
    submit(exporter, 1)
    assert datakit.wait_for(1, "openai_monitor")
    exporter.flush(WAIT_S)
    exporter.flush(WAIT_S)
    n_requests = datakit.requests_total
    for _ in range(20):
        assert exporter.flush(WAIT_S)
    exporter.shutdown()
    assert datakit.requests_total == n_requests


def test_the_report_of_an_outage_arrives_with_its_calls(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    datakit.stop()
    exporter = make(report_every_s=0.1)
    submit(exporter, 10)
    backlog, until_s = FileBacklog(str(path), print), time.monotonic() + WAIT_S
    while backlog.size().lines <= 10 or not exporter.flush(WAIT_S):
        assert time.monotonic() < until_s
    datakit.start()
    assert datakit.wait_for(10)
    exporter.shutdown()
    late = [point for point in datakit.points() if "delay" in point.fields]
    assert len(late) > 10  # a report among them
    assert datakit.total("replayed") == len(late)
    assert datakit.total("delivered") == 0
    assert any(point.fields["datakit_up"] == 0.0 for point in datakit.points("openai_monitor"))


def test_exporters_that_share_a_backlog_report_each_count_once(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporters = [make(batch_every_s=0.01, report_every_s=0.02, tags={"n": str(n)}) for n in range(3)]
    for _ in range(10):
        for exporter in exporters:
            submit(exporter, 3)
            assert exporter.flush(WAIT_S)
    for exporter in exporters:
        exporter.shutdown()
    assert datakit.count("openai") == 90
    backlog = FileBacklog(str(path), print)
    reported = json.loads(backlog.load("last_report"))["totals"]["delivered"]
    assert datakit.total("delivered") == reported
    assert backlog.totals()["delivered"] == 90


# -- the exporter of the process -------------------------------------------------------------------


IMPORTS = "from guance_chatgpt_monitor.app.exporter import *"


def run_python(code: str, **environment: str) -> str:
    """Return the output of a new process."""
    done = preloaded(IMPORTS).run(f"{IMPORTS}\n{code}", {"CHATGPT_MONITOR_BACKLOG": "off", **environment})
    return done.stdout + done.stderr


def test_a_process_has_one_exporter() -> None:
    assert "True True" in run_python(
        "one = get_exporter(Settings.read(service_name='shop'))\n"
        "print(one is get_exporter(), one is get_exporter(Settings.read(service_name='shop')))"
    )


def test_the_first_settings_stay_and_later_ones_cause_a_warning() -> None:
    output = run_python(
        "one = get_exporter(Settings.read(service_name='shop'))\n"
        "two = get_exporter(Settings.read(service_name='search', stream_usage=True, tags={'a': 'b'}))\n"
        "print(one is two, two.settings.service_name)"
    )
    assert "True shop" in output
    assert "no effect of service_name, tags" in output


def test_given_settings_replace_the_defaults() -> None:
    output = run_python(
        "get_exporter().flush(1)\n"
        "one = get_exporter(Settings.read(service_name='shop'))\n"
        "print(one.settings.service_name, get_exporter() is one)\n"
    )
    assert output == "shop True\n"


def test_other_settings_apply_after_a_shutdown() -> None:
    output = run_python(
        "get_exporter(Settings.read(service_name='shop')).shutdown()\n"
        "print(get_exporter(Settings.read(service_name='search')).settings.service_name)\n"
    )
    assert output == "search\n"


def test_disabled_settings_do_not_disable_a_later_exporter() -> None:
    output = run_python(
        "get_exporter(Settings.read(enabled=False))\n"
        "one = get_exporter(Settings.read())\n"
        "print(one.settings.enabled, get_exporter(Settings.read(enabled=False)) is one)\n"
    )
    assert output == "True True\n"


def test_a_wrong_setting_in_the_environment_is_an_error_at_once() -> None:
    output = run_python("get_exporter()", CHATGPT_MONITOR_MAX_QUEUE="no number")
    assert "ValueError: CHATGPT_MONITOR_MAX_QUEUE must be a whole number" in output

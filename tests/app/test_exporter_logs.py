"""The content of an application's calls in its exporter: delivered, kept and counted beside the points.

To the exporter, `Said` looks like an observation with content.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import interpreters
import pytest
from exporting import (
    WAIT_S,
    Observed,
    Said,
    WatchedDataKit,
    known_by,
    log_file,
    logs_in,
    settings,
    stamps_in,
    submit,
    submit_said,
)
from preloaded import preloaded

from guance_chatgpt_monitor.app.content_queue import MAX_CALLS
from guance_chatgpt_monitor.app.exporter import Exporter
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
from guance_chatgpt_monitor.core.backlog import dropped_by_reason

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def datakit() -> Iterator[WatchedDataKit]:
    with WatchedDataKit() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "backlog.sqlite3"


@pytest.fixture
def make(datakit: WatchedDataKit, path: Path) -> Iterator[Callable[..., Exporter]]:
    made = []

    def make_exporter(report_every_s: float = 60.0, **further: Any) -> Exporter:
        options = {"backlog": path, "log_content": True, **further}
        exporter = Exporter(settings(datakit.url, **options), 0.05, report_every_s)
        made.append(exporter)
        return exporter

    yield make_exporter
    datakit.mode = None
    for exporter in made:
        exporter.shutdown()


def logged(datakit: WatchedDataKit) -> list[int]:
    return [known_by(point.timestamp_ns) for point in datakit.points("openai", "logging")]


def dropped(datakit: WatchedDataKit, **tags: str) -> float:
    return datakit.total("dropped", category="logging", **tags)


# -- enabled or not --------------------------------------------------------------------------------


def test_a_call_becomes_a_point_and_a_log(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(redact_patterns=["CUST-[0-9]{6}"])
    exporter.submit(Said("mail zhang@example.com of CUST-123456", "Done."))
    assert exporter.flush(WAIT_S)
    (point,), (log,) = datakit.points("openai"), datakit.points("openai", "logging")
    assert (log.timestamp_ns, log.tags) == (point.timestamp_ns, point.tags)
    assert log.fields["question"] == "mail [email] of [redacted]"
    assert log.fields["answer"] == "Done."
    assert log.fields["total_tokens"] == point.fields["total_tokens"]


def test_content_is_not_read_unless_logging_is_enabled(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    exporter = make(log_content=False)
    said = Said()
    exporter.submit(said)
    assert exporter.flush(WAIT_S)
    assert (datakit.count("openai"), logged(datakit), said.was_read) == (1, [], False)
    assert [request.path for request in datakit.requests_received] == ["/v1/write/metric"]


def test_a_process_without_logging_imports_nothing_for_it() -> None:
    code = (
        "import sys, guance_chatgpt_monitor.app.exporter as e, guance_chatgpt_monitor.app.environment as s\n"
        "e.Exporter(s.Settings.read(backlog='off'))\n"
        "print([name for name in sys.modules if 'redact' in name or 'content_log' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_calls_without_content_have_no_log(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make()
    submit(exporter, 3)
    exporter.submit(Said(content=None))
    exporter.submit(Said(nothing_said=True))
    assert exporter.flush(WAIT_S)
    assert (datakit.count("openai"), logged(datakit)) == (5, [])


def test_sampling_never_drops_failed_calls(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    exporter = make(log_content_rate=0)
    submit_said(exporter, 5)
    exporter.submit(Said("odd", error_type="bad_request"))
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 6
    (log,) = datakit.points("openai", "logging")
    assert log.tags["error_type"] == "bad_request"


def test_keys_from_the_environment_are_replaced(
    make: Callable[..., Exporter], datakit: WatchedDataKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef0123456789abcdef")
    exporter = make()
    exporter.submit(Said("x0123456789abcdef0123456789abcdefx"))
    assert exporter.flush(WAIT_S)
    (log,) = datakit.points("openai", "logging")
    assert log.fields["question"] == "x[key]x"


# -- what goes wrong -------------------------------------------------------------------------------


class Broken(Said):
    def to_conversation(self) -> Any:
        raise RuntimeError("with what was said in it")


def test_unreadable_content_costs_only_the_log(
    make: Callable[..., Exporter], datakit: WatchedDataKit, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make(report_every_s=0.1)
    exporter.submit(Broken())
    stamps = submit_said(exporter, 2)
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 3
    assert logged(datakit) == stamps
    exporter.shutdown()
    assert dropped(datakit, reason="monitor_error") == 1.0
    assert datakit.total("dropped") == 1.0
    assert "what was said in a call could not be read (RuntimeError): not logged" in caplog.text
    assert "with what" not in caplog.text


def test_refused_logs_do_not_hold_back_the_points(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make()
    datakit.faults.extend(["ok", "403", "ok"])
    first = submit_said(exporter, 1)
    assert exporter.flush(WAIT_S)
    second = submit_said(exporter, 1)
    assert exporter.flush(WAIT_S)
    assert datakit.stamps() == first + second
    assert datakit.wait_for(2, "openai", "logging")  # when the replay is due
    assert sorted(logged(datakit)) == first + second


@pytest.mark.slow
def test_an_outage_loses_neither_points_nor_logs(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make()
    datakit.stop()
    stamps = submit_said(exporter, 700)
    assert exporter.flush(WAIT_S)
    assert (datakit.stamps(), logged(datakit)) == ([], [])
    datakit.start()
    assert datakit.wait_for(700)
    assert datakit.wait_for(700, "openai", "logging")
    assert (datakit.stamps(), sorted(logged(datakit))) == (stamps, stamps)
    exporter.shutdown()
    assert (stamps_in(path), logs_in(path)) == ([], [])


@pytest.mark.slow
def test_a_hanging_datakit_is_waited_for_once(make: Callable[..., Exporter], datakit: WatchedDataKit) -> None:
    datakit.mode = "hang"
    exporter = make()
    submit_said(exporter, 10)
    assert exporter.flush(WAIT_S)
    writes = [request.path for request in datakit.requests_received]
    # First the points, then only their replay: logs wait until points arrive or their own replay is due.
    assert writes[0] == "/v1/write/metric"
    assert "/v1/write/logging" not in writes


def test_the_backlog_of_logs_has_its_own_bound(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make(backlog_max_bytes=50_000)
    datakit.stop()
    stamps = submit_said(exporter, 100, "x" * 1000)
    assert exporter.flush(WAIT_S)
    exporter.shutdown()
    assert stamps_in(path) == stamps
    n_dropped = dropped_by_reason(FileBacklog(str(log_file(path)), print).totals())["backlog_full"]
    assert n_dropped > 50
    assert len(logs_in(path)) == 100 - n_dropped


class Avalanche(Said):
    """While it is read, more calls end than the queue holds."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__()
        self._exporter = exporter
        self.stamps: list[int] = []

    def to_conversation(self) -> Any:
        self.stamps = [known_by(self.ended_at_ns), *submit_said(self._exporter, 3 * MAX_CALLS)]
        return super().to_conversation()


@pytest.mark.slow
def test_logs_beyond_the_queue_are_counted_and_every_point_arrives(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    exporter = make(report_every_s=0.1)
    avalanche = Avalanche(exporter)
    exporter.submit(avalanche)
    assert exporter.flush(WAIT_S)
    assert exporter.flush(WAIT_S)
    exporter.shutdown()
    assert datakit.stamps() == avalanche.stamps
    assert dropped(datakit, reason="queue_full") > 0
    assert len(logged(datakit)) + dropped(datakit) == len(avalanche.stamps)


def test_content_beyond_the_budget_is_dropped_and_every_point_arrives(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    """The calls are far faster than DataKit."""
    exporter = make(report_every_s=0.1, max_queue_bytes=1_000_000)
    datakit.mode = "hang"
    submit(exporter, 1)
    assert datakit.wait_for_writes(1)
    said = [Said("?", content="x" * 100_000) for _ in range(50)]
    for each in said:
        exporter.submit(each)
    assert 8 <= sum(each.content is not None for each in said) <= 9
    datakit.mode = None
    assert exporter.flush(WAIT_S)
    assert datakit.count("openai") == 51
    n_logged = len(logged(datakit))
    assert 8 <= n_logged <= 9
    for _ in range(5):  # the budget is free again
        exporter.submit(Said("?", content="x" * 100_000))
    assert exporter.flush(WAIT_S)
    exporter.shutdown()
    assert len(logged(datakit)) == n_logged + 5
    assert dropped(datakit, reason="queue_full") == 50 - n_logged


# -- files, forks and ends -------------------------------------------------------------------------


def test_the_file_of_logs_is_private_and_redacted(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make()
    datakit.stop()
    submit_said(exporter, 1, "mail zhang@example.com")
    exporter.shutdown()
    file = log_file(path)
    assert file.name == "backlog-logging.sqlite3"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "zhang" not in file.read_bytes().decode("utf-8", "replace")


def test_waiting_logs_are_delivered_after_logging_is_disabled(
    make: Callable[..., Exporter], datakit: WatchedDataKit, path: Path
) -> None:
    exporter = make()
    datakit.stop()
    stamps = submit_said(exporter, 3)
    exporter.shutdown()
    datakit.start()
    make(log_content=False).submit(Said())
    assert datakit.wait_for(3, "openai", "logging")
    assert logged(datakit) == stamps


def test_without_a_file_points_and_logs_wait_in_memory(
    make: Callable[..., Exporter], datakit: WatchedDataKit
) -> None:
    exporter = make(backlog="off")
    datakit.stop()
    stamps = submit_said(exporter, 3)
    assert exporter.flush(WAIT_S)
    datakit.start()
    assert datakit.wait_for(3, "openai", "logging")
    assert datakit.wait_for(3)
    assert logged(datakit) == stamps


@pytest.mark.parametrize("log_content", [True, False])
def test_waiting_logs_are_redacted_again_when_delivered(
    make: Callable[..., Exporter], datakit: WatchedDataKit, log_content: bool
) -> None:
    exporter = make()
    datakit.stop()
    awkward = 'of "CUST-123456", C:\\CUST-123456\\ = 1,2\n#CUST-654321'
    exporter.submit(Said(awkward))
    exporter.shutdown()
    datakit.start()
    make(log_content=log_content, redact_patterns=["CUST-[0-9]{6}"]).submit(Observed())
    assert datakit.wait_for(1, "openai", "logging")
    (log,) = datakit.points("openai", "logging")
    assert log.fields["question"] == awkward.replace("CUST-123456", "[redacted]").replace(
        "CUST-654321", "[redacted]"
    )
    assert "CUST" not in str(log)


IMPORTS = """
import os, sys, time
from exporting import submit_said
from guance_chatgpt_monitor.app import exporter
import guance_chatgpt_monitor.core.content.log_line
"""
PROLOGUE = """
import os, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # about fork and threads
from exporting import submit_said
from guance_chatgpt_monitor.app.exporter import get_exporter

def made(stamps):
    os.write(1, "".join("%d\\n" % stamp for stamp in stamps).encode())

exporter = get_exporter()
"""


def run(code: str, datakit: WatchedDataKit, path: Path, python: str = sys.executable) -> list[int]:
    """Return the calls a program made; it must exit with 0 and report only that DataKit is unreachable."""
    environment = {
        "PATH": os.environ["PATH"],
        "CHATGPT_MONITOR_DATAKIT_URL": datakit.url,
        "CHATGPT_MONITOR_BACKLOG": str(path),
        "CHATGPT_MONITOR_SERVICE_NAME": "tested",
        "CHATGPT_MONITOR_LOG_CONTENT": "true",
    }
    done = preloaded(IMPORTS, python).run(PROLOGUE + code, environment)
    said = [text for text in done.stderr.splitlines() if "wait in the backlog" not in text]
    assert (done.returncode, said) == (0, [])
    return [int(text) for text in done.stdout.split()]


SAID = 'made(submit_said(exporter, %d, "a question of some length " * 20))'


@pytest.mark.slow
@pytest.mark.parametrize("python", ["this", "oldest"])
@pytest.mark.parametrize("mode", ["ok", "down", "hang"])
def test_an_exit_delivers_or_keeps_points_and_logs(
    datakit: WatchedDataKit, path: Path, mode: str, python: str
) -> None:
    with_packages = interpreters.with_packages
    interpreter = sys.executable if python == "this" else with_packages(interpreters.OLDEST)
    if mode == "down":
        datakit.stop()
    elif mode == "hang":
        datakit.mode = "hang"
    stamps = run(SAID % 100, datakit, path, interpreter)
    assert len(stamps) == 100
    assert sorted({*datakit.stamps(), *stamps_in(path)}) == stamps
    assert sorted({*logged(datakit), *logs_in(path)}) == stamps


FORKED = """
made(submit_said(exporter, 10))
exporter.flush()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        made(submit_said(exporter, 20))
        exporter.shutdown()
        os._exit(0)
    children.append(child)
made(submit_said(exporter, 10))
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.parametrize("up", [True, False])
def test_forked_children_deliver_or_keep_points_and_logs(
    datakit: WatchedDataKit, path: Path, up: bool
) -> None:
    if not up:
        datakit.stop()
    stamps = run(FORKED, datakit, path)
    assert len(stamps) == 80
    assert sorted({*datakit.stamps(), *stamps_in(path)}) == sorted(stamps)
    assert sorted({*logged(datakit), *logs_in(path)}) == sorted(stamps)

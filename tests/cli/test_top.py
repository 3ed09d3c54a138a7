"""top: what a local DataKit has, or what waits in the backlog, by model."""

import json
import time
from pathlib import Path

import pytest
from command_line import CommandLine

from guance_chatgpt_monitor.app.file_backlog import FileBacklog
from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.line_protocol import Point, encode
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CHATGPT_MONITOR_BACKLOG", raising=False)
    return CommandLine(capsys)


def lines() -> list[str]:
    """20 calls of one model, of which one failed and took long; one of another, an hour ago."""
    now_ns = time.time_ns()
    points = [
        Point(
            "openai",
            {"request_model": "gpt-4o"},
            {
                "question": 1.0,
                "response_time": float(n + 1),
                "res_status": float(n == 19),
                "total_tokens": 10.0,
                "cost": 0.01,
            },
            now_ns - n,
        )
        for n in range(20)
    ]
    fields = {"question": 1.0, "response_time": 1.0, "res_status": 0.0}
    points.append(Point("openai", {"request_model": "old"}, fields, now_ns - 3600 * 10**9))
    return [encode(point) for point in points]


def test_top_totals_the_points_of_a_local_datakit_by_model(run: CommandLine) -> None:
    with LocalDataKit() as datakit:
        DataKit(datakit.url).write(lines())
        said = run("top", "--datakit", datakit.url)
        rows = json.loads(run("top", "--datakit", datakit.url, "--minutes", "120", "--json").out)["models"]
    table = [line.split() for line in said.out.splitlines()[2:]]
    assert table[0] == ["model", "calls", "errors", "p95", "tokens", "cost"]
    assert table[1] == ["gpt-4o", "20", "1", "19.00", "s", "200", "$0.2000"]
    assert table[2][:2] == ["all", "20"]
    assert [(row["model"], row["calls"], row["cost"]) for row in rows] == [
        ("gpt-4o", 20, pytest.approx(0.2)),
        ("old", 1, None),
        ("", 21, pytest.approx(0.2)),
    ]


def test_what_waits_in_the_backlog_is_shown_and_stays(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "guance_chatgpt_monitor"
    assert f"there is no backlog file at {folder}" in run("top").err
    folder.mkdir(mode=0o700)
    backlog = FileBacklog(str(folder / "shop-1.sqlite3"), print)
    backlog.push(lines())
    said = run("top", "--once")
    assert "gpt-4o" in said.out
    assert "21 line(s) wait for DataKit" in said.out
    assert backlog.size().lines == 21
    backlog.close()


def test_an_unreadable_source_is_reported(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no database, " * 100)
    monkeypatch.setenv("CHATGPT_MONITOR_BACKLOG", str(tmp_path / "file"))
    said = run("top")
    assert said.code == 1
    assert "cannot be read (DatabaseError)" in said.err
    assert "next: " in said.err
    monkeypatch.setenv("CHATGPT_MONITOR_BACKLOG", "off")
    assert "CHATGPT_MONITOR_BACKLOG is off" in run("top").err
    monkeypatch.setenv("CHATGPT_MONITOR_MAX_QUEUE", "many")
    assert "error: CHATGPT_MONITOR_MAX_QUEUE must be a whole number" in run("top").err

"""Real calls through Func, written as they are to a real InfluxDB, read back, and asked for by the charts."""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import line_protocol_parser
import pytest
from dql import evaluate
from influxdb import InfluxDB, running_influxdb
from recorder import Recorder
from stack import Stack

from guance_chatgpt_monitor.market import Built

ROOT = Path(__file__).resolve().parent.parent
AWKWARD = {"team": "web, mobile=1", "path": "C:\\temp\\", "城市": "上海 🙂", "quoted": '"a"'}


@pytest.fixture(scope="module")
def lines(built: Built) -> Iterator[list[str]]:
    """The lines of known calls: 12, of which 4 fail and 3 retries are made."""
    with Recorder() as datakit, Stack(built, parameters={"DataKit URL": datakit.url}) as stack:
        for _ in range(6):
            stack.ask("What is Guance?")
        stack.post({"model": "gpt-4o", "input": "Hello"})
        stack.ask(tags=AWKWARD)
        for faults in (["429+0.01", "ok"], ["500"] * 3, ["401"]):
            stack.openai.faults.extend(faults)
            stack.ask()
        stack.post({"no": "question"})
        stack.ask(model="no-such-model")
        stack.collect()
        yield datakit.lines


@pytest.fixture(scope="module")
def database(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as influxdb:
        influxdb.write(lines)
        yield influxdb


def test_what_is_read_back_is_what_was_written(lines: list[str], database: InfluxDB) -> None:
    written = [line_protocol_parser.parse_line(line) for line in lines]
    for measurement in ("openai", "openai_monitor"):
        (series,) = database.execute(f'SELECT * FROM "{measurement}"')
        stored = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
        expected = [point for point in written if point["measurement"] == measurement]
        assert len(stored) == len(expected)
        for row, point in zip(stored, sorted(expected, key=lambda point: point["time"]), strict=True):
            given = {key: value for key, value in row.items() if value is not None and key != "time"}
            assert given == {**point["tags"], **point["fields"]}


def test_awkward_tags_come_back(database: InfluxDB) -> None:
    (series,) = database.execute("""SELECT "question", * FROM "openai" WHERE "team" != '' """)
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row["team"] == AWKWARD["team"]
    assert row["path"] == "C:\\temp/"
    assert row["城市"] == AWKWARD["城市"]
    assert row["quoted"] == AWKWARD["quoted"]


def shown(database: InfluxDB, name: str) -> float:
    dashboard = json.loads((ROOT / "dashboard/en/openai/openai.json").read_text("utf-8"))
    (chart,) = [chart for chart in dashboard["main"]["charts"] if chart["name"] == name]
    (query,) = chart["queries"]
    (value,) = evaluate(query["query"]["q"], database.ask, values={}, time_range=last_hour()).values()
    return float(value)


def last_hour() -> tuple[str, str]:
    form = "%Y-%m-%dT%H:%M:%SZ"
    ago, ahead = time.gmtime(time.time() - 3600), time.gmtime(time.time() + 60)
    return time.strftime(form, ago), time.strftime(form, ahead)


def test_the_overview_shows_the_totals_of_the_calls(lines: list[str], database: InfluxDB) -> None:
    fields = [
        point["fields"]
        for point in map(line_protocol_parser.parse_line, lines)
        if point["measurement"] == "openai"
    ]
    assert shown(database, "Requests") == 13
    assert shown(database, "Error rate") == pytest.approx(100 * 4 / 13)
    # Two retries of the 500, one of the 429; none was sent for the bad input.
    assert shown(database, "Retries per request") == pytest.approx((3 - 1) / 13)
    times = sorted(field["response_time"] for field in fields)
    assert shown(database, "Mean response time") == pytest.approx(statistics.mean(times))
    assert shown(database, "95th percentile response time") in times[-2:]
    assert shown(database, "Tokens") == sum(field["total_tokens"] for field in fields) > 0


def test_every_chart_runs_against_them(database: InfluxDB) -> None:
    dashboard = json.loads((ROOT / "dashboard/en/openai/openai.json").read_text("utf-8"))
    for chart in dashboard["main"]["charts"]:
        for query in chart["queries"]:
            evaluate(query["query"]["q"], database.ask, values={}, time_range=last_hour())

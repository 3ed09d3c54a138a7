"""Points of real calls through Func, written to a real InfluxDB and read back by the charts' queries."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import line_protocol_parser
import pytest
from influxdb import InfluxDB, running_influxdb
from influxql import evaluate
from recorder import Recorder
from shipped import number_charts
from stack import Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.openai.organization import Booked

pytestmark = pytest.mark.slow

ADMIN_KEY = "sk-admin-0123456789abcdef"
# OpenAI's prices although the stand-in has another host, and a content log, which has its own backlog.
SETTINGS = {"price_provider": "openai", "log_content": True}
MINUTES_AGO = 2  # OpenAI's books are read up to the last full minute
AWKWARD = {"team": "web, mobile=1", "path": "C:\\temp\\", "城市": "上海 🙂", "quoted": '"a"'}


def parameters(datakit_url: str) -> dict[str, str]:
    return {"DataKit URL": datakit_url, "OpenAI admin key": ADMIN_KEY}


@pytest.fixture(scope="module")
def lines(built: Built) -> Iterator[list[str]]:
    """The lines of 14 known calls, with 4 failures and 3 retries; OpenAI reports 5 requests more.

    They go to a stand-in on loopback, and are recorded as calls of OpenAI itself.
    """
    if time.time() % 86400 < 60 * (MINUTES_AGO + 1):
        pytest.skip("every call would fall on yesterday (UTC), which the first reading takes as known")
    with Recorder() as datakit, Stack(built, parameters=parameters(datakit.url), **SETTINGS) as stack:  # type: ignore[arg-type]
        stack.openai.books.clock = lambda: time.time() - 60 * MINUTES_AGO
        for _ in range(6):
            stack.ask("What is Guance?")
        stack.post({"model": "gpt-4o", "input": "Hello"})
        stack.ask(tags=AWKWARD)
        for faults in (["429+0.01", "ok"], ["500"] * 3, ["401"]):
            stack.openai.faults.extend(faults)
            stack.ask()
        stack.post({"no": "question"})
        stack.ask(model="no-such-model")
        stack.ask(model="model-of-our-own")
        # From an unmonitored program.
        stack.openai.books.add(Booked(stack.openai.books.clock(), "gpt-4o", 100, 20, requests=5))
        stack.collect()
        points = [
            line for line in datakit.lines if "message" not in line_protocol_parser.parse_line(line)["fields"]
        ]
        yield [line.replace("provider_name=127.0.0.1", "provider_name=openai") for line in points]


@pytest.fixture(scope="module")
def database(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as influxdb:
        influxdb.write(lines)
        yield influxdb


def test_points_are_read_back_as_written(lines: list[str], database: InfluxDB) -> None:
    written = [line_protocol_parser.parse_line(line) for line in lines]
    for measurement in ("openai", "openai_monitor", "openai_probe", "openai_usage"):
        (series,) = database.execute(f'SELECT * FROM "{measurement}"')
        stored = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
        expected = [point for point in written if point["measurement"] == measurement]
        # Points of several series may share a time, and come in any order.
        assert sorted(contents(row) for row in stored) == sorted(
            contents({**point["tags"], **point["fields"]}) for point in expected
        )


def contents(row: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the tags and fields present; InfluxDB returns a float without a fraction as an integer."""
    return sorted(
        (name, value if isinstance(value, str) else float(value))
        for name, value in row.items()
        if value is not None and name != "time"
    )


def test_awkward_tags_survive_the_round_trip(database: InfluxDB) -> None:
    (series,) = database.execute("""SELECT "question", * FROM "openai" WHERE "team" != '' """)
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row["team"] == AWKWARD["team"]
    assert row["path"] == "C:\\temp/"
    assert row["城市"] == AWKWARD["城市"]
    assert row["quoted"] == AWKWARD["quoted"]


def series(database: InfluxDB, name: str) -> dict[str, dict[Any, float]]:
    """Query label -> the values of the chart, by group and interval."""
    (chart,) = [chart for chart in number_charts("en") if chart["name"] == name]
    return {
        query["name"]: evaluate(query["query"]["q"], database.ask, values={}, time_range=last_hour())
        for query in chart["queries"]
    }


def shown(database: InfluxDB, name: str) -> float:
    """The number in a chart with a single one."""
    (values,) = series(database, name).values()
    (value,) = values.values()
    return float(value)


def by_tag(database: InfluxDB, name: str) -> dict[str, float]:
    """Tag value -> number, in a chart with one query and one tag."""
    (values,) = series(database, name).values()
    return {tags[0][1]: value for (tags, _), value in values.items()}


def fields_of(lines: list[str], measurement: str) -> list[dict[str, float]]:
    points = map(line_protocol_parser.parse_line, lines)
    return [point["fields"] for point in points if point["measurement"] == measurement]


def last_hour() -> tuple[str, str]:
    form = "%Y-%m-%dT%H:%M:%SZ"
    ago, ahead = time.gmtime(time.time() - 3600), time.gmtime(time.time() + 60)
    return time.strftime(form, ago), time.strftime(form, ahead)


def test_the_overview_shows_the_totals_of_the_calls(lines: list[str], database: InfluxDB) -> None:
    fields = fields_of(lines, "openai")
    assert shown(database, "Requests") == 14
    assert shown(database, "Error rate") == pytest.approx(100 * 4 / 14)
    # Two retries after the 500, one after the 429; none was sent for the bad input.
    (retries,) = series(database, "Requests, errors and retries")["Retries"].values()
    assert retries == 3
    times = sorted(field["response_time"] for field in fields)
    (mean,) = series(database, "Response time")["Mean"].values()
    assert mean == pytest.approx(statistics.mean(times))
    assert shown(database, "p95 response time") in times[-2:]
    tokens = series(database, "Services")["Tokens"].values()
    assert sum(tokens) == sum(field["total_tokens"] for field in fields) > 0


def test_the_cost_covers_the_calls_with_a_known_price(lines: list[str], database: InfluxDB) -> None:
    costs = [fields["cost"] for fields in fields_of(lines, "openai") if "cost" in fields]
    assert len(costs) == 9
    assert all(cost > 0 for cost in costs)
    assert shown(database, "Cost") == pytest.approx(sum(costs))
    assert by_tag(database, "Unpriced calls by model") == {"model-of-our-own-2024-07-18": 1}


def test_the_headroom_comes_from_the_headers(database: InfluxDB) -> None:
    # Every answer of the stand-in reports 9,999 of 10,000 requests and 199,900 of 200,000 tokens left.
    left = by_tag(database, "Requests left by model")
    assert left == {model: pytest.approx(99.99) for model in left}
    assert left.keys() >= {"gpt-4o", "gpt-4o-mini"}
    times = series(database, "Response time and processing time")
    assert list(times["Processing time"].values()) == [pytest.approx(0.001)]


def test_openai_is_shown_as_up(database: InfluxDB) -> None:
    assert shown(database, "OpenAI availability") == 100


def test_points_and_logs_are_counted_separately(database: InfluxDB) -> None:
    # One log per call, and none for the points collect() itself writes.
    assert list(
        series(database, "Content log: delivered, dropped, waiting")["Delivered at once"].values()
    ) == [14]
    assert list(series(database, "Points delivered")["Delivered at once"].values()) == [14]


def test_unmonitored_requests_come_from_openais_books(lines: list[str], database: InfluxDB) -> None:
    # Ten were answered to us, five to the unmonitored program.
    assert shown(database, "Unmonitored requests") == pytest.approx(100 * 5 / 15)
    tokens = sum(fields["total_tokens"] for fields in fields_of(lines, "openai"))
    assert shown(database, "Unmonitored tokens") == pytest.approx(100 * 120 / (tokens + 120))
    assert shown(database, "Billed cost") > 0


def test_every_chart_shows_data_of_these_calls(database: InfluxDB) -> None:
    names = [chart["name"] for chart in number_charts("en")]
    empty = {name for name in names if not all(series(database, name).values())}
    # A link does not stream, and DataKit was never unreachable.
    assert empty == {"p95 time to first token by model (streams)", "Delay of replayed points"}

"""Every query of the charts and monitors, run in a real InfluxDB on points that the code made.

The expected numbers are worked out by hand from the calls below.
"""

import pytest
from influxdb import running_influxdb
from influxql import evaluate, ns_of
from shipped import all_charts, both_languages, checkers, number_charts
from viewing import index_of

from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.line_protocol import Point, encode
from guance_chatgpt_monitor.core.metrics import (
    MONITOR_FIELDS,
    MONITOR_MEASUREMENT,
    PROBE_FIELDS,
    PROBE_MEASUREMENT,
    USAGE_FIELDS,
    USAGE_MEASUREMENT,
    PointMaker,
)
from guance_chatgpt_monitor.core.response_headers import RATE_LIMIT_FIELDS
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.local.viewer import evaluation
from guance_chatgpt_monitor.local.viewer.dql import series_of
from guance_chatgpt_monitor.local.viewer.reading import Range

MINUTE_NS = 60 * 10**9
START_NS = 1_700_000_040 * 10**9  # a full minute, so that each call's minute is known
RANGE = ("2023-11-14T22:14:00Z", "2023-11-14T22:24:00Z")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as influxdb:
        influxdb.write(known_lines())
        yield influxdb


# --- the points

# Invented, because those of the price table change.
USD_PER_CALL = {"gpt-4o": 0.5, "gpt-4o-mini": 0.125}


def known_calls():
    """Twenty calls, two a minute, with response times of 1, 2, … 20 s. Three of them failed.

    The provider took half of the time. Each answer uses up 1 of 100 requests and 100 of 10,000 tokens.
    """
    answered = Usage(150.0, 100.0, 50.0, 40.0, 10.0)
    failed = {
        # second: (error_type, status_code, HTTP requests)
        6: ("rate_limit", 429, 3),
        13: ("timeout", None, 3),
        20: ("authentication", 401, 1),
    }
    calls = []
    for second in range(1, 21):
        error_type, status_code, requests_sent = failed.get(second, (None, 200, 2 if second in (2, 4) else 1))
        stream = second in (8, 10)
        calls.append(
            Call(
                "responses" if second == 3 else "chat",
                request_model="gpt-4o" if second <= 15 else "gpt-4o-mini",
                stream=stream,
                requests_sent=requests_sent,
                status_code=status_code,
                error_type=error_type,
                # The tenth answer carried no usage.
                usage=Usage() if error_type or second == 10 else answered,
                response_time_s=float(second),
                time_to_first_token_s=second / 10 if stream else None,
                ended_at_ns=START_NS + (second - 1) // 2 * MINUTE_NS + second,
                rate_limit=dict(
                    zip(RATE_LIMIT_FIELDS, (100 - second, 10_000 - 100 * second, 100, 10_000), strict=True)
                )
                if status_code
                else {},
                processing_time_s=None if error_type else second / 2,
                tags={"team": "web"} if second <= 15 else {},
            )
        )
    return calls


def known_lines():
    return [*call_lines(), *monitor_lines(), *content_log_lines(), *probe_lines(), *usage_lines()]


def call_lines():
    points = PointMaker(service_name="shop")
    lines = []
    for call in known_calls():
        point = points.from_call(call)
        fields = {name: value for name, value in point.fields.items() if name != "cost"}
        if call.usage.total_tokens:
            fields["cost"] = USD_PER_CALL[call.request_model]
        if call.response_time_s == 9:  # replayed
            fields["delay"] = 90.0
        lines.append(encode(point._replace(fields=fields)))
    return lines


def probe_lines():
    """One a minute, of 0.1, 0.2, … 1 s; the one in minute 4 got no answer."""
    lines = []
    for minute in range(10):
        fields = {"up": float(minute != 4), "response_time": (minute + 1) / 10}
        assert set(fields) == set(PROBE_FIELDS)
        outcome = {"error_type": "timeout"} if minute == 4 else {"status_code": "200"}
        tags = {"service_name": "shop", "provider_name": "openai", **outcome}
        lines.append(encode(Point(PROBE_MEASUREMENT, tags, fields, START_NS + minute * MINUTE_NS)))
    return lines


def usage_lines():
    """OpenAI's books: 25 requests and 3,000 tokens by the minute, and the line items of 12 USD."""
    tags = {"model": "gpt-4o-2024-08-06", "project_id": "proj_shop"}
    lines = []
    for minute in range(10):
        fields = {"requests": 2.0 + minute % 2, "input_tokens": 200.0, "output_tokens": 100.0}
        fields["cached_tokens"] = 50.0
        lines.append(encode(Point(USAGE_MEASUREMENT, tags, fields, START_NS + minute * MINUTE_NS)))
        assert {*fields, "cost"} == set(USAGE_FIELDS)
    for kind, usd in (("input", 9.0), ("output", 3.0)):
        line_item = {**tags, "line_item": f"gpt-4o-2024-08-06, {kind}"}
        lines.append(encode(Point(USAGE_MEASUREMENT, line_item, {"cost": usd}, START_NS + 9 * MINUTE_NS)))
    return lines


def content_log_lines():
    """Two reports of the content log's own backlog, which must not be in any sum over the points'."""
    tags = {"service_name": "shop", "category": "logging"}
    fields = {
        "backlog_lines": 1000.0,
        "backlog_bytes": 1e6,
        "oldest_age": 3000.0,
        "delivered": 200.0,
        "replayed": 300.0,
        "datakit_up": 0.0,
        "write_time": 5.0,
    }
    dropped = Point(MONITOR_MEASUREMENT, {**tags, "reason": "too_old"}, {"dropped": 70.0}, START_NS)
    reports = (
        Point(MONITOR_MEASUREMENT, tags, fields, START_NS + minute * MINUTE_NS + 1) for minute in (8, 9)
    )
    return [encode(point) for point in (dropped, *reports)]


def monitor_lines():
    lines = []
    for minute in range(10):
        now_ns = START_NS + minute * MINUTE_NS
        # DataKit is unreachable in minutes 4 and 5; ten lines wait and are replayed in minute 6.
        up = minute not in (4, 5)
        fields = {
            "backlog_lines": 0.0 if up else 10.0,
            "backlog_bytes": 0.0 if up else 2500.0,
            "oldest_age": 0.0 if up else 60.0 * (minute - 3),
            "delivered": 2.0 if up else 0.0,
            "replayed": 10.0 if minute == 6 else 0.0,
            "datakit_up": float(up),
            "write_time": 0.01,
        }
        lines.append(encode(Point(MONITOR_MEASUREMENT, {"service_name": "shop"}, fields, now_ns)))
        if minute == 7:
            reason = {"service_name": "shop", "reason": "too_old"}
            lines.append(encode(Point(MONITOR_MEASUREMENT, reason, {"dropped": 3.0}, now_ns)))
            model = {"service_name": "shop", "model": "gpt-9"}
            lines.append(encode(Point(MONITOR_MEASUREMENT, model, {"unpriced_calls": 4.0}, now_ns)))
            assert {*fields, "dropped", "unpriced_calls"} == set(MONITOR_FIELDS)
    return lines


# --- the queries


def chart_queries(name, language="en"):
    [chart] = [chart for chart in all_charts(language) if chart["name"] == name]
    return {query["name"]: query["query"]["q"] for query in chart["queries"]}


@pytest.fixture(scope="module")
def index():
    return index_of(known_lines())


@pytest.fixture
def run(database, index):
    """Run DQL over the ten minutes, with these `variables` and `*` for the others.

    The viewer must give the same answer as InfluxDB.
    """

    def run(dql, **variables):
        in_influxdb = evaluate(dql, database.ask, values=variables, time_range=RANGE)
        start_ns, end_ns = map(ns_of, RANGE)
        in_viewer = evaluation.evaluate(index, dql, Range(start_ns, end_ns, variables))  # type: ignore[arg-type]
        assert in_viewer == pytest.approx(
            {(tags, ns_of(time)): value for (tags, time), value in in_influxdb.items()}
        )
        return in_influxdb

    return run


@pytest.fixture
def show(run):
    """The number of a singlestat."""

    def show(name, **variables):
        [dql] = chart_queries(name).values()
        [value] = run(dql, **variables).values()
        return pytest.approx(value)

    return show


@pytest.fixture
def grouped(run):
    """Query label -> group value -> number, over the whole time."""

    def grouped(name):
        return {
            label: {tags[0][1]: value for (tags, _), value in run(dql).items()}
            for label, dql in chart_queries(name).items()
        }

    return grouped


@pytest.fixture
def over_time(run):
    """Query label -> numbers in order of time."""

    def over_time(name):
        return {
            label: [value for _, value in sorted(run(dql).items())]
            for label, dql in chart_queries(name).items()
        }

    return over_time


@both_languages
def test_every_query_of_every_chart_gives_numbers(run, language):
    for chart in number_charts(language):
        for query in chart["queries"]:
            values = run(query["query"]["q"])
            assert values, (chart["name"], query["query"]["q"])
            tags = {tag for group, _ in values for tag, _ in group}
            assert tags == set(series_of(query["query"]["q"])[0].groups)


def test_the_overview_shows_the_known_totals(show):
    assert show("Requests") == 20
    assert show("Error rate") == 15.0
    # Twelve answers of gpt-4o, four of the other; the tenth had no usage, so it has no cost.
    assert show("Cost") == 12 * 0.5 + 4 * 0.125
    assert show("p95 response time") == 19.0
    # Calls 1 to 20 except 13, which got no answer.
    assert show("Requests left") == 100 - (210 - 13) / 19
    assert show("Tokens left") == 100 - (210 - 13) / 19


def test_requests_errors_and_retries_are_counted(over_time):
    # 26 HTTP requests for 20 calls: two were sent twice, two three times.
    assert over_time("Requests, errors and retries") == {"Requests": [20], "Errors": [3], "Retries": [6]}


def test_variables_filter_the_charts(show):
    assert show("Requests", request_model="gpt-4o-mini") == 5
    assert show("Error rate", request_model="gpt-4o-mini") == 20.0
    assert show("p95 response time", request_model="gpt-4o") == 14.0
    assert show("Requests", operation_name="responses", provider_name="openai", service_name="shop") == 1


def test_the_models_are_compared(grouped):
    assert grouped("Models") == {
        "Requests": {"gpt-4o": 15, "gpt-4o-mini": 5},
        "Errors": {"gpt-4o": 2, "gpt-4o-mini": 1},
        "Error rate": {"gpt-4o": pytest.approx(200 / 15), "gpt-4o-mini": pytest.approx(20)},
        "Mean response time": {"gpt-4o": pytest.approx(8), "gpt-4o-mini": pytest.approx(18)},
        "p95 response time": {"gpt-4o": 14, "gpt-4o-mini": 20},
        "Tokens": {"gpt-4o": 12 * 150, "gpt-4o-mini": 4 * 150},
        "Tokens per request": {"gpt-4o": pytest.approx(120), "gpt-4o-mini": pytest.approx(120)},
        "Cost": {"gpt-4o": 6, "gpt-4o-mini": 0.5},
        "Cost per 1,000 requests": {"gpt-4o": pytest.approx(500), "gpt-4o-mini": pytest.approx(125)},
    }


def test_services_and_teams_are_compared(grouped):
    assert grouped("Services") == {
        "Requests": {"shop": 20},
        "Error rate": {"shop": pytest.approx(15)},
        "Tokens": {"shop": 16 * 150},
        "Cost": {"shop": 6.5},
    }
    teams = grouped("Teams")
    assert teams["Requests"] == {"web": 15, "": 5}
    assert teams["Error rate"] == {"web": pytest.approx(200 / 15), "": pytest.approx(20)}
    assert teams["Cost"] == {"web": 6, "": 0.5}


def test_errors_are_counted_by_type_and_model(run, grouped):
    [dql] = chart_queries("Errors by type").values()
    assert {tuple(value for _, value in tags): n for (tags, _), n in run(dql).items()} == {
        ("rate_limit", "429"): 1,
        ("timeout", ""): 1,
        ("authentication", "401"): 1,
    }
    [by_model] = grouped("Error rate by model").values()
    assert by_model == {"gpt-4o": pytest.approx(200 / 15), "gpt-4o-mini": pytest.approx(20)}


def test_latency_and_speed_are_shown(grouped, over_time):
    assert over_time("Response time") == {
        "Mean": [pytest.approx(10.5)],
        "P50": [10],
        "P95": [19],
        "P99": [20],
    }
    [to_first_token] = grouped("p95 time to first token by model (streams)").values()
    assert to_first_token == {"gpt-4o": 1.0}
    # Answered in 1 to 15 s except 6 and 13, and in 16 to 19 s; the tenth had no usage.
    [speed] = grouped("Output tokens per second by model").values()
    assert speed == {
        "gpt-4o": pytest.approx(12 * 50 / (120 - 6 - 13)),
        "gpt-4o-mini": pytest.approx(4 * 50 / (16 + 17 + 18 + 19)),
    }


def test_tokens_are_summed_by_kind(grouped, over_time):
    kinds = {"Input": [1600], "Output": [800], "Cached": [640], "Reasoning": [160]}
    assert over_time("Tokens by kind") == kinds
    assert over_time("Input and output tokens per request") == {
        "Input per request": [pytest.approx(100)],
        "Output per request": [pytest.approx(50)],
    }
    [hits] = grouped("Cache hit rate by model").values()
    assert hits == {"gpt-4o": pytest.approx(40), "gpt-4o-mini": pytest.approx(40)}


def test_the_processing_time_is_half_of_the_response_time(over_time):
    # Seventeen answers took 171 s, the fifteen that were not streamed 153 s, half of it at the provider.
    assert over_time("Response time and processing time") == {
        "Response time": [pytest.approx(10.2)],
        "Processing time": [pytest.approx(5.1)],
    }


def test_the_cost_is_summed_by_hour_and_model(grouped, over_time):
    [by_hour] = over_time("Cost: last 24 hours and the day before").values()
    assert by_hour == [6.5]
    [by_model] = grouped("Cost by model").values()
    assert by_model == {"gpt-4o": 6, "gpt-4o-mini": 0.5}


def test_the_headroom_is_averaged_by_model(grouped):
    # gpt-4o: calls 1 to 15 except 13, which got no answer; the other model: calls 16 to 20.
    left = {"gpt-4o": pytest.approx(100 - 107 / 14), "gpt-4o-mini": pytest.approx(100 - 18)}
    assert grouped("Requests left by model") == {"Requests left by model": left}
    assert grouped("Tokens left by model") == {"Tokens left by model": left}


def test_monitored_calls_are_compared_with_the_bill(show, grouped, over_time):
    assert show("Unmonitored requests") == 100 * (25 - 17) / 25
    assert show("Unmonitored tokens") == 100 * (3000 - 2400) / 3000
    assert show("Billed cost") == 12
    assert show("Computed cost") == 6.5
    assert over_time("Requests: billed and monitored") == {"Billed": [25], "Monitored": [17]}
    assert over_time("Tokens: billed and monitored") == {"Billed": [3000], "Monitored": [2400]}
    assert over_time("Daily cost: billed and computed") == {"Billed": [12], "Computed": [6.5]}
    assert grouped("Billed by model") == {
        "Requests": {"gpt-4o-2024-08-06": 25},
        "Input tokens": {"gpt-4o-2024-08-06": 2000},
        "Output tokens": {"gpt-4o-2024-08-06": 1000},
        "Cached tokens": {"gpt-4o-2024-08-06": 500},
        "Cost": {"gpt-4o-2024-08-06": 12},
    }
    [by_line_item] = grouped("Billed cost by line item").values()
    assert by_line_item == {"gpt-4o-2024-08-06, input": 9, "gpt-4o-2024-08-06, output": 3}
    [by_project] = grouped("Billed cost by project").values()
    assert by_project == {"proj_shop": 12}


def test_variables_do_not_filter_the_comparison_with_the_bill(show):
    seen = show("Unmonitored requests", service_name="another", request_model="gpt-4o")
    assert seen == 32


def test_the_probe_is_shown(show, grouped, over_time):
    assert show("OpenAI availability") == 90
    [by_service] = grouped("OpenAI availability by service").values()
    assert by_service == {"shop": 90}
    assert over_time("Probe response time") == {"Mean": [pytest.approx(0.55)], "Highest": [1.0]}


def test_unpriced_calls_and_the_content_log_are_shown(grouped, over_time):
    [by_model] = grouped("Unpriced calls by model").values()
    assert by_model == {"gpt-9": 4}
    assert over_time("Content log: delivered, dropped, waiting") == {
        "Delivered at once": [400],
        "Replayed": [600],
        "Dropped": [70],
        "Waiting": [1000],
    }


def test_the_health_of_the_monitor_is_shown(run, show, grouped, over_time):
    assert show("DataKit availability") == 80.0
    assert show("Maximum backlog") == 10
    assert show("Points dropped") == 3
    [dql] = chart_queries("Backlog by service and host").values()
    assert list(run(dql).items()) == [(((("host", ""), ("service_name", "shop")), None), 10)]
    assert grouped("Age of the oldest backlog line") == {"Age of the oldest backlog line": {"shop": 120}}
    assert grouped("DataKit write time") == {"DataKit write time": {"shop": pytest.approx(0.01)}}
    assert grouped("Delay of replayed points") == {"Delay of replayed points": {"shop": 90}}
    assert over_time("Points delivered") == {"Delivered at once": [16], "Replayed": [10]}
    assert grouped("Points dropped by reason")["Points dropped by reason"] == {"too_old": 3}


def test_every_monitor_gets_the_number_it_compares(run):
    results = {
        checker["jsonScript"]["title"].split(" (")[0]: {
            tuple(value for _, value in tags): result
            for (tags, _), result in run(checker["jsonScript"]["targets"][0]["dql"]).items()
        }
        for checker in checkers("en")
    }
    assert results == {
        # Tags are sorted by name; rate-limit and authentication errors are not part of the error rate.
        "OpenAI error rate too high": {
            ("gpt-4o", "shop"): pytest.approx(100 / 15),
            ("gpt-4o-mini", "shop"): 0,
        },
        "OpenAI rate limit reached": {("gpt-4o", "shop"): 1},
        "OpenAI request headroom low": {
            ("gpt-4o", "shop"): pytest.approx(100 - 107 / 14),
            ("gpt-4o-mini", "shop"): pytest.approx(82),
        },
        "OpenAI token headroom low": {
            ("gpt-4o", "shop"): pytest.approx(100 - 107 / 14),
            ("gpt-4o-mini", "shop"): pytest.approx(82),
        },
        "OpenAI quota exhausted": {},
        "OpenAI authentication failures": {("shop",): 1},
        "OpenAI p95 response time too high": {
            ("gpt-4o", "shop"): 14,
            ("gpt-4o-mini", "shop"): 20,
        },
        "OpenAI token usage too high": {("shop",): 2400},
        "OpenAI hourly cost too high": {("shop",): 6.5},
        "OpenAI bills for unmonitored requests": {(): 32},
        "OpenAI API unreachable": {("openai", "shop"): 90},
        "OpenAI monitor records no calls": {("shop",): 26},
        "OpenAI monitor cannot reach DataKit": {("shop",): 0},
        # That of the content log, the longer one.
        "OpenAI monitor backlog growing": {("shop",): 1000},
    }

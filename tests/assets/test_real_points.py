"""No chart of either dashboard is empty for the points of real calls.

The calls go through Func and an application, with logged content, cost, cache hits, errors, retries, a
stream, a DataKit that was unreachable for a moment, and OpenAI's books.
"""

import time

import pytest
from monitored import CHAT, Api
from shipped import all_charts, both_languages, charts, number_charts
from stack import Stack

from guance_chatgpt_monitor.core.line_protocol import encode
from guance_chatgpt_monitor.core.metrics import PointMaker
from guance_chatgpt_monitor.local.datakit.line_parser import parse_lines
from guance_chatgpt_monitor.local.datakit.server import Point
from guance_chatgpt_monitor.local.openai.organization import Booked
from guance_chatgpt_monitor.local.viewer.evaluation import Query, Range, evaluate_all
from guance_chatgpt_monitor.local.viewer.points import PointIndex

pytestmark = pytest.mark.slow

MINUTES_AGO = 2  # OpenAI's books are read up to the last full minute
HOUR_NS, DAY_NS = 3600 * 10**9, 86400 * 10**9
# As with OpenAI itself: its prices, and its books.
SETTINGS = {"price_provider": "openai", "log_content": True}
LONG_PROMPT = "word " * 1200  # so that the stand-in reports most of it as cached


@pytest.fixture(scope="module")
def index(built):
    if time.time() % 86400 < 60 * (MINUTES_AGO + 1):
        pytest.skip("every call would fall on yesterday (UTC), which the first reading takes as known")
    with Stack(built, parameters={"OpenAI admin key": "sk-admin-0123456789"}, **SETTINGS) as stack:  # type: ignore[arg-type]
        make_calls(stack)
        points = [*stack.datakit.points(), *stack.datakit.points(category="logging"), stream(stack)]
    index = PointIndex()
    index.add_points(as_of_openai(point) for point in points)
    return index


def make_calls(stack):
    stack.openai.books.clock = lambda: time.time() - 60 * MINUTES_AGO
    stack.ask(LONG_PROMPT, tags={"team": "search"})
    stack.post({"model": "o3", "input": "Hello"})
    for faults in (["429+0.01", "ok"], ["500"] * 3, ["401"], ["insufficient_quota"]):
        stack.openai.faults.extend(faults)
        stack.ask()
    stack.ask(model="model-of-our-own")
    stack.datakit.mode = 503
    stack.ask("Asked while DataKit is unreachable")
    stack.datakit.mode = None
    # From an unmonitored program.
    stack.openai.books.add(Booked(stack.openai.books.clock(), "gpt-4o", 100, 20, requests=5))
    stack.collect()
    stack.collect()


def stream(stack):
    """The point of an application's stream, because a link does not stream."""
    api = Api(stack.openai)
    list(api.client(stream_usage=True).chat.completions.create(**CHAT, stream=True))
    line = encode(PointMaker(service_name="shop").from_call(api.collector.call()))
    [parsed] = parse_lines(line.encode(), "metric")
    return Point(*parsed[:4], "metric", "app", parsed.timestamp_ns)


def as_of_openai(point):
    """The calls go to a stand-in on loopback, but are to count as OpenAI's."""
    if "provider_name" not in point.tags:
        return point
    return point._replace(tags={**point.tags, "provider_name": "openai"})


@pytest.fixture(scope="module")
def answers(index):
    """Chart UUID -> the answers to its queries, over the last hour or the chart's own range."""
    now_ns = time.time_ns()
    shown = {}
    for chart in all_charts("en"):
        length_ns = DAY_NS if chart["extend"]["fixedTime"] == "1d" else HOUR_NS
        queries = [Query(query["query"]["q"]) for query in chart["queries"]]
        shown[chart["uuid"]] = evaluate_all(index, queries, Range(now_ns - length_ns, now_ns))
    return shown


def rows(answer):
    return answer.rows if answer.rows else list(answer.values)


def test_no_chart_is_empty(answers):
    empty = {
        chart["name"] for chart in all_charts("en") for answer in answers[chart["uuid"]] if not rows(answer)
    }
    assert empty == set()


@both_languages
def test_the_numbers_are_the_same_in_both_languages(index, answers, language):
    now_ns = time.time_ns()
    for chart in number_charts(language):
        if chart["extend"]["fixedTime"]:
            continue
        queries = [Query(query["query"]["q"]) for query in chart["queries"]]
        found = evaluate_all(index, queries, Range(now_ns - HOUR_NS, now_ns))
        for here, there in zip(found, answers[chart["uuid"]], strict=True):
            assert here.values == there.values


def shown(answers, name):
    [chart] = [chart for chart in charts("openai", "en") if chart["name"] == name]
    return dict(zip((q["name"] for q in chart["queries"]), answers[chart["uuid"]], strict=True))


def by_group(answers, name):
    [answer] = shown(answers, name).values()
    return {tuple(tag for _, tag in group): value for (group, _), value in answer.values.items()}


def test_errors_are_shown_by_type_and_status(answers):
    assert by_group(answers, "Errors by type") == {
        ("server_error", "500"): 1,
        ("authentication", "401"): 1,
        ("insufficient_quota", "429"): 1,
    }


def test_the_latest_errors_are_the_logs_of_failed_calls(answers):
    [answer] = shown(answers, "Latest errors").values()
    assert len(answer.rows) == 3
    newest = answer.rows[0]
    assert newest.tags_dict["error_type"] == "insufficient_quota"
    assert newest.fields_dict["message"]
    assert [row.timestamp_ns for row in answer.rows] == sorted(
        (row.timestamp_ns for row in answer.rows), reverse=True
    )


def test_retries_are_counted(answers):
    [retries] = shown(answers, "Requests, errors and retries")["Retries"].values.values()
    assert retries == 1 + 2  # after the 429 and the 500


def test_finish_reasons_and_teams_are_shown(answers):
    # Two at the link, one without a price, one during the outage, one after a retry, one stream.
    assert by_group(answers, "Finish reasons") == {("stop",): 6}
    teams = shown(answers, "Teams")["Requests"].values
    assert teams[(("team", "search"),), None] == 1


def test_cache_hits_and_speed_are_shown(answers):
    hits = by_group(answers, "Cache hit rate by model")
    assert 50 < hits["gpt-4o-mini",] < 100
    assert all(speed > 0 for speed in by_group(answers, "Output tokens per second by model").values())

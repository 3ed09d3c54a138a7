"""Each monitor fires and recovers on points the code makes: calls, reports, probes and books."""

from functools import lru_cache

import pytest
from shipped import checkers
from viewing import SECOND_NS, index_of_points, points_of

from guance_chatgpt_monitor.app.memory_backlog import MemoryBacklog
from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.health import Health
from guance_chatgpt_monitor.core.line_protocol import Point, encode
from guance_chatgpt_monitor.core.metrics import PROBE_MEASUREMENT, USAGE_MEASUREMENT, PointMaker
from guance_chatgpt_monitor.core.response_headers import RATE_LIMIT_FIELDS
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.local.viewer.dql import duration_s
from guance_chatgpt_monitor.local.viewer.monitors import Judge

pytestmark = pytest.mark.slow

START_S = 1_700_000_400  # a full hour
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def calls(at_s, n=10, cost_usd=0.0, left=90.0, tokens=100.0, provider="openai", **of_call):
    """The lines of `n` calls at one time."""
    maker = PointMaker(service_name="shop")
    lines = []
    for i in range(n):
        failed = of_call.get("error_type")
        call = Call(
            "chat",
            provider_name=provider,
            request_model="gpt-4o",
            response_model="no-such-model",  # the cost is set below
            requests_sent=1,
            usage=Usage() if failed else Usage(tokens, tokens / 2, tokens / 2),
            ended_at_ns=at_s * SECOND_NS + i,
            rate_limit=dict(zip(RATE_LIMIT_FIELDS, (left, left * 100, 100.0, 10_000.0), strict=True)),
            **{"response_time_s": 1.0, "status_code": 200, **of_call},
        )
        point = maker.from_call(call)
        lines.append(encode(point._replace(fields={**point.fields, "cost": cost_usd})))
    return lines


def failing(error_type, status_code, n=10):
    return lambda at_s: calls(at_s, n, error_type=error_type, status_code=status_code)


def report(at_s, up=True, delivered=5, waiting=0):
    """The monitor's report on itself, with these numbers of delivered and waiting lines."""
    backlog = MemoryBacklog()
    backlog.add({"delivered": delivered})
    backlog.push([f"m f=1 {at_s * SECOND_NS + i}" for i in range(waiting)])
    return Health(backlog, "shop", clock_ns=lambda: at_s * SECOND_NS).make(up).lines


def probe(at_s, up=True):
    outcome = {"status_code": "200"} if up else {"error_type": "timeout"}
    tags = {"service_name": "shop", "provider_name": "openai", **outcome}
    return [encode(Point(PROBE_MEASUREMENT, tags, {"up": float(up), "response_time": 0.2}, at_s * SECOND_NS))]


def books(at_s, requests):
    tags = {"model": "gpt-4o", "project_id": "proj_shop"}
    seen = calls(at_s, n=10)
    return [*seen, encode(Point(USAGE_MEASUREMENT, tags, {"requests": float(requests)}, at_s * SECOND_NS))]


# Monitor title -> (points in trouble, points in quiet times, worst level, seconds between).
CASES = {
    "OpenAI error rate too high": (failing("server_error", 500), calls, "critical", MINUTE_S),
    "OpenAI authentication failures": (failing("authentication", 401), calls, "critical", MINUTE_S),
    "OpenAI p95 response time too high": (
        lambda at_s: calls(at_s, response_time_s=70.0),
        calls,
        "critical",
        MINUTE_S,
    ),
    "OpenAI API unreachable": (lambda at_s: probe(at_s, up=False), probe, "critical", MINUTE_S),
    "OpenAI rate limit reached": (failing("rate_limit", 429, n=20), calls, "critical", MINUTE_S),
    "OpenAI request headroom low": (lambda at_s: calls(at_s, left=2.0), calls, "error", MINUTE_S),
    "OpenAI token headroom low": (lambda at_s: calls(at_s, left=2.0), calls, "error", MINUTE_S),
    "OpenAI quota exhausted": (failing("insufficient_quota", 429), calls, "critical", MINUTE_S),
    "OpenAI token usage too high": (lambda at_s: calls(at_s, tokens=30_000.0), calls, "critical", MINUTE_S),
    "OpenAI hourly cost too high": (lambda at_s: calls(at_s, cost_usd=0.5), calls, "critical", MINUTE_S),
    "OpenAI bills for unmonitored requests": (
        lambda at_s: books(at_s, requests=40),
        lambda at_s: books(at_s, requests=10),
        "critical",
        HOUR_S,
    ),
    "OpenAI monitor records no calls": (
        lambda at_s: report(at_s, delivered=0),
        report,
        "warning",
        MINUTE_S,
    ),
    "OpenAI monitor cannot reach DataKit": (
        lambda at_s: report(at_s, up=False),
        report,
        "critical",
        MINUTE_S,
    ),
    "OpenAI monitor backlog growing": (
        lambda at_s: report(at_s, waiting=1500),
        report,
        "error",
        MINUTE_S,
    ),
}


class Watch:
    """One monitor, checked at its own frequency."""

    def __init__(self, script, points):
        self.every_s = int(duration_s(script["every"]))
        self._checkers = [{"jsonScript": script}]
        self._index = index_of_points(*points)
        self._judge = Judge()
        self._status = {}

    def run(self, start_s, end_s):
        """Return (group, status) for each change of a status; `ok` is a recovery."""
        events = []
        for at_s in range(start_s, end_s + 1, self.every_s):
            [(states, error)] = self._judge.states(self._index, self._checkers, at_s * SECOND_NS)
            assert error == ""
            for state in states:
                if state.status != self._status.get(state.group, "ok"):
                    events.append((state.group, state.status))
                self._status[state.group] = state.status
        return events


def script_of(title):
    [script] = [c["jsonScript"] for c in checkers("en") if c["jsonScript"]["title"].split(" (")[0] == title]
    return script


def length_s(script):
    """How long trouble lasts: long enough to fill the range of a check."""
    return 2 * script["interval"] + 10 * MINUTE_S


@lru_cache(maxsize=None)
def made(make, start_s, end_s, step_s):
    """The points that `make` makes in a time; many monitors are tested with the same."""
    return points_of(line for at_s in range(start_s, end_s, step_s) for line in make(at_s))


def test_there_is_a_case_for_each_monitor():
    assert {c["jsonScript"]["title"].split(" (")[0] for c in checkers("en")} == set(CASES)


@pytest.mark.parametrize("title", CASES)
def test_it_fires_in_trouble_and_recovers_in_quiet_times(title):
    trouble, quiet, worst, step_s = CASES[title]
    script = script_of(title)
    ends_s = START_S + length_s(script)
    over_s = ends_s + length_s(script)
    points = made(trouble, START_S, ends_s, step_s) + made(quiet, ends_s, over_s, step_s)
    watch = Watch(script, points)
    fired = watch.run(START_S + script["interval"], ends_s)
    assert fired[-1][1] == worst
    assert {group for group, _ in fired} == {fired[0][0]}
    assert {tag for tag, _ in fired[0][0]} == set(script["groupBy"])
    recovered = watch.run(ends_s, over_s + 2 * watch.every_s)
    assert recovered[-1] == (fired[0][0], "ok")


@pytest.mark.parametrize("title", CASES)
def test_it_recovers_when_data_stops(title):
    """No event stays open for lack of data; only the heartbeat reports that the data stopped."""
    trouble, _, _, step_s = CASES[title]
    script = script_of(title)
    ends_s = START_S + length_s(script)
    watch = Watch(script, made(trouble, START_S, ends_s, step_s))
    assert watch.run(START_S + script["interval"], ends_s)
    later = watch.run(ends_s, ends_s + 3 * length_s(script))
    assert later[-1][1] == ("nodata" if script["noDataAction"] == "noDataEvent" else "ok")


@pytest.mark.parametrize("title", CASES)
def test_it_is_silent_in_quiet_times(title):
    _, quiet, _, step_s = CASES[title]
    script = script_of(title)
    ends_s = START_S + length_s(script)
    watch = Watch(script, made(quiet, START_S, ends_s, step_s))
    assert watch.run(START_S + script["interval"], ends_s) == []


def test_the_heartbeat_recovers_when_reports_resume():
    script = script_of("OpenAI monitor cannot reach DataKit")
    silent_s, back_s = START_S + HOUR_S, START_S + 2 * HOUR_S
    before, after = ((START_S, silent_s), (back_s, back_s + HOUR_S))
    watch = Watch(script, made(report, *before, MINUTE_S) + made(report, *after, MINUTE_S))
    assert watch.run(START_S + 300, back_s) == [((("service_name", "shop"),), "nodata")]
    assert watch.run(back_s, back_s + HOUR_S) == [((("service_name", "shop"),), "ok")]


def test_only_the_service_in_trouble_fires():
    script = script_of("OpenAI error rate too high")
    of_another = [
        point._replace(tags={**point.tags, "service_name": "chat"})
        for point in made(calls, START_S, START_S + HOUR_S, MINUTE_S)
    ]
    in_trouble = made(failing("server_error", 500), START_S, START_S + HOUR_S, MINUTE_S)
    watch = Watch(script, in_trouble + of_another)
    fired = watch.run(START_S + 300, START_S + HOUR_S)
    assert [dict(group)["service_name"] for group, _ in fired] == ["shop"]

"""OpenAI's own books: read on time, written once, at their own time; and what the log says otherwise."""

import calendar
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import openai
import pytest
import requests
from cache_client import SCOPE, processes
from in_process import Collected, Task, collect_at, places_of
from stack import STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.core.metrics import USAGE_FIELDS, USAGE_TAGS
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.func.reconciliation import Reconciled, Reconciliation
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.dff import Cache
from guance_chatgpt_monitor.local.func.server import LocalFunc
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response
from guance_chatgpt_monitor.local.openai.organization import Booked
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

ADMIN_KEY = "sk-admin-secret-0123456789"
MINI, LARGE = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-07-18"
NOON_S = calendar.timegm((2026, 11, 23, 12, 0, 0))  # UTC; an interval begins
MINUTE_S, INTERVAL_S, DAY_S = 60, 900, 86400


class DeadlyDataKit(LocalDataKit):
    """Kills the `victim` that writes OpenAI's usage to it: at once, or when it has taken the points."""

    victim: BaseProcess | None = None
    takes_points = False

    def respond(self, request: Request) -> Response | None:
        victim = self.victim
        if victim is None or b"openai_usage" not in request.body:
            return super().respond(request)
        if self.takes_points:
            super().respond(request)
        self.victim = None
        victim.kill()
        return None  # nobody is there to read an answer


@pytest.fixture(scope="module")
def running_stack(running_stack: Stack) -> Iterator[Stack]:
    with running_stack.another_datakit(DeadlyDataKit):
        yield running_stack


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """DataKit keeps any time, unless a test says otherwise."""
    running_stack.reset()
    running_stack.datakit.auto_timestamp_correction = False
    yield running_stack
    running_stack.datakit.auto_timestamp_correction = True
    running_stack.openai.books.clock = time.time
    running_stack.openai.books.amounts_as_text = False


def collect(
    stack: Stack, now_s: float = NOON_S, books: type[Reconciliation] = Reconciliation, **settings: Any
) -> Collected:
    """One run of collect() at `now_s`, as of the stack's Func; `books` reads OpenAI's."""
    stack.openai.books.clock = lambda: now_s
    return collect_at(places_of(stack), now_s, books, openai_admin_key=ADMIN_KEY, **settings)


def give_admin_key(stack: Stack, key: str) -> None:
    """Write it into the startup script."""
    code = stack.func.script(STARTUP)
    stack.func.edit(STARTUP, code.replace('OPENAI_ADMIN_KEY = ""', f"OPENAI_ADMIN_KEY = {key!r}"))


def cache_of_func(stack: Stack) -> Cache:
    return Task(places_of(stack)).cache


def usage(stack: Stack) -> list[tuple[float, str, str, dict[str, float]]]:
    """Usage points as (seconds since NOON_S, model, project, fields)."""
    found = []
    for point in stack.points("openai_usage"):
        assert set(point.tags) <= {*USAGE_TAGS, "host"}
        assert set(point.fields) <= set(USAGE_FIELDS)
        assert all(isinstance(value, float) for value in point.fields.values())
        if "line_item" not in point.tags:
            seconds = point.timestamp_ns / 1e9 - NOON_S
            tags = point.tags
            found.append((seconds, tags.get("model", ""), tags.get("project_id", ""), dict(point.fields)))
    return sorted(found, key=lambda item: item[:3])  # type: ignore[arg-type]


def cost(stack: Stack) -> float:
    points = stack.points("openai_usage")
    return sum(float(point.fields.get("cost", 0.0)) for point in points)


def asked(stack: Stack) -> list[dict[str, list[str]]]:
    """The queries that were sent for the books; a key's values in their order."""
    queries = []
    for request in stack.openai.requests:
        if "/organization/" in request.path:
            query: dict[str, list[str]] = {"path": [request.path]}
            for name, value in parse_qsl(urlsplit(request.url).query):
                query.setdefault(name, []).append(value)
            queries.append(query)
    return queries


# ---- usage ----


def test_usage_is_written_by_minute_model_and_project(stack: Stack) -> None:
    stack.openai.books.add(
        Booked(NOON_S - 600, MINI, 100, 10, 64),
        Booked(NOON_S - 599, MINI, 50, 5),
        Booked(NOON_S - 600, LARGE, 7, 3),
        Booked(NOON_S - 600, MINI, 1, 1, project_id="proj_other"),
        Booked(NOON_S - 110 * 60, MINI, 9, 9),  # the oldest minute that is requested
        Booked(NOON_S - 110 * 60 - 1, MINI, 8, 8),
        Booked(NOON_S + 1, MINI, 8, 8),  # the current minute
    )
    result = collect(stack, NOON_S + 2)
    assert usage(stack) == [
        (-6600, MINI, "proj_local", numbers(1, 9, 9, 0)),
        (-600, LARGE, "proj_local", numbers(1, 7, 3, 0)),
        (-600, MINI, "proj_local", numbers(2, 150, 15, 64)),
        (-600, MINI, "proj_other", numbers(1, 1, 1, 0)),
    ]
    assert (result.data["usage_points"], result.data["problem"]) == (len(stack.points("openai_usage")), "")
    assert f"OpenAI's usage: {result.data['usage_points']} point(s)" in result.log
    assert collect(stack, NOON_S + 60).data["delivered"] == 0  # these are not calls


def numbers(requests: int, input_tokens: int, output_tokens: int, cached_tokens: int) -> dict[str, float]:
    return {
        "requests": float(requests),
        "input_tokens": float(input_tokens),
        "output_tokens": float(output_tokens),
        "cached_tokens": float(cached_tokens),
    }


def test_the_queries_are_those_of_openais_reference(stack: Stack) -> None:
    collect(stack, NOON_S + 59)
    first, second, costs = asked(stack)
    assert first == {
        "path": ["/v1/organization/usage/completions"],
        "start_time": [str(NOON_S - 6600)],
        "end_time": [str(NOON_S)],
        "bucket_width": ["1m"],
        "group_by": ["model", "project_id"],
        "limit": ["60"],
    }
    (page,) = second.pop("page")
    assert page.startswith("page_")
    assert second == first
    assert costs == {
        "path": ["/v1/organization/costs"],
        "start_time": [str(NOON_S - 12 * 3600 - 2 * DAY_S)],
        "bucket_width": ["1d"],
        "group_by": ["project_id", "line_item"],
        "limit": ["3"],
    }
    keys = {request.headers["authorization"] for request in stack.openai.requests}
    assert keys == {f"Bearer {ADMIN_KEY}"}


def test_read_once_in_15_minutes_and_each_written_once(stack: Stack) -> None:
    stack.openai.books.add(Booked(NOON_S - 600, MINI, 100, 10))
    for minute in range(15):
        collect(stack, NOON_S + minute * MINUTE_S)
    assert len(asked(stack)) == 3
    once = usage(stack), cost(stack)
    again = collect(stack, NOON_S + INTERVAL_S)
    assert (again.data["usage_points"], len(asked(stack))) == (1, 6)
    assert (usage(stack), cost(stack)) == once


def test_a_late_correction_overwrites(stack: Stack) -> None:
    stack.openai.books.add(Booked(NOON_S - 600, MINI, 100, 10))
    collect(stack)
    stack.openai.books.add(Booked(NOON_S - 590, MINI, 1, 2))
    collect(stack, NOON_S + INTERVAL_S)
    assert usage(stack) == [(-600, MINI, "proj_local", numbers(2, 101, 12, 0))]


def test_books_of_several_requests_to_datakit(stack: Stack) -> None:
    projects = [f"proj_{n}" for n in range(60)]
    stack.openai.books.add(
        *(Booked(NOON_S - minute * 60, MINI, 1, 1, project_id=p) for minute in range(1, 11) for p in projects)
    )
    collect(stack)
    assert len(usage(stack)) == 600


def test_after_a_pause_collect_says_what_is_left_out(stack: Stack) -> None:
    stack.openai.books.add(Booked(NOON_S + 60, MINI, 1, 1), Booked(NOON_S + 4 * 3600, MINI, 2, 2))
    collect(stack)
    result = collect(stack, NOON_S + 5 * 3600)
    assert [item[0] for item in usage(stack)] == [4 * 3600]
    assert any(
        "the 190 min before are left out: DataKit would change the time" in line for line in result.log
    )


def test_datakit_changes_no_time(stack: Stack) -> None:
    stack.datakit.auto_timestamp_correction = True
    give_admin_key(stack, ADMIN_KEY)
    now_s = time.time()
    # From the current minute on, which will have ended if another begins before collect() does.
    stack.openai.books.add(*(Booked(now_s - minute * 60, MINI, 1, 1) for minute in range(240)))
    result = stack.collect()
    assert result.data["problem"] == ""
    points = [point for point in stack.points("openai_usage") if "line_item" not in point.tags]
    assert len(points) == 110
    assert {point.timestamp_ns % (60 * 10**9) for point in points} == {0}
    assert not [point for point in stack.points("openai_usage") if "__orig_time" in point.fields]


def test_monitored_beside_billed(stack: Stack) -> None:
    answers = [stack.ask(), stack.ask(model="gpt-4o"), stack.post({"input": "Hi"})]
    stack.openai.faults.append("no_usage")
    stack.ask()  # billed, although the monitor does not know its tokens
    result = collect(stack, time.time() + 60)
    assert result.data["usage_points"]
    rows = usage(stack)
    assert sum(fields["requests"] for *_, fields in rows) == 4.0 == len(stack.points())
    tokens = sum(fields["input_tokens"] + fields["output_tokens"] for *_, fields in rows)
    assert tokens > sum(answer.json()["usage"]["total_tokens"] for answer in answers)
    assert {model for _, model, *_ in rows} == {MINI, LARGE}


# ---- cost ----


def test_cost_is_what_was_added_since_the_last_reading(stack: Stack) -> None:
    books = stack.openai.books
    books.add(Booked(NOON_S - DAY_S, MINI, 5_000_000, 0))  # yesterday's, before the first reading
    books.add(Booked(NOON_S - 3600, MINI, 2_000_000, 100_000, 400_000))
    collect(stack)
    points = [point for point in stack.points("openai_usage") if "line_item" in point.tags]
    assert {point.tags["line_item"]: point.fields for point in points} == {
        f"{MINI}, input": {"cost": pytest.approx(1.6)},
        f"{MINI}, cached input": {"cost": pytest.approx(0.2)},
        f"{MINI}, output": {"cost": pytest.approx(0.4)},
    }
    assert {(point.tags["model"], point.tags["project_id"]) for point in points} == {(MINI, "proj_local")}
    assert {point.timestamp_ns for point in points} == {NOON_S * 10**9}
    # The current day grows, and so does the one before.
    books.add(Booked(NOON_S + 60, MINI, 1_000_000, 0), Booked(NOON_S - DAY_S, LARGE, 3_000_000, 0))
    collect(stack, NOON_S + INTERVAL_S)
    assert cost(stack) == pytest.approx(2.2 + 1.0 + 3.0)


def test_costs_over_midnight_and_a_correction_downward(stack: Stack) -> None:
    books, midnight_s = stack.openai.books, NOON_S + 12 * 3600
    books.add(Booked(midnight_s - 60, MINI, 1_000_000, 0))
    collect(stack, midnight_s - INTERVAL_S)
    assert cost(stack) == pytest.approx(0.0)  # booked later than that
    collect(stack, midnight_s)
    books.add(Booked(midnight_s + 60, LARGE, 2_000_000, 0))
    collect(stack, midnight_s + INTERVAL_S)
    assert cost(stack) == pytest.approx(3.0)
    books.clear()
    books.add(Booked(midnight_s - 60, MINI, 400_000, 0))
    collect(stack, midnight_s + 2 * INTERVAL_S)
    assert cost(stack) == pytest.approx(0.4)


def test_amounts_may_be_strings(stack: Stack) -> None:
    stack.openai.books.amounts_as_text = True
    stack.openai.books.add(Booked(NOON_S - 60, MINI, 1_500_000, 0))
    collect(stack)
    assert cost(stack) == pytest.approx(1.5)


@pytest.mark.parametrize("takes_points", [False, True])
def test_cost_is_written_once_whenever_a_worker_dies(stack: Stack, takes_points: bool) -> None:
    stack.openai.books.clock = lambda: NOON_S
    stack.openai.books.add(Booked(NOON_S - 60, MINI, 1_000_000, 0))
    worker = processes().Process(
        target=collect_at, args=(places_of(stack), NOON_S), kwargs={"openai_admin_key": ADMIN_KEY}
    )
    assert isinstance(stack.datakit, DeadlyDataKit)
    stack.datakit.victim, stack.datakit.takes_points = worker, takes_points
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert cost(stack) == pytest.approx(1.0 if takes_points else 0.0)
    stack.openai.books.add(Booked(NOON_S - 30, MINI, 2_000_000, 0))
    # A minute later, the dead worker's lock has expired.
    cache_of_func(stack).delete("lock_reconciliation", scope=SCOPE)
    collect(stack, NOON_S + 60)
    assert cost(stack) == pytest.approx(3.0)
    collect(stack, NOON_S + INTERVAL_S)
    assert cost(stack) == pytest.approx(3.0)
    assert usage(stack)[0][3]["requests"] == 2.0


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", "answered 401 authentication: it takes an admin key"),
        ("403", "answered 403 permission: it takes an admin key"),
        ("404", "answered 404 not_found: only OpenAI itself keeps these books"),
        ("429", "answered 429 rate_limit"),
        ("500", "answered 500 server_error"),
        ("html502", "answered 502 server_error"),
        ("html200", "did not answer with a page of data"),
        ("empty200", "did not answer with a page of data"),
        ("error200", "did not answer with a page of data"),
        ("reset", "cannot be reached (ConnectionError)"),
        ("cut", "cannot be reached"),
    ],
)
@pytest.mark.parametrize("good_before", [0, 2], ids=["usage", "costs"])
def test_an_error_is_reported_and_the_books_are_read_again(
    stack: Stack, fault: str, said: str, good_before: int
) -> None:
    stack.openai.books.add(Booked(NOON_S - 600, MINI, 1_000_000, 0))
    stack.openai.faults.extend(["ok"] * good_before + [fault])
    result = collect(stack)
    assert result.data["usage_points"] is None
    path = "costs" if good_before else "usage/completions"
    problem = f"OpenAI's usage was not read: {stack.openai.base_url}/organization/{path} {said}"
    assert result.data["problem"].startswith(problem)
    assert result.data["problem"] in result.log
    assert "everything is delivered" in result.log
    assert ADMIN_KEY not in str(result)
    assert stack.points("openai_usage") == []
    collect(stack, NOON_S + 60)
    assert (len(usage(stack)), cost(stack)) == (1, pytest.approx(1.0))  # type: ignore[comparison-overlap]


def test_a_key_that_is_not_an_admin_key(stack: Stack) -> None:
    give_admin_key(stack, "sk-proj-ordinary")
    result = stack.collect()
    assert "answered 403 permission: it takes an admin key" in result.data["problem"]
    assert result.data["openai_up"] is True
    assert "sk-proj-ordinary" not in str(result)


def test_a_key_of_odd_characters(stack: Stack) -> None:
    give_admin_key(stack, "sk-密钥")
    result = stack.collect()
    assert result.data["problem"].endswith("the OpenAI admin key contains characters that no key has")


def in_the_last(seconds: float) -> type[Reconciliation]:
    """The class that reads the books, for a run with so little time left."""

    class InTheLastSeconds(Reconciliation):
        def run(self, budget_s: float) -> Reconciled:
            return super().run(seconds)

    return InTheLastSeconds


@pytest.mark.parametrize("fault", ["drip:0.2", "hang"])
def test_slow_books_do_not_hold_up_collect(stack: Stack, fault: str) -> None:
    """With more time left, what hangs would be told as an API that cannot be reached."""
    stack.openai.faults.append(fault)
    result = collect(stack, books=in_the_last(5.0))
    assert result.data["problem"] == "OpenAI's usage was not read: it did not come in time"
    assert len(stack.points("openai_monitor")) == 1


def test_with_little_time_left_the_next_run_reads(stack: Stack) -> None:
    result = collect(stack, books=in_the_last(4.0))
    assert asked(stack) == []
    assert (result.data["usage_points"], result.data["problem"]) == (None, "")
    assert "OpenAI's usage is left to the next run" in result.log
    assert collect(stack, NOON_S + 60).data["usage_points"] == 0


def test_while_datakit_is_down_nothing_is_read(stack: Stack) -> None:
    stack.openai.books.add(Booked(NOON_S - 600, MINI, 1, 1))
    stack.datakit.stop()
    collect(stack)
    assert asked(stack) == []
    stack.datakit.start()
    collect(stack, NOON_S + 120)
    assert len(usage(stack)) == 1


def test_simultaneous_runs_read_the_books_once(stack: Stack) -> None:
    another = CacheBacklog(cache_of_func(stack))
    assert another.acquire("reconciliation", 60)
    assert collect(stack).data["usage_points"] is None
    assert asked(stack) == []
    another.release("reconciliation")
    assert collect(stack).data["usage_points"] == 0


class Broken(Reconciliation):
    """Fails in a way that nothing foresees."""

    def run(self, budget_s: float) -> Reconciled:
        raise ZeroDivisionError(ADMIN_KEY)


def test_a_bug_of_ours_does_not_stop_collect(stack: Stack) -> None:
    result = collect(stack, books=Broken)
    assert result.data["problem"] == "OpenAI's usage was not read"
    assert "reading OpenAI's usage failed (ZeroDivisionError)" in result.log
    assert ADMIN_KEY not in str(result)
    assert len(stack.points("openai_monitor")) == 1


class OnePage(LocalServer):
    """Answers every query with a page of this one bucket."""

    def __init__(self, bucket: object) -> None:
        super().__init__()
        self._bucket = bucket

    def respond(self, _: Request) -> Response:
        return Response(200, {"object": "page", "data": [self._bucket], "next_page": None})


def in_bucket(*results: object) -> dict[str, object]:
    return {"object": "bucket", "start_time": NOON_S - 60, "end_time": NOON_S, "results": results}


@pytest.mark.parametrize(
    ("bucket", "points"),
    [
        (in_bucket({"num_model_requests": 1, "amount": {"value": 2, "currency": "usd"}}), 2),
        (in_bucket({"num_model_requests": 1, "model": None, "project_id": None, "input_tokens": None}), 1),
        ({**in_bucket({"num_model_requests": 1}), "start_time": None}, 0),
        ({**in_bucket(), "results": None}, 0),
        (in_bucket("x", None, {"model": MINI, "input_tokens": None, "output_tokens": True}), 0),
        (in_bucket({"input_tokens": "NaN", "amount": {"value": "inf", "currency": "usd"}}), 0),
        (in_bucket({"amount": None}, {"amount": {"value": "much", "currency": "usd"}}), 0),
        (in_bucket({"amount": {"value": 5, "currency": "eur"}}), 0),
        ("x", 0),
        (None, 0),
    ],
)
def test_a_value_that_is_not_a_number_is_left_out(stack: Stack, bucket: object, points: int) -> None:
    with OnePage(bucket) as server:
        result = collect(stack, openai_base_url=server.url)
    assert (result.data["usage_points"], result.data["problem"]) == (points, "")
    assert len(stack.points("openai_usage")) == points


# ---- the key ----


def test_without_an_admin_key_nothing_is_asked(stack: Stack) -> None:
    stack.configure(probe=False)
    result = stack.collect()
    assert (result.data["usage_points"], result.data["problem"]) == (None, "")
    assert not [line for line in result.log if "OpenAI" in line]
    assert stack.openai.requests == []


def test_the_admin_key_falls_back_to_the_environment_variable(built: Built) -> None:
    with LocalFunc(workers=1) as func, LocalOpenAI() as openai_, LocalDataKit() as datakit:
        set_id = func.install(str(built.zip_path))
        func.set_env("OPENAI_ADMIN_KEY", ADMIN_KEY)
        func.deploy(set_id, {"OpenAI base URL": openai_.base_url, "DataKit URL": datakit.url})
        func.edit(
            STARTUP, func.script(STARTUP) + "\nprint(OPENAI_ADMIN_KEY or DFF.ENV('OPENAI_ADMIN_KEY'))\n"
        )
        assert func.run(STARTUP).log == ("*****",)
        assert func.fire_cron()[0].data["usage_points"] == 0
        assert openai_.requests[0].headers["authorization"] == f"Bearer {ADMIN_KEY}"


# ---- the stand-in's books ----


@pytest.fixture
def books() -> Iterator[LocalOpenAI]:
    with LocalOpenAI(clock=lambda: NOON_S) as server:
        yield server


def get(server: LocalOpenAI, path: str, key: str = ADMIN_KEY, **params: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(server.base_url + "/organization" + path, params=params, headers=headers, timeout=10)


def test_the_sdk_reads_the_stand_ins_books(books: LocalOpenAI) -> None:
    if not hasattr(openai.OpenAI, "admin"):
        pytest.skip("skipped: this openai package has no admin API")
    books.books.add(Booked(NOON_S - 90, MINI, 10, 5, 2), Booked(NOON_S - 90, LARGE, 1, 1))
    client = openai.OpenAI(api_key="sk-x", admin_api_key=ADMIN_KEY, base_url=books.base_url, max_retries=0)
    page = client.admin.organization.usage.completions(
        start_time=NOON_S - 120, bucket_width="1m", group_by=["model"], limit=1
    )
    (bucket,) = page.data
    assert (bucket.start_time, bucket.end_time, page.has_more) == (NOON_S - 120, NOON_S - 60, True)
    mini, large = bucket.results
    assert mini.to_dict()["object"] == "organization.usage.completions.result"
    assert (mini.to_dict()["model"], mini.to_dict()["input_cached_tokens"]) == (MINI, 2)
    assert large.to_dict()["project_id"] is None
    costs = client.admin.organization.usage.costs(start_time=NOON_S - 43200, group_by=["line_item"])
    amounts = {item.to_dict()["line_item"]: item.to_dict()["amount"] for item in costs.data[0].results}
    assert amounts[f"{MINI}, output"] == {"value": pytest.approx(20e-6), "currency": "usd"}


def test_the_first_bucket_begins_where_the_query_does(books: LocalOpenAI) -> None:
    answer = get(books, "/costs", start_time=NOON_S - 7, limit=1).json()
    assert [(b["start_time"], b["end_time"]) for b in answer["data"]] == [(NOON_S - 7, NOON_S + 12 * 3600)]
    assert (answer["has_more"], answer["next_page"]) == (False, None)


@pytest.mark.parametrize(
    ("path", "params", "status_code"),
    [
        ("/usage/completions", {}, 400),
        ("/usage/completions", {"start_time": "x"}, 400),
        ("/usage/completions", {"start_time": 0, "bucket_width": "5m"}, 400),
        ("/usage/completions", {"start_time": 0, "group_by": "line_item"}, 400),
        ("/usage/completions", {"start_time": 0, "limit": 32}, 400),
        ("/usage/completions", {"start_time": 0, "page": "page_%%"}, 400),
        ("/costs", {"start_time": 0, "bucket_width": "1m"}, 400),
        ("/costs", {"start_time": 0, "limit": 181}, 400),
        ("/costs", {"start_time": NOON_S, "key": "sk-ordinary"}, 403),
        ("/costs", {"start_time": NOON_S, "key": "sk-admin-refused"}, 401),
    ],
)
def test_what_openai_would_refuse(
    books: LocalOpenAI, path: str, params: dict[str, Any], status_code: int
) -> None:
    answer = get(books, path, **params)
    assert answer.status_code == status_code
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

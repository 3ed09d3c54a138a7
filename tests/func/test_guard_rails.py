"""The limits of the link: what exceeds them is refused, counted and never sent."""

import json
import queue
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from cache_client import MemoryBackend, cache_of, run_threads
from in_process import Places, Task, places_of, settings_at
from stack import STARTUP, Stack

from guance_chatgpt_monitor.func.daily_tokens import DailyTokens
from guance_chatgpt_monitor.func.guard_rails import GuardRails
from guance_chatgpt_monitor.func.monitor import Monitor
from guance_chatgpt_monitor.func.request import Request
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.http_server import LocalServer, Response
from guance_chatgpt_monitor.local.http_server import Request as HttpRequest

pytestmark = pytest.mark.slow

HELLO = [{"role": "user", "content": "Hello"}]


def refused(stack: Stack, answer: requests.Response, status_code: int, code: str) -> str:
    """The message of a refusal, which was counted and not sent."""
    assert answer.status_code == status_code
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("budget_error", code)
    point = stack.points()[-1]
    assert (point.tags["status"], point.tags["error_type"]) == ("error", "budget")
    assert "status_code" not in point.tags
    assert point.fields["question"] == point.fields["res_status"] == 1.0
    assert point.fields["create_time"] == point.fields["total_tokens"] == 0.0
    return str(error["message"])


def test_without_limits_a_body_goes_out_as_it_came(stack: Stack) -> None:
    body = {"model": "gpt-4o", "messages": HELLO, "max_tokens": 10**6, "n": 3}
    assert stack.post(body).status_code == 200
    assert stack.openai.requests[-1].body == body


# ---- models ----


def test_only_allowed_models_are_called(stack: Stack) -> None:
    stack.configure(allowed_models=["gpt-4o-mini", "o3-mini"])
    assert stack.ask().status_code == 200
    assert stack.ask(model="o3-mini").status_code == 200
    answer = stack.ask(model="never-answered")
    message = refused(stack, answer, 403, "model_not_allowed")
    assert message == "this link allows these models only: gpt-4o-mini, o3-mini"
    assert answer.json()["error"]["param"] == "model"
    assert stack.points()[-1].tags["request_model"] == "other"  # refused calls make no series
    assert len(stack.openai.requests) == 2


# ---- completion tokens ----


@pytest.mark.parametrize(
    ("body", "name", "put_in"),
    [
        ({"question": "Hi"}, "max_completion_tokens", 100),
        ({"messages": HELLO}, "max_completion_tokens", 100),
        ({"messages": HELLO, "n": 3}, "max_completion_tokens", 33),
        ({"messages": HELLO, "max_completion_tokens": None}, "max_completion_tokens", 100),
        ({"input": "Hi"}, "max_output_tokens", 100),
    ],
)
def test_a_request_without_a_limit_gets_one(
    stack: Stack, body: dict[str, object], name: str, put_in: int
) -> None:
    stack.configure(max_completion_tokens=100)
    assert stack.post(body).status_code == 200
    sent = stack.openai.requests[-1].body
    assert sent[name] == put_in
    assert [key for key in sent if key.startswith("max_")] == [name]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": HELLO, "max_completion_tokens": 100},
        {"messages": HELLO, "max_tokens": 7},
        {"messages": HELLO, "max_completion_tokens": 50, "n": 2},
        {"input": "Hi", "max_output_tokens": 16},
    ],
)
def test_a_request_within_the_limit_is_not_changed(stack: Stack, body: dict[str, object]) -> None:
    stack.configure(max_completion_tokens=100)
    assert stack.post(body).status_code == 200
    assert stack.openai.requests[-1].body == {"model": "gpt-4o-mini", **body}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": HELLO, "max_completion_tokens": 101}, "max_completion_tokens"),
        ({"question": "Hi", "max_tokens": 101}, "max_tokens"),
        ({"messages": HELLO, "max_completion_tokens": 10, "max_tokens": 101}, "max_tokens"),
        ({"messages": HELLO, "max_completion_tokens": 51, "n": 2}, "max_completion_tokens"),
        ({"messages": HELLO, "n": 101}, "n"),
        ({"input": "Hi", "max_output_tokens": 101}, "max_output_tokens"),
        # Refused by OpenAI, but for a gateway it may mean "no limit".
        ({"messages": HELLO, "max_tokens": -1}, "max_tokens"),
        ({"messages": HELLO, "max_tokens": "5"}, "max_tokens"),
        ({"messages": HELLO, "max_tokens": True}, "max_tokens"),
        ({"messages": HELLO, "max_tokens": 5.5}, "max_tokens"),
        ({"messages": HELLO, "n": "2"}, "n"),
        ({"messages": HELLO, "n": 0}, "n"),
    ],
)
def test_a_request_for_more_is_refused(stack: Stack, body: dict[str, object], param: str) -> None:
    stack.configure(max_completion_tokens=100)
    answer = stack.post(body)
    assert "up to 100" in refused(stack, answer, 403, "completion_tokens_not_allowed")
    assert answer.json()["error"]["param"] == param
    assert stack.openai.requests == []


# ---- what costs more than tokens ----

EXTRAS = [
    ({"messages": HELLO, "tools": [{"type": "web_search"}]}, "web_search"),
    ({"messages": HELLO, "web_search_options": {}}, "web_search_options"),
    ({"messages": HELLO, "modalities": ["text", "audio"]}, "modalities"),
    ({"messages": HELLO, "audio": {"voice": "alloy", "format": "mp3"}}, "audio"),
    ({"question": "Hi", "service_tier": "priority"}, "service_tier"),
    ({"question": "Hi", "prediction": {"type": "content", "content": "Hi"}}, "prediction"),
    ({"question": "Hi", "models": ["gpt-4o", "o1-pro"]}, "models"),
    ({"question": "Hi", "route": "fallback"}, "route"),
    ({"question": "Hi", "not_yet_invented": 1}, "not_yet_invented"),
    ({"input": "Hi", "tools": [{"type": "image_generation"}]}, "image_generation"),
    ({"input": "Hi", "tools": [{"type": "mcp", "server_url": "http://x"}]}, "mcp"),
    ({"input": "Hi", "previous_response_id": "resp_1"}, "previous_response_id"),
    ({"input": "Hi", "conversation": "conv_1"}, "conversation"),
    ({"input": "Hi", "prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "item_reference"),
    ({"input": [{"id": "msg_1"}]}, "item_reference"),
]


@pytest.mark.parametrize(("body", "extra"), EXTRAS)
@pytest.mark.parametrize(
    "limit",
    [{"allowed_models": ["gpt-4o-mini"]}, {"max_completion_tokens": 100}, {"daily_token_limit": 10**6}],
)
def test_an_extra_is_refused_if_any_limit_is_set(
    stack: Stack, body: dict[str, object], extra: str, limit: dict[str, object]
) -> None:
    stack.configure(**limit)
    answer = stack.post(body)
    assert "allowed_extras" in refused(stack, answer, 403, "extra_not_allowed")
    assert answer.json()["error"]["param"] == extra
    assert stack.openai.requests == []


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        ({"": 1, "service_tier": "priority"}, ""),
        ({"tools": [{"type": ""}], "messages": HELLO}, ""),
        ({"tools": {"type": "web_search"}}, "tools"),
        ({"tools": ["web_search"]}, "tools"),
    ],
)
def test_odd_forms_of_an_extra_are_refused(stack: Stack, body: dict[str, object], extra: str) -> None:
    stack.configure(allowed_models=["gpt-4o-mini"])
    answer = stack.post(body if "messages" in body else {"question": "Hi", **body})
    refused(stack, answer, 403, "extra_not_allowed")
    assert answer.json()["error"]["param"] == extra


@pytest.mark.parametrize(("body", "extra"), EXTRAS)
def test_an_extra_that_is_allowed_goes_out(stack: Stack, body: dict[str, object], extra: str) -> None:
    stack.configure(allowed_models=["gpt-4o-mini"], allowed_extras=[extra])
    stack.post(body)
    assert len(stack.openai.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {
            "messages": HELLO,
            "temperature": 0.5,
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "service_tier": "default",
            "modalities": ["text"],
            "audio": None,
            "response_format": {"type": "json_object"},
        },
        {
            "input": "Hi",
            "reasoning": {"effort": "low"},
            "text": {},
            "tools": [{"type": "function", "name": "f"}],
        },
    ],
)
def test_what_only_costs_tokens_goes_out(stack: Stack, body: dict[str, object]) -> None:
    stack.configure(allowed_models=["gpt-4o-mini"])
    assert stack.post(body).status_code == 200


# ---- tokens a day ----


def midday() -> timezone:
    """A time zone where it is about noon, so that no day ends during the test."""
    return timezone(timedelta(hours=12 - datetime.now(timezone.utc).hour))


def test_a_used_up_day_is_429_until_midnight(stack: Stack) -> None:
    tokens = stack.ask().json()["usage"]["total_tokens"]
    today = datetime.now(midday())
    stack.configure(daily_token_limit=2 * tokens, timezone=f"{today:%z}"[:3] + ":00")
    assert [stack.ask().status_code for _ in range(2)] == [200, 200]
    stack.openai.requests.clear()
    message = refused(stack, stack.ask(), 429, "daily_token_limit_reached")
    assert stack.openai.requests == []
    assert message.startswith(
        f"this link's {2 * tokens} tokens a day are used up, or reserved by calls under way; "
        f"it is open again at {today + timedelta(days=1):%Y-%m-%d 00:00 %z}"
    )


class Link:
    """The guard rails of a link that allows one token a day, with a clock that the test sets."""

    def __init__(self, timezone: str, now_s: float) -> None:
        self.now_s = now_s
        self._cache = cache_of(MemoryBackend(lambda: self.now_s))
        daily_tokens = DailyTokens(1, timezone, lambda: self.now_s)
        self._guard_rails = GuardRails("gpt-4o-mini", daily_tokens=daily_tokens)

    def ask(self) -> str:
        """Use a token; the refusal, if there is none left."""
        request = Request("chat", "gpt-4o-mini", {"messages": HELLO}, {})
        admission = self._guard_rails.admit(request, self._cache, print)
        self._guard_rails.settle(admission, 1.0, self._cache, print)
        return admission.refusal.body if admission.refusal else ""


class AnotherWorker:
    """Calls the monitor in the test's own process, as a further worker of the stack's Func."""

    def __init__(self, places: Places, **limits: Any) -> None:
        self._places = places
        self._monitor = Monitor(settings_at(places, **limits), {})
        self.log: list[str] = []

    def ask(self, **body: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer; `log` is what was printed."""
        task = Task(self._places)
        answer = self._monitor.chat(task, {"question": "Hi", **body})
        self.log = task.log
        return answer.control["status_code"], json.loads(answer.data)


def test_all_workers_count_together(stack: Stack) -> None:
    tokens = stack.ask("Hi").json()["usage"]["total_tokens"]
    limit = {"daily_token_limit": 2 * tokens}
    stack.configure(**limit)
    another = AnotherWorker(places_of(stack), **limit)
    assert [stack.ask("Hi").status_code, another.ask()[0]] == [200, 200]
    refused(stack, stack.ask("Hi"), 429, "daily_token_limit_reached")
    assert another.ask()[0] == 429


class PatientOpenAI(LocalServer):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.may_answer = threading.Event()

    def respond(self, _: HttpRequest) -> Response:
        self.requests += 1
        self.may_answer.wait(60)
        return Response(200, {"choices": [{"message": {"role": "assistant", "content": "Hi"}}]})


def test_simultaneous_callers_cannot_all_use_the_last_tokens(stack: Stack) -> None:
    answers: queue.Queue[int] = queue.Queue()
    with PatientOpenAI() as patient:
        places = places_of(stack)._replace(openai=f"{patient.url}/v1")
        workers = [AnotherWorker(places, daily_token_limit=10, max_completion_tokens=50) for _ in range(4)]
        go = threading.Barrier(4)

        def call(n: int) -> None:
            go.wait(60)
            answers.put(workers[n].ask()[0])

        calling = threading.Thread(target=lambda: run_threads(4, call))
        calling.start()
        try:
            assert [answers.get(timeout=30) for _ in range(3)] == [429, 429, 429]
        finally:
            patient.may_answer.set()
            calling.join(60)
        assert answers.get(timeout=30) == 200
        assert patient.requests == 1


def test_what_a_killed_call_reserved_is_released(stack: Stack) -> None:
    stack.configure(daily_token_limit=10_000, max_completion_tokens=9_000)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    scope = "scope='guance_chatgpt_monitor'"
    stack.configure(daily_token_limit=100, timezone="+00:00")
    stack.func.edit(
        "s__killed",
        f"DFF.CACHE.hincrby('tokens_of_{day}', 'total', 100, {scope})\n"
        f"DFF.CACHE.hset('reserved_of_{day}', 'killed', '[100, 1.0]', {scope})\n",
    )
    assert stack.func.run("s__killed").status == "success"
    assert stack.ask().status_code == 200


def test_a_call_returns_what_it_did_not_use(stack: Stack) -> None:
    stack.configure(daily_token_limit=1000, max_completion_tokens=900)
    question = "x" * 400
    tokens = stack.ask(question).json()["usage"]["total_tokens"]
    calls = 1
    while stack.ask(question).status_code == 200:
        calls += 1
    assert calls == -(-1000 // tokens)
    assert sum(point.fields["total_tokens"] for point in stack.points()) == calls * tokens


@pytest.mark.parametrize(
    ("timezone", "now", "midnight"),
    [
        ("+08:00", "2026-11-27T15:59:00+00:00", "2026-11-28 00:00 +0800"),
        ("Asia/Shanghai", "2026-11-27T15:59:00+00:00", "2026-11-28 00:00 +0800"),
        ("-05:00", "2026-11-28T04:59:00+00:00", "2026-11-28 00:00 -0500"),
    ],
)
def test_the_day_ends_at_midnight_of_the_time_zone(timezone: str, now: str, midnight: str) -> None:
    link = Link(timezone, datetime.fromisoformat(now).timestamp())
    assert link.ask() == ""
    assert midnight in link.ask()
    link.now_s += 59
    assert midnight in link.ask()
    link.now_s += 2
    assert link.ask() == ""


def test_without_a_time_zone_the_day_ends_at_local_midnight() -> None:
    before_midnight_s = time.mktime((*time.localtime()[:3], 23, 59, 0, 0, 0, -1))
    link = Link("", before_midnight_s)
    assert link.ask() == ""
    assert time.strftime("%Y-%m-%d 00:00", time.localtime(before_midnight_s + 120)) in link.ask()
    link.now_s += 61
    assert link.ask() == ""


def test_an_answer_without_usage_is_not_counted_and_a_background_answer_is_refused(stack: Stack) -> None:
    stack.configure(daily_token_limit=1)
    stack.openai.faults.extend(["500"] * 3 + ["no_usage"])
    assert [stack.ask().status_code for _ in range(3)] == [500, 200, 200]
    refused(stack, stack.ask(), 429, "daily_token_limit_reached")
    refused(stack, stack.post({"input": "Hi", "background": True}), 403, "background_not_allowed")


@pytest.fixture
def own_redis() -> Iterator[LocalRedis]:
    if not LocalRedis.is_available():
        pytest.skip("skipped: no redis-server on this machine")
    redis = LocalRedis().start()
    yield redis
    redis.remove()


def test_while_the_cache_is_unavailable_calls_pass_and_the_log_says_so(
    stack: Stack, own_redis: LocalRedis
) -> None:
    places = places_of(stack)._replace(redis_url=own_redis.url)
    worker = AnotherWorker(places, daily_token_limit=1, max_completion_tokens=100)
    assert worker.ask()[0] == 200
    status_code, body = worker.ask()
    assert (status_code, body["error"]["code"]) == (429, "daily_token_limit_reached")
    own_redis.stop()
    status_code, body = worker.ask()
    assert status_code == 200
    assert "the daily token limit cannot be checked (ConnectionError): the call passes" in worker.log
    tokens = body["usage"]["total_tokens"]
    assert f"{tokens} token(s) are missing in the day's count (ConnectionError)" in worker.log
    # The other limits need no cache.
    assert worker.ask(max_tokens=101)[0] == 403


# ---- settings and faults of ours ----


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("allowed_models='gpt-4o-mini'", "allowed_models must be a list of model names"),
        ("allowed_models=['gpt-4o-mini', '']", "allowed_models must be a list of model names"),
        ("allowed_models=[]", "allowed_models must be a list of model names"),
        ("allowed_models=['gpt-4o']", "the default model gpt-4o-mini must be one of allowed_models"),
        ("max_completion_tokens=15", "max_completion_tokens must be a whole number from 16 to"),
        ("max_completion_tokens='many'", "max_completion_tokens must be a whole number"),
        ("daily_token_limit=0", "daily_token_limit must be a whole number from 1 to"),
        ("daily_token_limit=1e6", "daily_token_limit must be a whole number"),
        ("timezone='Mars/Olympus'", "timezone must be an offset such as +08:00, or a name"),
        ("timezone='+25:00'", "timezone must be an offset"),
        ("allowed_extras='tools'", "allowed_extras must be a list"),
    ],
)
def test_a_wrong_limit_is_reported_when_deploying(stack: Stack, setting: str, said: str) -> None:
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace("    DFF,\n", f"    DFF,\n    {setting},\n"))
    result = stack.func.run(STARTUP)
    assert result.status == "failure"
    assert result.exception.startswith(f"ValueError: {said}")


def test_a_bug_of_ours_does_not_stop_a_call(stack: Stack) -> None:
    settings = settings_at(places_of(stack))
    task = Task(places_of(stack))
    # As if what reads the settings had let it pass.
    answer = Monitor({**settings, "max_completion_tokens": "many"}, {}).chat(task, {"question": "Hi"})
    assert answer.control["status_code"] == 200
    assert stack.point().tags["status"] == "ok"
    assert task.log == ["the guard rails failed (TypeError)"]

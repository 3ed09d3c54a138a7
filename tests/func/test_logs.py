"""Logs of what was said, from Func: only if switched on, redacted, and without holding up calls."""

from typing import Any

import pytest
from cache_client import cache_of
from in_process import Task, places_of, settings_at
from stack import KEY, Stack

from guance_chatgpt_monitor.core.content.log_line import ContentLog
from guance_chatgpt_monitor.core.content.transcript import Conversation
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.func.content_logs import LOGS_SCOPE
from guance_chatgpt_monitor.func.monitor import Monitor
from guance_chatgpt_monitor.local.datakit.server import Point
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.worker import Backend

pytestmark = pytest.mark.slow

QUESTION = "My mail is zhang@example.com, 手机13800138000, card 4111 1111 1111 1111; what is Guance?"
PUBLIC_APIS = 'public_apis = ["/v1/write/metric", "/v1/write/logging", "/v1/ping"]'


@pytest.fixture
def logging(stack: Stack) -> Stack:
    stack.configure(log_content=True)
    return stack


def logs(stack: Stack) -> list[Point]:
    return stack.datakit.points("openai", "logging")


def paths(stack: Stack) -> list[str]:
    return [request.path for request in stack.datakit.requests_received]


def health(stack: Stack) -> dict[str, Any]:
    """The fields of the last report on the logs."""
    points = [point for point in stack.points("openai_monitor") if point.tags.get("category") == "logging"]
    return {name: value for point in points for name, value in point.fields.items()}


# -- switched on and off ---------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"log_content": "false"}])
def test_nothing_is_logged_unless_asked_for(stack: Stack, settings: dict[str, str]) -> None:
    stack.configure(**settings)
    assert stack.ask(QUESTION).ok
    result = stack.collect()
    assert result.data["logs"] is None
    assert "log line" not in "\n".join(result.log)
    assert "/v1/write/logging" not in paths(stack)
    assert all("category" not in point.tags for point in stack.points("openai_monitor"))


def test_a_question_and_its_answer(logging: Stack) -> None:
    answer = logging.ask(QUESTION, system="Be brief", tags={"team": "web"})
    (log,), point = logs(logging), logging.point()
    assert log.fields["question"] == "My mail is [email], 手机[phone], card [card]; what is Guance?"
    assert log.fields["system"] == "Be brief"
    assert log.fields["answer"] == answer.json()["choices"][0]["message"]["content"]
    assert log.tags["finish_reason"] == "stop"
    assert log.fields["total_tokens"] == point.fields["total_tokens"]
    assert log.fields["response_time"] == point.fields["response_time"]
    assert log.fields["request_id"]
    assert (log.tags, log.timestamp_ns) == (point.tags, point.timestamp_ns)
    assert log.tags["team"] == "web"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "Hello there"}]},
        {"input": "Hello there"},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}]},
    ],
)
def test_the_other_requests(logging: Stack, body: dict[str, Any]) -> None:
    assert logging.post(body).ok
    (log,) = logs(logging)
    assert log.fields["question"] == "Hello there"
    assert log.fields["answer"]
    assert log.tags["finish_reason"] in ("stop", "completed")


@pytest.mark.parametrize(
    ("body", "faults", "said"),
    [
        ({"question": QUESTION}, ["401"], "Incorrect API key provided"),
        ({"question": QUESTION}, ["hang"], "no answer within 0.5 s"),
        ({"question": QUESTION, "stream": True}, [], "an authorization link cannot stream"),
        ({"question": ["odd"], "n": {"a": QUESTION}}, [], "question must be a string"),
    ],
)
def test_a_failed_call_is_logged_at_any_rate(
    stack: Stack, body: dict[str, Any], faults: list[str], said: str
) -> None:
    stack.configure(log_content=True, log_content_rate=0, deadline_s=0.5)
    assert stack.ask("not logged").ok
    stack.openai.faults.extend(faults)
    assert not stack.post(body).ok
    (log,) = logs(stack)
    assert log.tags["status"] == "error"
    assert said in str(log.fields["error_message"])
    assert said in str(log.fields["message"])
    assert KEY not in str(log)
    assert "example.com" not in str(log)


def test_keys_and_the_users_patterns_are_redacted(stack: Stack) -> None:
    stack.configure(log_content=True, redact_patterns=["CUST-[0-9]{6}"], log_content_max_chars=60)
    stack.ask(f"is x{KEY}x of CUST-123456? " + "?" * 100)
    (log,) = logs(stack)
    assert str(log.fields["question"]).startswith("is x[key]x of [redacted]? ??")
    assert str(log.fields["question"]).endswith("??…[cut]")


def fail_to_read(request: dict[str, Any], answer: str) -> Conversation:
    """In place of what reads what was said."""
    raise ValueError(f"{request} {answer}")


def test_a_bug_of_ours_costs_only_the_log(logging: Stack, caplog: pytest.LogCaptureFixture) -> None:
    places = places_of(logging)
    task, settings = Task(places), settings_at(places, log_content=True)
    monitor = Monitor(settings, {}, content_log=ContentLog(), read_conversation=fail_to_read)
    assert monitor.chat(task, {"question": QUESTION}).control["status_code"] == 200
    assert logging.point().tags["status"] == "ok"
    assert task.log == ["what was said in a call could not be read (ValueError): not logged"]
    result = logging.collect()
    assert logs(logging) == []
    assert result.data["logs"]["dropped"] == {"monitor_error": 1}
    assert "dropped 1 log line(s): monitor_error" in result.log
    assert "zhang" not in f"{result.log} {caplog.text}"


# -- outages ---------------------------------------------------------------------------------------


def test_an_outage_costs_one_timeout_and_no_line(logging: Stack) -> None:
    logging.datakit.mode = "hang"
    before = logging.datakit.requests_total
    assert logging.ask(QUESTION).ok
    assert logging.datakit.requests_total - before == 1  # the log line does not cost another timeout
    assert logging.ask(QUESTION).ok  # nobody tries for a while
    assert logging.datakit.requests_total - before == 1
    logging.datakit.mode = None
    result = logging.collect()
    assert result.data["replayed"] == 2
    assert result.data["logs"] == {"delivered": 0, "replayed": 2, "dropped": {}, "backlog_lines": 0}
    assert "delivered 2 log line(s) that had waited in the backlog" in result.log
    assert len(logs(logging)) == len(logging.points()) == 2
    assert all(float(log.fields["delay"]) >= 0.0 for log in logs(logging))
    assert (health(logging)["replayed"], health(logging)["backlog_lines"]) == (2.0, 0.0)
    assert sum(point.fields.get("replayed", 0) for point in logging.points("openai_monitor")) == 4.0


def test_nothing_secret_waits_in_the_backlog(logging: Stack, shared_redis: LocalRedis | None) -> None:
    logging.datakit.stop()
    logging.ask(QUESTION)
    cache = cache_of(Backend(f"127.0.0.1:{logging.func.port}", shared_redis.url if shared_redis else ""))
    claim = CacheBacklog(cache, scope=LOGS_SCOPE).claim(10)
    assert claim is not None
    (line,) = claim.lines
    assert "My mail is [email], 手机[phone], card [card]; what" in line


def test_a_datakit_that_refuses_logs_takes_the_points(logging: Stack) -> None:
    logging.datakit.faults.extend(["ok", "403"])
    assert logging.ask(QUESTION).ok
    assert len(logging.points()) == 1
    logging.datakit.faults.append("403")
    result = logging.collect()
    assert result.data["datakit_up"] is True
    assert result.data["backlog_lines"] == 0
    assert result.data["logs"]["backlog_lines"] == 1
    assert PUBLIC_APIS in result.data["problem"]
    assert result.data["problem"] in result.log
    assert "everything is delivered" not in result.log
    assert health(logging)["datakit_up"] == 0.0
    assert logging.ask(QUESTION).ok
    assert len(logging.points()) == 2
    result = logging.collect()
    assert result.data["logs"]["backlog_lines"] == 0
    assert len(logs(logging)) == 2


def test_waiting_logs_are_delivered_after_logs_are_switched_off(logging: Stack) -> None:
    logging.datakit.stop()
    logging.ask(QUESTION)
    logging.configure()
    result = logging.collect()
    assert result.data["logs"]["backlog_lines"] == 1
    assert "1 log line(s) wait in the backlog, the oldest for" in "\n".join(result.log)
    logging.datakit.start()
    assert logging.collect().data["logs"]["replayed"] == 1
    assert logging.collect().data["logs"] is None
    assert len(logs(logging)) == 1


def test_logs_have_their_own_bounds(stack: Stack) -> None:
    stack.configure(log_content=True, backlog_max_bytes=6_000)
    stack.datakit.stop()
    for n in range(4):
        stack.ask(f"{n}" + "x" * 1000)
    stack.datakit.start()
    result = stack.collect()
    dropped = result.data["logs"]["dropped"]["backlog_full"]
    assert 0 < dropped < 4
    assert result.data["logs"]["replayed"] == 4 - dropped
    assert result.data["dropped"] == {}
    assert len(stack.points()) == 4

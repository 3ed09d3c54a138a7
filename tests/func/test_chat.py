"""What a caller of the authorization link gets, and the point of each call: the built set in Func."""

import json
from collections.abc import Iterator

import interpreters
import pytest
from gateway import Gateway
from stack import KEY, STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built

HELLO = [{"role": "user", "content": "Hello"}]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]


@pytest.fixture(scope="module", params=["this", "oldest", "newest"])
def running_stack(request: pytest.FixtureRequest, built: Built, shared_redis: object) -> Iterator[Stack]:
    """The same tests on Func's Python and on the newest, each with the openai that pip installs there."""
    if request.param == "this":
        yield request.getfixturevalue("running_stack")  # the one of all tests
        return
    version = interpreters.OLDEST if request.param == "oldest" else interpreters.newest()
    python = interpreters.with_packages(version)
    with Stack(built, python, redis_url=getattr(shared_redis, "url", "")) as stack:
        yield stack


def error_of(answer: object) -> dict[str, object]:
    error: dict[str, object] = answer.json()["error"]  # type: ignore[attr-defined]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_question_is_answered_with_openais_own_json(stack: Stack) -> None:
    answer = stack.ask(system="Be brief.")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"
    assert answer.json()["usage"]["total_tokens"] > 0
    sent = stack.openai.requests[-1].body
    assert sent == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is Guance?"},
        ],
    }


def test_one_call_is_one_point_with_the_five_metrics(stack: Stack) -> None:
    usage = stack.ask().json()["usage"]
    point = stack.point()
    assert point.fields["question"] == 1.0
    assert 0 < point.fields["response_time"] < 30
    assert point.fields["create_time"] == 1.0
    assert point.fields["res_status"] == 0.0
    assert point.fields["total_tokens"] == usage["total_tokens"]
    assert point.fields["prompt_tokens"] == usage["prompt_tokens"]
    assert point.fields["completion_tokens"] == usage["completion_tokens"]
    assert all(isinstance(value, float) for value in point.fields.values())
    assert point.tags == {
        "operation_name": "chat",
        "provider_name": "127.0.0.1",
        "request_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2024-07-18",
        "status": "ok",
        "status_code": "200",
        "finish_reason": "stop",
        "stream": "false",
        "service_name": "dataflux-func",
        "host": "local",
    }


def test_chat_completions_body_goes_out_as_it_came(stack: Stack) -> None:
    body = {"model": "gpt-4o", "messages": HELLO, "temperature": 0.5, "not_yet_invented": {"a": [1]}}
    assert stack.post(body).status_code == 200
    assert stack.openai.requests[-1].path == "/v1/chat/completions"
    assert stack.openai.requests[-1].body == body


def test_responses_body_goes_out_as_it_came(stack: Stack) -> None:
    body = {"model": "gpt-4o", "input": "Hello", "instructions": "Be brief."}
    answer = stack.post(body)
    assert (answer.status_code, answer.json()["object"]) == (200, "response")
    assert stack.openai.requests[-1].path == "/v1/responses"
    assert stack.openai.requests[-1].body == body
    point = stack.point()
    assert point.tags["operation_name"] == "responses"
    assert point.fields["prompt_tokens"] == answer.json()["usage"]["input_tokens"]


def test_a_body_cannot_set_the_sdks_own_options(stack: Stack) -> None:
    body = {"messages": HELLO, "extra_headers": {"X-Evil": "1"}, "timeout": 0.0001, "extra_query": {"a": "b"}}
    assert stack.post(body).status_code == 200
    request = stack.openai.requests[-1]
    assert "x-evil" not in request.headers
    assert request.body["timeout"] == 0.0001


def test_both_paths_of_the_link(stack: Stack) -> None:
    import requests

    answer = requests.post(stack.link.replace("/al/", "/sync/"), json={"question": "Hi"}, timeout=60)
    assert answer.status_code == 200


def test_a_callers_tags_are_on_the_point_and_not_sent(stack: Stack) -> None:
    stack.ask(tags={"team": "web, mobile=1", "城市": "上海"})
    assert "tags" not in stack.openai.requests[-1].body
    tags = stack.point().tags
    assert (tags["team"], tags["城市"]) == ("web, mobile=1", "上海")


# Refused before the SDK is asked: a newer Python has all that the oldest one has.
@pytest.mark.parametrize("running_stack", ["oldest"], indirect=True)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": "Hi"}, 'send exactly one of "question"'),
        ({}, 'send exactly one of "question"'),
        ({"question": "Hi", "messages": HELLO}, "exactly one"),
        ({"question": ""}, "question must be a string, not empty"),
        ({"question": 7}, "question must be a string"),
        ({"question": "Hi", "system": ["x"]}, "system must be a string"),
        ({"messages": HELLO, "system": "x"}, "system goes with question only"),
        ({"messages": []}, "messages must be a list"),
        ({"messages": "Hi"}, "messages must be a list"),
        ({"messages": ["Hi"]}, "each of messages must be an object"),
        ({"input": {"a": 1}}, "input must be a string or a list"),
        ({"question": "Hi", "model": 7}, "model must be the name"),
        ({"question": "Hi", "model": " "}, "model must be the name"),
        ({"question": "Hi", "stream": True}, "cannot stream"),
        ({"question": "Hi", "tags": ["a"]}, "tags must be an object"),
        ({"question": "Hi", "tags": {"a": 1}}, "tag a must be a string"),
        ({"question": "Hi", "tags": {"a": "x" * 129}}, "at most 128 characters"),
        ({"question": "Hi", "tags": {"a": "x\ny"}}, "on one line"),
        ({"question": "Hi", "tags": {"a b": "x"}}, "the name of a tag may have letters"),
        ({"question": "Hi", "tags": {"status": "x"}}, "used by the monitor itself"),
        ({"question": "Hi", "tags": {f"t{n}": "x" for n in range(17)}}, "at most 16 tags"),
    ],
)
def test_bad_input_says_what_to_send(stack: Stack, body: dict[str, object], said: str) -> None:
    answer = stack.post(body)
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["type"] == "invalid_request_error"
    assert said in str(error["message"])
    point = stack.point()
    assert point.tags["error_type"] == "validation"
    assert (point.fields["create_time"], point.fields["res_status"]) == (0.0, 1.0)
    assert stack.openai.requests == []


@pytest.mark.parametrize(
    ("faults", "status_code", "error_type", "requests_sent"),
    [
        (["400"], 400, "bad_request", 1),
        (["401"], 401, "authentication", 1),
        (["403"], 403, "permission", 1),
        (["404"], 404, "not_found", 1),
        (["422"], 422, "bad_request", 1),
        (["content_filter"], 400, "content_filter", 1),
        (["insufficient_quota"], 429, "insufficient_quota", 1),
        (["429+0.01"] * 3, 429, "rate_limit", 3),
        (["500"] * 3, 500, "server_error", 3),
        (["429+90"], 429, "rate_limit", 1),  # a pause longer than the SDK would make
        (["html502"] * 3, 502, "server_error", 3),
        (["reset"] * 3, 502, "connection", 3),
        (["cut"] * 3, 502, "connection", 3),
        (["html200"], 502, "other", 1),
        (["empty200"], 502, "other", 1),
    ],
)
def test_errors_have_openais_form(
    stack: Stack, faults: list[str], status_code: int, error_type: str, requests_sent: int
) -> None:
    stack.openai.faults.extend(faults)
    answer = stack.ask()
    assert answer.status_code == status_code
    error_of(answer)
    point = stack.point()
    assert point.tags["status"] == "error"
    assert point.tags["error_type"] == error_type
    assert point.fields["question"] == point.fields["res_status"] == 1.0
    assert point.fields["create_time"] == requests_sent == len(stack.openai.requests)
    assert point.fields["total_tokens"] == 0.0


def limits_of(point: object) -> dict[str, float]:
    fields: dict[str, float] = point.fields  # type: ignore[attr-defined]
    names = ("remaining_requests", "remaining_tokens", "limit_requests", "limit_tokens", "processing_time")
    return {name: fields[name] for name in names if name in fields}


HEADROOM = {
    "remaining_requests": 9999.0,
    "remaining_tokens": 199900.0,
    "limit_requests": 10000.0,
    "limit_tokens": 200000.0,
    "processing_time": 0.001,
}


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([], HEADROOM),
        (["401"], HEADROOM),
        (["429+90"], {**HEADROOM, "remaining_requests": 0.0}),
        (["429+0.01", "ok"], HEADROOM),
        (["429+0.01", "reset", "reset"], {}),  # from the last attempt, which got no answer
    ],
)
def test_the_rate_limit_is_on_the_point(stack: Stack, faults: list[str], told: dict[str, float]) -> None:
    stack.openai.faults.extend(faults)
    stack.ask()
    assert limits_of(stack.point()) == told
    assert "req_" not in str(stack.point())


def test_a_retry_is_visible(stack: Stack) -> None:
    stack.openai.faults.extend(["429+0.01", "500", "ok"])
    assert stack.ask().status_code == 200
    point = stack.point()
    assert (point.fields["create_time"], point.fields["res_status"]) == (3.0, 0.0)


def test_an_error_body_under_200_is_a_502_and_counted(stack: Stack) -> None:
    stack.openai.faults.append("error200")
    answer = stack.ask()
    assert answer.status_code == 502
    error_of(answer)
    point = stack.point()
    assert (point.fields["res_status"], point.tags["status_code"]) == (1.0, "200")


def ask_of(stack: Stack, gateway: Gateway) -> None:
    script = stack.func.script(STARTUP)
    stack.func.edit(STARTUP, script.replace(stack.openai.base_url, gateway.base_url))


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"object": "error", "message": "no such model", "code": 404}, "not_found", "no such model"),
        ({"code": 500, "msg": "out of order", "success": False}, "server_error", "out of order"),
        (
            {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            "insufficient_quota",
            "insufficient balance",
        ),
        ({"detail": "Not Found"}, "not_found", "Not Found"),
        (
            {"choices": [{"error": {"code": 502, "message": "m"}, "finish_reason": "error"}]},
            "server_error",
            "m",
        ),
        ({"choices": []}, "other", "no answer"),
        ({"error": {"code": "InvalidApiKey", "message": f"key {KEY}"}}, "authentication", "key ***"),
    ],
)
def test_a_200_without_an_answer_is_a_502_in_openais_form(
    stack: Stack, body: dict[str, object], error_type: str, message: str
) -> None:
    with Gateway(body) as gateway:
        ask_of(stack, gateway)
        answer = stack.ask()
    assert answer.status_code == 502
    error = error_of(answer)
    assert message in str(error["message"])
    point = stack.point()
    assert (point.tags["error_type"], point.tags["status_code"]) == (error_type, "200")
    assert point.fields["res_status"] == 1.0


def test_a_gateways_answer_is_read_completely(stack: Stack) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 10,
        "total_tokens": 1040,
        "prompt_cache_hit_tokens": 900,
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    choice = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "length", "usage": usage}
    with Gateway({"model": "m", "choices": [choice], "code": 0, "error": None}) as gateway:
        ask_of(stack, gateway)
        assert stack.ask().status_code == 200
    point = stack.point()
    assert (point.tags["status"], point.tags["finish_reason"]) == ("ok", "length")
    told = {name: point.fields[name] for name in ("total_tokens", "completion_tokens", "cached_tokens")}
    assert told == {"total_tokens": 1040.0, "completion_tokens": 40.0, "cached_tokens": 900.0}


def test_an_incomplete_response_is_passed_on(stack: Stack) -> None:
    body = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
    with Gateway(body) as gateway:
        ask_of(stack, gateway)
        answer = stack.post({"input": "Hi"})
    assert (answer.status_code, answer.json()) == (200, body)
    tags = stack.point().tags
    assert (tags["error_type"], tags["finish_reason"]) == ("content_filter", "content_filter")


def test_unknown_usage_is_not_zero(stack: Stack) -> None:
    stack.openai.faults.append("no_usage")
    assert stack.ask().status_code == 200
    fields = stack.point().fields
    assert fields["res_status"] == 0.0
    assert "total_tokens" not in fields


def test_null_fields_are_passed_on(stack: Stack) -> None:
    stack.openai.faults.append("null_fields")
    answer = stack.ask()
    assert (answer.status_code, answer.json()["usage"]) == (200, None)
    assert "response_model" not in stack.point().tags


@pytest.mark.parametrize("fault", ["hang", "drip:0.2", "429+50"])
def test_a_call_ends_within_its_deadline(stack: Stack, fault: str) -> None:
    """Without a deadline, each of the faults takes longer than 50 s."""
    stack.configure(deadline_s=0.5)
    stack.ask()  # a worker's first call imports the SDK
    stack.datakit.clear()
    stack.openai.faults.append(fault)
    answer = stack.ask()
    point = stack.point()
    assert point.fields["response_time"] < 50
    if fault == "429+50":  # waiting would exceed the deadline: the 429 is returned at once
        assert (answer.status_code, point.tags["error_type"]) == (429, "rate_limit")
        return
    assert answer.status_code == 504
    assert error_of(answer)["code"] == "deadline_exceeded"
    assert point.tags["error_type"] == "timeout"
    assert point.fields["create_time"] == 1.0


def test_the_point_of_a_call_that_func_kills_is_written(stack: Stack) -> None:
    stack.ask()
    stack.datakit.clear()
    stack.openai.faults.append("hang")
    timeout_s = stack.func.set_timeout(f"{STARTUP}.chat", 1)
    try:
        answer = stack.ask()
    finally:
        stack.func.set_timeout(f"{STARTUP}.chat", timeout_s)
    assert (answer.status_code, answer.json()["error"]) == (599, 599.2)
    point = stack.point()
    assert point.tags["error_type"] == "timeout"
    assert (point.fields["res_status"], point.fields["create_time"]) == (1.0, 1.0)


def test_no_connection_is_502(stack: Stack) -> None:
    stack.configure(openai_base_url="http://127.0.0.1:9/v1", deadline_s=20)
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace("    openai_base_url=OPENAI_BASE_URL,\n", ""))
    answer = stack.ask()
    assert answer.status_code == 502
    assert "check the OpenAI base URL" in str(error_of(answer)["message"])
    assert stack.point().tags["error_type"] == "connection"


@pytest.mark.parametrize(
    ("key", "said"), [("", "no OpenAI key is set"), ("sk-密钥", "characters that no key has")]
)
def test_a_missing_or_odd_key_is_401(stack: Stack, key: str, said: str) -> None:
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace(KEY, key))
    answer = stack.ask()
    assert answer.status_code == 401
    assert said in str(error_of(answer)["message"])
    point = stack.point()
    assert (point.tags["error_type"], point.fields["create_time"]) == ("authentication", 0.0)


def test_the_twentieth_call_opens_no_new_connection(stack: Stack) -> None:
    stack.ask()
    openai, datakit = stack.openai.connections, stack.datakit.connections
    for _ in range(20):
        assert stack.ask().status_code == 200
    assert (stack.openai.connections, stack.datakit.connections) == (openai, datakit)


def test_another_key_has_another_client(stack: Stack) -> None:
    stack.ask()
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace(KEY, "sk-another-key"))
    stack.ask()
    sent = [request.headers["authorization"] for request in stack.openai.requests]
    assert sent == [f"Bearer {KEY}", "Bearer sk-another-key"]


def test_write_request_to_datakit(stack: Stack) -> None:
    stack.ask()
    request = stack.datakit.requests_received[-1]
    assert request.path == "/v1/write/metric"
    assert dict(request.query) == {"input": "guance_chatgpt_monitor", "precision": "n"}


def test_two_points_of_one_series_never_share_a_timestamp(stack: Stack) -> None:
    for _ in range(10):
        stack.post({"bad": "input"})
    stamps = [point.timestamp_ns for point in stack.points()]
    assert len(stamps) == 10 == len(set(stamps))
    assert stamps == sorted(stamps)


def test_collect_says_what_it_found(stack: Stack) -> None:
    stack.ask()
    result = stack.collect()
    assert result.status == "success"
    assert result.log[0] == f"DataKit 1.84.1 at {stack.datakit.url} is up"
    assert result.data["datakit_up"] is True
    assert json.loads(json.dumps(result.data)) == result.data


def test_what_was_said_is_logged_redacted(stack: Stack) -> None:
    stack.configure(log_content=True)
    assert stack.ask("My mail is zhang@example.com").ok
    (log,) = stack.datakit.points("openai", "logging")
    assert log.fields["question"] == "My mail is [email]"
    assert stack.collect().data["logs"]["delivered"] == 1

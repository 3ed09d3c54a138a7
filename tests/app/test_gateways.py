"""Answers of gateways, however the application asks: usage wherever it is reported, errors in any form."""

import asyncio

import openai
import pytest
from monitored import CHAT, USAGE, Canned, canned, chunk, httpx, needs

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
pytest_plugins = ["monitored_fixtures"]

ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
END = [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def plain(api, body):
    api.client(**canned(body=body)).chat.completions.create(**CHAT)


def raw(api, body):
    api.client(**canned(body=body)).chat.completions.with_raw_response.create(**CHAT)


def read(api, body):
    client = api.client(**canned(body=body))
    with needs(client, "chat", "completions", "with_streaming_response").create(**CHAT) as response:
        response.read()


def read_lines(api, body):
    client = api.client(**canned(body=body))
    with needs(client, "chat", "completions", "with_streaming_response").create(**CHAT) as response:
        assert list(response.iter_lines())


def posted(api, body):
    client = api.client(**canned(body=body))
    client.post("/chat/completions", cast_to=httpx.Response, body=CHAT)


def awaited(api, body):
    async def ask():
        http_client = httpx.AsyncClient(transport=Canned(body=body))
        await api.async_client(http_client=http_client).chat.completions.create(**CHAT)

    asyncio.run(ask())


def streamed(api, events):
    list(api.client(**canned(events=events)).chat.completions.create(**CHAT, stream=True))


def streamed_raw(api, events):
    client = api.client(**canned(events=events))
    list(client.chat.completions.with_raw_response.create(**CHAT, stream=True).parse())


def streamed_lines(api, events):
    client = api.client(**canned(events=events))
    create = needs(client, "chat", "completions", "with_streaming_response").create
    with create(**CHAT, stream=True) as response:
        assert list(response.iter_lines())


def streamed_awaited(api, events):
    async def ask():
        http_client = httpx.AsyncClient(transport=Canned(events=events))
        client = api.async_client(http_client=http_client)
        async for _ in await client.chat.completions.create(**CHAT, stream=True):
            pass

    asyncio.run(ask())


WAYS = [plain, raw, read, read_lines, posted, awaited]
STREAMED_WAYS = [streamed, streamed_raw, streamed_lines, streamed_awaited]


def tokens(usage):
    return usage.total_tokens, usage.prompt_tokens, usage.completion_tokens


# ---- usage ----


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "told",
    [
        {"usage": USAGE},
        {"choices": [{**CHOICE, "usage": USAGE}]},
        {"usage": None, "x_groq": {"id": "r", "usage": USAGE}},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 10, "output_tokens": 20}},
    ],
)
def test_the_usage_of_an_answer_is_found_wherever_it_is(way, told, api):
    way(api, {**ANSWER, **told})
    call = api.collector.call()
    assert (call.error_type, tokens(call.usage)) == (None, (30, 10, 20))
    assert call.finish_reason == "stop"


@pytest.mark.parametrize("way", STREAMED_WAYS)
@pytest.mark.parametrize(
    "events",
    [
        [chunk(content="hi"), chunk(choices=END), chunk(usage=USAGE, choices=[])],
        [chunk(content="hi"), chunk(choices=END, usage=USAGE)],
        [chunk(content="hi"), chunk(choices=[{**END[0], "usage": USAGE}])],
        [chunk(content="hi"), {**chunk(choices=END), "x_groq": {"id": "r", "usage": USAGE}}],
        # On every chunk: the last counts, unless it reports nothing.
        [
            chunk(content="hi", usage={**USAGE, "total_tokens": 11, "completion_tokens": 1}),
            chunk(choices=END, usage=USAGE),
        ],
        [chunk(content="hi"), chunk(choices=END, usage=USAGE), chunk(choices=[])],
        [
            chunk(content="hi"),
            chunk(choices=END, usage=USAGE),
            chunk(choices=[], usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        ],
        [chunk(content="hi", usage=USAGE), chunk(content="ho"), chunk(choices=END)],
    ],
)
def test_the_usage_of_a_stream_is_found_wherever_it_is(way, events, api):
    way(api, events)
    call = api.collector.call()
    assert (call.error_type, tokens(call.usage)) == (None, (30, 10, 20))
    assert call.finish_reason == "stop"


def test_usage_changed_after_the_call_is_ignored(api):
    client = api.client(**canned(body={**ANSWER, "usage": USAGE}))
    answer = client.chat.completions.create(**CHAT)
    answer.usage.total_tokens += 1000  # as libraries do that retry
    assert api.collector.call().usage.total_tokens == 30


# ---- errors ----

NO_ANSWERS = [
    ({"object": "error", "message": "no such model", "type": "NotFoundError", "code": 404}, "not_found"),
    ({"code": 500, "msg": "out of order", "success": False}, "server_error"),
    ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "authentication"),
    ({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, "authentication"),
    ({"detail": "Not Found"}, "not_found"),
    ({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}, "authentication"),
    ({**ANSWER, "choices": []}, "other"),
    ({**ANSWER, "choices": [{"index": 0, "error": {"code": 429, "message": "m"}}]}, "rate_limit"),
    ({"code": 402, "message": "Insufficient credits"}, "insufficient_quota"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("body", "error_type"), NO_ANSWERS)
def test_a_body_without_an_answer_is_an_error(way, body, error_type, api):
    way(api, body)
    call = api.collector.call()
    assert (call.error_type, call.status_code) == (error_type, 200)


@pytest.mark.parametrize("way", STREAMED_WAYS)
@pytest.mark.parametrize(("event", "error_type"), NO_ANSWERS)
def test_an_event_without_an_answer_is_an_error(way, event, error_type, api):
    way(api, [event])
    call = api.collector.call()
    assert (call.error_type, call.status_code) == (error_type, 200)


@pytest.mark.parametrize("way", STREAMED_WAYS)
@pytest.mark.parametrize(
    ("last", "error_type"),
    [
        (chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "error"}]), "other"),
        (
            chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "insufficient_system_resource"}]),
            "server_error",
        ),
        (
            chunk(choices=[{"index": 0, "delta": {}, "error": {"code": 502, "message": "m"}}]),
            "server_error",
        ),
        ({"code": "InternalError", "message": "m", "request_id": "r"}, "server_error"),
        ({"object": "error", "message": "m", "type": "NotFoundError", "code": 404}, "not_found"),
    ],
)
def test_a_stream_that_fails_midway_is_an_error(way, last, error_type, api):
    way(api, [chunk(content="hi"), chunk(content="ho"), last])
    assert api.collector.call().error_type == error_type


@pytest.mark.parametrize(
    ("status_code", "error"),
    [
        (402, {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}),
        (429, {"message": "no quota", "type": "exceeded_current_quota_error"}),
        (403, {"message": "quota", "type": "new_api_error", "code": "insufficient_user_quota"}),
        (400, {"message": "not in good standing", "type": "Arrearage", "code": "Arrearage"}),
    ],
)
def test_used_up_credit_is_insufficient_quota(status_code, error, api):
    def refuse(request):
        return httpx.Response(status_code, json={"error": error})

    client = api.client(http_client=httpx.Client(transport=httpx.MockTransport(refuse)))
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(**CHAT)
    assert api.collector.call().error_type == "insufficient_quota"


@pytest.mark.parametrize(
    ("status", "details", "error_type", "finish_reason"),
    [
        ("completed", None, None, "stop"),
        ("failed", None, "other", ""),
        ("incomplete", {"reason": "content_filter"}, "content_filter", "content_filter"),
        ("incomplete", {"reason": "max_output_tokens"}, None, "length"),
    ],
)
def test_the_status_of_a_response_gives_its_error_and_finish_reason(
    status, details, error_type, finish_reason, api
):
    body = {"id": "r", "object": "response", "model": "m", "output": [], "status": status}
    body = {**body, "incomplete_details": details, "usage": {"input_tokens": 1, "output_tokens": 2}}
    responses = needs(api.client(**canned(body=body)), "responses")
    responses.create(model="m", input="zebra")
    call = api.collector.call()
    assert (call.error_type, call.finish_reason, call.usage.total_tokens) == (error_type, finish_reason, 3)
    event = {"type": "response." + status, "sequence_number": 0, "response": body}
    responses = needs(api.client(**canned(events=[event, {"type": "keepalive"}])), "responses")
    list(responses.create(model="m", input="zebra", stream=True))
    call = api.collector.call()
    assert (call.error_type, call.finish_reason, call.usage.total_tokens) == (error_type, finish_reason, 3)


@pytest.mark.parametrize("reason", ["content_filter", "length"])
def test_an_answer_rejected_by_parse_keeps_its_tokens(reason, api):
    pydantic = pytest.importorskip("pydantic")

    class Animal(pydantic.BaseModel):
        name: str

    body = {**ANSWER, "choices": [{**CHOICE, "finish_reason": reason}], "usage": USAGE}
    client = api.client(**canned(body=body))
    completions = client.chat.completions
    parse = getattr(completions, "parse", None) or needs(client, "beta", "chat", "completions", "parse")
    with pytest.raises(openai.OpenAIError):
        parse(**CHAT, response_format=Animal)
    call = api.collector.call()
    assert call.usage.total_tokens == 30
    assert call.error_type == ("content_filter" if reason == "content_filter" else "other")
    assert call.finish_reason == reason


# ---- odd values ----


@pytest.mark.parametrize("odd", [-1, "many", float("nan"), [1], True, {"a": 1}, None, 10**400])
def test_odd_values_are_harmless(odd, api):
    usage = {**USAGE, "total_tokens": odd, "prompt_tokens": odd, "prompt_tokens_details": odd, "x": odd}
    for way, body in ((raw, {**ANSWER, "usage": usage, "code": odd, "error": None}), (raw, {"usage": odd})):
        way(api, body)
        call = api.collector.call()
        assert all(count is None or count >= 0 for count in call.usage)

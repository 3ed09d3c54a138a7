"""The OpenAI stand-in, as seen by the official SDK."""

import asyncio
import socket
import threading
import time

import openai
import pytest
import requests
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

KEY = "sk-local-key-that-is-accepted"
PROMPT = "zebra quagga okapi"
MESSAGES = [{"role": "user", "content": PROMPT}]
CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}
BEARER = {"Authorization": f"Bearer {KEY}"}
TIMEOUT_S = 10


@pytest.fixture(scope="module")
def running():
    with LocalOpenAI() as server:
        yield server


@pytest.fixture
def server(running):
    running.clear()
    running.faults.clear()
    return running


@pytest.fixture(scope="module")
def client(running):
    with connect(running) as client:
        yield client


@pytest.fixture(scope="module")
def retrying(running):
    with connect(running, max_retries=2) as client:
        yield client


def connect(server, **options):
    return openai.OpenAI(
        **{
            "api_key": KEY,
            "base_url": server.base_url,
            "max_retries": 0,
            "timeout": TIMEOUT_S,
            **options,
        }
    )


def ask(client, **options):
    return client.chat.completions.create(**{**CHAT, **options})


def post(server, path, headers=BEARER, **options):
    return requests.post(server.url + path, headers=headers, timeout=TIMEOUT_S, **options)


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# ---- answers


def test_a_chat_completion_has_the_documented_form(server):
    body = post(server, "/v1/chat/completions", json=CHAT).json()
    answer = ChatCompletion.model_validate(body)
    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.choices[0].finish_reason == "stop"
    text = answer.choices[0].message.content
    assert text
    assert not set(PROMPT.split()) & set(text.split())
    assert answer.usage.prompt_tokens == 3
    assert answer.usage.completion_tokens == len(text.split())
    assert answer.usage.total_tokens == 3 + len(text.split())
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_the_same_prompt_gets_the_same_answer(client):
    first, second = ask(client), ask(client)
    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.id != second.id


def test_a_chats_tokens_are_the_words_of_all_messages_and_choices(client):
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "one two three"}]},
    ]
    one = ask(client, messages=messages)
    three = ask(client, messages=messages, n=3)
    assert one.usage.prompt_tokens == three.usage.prompt_tokens == 5
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens


@pytest.mark.parametrize(("words", "cached"), [(0, 0), (1023, 0), (1024, 1024), (1400, 1280)])
def test_long_prompts_are_reported_as_cached(client, words, cached):
    usage = ask(client, messages=[{"role": "user", "content": "word " * words}]).usage
    assert usage.prompt_tokens == max(1, words)
    assert usage.prompt_tokens_details.cached_tokens == cached


def test_a_reasoning_model_reports_reasoning_tokens(client):
    usage = ask(client, model="o3-mini").usage
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-2024-07-18"),
        ("my-model", "my-model-2024-07-18"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
    ],
)
def test_the_response_model_has_a_date(client, asked, answered):
    assert ask(client, model=asked).model == answered


def test_the_headers_match_the_apis(client):
    headers = client.chat.completions.with_raw_response.create(**CHAT).headers
    assert headers["x-request-id"].startswith("req_")
    for name in ("openai-processing-ms", "openai-version"):
        assert headers[name]
    for what in ("requests", "tokens"):
        limit = int(headers[f"x-ratelimit-limit-{what}"])
        assert 0 < int(headers[f"x-ratelimit-remaining-{what}"]) < limit


def test_a_429_reports_no_remaining_requests(server):
    server.faults.append("429")
    headers = requests.post(server.url + "/v1/chat/completions", timeout=10).headers
    assert headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(
    ("asked", "answers"),
    [("flex", "flex"), ("priority", "priority"), ("fast", "priority"), ("auto", "default"), (7, "default")],
)
def test_the_requested_service_tier_answers(client, asked, answers):
    assert ask(client, extra_body={"service_tier": asked}).service_tier == answers
    response = client.responses.create(model="gpt-4o", input="Hello", extra_body={"service_tier": asked})
    assert response.service_tier == answers


@pytest.mark.parametrize("prompt", ["one two three", [11, 12, 13], ["one", "two three"]])
def test_a_completion_has_the_documented_form(server, client, prompt):
    request = {"model": "gpt-3.5-turbo-instruct", "prompt": prompt, "n": 2}
    answer = Completion.model_validate(post(server, "/v1/completions", json=request).json())
    prompts = 2 if isinstance(prompt[0], str) and isinstance(prompt, list) else 1
    assert len(answer.choices) == 2 * prompts
    assert answer.usage.prompt_tokens == 3
    chunks = list(client.completions.create(**request, stream=True))
    for choice in answer.choices:
        pieces = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == choice.index]
        assert "".join(piece.text for piece in pieces) == choice.text
        assert pieces[-1].finish_reason == "stop"


def test_a_response_has_the_documented_form(server):
    request = {"model": "gpt-4o-mini", "instructions": "be brief", "input": PROMPT}
    answer = Response.model_validate(post(server, "/v1/responses", json=request).json())
    assert answer.status == "completed"
    assert answer.usage.input_tokens == 5
    assert answer.usage.output_tokens == len(answer.output_text.split())
    assert answer.usage.total_tokens == 5 + answer.usage.output_tokens
    assert answer.usage.input_tokens_details.cached_tokens == 0
    assert answer.usage.output_tokens_details.reasoning_tokens == 0
    listed = {"model": "gpt-4o-mini", "input": MESSAGES}
    assert post(server, "/v1/responses", json=listed).json()["usage"]["input_tokens"] == 3


def test_embeddings_have_the_documented_form(server, client):
    request = {"model": "text-embedding-3-small", "input": ["one two", "three"]}
    CreateEmbeddingResponse.model_validate(post(server, "/v1/embeddings", json=request).json())
    packed = client.embeddings.create(**request)
    floats = client.embeddings.create(**request, encoding_format="float")
    assert [len(entry.embedding) for entry in packed.data] == [1536, 1536]
    assert packed.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert sum(value**2 for value in floats.data[1].embedding) == pytest.approx(1)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 3
    short = client.embeddings.create(**request, dimensions=8)
    assert len(short.data[0].embedding) == 8


def test_models_are_listed_and_retrieved(server, client):
    listed = client.models.list().data
    assert "gpt-4o-mini" in [model.id for model in listed]
    one = requests.get(server.base_url + "/models/gpt-4o-mini", headers=BEARER, timeout=TIMEOUT_S)
    assert Model.model_validate(one.json()).id == "gpt-4o-mini"
    assert client.models.retrieve("ft:gpt-4o/x").id == "ft:gpt-4o/x"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model-1")
    assert caught.value.code == "model_not_found"


# ---- streams


def test_a_chat_streams_its_answer(client):
    whole = ask(client)
    chunks = list(ask(client, stream=True))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict())
        assert "usage" not in chunk.to_dict()
    choices = [chunk.choices[0] for chunk in chunks]
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == (whole.choices[0].message.content)
    assert [choice.finish_reason for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_chat_stream_reports_usage_in_its_last_chunk(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == ask(client).usage
    for chunk in chunks[:-1]:
        assert chunk.to_dict()["usage"] is None


def test_a_chat_streams_two_choices(client):
    chunks = list(ask(client, stream=True, n=2))
    finished = [chunk.choices[0].index for chunk in chunks if chunk.choices[0].finish_reason]
    assert finished == [0, 1]


def test_a_chat_stream_has_the_documented_bytes(server):
    answer = post(server, "/v1/chat/completions", json={**CHAT, "stream": True})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_response_streams_its_events(client):
    whole = client.responses.create(model="gpt-4o-mini", input=PROMPT)
    events = list(client.responses.create(model="gpt-4o-mini", input=PROMPT, stream=True))
    one_of = TypeAdapter(ResponseStreamEvent)
    for event in events:
        one_of.validate_python(event.to_dict())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert [event.type for event in events if event not in deltas] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(event.delta for event in deltas) == whole.output_text
    assert events[-1].response.usage == whole.usage


def test_the_async_client_reads_a_stream(server):
    async def read():
        async with openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url) as client:
            stream = await client.chat.completions.create(**CHAT, stream=True)
            return [chunk async for chunk in stream]

    assert asyncio.run(read())[-1].choices[0].finish_reason == "stop"


# ---- refusals


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}])
def test_a_key_is_required(server, headers):
    answer = post(server, "/v1/chat/completions", headers=headers, json=CHAT)
    assert answer.status_code == 401
    assert "didn't provide an API key" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [("sk-refused-key-refused", "sk-refus**********used"), ("sk-refused", "sk-refused")],
)
def test_a_refused_key_is_a_401_that_shortens_it(server, key, shown):
    with connect(server, api_key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
        ask(client)
    assert caught.value.code == "invalid_api_key"
    assert f"Incorrect API key provided: {shown}. You can find" in caught.value.message


def test_an_unknown_model_is_a_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="no-such-model-7")
    assert caught.value.code == "model_not_found"
    assert "`no-such-model-7` does not exist" in caught.value.message


@pytest.mark.parametrize(
    ("path", "sent", "param"),
    [
        ("/v1/chat/completions", b"{", None),
        ("/v1/chat/completions", b"[]", None),
        ("/v1/chat/completions", b"\xff", None),
        ("/v1/chat/completions", b'{"messages": [{}]}', None),
        ("/v1/chat/completions", b'{"model": 5, "messages": [{}]}', None),
        ("/v1/chat/completions", b'{"model": "m"}', "messages"),
        ("/v1/chat/completions", b'{"model": "m", "messages": []}', "messages"),
        ("/v1/chat/completions", b'{"model": "m", "messages": "text"}', "messages"),
        ("/v1/chat/completions", b'{"model": "m", "messages": [{}], "n": 0}', "n"),
        ("/v1/chat/completions", b'{"model": "m", "messages": [{}], "n": 129}', "n"),
        ("/v1/completions", b'{"model": "m"}', "prompt"),
        ("/v1/responses", b'{"model": "m"}', "input"),
        ("/v1/embeddings", b'{"model": "m", "input": {}}', "input"),
        ("/v1/embeddings", b'{"model": "m", "input": "x", "dimensions": 5000}', "dimensions"),
    ],
)
def test_a_bad_request_names_the_parameter(server, path, sent, param):
    answer = post(server, path, data=sent)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert error_of(answer)["param"] == param


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/models"])
def test_an_unknown_path_is_a_404(server, path):
    answer = post(server, path, json={})
    assert answer.status_code == 404
    assert error_of(answer)["message"] == f"Invalid URL (POST {path})"


def test_half_a_surrogate_pair_is_answered(server):
    answer = post(server, "/v1/chat/completions", json={**CHAT, "model": "m\ud800"})
    assert answer.json()["model"] == "m\ud800-2024-07-18"


# ---- faults


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "raised", "status_code", "code"),
    [
        ("400", openai.BadRequestError, 400, None),
        ("401", openai.AuthenticationError, 401, "invalid_api_key"),
        ("403", openai.PermissionDeniedError, 403, "unsupported_country_region_territory"),
        ("404", openai.NotFoundError, 404, "model_not_found"),
        ("408", openai.APIStatusError, 408, None),
        ("409", openai.ConflictError, 409, None),
        ("422", openai.UnprocessableEntityError, 422, None),
        ("429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("500", openai.InternalServerError, 500, None),
        ("502", openai.InternalServerError, 502, None),
        ("503", openai.InternalServerError, 503, None),
        ("504", openai.InternalServerError, 504, None),
        ("599", openai.InternalServerError, 599, None),
        ("insufficient_quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("content_filter", openai.BadRequestError, 400, "content_filter"),
        ("html502", openai.InternalServerError, 502, None),
    ],
)
def test_error_faults_raise_the_sdks_errors(server, client, fault, raised, status_code, code, stream):
    server.faults.append(fault)
    with pytest.raises(raised) as caught:
        ask(client, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status_code, code)
    assert ask(client).choices  # one fault, one request


def test_a_429_can_set_retry_after(server, client):
    server.faults.append("429+20")
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["Retry-After"] == "20"


@pytest.mark.parametrize("stream", [False, True])
def test_reset_is_a_connection_error(server, client, stream):
    server.faults.append("reset")
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(client, stream=stream)
    assert not isinstance(caught.value, openai.APITimeoutError)


def test_cut_breaks_off_a_body(server, client):
    server.faults.append("cut")
    with pytest.raises(openai.APIConnectionError):
        ask(client)


def test_cut_breaks_off_a_stream(server, client):
    server.faults.append("cut")
    stream = ask(client, stream=True)
    assert next(stream).choices[0].delta.role == "assistant"
    seen = []
    with pytest.raises(openai.APIConnectionError):
        seen.extend(stream)
    assert not [chunk for chunk in seen if chunk.choices[0].finish_reason]


def test_error200_is_an_error_with_status_200(server, client):
    server.faults.append("error200")
    answer = ask(client)
    assert answer.choices is None
    assert answer.error["type"] == "server_error"
    server.faults.append("error200")
    with pytest.raises(openai.APIError, match="server had an error"):
        list(ask(client, stream=True))


def test_no_usage_omits_the_usage(server, client):
    server.faults.extend(["no_usage"] * 4)
    assert ask(client).usage is None
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.usage for chunk in chunks} == {None}
    assert client.responses.create(model="m", input="x").usage is None
    events = list(client.responses.create(model="m", input="x", stream=True))
    assert events[-1].response.usage is None
    assert events[-1].response.output_text


def test_null_fields_are_null(server, client):
    server.faults.extend(["null_fields"] * 4)
    answer = ask(client)
    assert (answer.usage, answer.model, answer.choices[0].message.content) == (None, None, None)
    for chunk in ask(client, stream=True, stream_options={"include_usage": True}):
        assert (chunk.usage, chunk.model) == (None, None)
    answer = client.responses.create(model="m", input="x")
    assert (answer.usage, answer.model, answer.output[0].content[0].text) == (None, None, None)
    answer = client.embeddings.create(model="m", input="x")
    assert (answer.usage, answer.model, answer.data[0].embedding) == (None, None, None)


def test_html200_and_empty200_are_not_json(server):
    server.faults.extend(["html200", "empty200"])
    page = post(server, "/v1/chat/completions", json=CHAT)
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    nothing = post(server, "/v1/chat/completions", json=CHAT)
    assert (nothing.status_code, nothing.content) == (200, b"")


def test_slow_delays_the_answer(server, client):
    server.faults.extend(["slow:0.1", "slow:30"])
    started_s = time.monotonic()
    assert ask(client).choices
    assert time.monotonic() - started_s >= 0.1
    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.05)


def test_hang_never_answers(server, client):
    server.faults.append("hang")
    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.05)


@pytest.mark.parametrize("stream", [False, True])
def test_drip_sends_the_whole_answer(server, client, stream):
    server.faults.append("drip:0")
    answer = ask(client, stream=stream)
    assert (list(answer)[-1] if stream else answer).choices[0].finish_reason == "stop"


def test_drip_sends_byte_by_byte(server):
    server.faults.append("drip:0.002")
    url = server.base_url + "/models/gpt-4o"
    started_s = time.monotonic()
    with requests.get(url, headers=BEARER, timeout=TIMEOUT_S, stream=True) as answer:
        size = int(answer.headers["Content-Length"])
        assert len(answer.raw.read(1)) == 1
        assert len(answer.raw.read()) == size - 1
    assert time.monotonic() - started_s >= 0.002 * size


class WatchedOpenAI(LocalOpenAI):
    """Signals when it begins to answer, and when it has finished."""

    def __init__(self, **options):
        super().__init__(**options)
        self.began, self.ended = threading.Event(), threading.Event()

    def respond(self, request):
        self.began.set()
        try:
            return super().respond(request)
        finally:
            self.ended.set()


@pytest.mark.parametrize("fault", ["hang", "slow:60", "drip:60"])
def test_stop_ends_a_waiting_answer(fault):
    server = WatchedOpenAI(faults=[fault])
    with server, socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer key\r\n\r\n")
        assert server.began.wait(TIMEOUT_S)
        assert not server.ended.is_set()
        server.stop()
        assert server.ended.wait(TIMEOUT_S)


# ---- sources of faults


def test_header_faults_follow_the_retries(server, retrying):
    script = {"X-Local-Faults": "429+0.01, 429+0.01 ,ok"}
    assert ask(retrying, extra_headers=script).choices
    assert [seen.headers["x-stainless-retry-count"] for seen in server.requests] == ["0", "1", "2"]
    server.clear()
    assert ask(retrying, extra_headers={"X-Local-Faults": "429+0.01"}).choices
    assert len(server.requests) == 2


def test_header_faults_leave_the_queue_alone(server, client):
    server.faults.append("500")
    assert ask(client, extra_headers={"X-Local-Faults": "ok"}).choices
    assert list(server.faults) == ["500"]


def test_each_request_uses_up_one_fault_of_the_queue(server, retrying):
    server.faults.extend(["429+0.01", "429+0.01"])
    assert ask(retrying).choices
    assert len(server.requests) == 3
    assert not server.faults


@pytest.mark.parametrize(
    "word", ["bogus", "200", "600", "429+", "slow:", "slow:-1", "slow:nan", "slow:1e9", "drip:3601"]
)
def test_an_unknown_fault_is_refused_at_once(server, retrying, word):
    with pytest.raises(ValueError, match="unknown fault"):
        LocalOpenAI(faults=[word])
    with pytest.raises(openai.InternalServerError, match=r"unknown fault.*insufficient_quota"):
        ask(retrying, extra_headers={"X-Local-Faults": f"ok,{word}"})
    assert len(server.requests) == 1
    refused = post(server, "/_local/faults", json={"faults": ["429", word]})
    assert refused.status_code == 400
    assert "insufficient_quota" in error_of(refused)["message"]
    assert not server.faults


def test_faults_can_be_set_over_http(server, client):
    url = server.url + "/_local/faults"
    assert post(server, "/_local/faults", json={"faults": ["500", "503"]}).status_code == 200
    with pytest.raises(openai.InternalServerError):
        ask(client)
    assert requests.get(url, timeout=TIMEOUT_S).json() == {"faults": ["503"]}
    assert requests.delete(url, timeout=TIMEOUT_S).json() == {"faults": []}
    assert ask(client).choices


@pytest.mark.parametrize("sent", [b"{", b"[]", b'{"faults": "429"}', b'{"faults": [429]}'])
def test_malformed_faults_are_refused(server, sent):
    assert post(server, "/_local/faults", {"Content-Type": "application/json"}, data=sent).status_code == 400


def test_the_queue_of_faults_is_bounded(server):
    assert post(server, "/_local/faults", json={"faults": ["ok"] * 1000}).status_code == 200
    assert post(server, "/_local/faults", json={"faults": ["ok"]}).status_code == 400
    assert len(server.faults) == 1000


def test_only_the_api_consumes_faults(server):
    server.faults.append("500")
    assert requests.get(server.url + "/", timeout=TIMEOUT_S).status_code == 404
    assert list(server.faults) == ["500"]


# ---- recorded requests


def test_requests_are_kept_without_revealing_secrets_in_their_repr(server, client):
    ask(client, extra_headers={"X-Mine": "yes"})
    post(server, "/v1/embeddings", data=b"no json")
    requests.get(server.url + "/_local/faults", timeout=TIMEOUT_S)
    first, second = server.requests
    assert (first.method, first.path) == ("POST", "/v1/chat/completions")
    assert first.body == CHAT
    assert first.headers["x-mine"] == "yes"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert second.body == {}
    assert KEY not in repr(server.requests)
    assert PROMPT not in repr(server.requests)
    server.clear()
    assert server.requests == []


@pytest.mark.slow
def test_only_the_last_1000_requests_are_kept(server):
    asked = "".join(f"GET /{number} HTTP/1.1\r\nHost: localhost\r\n\r\n" for number in range(1003))
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
        connection.sendall(asked.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass  # until all are answered
    assert [server.requests[0].path, server.requests[-1].path] == ["/3", "/1002"]
    assert len(server.requests) == 1000


def test_requests_share_a_connection():
    with LocalOpenAI() as server, connect(server) as client:
        for _ in range(3):
            ask(client)
        client.models.list()
        assert server.connections == 1
        server.faults.append("reset")
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        ask(client)
        assert server.connections == 2

"""LiteLLM: a request is one call, whether sent by its own HTTP client or through the SDK."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from monitored import monitor_environment

from guance_chatgpt_monitor.local.http_server import LocalServer, Response

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise, it fetches its prices
litellm = pytest.importorskip("litellm")

pytest_plugins = ["monitored_fixtures"]

MESSAGES = [{"role": "user", "content": "Hi"}]
USAGE = {"include_usage": True}
CLAUDE = "anthropic/claude-3-5-sonnet-20241022"
OF_ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-5-sonnet-20241022",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 4},
}
OF_OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "status": "completed",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
EMBEDDED = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
COMPLETED = {
    **OF_OPENAI,
    "object": "text_completion",
    "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}],
}
REFUSED = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}


def chunks():
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
    for delta, reason in (({"role": "assistant", "content": "Hi"}, None), ({}, "stop")):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    yield {**head, "choices": [], "usage": OF_OPENAI["usage"]}


def anthropic_events():
    message = {**OF_ANTHROPIC, "content": [], "stop_reason": None, "usage": {"input_tokens": 9}}
    yield {"type": "message_start", "message": message}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}
    yield {"type": "message_stop"}


class Providers(LocalServer):
    """Anthropic's API, and OpenAI's. The model `busy` is refused."""

    def respond(self, request):
        asked = request.json()
        answers = {"chat": OF_OPENAI, "embeddings": EMBEDDED, "responses": RESPONSE, "completions": COMPLETED}
        answer = next((answers[name] for name in answers if name in request.path), OF_ANTHROPIC)
        if asked["model"] == "busy":
            return Response(429, REFUSED)
        if not asked.get("stream"):
            return Response(401 if request.headers.get("x-api-key") == "wrong" else 200, answer)
        if answer is RESPONSE:
            events = [{"type": "response.completed", "sequence_number": 0, "response": RESPONSE}]
        else:
            events = chunks() if answer is OF_OPENAI else anthropic_events()
        lines = (f"event: {event.get('type', '')}\ndata: {json.dumps(event)}\n\n" for event in events)
        return Response(200, "".join(lines), "text/event-stream")


@pytest.fixture
def url() -> Iterator[str]:
    with Providers() as server:
        yield server.url


@pytest.fixture(autouse=True)
def instrumented(api):
    from guance_chatgpt_monitor import uninstrument
    from guance_chatgpt_monitor.app.litellm_calls import watch_litellm

    api.instrument()
    watch_litellm(api.scope())
    yield
    uninstrument()
    assert not [each for each in litellm.callbacks if hasattr(each, "of_monitor")]


def one(api):
    api.collector.wait_for(1)
    return api.collector.call()


def test_a_request_of_litellms_own_client_is_a_call_with_its_tokens(api, url):
    litellm.completion(CLAUDE, MESSAGES, api_key="k", api_base=url)
    call = one(api)
    assert (call.operation_name, call.provider_name) == ("chat", "anthropic")
    assert call.request_model == "claude-3-5-sonnet-20241022"
    assert call.usage.total_tokens == 13
    assert call.finish_reason == "stop"
    assert call.error_type is None
    assert call.response_time_s > 0


def test_a_request_through_the_sdk_is_one_call(api, url):
    litellm.completion("openai/gpt-4o-mini", MESSAGES, api_key="k", api_base=url + "/v1")
    # Its callbacks run later, but in order: a duplicate of the first call would be there before the second.
    litellm.completion(CLAUDE, MESSAGES, api_key="k", api_base=url)
    api.collector.wait_for(2)
    assert [call.usage.total_tokens for call in api.collector.calls()] == [5, 13]


def test_asynchronous_requests_are_one_call_each(api, url):
    async def ask():
        await litellm.acompletion("openai/gpt-4o-mini", MESSAGES, api_key="k", api_base=url + "/v1")
        await litellm.acompletion(CLAUDE, MESSAGES, api_key="k", api_base=url)
        while len(api.collector.observations) < 2:
            await asyncio.sleep(0.01)  # its callbacks run on this loop

    asyncio.run(asyncio.wait_for(ask(), 60))
    assert [call.usage.total_tokens for call in api.collector.calls()] == [5, 13]


def asked(api, url, *calls):
    """Return the calls recorded while these are made in turn, followed by one that marks the end."""

    async def ask():
        for call in calls:
            result = await call(api_key="k", api_base=url)
            if hasattr(result, "__aiter__"):
                async for _ in result:
                    pass
        await litellm.acompletion(CLAUDE, MESSAGES, api_key="k", api_base=url)
        while not any(each.request_model == LAST for each in api.collector.observations):
            await asyncio.sleep(0.01)  # its callbacks run on this loop

    asyncio.run(asyncio.wait_for(ask(), 60))
    recorded = api.collector.calls()
    return [call for call in recorded if call.request_model != LAST or call.stream]


LAST = CLAUDE.partition("/")[2]
OPENAI = "openai/gpt-4o-mini"
TEXT = "text-completion-openai/gpt-3.5-turbo-instruct"


@pytest.mark.parametrize(
    ("call", "operation_name", "total_tokens"),
    [
        (partial(litellm.acompletion, OPENAI, MESSAGES, stream=True, stream_options=USAGE), "chat", 5),
        (partial(litellm.acompletion, CLAUDE, MESSAGES, stream=True), "chat", 13),
        (partial(litellm.aresponses, model=OPENAI, input="Hi"), "responses", 7),
        (partial(litellm.aresponses, model=OPENAI, input="Hi", stream=True), "responses", 7),
        (partial(litellm.aembedding, model="openai/text-embedding-3-small", input=["Hi"]), "embeddings", 2),
        (partial(litellm.atext_completion, model=TEXT, prompt="Hi"), "text_completion", 5),
    ],
    ids=["streamed through the SDK", "streamed", "responses", "responses streamed", "embedding", "text"],
)
def test_each_kind_of_request_is_one_call(api, url, call, operation_name, total_tokens):
    (recorded,) = asked(api, url, call)
    assert (recorded.operation_name, recorded.usage.total_tokens) == (operation_name, total_tokens)
    assert recorded.error_type is None


@pytest.mark.parametrize(("own", "n_refused"), [("openai/busy", 3), ("anthropic/busy", 3)])
def test_each_attempt_and_fallback_of_a_router_is_one_call(api, url, own, n_refused):
    parameters = {"api_key": "k", "api_base": url}
    models = [("main", own), ("spare", OPENAI)]
    router = litellm.Router(
        model_list=[
            {"model_name": name, "litellm_params": {"model": model, "max_retries": 0, **parameters}}
            for name, model in models
        ],
        fallbacks=[{"main": ["spare"]}],
        num_retries=n_refused - 1,
        retry_after=0,
    )
    calls = asked(api, url, lambda **_: router.acompletion(model="main", messages=MESSAGES))
    errors = [call.error_type for call in calls]
    assert errors == ["rate_limit"] * n_refused + [None]


def test_the_run_command_monitors_litellm_too(datakit):
    code = "import litellm; print([type(each).__module__ for each in litellm.callbacks])"
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "run", sys.executable, "-c", code]
    env = monitor_environment(datakit, LITELLM_LOCAL_MODEL_COST_MAP="True")
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "guance_chatgpt_monitor.app.litellm_calls" in result.stdout


def test_an_error_is_a_call_with_its_error_type(api, url):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(CLAUDE, MESSAGES, api_key="wrong", api_base=url, num_retries=0)
    call = one(api)
    assert (call.error_type, call.status_code) == ("authentication", 401)

"""Every SDK method that uses a model is one point, whatever its answer looks like."""

import asyncio
import inspect
import io
from typing import Dict

import pytest
from monitored import Canned, canned, httpx, needs, needs_parameter, point

from guance_chatgpt_monitor import monitor

pytest_plugins = ["monitored_fixtures"]

ANYTHING = Dict[str, object]  # the first openai 1.x has no cast_to=object
IMAGE = {
    "created": 1,
    "data": [{"b64_json": "aGk="}],
    "usage": {
        "input_tokens": 50,
        "output_tokens": 4000,
        "total_tokens": 4050,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    },
}
SPOKEN = {
    "text": "Hello",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 45,
        "total_tokens": 59,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    },
}


def sound():
    return ("a.wav", io.BytesIO(b"RIFF"))


# Operation -> (body of the answer, the call, expected token counts)
SURFACE = {
    "image_generation": (
        IMAGE,
        lambda client: needs_parameter(client.images.generate, "model")(model="gpt-image-1", prompt="a cat"),
        {"total_tokens": 4050, "prompt_image_tokens": 40, "completion_tokens": 4000},
    ),
    "image_edit": (
        IMAGE,
        lambda client: needs_parameter(client.images.edit, "model")(
            model="gpt-image-1", image=b"png", prompt="a hat"
        ),
        {"total_tokens": 4050, "prompt_image_tokens": 40},
    ),
    "image_variation": (
        {"created": 1, "data": [{"url": "http://127.0.0.1/a.png"}]},
        lambda client: needs_parameter(client.images.create_variation, "model")(
            model="dall-e-2", image=b"png"
        ),
        {"total_tokens": None},
    ),
    "transcription": (
        SPOKEN,
        lambda client: client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound()),
        {"total_tokens": 59, "prompt_audio_tokens": 14},
    ),
    "translation": (
        {"text": "Hello", "usage": {"type": "duration", "seconds": 12}},
        lambda client: client.audio.translations.create(model="whisper-1", file=sound()),
        {"total_tokens": None, "audio_duration_s": 12},
    ),
    "speech": (
        b"\xff\xf3 not JSON",
        lambda client: needs(client, "audio", "speech").create(model="tts-1", voice="alloy", input="Hi"),
        {"total_tokens": None},
    ),
    "moderation": (
        {"id": "m", "model": "omni-moderation-latest", "results": [{"flagged": False}]},
        lambda client: client.moderations.create(model="omni-moderation-latest", input="Hi"),
        {"total_tokens": None},
    ),
    "decision": (
        {"answers": [], "model": "gpt-6-luna", "object": "decision", "usage": {"total_tokens": 9}},
        lambda client: needs(client, "decisions", "create")(
            model="gpt-6-luna", input="Hi", questions=[{"type": "predicate", "question": "Hello?"}]
        ),
        {"total_tokens": 9},
    ),
    "compaction": (
        {"id": "r", "object": "response.compaction", "output": [], "usage": {"total_tokens": 7}},
        lambda client: needs(client, "responses", "compact")(model="gpt-5", input="Hi"),
        {"total_tokens": 7},
    ),
}


def options(body):
    content_type = "application/json" if isinstance(body, dict) else "audio/mpeg"
    return {"body": body, "content_type": content_type}


def made_by(operation):
    """The model of the call, where it is fixed."""
    models = {"moderation": "omni-moderation-latest", "decision": "gpt-6-luna"}
    return {**models, "compaction": "gpt-5", "speech": "tts-1"}.get(operation)


def check(call, operation):
    _, _, tokens = SURFACE[operation]
    assert call.operation_name == operation
    assert call.error_type is None
    assert call.status_code == 200
    assert call.requests_sent == 1
    assert call.request_model == (made_by(operation) or call.request_model) != ""
    assert {name: getattr(call.usage, name) for name in tokens} == tokens


@pytest.mark.parametrize("operation", SURFACE)
def test_each_method_is_one_call_with_the_usage_of_its_answer(operation, api):
    body, ask, _ = SURFACE[operation]
    ask(api.client(**canned(**options(body))))
    check(api.collector.call(), operation)


@pytest.mark.parametrize("operation", SURFACE)
def test_each_asynchronous_method_is_one_call(operation, api):
    body, ask, _ = SURFACE[operation]

    async def ask_async():
        http_client = httpx.AsyncClient(transport=Canned(**options(body)))
        await ask(api.async_client(http_client=http_client))

    asyncio.run(ask_async())
    check(api.collector.call(), operation)


class Through:
    """A client whose methods are all called through `with_raw_response` or `with_streaming_response`."""

    def __init__(self, resource, way):
        self._resource, self._way = resource, way

    def __getattr__(self, name):
        found = getattr(self._resource, name)
        if inspect.ismethod(found):
            return getattr(needs(self._resource, self._way), name)
        return Through(found, self._way)


WAYS = ["with_raw_response", "with_streaming_response"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", SURFACE)
def test_each_raw_response_is_one_call(operation, way, api):
    body, ask, _ = SURFACE[operation]
    answer = ask(Through(api.client(**canned(**options(body))), way))
    if way == "with_streaming_response":
        with answer as response:
            response.read()
    check(api.collector.call(), operation)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", SURFACE)
def test_each_asynchronous_raw_response_is_one_call(operation, way, api):
    body, ask, _ = SURFACE[operation]

    async def ask_async():
        http_client = httpx.AsyncClient(transport=Canned(**options(body)))
        answer = ask(Through(api.async_client(http_client=http_client), way))
        if way == "with_raw_response":
            await answer
        else:
            async with answer as response:
                await response.read()

    asyncio.run(ask_async())
    check(api.collector.call(), operation)


def test_a_plain_text_transcription_is_not_an_error(api):
    client = api.client(**canned(body=b"Hello there", content_type="text/plain"))
    text = client.audio.transcriptions.create(model="whisper-1", file=sound(), response_format="text")
    assert text == "Hello there"
    assert api.collector.call().error_type is None


def test_a_streamed_image_is_one_call_with_its_usage(api):
    client = api.client(
        **canned(
            events=[
                {"type": "image_generation.partial_image", "b64_json": "aA==", "partial_image_index": 0},
                {"type": "image_generation.completed", "b64_json": "aA==", "usage": IMAGE["usage"]},
            ]
        )
    )
    generate = needs_parameter(client.images.generate, "stream")
    stream = generate(model="gpt-image-1", prompt="a cat", stream=True)
    assert len(list(stream)) == 2
    call = api.collector.call()
    assert (call.operation_name, call.stream, call.usage.total_tokens) == ("image_generation", True, 4050)


@pytest.mark.parametrize(
    "path",
    [
        "chat/completions",
        "/chat/completions/",
        "/chat/completions?api-version=2024-06-01",
        "/deployments/mine/chat/completions",
        "/openai/deployments/mine/chat/completions?api-version=2024-06-01",
        "http://127.0.0.1:9/v1/chat/completions",
        "http://127.0.0.1:9/openai/deployments/mine/chat/completions?api-version=1",
    ],
)
def test_a_hand_written_post_counts_however_its_path_is_written(path, api):
    body = {"model": "gpt-4o-mini", "choices": [{"index": 0, "message": {"content": "Hi"}}]}
    client = api.client(**canned(body=body))
    client.post(path, body={"model": "gpt-4o-mini", "messages": []}, cast_to=ANYTHING)
    assert api.collector.call().operation_name == "chat"


@pytest.mark.parametrize("path", ["/files", "/responses/input_tokens", "/fine_tuning/jobs", "/uploads"])
def test_a_request_that_uses_no_model_is_not_a_call(path, api):
    client = api.client(**canned(body={"id": "x"}))
    client.post(path, body={"model": "gpt-4o-mini"}, cast_to=ANYTHING)
    client.chat.completions.create(model="m", messages=[])
    assert api.collector.call().request_model == "m"


def test_the_point_has_a_field_for_each_kind_of_token(api, datakit):
    client = monitor(api.bare(**canned(body=IMAGE)))
    needs_parameter(client.images.generate, "model")(model="gpt-image-1", prompt="a cat")
    assert point(datakit).fields["prompt_image_tokens"] == 40.0

"""What OpenAI's API answers: its bodies and stream events, as pure functions of the request.

The forms are those of OpenAI's API reference (platform.openai.com/docs/api-reference).
"""

import base64
import json
import math
import struct
from typing import Callable, List, NamedTuple, Optional
from urllib.parse import unquote

from .errors import UNKNOWN_MODEL_PREFIX, Body, RefusalError
from .figures import (
    MAX_CHOICES,
    MAX_DIMENSIONS,
    answer_text,
    count_words,
    read_integer,
    response_model,
    service_tier,
    split_inputs,
    split_text,
    usage_of,
)

DEFAULT_DIMENSIONS = 1536  # of text-embedding-3-small
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo-instruct", "o3-mini", "text-embedding-3-small")

_MODELS_CREATED_S = 1721172741


class Stamp(NamedTuple):
    """What differs between two answers to the same request. `created_s` is Unix time in seconds."""

    id: str
    created_s: int


class Endpoint(NamedTuple):
    """One path of the API. `prompt_field` must be in the request; `events` is None where nothing streams."""

    prompt_field: str
    body: Callable[[Body, Stamp], Body]
    events: Optional[Callable[[Body, Stamp], List[Body]]] = None


# ---- chat completions and completions

# Only these two stream what they answer in choices: one list of texts makes the body and the chunks.


class _Choices(NamedTuple):
    texts: List[str]
    usage: Body


def _chat_choices(request: Body) -> _Choices:
    words = count_words(request["messages"])
    texts = [answer_text(words)] * read_integer(request, "n", 1, MAX_CHOICES)
    return _Choices(texts, usage_of(request["model"], words, count_words(texts)))


def _text_choices(request: Body) -> _Choices:
    n = read_integer(request, "n", 1, MAX_CHOICES)
    inputs = split_inputs(request["prompt"], "prompt")
    texts = [answer_text(count_words(prompt)) for prompt in inputs for _ in range(n)]
    words = sum(count_words(prompt) for prompt in inputs)
    return _Choices(texts, usage_of(request["model"], words, count_words(texts)))


def _chat_head(request: Body, stamp: Stamp, kind: str) -> Body:
    return {
        "id": f"chatcmpl-{stamp.id}",
        "object": kind,
        "created": stamp.created_s,
        "model": response_model(request["model"]),
        "service_tier": service_tier(request),
        "system_fingerprint": "fp_local",
    }


def _text_head(request: Body, stamp: Stamp) -> Body:
    return {
        "id": f"cmpl-{stamp.id}",
        "object": "text_completion",
        "created": stamp.created_s,
        "model": response_model(request["model"]),
    }


def chat_completion(request: Body, stamp: Stamp) -> Body:
    texts, usage = _chat_choices(request)
    choices: List[Body] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for index, text in enumerate(texts)
    ]
    return {**_chat_head(request, stamp, "chat.completion"), "choices": choices, "usage": usage}


def chat_chunks(request: Body, stamp: Stamp) -> List[Body]:
    texts, usage = _chat_choices(request)
    steps: List[Body] = []
    for index, text in enumerate(texts):
        deltas: List[Body] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas += [{"content": piece} for piece in split_text(text)]
        steps += [
            {"index": index, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas
        ]
        steps.append({"index": index, "delta": {}, "logprobs": None, "finish_reason": "stop"})
    return _chunks(request, _chat_head(request, stamp, "chat.completion.chunk"), steps, usage)


def text_completion(request: Body, stamp: Stamp) -> Body:
    texts, usage = _text_choices(request)
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"}
        for index, text in enumerate(texts)
    ]
    return {**_text_head(request, stamp), "choices": choices, "usage": usage}


def text_chunks(request: Body, stamp: Stamp) -> List[Body]:
    texts, usage = _text_choices(request)
    steps: List[Body] = []
    for index, text in enumerate(texts):
        steps += [
            {"index": index, "text": piece, "logprobs": None, "finish_reason": None}
            for piece in split_text(text)
        ]
        steps.append({"index": index, "text": "", "logprobs": None, "finish_reason": "stop"})
    return _chunks(request, _text_head(request, stamp), steps, usage)


def _chunks(request: Body, head: Body, steps: List[Body], usage: Body) -> List[Body]:
    options = request.get("stream_options")
    if not (isinstance(options, dict) and options.get("include_usage") is True):
        return [{**head, "choices": [step]} for step in steps]
    chunks: List[Body] = [{**head, "choices": [step], "usage": None} for step in steps]
    return [*chunks, {**head, "choices": [], "usage": usage}]


# ---- responses


def response(request: Body, stamp: Stamp) -> Body:
    words = count_words(request.get("instructions")) + count_words(request["input"])
    text = answer_text(words)
    usage = usage_of(request["model"], words, count_words(text))
    return {
        **_response_head(request, stamp),
        "status": "completed",
        "output": [_message(stamp, "completed", [_output_text(text)])],
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {
                "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"],
                "cache_write_tokens": 0,
            },
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {
                "reasoning_tokens": usage["completion_tokens_details"]["reasoning_tokens"]
            },
            "total_tokens": usage["total_tokens"],
        },
    }


def response_events(request: Body, stamp: Stamp) -> List[Body]:
    completed = response(request, stamp)
    text = completed["output"][0]["content"][0]["text"]
    started = {**_response_head(request, stamp), "status": "in_progress", "output": [], "usage": None}
    item = {"output_index": 0}
    part = {"item_id": f"msg_{stamp.id}", "output_index": 0, "content_index": 0}
    events: List[Body] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        {"type": "response.output_item.added", **item, "item": _message(stamp, "in_progress", [])},
        {"type": "response.content_part.added", **part, "part": _output_text("")},
    ]
    events += [
        {"type": "response.output_text.delta", **part, "delta": piece, "logprobs": []}
        for piece in split_text(text)
    ]
    events += [
        {"type": "response.output_text.done", **part, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **part, "part": _output_text(text)},
        {"type": "response.output_item.done", **item, "item": completed["output"][0]},
        {"type": "response.completed", "response": completed},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _response_head(request: Body, stamp: Stamp) -> Body:
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.created_s,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": response_model(request["model"]),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": service_tier(request),
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def _message(stamp: Stamp, status: str, content: List[Body]) -> Body:
    return {
        "id": f"msg_{stamp.id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _output_text(text: str) -> Body:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


# ---- embeddings and models


def embeddings(request: Body, _: Stamp) -> Body:
    inputs = split_inputs(request["input"], "input")
    dimensions = read_integer(request, "dimensions", DEFAULT_DIMENSIONS, MAX_DIMENSIONS)
    in_base64 = request.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        vector = _vector(count_words(text), dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode("ascii")
        embedding = packed if in_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    tokens = max(1, sum(count_words(text) for text in inputs))
    return {
        "object": "list",
        "data": data,
        "model": response_model(request["model"]),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(words: int, dimensions: int) -> List[float]:
    """A unit vector, the same for texts of as many words."""
    raw = [math.cos(index * (words + 1)) for index in range(dimensions)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def list_models() -> Body:
    return {"object": "list", "data": [describe_model(name) for name in MODELS]}


def describe_model(quoted_name: str) -> Body:
    name = unquote(quoted_name)
    if name.startswith(UNKNOWN_MODEL_PREFIX):
        raise RefusalError(404, f"The model '{name}' does not exist", code="model_not_found", param="model")
    return {"id": name, "object": "model", "created": _MODELS_CREATED_S, "owned_by": "system"}


# ---- the wire


def encode_events(bodies: List[Body]) -> List[bytes]:
    """Server-sent events. Only the Responses API names its events, and only it sends no [DONE]."""
    events = []
    for body in bodies:
        name = f"event: {body['type']}\n" if "type" in body else ""
        events.append(f"{name}data: {json.dumps(body)}\n\n".encode())
    return events if "type" in bodies[-1] else [*events, b"data: [DONE]\n\n"]

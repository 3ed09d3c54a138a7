"""Answers of other SDKs are read from objects and dicts, without importing the SDKs."""

import enum
import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from guance_chatgpt_monitor.app.other_sdks import as_openai
from guance_chatgpt_monitor.core.usage import Usage, usage_of


class FinishReason(enum.Enum):
    """Like google-genai's."""

    STOP = "STOP"
    MAX_TOKENS = "MAX_TOKENS"
    SAFETY = "SAFETY"


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "max_tokens",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 7,
        "service_tier": "standard",
    },
}
GOOGLE = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finish_reason": FinishReason.STOP}],
    "model_version": "gemini-2.5-flash",
    "usage_metadata": {
        "prompt_token_count": 10,
        "candidates_token_count": 5,
        "thoughts_token_count": 20,
        "cached_content_token_count": 4,
        "total_token_count": 35,
    },
}
GOOGLE_REST = {
    "candidates": [{"finishReason": "SAFETY"}],
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 122,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 7,
    },
    "metrics": {"latencyMs": 7},
    "ResponseMetadata": {"HTTPStatusCode": 200},
}
DASHSCOPE = {
    "status_code": 200,
    "request_id": "r",
    "code": "",
    "message": "",
    "output": {"text": "hi", "finish_reason": "stop", "choices": None},
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}
DASHSCOPE_CHOICES = {
    **DASHSCOPE,
    "output": {"text": None, "finish_reason": None, "choices": [{"finish_reason": "stop", "message": {}}]},
}
LANGCHAIN = {
    "type": "ai",
    "content": "hi",
    "usage_metadata": {
        "input_tokens": 10,
        "output_tokens": 25,
        "total_tokens": 35,
        "input_token_details": {"cache_read": 4, "cache_creation": 2},
        "output_token_details": {"reasoning": 20},
    },
    "response_metadata": {"model_name": "gpt-4o-mini-2024-07-18", "finish_reason": "tool_calls"},
}
COHERE = {
    "id": "c",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant"},
    "usage": {"billed_units": {"input_tokens": 1.0}, "tokens": {"input_tokens": 10.0, "output_tokens": 5.0}},
}
OLLAMA = {"model": "llama3", "done_reason": "length", "prompt_eval_count": 10, "eval_count": 5}

ANSWERS = [
    (ANTHROPIC, Usage(122, 117, 5, 100, None, 7), "claude-sonnet-4-5", "length"),
    (GOOGLE, Usage(35, 10, 25, 4, 20), "gemini-2.5-flash", "stop"),
    (GOOGLE_REST, Usage(15, 10, 5), "gemini-2.5-flash", "content_filter"),
    (BEDROCK, Usage(122, 117, 5, 100, None, 7), None, "stop"),
    (DASHSCOPE, Usage(15, 10, 5), None, "stop"),
    (DASHSCOPE_CHOICES, Usage(15, 10, 5), None, "stop"),
    (LANGCHAIN, Usage(35, 10, 25, 4, 20, 2), "gpt-4o-mini-2024-07-18", "tool_calls"),
    (
        {"generations": [[{"text": "hi", "message": LANGCHAIN}]]},
        Usage(35, 10, 25, 4, 20, 2),
        "gpt-4o",
        "tool_calls",
    ),
    (
        {
            "generations": [[{"text": "hi"}]],
            "llm_output": {
                "token_usage": {"prompt_tokens": 3, "completion_tokens": 2},
                "model_name": "gpt-4o",
            },
        },
        Usage(5, 3, 2),
        "gpt-4o",
        None,
    ),
    ({"message": {"content": "hi"}, "raw": ANTHROPIC}, Usage(122, 117, 5, 100, None, 7), "claude", "length"),
    (COHERE, Usage(15.0, 10.0, 5.0), None, "stop"),
    (OLLAMA, Usage(15, 10, 5), "llama3", "length"),
]


@pytest.mark.parametrize(("form", "answer"), itertools.product((dict, as_object), ANSWERS))
def test_answers_of_other_sdks_are_read(form: Any, answer: Any) -> None:
    body, usage, model, reason = answer
    told = as_openai(form(body))
    assert told is not None
    assert usage_of(told["usage"]) == usage
    assert str(told.get("model")).startswith(str(model))
    assert (told["choices"][0]["finish_reason"] if "choices" in told else None) == reason
    assert "error" not in told


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize(
    "body",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
        {"status_code": 401, "code": "InvalidApiKey", "message": "m", "output": None, "usage": None},
        {"candidates": None, "prompt_feedback": {"block_reason": "SAFETY"}},
        {"error": {"code": "rate_limit_exceeded"}},
    ],
)
def test_errors_of_other_sdks_are_read(form: Any, body: Any) -> None:
    assert (as_openai(form(body)) or {}).get("error")


@pytest.mark.parametrize(
    "odd", [None, "text", b"", 7, [], {}, object(), type, {"usage": None}, {"generations": [[]]}]
)
def test_objects_without_an_answer_yield_nothing(odd: Any) -> None:
    assert as_openai(odd) is None

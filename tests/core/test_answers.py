"""Whether a 200 contains an answer, and its finish reason."""

from types import SimpleNamespace
from typing import Any

import pytest

from guance_chatgpt_monitor.core.answers import FINISH_REASONS, error_in, is_answer, read_finish_reason
from guance_chatgpt_monitor.core.errors import classify_error, read_message

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
ANSWER = {"choices": [CHOICE]}
RESPONSE = {  # type: ignore[var-annotated]
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "output": [],
}


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        {**ANSWER, "error": None, "code": 0, "msg": "success"},
        {**ANSWER, "error": {}, "success": True},
        {**ANSWER, "error": {"code": 0, "message": ""}},
        {**ANSWER, "code": None, "message": None},
        {**ANSWER, "error": {"code": 0, "message": "成功"}},
        {**ANSWER, "error": {"code": "Success", "message": "done"}},
        {**ANSWER, "base_resp": {"status_code": "0", "status_msg": "success"}},
        {**ANSWER, "error": ""},
        {**ANSWER, "base_resp": {"status_code": 0, "status_msg": ""}},
        {"choices": [{**CHOICE, "error": None}]},
        {"choices": [None]},
        {"object": "list", "data": [{"embedding": [0.0]}]},
        RESPONSE,
        {**RESPONSE, "status": "queued"},
        {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
        {"output": {"text": "hi", "finish_reason": "stop"}},
        SimpleNamespace(**ANSWER),
    ],
)
def test_answers_are_recognized(answer: Any) -> None:
    assert error_in(answer) is None


@pytest.mark.parametrize(
    ("answer", "error_type", "message"),
    [
        (
            {"object": "error", "message": "no such model", "type": "NotFoundError", "code": 404},
            "not_found",
            "no such",
        ),
        ({"code": 500, "msg": "out of order", "success": False}, "server_error", "out of order"),
        (
            {"choices": None, "usage": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            "authentication",
            "login fail",
        ),
        (
            {**ANSWER, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            "insufficient_quota",
            "",
        ),
        (
            {"code": "InvalidApiKey", "message": "Invalid API-key provided."},
            "authentication",
            "Invalid API-key",
        ),
        ({"detail": "Not Found"}, "not_found", "Not Found"),
        (
            {
                "success": False,
                "errors": [{"code": 10000, "message": "Authentication error"}],
                "result": None,
            },
            "authentication",
            "Authentication error",
        ),
        ({"error": {"code": "server_error", "message": "m"}}, "server_error", "m"),
        ({"error": "overloaded"}, "server_error", "overloaded"),
        ({"error": True, "message": "m"}, "other", ""),
        ({**ANSWER, "error": {"code": 429, "message": "m"}}, "rate_limit", "m"),
        (
            {"choices": [{"error": {"code": 502, "message": "m"}, "finish_reason": "error"}]},
            "server_error",
            "m",
        ),
        ({"choices": [{**CHOICE, "finish_reason": "error"}]}, "other", ""),
        ({"choices": [{**CHOICE, "finish_reason": "insufficient_system_resource"}]}, "server_error", ""),
        ({"choices": [{**CHOICE, "finish_reason": "network_error"}]}, "server_error", ""),
        (
            {**RESPONSE, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}},
            "rate_limit",
            "m",
        ),
        ({**RESPONSE, "status": "failed"}, "other", ""),
        (
            {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "",
        ),
        ({"choices": []}, "other", ""),
        ({"choices": None, "usage": {"total_tokens": 0}}, "other", ""),
        ({"usage": {"total_tokens": 7}}, "other", ""),
        ({"data": []}, "other", ""),
        ({}, "other", "no answer"),
        (SimpleNamespace(error={"code": "server_error"}), "server_error", ""),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, "rate_limit", "m"),
    ],
)
def test_anything_else_is_an_error(answer: Any, error_type: str, message: str) -> None:
    error = error_in(answer)
    assert error is not None
    assert classify_error(200, error) == error_type
    assert message in read_message(error)


@pytest.mark.parametrize(
    "part", [{"choices": []}, {"usage": {"total_tokens": 7}}, {"type": "response.created"}, {}]
)
def test_a_chunk_without_an_answer_is_not_an_error(part: Any) -> None:
    assert error_in(part, is_whole=False) is None
    assert is_answer(part) == ("type" in part)


@pytest.mark.parametrize(
    "odd", [None, 7, "text", [], [{}], {"choices": 7}, {"data": "x"}, {"error": float("nan")}]
)
def test_odd_answers_are_harmless(odd: Any) -> None:
    assert error_in(odd) is not None
    assert read_finish_reason(odd) == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ANSWER, "stop"),
        ({"choices": [{"finish_reason": None}]}, ""),
        ({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}, "length"),
        ({"choices": [{"finish_reason": "function_call"}]}, "tool_calls"),
        ({"choices": [{"finish_reason": "sensitive"}]}, "content_filter"),
        ({"choices": [{"finish_reason": "MAX_TOKENS"}]}, "length"),
        ({"choices": [{"finish_reason": "tired"}]}, "other"),
        ({"choices": [{"finish_reason": 7}]}, ""),
        ({"choices": [{"finish_reason": "null"}]}, ""),  # DashScope, while it is still answering
        (RESPONSE, "stop"),
        ({**RESPONSE, "output": [{"type": "reasoning"}, {"type": "function_call"}]}, "tool_calls"),
        ({**RESPONSE, "output": [{"type": "web_search_call"}, {"type": "message"}]}, "stop"),
        (
            {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
        ),
        ({**RESPONSE, "status": "in_progress"}, ""),
        ({"type": "response.completed", "response": RESPONSE}, "stop"),
        ({"data": [{"embedding": []}]}, ""),
    ],
)
def test_the_finish_reason_is_read(answer: Any, reason: str) -> None:
    assert read_finish_reason(answer) == reason
    assert reason in (*FINISH_REASONS, "")

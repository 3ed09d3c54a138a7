"""Reading what an API may send, and naming what went wrong."""

from types import SimpleNamespace
from typing import Any

import pytest

from guance_chatgpt_monitor.core.call import (
    ERROR_TYPES,
    Usage,
    classify_error,
    classify_exception,
    provider_name,
    read_usage,
)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"total_tokens": 5, "prompt_tokens": 3, "completion_tokens": 2}, Usage(5.0, 3.0, 2.0)),
        ({"total_tokens": 5, "input_tokens": 3, "output_tokens": 2}, Usage(5.0, 3.0, 2.0)),
        ({"prompt_tokens": 3, "total_tokens": 3}, Usage(3.0, 3.0)),
        (
            {
                "total_tokens": 5,
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(5.0, 3.0, 2.0, 1.0, 2.0),
        ),
        (
            {
                "total_tokens": 5,
                "input_tokens": 3,
                "output_tokens": 2,
                "input_tokens_details": {"cached_tokens": 1},
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(5.0, 3.0, 2.0, 1.0, 2.0),
        ),
        (
            {"total_tokens": 5, "prompt_tokens": 3, "prompt_tokens_details": {"cache_write_tokens": 2}},
            Usage(5.0, 3.0, cache_write_tokens=2.0),
        ),
        ({"prompt_tokens": 3, "completion_tokens": 2}, Usage(5.0, 3.0, 2.0)),
        ({"total_tokens": "5"}, Usage()),
        ({"total_tokens": True}, Usage()),
        ({"total_tokens": -1}, Usage()),
        ({"total_tokens": float("nan")}, Usage()),
        ({"total_tokens": None, "prompt_tokens_details": "x"}, Usage()),
        (None, Usage()),
        ([], Usage()),
        ("text", Usage()),
    ],
)
def test_usage_of_dicts_and_of_objects(usage: Any, read: Usage) -> None:
    assert read_usage({"usage": usage}) == read
    assert read_usage(SimpleNamespace(usage=_as_object(usage))) == read


def _as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _as_object(item) for key, item in value.items()})
    return value


@pytest.mark.parametrize("answer", [None, "text", {}, [], 7, SimpleNamespace()])
def test_no_usage_in_anything_else(answer: Any) -> None:
    assert read_usage(answer) == Usage()


@pytest.mark.parametrize(
    ("status_code", "error", "named"),
    [
        (401, {"type": "invalid_request_error", "code": "invalid_api_key"}, "authentication"),
        (401, {"type": "invalid_request_error"}, "authentication"),
        (403, None, "permission"),
        (404, {"type": "invalid_request_error", "code": "model_not_found"}, "not_found"),
        (400, {"type": "invalid_request_error", "code": None}, "bad_request"),
        (400, {"code": "content_filter"}, "content_filter"),
        (408, None, "timeout"),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota"}, "insufficient_quota"),
        (429, {"type": "requests", "code": "rate_limit_exceeded"}, "rate_limit"),
        (429, "slow down", "rate_limit"),
        (418, None, "bad_request"),
        (500, {"type": "server_error"}, "server_error"),
        (503, None, "server_error"),
        (200, {"type": "server_error"}, "server_error"),
        (200, {"message": "?"}, "other"),
        (None, None, "other"),
    ],
)
def test_errors_by_what_the_api_calls_them(status_code: int | None, error: Any, named: str) -> None:
    assert classify_error(status_code, error) == named
    assert named in ERROR_TYPES


def test_exceptions_by_class_name() -> None:
    import asyncio

    class APITimeoutError(Exception): ...

    class MineError(ConnectionResetError): ...

    found = [
        classify_exception(error) for error in (APITimeoutError(), MineError(), asyncio.CancelledError())
    ]
    assert found == ["timeout", "connection", "cancelled"]
    assert classify_exception(RuntimeError()) == "other"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1/", "openai"),
        ("", "openai"),
        ("https://mine.openai.azure.com/openai", "azure_openai"),
        ("https://api.deepseek.com/v1", "api.deepseek.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("https://evil-api.openai.com.example.org", "evil-api.openai.com.example.org"),
    ],
)
def test_provider(url: str, name: str) -> None:
    assert provider_name(url) == name

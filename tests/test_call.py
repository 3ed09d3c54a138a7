"""Reading what an API may send, and naming what went wrong."""

from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import requests

from guance_chatgpt_monitor.call import (
    ERROR_TYPES,
    MAX_REQUEST_ID,
    NO_HEADERS,
    RATE_LIMIT_FIELDS,
    HeaderFacts,
    Usage,
    classify_error,
    classify_exception,
    provider_name,
    read_headers,
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


HEADERS = {
    "Content-Type": "application/json",
    "X-RateLimit-Limit-Requests": "10000",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "199990",
    "x-ratelimit-reset-tokens": "3ms",
    "openai-processing-ms": "412",
    "x-request-id": "req_0123456789abcdef",
}
IN_LOWER_CASE = {name.lower(): value for name, value in HEADERS.items()}


@pytest.mark.parametrize(
    "headers",
    [httpx2.Headers(HEADERS), requests.structures.CaseInsensitiveDict(HEADERS), IN_LOWER_CASE],
    ids=["httpx", "requests", "dict"],
)
def test_headers_of_any_kind(headers: Any) -> None:
    limits = dict(zip(RATE_LIMIT_FIELDS, (9999.0, 199990.0, 10000.0, 200000.0), strict=True))
    assert read_headers(headers) == HeaderFacts(limits, 0.412, "req_0123456789abcdef")


@pytest.mark.parametrize("headers", [None, {}, httpx2.Headers(), [], "text", 7])
def test_no_headers(headers: Any) -> None:
    assert read_headers(headers) == NO_HEADERS


@pytest.mark.parametrize("name", ["x-ratelimit-remaining-tokens", "openai-processing-ms"])
@pytest.mark.parametrize(
    "value", ["", " ", "-1", "nan", "inf", "-inf", "1e999", "9, 8", "3ms", "多", "0x10", "null", "None"]
)
def test_headers_with_nonsense_for_a_number(name: str, value: str) -> None:
    wrong = {**IN_LOWER_CASE, name: value}
    for headers in (wrong, httpx2.Headers(wrong, encoding="utf-8")):
        facts = read_headers(headers)
        told = (facts.rate_limit.get("remaining_tokens"), facts.processing_time_s)
        assert told == ((None, 0.412) if name.startswith("x-rate") else (199990.0, None))
        assert facts.rate_limit["limit_tokens"] == 200000.0


@pytest.mark.parametrize("value", [5, None, b"5", ["5"]])
def test_headers_that_are_no_text(value: Any) -> None:
    assert read_headers(dict.fromkeys(IN_LOWER_CASE, value)) == NO_HEADERS


@pytest.mark.parametrize("request_id", ["", "r" * (MAX_REQUEST_ID + 1), "req\t1", "请求"])
def test_a_request_id_that_is_none(request_id: str) -> None:
    for headers in (
        {"x-request-id": request_id},
        httpx2.Headers({"x-request-id": request_id}, encoding="utf-8"),
    ):
        assert read_headers(headers).request_id == ""


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

"""Our error types, derived from the names that APIs, SDKs and HTTP clients use."""

import asyncio
import io
import socket
import ssl
import urllib.error
from email.message import Message
from typing import Any

import pytest
import requests
import urllib3

from guance_chatgpt_monitor.core.errors import (
    ERROR_TYPES,
    classify_error,
    classify_exception,
    rejected_answer,
    status_code_of,
)


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
def test_openais_error_names_are_classified(status_code: int | None, error: Any, named: str) -> None:
    assert classify_error(status_code, error) == named
    assert named in ERROR_TYPES


# Gateways' versions of OpenAI's insufficient_quota: the account has to be topped up.
NO_MONEY = [
    (402, {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}),
    (402, None),
    (200, {"code": 402, "message": "Insufficient credits. Add more using the link below."}),  # OpenRouter
    (429, {"message": "no quota", "type": "exceeded_current_quota_error"}),  # Moonshot
    (403, {"message": "quota", "type": "new_api_error", "code": "insufficient_user_quota"}),
    (403, {"message": "该令牌额度已用尽", "type": "one_api_error"}),
    (403, {"message": "?", "type": "new_api_error", "code": "pre_consume_token_quota_failed"}),
    (400, {"message": "not in good standing", "type": "Arrearage", "code": "Arrearage"}),  # DashScope
    (403, {"message": "The free tier is exhausted.", "code": "AllocationQuota.FreeTierOnly"}),
    (429, {"code": "1113", "message": "您的账户已欠费，请充值后重试。"}),  # Zhipu
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),  # type: ignore[list-item]
    (403, {"code": "AccountOverdueError", "message": "The request failed.", "type": "Forbidden"}),  # Ark
    (400, {"type": "invalid_request_error", "message": "Your credit balance is too low to use the API."}),
    (403, {"type": "billing_error", "message": "?"}),  # Anthropic
    (400, {"type": "budget_exceeded", "message": "?"}),  # LiteLLM
    (403, "Your team has either used all available credits or reached its monthly spending limit."),  # xAI
    (429, {"code": "billing_hard_limit_reached"}),
    (429, {"message": "You exceeded your current quota, please check your plan and billing details."}),
    (403, {"message": "user quota is not enough", "type": "one_api_error"}),
    (400, {"message": "Budget has been exceeded! Current cost: 1.1, Max budget: 1.0"}),
    (403, {"message": "Key limit exceeded (total limit)."}),  # OpenRouter
    (403, {"message": "账户余额已用完"}),
]


@pytest.mark.parametrize(("status_code", "error"), NO_MONEY)
def test_used_up_credit_is_recognized_under_its_many_names(status_code: int, error: Any) -> None:
    assert classify_error(status_code, error) == "insufficient_quota"


@pytest.mark.parametrize(
    ("status_code", "error", "named"),
    [
        (429, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, "rate_limit"),
        (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded"}, "rate_limit"),
        (
            429,
            {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "exceeded your current quota"},
            "rate_limit",
        ),
        (429, {"code": "1302", "message": "您的账户已达到速率限制"}, "rate_limit"),
        (400, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}, "authentication"),
        (400, {"code": "DataInspectionFailed", "message": "?"}, "content_filter"),
        (400, {"code": "1301", "message": "?"}, "content_filter"),
        (400, {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, "content_filter"),
        (404, {"code": "DeploymentNotFound", "message": "?"}, "not_found"),
        (403, {"code": "AccessDenied.Unpurchased", "message": "?"}, "permission"),
        (503, {"type": "overloaded_error", "message": "?"}, "server_error"),
        (500, {"code": "InvalidParameter"}, "server_error"),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}, "bad_request"),
        (400, [{"error": {"code": 400, "message": "?", "status": "INVALID_ARGUMENT"}}], "bad_request"),
        (200, {"code": 429, "message": "?"}, "rate_limit"),  # the status is in the body
        (200, {"object": "error", "type": "NotFoundError", "code": 404}, "not_found"),
        (200, {"code": 500, "msg": "failed", "success": False}, "server_error"),
        (200, {"detail": "Not Found"}, "not_found"),
        (200, {"errors": [{"code": 10000, "message": "Authentication error"}]}, "authentication"),
        (200, "Internal Server Error", "server_error"),
        (400, {"code": "context_length_exceeded", "type": "invalid_request_error"}, "bad_request"),
        (400, {"message": "write about 'insufficient evidence' and 'no funds'"}, "bad_request"),
    ],
)
def test_gateways_error_names_are_classified(status_code: int, error: Any, named: str) -> None:
    assert classify_error(status_code, error) == named


ODD = [[], {}, [None], 7, True, float("nan"), {"code": [], "type": {}}, {"error": {"error": {}}}]


@pytest.mark.parametrize("odd", ODD)
def test_odd_errors_are_harmless(odd: Any) -> None:
    assert classify_error(400, odd) == "bad_request"
    assert classify_error(None, odd) == "other"


# ---- exceptions ----


def test_exceptions_are_classified_by_class_name() -> None:
    class APITimeoutError(Exception): ...

    class MineError(ConnectionResetError): ...

    found = [
        classify_exception(error) for error in (APITimeoutError(), MineError(), asyncio.CancelledError())
    ]
    assert found == ["timeout", "connection", "cancelled"]
    assert classify_exception(RuntimeError()) == "other"


def named(name: str, *bases: type, **attributes: Any) -> BaseException:
    error: BaseException = type(name, bases or (Exception,), attributes)("no such luck")
    return error


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


TIMEOUTS = [
    TimeoutError(),
    asyncio.TimeoutError(),
    socket.timeout(),
    requests.ReadTimeout(),
    requests.ConnectTimeout(),
    requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out.")),  # type: ignore
    urllib.error.URLError(socket.timeout("timed out")),
    urllib3.exceptions.ReadTimeoutError(None, "/", "?"),  # type: ignore
    named("ReadTimeout", type("TimeoutException", (type("TransportError", (Exception,), {}),), {})),  # httpx
    named("ServerTimeoutError", type("ServerConnectionError", (ConnectionError,), {})),  # aiohttp
    named("DeadlineExceeded"),  # Google
    named("TooSlowError"),  # trio
    raised_from(named("APIConnectionError"), named("ReadTimeout")),
]


@pytest.mark.parametrize("error", TIMEOUTS, ids=repr)
def test_timeouts_are_recognized_under_any_name(error: BaseException) -> None:
    assert classify_exception(error) == "timeout"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        requests.ConnectionError(),
        requests.exceptions.ProxyError(),
        urllib.error.URLError(ConnectionRefusedError()),
        urllib3.exceptions.NewConnectionError(None, "refused"),  # type: ignore
        ssl.SSLError(),
        socket.gaierror(),
        named("ClientConnectorError", type("ClientConnectionError", (Exception,), {})),
        named("ConnectError", type("TransportError", (Exception,), {})),
    ],
    ids=repr,
)
def test_failed_connections_are_not_timeouts(error: BaseException) -> None:
    assert classify_exception(error) == "connection"


def refused(status_code: int, body: bytes = b"") -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status_code
    response._content = body
    return requests.HTTPError("refused", response=response)


@pytest.mark.parametrize(
    ("error", "status_code", "error_type"),
    [
        (refused(429), 429, "rate_limit"),
        (refused(429, b'{"error": {"code": "insufficient_quota"}}'), 429, "insufficient_quota"),
        (refused(401, b"<html>"), 401, "authentication"),
        (urllib.error.HTTPError("http://localhost", 503, "?", Message(), io.BytesIO()), 503, "server_error"),
        (named("ClientResponseError", status=404), 404, "not_found"),  # aiohttp
        (named("ClientError", code=400, status="INVALID_ARGUMENT"), 400, "bad_request"),  # google-genai
        (
            named(
                "ClientError",
                response={
                    "Error": {"Code": "ThrottlingException", "Message": "?"},
                    "ResponseMetadata": {"HTTPStatusCode": 400},
                },
            ),
            400,
            "rate_limit",
        ),  # botocore
        (named("Odd", status_code="many", code=7, status=True, response=[]), None, "other"),
        (SystemExit(1), None, "other"),
    ],
    ids=repr,
)
def test_exceptions_with_an_http_status_are_classified_by_it(
    error: BaseException, status_code: Any, error_type: str
) -> None:
    assert status_code_of(error) == status_code
    assert classify_exception(error) == error_type


def test_an_unread_body_is_not_read() -> None:
    error = refused(429)
    error.response._content = False  # type: ignore
    error.response.raw = None  # reading it would fail
    assert classify_exception(error) == "rate_limit"


def test_an_answer_rejected_by_a_parser_is_found() -> None:
    class ContentFilterFinishReasonError(Exception):
        """Like the SDKs' before 3."""

    def parse(chat_completion: object) -> None:
        raise ContentFilterFinishReasonError

    with pytest.raises(ContentFilterFinishReasonError) as raised:
        parse("answer")
    assert rejected_answer(raised.value) == "answer"
    assert rejected_answer(ContentFilterFinishReasonError()) is None
    assert rejected_answer(named("LengthFinishReasonError", completion="answer")) == "answer"
    assert rejected_answer(ValueError()) is None

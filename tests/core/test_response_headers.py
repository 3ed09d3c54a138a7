"""Values are read from an answer's headers, from any HTTP client and with any content."""

import sys
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from guance_chatgpt_monitor.core.response_headers import (
    MAX_REQUEST_ID,
    RATE_LIMIT_FIELDS,
    pick_headers,
    read_numbers,
    read_request_id,
)

Facts = tuple[dict[str, float], float | None, str]

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


NOTHING: Facts = ({}, None, "")


def read(headers: Any) -> Facts:
    picked = pick_headers(headers)
    return (*read_numbers(picked), read_request_id(picked))


def test_without_an_answer_nothing_is_read() -> None:
    assert (*read_numbers(None), read_request_id(None)) == NOTHING


@pytest.mark.parametrize(
    "headers",
    [httpx2.Headers(HEADERS), requests.structures.CaseInsensitiveDict(HEADERS), IN_LOWER_CASE],
    ids=["httpx", "requests", "dict"],
)
def test_the_headers_of_any_http_client_are_read(headers: Any) -> None:
    limits = dict(zip(RATE_LIMIT_FIELDS, (9999.0, 199990.0, 10000.0, 200000.0), strict=True))
    assert read(headers) == (limits, 0.412, "req_0123456789abcdef")


@given(st.lists(st.lists(st.sampled_from(list(HEADERS)), unique=True), min_size=1, max_size=6))
def test_each_answer_has_its_own_headers(answers: list[list[str]]) -> None:
    """Any headers in any order, repeatedly, as from several gateways at once."""
    for n, names in enumerate(answers):
        headers = {name: f"{n}{len(name)}" for name in names}
        in_lower_case = {name.lower(): value for name, value in headers.items()}
        assert read(httpx2.Headers(headers)) == read(in_lower_case)


def test_answers_that_differ_in_one_value_are_read_separately() -> None:
    for remaining in ("9", "8", "x", "7"):
        headers = httpx2.Headers({**HEADERS, "x-ratelimit-remaining-tokens": remaining})
        told = read(headers)[0].get("remaining_tokens")
        assert told == (float(remaining) if remaining.isdigit() else None)


def test_an_httpx_with_other_internals_is_read() -> None:
    for inside in ([1, 2], [(b"x", b"y")], {"a": 1}, None):
        raw = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        assert read(SimpleNamespace(_list=inside, raw=raw)) == read(IN_LOWER_CASE)


def test_little_is_kept_of_an_answers_headers() -> None:
    headers = httpx2.Headers({**HEADERS, **{f"x-of-the-gateway-{n}": "v" * 1000 for n in range(50)}})
    kept = pick_headers(headers)
    assert sum(map(sys.getsizeof, (kept, *kept))) < 500


@pytest.mark.parametrize("headers", [None, {}, httpx2.Headers(), [], "text", 7])
def test_without_headers_nothing_is_read(headers: Any) -> None:
    assert read(headers) == NOTHING


@pytest.mark.parametrize("name", ["x-ratelimit-remaining-tokens", "openai-processing-ms"])
@pytest.mark.parametrize(
    "value",
    ["", " ", "-1", "nan", "inf", "-inf", "1e999", "9, 8", "3ms", "多", "0x10", "null", "None", "1" * 33],
)
def test_values_that_are_not_numbers_are_ignored(name: str, value: str) -> None:
    wrong = {**IN_LOWER_CASE, name: value}
    for headers in (wrong, httpx2.Headers(wrong, encoding="utf-8")):
        rate_limit, processing_time_s, _ = read(headers)
        told = (rate_limit.get("remaining_tokens"), processing_time_s)
        assert told == ((None, 0.412) if name.startswith("x-rate") else (199990.0, None))
        assert rate_limit["limit_tokens"] == 200000.0


@pytest.mark.parametrize("value", [5, None, ["5"]])
def test_values_that_are_not_strings_are_ignored(value: Any) -> None:
    assert read(dict.fromkeys(IN_LOWER_CASE, value)) == NOTHING


@pytest.mark.parametrize(
    ("value", "number"), [("0", 0.0), ("412.5", 412.5), ("9" * 17, 1e17), ("1e3", 1000.0), ("1e300", 1e300)]
)
def test_numbers_in_unusual_notations_are_read(value: str, number: float) -> None:
    rate_limit, processing_time_s, _ = read(dict.fromkeys(IN_LOWER_CASE, value))
    assert rate_limit == dict.fromkeys(RATE_LIMIT_FIELDS, number)
    assert processing_time_s == number / 1000


@pytest.mark.parametrize("request_id", ["", "r" * (MAX_REQUEST_ID + 1), "req\t1", "请求"])
def test_an_impossible_request_id_is_ignored(request_id: str) -> None:
    for headers in (
        {"x-request-id": request_id},
        httpx2.Headers({"x-request-id": request_id}, encoding="utf-8"),
    ):
        assert read(headers)[2] == ""


def test_a_value_with_line_breaks_is_ignored() -> None:
    """Impossible over HTTP, but not in a hand-made answer."""
    headers = {"openai-processing-ms": "1\n2", "x-request-id": "1\n2", "x-ratelimit-limit-tokens": "9"}
    assert read(headers) == ({"limit_tokens": 9}, None, "")

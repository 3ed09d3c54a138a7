"""The tokens of an answer are read, wherever a gateway reports them and whatever it calls them."""

from types import SimpleNamespace
from typing import Any, Optional

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guance_chatgpt_monitor.core.usage import (
    Usage,
    find_usage,
    read_usage,
    usage_at_end,
    usage_of,
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
def test_usage_is_read_from_dicts_and_objects(usage: Any, read: Usage) -> None:
    assert read_usage({"usage": usage}) == read
    assert read_usage(SimpleNamespace(usage=_as_object(usage))) == read


def _as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _as_object(item) for key, item in value.items()})
    return value


@pytest.mark.parametrize("answer", [None, "text", {}, [], 7, SimpleNamespace()])
def test_anything_else_has_no_usage(answer: Any) -> None:
    assert read_usage(answer) == Usage()


# ---- names ----

ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
NINE = {"prompt_tokens": 9, "completion_tokens": 1}


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        # one-api and new-api send both names, but fill in only one.
        (
            {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "input_tokens": 7,
                "output_tokens": 3,
                "total_tokens": 0,
            },
            Usage(10, 7, 3),
        ),
        (
            {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "input_tokens": 0,
                "output_tokens": 0,
                "total_tokens": 10,
            },
            Usage(10, 7, 3),
        ),
        # DeepSeek; Moonshot; new-api; OpenRouter; DashScope; gateways to Anthropic.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 8,
                "prompt_cache_miss_tokens": 1,
            },
            Usage(10, 9, 1, 8),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 8}, Usage(10, 9, 1, 8)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
            Usage(10, 9, 1, 8),
        ),
        (
            {**NINE, "prompt_tokens_details": {"cache_write_tokens": 4}},
            Usage(10, 9, 1, cache_write_tokens=4),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_creation_tokens": 4},
            },
            Usage(10, 9, 1, cache_write_tokens=4),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "cache_read_input_tokens": 5},
            Usage(10, 9, 1, 5),
        ),
        # Perplexity reports reasoning separately, but includes it in the completion.
        ({"prompt_tokens": 9, "completion_tokens": 8, "reasoning_tokens": 5}, Usage(17, 9, 8, None, 5)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "prompt_tokens_details": {"audio_tokens": 2},
                "completion_tokens_details": {"audio_tokens": 6},
            },
            Usage(17, 9, 8, prompt_audio_tokens=2, completion_audio_tokens=6),
        ),
    ],
)
def test_gateways_names_are_read(usage: Any, read: Usage) -> None:
    assert usage_of(usage) == read
    assert usage_of(_as_object(usage)) == read


@pytest.mark.parametrize(
    ("usage", "total", "completion"),
    [
        # xAI: 32 + 9 + 94 = 135.
        ({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}, 135, 103),
        # More reasoning than completion cannot be included in it.
        ({"prompt_tokens": 32, "completion_tokens": 9}, 135, 103),
        # OpenAI includes it.
        ({"prompt_tokens": 32, "completion_tokens": 103, "total_tokens": 135}, 135, 103),
        ({"prompt_tokens": 32, "completion_tokens": 103}, 135, 103),
        # More completion than reasoning, and still not included.
        ({"prompt_tokens": 32, "completion_tokens": 200, "total_tokens": 326}, 326, 294),
    ],
)
def test_reasoning_not_included_in_the_completion_is_added(usage: Any, total: int, completion: int) -> None:
    read = usage_of({**usage, "completion_tokens_details": {"reasoning_tokens": 94}})
    assert (read.total_tokens, read.completion_tokens, read.reasoning_tokens) == (total, completion, 94)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        # Anthropic, Bedrock, and Gemini in both its spellings.
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 7,
            },
            Usage(122, 117, 5, 100, None, 7),
        ),
        (
            {
                "inputTokens": 10,
                "outputTokens": 5,
                "totalTokens": 122,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 7,
            },
            Usage(122, 117, 5, 100, None, 7),
        ),
        (
            {
                "prompt_token_count": 10,
                "candidates_token_count": 5,
                "total_token_count": 38,
                "thoughts_token_count": 20,
                "tool_use_prompt_token_count": 3,
                "cached_content_token_count": 4,
            },
            Usage(38, 13, 25, 4, 20),
        ),
        (
            {
                "promptTokenCount": 10,
                "candidatesTokenCount": 5,
                "totalTokenCount": 15,
                "cachedContentTokenCount": 4,
            },
            Usage(15, 10, 5, 4),
        ),
    ],
)
def test_usage_of_other_apis_is_read(usage: Any, read: Usage) -> None:
    assert usage_of(usage) == read
    assert usage_of(_as_object(usage)) == read


class OfSdk(pydantic.BaseModel):
    """Like the SDKs' objects: declared fields and extra ones."""

    model_config = pydantic.ConfigDict(extra="allow")
    input_tokens: int = 10
    output_tokens: int = 5
    cache_read_input_tokens: int = 100


class Details(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    cached_tokens: int = 8
    audio_tokens: int = 0
    image_tokens: Optional[int] = None


class OfOpenAI(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    prompt_tokens: int = 9
    completion_tokens: int = 1
    total_tokens: int = 10
    prompt_tokens_details: Details = Details()


def test_usage_is_read_from_sdk_objects() -> None:
    assert usage_of(OfSdk()) == Usage(115, 110, 5, 100)
    usual = usage_of(OfOpenAI())
    assert usual == Usage(10, 9, 1, 8, prompt_audio_tokens=0)
    assert len(usual) == len(Usage())
    assert usage_of(OfOpenAI(prompt_tokens=-9)) == Usage(10, None, 1, 8, prompt_audio_tokens=0)
    unknown = OfOpenAI(prompt_tokens_details=Details(cached_tokens=0), prompt_cache_hit_tokens=7)  # type: ignore[call-arg]
    assert usage_of(unknown).cached_tokens == 7
    with_image = OfOpenAI(prompt_tokens_details=Details(cached_tokens=0, image_tokens=4))
    assert usage_of(with_image).prompt_image_tokens == 4


# ---- places ----

TOLD = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": TOLD},
        {"choices": [{"delta": {}, "usage": TOLD}]},
        {"usage": None, "choices": [{"delta": {}}, {"delta": {}, "usage": TOLD}]},
        {"choices": [{"delta": {"content": "", "usage": TOLD}}]},
        {"choices": [{"message": {"content": "hi", "usage": TOLD}}]},
        {"usage": None, "x_groq": {"id": "r", "usage": TOLD}},
        {"usage": ZEROS, "x_gateway": {"usage": TOLD}},
        {"type": "response.completed", "response": {"usage": TOLD}},
        {"id": "c", "meta": {"usage": TOLD}},
    ],
)
def test_usage_is_found_where_gateways_put_it(answer: Any) -> None:
    assert find_usage(answer) == TOLD
    assert read_usage(answer) == Usage(5, 3, 2)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"usage": None},
        {"usage": None, "choices": []},
        {"choices": [None]},
        {"choices": [{"usage": "many"}]},
        {"metadata": {"usage": "none of the API's"}},
        {"response": "text"},
    ],
)
def test_usage_elsewhere_is_ignored(answer: Any) -> None:
    assert read_usage(answer) == Usage()


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (b'AAAA"}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}', 7),
        ('"usage": {"total_tokens": 7, "prompt_tokens_details": {"a": {}}}, "model": "m"}', 7),
        ('a text \\"usage\\": {} ... "usage":{"total_tokens": 7}}', 7),
        ('"usage": {"total_tokens": 7}, "text": "\\"usage\\": {"}', 7),
        ('"usage": {"total_', None),
        ("AAAA", None),
    ],
)
def test_usage_is_found_near_the_end_of_a_long_body(end: Any, found: Any) -> None:
    usage = usage_at_end(end)
    assert (usage or {}).get("total_tokens") == found


NAMES = (*TOLD, "usage", "choices", "prompt_tokens_details", "x")
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inside, max_size=4),
    max_leaves=8,
)


@given(ODD)
def test_odd_values_are_harmless(answer: Any) -> None:
    for count in read_usage(answer):
        assert count is None or (isinstance(count, (int, float)) and 0 <= count < float("inf"))

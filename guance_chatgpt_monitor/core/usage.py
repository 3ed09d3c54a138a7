"""The tokens of a call, wherever a gateway reports them and whatever it calls them.

Normalized to OpenAI's form: `prompt_tokens` includes the cached tokens, `completion_tokens` the reasoning.
"""

import json
import math
import re
from typing import Any, Callable, NamedTuple, Optional, Tuple

from .fields import field_getter, fields_of


class Usage(NamedTuple):
    """Tokens as the API reported them; None where it did not."""

    total_tokens: Optional[float] = None
    prompt_tokens: Optional[float] = None
    completion_tokens: Optional[float] = None
    cached_tokens: Optional[float] = None
    reasoning_tokens: Optional[float] = None
    cache_write_tokens: Optional[float] = None
    prompt_audio_tokens: Optional[float] = None
    completion_audio_tokens: Optional[float] = None
    prompt_image_tokens: Optional[float] = None
    completion_image_tokens: Optional[float] = None
    audio_duration_s: Optional[float] = None  # of what was transcribed, if billed by the second


NO_USAGE = Usage()
_ENDLESS = math.inf
_EXACT = 2**53  # floats represent all integers below exactly

# The gateways' names, in the usage itself and in its details. Of several, the first that is not 0 counts:
# one-api and similar gateways send the old names and the new ones, and fill in one of them.
_TOTAL = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount")
_PROMPT = ("prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count", "promptTokenCount")
_COMPLETION = (
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "candidates_token_count",
    "candidatesTokenCount",
)
_CACHED_DETAILS = ("cached_tokens", "cache_read_tokens", "cache_read_input_tokens", "cache_read")
# DeepSeek; Moonshot; Anthropic and gateways to it; Bedrock; Gemini; Mistral.
_CACHED = (
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cacheReadInputTokens",
    "cached_content_token_count",
    "cachedContentTokenCount",
    "num_cached_tokens",
)
_WRITTEN_DETAILS = (
    "cache_write_tokens",
    "cache_creation_tokens",
    "cached_creation_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
)
_WRITTEN = ("cache_creation_input_tokens", "cache_write_tokens", "cacheWriteInputTokens")
_REASONING_DETAILS = ("reasoning_tokens", "reasoning")
_REASONING = ("reasoning_tokens", "thoughts_token_count", "thoughtsTokenCount")
_AUDIO_DETAILS = ("audio_tokens", "audio")
_IMAGE_DETAILS = ("image_tokens", "image")
_DURATION = ("seconds",)
# Gemini counts the results of its tools apart from the prompt.
_TOOL_RESULTS = ("tool_use_prompt_token_count", "toolUsePromptTokenCount")
# Anthropic and Bedrock count the cache apart from the prompt.
_CACHE_BESIDE_PROMPT = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)

# All that OpenAI's Chat Completions documents.
_PLAIN = frozenset(
    [
        "total_tokens",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    ]
)
_PLAIN_DETAILS = frozenset(
    [
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "image_tokens",
        "text_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    ]
)

_Get = Callable[[str], Any]


def find_usage(source: Any) -> Any:
    """The usage of an answer, chunk or event, as it came; None if there is none.

    Looks in `usage`, in a choice (Moonshot), in the response of an event, and below a vendor's own key such
    as `x_groq`. Prefers one that reports tokens to one of zeros.
    """
    fields = fields_of(source)
    usage = fields.get("usage")
    if usage is not None and tells_tokens(usage):
        return usage
    choices = fields.get("choices")
    if type(choices) is list and choices:
        choice = fields_of(choices[-1])
        for place in (choice, fields_of(choice.get("delta")), fields_of(choice.get("message"))):
            found = place.get("usage")
            if found is not None and tells_tokens(found):
                return found
    response = fields.get("response")
    if response is not None and response is not source:
        found = find_usage(response)
        if found is not None:
            return found
    # In an SDK object, only fields that the SDK does not know are dicts.
    unknown = source if isinstance(source, dict) else getattr(source, "__pydantic_extra__", None)
    for value in unknown.values() if unknown else ():
        if isinstance(value, dict) and value is not usage:
            found = value.get("usage")
            if isinstance(found, dict) and tells_tokens(found):
                return found
    return usage


def tells_tokens(usage: Any) -> bool:
    """Whether a usage contains a number other than 0."""
    fields = fields_of(usage)
    total = fields.get("total_tokens")
    if type(total) is int and total > 0:
        return True
    return any(type(value) in (int, float) and value for value in fields.values())


_USAGE = re.compile(r'"usage"\s*:\s*(?=\{)')


def usage_at_end(body: Any) -> Any:
    """The usage near the end of a body, str or bytes, that is too long to parse; None if there is none."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    for found in reversed(list(_USAGE.finditer(text))):
        try:
            usage, _ = json.JSONDecoder().raw_decode(text, found.end())
        except ValueError:
            continue  # cut off, or part of the answer's text
        return usage
    return None


def read_usage(answer: Any) -> Usage:
    """The usage of an answer of any OpenAI API or gateway."""
    return usage_of(find_usage(answer))


def usage_of(usage: Any) -> Usage:
    """The tokens in a usage, an object or a dict. What is not a count is ignored."""
    if usage is None:
        return NO_USAGE
    plain = _plain_usage(usage)
    if plain is not None:
        return plain
    get = field_getter(usage)
    prompt, completion, total = _first(get, _PROMPT), _first(get, _COMPLETION), _first(get, _TOTAL)
    cached = written = reasoning = prompt_audio = completion_audio = None
    prompt_image = completion_image = None
    details = get("prompt_tokens_details") or get("input_tokens_details") or get("input_token_details")
    if details is not None:
        detail = field_getter(details)
        cached, written = _first(detail, _CACHED_DETAILS), _first(detail, _WRITTEN_DETAILS)
        prompt_audio = _first(detail, _AUDIO_DETAILS)
        prompt_image = _first(detail, _IMAGE_DETAILS)
    details = get("completion_tokens_details") or get("output_tokens_details") or get("output_token_details")
    if details is not None:
        detail = field_getter(details)
        reasoning, completion_audio = _first(detail, _REASONING_DETAILS), _first(detail, _AUDIO_DETAILS)
        completion_image = _first(detail, _IMAGE_DETAILS)
    cached = cached or _first(get, _CACHED, cached)
    written = written or _first(get, _WRITTEN, written)
    reasoning = reasoning or _first(get, _REASONING, reasoning)
    if prompt is not None and completion is not None:
        prompt += _first(get, _TOOL_RESULTS) or 0
        if (cached or written) and _is_cache_beside(get, total, prompt, completion, reasoning):
            prompt += (cached or 0) + (written or 0)
        if reasoning and _is_reasoning_beside(total, prompt, completion, reasoning):
            completion += reasoning
        total = total or prompt + completion
    return Usage(
        total,
        prompt,
        completion,
        cached,
        reasoning,
        written,
        prompt_audio,
        completion_audio,
        prompt_image,
        completion_image,
        _first(get, _DURATION) if prompt is None else None,
    )


def _plain_usage(usage: Any) -> Optional[Usage]:
    """The usage if it has no other fields than OpenAI's Chat Completions documents; else None.

    So it is for nearly all calls, in a third of the time that trying all names takes.
    """
    fields = fields_of(usage)
    of_prompt = fields_of(fields.get("prompt_tokens_details"))
    of_completion = fields_of(fields.get("completion_tokens_details"))
    if not fields.keys() <= _PLAIN or not {*of_prompt, *of_completion} <= _PLAIN_DETAILS:
        return None
    total, prompt, completion = map(fields.get, ("total_tokens", "prompt_tokens", "completion_tokens"))
    if type(prompt) is not int or type(completion) is not int or prompt <= 0 or completion < 0:
        return None
    if total != prompt + completion or total >= _EXACT:
        return None
    return Usage(
        total,
        prompt,
        completion,
        _count(of_prompt.get("cached_tokens")),
        _count(of_completion.get("reasoning_tokens")),
        _count(of_prompt.get("cache_write_tokens")),
        _count(of_prompt.get("audio_tokens")),
        _count(of_completion.get("audio_tokens")),
        _count(of_prompt.get("image_tokens")),
        _count(of_completion.get("image_tokens")),
    )


def _is_cache_beside(
    get: _Get, total: Optional[float], prompt: float, completion: float, reasoning: Optional[float]
) -> bool:
    """Whether the prompt tokens do not include those read from or written to a cache."""
    cache = sum(_first(get, (name,)) or 0 for name in _CACHE_BESIDE_PROMPT)
    if not cache or _first(get, ("prompt_tokens",)) is not None:
        return False
    return not total or cache > prompt or total - prompt - completion in (cache, cache + (reasoning or 0))


def _is_reasoning_beside(total: Optional[float], prompt: float, completion: float, reasoning: float) -> bool:
    """Whether the completion tokens do not include the reasoning, as with xAI and Gemini."""
    return total == prompt + completion + reasoning if total else reasoning > completion


def _first(get: _Get, names: Tuple[str, ...], known: Optional[float] = None) -> Optional[float]:
    """The first count that is not 0, else 0; `known` if there is no count."""
    for name in names:
        count = _count(get(name))
        if count:
            return count
        if known is None:
            known = count
    return known


def _count(value: Any) -> Optional[float]:
    if value is None:
        return None
    if type(value) is int and 0 <= value < _EXACT:  # as nearly all are
        return value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        count = float(value)
    except OverflowError:
        return None
    return count if 0 <= count < _ENDLESS else None

"""The figures of the stand-in's answers, and what of a request decides them.

They follow rules that a test can state: a prompt has as many tokens as words (at least 1), and so has the
answer; of a prompt of 1024 tokens or more, the full blocks of 128 were cached (OpenAI's prompt caching
guide); of the answer of a reasoning model, half of the tokens were reasoning.
"""

import re
from typing import Any, List

from .errors import Body, RefusalError

# OpenAI's own limits, from its API reference.
MAX_CHOICES = 128
MAX_INPUTS = 2048
MAX_DIMENSIONS = 3072

_MODEL_DATE = "-2024-07-18"


def read_integer(request: Body, name: str, default: int, maximum: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise RefusalError(
            400,
            f"Invalid '{name}': expected an integer from 1 to {maximum}.",
            code="invalid_value",
            param=name,
        )
    return value


def response_model(request_model: str) -> str:
    """The dated name that the API answers with; a name that has a date keeps it."""
    dated = re.search(r"-\d{4}-\d{2}-\d{2}$", request_model)
    return request_model if dated else request_model + _MODEL_DATE


def service_tier(request: Body) -> str:
    """The tier that answers: each is to be had, and `fast` is another word for `priority`."""
    asked = request.get("service_tier")
    if asked == "fast":
        return "priority"
    return asked if asked in ("flex", "priority", "scale") else "default"


def count_words(prompt: Any) -> int:
    """The words in a string, messages, content parts, or lists of them; a number is one token."""
    words, parts = 0, [prompt]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            words += len(part.split())
        elif isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            parts += [part.get("content"), part.get("text")]
        elif isinstance(part, int):
            words += 1
    return words


def answer_text(prompt_words: int) -> str:
    return f"This is the local answer to a prompt with this many words: {prompt_words}."


def _cached_tokens(prompt_tokens: int) -> int:
    return prompt_tokens // 128 * 128 if prompt_tokens >= 1024 else 0


def _reasoning_tokens(model: str, completion_tokens: int) -> int:
    return completion_tokens // 2 if re.match(r"o\d|gpt-5", model) else 0


def usage_of(model: str, prompt_words: int, completion_tokens: int) -> Body:
    prompt_tokens = max(1, prompt_words)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": _cached_tokens(prompt_tokens),
            "cache_write_tokens": 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": _reasoning_tokens(model, completion_tokens),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def split_inputs(prompt: Any, name: str) -> List[Any]:
    """The prompts in one of: text, a list of tokens, a list of texts, a list of lists of tokens."""
    if isinstance(prompt, str) or not isinstance(prompt[0], (str, list)):
        return [prompt]
    if len(prompt) > MAX_INPUTS:
        raise RefusalError(400, f"Invalid '{name}': more than {MAX_INPUTS} inputs.", param=name)
    return list(prompt)


def split_text(text: str) -> List[str]:
    """The text in pieces as a stream brings them: words, each with the space before it."""
    return re.findall(r"\s*\S+", text)

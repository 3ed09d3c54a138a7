"""What was observed of one ChatGPT call, and how its errors are named.

Reads the SDK's objects and plain dicts alike, and believes neither: a gateway may send null, text or
nothing where the API documents a number.
"""

import math
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

ERROR_TYPES = (
    "rate_limit",
    "insufficient_quota",
    "authentication",
    "permission",
    "bad_request",
    "not_found",
    "timeout",
    "connection",
    "server_error",
    "content_filter",
    "cancelled",
    "validation",
    "budget",
    "other",
)

# What the API calls its errors (`code` first, then `type`), in our words. From OpenAI's error reference.
_BY_NAME = {
    "insufficient_quota": "insufficient_quota",
    "billing_hard_limit_reached": "insufficient_quota",
    "billing_not_active": "insufficient_quota",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "requests": "rate_limit",
    "tokens": "rate_limit",
    "invalid_api_key": "authentication",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "permission_denied": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "invalid_request_error": "bad_request",
    "server_error": "server_error",
    "internal_server_error": "server_error",
    "api_error": "server_error",
}

_BY_STATUS = {
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
}

# The SDK's and Python's exceptions by class name, nearest class first: no SDK import, no version to compare.
_BY_EXCEPTION = {
    "APITimeoutError": "timeout",
    "TimeoutError": "timeout",
    "APIConnectionError": "connection",
    "ConnectionError": "connection",
    "TransportError": "connection",
    "ContentFilterFinishReasonError": "content_filter",
    "CancelledError": "cancelled",
    "Cancelled": "cancelled",  # trio's
    "GeneratorExit": "cancelled",
    "GreenletExit": "cancelled",
    "KeyboardInterrupt": "cancelled",
    "ValidationError": "validation",
    "APIResponseValidationError": "validation",
    "TypeError": "validation",
    "ValueError": "validation",
}


class Usage(NamedTuple):
    """Tokens as the API reported them; None where it did not."""

    total_tokens: Optional[float] = None
    prompt_tokens: Optional[float] = None
    completion_tokens: Optional[float] = None
    cached_tokens: Optional[float] = None
    reasoning_tokens: Optional[float] = None
    cache_write_tokens: Optional[float] = None


NO_USAGE = Usage()
# Of a named tuple, the constructor of its own takes three times as long.
_new_usage: Callable[[Tuple[Optional[float], ...]], Usage] = partial(tuple.__new__, Usage)
_ENDLESS = math.inf
_EXACT = 2**53  # below, a float can be the same number


@dataclass
class Call:
    """One call, from the caller's point of view: retries are inside it."""

    operation_name: str
    request_model: str = ""
    provider_name: str = "openai"
    response_model: str = ""
    stream: bool = False
    requests_sent: int = 0
    status_code: Optional[int] = None
    error_type: Optional[str] = None
    usage: Usage = NO_USAGE
    tags: Dict[str, str] = field(default_factory=dict)
    started_s: float = field(default_factory=time.perf_counter)
    response_time_s: float = 0.0
    time_to_first_token_s: Optional[float] = None
    ended_at_ns: int = 0
    # Of the last answer that came, an error too.
    rate_limit: Dict[str, float] = field(default_factory=dict)
    processing_time_s: Optional[float] = None
    request_id: str = ""  # each is another: never a tag
    service_tier: str = ""  # as answered: what the tokens are paid by

    def end(self, error_type: Optional[str] = None) -> None:
        """Close the call with its error, if any. Only the first end counts."""
        if self.ended_at_ns:
            return
        self.response_time_s = time.perf_counter() - self.started_s
        self.ended_at_ns = time.time_ns()
        self.error_type = error_type


def provider_name(base_url: str) -> str:
    """`openai`, `azure_openai`, or the host of another base URL."""
    return provider_of_host(urlsplit(base_url).hostname or "")


def provider_of_host(host: str) -> str:
    host = host.lower()
    if not host or host == "api.openai.com" or host.endswith(".api.openai.com"):
        return "openai"
    if host.endswith((".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")):
        return "azure_openai"
    return host


def without_credentials(url: str) -> str:
    """`url` as it may be shown: no user name, password or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_field(source: Any, name: str) -> Any:
    """`source[name]` or `source.name`; None where there is neither."""
    return _fields_of(source)(name)


def _fields_of(source: Any) -> Callable[[str], Any]:
    """What gives the fields of `source` by name, and None where there is none.

    Those of a model of pydantic's from where it has them: as attributes, it takes microseconds to say that it
    has no such one.
    """
    if isinstance(source, dict):
        return source.get
    unknown_fields = getattr(source, "__pydantic_extra__", None)
    if unknown_fields is None:
        return lambda name: getattr(source, name, None)
    fields: Dict[str, Any] = source.__dict__
    return {**unknown_fields, **fields}.get if unknown_fields else fields.get


def read_text(source: Any, name: str) -> str:
    value = read_field(source, name)
    return value if isinstance(value, str) else ""


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


def read_usage(answer: Any) -> Usage:
    """The usage of an answer: Chat Completions, Completions, Embeddings or Responses."""
    return usage_of(read_field(answer, "usage"))


def usage_of(usage: Any) -> Usage:
    if usage is None:
        return NO_USAGE
    field = _fields_of(usage)
    prompt, completion = _count(field("prompt_tokens")), _count(field("completion_tokens"))
    # As the Responses API calls them.
    if prompt is None:
        prompt = _count(field("input_tokens"))
    if completion is None:
        completion = _count(field("output_tokens"))
    total = _count(field("total_tokens"))
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    prompt_details = field("prompt_tokens_details") or field("input_tokens_details")
    completion_details = field("completion_tokens_details") or field("output_tokens_details")
    cached = cache_write = reasoning = None
    if prompt_details is not None:
        detail = _fields_of(prompt_details)
        cached, cache_write = _count(detail("cached_tokens")), _count(detail("cache_write_tokens"))
    if completion_details is not None:
        reasoning = _count(read_field(completion_details, "reasoning_tokens"))
    return _new_usage((total, prompt, completion, cached, reasoning, cache_write))


def classify_error(status_code: Optional[int] = None, error: Any = None) -> str:
    """The `error_type` of an HTTP answer: what the API calls the error, then its status.

    `error` is the value of the body's `error` key, whatever that is.
    """
    for name in (read_text(error, "code"), read_text(error, "type")):
        named = _BY_NAME.get(name)
        # "invalid_request_error" is the type of a refused key, too: there, the status knows more.
        if named is not None and (named != "bad_request" or status_code in (None, 200, 400)):
            return named
    if status_code is None:
        return "other"
    if status_code in _BY_STATUS:
        return _BY_STATUS[status_code]
    if 400 <= status_code < 500:
        return "bad_request"
    return "server_error" if status_code >= 500 else "other"


def classify_exception(error: Any) -> str:
    """The `error_type` of an exception: of its HTTP answer, if it has one, or of its class."""
    status_code = getattr(error, "status_code", None)
    if isinstance(status_code, int):
        return classify_error(status_code, getattr(error, "body", None))
    for cls in type(error).__mro__:
        if cls.__name__ in _BY_EXCEPTION:
            return _BY_EXCEPTION[cls.__name__]
    return "other"

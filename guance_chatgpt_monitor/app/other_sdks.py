"""Answers of other SDKs than OpenAI's, objects or dicts, for `observe()` and its `record()`.

Those of Anthropic, Google (google-genai, Vertex AI), Amazon Bedrock's Converse, DashScope, Cohere, Ollama,
LangChain and LlamaIndex. None is imported: their answers are recognized by their fields.
"""

from typing import Any, Callable, Dict, Optional, Tuple

from ..core.answers import error_in, named_finish_reason, read_finish_reason
from ..core.fields import field_getter, fields_of
from ..core.usage import find_usage, tells_tokens

_Get = Callable[[str], Any]

# Where the usage is: in a field of the answer, or one level below.
_USAGES = ("usage_metadata", "usageMetadata", "token_usage")
_USAGES_INSIDE = (
    ("usage", "tokens"),  # Cohere
    ("meta", "tokens"),
    ("response_metadata", "token_usage"),  # LangChain
    ("response_metadata", "usage"),
    ("llm_output", "token_usage"),
)
_MODELS = ("model", "model_version", "modelVersion", "model_id")
_MODELS_INSIDE = (
    ("response_metadata", "model_name"),
    ("response_metadata", "model"),
    ("llm_output", "model_name"),
)
_REASONS = ("stop_reason", "stopReason", "finish_reason", "done_reason")
_REASONS_INSIDE = (
    ("output", "finish_reason"),  # DashScope
    ("response_metadata", "finish_reason"),
    ("response_metadata", "stop_reason"),
)
# Fields that hold an API's original answer: LlamaIndex's and LangChain's.
_WRAPPERS = ("raw", "message")
_MAX_DEPTH = 3


def as_openai(answer: Any) -> Optional[Dict[str, Any]]:
    """Usage, model, finish reason and error of an answer, in OpenAI's form; None if it has none of them."""
    return _read(answer, _MAX_DEPTH)


def _read(answer: Any, depth: int) -> Optional[Dict[str, Any]]:
    get = field_getter(answer)
    found: Dict[str, Any] = {
        "usage": _usage(answer, get),
        "model": _first_text(get, _MODELS, _MODELS_INSIDE),
        "service_tier": get("service_tier"),
    }
    reason = _reason(answer, get)
    if reason:
        found["choices"] = [{"finish_reason": reason}]
    error = _error(answer, get)
    if error is not None:
        found["error"] = error
    found = {name: value for name, value in found.items() if value is not None}
    if not {"usage", "model"} <= found.keys() and "error" not in found and depth:
        for inside in _inside(get):
            further = _read(inside, depth - 1)
            if further is not None:
                return {**further, **found}
    return found or None


def _inside(get: _Get) -> Any:
    yield from (inside for inside in map(get, _WRAPPERS) if inside is not None)
    generations = get("generations")  # LangChain's LLMResult: nested lists; each generation has a message
    while isinstance(generations, (list, tuple)) and generations:
        generations = generations[0]
    if generations is not None:
        yield generations


def _usage(answer: Any, get: _Get) -> Any:
    found = find_usage(answer)
    if found is None:
        found = get("usage")  # a property
    if found is not None and tells_tokens(_plain(found)):
        return _plain(found)
    for other in (*map(get, _USAGES), *(_field(get(outer), inner) for outer, inner in _USAGES_INSIDE)):
        if other is not None and not callable(other):
            return other
    if get("eval_count") is not None or get("prompt_eval_count") is not None:  # Ollama
        return {"prompt_tokens": get("prompt_eval_count"), "completion_tokens": get("eval_count")}
    return found if not callable(found) else None


def _plain(usage: Any) -> Any:
    """Cohere nests the tokens beside those that it bills."""
    tokens = _field(usage, "tokens")
    return usage if tokens is None else tokens


def _reason(answer: Any, get: _Get) -> str:
    reason = read_finish_reason(answer) or read_finish_reason(get("output"))  # DashScope's choices
    if reason:
        return reason
    for other in (*map(get, _REASONS), *(_field(get(outer), inner) for outer, inner in _REASONS_INSIDE)):
        if named_finish_reason(other):
            return named_finish_reason(other)
    candidates = get("candidates")
    if isinstance(candidates, (list, tuple)) and candidates:
        get = field_getter(candidates[0])
        return _name(get("finish_reason") or get("finishReason"))
    return ""


def _name(value: Any) -> str:
    """Google's reasons are members of an enumeration."""
    name = getattr(value, "name", value)
    return named_finish_reason(name)


def _error(answer: Any, get: _Get) -> Any:
    status_code = get("status_code")
    if type(status_code) is int and status_code >= 300:  # DashScope
        return {"code": get("code") or str(status_code), "message": get("message")}
    feedback = get("prompt_feedback") or get("promptFeedback")
    blocked = _field(feedback, "block_reason") or _field(feedback, "blockReason")
    if blocked and not get("candidates"):
        return {"code": "content_filter"}
    error = get("error")
    if error is not None and not callable(error):
        return error_in({"error": error}, is_whole=False)
    return error_in(fields_of(answer), is_whole=False)


def _first_text(get: _Get, names: Tuple[str, ...], inside: Tuple[Tuple[str, str], ...]) -> Optional[str]:
    for value in (*map(get, names), *(_field(get(outer), inner) for outer, inner in inside)):
        if value and isinstance(value, str):
            return value
    return None


def _field(source: Any, name: str) -> Any:
    return None if source is None else field_getter(source)(name)

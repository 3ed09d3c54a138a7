"""What an answer, a chunk of a stream or an error says, as pure functions.

In the way of the application, so `call.read_field()` is not for here: a model of pydantic's takes some
microseconds to say that it has no such attribute.
"""

import json
import re
from typing import Any, Dict, Optional

from ..core.call import classify_error, classify_exception

_USAGE = re.compile(r'"usage"\s*:\s*(\{[^{}]*\})')


def fields_of(source: Any) -> Dict[str, Any]:
    """The fields of an SDK's object, those included that the SDK does not know, or of a dict; else none."""
    if isinstance(source, dict):
        return source
    fields: Dict[str, Any] = getattr(source, "__dict__", {})
    unknown = getattr(source, "__pydantic_extra__", None)
    return {**fields, **unknown} if unknown else fields


def has_content(chunk: Any) -> bool:
    """Whether a chunk of a stream brings part of an answer: text, a tool's arguments, reasoning, audio."""
    fields = fields_of(chunk)
    choices = fields.get("choices")
    if choices:
        return any(_choice_has_content(fields_of(choice)) for choice in choices)
    event = fields.get("type")
    return isinstance(event, str) and event.endswith(".delta")


def _choice_has_content(choice: Dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if delta is None:
        return bool(choice.get("text"))
    # Whatever it is called: a gateway has names of its own for reasoning.
    return any(value and name != "role" for name, value in fields_of(delta).items())


def error_type_of(error: BaseException, status_code: Optional[int]) -> str:
    """The `error_type` of an exception of the SDK's or of Python's."""
    if isinstance(getattr(error, "status_code", None), int):
        return classify_error(status_code, _named_error(error))
    error_type = classify_exception(error)
    # In a stream, the API's own error comes without a status.
    return classify_error(status_code, _named_error(error)) if error_type == "other" else error_type


def _named_error(error: BaseException) -> Any:
    """What holds the API's `code` and `type` of an error: in most SDKs the body, in the first not kept."""
    body, response = getattr(error, "body", None), getattr(error, "response", None)
    if body is None:
        try:
            body = parse_body(response.text) if response is not None else None
        except Exception:
            pass  # the answer was not read
        if body is None:
            return error
    return fields_of(body).get("error") or body


def parse_body(body: Any) -> Optional[Dict[str, Any]]:
    """The JSON object of a body, text or bytes; None where it is none."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def usage_at_end(body: Any) -> Any:
    """The usage in the end of a body, where it has no further objects in it, as that of embeddings."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    found = _USAGE.search(text)
    return json.loads(found.group(1)) if found else None

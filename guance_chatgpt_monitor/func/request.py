"""What a caller of the link may post, and what is sent to OpenAI for it.

Errors have OpenAI's form and say what to send instead.
"""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional

from ..core.settings_table import DEFAULT_MODEL

MAX_OWN_TAGS = 16
MAX_TAG_NAME = 64
MAX_TAG_VALUE = 128

_TAG_NAME = re.compile(r"\w[\w.-]*")


class Answer(NamedTuple):
    """What the caller gets: an HTTP status and a JSON body."""

    status_code: int
    body: str


class BadRequestError(ValueError):
    """The caller's request cannot be sent; the message says what to send instead."""

    def __init__(self, message: str, param: Optional[str] = None) -> None:
        super().__init__(message)
        self.param = param


class Request(NamedTuple):
    """A request as the API takes it; `operation_name` names the endpoint."""

    operation_name: str
    model: str
    body: Dict[str, Any]
    tags: Dict[str, str]


def error_body(message: str, error_type: str, param: Optional[str] = None, code: Optional[str] = None) -> str:
    """An error body in OpenAI's form."""
    error = {"message": message, "type": error_type, "param": param, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False)


def read_request(given: Dict[str, Any], default_model: str, reserved: Any = ()) -> Request:
    """The request that `given`, the JSON object a caller posted, asks for.

    Either `question` (with optional `system`), or a Chat Completions body, or a Responses body; a tag
    whose name is in `reserved` is refused. Raises BadRequestError.
    """
    # null means "not given" for our own names; the API's parameters are passed on as they came.
    ours = ("question", "system", "messages", "input", "model", "stream", "tags")
    body = {key: value for key, value in given.items() if value is not None or key not in ours}
    tags = _read_tags(body.pop("tags", {}), reserved)
    kinds = [key for key in ("question", "messages", "input") if key in body]
    if len(kinds) != 1:
        raise BadRequestError(
            'send exactly one of "question" (a string), "messages" (a Chat Completions body) or "input" '
            '(a Responses body); for example {"question": "What is Guance?"}'
        )
    if body.pop("stream", False) is not False:
        raise BadRequestError(
            "an authorization link cannot stream: leave stream out, or send false", "stream"
        )
    model = body.setdefault("model", default_model)
    if not isinstance(model, str) or not model.strip():
        raise BadRequestError("model must be the name of a model, such as " + DEFAULT_MODEL, "model")
    _check_encodable(body)
    kind = kinds[0]
    if kind == "question":
        body["messages"] = _question_messages(body.pop("question"), body.pop("system", None))
    elif "system" in body:
        instead = "a system message" if kind == "messages" else "instructions"
        raise BadRequestError(f"system goes with question only; with {kind}, send {instead}", "system")
    elif kind == "messages":
        _check_messages(body["messages"])
    elif not body["input"] or not isinstance(body["input"], (str, list)):
        raise BadRequestError("input must be a string or a list of input items, not empty", "input")
    return Request("responses" if kind == "input" else "chat", model, body, tags)


def _check_encodable(body: Dict[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequestError(
            "the body contains half a surrogate pair, such as a lone \\ud800: send whole characters"
        ) from None
    except RecursionError:
        raise BadRequestError("the body is nested too deeply") from None


def _question_messages(question: Any, system: Any) -> List[Dict[str, str]]:
    if not isinstance(question, str) or not question.strip():
        raise BadRequestError("question must be a string, not empty", "question")
    messages = [{"role": "user", "content": question}]
    if system is not None:
        if not isinstance(system, str):
            raise BadRequestError("system must be a string", "system")
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequestError(
            'messages must be a list such as [{"role": "user", "content": "Hello"}], not empty',
            "messages",
        )
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequestError("each of messages must be an object with role and content", "messages")


def _read_tags(tags: Any, reserved: Any) -> Dict[str, str]:
    if not isinstance(tags, dict):
        raise BadRequestError('tags must be an object of short strings, such as {"team": "web"}', "tags")
    if len(tags) > MAX_OWN_TAGS:
        raise BadRequestError(f"at most {MAX_OWN_TAGS} tags are allowed", "tags")
    for name, value in tags.items():
        if len(name) > MAX_TAG_NAME or not _TAG_NAME.fullmatch(name):
            raise BadRequestError(
                f"the name of a tag may have letters, digits and _ . - only, at most {MAX_TAG_NAME}", "tags"
            )
        if name in reserved or name.startswith(("_", "df_")):
            raise BadRequestError(
                f"the tag name {name} is used by the monitor itself: choose another", "tags"
            )
        if not isinstance(value, str) or len(value) > MAX_TAG_VALUE or not value.isprintable():
            raise BadRequestError(
                f"tag {name} must be a string of at most {MAX_TAG_VALUE} characters on one line", "tags"
            )
    return dict(tags)

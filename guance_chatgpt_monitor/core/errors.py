"""What went wrong, in our words: for an HTTP answer, an exception, or a 200 without an answer."""

import re
from typing import Any, Iterator, List, NamedTuple, Optional

from .fields import fields_of, parse_object, read_field

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

# The API's names for errors (`code` first, then `type`) -> ours. From OpenAI's error reference.
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
    "cancelled": "cancelled",
    # Zhipu's numbers.
    "1113": "insufficient_quota",
    "1211": "not_found",
    "1301": "content_filter",
    "1302": "rate_limit",
    "1303": "rate_limit",
    "1304": "rate_limit",
    "1305": "rate_limit",
    # SiliconFlow's.
    "20012": "not_found",
    "30001": "insufficient_quota",
}
# By words in a name, in snake case, for the names of gateways. The first match counts. Not compiled before an
# error has come: that would be a tenth of the package's import.
_BY_WORDS = {
    "insufficient_quota": r"arrear|over_?due|billing|payment_required|spend(ing)?_limit"
    r"|(budget|credits?)_exceeded|exceeded_(current_quota|budget)|free_?tier_only|resource_pack_exhausted"
    r"|credit_limit|(^|_)(insufficient|not_enough|no|out_of|exhausted)_(\w+_)?(balance|credit|quota|fund)"
    r"|(balance|credits?|funds?|(user|token|account)_quota)_(\w+_)?"
    r"(insufficient|exhausted|exceeded|not_enough|failed)|quota_(not_enough|exhausted)",
    "content_filter": r"content_(filter|policy)|data_inspection|sensitive|responsible_ai|moderation"
    r"|risk_control",
    "rate_limit": r"rate_?limit|throttl|too_many|resource_exhausted|quota_exceeded",
    "authentication": r"api_?key|authentic|unauthori[sz]ed|invalid_token|login_fail",
    "permission": r"permission|^forbidden|access_denied",
    "not_found": r"not_?found|not_exist|no_such_model",
    "timeout": r"time_?out|timed_out|deadline_exceeded",
    "server_error": r"server_error|^internal|_internal|unavailable|overload|bad_gateway|network_error",
    "bad_request": r"invalid|bad_request|unprocessable",
}
# Used-up credit, as messages put it where the name only says that the call was refused.
_NO_MONEY = (
    r"(?i)(insufficient|not enough)\s+(\w+\s+)?(balance|credit|fund)"
    r"|(balance|credits?|quota) (is|are|has been) (too low|insufficient|not enough|exhausted|depleted)"
    r"|out of credits?|credits? (exhausted|depleted)|used all available credits"
    r"|(monthly|reached \w+) spending limit|exceeded your current quota|unpaid"
    r"|(budget|key limit) (has been )?exceeded"
    r"|余额(已)?(不足|用完|用尽)|欠费|额度(已)?(不足|用完|用尽|耗尽|失败)|资源包(已)?(用完|用尽|耗尽)|(请|及时)充值"
)
_MAX_NAME = 128  # characters
_MAX_MESSAGE = 4096

_BY_STATUS = {
    401: "authentication",
    402: "insufficient_quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
}

# Exceptions by class name, most specific class first: needs no import of an SDK and compares no versions.
_BY_EXCEPTION = {
    "NewConnectionError": "connection",  # urllib3's, which calls it a timeout
    "DeadlineExceeded": "timeout",
    "TooSlowError": "timeout",
    "APIConnectionError": "connection",
    "ConnectionError": "connection",
    "TransportError": "connection",
    "ClientConnectionError": "connection",
    "ClientPayloadError": "connection",
    "ChunkedEncodingError": "connection",
    "ProtocolError": "connection",
    "URLError": "connection",
    "HTTPException": "connection",  # http.client's
    "SSLError": "connection",
    "gaierror": "connection",
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
_TIMEOUT = re.compile(r"time_?out|timed_?out|timelimit", re.IGNORECASE)
_MAX_CAUSES = 5
_MAX_BODY = 1 << 16  # bytes; parsed while the application waits

# ---- HTTP answers ----


def classify_error(status_code: Optional[int] = None, error: Any = None) -> str:
    """The `error_type` of an HTTP answer, from the API's name for the error, else from the status.

    `error` is the value of the body's `error` key, or the whole body, of whatever type.
    """
    found = _read(error)
    if status_code is None or status_code < 300:
        status_code = next((n for n in map(_status_in, found.names) if n is not None), status_code)
    names = found.names
    if status_code is None or status_code < 300:
        names = [*names, *filter(_is_short, found.messages)]  # "Not Found", and nothing else
    named = [name for name in map(_named, names) if name is not None]
    # Google says "exceeded your current quota" about the limit per minute, too.
    messages = [] if "RESOURCE_EXHAUSTED" in names else found.messages
    if (
        "insufficient_quota" in named
        or status_code == 402
        or any(re.search(_NO_MONEY, message) for message in messages)
    ):
        return "insufficient_quota"
    for name in named:
        # A refused key also has the type "invalid_request_error": there, the status is more precise.
        if name != "bad_request" or status_code in (None, 200, 400):
            return name
    if status_code is None:
        return "other"
    if status_code in _BY_STATUS:
        return _BY_STATUS[status_code]
    if 400 <= status_code < 500:
        return "bad_request"
    return "server_error" if status_code >= 500 else "other"


class _Found(NamedTuple):
    names: List[str]
    messages: List[str]


_NAMES = ("code", "type", "status", "Code", "error_code")
_MESSAGES = ("message", "msg", "status_msg", "error_msg", "Message", "detail", "error")
_INSIDE = ("error", "errors", "innererror", "detail", "Error")


def read_message(error: Any) -> str:
    """The message of an error in any form; empty if there is none."""
    return next(iter(_read(error).messages), "")


def _read(error: Any) -> _Found:
    """The names and messages of an error; of a list of errors, those of the first."""
    found = _Found([], [])
    for part in _parts(error, 3):
        fields = {"message": part} if isinstance(part, str) else fields_of(part)
        names = [str(name) for name in map(fields.get, _NAMES) if type(name) in (str, int)]
        found.names.extend(name for name in names if 0 < len(name) <= _MAX_NAME)
        texts = [text for text in map(fields.get, _MESSAGES) if isinstance(text, str)]
        found.messages.extend(text[:_MAX_MESSAGE] for text in texts if text)
    return found


def _is_short(message: str) -> bool:
    return len(message) <= 40 and len(message.split()) <= 3


def _parts(error: Any, depth: int) -> Iterator[Any]:
    if isinstance(error, (list, tuple)):
        error = error[0] if error else None
    if error is None or not depth:
        return
    yield error
    fields = fields_of(error)
    for name in _INSIDE:
        inside = fields.get(name)
        if isinstance(inside, (dict, list)) or hasattr(inside, "__pydantic_extra__"):
            yield from _parts(inside, depth - 1)


def _named(name: str) -> Optional[str]:
    known = _BY_NAME.get(name)
    if known is None:
        words = _in_snake_case(name)
        known = next((each for each, pattern in _BY_WORDS.items() if re.search(pattern, words)), None)
    return known


def _in_snake_case(name: str) -> str:
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()


def _status_in(name: str) -> Optional[int]:
    return int(name) if re.fullmatch(r"[45][0-9]{2}", name, re.ASCII) else None


# ---- exceptions ----


def status_code_of(error: Any) -> Optional[int]:
    """The HTTP status in an exception of an SDK or an HTTP client; None if there is none."""
    # OpenAI's and Anthropic's; aiohttp's; urllib's and Google's.
    of_error = [getattr(error, name, None) for name in ("status_code", "status", "code")]
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's
        of_response = [read_field(response.get("ResponseMetadata"), "HTTPStatusCode")]
    else:
        of_response = [getattr(response, "status_code", None)]
    return next((code for code in [*of_error, *of_response] if type(code) is int and 100 <= code < 600), None)


def classify_exception(error: Any, status_code: Optional[int] = None) -> str:
    """The `error_type` of an exception, from its HTTP answer if it has one, else from its class.

    `status_code` is that of an answer that had already begun.
    """
    of_answer = status_code_of(error)
    if of_answer is not None:
        return classify_error(of_answer, _named_error(error))
    error_type = _of_class(error, _MAX_CAUSES)
    # The API's own error within a stream has no status.
    return classify_error(status_code, _named_error(error)) if error_type == "other" else error_type


def rejected_answer(error: Any) -> Any:
    """The answer that the SDK's `parse()` received and rejected, which is billed; None if there is none."""
    answer = getattr(error, "completion", None)
    if answer is not None or type(error).__name__ != "ContentFilterFinishReasonError":
        return answer
    # SDKs before 3 do not pass it on: it is a local variable of the function that raised.
    traceback = error.__traceback__
    while answer is None and traceback is not None:
        answer = traceback.tb_frame.f_locals.get("chat_completion")
        traceback = traceback.tb_next
    return answer


def _of_class(error: Any, causes_left: int) -> str:
    for cls in type(error).__mro__:
        name = cls.__name__
        error_type = _BY_EXCEPTION.get(name)
        if error_type is None:
            error_type = "timeout" if _TIMEOUT.search(name) else None
        if error_type == "connection" and causes_left and _has_timeout_inside(error, causes_left - 1):
            return "timeout"
        if error_type is not None:
            return error_type
    return "other"


def _has_timeout_inside(error: Any, causes_left: int) -> bool:
    """Whether a connection error was caused by a timeout, as with some clients."""
    causes = [getattr(error, "__cause__", None), getattr(error, "reason", None), *getattr(error, "args", ())]
    return any(hasattr(cause, "__cause__") and _of_class(cause, causes_left) == "timeout" for cause in causes)


def _named_error(error: Any) -> Any:
    """What holds the API's `code` and `type`: the error's body, which the first SDKs do not keep."""
    body, response = getattr(error, "body", None), getattr(error, "response", None)
    if body is None and isinstance(response, dict):
        body = response.get("Error")
    if body is None:
        # Only what was read already: the `text` of a response of requests reads from the network.
        content = getattr(response, "_content", None)
        body = parse_object(content) if isinstance(content, bytes) and len(content) <= _MAX_BODY else None
    if body is None:
        return error
    return fields_of(body).get("error") or body

"""What an answer or a chunk of a stream says: whether it is an answer, why it ended, what went wrong."""

from typing import Any, Dict

from .fields import fields_of, read_field, read_list, read_text

# For a 200 with nothing in its body.
NO_ANSWER: Dict[str, str] = {"code": "no_answer", "message": "the API sent no answer"}

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "other")
_OTHER = FINISH_REASONS[-1]
# The APIs' own words for them, in lower case.
_WORDS = {
    "stop": "stop end_turn stop_sequence completed complete eos eos_token",
    "length": "length max_tokens max_output_tokens model_length model_context_window_exceeded",
    "tool_calls": "tool_calls tool_call tool_use function_call",
    "content_filter": "content_filter content_filtered sensitive safety refusal recitation blocklist "
    "prohibited_content guardrail_intervened",
}
_FINISH_REASONS = {word: reason for reason, words in _WORDS.items() for word in words.split()}
# Finish reasons that mean failure: OpenRouter, Zhipu, DeepSeek and inference servers.
_FAILURES = {
    "error": "other",
    "failed": "other",
    "abort": "other",
    "network_error": "server_error",
    "insufficient_system_resource": "server_error",
}
# MiniMax reports errors in `base_resp`, as numbers.
_MINIMAX = {
    1001: "timeout",
    1002: "rate_limit",
    1004: "authentication",
    1008: "insufficient_quota",
    1026: "content_filter",
    1027: "content_filter",
    1039: "rate_limit",
    1041: "rate_limit",
    2013: "bad_request",
    2049: "authentication",
    2056: "insufficient_quota",
}
# Values of `code` that mean success.
_FINE = ("", "0", "200", "ok", "success", "none", "null")
_ANSWERED = ("completed", "queued", "in_progress")


def error_in(source: Any, is_whole: bool = True) -> Any:
    """The error inside a 200, as `classify_error()` and `read_message()` take it; None if there is none.

    `source` is an SDK object or a dict. `is_whole=False`: a chunk of a stream, which need not hold an answer.
    """
    fields = fields_of(source)
    error = fields.get("error")
    if error and _is_error(error):
        return error
    if fields.get("type") == "error":  # an event of a stream
        return source
    choices = fields.get("choices")
    if choices and isinstance(choices, list):
        for choice in choices:
            error = _error_in_choice(fields_of(choice))
            if error:
                return error
    base_resp = fields.get("base_resp")
    number = read_field(base_resp, "status_code") if base_resp else None
    if number and _is_error_code(number):
        named = _MINIMAX.get(number, _OTHER) if isinstance(number, int) else _OTHER
        return {"code": named, "message": read_text(base_resp, "status_msg")}
    status = fields.get("status")
    if status in ("failed", "incomplete", "cancelled"):
        return _error_of_response(status, fields)
    if is_whole:
        return None if _is_answer(fields) else source if fields else NO_ANSWER
    return source if not choices and _chunk_is_error(fields) else None


def _chunk_is_error(fields: Dict[str, Any]) -> bool:
    """Whether a chunk of a stream is an error rather than part of an answer."""
    if "." in str(fields.get("type")) or _is_answer(fields):
        return False  # an event may have a field `code`: response.code_interpreter_call_code.done
    if fields.get("object") == "error" or fields.get("success") is False:
        return True
    code = fields.get("code")
    return bool(code and _is_error_code(code) and (fields.get("message") or fields.get("msg")))


def _error_in_choice(choice: Dict[str, Any]) -> Any:
    error = choice.get("error")
    if error and _is_error(error):
        return error
    reason = choice.get("finish_reason")
    return (
        {"code": reason, "type": _FAILURES[reason]}
        if isinstance(reason, str) and reason in _FAILURES
        else None
    )


def _error_of_response(status: str, fields: Dict[str, Any]) -> Any:
    """The error of a Responses answer. Reaching the token limit is not one, as in the other APIs."""
    if status != "incomplete":
        return {"code": "cancelled" if status == "cancelled" else "failed"}
    reason = read_text(fields.get("incomplete_details"), "reason")
    return None if _FINISH_REASONS.get(reason) == "length" else {"code": reason}


def _is_error(error: Any) -> bool:
    """Whether the value of `error` is one: some gateways send the field with every answer."""
    if not isinstance(error, dict):
        return not isinstance(error, (str, int)) or str(error).lower() not in (*_FINE, "false")
    code = error.get("code")
    if code is not None and code != "":
        return _is_error_code(code)
    return any(value and str(value).lower() not in _FINE for value in error.values())


def _is_error_code(code: Any) -> bool:
    return str(code).lower() not in _FINE


def is_answer(source: Any) -> bool:
    """Whether an answer has choices, output or data, or a chunk or event has part of them."""
    return _is_answer(fields_of(source))


def _is_answer(fields: Dict[str, Any]) -> bool:
    choices, data = fields.get("choices"), fields.get("data")
    if (choices and isinstance(choices, (list, tuple))) or (data and isinstance(data, (list, tuple))):
        return True
    event = fields.get("type")
    if isinstance(event, str) and event.startswith("response."):
        return True
    return bool(fields.get("output")) or (fields.get("status") in _ANSWERED and "output" in fields)


def has_content(chunk: Any) -> bool:
    """Whether a chunk of a stream carries part of an answer: text, a tool's arguments, reasoning, audio."""
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
    # Under any name: gateways have their own for reasoning.
    return any(value and name != "role" for name, value in fields_of(delta).items())


def read_finish_reason(source: Any) -> str:
    """Why an answer ended, one of FINISH_REASONS; empty if the answer, chunk or event does not say.

    Of several choices, the first that did not simply stop.
    """
    fields = fields_of(source)
    choices = fields.get("choices")
    if choices and isinstance(choices, (list, tuple)):
        if len(choices) == 1:
            return named_finish_reason(fields_of(choices[0]).get("finish_reason"))
        reasons = [named_finish_reason(fields_of(choice).get("finish_reason")) for choice in choices]
        return next((reason for reason in reasons if reason not in ("", "stop")), max(reasons))
    response = fields.get("response")
    if response is not None:
        fields = fields_of(response)
    status = fields.get("status")
    if status == "incomplete":
        return named_finish_reason(read_text(fields.get("incomplete_details"), "reason"))
    if status != "completed":
        return ""
    kinds = [read_text(item, "type") for item in read_list(fields, "output")]
    return "tool_calls" if any(kind in _TOOL_CALLS for kind in kinds) else "stop"


# Calls left to the application; the others the API made itself.
_TOOL_CALLS = ("function_call", "custom_tool_call")


def named_finish_reason(reason: Any) -> str:
    """Any API's finish reason as one of FINISH_REASONS; empty if there is none, or DashScope's "null"."""
    if not reason or not isinstance(reason, str) or reason == "null":
        return ""
    return _FINISH_REASONS.get(reason) or _FINISH_REASONS.get(reason.lower(), _OTHER)

"""Reads what was said in one call from its request and answer.

Chat Completions, Responses, Embeddings and Completions, as dicts, the SDK's objects, or the chunks of a
stream. Neither side is trusted: whatever does not have the documented form is skipped. Images, audio and
files are only named, as `[image]`, and never read. Nothing is redacted here.
"""

from itertools import chain, islice
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from ..answers import error_in
from ..errors import read_message
from ..fields import fields_of, parse_json, read_field, read_text
from .streamed_answer import MAX_TEXT_CHARS, MAX_TOOL_CALLS, Pieces, StreamedAnswer, cut, parse_arguments

# Messages, and parts of all of them together; any excess is not read.
MAX_PARTS = 10_000
# Of a JSON body. A longer one, which usually holds vectors, would take seconds to parse and is only named.
MAX_BODY_CHARS = 1 << 22
TOO_LONG = "…[cut]"
# Of all tool arguments of one call: characters as JSON, values, and depth. TOO_LONG stands for any excess.
MAX_ARGUMENTS_CHARS = MAX_TEXT_CHARS + 1000
MAX_VALUES = 20_000
MAX_DEPTH = 50
_MAX_INT_BITS = 1024


class Conversation(NamedTuple):
    """The strings of one call; empty where there were none.

    Of the request, only the last turn: `question` is what the user said last, `tool_results` what tools
    returned since the model's last answer, `n_messages` the number of all messages. Earlier turns are in the
    logs of earlier calls. `secrets`: the keys that the call was made with, to be redacted anywhere.
    """

    system: str = ""
    question: str = ""
    tool_results: str = ""
    answer: str = ""
    tool_calls: List[Dict[str, Any]] = []  # noqa: RUF012 - never changed in place
    finish_reason: str = ""
    error_message: str = ""
    n_messages: int = 0
    secrets: Tuple[str, ...] = ()


def read_conversation(request: Any, answer: Any = None) -> Conversation:
    """The conversation of one call.

    `request`: the arguments of the call, or the JSON object that was sent, which may also have `question` and
    `system`. `answer`: an object of the SDK, a dict, a JSON body, a list of the chunks or events of a stream,
    or None.
    """
    return _read_answer(answer, _read_request(request))


def _read_request(request: Any) -> Conversation:
    messages = read_field(request, "messages")
    if messages is None:
        messages = read_field(request, "input")
    if messages is None:
        messages = read_field(request, "prompt")
    question = read_text(request, "question")
    system = read_text(request, "system") or read_text(request, "instructions")
    if not isinstance(messages, (list, tuple)):
        question = cut(question) or _text_of(messages)
        return Conversation(cut(system), question, n_messages=1 if question else 0)
    if not any(_is_message(item) for item in messages[:MAX_PARTS]):
        return Conversation(cut(system), _texts_to_embed(messages), n_messages=len(messages))
    first = (item for item in messages[:MAX_PARTS] if _role(item) in ("system", "developer"))
    last = messages[-MAX_PARTS:]
    return Conversation(
        system=_joined(chain([system], _texts_of(first))),
        question=next((_content(item) for item in reversed(last) if _role(item) == "user"), ""),
        tool_results=_joined(_texts_of(item for item in _after_answer(last) if _role(item) == "tool")),
        n_messages=len(messages),
    )


def _is_message(item: Any) -> bool:
    return bool(read_field(item, "role") or read_field(item, "type"))


def _role(item: Any) -> str:
    """`system`, `developer`, `user`, `tool`, or `assistant` for everything from the model."""
    role = read_text(item, "role")
    if role:
        return "tool" if role == "function" else role
    return "tool" if read_text(item, "type").endswith("_output") else "assistant"


def _content(item: Any) -> str:
    content = read_field(item, "content")
    return _text_of(read_field(item, "output") if content is None else content)


def _texts_of(items: Iterable[Any]) -> Iterator[str]:
    """The strings of messages, which together have no more parts than one message may have."""
    n_left = MAX_PARTS
    for item in items:
        if n_left <= 0:
            return
        content = read_field(item, "content")
        content = read_field(item, "output") if content is None else content
        n_left -= len(content) if isinstance(content, (list, tuple)) else 1
        yield _text_of(content)


def _after_answer(messages: Any) -> List[Any]:
    after: List[Any] = []
    for item in reversed(messages):
        if _role(item) == "assistant":
            break
        after.append(item)
    return after[::-1]


def _texts_to_embed(items: Any) -> str:
    """Strings; or tokens, which mean nothing without their tokenizer."""
    return _joined([item for item in items[:MAX_PARTS] if isinstance(item, str)]) or (
        "[tokens]" if items else ""
    )


# ---- the answer ----


def _read_answer(answer: Any, conversation: Conversation) -> Conversation:
    if isinstance(answer, (str, bytes)):
        if len(answer) > MAX_BODY_CHARS:
            return conversation._replace(answer=f"[{len(answer)} characters: too long to be read]")
        answer = parse_json(answer)
    elif isinstance(answer, (list, tuple)):
        streamed = StreamedAnswer()
        for chunk in answer:
            streamed.add(chunk)
        answer = streamed.answer()
    error = error_in(answer) if fields_of(answer) else None
    if error is not None:
        conversation = conversation._replace(error_message=cut(read_message(error)))
    choices, output = read_field(answer, "choices"), read_field(answer, "output")
    if isinstance(choices, (list, tuple)):
        return _read_choices(choices[:MAX_PARTS], conversation)
    if isinstance(output, (list, tuple)):
        return _read_output(answer, output[:MAX_PARTS], conversation)
    return conversation


def _read_choices(choices: Any, conversation: Conversation) -> Conversation:
    texts: List[str] = []
    tool_calls: List[Dict[str, Any]] = []
    reasons: List[str] = []
    for choice in choices:
        message = read_field(choice, "message")
        texts += [read_text(choice, "text"), _message_text(message)]
        tool_calls += islice(_tool_calls_of(message), MAX_TOOL_CALLS - len(tool_calls))
        reasons.append(read_text(choice, "finish_reason"))
    return conversation._replace(
        answer=_joined(texts),
        tool_calls=_bounded(tool_calls),
        finish_reason=_reasons(reasons),
    )


def _message_text(message: Any) -> str:
    text = _text_of(read_field(message, "content")) or read_text(message, "refusal")
    audio = read_field(message, "audio")
    return text if text or not audio else read_text(audio, "transcript") or "[audio]"


def _tool_calls_of(message: Any) -> Iterator[Dict[str, Any]]:
    calls = read_field(message, "tool_calls")
    for call in calls[:MAX_TOOL_CALLS] if isinstance(calls, (list, tuple)) else ():
        for kind in ("function", "custom"):
            called = read_field(call, kind)
            if called:
                yield _tool_call(called)
    called = read_field(message, "function_call")  # the API's predecessor of tools
    if called:
        yield _tool_call(called)


def _read_output(response: Any, output: Any, conversation: Conversation) -> Conversation:
    texts: List[str] = []
    tool_calls: List[Dict[str, Any]] = []
    for item in output:
        kind = read_text(item, "type")
        if kind == "message":
            texts.append(_content(item))
        elif kind.endswith("_call") and len(tool_calls) < MAX_TOOL_CALLS:
            tool_calls.append(_tool_call(item))
    reason = read_text(read_field(response, "incomplete_details"), "reason") or read_text(response, "status")
    return conversation._replace(
        answer=_joined(texts),
        tool_calls=_bounded(tool_calls),
        finish_reason=cut(reason),
    )


def _tool_call(called: Any) -> Dict[str, Any]:
    """Name and arguments; of OpenAI's own tools, their type and input."""
    call: Dict[str, Any] = {"name": cut(read_text(called, "name") or read_text(called, "type"))}
    for key in ("arguments", "input", "queries", "action", "code"):
        value = read_field(called, key)
        if value:
            call[key] = value
    return call


def _bounded(calls: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The calls with their arguments, as far as all of these are within the bounds."""
    left = _Left(MAX_VALUES, MAX_ARGUMENTS_CHARS)
    return [
        {name: _within(_parsed(value, left), left, MAX_DEPTH) for name, value in call.items()}
        for call in calls
    ]


class _Left:
    def __init__(self, n_values: int, n_chars: int) -> None:
        self.n_values = n_values
        self.n_chars = n_chars


def _parsed(value: Any, left: _Left) -> Any:
    return parse_arguments(value) if isinstance(value, str) and len(value) <= left.n_chars else value


def _within(value: Any, left: _Left, depth: int) -> Any:
    """A copy of `value`, cut where it exceeds what is left."""
    left.n_values -= 1
    if left.n_values < 0 or left.n_chars < 0 or not depth:
        return TOO_LONG
    if isinstance(value, str):
        text = value[: min(left.n_chars, MAX_TEXT_CHARS)]
        left.n_chars -= len(text) + 1
        return text
    if isinstance(value, dict):
        pairs = islice(value.items(), left.n_values + 1)
        return {_within(str(name), left, depth): _within(item, left, depth - 1) for name, item in pairs}
    if isinstance(value, (list, tuple)):
        return [_within(item, left, depth - 1) for item in islice(value, left.n_values + 1)]
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return TOO_LONG
    if value is None or isinstance(value, (bool, int, float)):
        left.n_chars -= 8
        return value
    return _within(_plain(value), left, depth - 1)


def _plain(value: Any) -> Any:
    to_dict = getattr(value, "model_dump", None) or getattr(value, "dict", None)
    return to_dict() if to_dict is not None else f"[{type(value).__name__}]"


def _reasons(reasons: List[str]) -> str:
    return cut(",".join(dict.fromkeys(reason for reason in reasons if reason)))


# ---- strings ----


def _text_of(content: Any) -> str:
    """A string, or the strings of a message's parts; other parts are named."""
    if isinstance(content, str):
        return cut(content)
    if not isinstance(content, (list, tuple)):
        return ""
    return _joined(map(_part, content[:MAX_PARTS]))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    for key in ("text", "refusal"):
        text = read_text(part, key)
        if text:
            return text
    kind = read_text(part, "type")
    return next((mark for word, mark in _MARKS if word in kind), "[other]") if kind else ""


_MARKS = (("image", "[image]"), ("audio", "[audio]"), ("video", "[video]"), ("file", "[file]"), ("text", ""))


def _joined(texts: Iterable[str]) -> str:
    pieces = Pieces()
    for n, text in enumerate(filter(None, texts)):
        pieces.add(("\n" if n else "") + text[: MAX_TEXT_CHARS + 1])
        if pieces.is_full():
            break
    return pieces.text()

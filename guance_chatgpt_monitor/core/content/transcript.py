"""What was said in one call: its request and its answer, read into texts.

Requests and answers of Chat Completions, Responses, Embeddings and Completions, as dicts, as the SDK's
objects, or as the chunks of a stream. Believes neither side: what is not of the documented form reads as
nothing. Images, sound and files are named, as `[image]`, and never read. Nothing here is redacted yet.
"""

import json
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple

from ..fields import read_field, read_text

# Characters of one text, tool calls of one call and parts of one message: what is over is not read. A text is
# cut to the setting later; this is what an answer of many megabytes may cost at most.
MAX_TEXT_CHARS = 1 << 18
MAX_TOOL_CALLS = 100
MAX_PARTS = 10_000


class Conversation(NamedTuple):
    """One call's texts; empty where there was none.

    Of the request, the last turn only: `question` is what the user said last, `tool_results` what tools
    returned after the model's last words, `n_messages` how many messages there were in all. The turns before
    are in the calls before.
    """

    system: str = ""
    question: str = ""
    tool_results: str = ""
    answer: str = ""
    tool_calls: List[Dict[str, Any]] = []  # noqa: RUF012 - never changed in place
    finish_reason: str = ""
    error_message: str = ""
    n_messages: int = 0


def read_conversation(request: Any, answer: Any = None) -> Conversation:
    """The conversation of one call.

    `request`: the arguments of the call, or the JSON object that was sent; `question` and `system` count as
    well. `answer`: an SDK's object, a dict, the JSON text of a body, a list of the chunks or events of a
    stream, or None.
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
        question = _cut(question) or _text_of(messages)
        return Conversation(_cut(system), question, n_messages=1 if question else 0)
    if not any(_is_message(item) for item in messages[:MAX_PARTS]):
        return Conversation(_cut(system), _texts_to_embed(messages), n_messages=len(messages))
    told = [system, *(_content(item) for item in messages if _role(item) in ("system", "developer"))]
    return Conversation(
        system=_joined(told),
        question=next((_content(item) for item in reversed(messages) if _role(item) == "user"), ""),
        tool_results=_joined(_content(item) for item in _after_answer(messages) if _role(item) == "tool"),
        n_messages=len(messages),
    )


def _is_message(item: Any) -> bool:
    return bool(read_field(item, "role") or read_field(item, "type"))


def _role(item: Any) -> str:
    """`system`, `developer`, `user`, `tool`, or `assistant` for all that the model made."""
    role = read_text(item, "role")
    if role:
        return "tool" if role == "function" else role
    return "tool" if read_text(item, "type").endswith("_output") else "assistant"


def _content(item: Any) -> str:
    content = read_field(item, "content")
    return _text_of(read_field(item, "output") if content is None else content)


def _after_answer(messages: Any) -> List[Any]:
    after: List[Any] = []
    for item in reversed(messages):
        if _role(item) == "assistant":
            break
        after.append(item)
    return after[::-1]


def _texts_to_embed(items: Any) -> str:
    """Texts, or tokens, which say nothing without their tokenizer."""
    return _joined([item for item in items[:MAX_PARTS] if isinstance(item, str)]) or (
        "[tokens]" if items else ""
    )


# ---- the answer ----


def _read_answer(answer: Any, conversation: Conversation) -> Conversation:
    if isinstance(answer, (str, bytes)):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            answer = None
    elif isinstance(answer, (list, tuple)):
        answer = _assembled(answer)
    error = read_field(answer, "error")
    if error:
        message = error if isinstance(error, str) else read_text(error, "message")
        conversation = conversation._replace(error_message=_cut(message))
    choices, output = read_field(answer, "choices"), read_field(answer, "output")
    if isinstance(choices, (list, tuple)):
        return _read_choices(choices[:MAX_PARTS], conversation)
    if isinstance(output, (list, tuple)):
        return _read_output(answer, output[:MAX_PARTS], conversation)
    return conversation


def _read_choices(choices: Any, conversation: Conversation) -> Conversation:
    texts, tool_calls, reasons = [], [], []
    for choice in choices:
        message = read_field(choice, "message")
        texts += [read_text(choice, "text"), _message_text(message)]
        tool_calls += list(_tool_calls_of(message))
        reasons.append(read_text(choice, "finish_reason"))
    return conversation._replace(
        answer=_joined(texts),
        tool_calls=tool_calls[:MAX_TOOL_CALLS],
        finish_reason=_reasons(reasons),
    )


def _message_text(message: Any) -> str:
    text = _text_of(read_field(message, "content")) or read_text(message, "refusal")
    audio = read_field(message, "audio")
    return text if text or not audio else read_text(audio, "transcript") or "[audio]"


def _tool_calls_of(message: Any) -> Iterator[Dict[str, Any]]:
    calls = read_field(message, "tool_calls")
    for call in calls if isinstance(calls, (list, tuple)) else ():
        for kind in ("function", "custom"):
            called = read_field(call, kind)
            if called:
                yield _tool_call(called)
    called = read_field(message, "function_call")  # what they were before there were tools
    if called:
        yield _tool_call(called)


def _read_output(response: Any, output: Any, conversation: Conversation) -> Conversation:
    texts, tool_calls = [], []
    for item in output:
        kind = read_text(item, "type")
        if kind == "message":
            texts.append(_content(item))
        elif kind.endswith("_call"):
            tool_calls.append(_tool_call(item))
    reason = read_text(read_field(response, "incomplete_details"), "reason") or read_text(response, "status")
    return conversation._replace(
        answer=_joined(texts),
        tool_calls=tool_calls[:MAX_TOOL_CALLS],
        finish_reason=_cut(reason),
    )


def _tool_call(called: Any) -> Dict[str, Any]:
    """Name and arguments; for OpenAI's own tools, their kind and what they were asked."""
    call: Dict[str, Any] = {"name": _cut(read_text(called, "name") or read_text(called, "type"))}
    for key in ("arguments", "input", "queries", "action", "code"):
        value = _plain(read_field(called, key))
        if value:
            call[key] = _parsed(value) if isinstance(value, str) else value
    return call


def _parsed(text: str) -> Any:
    """Arguments are JSON in a text, where escapes would hide what is to be redacted."""
    try:
        return json.loads(text) if len(text) <= MAX_TEXT_CHARS else _cut(text)
    except (ValueError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    to_dict = getattr(value, "model_dump", None) or getattr(value, "dict", None)
    return to_dict() if to_dict is not None and not isinstance(value, dict) else value


def _reasons(reasons: List[str]) -> str:
    return _cut(",".join(dict.fromkeys(reason for reason in reasons if reason)))


# ---- streams ----


def _assembled(chunks: Any) -> Any:
    """The answer that the chunks of a stream are the parts of."""
    events: Dict[int, Any] = {}
    choices: Dict[int, _Choice] = {}
    error: Any = None
    for chunk in chunks:
        kind = read_field(chunk, "type")
        response = read_field(chunk, "response")
        if response and kind in ("response.completed", "response.incomplete", "response.failed"):
            return response  # the last of a stream of events, and all of it
        if kind == "error":
            error = chunk
        elif isinstance(kind, str) and kind.startswith("response."):
            _add_event(events, kind, chunk)
        parts = read_field(chunk, "choices")
        for part in parts if isinstance(parts, (list, tuple)) else ():
            choices.setdefault(_index(part, "index"), _Choice()).add(part)
        error = read_field(chunk, "error") or error
    answer: Dict[str, Any] = {"error": error}
    if choices:
        answer["choices"] = [choice.as_dict() for _, choice in sorted(choices.items())]
    elif events:
        answer["output"] = [item for _, item in sorted(events.items())]
    return answer


class _Choice:
    """One choice of a stream of Chat Completions or Completions."""

    def __init__(self) -> None:
        self._text = _Pieces()
        self._content = _Pieces()
        self._refusal = _Pieces()
        self._tool_calls: Dict[int, _CallPieces] = {}
        self._finish_reason = ""

    def add(self, part: Any) -> None:
        delta = read_field(part, "delta")
        self._text.add(read_text(part, "text"))
        self._content.add(read_text(delta, "content"))
        self._refusal.add(read_text(delta, "refusal"))
        self._finish_reason = read_text(part, "finish_reason") or self._finish_reason
        calls = read_field(delta, "tool_calls")
        for call in calls if isinstance(calls, (list, tuple)) else ():
            called = read_field(call, "function") or read_field(call, "custom")
            self._call(_index(call, "index")).add(called)
        if read_field(delta, "function_call"):
            self._call(0).add(read_field(delta, "function_call"))

    def as_dict(self) -> Dict[str, Any]:
        calls = [{"function": call.as_dict()} for _, call in sorted(self._tool_calls.items())]
        message = {
            "content": self._content.text(),
            "refusal": self._refusal.text(),
            "tool_calls": calls,
        }
        return {"text": self._text.text(), "message": message, "finish_reason": self._finish_reason}

    def _call(self, index: int) -> "_CallPieces":
        return self._tool_calls.setdefault(index, _CallPieces())


class _CallPieces:
    def __init__(self) -> None:
        self._name = ""
        self._arguments = _Pieces()

    def add(self, called: Any) -> None:
        self._name = read_text(called, "name") or self._name
        self._arguments.add(read_text(called, "arguments") or read_text(called, "input"))

    def as_dict(self) -> Dict[str, str]:
        return {"name": self._name, "arguments": self._arguments.text()}


class _Pieces:
    """Joined once at the end, up to MAX_TEXT_CHARS."""

    def __init__(self) -> None:
        self._pieces: List[str] = []
        self._n_chars = 0

    def add(self, piece: str) -> None:
        if piece and self._n_chars <= MAX_TEXT_CHARS:
            self._pieces.append(piece)
            self._n_chars += len(piece)

    def text(self) -> str:
        return _cut("".join(self._pieces))


def _add_event(items: Dict[int, Any], kind: str, event: Any) -> None:
    """Take in an event of the Responses API: an item of its output, whole or in pieces."""
    index = _index(event, "output_index")
    item = read_field(event, "item")
    if item and kind == "response.output_item.done":
        items[index] = item
    elif item and kind == "response.output_item.added":
        items[index] = _Item(item)
    elif kind.endswith(".delta") and kind.startswith(_SAID):
        known = items.setdefault(index, _Item(None))
        if isinstance(known, _Item):
            known.add(read_text(event, "delta"))


_SAID = (
    "response.output_text.",
    "response.refusal.",
    "response.function_call_arguments.",
    "response.custom_tool_call_input.",
    "response.mcp_call_arguments.",
)


class _Item:
    """An item of which no more than the beginning is there: the stream was given up."""

    def __init__(self, item: Any) -> None:
        self.type = read_text(item, "type") or "message"
        self.name = read_text(item, "name")
        self._pieces = _Pieces()

    def add(self, piece: str) -> None:
        self._pieces.add(piece)

    @property
    def content(self) -> str:
        return self._pieces.text()

    @property
    def arguments(self) -> str:
        return self._pieces.text()


# ---- texts ----


def _text_of(content: Any) -> str:
    """A text, or the texts of a message's parts, with the others named."""
    if isinstance(content, str):
        return _cut(content)
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
    pieces = _Pieces()
    for n, text in enumerate(filter(None, texts)):
        pieces.add(("\n" if n else "") + text)
    return pieces.text()


def _cut(text: str) -> str:
    return text[:MAX_TEXT_CHARS]


def _index(source: Any, name: str) -> int:
    index = read_field(source, name)
    return index if isinstance(index, int) else 0

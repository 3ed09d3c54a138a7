"""Puts an answer together from the chunks of a stream; and the bounds of what is read of any answer."""

import json
from typing import Any, Dict, List

from ..answers import error_in
from ..fields import read_field, read_text

# Characters per string, and tool calls per call; any excess is not read. Strings are cut to the setting
# later: these limits bound the cost of an answer of many megabytes.
MAX_TEXT_CHARS = 1 << 18
MAX_TOOL_CALLS = 100
# Choices, or output items, per stream.
MAX_CHOICES = 1000
# JSON has integers of any length, and the time to read one grows with the square of it.
_MAX_INT_DIGITS = 40


class StreamedAnswer:
    """Puts an answer together from the chunks or events of a stream.

    Keeps its strings, up to MAX_TEXT_CHARS each, and no chunk.
    """

    def __init__(self) -> None:
        self._events: Dict[int, Any] = {}
        self._choices: Dict[int, _Choice] = {}
        self._error: Any = None
        self._response: Any = None

    def add(self, chunk: Any) -> None:
        kind = read_field(chunk, "type")
        response = read_field(chunk, "response")
        if response and kind in ("response.completed", "response.incomplete", "response.failed"):
            self._response = response  # the last event has the whole answer
        if kind != "error" and isinstance(kind, str) and kind.startswith("response."):
            _add_event(self._events, kind, chunk)
        parts = read_field(chunk, "choices")
        for part in parts if isinstance(parts, (list, tuple)) else ():
            index = _index(part, "index")
            if index in self._choices or len(self._choices) < MAX_CHOICES:
                self._choices.setdefault(index, _Choice()).add(part)
        self._error = error_in(chunk, is_whole=False) or self._error

    def answer(self) -> Any:
        if self._response is not None:
            return self._response
        answer: Dict[str, Any] = {"error": self._error}
        if self._choices:
            answer["choices"] = [choice.as_dict() for _, choice in sorted(self._choices.items())]
        elif self._events:
            answer["output"] = [item for _, item in sorted(self._events.items())]
        return answer


class _Choice:
    """One choice of a stream of Chat Completions or Completions."""

    def __init__(self) -> None:
        self._text = Pieces()
        self._content = Pieces()
        self._refusal = Pieces()
        self._tool_calls: List[_CallPieces] = []
        self._finish_reason = ""

    def add(self, part: Any) -> None:
        delta = read_field(part, "delta")
        self._text.add(read_text(part, "text"))
        self._content.add(_piece(read_field(delta, "content")))
        self._refusal.add(read_text(delta, "refusal"))
        self._finish_reason = read_text(part, "finish_reason") or self._finish_reason
        calls = read_field(delta, "tool_calls")
        for call in calls if isinstance(calls, (list, tuple)) else ():
            called = read_field(call, "function") or read_field(call, "custom")
            self._add_call(read_field(call, "index"), read_text(call, "id"), called)
        if read_field(delta, "function_call"):
            self._add_call(0, "", read_field(delta, "function_call"))

    def as_dict(self) -> Dict[str, Any]:
        message = {
            "content": self._content.text(),
            "refusal": self._refusal.text(),
            "tool_calls": [{"function": call.as_dict()} for call in self._tool_calls],
        }
        return {"text": self._text.text(), "message": message, "finish_reason": self._finish_reason}

    def _add_call(self, index: Any, call_id: str, called: Any) -> None:
        """Gateways give parallel calls one index, or none; what continues a call may lack its id."""
        name = read_text(called, "name")
        latest = reversed(self._tool_calls)
        known = next((call for call in latest if index is None or call.index in (index, None)), None)
        if known is None or known.is_followed_by(call_id, name):
            if len(self._tool_calls) == MAX_TOOL_CALLS:
                return
            known = _CallPieces(index, call_id)
            self._tool_calls.append(known)
        known.add(name, read_text(called, "arguments") or read_text(called, "input"))


class _CallPieces:
    def __init__(self, index: Any, call_id: str) -> None:
        self.index = index
        self._id = call_id
        self._name = ""
        self._arguments = Pieces()

    def is_followed_by(self, call_id: str, name: str) -> bool:
        """Whether a piece with this id and name, each of which may be empty, begins another call."""
        if not name or (call_id and call_id == self._id):
            return False
        if call_id and self._id:
            return True
        return isinstance(parse_arguments(self._arguments.text()), dict)  # they are complete

    def add(self, name: str, arguments: str) -> None:
        # In pieces, or whole with each piece.
        self._name = name if name.startswith(self._name) else self._name + name
        self._arguments.add(arguments)

    def as_dict(self) -> Dict[str, str]:
        return {"name": cut(self._name), "arguments": self._arguments.text()}


def _piece(content: Any) -> str:
    if isinstance(content, (list, tuple)):
        return "".join(read_text(part, "text") for part in content)
    return content if isinstance(content, str) else ""


class Pieces:
    """A string of up to MAX_TEXT_CHARS in pieces, joined once at the end."""

    def __init__(self) -> None:
        self._pieces: List[str] = []
        self._n_chars = 0

    def add(self, piece: str) -> None:
        if piece and self._n_chars <= MAX_TEXT_CHARS:
            self._pieces.append(piece)
            self._n_chars += len(piece)

    def is_full(self) -> bool:
        return self._n_chars > MAX_TEXT_CHARS

    def text(self) -> str:
        return cut("".join(self._pieces))


def _add_event(items: Dict[int, Any], kind: str, event: Any) -> None:
    """Read an event of the Responses API: an output item, whole or in pieces."""
    index = _index(event, "output_index")
    if index not in items and len(items) >= MAX_CHOICES:
        return
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
    """The beginning of an output item, of a stream that was abandoned."""

    def __init__(self, item: Any) -> None:
        self.type = read_text(item, "type") or "message"
        self.name = read_text(item, "name")
        self._pieces = Pieces()

    def add(self, piece: str) -> None:
        self._pieces.add(piece)

    @property
    def content(self) -> str:
        return self._pieces.text()

    @property
    def arguments(self) -> str:
        return self._pieces.text()


def _index(source: Any, name: str) -> int:
    index = read_field(source, name)
    return index if isinstance(index, int) else 0


def parse_arguments(text: str) -> Any:
    """The arguments of a tool, parsed from their JSON, whose escapes could hide secrets."""
    try:
        return json.loads(text, parse_int=_int) if len(text) <= MAX_TEXT_CHARS else cut(text)
    except (ValueError, RecursionError):
        return text


def _int(digits: str) -> Any:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else digits


def cut(text: str) -> str:
    return text[:MAX_TEXT_CHARS]

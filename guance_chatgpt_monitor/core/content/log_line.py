"""The log line of one call, in DataKit's logging category: what was said, redacted and cut.

The line has the measurement (the log's `source`), tags and time of the call's point, its fields for times,
usage and cost, and the strings. DataKit keeps strings in this category only, and drops a tag or field named
`source` or `date` here (from its source). It answers a line above 1 MiB with 200, and skips it (observed).
"""

import json
import random
import re
from typing import Any, Callable, Dict, Sequence, Tuple

from ..call import Call
from ..line_protocol import Point, encode
from .redaction import CUT_MARK, Redactor
from .transcript import Conversation, read_conversation

# Per line, with room for the tags that DataKit adds. Any excess is cut from the longest strings.
MAX_LINE_BYTES = 1_000_000
# Per string; far below the limit, for the sake of whoever reads, stores and pays for it. A question and an
# answer of LONGEST_MAX_CHARS characters of four bytes each fit in a line.
DEFAULT_MAX_CHARS = 16_384
LONGEST_MAX_CHARS = 120_000
EXCERPT_CHARS = 500  # of the question and of the answer each, in `message`

NUMBERS = (
    "response_time",
    "processing_time",
    "time_to_first_token",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
)
_MAX_REASON_CHARS = 64
# Tags with words of ours; all others may come from a caller, as may the name of a model.
_OWN_TAGS = frozenset(
    (
        "operation_name",
        "provider_name",
        "status",
        "status_code",
        "error_type",
        "stream",
        "service_name",
        "host",
    )
)
_MAX_TAG_CHARS = 1024
_REMEMBERED_TAGS = 1000
_TEXT_FIELD = re.compile(r'([ ,](?:\\.|[^,= "\\])+=")((?:[^"\\]|\\.)*)"', re.DOTALL)
_FIELDS_BEGIN = re.compile(r"(?:\\.|[^ \\])+", re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\])')


class ContentLog:
    """Makes the lines of one application. Safe to use from any thread.

    `max_chars`: the length of each string. `rate`: the share of answered calls that get a line, 0 to 1;
    failed calls always do. Raises ValueError for an invalid setting.
    """

    def __init__(
        self,
        max_chars: int = DEFAULT_MAX_CHARS,
        rate: float = 1.0,
        patterns: Sequence[str] = (),
        secrets: Sequence[str] = (),
        draw: Callable[[], float] = random.random,
    ) -> None:
        if type(max_chars) is not int or not 1 <= max_chars <= LONGEST_MAX_CHARS:
            raise ValueError(f"log_content_max_chars must be a whole number from 1 to {LONGEST_MAX_CHARS}")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ValueError("log_content_rate must be a number from 0 to 1")
        try:
            self._redactor = Redactor(patterns, secrets)
        except ValueError as error:
            raise ValueError(f"redact_patterns {error}") from None
        self._max_chars = max_chars
        self._rate = rate
        self._draw = draw
        self._tags: Dict[Tuple[str, Tuple[str, ...]], str] = {}

    def wants(self, call: Call) -> bool:
        """Whether this call gets a line. To be asked once per call."""
        return bool(call.error_type) or self._draw() < self._rate

    def line_of(self, point: Point, call: Call, request: Any, answer: Any) -> str:
        """Like `line()`, with the conversation read from `request` and `answer`."""
        return self.line(point, call, read_conversation(request, answer))

    def line(self, point: Point, call: Call, conversation: Conversation) -> str:
        """The line of a call whose point is `point`."""
        texts = self._texts(conversation)
        request_id = self._redactor.redact(call.request_id, _MAX_TAG_CHARS, conversation.secrets)
        texts.update(request_id=request_id, trace_id=call.trace_id, span_id=call.span_id)
        if call.finish_reason:
            del texts["finish_reason"]  # it is a tag, and no name can be both
        texts = {name: text for name, text in texts.items() if text}
        # Shown in lists of logs, and searched where no field is named.
        texts["message"] = _excerpt(texts) or _in_words(call)
        numbers = {name: point.fields[name] for name in NUMBERS if name in point.fields}
        if conversation.n_messages:
            numbers["messages"] = float(conversation.n_messages)
        tags = self._redacted_tags(point.tags, conversation.secrets)
        point = point._replace(fields=numbers, tags=tags)
        line = encode(point, texts)
        n_over = len(line.encode("utf-8", "replace")) - MAX_LINE_BYTES
        return line if n_over <= 0 else encode(point, _shortened(texts, n_over))

    def redact_again(self, line: str) -> str:
        """A line of an earlier process, redacted by the rules and patterns of this one.

        Anything else than a line with strings is returned unchanged.
        """
        begins = _FIELDS_BEGIN.match(line)
        if begins is None:
            return line

        def redacted(match: "re.Match[str]") -> str:
            text = _ESCAPE.sub(r"\1", match.group(2))
            again = self._redactor.redact(text, len(text) + LONGEST_MAX_CHARS)
            if again == text:
                return match.group()
            written = encode(Point("x", {}, {}, 0), {"t": again})
            return match.group(1) + written[len('x t="') : -len(" 0")]

        return line[: begins.end()] + _TEXT_FIELD.sub(redacted, line[begins.end() :])

    def _redacted_tags(self, tags: Dict[str, str], secrets: Sequence[str]) -> Dict[str, str]:
        redacted = {}
        for name, value in tags.items():
            if name in _OWN_TAGS:
                continue
            known = (value, tuple(secrets))
            text = self._tags.get(known)
            if text is None:
                text = self._redactor.redact(value, _MAX_TAG_CHARS, secrets)
                if len(self._tags) < _REMEMBERED_TAGS:
                    self._tags[known] = text
            if text != value:
                redacted[name] = text
        return {**tags, **redacted} if redacted else tags

    def _texts(self, conversation: Conversation) -> Dict[str, str]:
        def redact(text: str) -> str:
            return self._redactor.redact(text, self._max_chars, conversation.secrets) if text else ""

        return {
            "system": redact(conversation.system),
            "question": redact(conversation.question),
            "tool_results": redact(conversation.tool_results),
            "answer": redact(conversation.answer),
            "tool_calls": redact(self._json(conversation.tool_calls)),
            "finish_reason": redact(conversation.finish_reason)[:_MAX_REASON_CHARS],
            "error_message": redact(conversation.error_message),
        }

    def _json(self, value: Any) -> str:
        if not value:
            return ""
        return json.dumps(value, ensure_ascii=False, default=_kind)


def _kind(value: Any) -> str:
    return f"[{type(value).__name__}]"


def _in_words(call: Call) -> str:
    """The message of a call without question and answer."""
    if not call.error_type:
        return call.operation_name
    status = "" if call.status_code is None else f" ({call.status_code})"
    return f"{call.operation_name} {call.request_model} failed: {call.error_type}{status}"


def _excerpt(texts: Dict[str, str]) -> str:
    """The beginning of the question, and of the answer or error."""
    question = texts.get("question", "") or texts.get("tool_results", "")
    answer = texts.get("error_message", "") or texts.get("answer", "") or texts.get("tool_calls", "")
    return " → ".join(text[:EXCERPT_CHARS] for text in (question, answer) if text)


def _shortened(texts: Dict[str, str], n_over: int) -> Dict[str, str]:
    """The longest ones cut to one length, so that the line is `n_over` bytes shorter."""
    sizes = {name: _written_bytes(text) for name, text in texts.items()}
    aimed = sum(sizes.values()) - n_over
    limit, left, n_left = 0, aimed, len(sizes)
    for size in sorted(sizes.values()):
        limit = left // n_left
        if size > limit:
            break
        left, n_left = left - size, n_left - 1
    return {name: text if sizes[name] <= limit else _to_size(text, limit) for name, text in texts.items()}


def _written_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace")) + text.count("\\") + text.count('"')


def _to_size(text: str, limit_bytes: int) -> str:
    """`text` cut, so that it fits the limit with its mark and escapes."""
    limit_bytes -= len(CUT_MARK.encode("utf-8"))
    text = text.encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")
    while _written_bytes(text) > limit_bytes:
        text = text[: len(text) - max(1, (_written_bytes(text) - limit_bytes) // 8)]
    return text + CUT_MARK

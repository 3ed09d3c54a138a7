"""What was said in one call -> one line of DataKit's logging category, redacted and cut. Only if asked for.

The line has measurement (which is the log's `source`), tags and time of the call's point; of its fields those
that say how long it took and what it used; and the texts. DataKit keeps texts in this category only, of up to
32 MiB each (read in its source, as is that it drops a tag or field named `source` or `date` here).
"""

import json
import random
from typing import Any, Callable, Dict, Sequence

from ..call import Call
from ..line_protocol import Point, encode
from .redaction import Redactor
from .transcript import Conversation, read_conversation

# Of each text, in characters; far below DataKit's limit, for the sake of who reads, stores and pays for it.
DEFAULT_MAX_CHARS = 16_384
LONGEST_MAX_CHARS = 131_072
EXCERPT_CHARS = 500  # of the question and of the answer, in `message`

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


class ContentLog:
    """Makes the lines of one application. Any thread.

    `max_chars` is the length of each text, `rate` the share of calls that have a line: 0 to 1. A call that
    failed always has one. Raises ValueError for a wrong setting.
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

    def wants(self, call: Call) -> bool:
        """Whether this call is to have a line. Asked once for each call."""
        return bool(call.error_type) or self._draw() < self._rate

    def line_of(self, point: Point, call: Call, request: Any, answer: Any) -> str:
        """As `line()`, of what `read_conversation()` reads."""
        return self.line(point, call, read_conversation(request, answer))

    def line(self, point: Point, call: Call, conversation: Conversation) -> str:
        """The line of a call; `point` is its point."""
        texts = self._texts(conversation)
        texts.update(request_id=call.request_id, trace_id=call.trace_id, span_id=call.span_id)
        if call.finish_reason:
            del texts["finish_reason"]  # it is a tag, and a name cannot be both
        texts = {name: text for name, text in texts.items() if text}
        # What a list of logs shows, and a search without a field's name looks at.
        texts["message"] = _excerpt(texts) or _in_words(call)
        numbers = {name: point.fields[name] for name in NUMBERS if name in point.fields}
        if conversation.n_messages:
            numbers["messages"] = float(conversation.n_messages)
        return encode(point._replace(fields=numbers), texts)

    def _texts(self, conversation: Conversation) -> Dict[str, str]:
        return {
            "system": self._redact(conversation.system),
            "question": self._redact(conversation.question),
            "tool_results": self._redact(conversation.tool_results),
            "answer": self._redact(conversation.answer),
            "tool_calls": self._redact(self._json(conversation.tool_calls)),
            "finish_reason": self._redact(conversation.finish_reason)[:_MAX_REASON_CHARS],
            "error_message": self._redact(conversation.error_message),
        }

    def _redact(self, text: str) -> str:
        return self._redactor.redact(text, self._max_chars) if text else ""

    def _json(self, value: Any) -> str:
        if not value:
            return ""
        return json.dumps(value, ensure_ascii=False, default=_kind)


def _kind(value: Any) -> str:
    return f"[{type(value).__name__}]"


def _in_words(call: Call) -> str:
    """What a list of logs shows of a call of which nothing was said."""
    if not call.error_type:
        return call.operation_name
    status = "" if call.status_code is None else f" ({call.status_code})"
    return f"{call.operation_name} {call.request_model} failed: {call.error_type}{status}"


def _excerpt(texts: Dict[str, str]) -> str:
    """The beginning of the question, and of what came of it."""
    question = texts.get("question", "") or texts.get("tool_results", "")
    answer = texts.get("error_message", "") or texts.get("answer", "") or texts.get("tool_calls", "")
    return " → ".join(text[:EXCERPT_CHARS] for text in (question, answer) if text)

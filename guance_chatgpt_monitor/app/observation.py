"""What is recorded of a call while it is made, and how that becomes a Call on the exporter's thread.

The application waits for two clock readings and a few references. A reference to a whole answer would keep
its memory, so only its usage, model and error are kept. Prompts and answers are not read unless they are to
be logged: then `Content` holds them until the log line is made.
"""

import time
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from ..core.answers import error_in, has_content, is_answer, read_finish_reason
from ..core.call import AZURE_OPENAI, Call, provider_name
from ..core.errors import classify_error, classify_exception, rejected_answer, status_code_of
from ..core.fields import fields_of, parse_events, parse_object
from ..core.response_headers import Picked, pick_headers, read_numbers, read_request_id
from ..core.usage import NO_USAGE, Usage, find_usage, tells_tokens, usage_at_end, usage_of
from .active_span import SpanIds
from .call_content import Content
from .operations import GENERATIONS, MAY_BE_PLAIN

if TYPE_CHECKING:
    from ..core.content.transcript import Conversation

# The call, or the block of observe(), that is under way in this thread or task.
under_way: "ContextVar[Any]" = ContextVar("guance_chatgpt_monitor_call", default=None)

# Parsing a longer body would hold the interpreter for longer than the few milliseconds that an event loop can
# spare. An answer that long is a batch of embeddings, which ends with its usage.
MAX_PARSED_BYTES = 1 << 20
END_BYTES = 4096

# The finish reasons of Chat Completions that are not errors, in its own words and in ours.
_PLAIN_ENDS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls"}
# After these events of the Responses API and of assistants, a stream says nothing more about the answer.
_LAST_EVENTS = (
    *("response.completed", "response.failed", "response.incomplete", "response.cancelled"),
    *("thread.run.completed", "thread.run.incomplete", "thread.run.failed"),
    *("thread.run.cancelled", "thread.run.expired"),
)


class Observation:
    """One call. Its wrapper ends it once, or the `OpenAnswer` of an answer that is still open.

    `submit` takes it when it has ended; `clock` is in seconds.
    """

    # Defaults on the class: most calls change few of them.
    client: Any = None
    # What identifies the call while it is under way; None once it has ended.
    options: Any = None
    options_given: Any = None  # without our additions
    outer: Any = None
    response: Any = None  # HTTP's
    request_model: Any = None
    stream = False
    asks_for_usage = False
    requests_sent = 0
    status_code: Optional[int] = None
    headers: Optional[Picked] = None
    error_type: Optional[str] = None
    provider_name = ""  # empty: derived from these two
    client_class: type = object
    base_url: Any = ""
    response_model: Any = None
    service_tier: Any = None
    finish_reason = ""
    usage: Usage = NO_USAGE
    _usage_fields: Optional[Dict[str, Any]] = None  # a copy of the usage of a plain answer, read later
    tags: Optional[Dict[str, str]] = None
    # A body that is parsed later.
    body: Any = None
    # If the call is to be logged.
    content: Optional[Content] = None
    span: Optional[SpanIds] = None
    # Of a stream:
    first_content_s: Optional[float] = None
    _is_answered = False
    _told_instead: Optional[str] = None
    ended_s = 0.0

    def __init__(
        self,
        submit: Callable[[Any], None],
        operation_name: str,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.submit = submit
        self.operation_name = operation_name
        self.clock = clock
        self.started_s = clock()

    # ---- while the application waits ----

    def end(self, ended_s: Optional[float] = None) -> None:
        """Hand the call to the exporter. It ended at `ended_s` of its clock, by default now."""
        self.ended_s = self.clock() if ended_s is None else ended_s
        self.submit(self)

    def note_call(self, _: str) -> None:
        """Another call was made while this one is under way. Each has its own point."""

    def failed(self, error: BaseException) -> None:
        self.note_error(error)
        self.end()

    def note_error(self, error: BaseException) -> None:
        # Classified at once: an exception keeps the application's frames alive.
        status_code = status_code_of(error)
        if status_code is not None:
            self.status_code = status_code
        headers = getattr(getattr(error, "response", None), "headers", None)
        if headers:
            self.headers = pick_headers(headers)
        # An answer that was cut short is paid for, too.
        rejected = rejected_answer(error)
        if rejected is not None:
            self._note(rejected, is_whole=False)
        self.error_type = classify_exception(error, self.status_code)
        if self.content is not None:
            self.content.note_error(error)

    def note_answer(self, answer: Any, is_whole: bool = True) -> None:
        """Record usage, model, finish reason and error of an answer: an SDK's object, a dict, or a body.

        A part of an answer (`is_whole=False`) need not have choices, output or data.
        """
        if self.content is not None:
            self.content.note_answer(answer)
        if not isinstance(answer, (str, bytes, bytearray)):
            self._note(answer, is_whole)
        elif self.operation_name in MAY_BE_PLAIN and answer[:1] not in ("{", b"{"):
            pass  # plain text, or sound
        elif len(answer) <= MAX_PARSED_BYTES:
            self.body = answer
        else:
            self.note_end_of_body(answer[-END_BYTES:])

    def note_end_of_body(self, end: Any) -> None:
        """Record what the end of a long body says; the rest is not parsed."""
        self.usage = usage_of(usage_at_end(end))

    def note_plain(self, answer: Any) -> bool:
        """Record an answer that is exactly as the SDK documents it, and is not to be logged.

        Returns False for any other, of which nothing is recorded. Saves 4 us a call: the usage is copied
        here, and read on the exporter's thread.
        """
        if self.content is not None:
            return False
        try:
            fields = answer.__dict__
            (choice,) = fields["choices"]
            usage = fields["usage"]
            finish_reason = _PLAIN_ENDS.get(choice.finish_reason)
            if (
                finish_reason is None
                or answer.__pydantic_extra__
                or choice.__pydantic_extra__
                or usage.__pydantic_extra__
                or not usage.total_tokens
            ):
                return False
            copied = usage.__dict__.copy()
            for name in ("prompt_tokens_details", "completion_tokens_details"):
                details = copied.get(name)
                if details is not None:
                    copied[name] = dict(fields_of(details))
        except (AttributeError, LookupError, TypeError, ValueError):
            return False
        self._usage_fields = copied
        self.response_model = fields.get("model")
        self.service_tier = fields.get("service_tier")
        self.finish_reason = finish_reason
        return True

    def _note(self, source: Any, is_whole: bool) -> None:
        fields = fields_of(source)
        usage = find_usage(source)
        is_first = self.usage is NO_USAGE and self._usage_fields is None
        if usage is not None and (is_first or tells_tokens(usage)):
            # Copied: the object is the application's, and some libraries add to it.
            self.usage, self._usage_fields = usage_of(usage), None
        self.response_model = fields.get("model") or self.response_model
        self.service_tier = fields.get("service_tier") or self.service_tier
        self.finish_reason = read_finish_reason(source) or self.finish_reason
        error = error_in(source, is_whole and self.operation_name in GENERATIONS)
        if error is not None and self.error_type is None:
            self.error_type = classify_error(self.status_code, error)

    # ---- of a stream ----

    def note_chunk(self, chunk: Any, read_s: float) -> bool:
        """Record a chunk, an SDK's object or a dict. Returns whether it is the last that says anything."""
        if self.first_content_s is None and has_content(chunk):
            self.first_content_s = read_s
        return self._note_event(chunk) in _LAST_EVENTS

    def _note_event(self, chunk: Any) -> Any:
        """Record all that a chunk says. Returns the type of the event, if it is one."""
        fields = fields_of(chunk)
        kind = fields.get("type")
        # Events of the Responses API contain the answer, those of an assistant the run.
        inside = fields.get("response") or (fields.get("data") if "event" in fields else None)
        self._note(inside or chunk, is_whole=False)
        if kind == "response.failed" and self.error_type is None:
            self.error_type = "other"
        if not self._is_answered:
            self._is_answered = is_answer(chunk) or self.operation_name not in GENERATIONS
            if not self._is_answered and self._told_instead is None:
                self._told_instead = classify_error(self.status_code, error_in(chunk))
        return kind or fields.get("event")

    def end_stream(self, ended_s: float) -> None:
        """The stream was read to its end."""
        self._note_end()
        self.end(ended_s)

    def _note_end(self) -> None:
        if not self._is_answered and self.error_type is None:
            # A web page, nothing at all, or an error in an unknown form.
            self.error_type = self._told_instead or "other"

    # ---- on the exporter's thread ----

    def to_call(self) -> Call:
        if self.body is not None:
            self._parse_body()
        elif self._usage_fields is not None:
            self.usage = usage_of(self._usage_fields)
        first_content_s = self.first_content_s
        rate_limit, processing_time_s = read_numbers(self.headers)
        return Call(
            operation_name=self.operation_name,
            request_model=_text(self.request_model),
            provider_name=self.provider_name or _provider_of(self.client_class, str(self.base_url)),
            response_model=_text(self.response_model),
            stream=self.stream,
            requests_sent=self.requests_sent,
            status_code=self.status_code,
            error_type=self.error_type,
            usage=self.usage,
            tags=self.tags or {},
            started_s=self.started_s,
            response_time_s=_to_us(self.ended_s - self.started_s),
            time_to_first_token_s=(
                None if first_content_s is None else _to_us(first_content_s - self.started_s)
            ),
            ended_at_ns=time.time_ns() - int((self.clock() - self.ended_s) * 1e9),
            rate_limit=rate_limit,
            processing_time_s=processing_time_s,
            request_id=read_request_id(self.headers),
            trace_id=self.span.trace_id if self.span else "",
            span_id=self.span.span_id if self.span else "",
            service_tier=_text(self.service_tier),
            finish_reason=self.finish_reason,
        )

    def to_conversation(self) -> "Optional[Conversation]":
        # Not kept: a thread or a task may hold on to the observation of its last call.
        content, self.content = self.content, None
        return None if content is None else content.read()

    def _parse_body(self) -> None:
        body, self.body = self.body, None
        answer = parse_object(body)
        if answer is not None:
            self._note(answer, is_whole=True)
            return
        # A stream that a hook or a transport of the application has read in one piece.
        for event in parse_events(body):
            self._note_event(event)
        self._note_end()


@lru_cache(maxsize=64)
def _provider_of(client_class: type, base_url: str) -> str:
    if any(cls.__name__ in ("AzureOpenAI", "AsyncAzureOpenAI") for cls in client_class.__mro__):
        return AZURE_OPENAI  # whatever host is in front of it
    return provider_name(base_url)


def is_piece(chunk: Any) -> bool:
    """Whether a chunk has a piece of the answer and nothing else of interest."""
    try:
        fields = chunk.__dict__
        if chunk.__pydantic_extra__ or fields.get("usage") is not None:
            return False
        if "choices" in fields:
            choice = fields["choices"][0]
            return choice.finish_reason is None and not choice.__pydantic_extra__
        kind = fields["type"]
    except (AttributeError, LookupError, TypeError):
        return False  # another SDK's, or in a gateway's own form
    return kind != "error" and kind not in _LAST_EVENTS


def _to_us(time_s: float) -> float:
    """Rounded to the microsecond: all the digits of a float take twice the space and the time to write."""
    return round(time_s * 1e6) / 1e6


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

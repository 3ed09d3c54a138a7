"""What is noted of one call while it is made, and how that becomes a Call on the exporter's thread.

What the application waits for is two clock readings and a few references. A reference to a whole answer
would keep its memory: noted are its usage, its model and its error. Prompts and answers are not looked at,
unless they are to be logged: then `content` holds them until the log line is made.
"""

import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from ..core.call import Call, provider_name
from ..core.errors import classify_error
from ..core.response_headers import Picked, pick_headers, read_numbers, read_request_id
from ..core.usage import usage_of
from .answers import error_type_of, fields_of, has_content, parse_body, usage_at_end
from .content import Content

if TYPE_CHECKING:
    from ..core.content.transcript import Conversation

# The call that is under way in this thread or task, or the block of observe(), whose requests are counted.
under_way: "ContextVar[Any]" = ContextVar("guance_chatgpt_monitor_call", default=None)

# Parsing longer text than this would hold the interpreter for more than the few milliseconds that an event
# loop can miss. An answer that long is a batch of embeddings, and those end with their usage.
MAX_PARSED_BYTES = 1 << 20
END_BYTES = 4096


class Observation:
    """One call. Who ends it sees to it that it ends once: the wrapper, or the `Ending` of an open answer.

    Who begins one sets the first five attributes, and most calls few others. So there is no `__init__`: to
    call it would take longer than to set them.
    """

    submit: Callable[[Any], None]
    operation_name: str
    # What the call is known by while it is under way; None for one that has ended.
    scope: Any = None
    options: Any = None
    # On the clock of time.perf_counter().
    started_s: float
    ended_s = 0.0

    outer: Any = None
    request_model: Any = None
    stream = False
    asks_for_usage = False
    requests_sent = 0
    status_code: Optional[int] = None
    headers: Optional[Picked] = None
    error_type: Optional[str] = None
    provider_name = ""  # by default that of the URL
    url: Any = None
    response_model: Any = None
    service_tier: Any = None
    usage: Any = None
    tags: Optional[Dict[str, str]] = None
    # The text of a body, which is parsed later.
    body: Any = None
    # What was said, if that is to be logged.
    content: Optional[Content] = None
    # Of a stream.
    first_content_s: Optional[float] = None

    # ---- noted while the application waits ----

    def end(self, ended_s: Optional[float] = None) -> None:
        """Hand the call to the exporter; it ended now, or at `ended_s` of time.perf_counter()."""
        self.ended_s = time.perf_counter() if ended_s is None else ended_s
        self.submit(self)

    def note_call(self, _: str) -> "Observation":
        """Another call is made while this one is under way. Each has its own point."""
        return self

    def answered(self, answer: Any) -> None:
        self.note_answer(answer, getattr(answer, "__dict__", None))
        self.end()

    def failed(self, error: BaseException) -> None:
        self.note_error(error)
        self.end()

    def note_error(self, error: BaseException) -> None:
        # Classified at once: to keep the exception is to keep the frames of the application.
        status_code = getattr(error, "status_code", None)
        if isinstance(status_code, int):
            self.status_code = status_code
        headers = getattr(getattr(error, "response", None), "headers", None)
        if headers:
            self.headers = pick_headers(headers)
        # An answer that was cut short is paid for, too.
        self._note_fields(fields_of(getattr(error, "completion", None)))
        self.error_type = error_type_of(error, self.status_code)
        if self.content is not None:
            self.content.note_error(error)

    def note_answer(self, answer: Any, fields: Optional[Dict[str, Any]] = None) -> None:
        """Usage, model and error of an answer: an SDK's object (with these `fields`), a dict, or a text."""
        if self.content is not None:
            self.content.answer = answer
        if fields:
            self._note_fields(fields)
            unknown = getattr(answer, "__pydantic_extra__", None)
            if unknown:
                self._note_fields(unknown)
        elif isinstance(answer, dict):
            self._note_fields(answer)
        elif isinstance(answer, (str, bytes)):
            self._note_body(answer)
        else:
            self.error_type = "other"

    def _note_body(self, body: Any) -> None:
        if len(body) <= MAX_PARSED_BYTES:
            self.body = body
        else:
            self.usage = usage_at_end(body[-END_BYTES:])

    def _note_fields(self, fields: Dict[str, Any]) -> None:
        self.usage = fields.get("usage") or self.usage
        self.response_model = fields.get("model") or self.response_model
        self.service_tier = fields.get("service_tier") or self.service_tier
        error = fields.get("error")
        if error:
            self.error_type = classify_error(self.status_code, error)

    # ---- noted of a stream ----

    def note_early_chunk(self, chunk: Any, read_s: float) -> bool:
        """Whether `chunk` is the first with content. Asked of each chunk until one is."""
        # The model, should the stream be given up; the usage of an answer without content.
        self.note_chunk(chunk)
        if has_content(chunk):
            if self.first_content_s is None:
                self.first_content_s = read_s
            return True
        return False

    def note_chunk(self, chunk: Any) -> None:
        fields = fields_of(chunk)
        if fields.get("type") == "error":
            self.error_type = classify_error(self.status_code, chunk)
        else:
            # Events of the Responses API have the answer inside.
            response = fields.get("response")
            self._note_fields(fields_of(response) if response else fields)

    def has_usage_last(self) -> bool:
        """Whether the API has the usage in the last chunk only. OpenAI promises it, in `stream_options`."""
        return _provider_of(self.url) == "openai"

    def end_stream(self, last_chunk: Any, ended_s: float, complete: bool) -> None:
        """The stream was read to its end, or given up by the application, which is no error."""
        if last_chunk is not None:
            self.note_chunk(last_chunk)
        elif complete:
            self.error_type = "other"  # a page, or nothing at all, where events were asked for
        self.end(ended_s)

    def fail_stream(self, last_chunk: Any, error: BaseException) -> None:
        if last_chunk is not None:
            self.note_chunk(last_chunk)
        self.failed(error)

    # ---- on the exporter's thread ----

    def to_call(self) -> Call:
        if self.body is not None:
            self._parse_body()
        # Set one by one: as so many keywords, they take three times as long.
        call = _new_call()
        call.operation_name = self.operation_name
        call.request_model = _text(self.request_model)
        call.provider_name = self.provider_name or _provider_of(self.url)
        call.response_model = _text(self.response_model)
        call.stream = self.stream
        call.requests_sent = self.requests_sent
        call.status_code = self.status_code
        call.error_type = self.error_type
        call.usage = usage_of(self.usage)
        call.tags = self.tags or {}
        call.started_s = self.started_s
        call.response_time_s = _to_us(self.ended_s - self.started_s)
        first_content_s = self.first_content_s
        call.time_to_first_token_s = (
            None if first_content_s is None else _to_us(first_content_s - self.started_s)
        )
        call.ended_at_ns = time.time_ns() - int((time.perf_counter() - self.ended_s) * 1e9)
        call.rate_limit, call.processing_time_s = read_numbers(self.headers)
        call.request_id = read_request_id(self.headers)
        call.service_tier = _text(self.service_tier)
        call.finish_reason = ""
        return call

    def to_conversation(self) -> "Optional[Conversation]":
        # Not kept: the observation may stay with a thread or a task, as the last of its calls.
        content, self.content = self.content, None
        return None if content is None else content.read()

    def _parse_body(self) -> None:
        fields = parse_body(self.body)
        self.body = None
        if fields is None:
            self.error_type = "other"
        else:
            self._note_fields(fields)


# Without the constructor, which would first set what to_call() sets anew: whoever calls this sets all fields.
_new_call: Callable[[], Call] = partial(object.__new__, Call)

# The last URL that was asked for, and its provider: an application has few clients, and each has one URL.
_last_provider: Tuple[Any, str] = (None, provider_name(""))


def _provider_of(url: Any) -> str:
    global _last_provider
    last_url, name = _last_provider
    if url is not last_url:
        name = provider_name(str(url))
        _last_provider = url, name
    return name


def _to_us(time_s: float) -> float:
    """To the microsecond: all digits of a float are twice as long, and take as long again to be written."""
    return round(time_s * 1e6) / 1e6


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

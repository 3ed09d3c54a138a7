"""What is noted of one call while it is made, and how that becomes a Call on the exporter's thread.

What the application waits for is two clock readings and a few references. A reference to a whole answer
would keep its memory: noted are its usage, its model and its error. Prompts are not looked at.
"""

import time
from typing import Any, Callable, Dict, Optional

from .answers import error_type_of, fields_of, has_content, parse_body, usage_at_end
from .call import Call, classify_error, provider_name, read_usage

# Parsing longer text than this would hold the interpreter for more than the few milliseconds that an event
# loop can miss. An answer that long is a batch of embeddings, and those end with their usage.
MAX_PARSED_BYTES = 1 << 20
END_BYTES = 4096


class Observation:
    """One call. Who ends it sees to it that it ends once: the wrapper, or the `Ending` of an open answer."""

    # On the class, since most calls need few of them.
    stream = False
    requests_sent = 0
    status_code: Optional[int] = None
    error_type: Optional[str] = None
    provider_name = ""  # by default that of the URL
    url: Any = None
    response_model: Any = None
    usage: Any = None
    tags: Optional[Dict[str, str]] = None
    # The text of a body, which is parsed later.
    body: Any = None
    # What the call is known by while it is under way.
    scope: Any = None
    options: Any = None
    outer: Any = None
    asks_for_usage = False
    # Of a stream; the two last chunks, since the one with the usage may be followed by another.
    previous_chunk: Any = None
    last_chunk: Any = None
    last_chunk_s = 0.0
    first_content_s: Optional[float] = None
    ended_at_ns = 0
    # On the clock of time.perf_counter().
    ended_s = 0.0

    def __init__(self, submit: Callable[[Any], None], operation_name: str, request_model: Any) -> None:
        self._submit = submit
        self.operation_name = operation_name
        self.request_model = request_model
        self.started_s = time.perf_counter()

    # ---- noted while the application waits ----

    def end(self, ended_s: Optional[float] = None) -> None:
        """Hand the call to the exporter; it ended now, or at `ended_s` of time.perf_counter()."""
        now_s, now_ns = time.perf_counter(), time.time_ns()
        self.ended_s = now_s if ended_s is None else ended_s
        self.ended_at_ns = now_ns - int((now_s - self.ended_s) * 1e9)
        self._submit(self)

    def answered(self, answer: Any) -> None:
        self.note_answer(answer)
        self.end()

    def failed(self, error: BaseException) -> None:
        self.note_error(error)
        self.end()

    def note_error(self, error: BaseException) -> None:
        # Classified at once: to keep the exception is to keep the frames of the application.
        status_code = getattr(error, "status_code", None)
        if isinstance(status_code, int):
            self.status_code = status_code
        # An answer that was cut short is paid for, too.
        self._note_fields(fields_of(getattr(error, "completion", None)))
        self.error_type = error_type_of(error, self.status_code)

    def note_answer(self, answer: Any) -> None:
        """Usage, model and error of an answer: an SDK's object, a dict, or the text of a body."""
        if isinstance(answer, (str, bytes)):
            self._note_body(answer)
        elif isinstance(answer, dict) or hasattr(answer, "__dict__"):
            self._note_fields(fields_of(answer))
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
        error = fields.get("error")
        if error:
            self.error_type = classify_error(self.status_code, error)

    # ---- noted of a stream ----

    def note_early_chunk(self, chunk: Any) -> bool:
        """Whether `chunk` is the first with content. Asked of each chunk until one is."""
        if self.previous_chunk is None:
            self._note_chunk(chunk)  # the model, should the stream be given up
        if has_content(chunk):
            self.first_content_s = self.last_chunk_s
            return True
        return False

    def end_stream(self, complete: bool) -> None:
        """The stream was read to its end, or given up by the application, which is no error."""
        if complete and self.last_chunk is None:
            self.error_type = "other"  # a page, or nothing at all, where events were asked for
        self._note_last_chunks()
        self.end(self.last_chunk_s)

    def fail_stream(self, error: BaseException) -> None:
        self._note_last_chunks()
        self.failed(error)

    def _note_last_chunks(self) -> None:
        previous, last = self.previous_chunk, self.last_chunk
        self.previous_chunk = self.last_chunk = None
        if last is not None:
            self._note_chunk(last)
        if previous is not None and self.usage is None:
            self._note_chunk(previous)

    def _note_chunk(self, chunk: Any) -> None:
        fields = fields_of(chunk)
        if fields.get("type") == "error":
            self.error_type = classify_error(self.status_code, chunk)
        else:
            # Events of the Responses API have the answer inside.
            response = fields.get("response")
            self._note_fields(fields_of(response) if response else fields)

    # ---- on the exporter's thread ----

    def to_call(self) -> Call:
        if self.body is not None:
            self._parse_body()
        return Call(
            operation_name=self.operation_name,
            request_model=_text(self.request_model),
            provider_name=self.provider_name or provider_name(str(self.url)),
            response_model=_text(self.response_model),
            stream=self.stream,
            requests_sent=self.requests_sent,
            status_code=self.status_code,
            error_type=self.error_type,
            usage=read_usage({"usage": self.usage}),
            tags=self.tags or {},
            started_s=self.started_s,
            response_time_s=self.ended_s - self.started_s,
            time_to_first_token_s=self._time_to_first_token_s(),
            ended_at_ns=self.ended_at_ns,
        )

    def _time_to_first_token_s(self) -> Optional[float]:
        return None if self.first_content_s is None else self.first_content_s - self.started_s

    def _parse_body(self) -> None:
        fields = parse_body(self.body)
        self.body = None
        if fields is None:
            self.error_type = "other"
        else:
            self._note_fields(fields)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

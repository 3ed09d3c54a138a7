"""What is kept of a call's request and answer until its log line is made. Only where logs were asked for."""

from typing import TYPE_CHECKING, Any, Dict, List

if TYPE_CHECKING:
    from ..core.content.transcript import Conversation

# Of a stream, in memory for a second or so at some 4 KB each; of a longer one, what is in between has no log.
MAX_CHUNKS = 10_000


class Content:
    """Of one call, in the way of the application: references only."""

    __slots__ = ("_chunks", "_request", "answer")

    def __init__(self, request: Any) -> None:
        self._request = _as_it_is_now(request)
        self._chunks: List[Any] = []
        # An SDK's object, a dict, or the text of a body.
        self.answer: Any = None

    def add_chunk(self, chunk: Any) -> None:
        if len(self._chunks) < MAX_CHUNKS:
            self._chunks.append(chunk)
        else:
            self._chunks[-1] = chunk  # the last tells how it ended

    def note_error(self, error: BaseException) -> None:
        # The body only: to keep the exception is to keep the frames of the application.
        body = getattr(error, "body", None)
        self.answer = _text_of_answer(error) if body is None else {"error": body}

    def read(self) -> "Conversation":
        # Imported by who makes the logs, before the first call.
        from ..core.content.transcript import read_conversation

        return read_conversation(self._request, self._chunks or self.answer)


def _text_of_answer(error: BaseException) -> Any:
    """The first SDK does not keep the body of an error."""
    try:
        return error.response.text  # type: ignore[attr-defined]
    except Exception:
        return None  # there was no answer, or it was not read


def _as_it_is_now(request: Any) -> Any:
    """Applications add the answer to the list of messages that they sent."""
    if not isinstance(request, dict):
        return request
    copied: Dict[str, Any] = {
        name: list(value) if isinstance(value, list) else value for name, value in request.items()
    }
    return copied

"""What is kept of a call's request and answer until its log line is made, if calls are logged."""

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from .content_budget import size_bytes

if TYPE_CHECKING:
    from ..core.content.streamed_answer import StreamedAnswer
    from ..core.content.transcript import Conversation

# Chunks that are kept before they are read, of some 4 KB each; reading so many takes less than a millisecond.
MAX_CHUNKS = 64
CHUNK_BYTES = 4096


class Content:
    """References to request and answer; of a stream, its text.

    Chunks are read on the application's thread, a few at a time.
    """

    __slots__ = ("_answer", "_chunks", "_request", "_streamed", "keys")

    def __init__(self, request: Any) -> None:
        self._request = _as_it_is_now(request)
        self._chunks: List[Any] = []
        self._streamed: Optional[StreamedAnswer] = None
        # An SDK's object, a dict, or a body.
        self._answer: Any = None
        self.keys: Tuple[str, ...] = ()  # those that the call was made with

    def add_chunk(self, chunk: Any) -> None:
        self._chunks.append(chunk)
        if len(self._chunks) >= MAX_CHUNKS:
            self._read_chunks()

    def _read_chunks(self) -> None:
        # Imported already by whoever makes the logs.
        from ..core.content.streamed_answer import StreamedAnswer

        if self._streamed is None:
            self._streamed = StreamedAnswer()
        chunks, self._chunks = self._chunks, []
        for chunk in chunks:
            self._streamed.add(chunk)

    def note_answer(self, answer: Any) -> None:
        self._answer = answer
        self._chunks, self._streamed = [], None  # a part of it

    def note_error(self, error: BaseException) -> None:
        # The body only: an exception keeps the application's frames alive.
        body = getattr(error, "body", None)
        if body is not None:
            self._answer = {"error": body}
        elif self._answer is None:
            self._answer = _text_of_answer(error)

    def size_bytes(self) -> int:
        """Roughly the memory that it holds."""
        return len(self._chunks) * CHUNK_BYTES + size_bytes([self._request, self._answer, self._streamed])

    def read(self) -> "Conversation":
        from ..core.content.transcript import read_conversation

        if self._chunks:
            self._read_chunks()
        answer = self._answer if self._streamed is None else self._streamed.answer()
        return read_conversation(self._request, answer)._replace(secrets=self.keys)


class NothingSaid(Content):
    """Stands in for the content where failed calls are logged without it."""

    def __init__(self) -> None:
        super().__init__(None)

    def add_chunk(self, chunk: Any) -> None:
        """Keep nothing."""

    def note_answer(self, answer: Any) -> None:
        """Keep nothing."""

    def note_error(self, error: BaseException) -> None:
        """Keep nothing."""

    def size_bytes(self) -> int:
        return 0

    def read(self) -> "Conversation":
        from ..core.content.transcript import Conversation

        return Conversation()


def _text_of_answer(error: BaseException) -> Any:
    """The first SDK keeps no body on its errors."""
    try:
        return error.response.text  # type: ignore[attr-defined]
    except Exception:
        return None  # there was no response, or it was not read


def _as_it_is_now(request: Any) -> Any:
    """A copy: applications append the answer to the list of messages that they sent."""
    if not isinstance(request, dict):
        return request
    copied: Dict[str, Any] = {
        name: list(value) if isinstance(value, list) else value for name, value in request.items()
    }
    return copied

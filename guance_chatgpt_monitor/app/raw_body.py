"""Reads the answer out of a body that the application itself reads as bytes, text or lines."""

import json
from typing import Any, Callable, Dict

from .observation import END_BYTES, MAX_PARSED_BYTES, Observation


class RawBody:
    """Takes the bytes as they are read, in pieces of any length.

    From a stream of events, `note_chunk` gets each as a dict; from any other body, the observation gets the
    answer when it is complete. Up to MAX_PARSED_BYTES are kept; of a longer body, the end.
    """

    def __init__(
        self, observation: Observation, content_type: str, note_chunk: Callable[[Dict[str, Any]], None]
    ) -> None:
        self._observation = observation
        self._note_chunk = note_chunk
        # A gateway may give its events another content type; its errors are JSON.
        self.is_events = "event-stream" in content_type or (observation.stream and "json" not in content_type)
        self._kept = b""
        self._is_cut = False

    def complete(self) -> None:
        """The body was read to its end."""
        if self.is_events:
            self._note_line(self._kept)
        elif self._is_cut:
            self._observation.note_end_of_body(self._kept)
        else:
            self._observation.note_answer(self._kept)

    def add(self, piece: bytes) -> None:
        if self.is_events:
            self._add_events(piece)
            return
        self._kept += piece
        if len(self._kept) > MAX_PARSED_BYTES:
            self._kept, self._is_cut = self._kept[-END_BYTES:], True

    def _add_events(self, piece: bytes) -> None:
        *lines, rest = (self._kept + piece).replace(b"\r", b"\n").split(b"\n")
        self._kept = rest[:MAX_PARSED_BYTES]
        for line in lines:
            self._note_line(line)

    def _note_line(self, line: bytes) -> None:
        # Each event of these APIs has its JSON in one line.
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            return
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict):
            self._note_chunk(event)

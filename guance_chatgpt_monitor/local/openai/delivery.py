"""From an answer to the wire: whole, late, byte by byte, in half, or never."""

import threading
from http.client import responses as reason_phrases
from typing import Callable, Dict, List, NamedTuple, Optional

from ..http_server import Request, Response


class Answer(NamedTuple):
    """An answer before it is sent; `events` are those of a stream, else None."""

    response: Response
    events: Optional[List[bytes]] = None


class Delivery(NamedTuple):
    """What it takes to send an answer. `stopping` ends every wait."""

    request: Request
    answer: Answer
    seconds: Optional[float]
    stopping: threading.Event

    def send_head(self) -> None:
        head, is_stream = self.answer.response, self.answer.events is not None
        lines = [
            f"HTTP/1.1 {head.status_code} {reason_phrases.get(head.status_code, '-')}",
            f"Content-Type: {head.content_type}",
            *(f"{name}: {value}" for name, value in head.headers.items()),
            "Connection: close",
            "Transfer-Encoding: chunked" if is_stream else f"Content-Length: {len(head.body)}",
        ]
        self.request.send_raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send(self, piece: bytes) -> None:
        """Send a piece of the body; b"" ends it."""
        is_stream = self.answer.events is not None
        self.request.send_raw(b"%x\r\n%b\r\n" % (len(piece), piece) if is_stream else piece)


def deliver(delivery: Delivery) -> Optional[Response]:
    if delivery.answer.events is None:
        return delivery.answer.response
    delivery.send_head()
    for event in [*delivery.answer.events, b""]:
        delivery.send(event)
    return None


def _deliver_late(delivery: Delivery) -> Optional[Response]:
    return None if delivery.stopping.wait(delivery.seconds) else deliver(delivery)


def _deliver_never(delivery: Delivery) -> None:
    delivery.stopping.wait()


def _deliver_reset(delivery: Delivery) -> None:
    delivery.request.reset()


def _deliver_half(delivery: Delivery) -> None:
    # Closed, not reset: a reset may take back bytes that were sent.
    body, events = delivery.answer.response.body, delivery.answer.events
    pieces = [body[: len(body) // 2]] if events is None else events[: len(events) // 2]
    delivery.send_head()
    for piece in pieces:
        delivery.send(piece)


def _deliver_bytewise(delivery: Delivery) -> None:
    events = delivery.answer.events
    body = delivery.answer.response.body if events is None else b"".join(events)
    delivery.send_head()
    for position in range(len(body)):
        if delivery.stopping.wait(delivery.seconds):
            return
        delivery.send(body[position : position + 1])
    delivery.send(b"")


DELIVERIES: Dict[str, Callable[[Delivery], Optional[Response]]] = {
    "slow": _deliver_late,
    "hang": _deliver_never,
    "drip": _deliver_bytewise,
    "reset": _deliver_reset,
    "cut": _deliver_half,
}

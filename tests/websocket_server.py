"""A websocket server on loopback that sends the events of OpenAI's API: a pytest plugin."""

import json
import threading
from typing import Iterator, List

import openai
import pytest
from monitored import needs_parameter
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

REALTIME_USAGE = {
    "total_tokens": 30,
    "input_tokens": 10,
    "output_tokens": 20,
    "input_token_details": {"audio_tokens": 8, "cached_tokens": 4, "text_tokens": 2},
    "output_token_details": {"audio_tokens": 15, "text_tokens": 5},
}
FAILED = {"type": "server_error", "code": "server_error", "message": "x"}


def realtime(kind, number):
    """The events of one response."""
    response = {"id": f"resp_{number}", "object": "realtime.response"}
    yield {"type": "response.created", "response": {**response, "status": "in_progress"}}
    yield {"type": "response.output_audio.delta", "delta": "aGk=", "response_id": response["id"]}
    if kind in ("hang", "hang up"):
        return
    done = {"status": kind, "status_details": None, "usage": REALTIME_USAGE}
    if kind == "failed":
        done["status_details"] = {"type": "failed", "error": FAILED}
    if kind == "cancelled":
        done["status_details"] = {"type": "cancelled", "reason": "turn_detected"}
    yield {"type": "response.done", "response": {**response, **done}}


def responses(kind, number):
    response = {"id": f"resp_{number}", "object": "response", "model": "gpt-5-2026", "output": []}
    yield {"type": "response.created", "response": {**response, "status": "in_progress"}}
    yield {"type": "response.output_text.delta", "delta": "Hi"}
    if kind in ("hang", "hang up"):
        return
    done = {**response, "status": kind, "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    if kind == "failed":
        done["error"] = {"code": "rate_limit_exceeded", "message": "x"}
    if kind == "large":
        kind, done = "completed", {**done, "status": "completed", "instructions": "x" * (2 << 20)}
    yield {"type": f"response.{kind}", "response": done}


class Server:
    """Answers each `response.create` with the next of `kinds`."""

    def __init__(self) -> None:
        self.kinds: List[str] = []
        self.n_asked = 0

    def __call__(self, socket):
        try:
            for message in socket:
                if json.loads(message)["type"] != "response.create":
                    continue
                self.n_asked += 1
                kind = self.kinds.pop(0)
                if kind == "refused":
                    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "x"}
                    socket.send(json.dumps({"type": "error", "error": error, "event_id": "e"}))
                    continue
                events = realtime if "realtime" in socket.request.path else responses
                for event in events(kind, self.n_asked):
                    socket.send(json.dumps({"event_id": "e", "sequence_number": 0, **event}))
                if kind == "hang up":
                    return
        except ConnectionClosed:
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    needs_parameter(openai.OpenAI.__init__, "websocket_base_url")
    handler = Server()
    with serve(handler, "127.0.0.1", 0) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        handler.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}"
        yield handler
        listening.shutdown()

"""A server that keeps the bodies written to it, byte for byte."""

import gzip
import threading

from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response


class Recorder(LocalServer):
    """Answers like a DataKit that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._bodies: list[bytes] = []

    def respond(self, request: Request) -> Response:
        if request.path == "/v1/ping":
            return Response(200, {"content": {"version": "1.84.1", "host": "recorder", "uptime": "24h0m0s"}})
        zipped = request.headers.get("Content-Encoding") == "gzip"
        with self._lock:
            self._bodies.append(gzip.decompress(request.body) if zipped else request.body)
        return Response(200, headers={"X-Datakit": "1.84.1/recorder"})

    @property
    def lines(self) -> list[str]:
        """The lines written so far, in order."""
        with self._lock:
            return [line for body in self._bodies for line in body.decode("utf-8").split("\n")]

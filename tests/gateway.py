"""A gateway that answers each request with the same body, over real HTTP on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Gateway:
    """`answer` is the body of every answer, or a list of stream events."""

    def __init__(self, answer: Any, status_code: int = 200) -> None:
        if isinstance(answer, list):
            self._type = "text/event-stream"
            self._body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in answer)
        else:
            self._type, self._body = "application/json", json.dumps(answer).encode()
        self._status_code = status_code

    @property
    def base_url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def __enter__(self) -> "Gateway":
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(gateway._status_code)
                self.send_header("Content-Type", gateway._type)
                self.send_header("Content-Length", str(len(gateway._body)))
                self.end_headers()
                self.wfile.write(gateway._body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

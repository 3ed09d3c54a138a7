"""A small HTTP/1.1 server on loopback: what the three stand-ins have in common.

The standard library's server, because the stand-ins must do what no web framework lets them: reset a
connection in mid-answer, send a body byte by byte, accept and never answer, and be killed and come back
on their port.
"""

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Optional, Set, Tuple, TypeVar
from urllib.parse import parse_qsl, urlsplit


class Request:
    """One request; `body` is read whole. `url` is as sent; `query` keeps the last value of each name."""

    def __init__(self, handler: "_Handler", body: bytes) -> None:
        url = urlsplit(handler.path)
        self.method: str = handler.command
        self.url: str = handler.path
        self.path: str = url.path
        self.query: Dict[str, str] = dict(parse_qsl(url.query, keep_blank_values=True))
        self.headers = handler.headers
        self.client_host: str = handler.client_address[0]
        self.body = body
        self._handler = handler

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body.decode("utf-8"))

    def send_raw(self, data: bytes) -> None:
        """Write to the connection as it is; the handler then returns None and the connection closes."""
        self._handler.wfile.write(data)
        self._handler.close_connection = True

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.close_connection = True
        self._handler.server.close_without_fin(self._handler.connection)


class Response:
    """One answer. A dict or list body is sent as JSON."""

    def __init__(
        self,
        status_code: int = 200,
        body: Any = b"",
        content_type: str = "",
        headers: Optional[Dict[str, str]] = None,
    ) -> None:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            content_type = content_type or "application/json"
        self.status_code = status_code
        self.body: bytes = body.encode("utf-8") if isinstance(body, str) else body
        self.content_type = content_type
        self.headers = headers or {}


Self = TypeVar("Self", bound="LocalServer")


class LocalServer:
    """Base of the stand-ins: `start()`, `stop()`, and `url`. Subclasses answer in `respond()`.

    After `stop()`, `start()` listens on the same port again. `connections` counts those accepted.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._address: Tuple[str, int] = (host, port)
        self._server: Optional[_Server] = None
        self.connections = 0
        self.stopping = threading.Event()

    def respond(self, request: Request) -> Optional[Response]:
        """The answer; None when the request was answered by hand, or is never to be."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self: Self) -> Self:
        """Listen. Raises OSError when the port is taken."""
        self.stopping.clear()
        self._server = _Server(self._address, self)
        self._address = (self._address[0], self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every open connection."""
        server, self._server = self._server, None
        if server is None:
            return
        self.stopping.set()
        server.shutdown()
        server.server_close()
        server.cut_connections()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: Tuple[str, int], owner: LocalServer) -> None:
        self.owner = owner
        self._open: List[socket.socket] = []
        self._resetting: Set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> Tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._open_lock:
            self._open.append(connection)
            self.owner.connections += 1
        return connection, address

    def close_without_fin(self, connection: socket.socket) -> None:
        """A FIN before the close would make a reset look like an ordinary end."""
        self._resetting.add(connection)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            if request in self._open:
                self._open.remove(request)
        if request in self._resetting:
            self._resetting.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a caller that went away is what the stand-ins are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        response = self.server.owner.respond(Request(self, self.rfile.read(length)))
        if response is None:
            self.close_connection = True
            return
        lines = [f"HTTP/1.1 {response.status_code} {self.responses.get(response.status_code, ('-',))[0]}"]
        if response.content_type:
            lines.append(f"Content-Type: {response.content_type}")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + response.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: a request line may hold a secret."""

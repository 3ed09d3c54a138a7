"""A small HTTP/1.1 server on loopback: what the three stand-ins have in common.

The standard library's server, because the stand-ins must do what no web framework lets them: reset a
connection in mid-answer, send a body byte by byte, accept and never answer, and be killed and come back
on their port.

A page that is open in a browser of this machine can send requests here, too. It gets nowhere: the name that
it asked for must be this machine's (a name of its own that leads to loopback is none), what it sends carries
its origin, and what changes a stand-in under `/_local/` is JSON, which no page of another origin may send.
"""

import ipaddress
import json
import socket
import struct
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Optional, Set, Tuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

MAX_BODY_BYTES = 256 * 1024 * 1024
CONTROL_PATH = "/_local/"

# Names of this machine, beside addresses of loopback. The last is what a container's host is called.
_LOCAL_NAMES = ("localhost", "host.docker.internal")


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

    After `stop()`, `start()` listens on the same port again. `connections` counts those accepted. A
    `host` other than loopback opens it to the network: then any address is right in a request's `Host`.
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
    def host(self) -> str:
        return self._address[0]

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
        try:
            request = Request(self, self.rfile.read(_body_length(self.headers)))
            _check_sender(request, self.server.owner.host)
        except _RefusedError as refused:
            self.close_connection = True
            headers = {"Connection": "close"}
            text = "text/plain; charset=utf-8"
            self._send(Response(refused.status_code, f"{refused}\n", text, headers))
            return
        response = self.server.owner.respond(request)
        if response is None:
            self.close_connection = True
            return
        self._send(response)

    def _send(self, response: Response) -> None:
        lines = [f"HTTP/1.1 {response.status_code} {self.responses.get(response.status_code, ('-',))[0]}"]
        if response.content_type:
            lines.append(f"Content-Type: {response.content_type}")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + response.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: a request line may hold a secret."""


class _RefusedError(Exception):
    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code


def _body_length(headers: Message) -> int:
    """Raises _RefusedError."""
    if "Transfer-Encoding" in headers:
        raise _RefusedError(411, "the stand-in wants a Content-Length, and no Transfer-Encoding")
    lengths = set(headers.get_all("Content-Length", ["0"]))
    text = lengths.pop() if len(lengths) == 1 else ""
    if not (text.isascii() and text.isdigit()):
        raise _RefusedError(400, "Content-Length is no number of bytes")
    if len(text) > 12 or int(text) > MAX_BODY_BYTES:
        raise _RefusedError(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    return int(text)


def _check_sender(request: Request, bound_host: str) -> None:
    """Raises _RefusedError for what a web page of another origin has sent, or could have sent."""
    header = request.headers.get
    host = header("Host", "")
    if host and not _is_local(_name_of(host), bound_host):
        raise _RefusedError(403, "Host: not a name of this machine")
    if header("Origin", f"http://{host}") != f"http://{host}":
        raise _RefusedError(403, "Origin: a page of another origin has no business here")
    followed_link = request.method == "GET" and header("Sec-Fetch-Mode") == "navigate"
    if header("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not followed_link:
        raise _RefusedError(403, "Sec-Fetch-Site: a page of another origin has no business here")
    changes = request.method in ("POST", "PUT", "PATCH") and request.path.startswith(CONTROL_PATH)
    if changes and header("Content-Type", "").split(";")[0].strip().lower() != "application/json":
        raise _RefusedError(415, "send it as JSON, with Content-Type: application/json")


def _name_of(host: str) -> str:
    """Without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_local(name: str, bound_host: str) -> bool:
    if name in (*_LOCAL_NAMES, bound_host) or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # Opened to the network, each of the machine's addresses is right; a name might be anyone's.
    return address.is_loopback or not _is_loopback(bound_host)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"

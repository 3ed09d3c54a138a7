"""A small HTTP/1.1 server on loopback: what the stand-ins have in common.

The standard library's server, because the stand-ins must do what no web framework lets them: reset a
connection in the middle of an answer, send a body byte by byte, accept and never answer, and be killed and
come back on their port.

A page that is open in a browser of this machine can send requests here, too. They are refused: the `Host`
must be a name of this machine (a name of the page's own that leads to loopback is not), the `Origin` must be
the server's, and what changes a stand-in under `/_local/` must be JSON, which a page cannot send to another
origin.
"""

import ipaddress
import json
import socket
import struct
import threading
import time
from email.errors import MissingHeaderBodySeparatorDefect
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterable, Optional, Set, Tuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

MAX_BODY_BYTES = 256 * 1024 * 1024
# A request must be here whole by then; an idle connection is closed.
READ_TIMEOUT_S = 60.0
CONTROL_PATH = "/_local/"

# Names of this machine, beside addresses of loopback. The last is what a container's host is called.
_LOCAL_NAMES = ("localhost", "host.docker.internal")


class Request:
    """One request; `body` is read whole. `url` is as sent; `query` keeps the last value of each name."""

    def __init__(self, handler: "_Handler", url: str, body: bytes) -> None:
        # A client that takes the server for its proxy sends the whole URL.
        sent = urlsplit(url) if "://" in url else None
        path, _, query = (sent.path + "?" + sent.query if sent else url).partition("?")
        self.method: str = handler.command
        self.url = url
        self.host: str = sent.netloc if sent else handler.headers.get("Host", "")
        self.path = path
        self.query: Dict[str, str] = dict(parse_qsl(query, keep_blank_values=True))
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
        # Until when (of time.monotonic) each has to send its request; None while that is answered.
        self._open: Dict[socket.socket, Optional[float]] = {}
        self._resetting: Set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> Tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._open_lock:
            self._open[connection] = time.monotonic() + READ_TIMEOUT_S
            self.owner.connections += 1
        return connection, address

    def expect_request(self, connection: socket.socket, expected: bool) -> None:
        with self._open_lock:
            if connection in self._open:
                self._open[connection] = time.monotonic() + READ_TIMEOUT_S if expected else None

    def service_actions(self) -> None:
        """Called every 20 ms: cut the connections that have been sending for too long."""
        now_s = time.monotonic()
        with self._open_lock:
            late = [each for each, until_s in self._open.items() if until_s is not None and until_s < now_s]
        _cut(late)

    def close_without_fin(self, connection: socket.socket) -> None:
        """A FIN before the close would make a reset look like an ordinary end."""
        self._resetting.add(connection)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.pop(request, None)
        if request in self._resetting:
            self._resetting.discard(request)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._open_lock:
            _cut(self._open)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: callers that hang up are what the stand-ins are for."""


def _cut(connections: Iterable[socket.socket]) -> None:
    for connection in connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        try:
            url, n_bytes = _url(self.requestline), _body_length(self.headers)
            body = self.rfile.read(n_bytes)
            if len(body) < n_bytes:  # the caller hung up, or was too slow
                self.close_connection = True
                return
            request = Request(self, url, body)
            _check_sender(request, self.server.owner.host)
        except _RefusedError as refused:
            self.close_connection = True
            headers = {"Connection": "close"}
            text = "text/plain; charset=utf-8"
            self._send(Response(refused.status_code, f"{refused}\n", text, headers))
            return
        self.server.expect_request(self.connection, False)
        response = self.server.owner.respond(request)
        if response is None:
            self.close_connection = True
            return
        self._send(response)
        self.server.expect_request(self.connection, True)

    def _send(self, response: Response) -> None:
        lines = [f"HTTP/1.1 {response.status_code} {self.responses.get(response.status_code, ('-',))[0]}"]
        if response.content_type:
            lines.append(f"Content-Type: {response.content_type}")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        body = b"" if self.command == "HEAD" else response.body
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body)

    # The base class's names.
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: a request line may hold a secret."""


class _RefusedError(Exception):
    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code


def _url(request_line: str) -> str:
    """As it was sent: the base class's `path` has lost its double slashes. Raises _RefusedError."""
    url = request_line.split()[1]
    if url.startswith("//"):
        raise _RefusedError(404, "the URL begins with two slashes")
    return url


def _body_length(headers: Message) -> int:
    """Raises _RefusedError."""
    cut_short = any(isinstance(each, MissingHeaderBodySeparatorDefect) for each in headers.defects)
    if cut_short or len(headers.get_all("Host", [])) > 1:
        raise _RefusedError(400, "the headers cannot be read unambiguously")
    if "Transfer-Encoding" in headers:
        raise _RefusedError(411, "a Content-Length is needed, and no Transfer-Encoding")
    lengths = set(headers.get_all("Content-Length", ["0"]))
    text = lengths.pop() if len(lengths) == 1 else ""
    if not (text.isascii() and text.isdigit()):
        raise _RefusedError(400, "Content-Length is not a number of bytes")
    if len(text) > 12 or int(text) > MAX_BODY_BYTES:
        raise _RefusedError(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    return int(text)


def _check_sender(request: Request, bound_host: str) -> None:
    """Raises _RefusedError for what a page of another origin sent, or could have sent."""
    header = request.headers.get
    host = request.host
    if host and not _is_local(_name_of(host), bound_host):
        raise _RefusedError(403, "Host: not a name of this machine")
    if header("Origin", f"http://{host}") != f"http://{host}":
        raise _RefusedError(403, "Origin: pages of other origins are refused")
    followed_link = request.method == "GET" and header("Sec-Fetch-Mode") == "navigate"
    if header("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not followed_link:
        raise _RefusedError(403, "Sec-Fetch-Site: pages of other origins are refused")
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

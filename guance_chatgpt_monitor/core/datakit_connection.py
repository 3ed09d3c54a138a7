"""HTTP over one persistent connection to DataKit, with a hard time limit for each exchange.

By hand, because no timeout of `requests` bounds an answer that arrives byte by byte, and it does not say
whether it had to reconnect, which is how a restart of DataKit shows. Proxies are ignored: DataKit is near.
"""

import base64
import encodings.idna  # noqa: F401 - for every host; imported by a thread, it is unusable in a child forked then
import io
import os
import select
import socket
import ssl
import time
from http.client import HTTPResponse
from typing import Any, Callable, Dict, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

# As much of an answer as is read: DataKit's message about a refused line quotes the whole request.
MAX_ANSWER_BYTES = 4096
SEND_BYTES = 65_536

# Installed with requests; without it, the system's own list is used.
try:
    import certifi
except ImportError:
    certifi = None  # type: ignore[assignment]


class Answer(NamedTuple):
    status_code: int
    headers: Any  # by name in any case, with get()
    body: bytes  # its first MAX_ANSWER_BYTES


class Connection:
    """To one address: `http`, `https` with the CA certificates in the file `ca`, or `unix` with a path."""

    def __init__(self, url: str, ca: str = "", monotonic: Callable[[], float] = time.monotonic) -> None:
        self.n_made = 0  # connections so far
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._path = parts.path  # of the socket
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ca = ca
        self._monotonic = monotonic
        self._socket: Optional[socket.socket] = None
        self._headers = {"Host": parts.netloc.rpartition("@")[2] or "localhost"}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode("ascii")

    def exchange(
        self,
        method: str,
        path: str,
        headers: Dict[str, str],
        body: bytes,
        connect_timeout_s: float,
        timeout_s: float,
    ) -> Answer:
        """Connect if necessary; then send a request and read the answer within `timeout_s`.

        Raises OSError (socket.timeout when the time is up) and http.client.HTTPException; the connection is
        closed then, and the next request opens another.
        """
        all_headers = {**self._headers, **headers, "Content-Length": str(len(body))}
        head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
        request = "\r\n".join([*head, "", ""]).encode("latin-1") + body
        connection, self._socket = self._socket, None
        if connection is not None and _is_stale(connection):
            connection.close()
            connection = None
        keep = False
        try:
            if connection is None:
                connection = self._connect(connect_timeout_s)
            clock = _Deadline(self._monotonic, timeout_s)
            _send(connection, request, clock)
            response = HTTPResponse(_Answering(connection, clock), method=method)  # type: ignore[arg-type]
            response.begin()
            answer = Answer(response.status, response.headers, response.read(MAX_ANSWER_BYTES))
            keep = response.isclosed() and not response.will_close
        finally:
            if keep:
                self._socket = connection
            elif connection is not None:
                connection.close()
        return answer

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _connect(self, timeout_s: float) -> socket.socket:
        self.n_made += 1
        clock = _Deadline(self._monotonic, timeout_s)
        if self._scheme == "unix":
            return _connected(socket.socket(socket.AF_UNIX), self._path, clock)
        error: Optional[OSError] = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            try:
                connection = _connected(socket.socket(family, kind, protocol), address, clock)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._secured(connection, clock) if self._scheme == "https" else connection
            except OSError as failure:
                error = failure
        raise error or OSError("the name has no address")

    def _secured(self, connection: socket.socket, clock: "_Deadline") -> socket.socket:
        connection.settimeout(clock.left_s())
        try:
            environment = os.environ.get
            bundle = self._ca or environment("REQUESTS_CA_BUNDLE") or environment("CURL_CA_BUNDLE")
            context = ssl.create_default_context(cafile=bundle or (certifi.where() if certifi else None))
            return context.wrap_socket(connection, server_hostname=self._host)
        except OSError:
            connection.close()
            raise


class _Deadline:
    def __init__(self, monotonic: Callable[[], float], timeout_s: float) -> None:
        self._monotonic = monotonic
        self._until_s = monotonic() + timeout_s

    def left_s(self) -> float:
        """The seconds left. Raises socket.timeout if there are none."""
        left_s = self._until_s - self._monotonic()
        if left_s <= 0:
            raise socket.timeout("timed out")
        return left_s


class _Answering(io.RawIOBase):
    """What HTTPResponse reads from: the connection, until the deadline."""

    def __init__(self, connection: socket.socket, clock: _Deadline) -> None:
        self._connection = connection
        self._clock = clock

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._clock.left_s())
        return self._connection.recv_into(buffer)


def _connected(connection: socket.socket, address: Any, clock: _Deadline) -> socket.socket:
    try:
        connection.settimeout(clock.left_s())
        connection.connect(address)
        return connection
    except OSError:
        connection.close()
        raise


def _send(connection: socket.socket, request: bytes, clock: _Deadline) -> None:
    rest = memoryview(request)
    while rest:
        connection.settimeout(clock.left_s())
        rest = rest[connection.send(rest[:SEND_BYTES]) :]


def _is_stale(connection: socket.socket) -> bool:
    """Whether the other side has closed it, or sent something unasked."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])

"""The write API of DataKit and Dataway. What is relied on was observed on a real DataKit 1.84.1."""

import gzip
import json
import re
import socket
from typing import Any, NamedTuple, Optional, Sequence
from urllib.parse import parse_qsl, urlsplit

from .call import without_credentials
from .datakit_connection import Answer, Connection

DEFAULT_URL = "http://localhost:9529"
INPUT_NAME = "guance_chatgpt_monitor"
CONNECT_TIMEOUT_S = 0.5
READ_TIMEOUT_S = 2.0
GZIP_ABOVE_BYTES = 4096

_BEFORE_A_PAGE = b"\xef\xbb\xbf \t\r\n"  # a byte order mark, and white space
_ERROR_CODE = re.compile(rb'"error_code"\s*:\s*"(?:\w+\.)?(\w{1,64})"')
# A duration as Go prints it: 1h2m3.456s, 12.3s, 532.1ms.
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|\u00b5s|\u03bcs|ns)")
_SECONDS = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ns": 1e-9,
}

# Only these refuse the lines themselves. Anything else is about the address or a server in front of DataKit
# (one that wants TLS also answers 400): the lines are good, and wait until that is repaired.
_BAD_LINES = 400  # with DataKit's own error code or header
_TOO_LARGE = 413  # from a server in front of DataKit


class DataKitError(Exception):
    """A write or ping that failed. The message never quotes a line.

    `lines_refused`: DataKit will never take these lines. Otherwise the same request may succeed later.
    """

    def __init__(
        self, message: str, reason: str, status_code: Optional[int] = None, is_datakits: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status_code = status_code
        self.lines_refused = status_code == _TOO_LARGE or (status_code == _BAD_LINES and is_datakits)


class DataKitInfo(NamedTuple):
    """What a DataKit reports about itself. `uptime_s` is None if it does not say."""

    version: str
    host: str
    uptime_s: Optional[float] = None


_KEY_START = "://sk-"


def check_url(url: str) -> str:
    """`url` with a scheme and without a trailing slash. Raises ValueError.

    `http://host:port`, `https://…`, `unix:///path/of.sock`, or a Dataway's `https://host?token=…`.
    """
    url = url.strip()
    if "://" not in url:
        url = "http://" + url
    try:
        parts = urlsplit(url)
        usable = _is_usable(parts)
    except ValueError:  # the port is not a number
        usable = False
    odd = any(character <= " " or character == "\x7f" for character in url)
    # A key in the wrong setting would appear in every message that names the address.
    if not usable or odd or parts.fragment or _KEY_START in url:
        raise ValueError(f"the DataKit URL must look like {DEFAULT_URL}")
    if parts.scheme == "unix":
        return url
    return f"{parts.scheme}://{parts.netloc}" + (f"?{parts.query}" if parts.query else "")


def _is_usable(parts: Any) -> bool:
    if parts.scheme == "unix":
        return not parts.netloc and len(parts.path) > 1 and not parts.query
    query = [name for name, value in parse_qsl(parts.query, keep_blank_values=True) if value]
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.port != 0
        and parts.path in ("", "/")
        and (query == ["token"] or not parts.query)
    )


class DataKit:
    """One DataKit, or a Dataway if the URL has a token, for users who have no DataKit.

    `ca` is a file of CA certificates for an https address. Unless `adds_host`, DataKit is asked not to add
    its tag `host` to points that have none.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        read_timeout_s: float = READ_TIMEOUT_S,
        ca: str = "",
        adds_host: bool = True,
    ) -> None:
        url = check_url(url)
        parts = urlsplit(url)
        self.url = url if parts.scheme == "unix" else without_credentials(url)  # as it is shown
        self.is_dataway = bool(parts.query)
        self._connection = Connection(url, ca)
        self._read_timeout_s = read_timeout_s
        self._name = "Dataway" if self.is_dataway else "DataKit"
        # Without precision=n, DataKit guesses the unit of time from the size of the number.
        self._query = f"?input={INPUT_NAME}&precision=n" + ("" if adds_host else "&ignore_global_host_tags=1")
        if self.is_dataway:
            self._query = f"?{parts.query}&precision=n"

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._connection.n_made

    def write(self, lines: Sequence[str], category: str = "metric") -> bool:
        """Write lines of one category; returns whether DataKit named itself in its answer.

        A DataKit that usually does, and did not, has crashed: the lines are lost. Raises DataKitError; then
        either none or all of the lines may have arrived.
        """
        body = "\n".join(lines).encode("utf-8", "replace")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if len(body) > GZIP_ABOVE_BYTES:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        answer = self._send("POST", f"/v1/write/{category}", self._query, headers, body)
        named_itself = "X-Datakit" in answer.headers
        is_page = answer.body.lstrip(_BEFORE_A_PAGE).startswith(b"<") or "html" in (
            answer.headers.get("Content-Type") or ""
        )
        if is_page or (answer.body and not named_itself and not self.is_dataway):
            raise DataKitError(
                f"what answers at {self.url} is not a {self._name}: check the DataKit URL", "not_datakit"
            )
        return named_itself or self.is_dataway

    def close(self) -> None:
        """Close the connection; the next request opens another. Never raises."""
        try:
            self._connection.close()
        except OSError:
            pass

    def ping(self) -> DataKitInfo:
        """Ask for version, host and uptime; a Dataway only whether it answers. Raises DataKitError."""
        try:
            answer = self._send("GET", "/v1/ping")
        except DataKitError as error:
            if self.is_dataway and error.status_code is not None:
                return DataKitInfo("Dataway", "")
            raise
        if self.is_dataway:
            return DataKitInfo("Dataway", "")
        try:
            content = json.loads(answer.body)["content"]
            uptime_s = _seconds_of(str(content.get("uptime")))
            return DataKitInfo(str(content["version"]), str(content["host"]), uptime_s)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataKitError(
                f"{self.url} answers, but not as a DataKit: check the DataKit URL", "not_datakit"
            ) from None

    def _send(
        self, method: str, path: str, query: str = "", headers: Optional[Any] = None, body: bytes = b""
    ) -> Answer:
        try:
            answer = self._connection.exchange(
                method, path + query, headers or {}, body, CONNECT_TIMEOUT_S, self._read_timeout_s
            )
        except socket.timeout:
            raise DataKitError(f"{self._name} at {self.url} does not answer in time", "timeout") from None
        except Exception as error:
            name = type(error).__name__
            message = f"{self._name} at {self.url} cannot be reached ({name})"
            raise DataKitError(message, "connection") from None
        if answer.status_code != 200:
            raise self._refusal(answer, path)
        return answer

    def _refusal(self, answer: Answer, path: str) -> DataKitError:
        status = answer.status_code
        found = _ERROR_CODE.search(answer.body)
        reason = found.group(1).decode("ascii") if found else str(status)
        named = f" {reason}" if found else ""
        message = f"{self._name} at {self.url} answered {status}{named}{hint_for(reason, status, path)}"
        is_datakits = bool(found) or "X-Datakit" in answer.headers
        if self.is_dataway:  # an unknown token is not the lines' fault
            is_datakits = b"token" not in answer.body.lower()
        return DataKitError(message, reason, status, is_datakits)


def _seconds_of(duration: str) -> Optional[float]:
    """A duration as Go prints it, in seconds; None for anything else."""
    if not duration or _DURATION.sub("", duration):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def hint_for(reason: str, status_code: int, path: str = "/v1/write/metric") -> str:
    """What to do about a refusal, to be appended to its message; empty if that is not known."""
    hint = _HINTS.get(reason) or _HINTS.get(str(status_code)) or ("" if status_code >= 400 else _NOT_DATAKIT)
    return hint.format(apis=json.dumps(list(dict.fromkeys(("/v1/write/metric", path, "/v1/ping")))))


_NOT_DATAKIT = ": check the DataKit URL, something else listens there"
_HINTS = {
    "publicAccessDisabled": ": allow this host, in datakit.conf [http_api] public_apis = {apis}",
    "reachMaxAPILimit": ": rate limited, more than 100 requests a second from this host",
    "400": ": check the DataKit URL, this is not DataKit's answer; does it want https?",
    "404": _NOT_DATAKIT,
    "407": ": a proxy is in the way",
}

"""DataKit's write API, and Dataway's. What is relied on was observed on a real DataKit 1.84.1."""

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

_ERROR_CODE = re.compile(rb'"error_code"\s*:\s*"(?:\w+\.)?(\w{1,64})"')
# Go's text of a duration: 1h2m3.456s, 12.3s, 532.1ms.
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

# What tells of the lines. Any other refusal is of the address, or of something before DataKit: a server that
# wants TLS answers 400, too. The lines are good then, and wait for a repair.
_BAD_LINES = 400  # with DataKit's own error code or header
_TOO_LARGE = 413  # which something before DataKit says


class DataKitError(Exception):
    """A write or ping that failed. The message never holds a line.

    `lines_refused`: DataKit will not take these lines, ever; else the same request may succeed later.
    """

    def __init__(
        self, message: str, reason: str, status_code: Optional[int] = None, is_datakits: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status_code = status_code
        self.lines_refused = status_code == _TOO_LARGE or (status_code == _BAD_LINES and is_datakits)


class DataKitInfo(NamedTuple):
    """What a DataKit says of itself. `uptime_s` is None where it does not tell."""

    version: str
    host: str
    uptime_s: Optional[float] = None


_KEY_START = "://sk-"


def check_url(url: str) -> str:
    """`url` as DataKit takes it, without a slash at the end. Raises ValueError.

    `http://host:port`, `https://…`, `unix:///path/of.sock`, or a Dataway's `https://host?token=…`.
    """
    url = url.strip()
    if "://" not in url:
        url = "http://" + url
    try:
        parts = urlsplit(url)
        usable = _is_usable(parts)
    except ValueError:  # a port that is no number
        usable = False
    odd = any(character <= " " or character == "\x7f" for character in url)
    # A key in the wrong place would stand in every message that names the address.
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


def make_session() -> Any:
    """A session of `requests` that asks no proxy, for `check`: it explains what stands in the way."""
    import os

    import requests

    session = requests.Session()
    session.trust_env = False
    # trust_env also covers these two, which an https DataKit may need.
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle:
        session.verify = bundle
    return session


class DataKit:
    """One DataKit; or a Dataway, to which the token in the URL leads, for those who have no DataKit.

    `ca` is a file of certificates that an https address is checked by. Unless `adds_host`, DataKit is asked
    to add no tag `host` to points that have none. `connections` counts those made so far.
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
        # Without precision=n, DataKit guesses the unit from the size of the number.
        self._query = f"?input={INPUT_NAME}&precision=n" + ("" if adds_host else "&ignore_global_host_tags=1")
        if self.is_dataway:
            self._query = f"?{parts.query}&precision=n"

    @property
    def connections(self) -> int:
        return self._connection.n_made

    def write(self, lines: Sequence[str], category: str = "metric") -> bool:
        """Write lines of one category; returns whether DataKit named itself in its answer.

        One that usually does, and did not, crashed: the lines are lost. Raises DataKitError; then none or
        all of them may be there.
        """
        body = "\n".join(lines).encode("utf-8", "replace")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if len(body) > GZIP_ABOVE_BYTES:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        answer = self._send("POST", f"/v1/write/{category}", self._query, headers, body)
        named_itself = "X-Datakit" in answer.headers
        is_page = "html" in (answer.headers.get("Content-Type") or "")
        if is_page or (answer.body and not named_itself and not self.is_dataway):
            raise DataKitError(
                f"what answers at {self.url} is no {self._name}: check the DataKit URL", "not_datakit"
            )
        return named_itself or self.is_dataway

    def close(self) -> None:
        """Close the connection. The next request opens another. Never raises."""
        try:
            self._connection.close()
        except OSError:
            pass

    def ping(self) -> DataKitInfo:
        """Ask for version, host and uptime. Raises DataKitError. Of a Dataway: whether it answers at all."""
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
        if self.is_dataway:  # a token that it does not know is no fault of the lines
            is_datakits = b"token" not in answer.body.lower()
        return DataKitError(message, reason, status, is_datakits)


def _seconds_of(duration: str) -> Optional[float]:
    """A duration as Go writes it, in seconds; None for anything else."""
    if not duration or _DURATION.sub("", duration):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def hint_for(reason: str, status_code: int, path: str = "/v1/write/metric") -> str:
    """What to do about a refusal, to be put behind it; empty if that is not known."""
    hint = _HINTS.get(reason) or _HINTS.get(str(status_code)) or ""
    return hint.format(apis=json.dumps(list(dict.fromkeys(("/v1/write/metric", path, "/v1/ping")))))


_HINTS = {
    "publicAccessDisabled": ": allow this host, in datakit.conf [http_api] public_apis = {apis}",
    "reachMaxAPILimit": ": rate limited, more than 100 requests a second from this host",
    "400": ": check the DataKit URL, this is no DataKit's answer; does it want https?",
    "404": ": check the DataKit URL, something else listens there",
    "407": ": a proxy stands in the way",
}

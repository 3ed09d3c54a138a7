"""DataKit's write API over requests. What is relied on was observed on a real DataKit 1.84.1."""

import gzip
import json
import os
import re
from typing import Any, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

import requests

from .call import without_credentials

DEFAULT_URL = "http://localhost:9529"
INPUT_NAME = "guance_chatgpt_monitor"
CONNECT_TIMEOUT_S = 0.5
READ_TIMEOUT_S = 2.0
GZIP_ABOVE_BYTES = 4096
# The message of a refused line quotes the whole request: as much of an answer as is ever looked at.
MAX_ANSWER_BYTES = 4096

_ERROR_CODE = re.compile(rb'"error_code"\s*:\s*"(?:datakit\.)?(\w{1,64})"')

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
    """What a DataKit says of itself."""

    version: str
    host: str


_KEY_START = "://sk-"


def check_url(url: str) -> str:
    """`url` as DataKit takes it, without a slash at the end. Raises ValueError."""
    url = url.strip()
    if "://" not in url:
        url = "http://" + url
    url = url[:-1] if url.endswith("/") else url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    odd = any(character <= " " or character == "\x7f" for character in url)
    # A key in the wrong place would stand in every message that names the address.
    if not usable or odd or parts.path or parts.query or parts.fragment or _KEY_START in url:
        raise ValueError(f"the DataKit URL must look like {DEFAULT_URL}")
    return url


def make_session() -> requests.Session:
    """A session that keeps its connection and asks no proxy: DataKit stands beside its callers."""
    session = requests.Session()
    session.trust_env = False
    # trust_env also covers these two, which an https DataKit may need.
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle:
        session.verify = bundle
    return session


class DataKit:
    """One DataKit."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        session: Optional[requests.Session] = None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._url = check_url(url)
        self.url = without_credentials(self._url)  # as it is shown
        self._session = make_session() if session is None else session
        self._timeout_s = (CONNECT_TIMEOUT_S, read_timeout_s)

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
        # Without precision=n, DataKit guesses the unit from the size of the number.
        path = f"/v1/write/{category}?input={INPUT_NAME}&precision=n"
        response = self._send("POST", path, data=body, headers=headers)
        return "X-Datakit" in response.headers

    def close(self) -> None:
        """Close the connection. The next request opens another. Never raises."""
        try:
            # requests leaves them to finalizers, which at the end of the process have run already.
            for adapter in self._session.adapters.values():
                pools = adapter.poolmanager.pools  # type: ignore[attr-defined]
                for key in list(pools.keys()):
                    pools[key].close()
            self._session.close()
        except Exception:
            pass

    def ping(self) -> DataKitInfo:
        """Ask for version and host. Raises DataKitError."""
        response = self._send("GET", "/v1/ping")
        try:
            content = json.loads(response.body)["content"]
            return DataKitInfo(str(content["version"]), str(content["host"]))
        except (ValueError, KeyError, TypeError):
            raise DataKitError(
                f"{self.url} answers, but not as a DataKit: check the DataKit URL", "not_datakit"
            ) from None

    def _send(self, method: str, path: str, **content: Any) -> "_Response":
        try:
            with self._session.request(
                method,
                self._url + path,
                timeout=self._timeout_s,
                stream=True,
                allow_redirects=False,
                **content,
            ) as answer:
                body = answer.raw.read(MAX_ANSWER_BYTES, decode_content=True)
                response = _Response(answer.status_code, answer.headers, body)
        except requests.Timeout:
            raise DataKitError(f"DataKit at {self.url} does not answer in time", "timeout") from None
        # urllib3's own errors come through when the body is cut.
        except Exception as error:
            name = type(error).__name__
            raise DataKitError(f"DataKit at {self.url} cannot be reached ({name})", "connection") from None
        if response.status_code != 200:
            raise self._refusal(response, urlsplit(path).path)
        return response

    def _refusal(self, response: "_Response", path: str) -> DataKitError:
        status = response.status_code
        found = _ERROR_CODE.search(response.body)
        reason = found.group(1).decode("ascii") if found else str(status)
        hint = _HINTS.get(reason) or _HINTS.get(str(status)) or ""
        hint = hint.format(apis=json.dumps(list(dict.fromkeys(("/v1/write/metric", path, "/v1/ping")))))
        named = f" {reason}" if found else ""
        message = f"DataKit at {self.url} answered {status}{named}{hint}"
        return DataKitError(message, reason, status, bool(found) or "X-Datakit" in response.headers)


_HINTS = {
    "publicAccessDisabled": ": allow this host, in datakit.conf [http_api] public_apis = {apis}",
    "reachMaxAPILimit": ": rate limited, more than 100 requests a second from this host",
    "400": ": check the DataKit URL, this is no DataKit's answer; does it want https?",
    "404": ": check the DataKit URL, something else listens there",
    "407": ": a proxy stands in the way",
}


class _Response(NamedTuple):
    status_code: int
    headers: Any
    body: bytes

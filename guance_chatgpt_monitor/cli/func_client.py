"""Func's management API over requests, each request signed with an access key.

Its behaviour was observed on a real Func (6.0, April 2025), or read in its public source (2024).
"""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any, Callable, Dict, List, NamedTuple, Union
from urllib.parse import quote

from ..core.call import without_credentials
from .http_client import HTTPAnswer, call
from .messages import text
from .user_error import UserError, check_http_url

# Deploying runs the script once; Func gives up after 60 s.
READ_TIMEOUT_S = 90.0
MAX_MESSAGE_CHARACTERS = 300
PAGE_SIZE = 100  # the most that Func returns at once
MAX_PAGES = 50

Row = Dict[str, Any]


class AccessKey(NamedTuple):
    """An access key of Func: made under Management / Access Key."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return f"AccessKey({self.key_id})"


class LocalhostToken(NamedTuple):
    """The token in Func's own container, /data/localhost-auth-token: stands for the administrator."""

    token: str

    def __repr__(self) -> str:
        return "LocalhostToken()"


Credentials = Union[AccessKey, LocalhostToken]


class FuncError(UserError):
    """A refusal by Func. `reason` is its code, such as `EUserAuth`.

    `detail` is for callers who know which part to show: Func repeats requests there.
    """

    def __init__(self, message: str, next_step: str, reason: str, detail: Any) -> None:
        super().__init__(message, next_step)
        self.reason = reason
        self.detail = detail


class FuncClient:
    """One Func, as one of its users. `clock` gives seconds since 1970."""

    def __init__(self, url: str, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._base = check_http_url(url, text("common.func_address"), "http://HOST:8088")
        self.url = without_credentials(self._base)  # as it is shown
        self._credentials = credentials
        self._clock = clock

    def get(self, path: str, **query: Union[str, int]) -> Any:
        """`data` of a GET below /api/v1/. Raises FuncError or UserError."""
        return self._send("GET", path, {"params": query} if query else {}, {})

    def list(self, path: str, **query: Union[str, int]) -> List[Row]:
        """The rows of all pages of `path`/do/list. Raises FuncError or UserError."""
        rows: List[Row] = []
        for page in range(1, MAX_PAGES + 1):
            found = self.get(f"{path}/do/list", pageSize=PAGE_SIZE, pageNumber=page, **query)
            rows += found
            if len(found) < PAGE_SIZE:
                break
        return rows

    def post(self, path: str, body: Row) -> Any:
        """`data` of a POST. Raises FuncError or UserError."""
        return self._send("POST", path, {"json": body}, body)

    def upload(self, path: str, name: str, content: bytes) -> Any:
        """`data` of a POST of one file. Raises FuncError or UserError."""
        return self._send("POST", path, {"files": {"files": (name, content, "application/octet-stream")}}, {})

    def _send(self, method: str, path: str, content: Dict[str, Any], signed: Row) -> Any:
        def sign(request: Any) -> Any:
            request.headers.update(self._headers(method, request.path_url, signed))
            return request

        answer = call(method, f"{self._base}/api/v1/{path}", READ_TIMEOUT_S, auth=sign, **content)
        return _read(answer, self.url)

    def _headers(self, method: str, path: str, body: Row) -> Dict[str, str]:
        if isinstance(self._credentials, LocalhostToken):
            return {"X-Localhost-Auth-Token": self._credentials.token}
        timestamp, nonce = str(int(self._clock())), secrets.token_hex(16)
        digest = hashlib.md5(signed_text(body).encode("utf-8")).hexdigest()  # noqa: S324 - what Func asks for
        text = "&".join([method, path, timestamp, nonce, digest])
        key = self._credentials.secret.encode("utf-8")
        return {
            "X-Dff-Ak-Id": self._credentials.key_id,
            "X-Dff-Ak-Timestamp": timestamp,
            "X-Dff-Ak-Nonce": nonce,
            "X-Dff-Ak-Sign": hmac.new(key, text.encode("utf-8"), "sha1").hexdigest(),
        }


def path_part(text: str) -> str:
    """`text`, quoted as one segment of a path."""
    return quote(text, safe="")


def signed_text(value: Any) -> str:
    """A body as Func signs it: compact JSON, keys sorted, but strings are not escaped.

    (read) Func's server computes it so; for a string with a quote or a backslash, JSON would differ.
    """
    if isinstance(value, dict):
        items = (f'"{key}":{signed_text(value[key])}' for key in sorted(value))
        return "{" + ",".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(signed_text, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else json.dumps(value)


def _read(answer: HTTPAnswer, url: str) -> Any:
    try:
        body = json.loads(answer.body)
        if body["ok"]:
            return body.get("data")
        reason, said, error = str(body["reason"]), str(body.get("message") or ""), body["error"]
    except (ValueError, KeyError, TypeError):
        answer.refuse_redirect(url)
        raise UserError("install.not_func", status=answer.status_code, url=url) from None
    detail = body.get("detail")
    advice = text(f"install.advice_{_kind(reason, said, detail)}")
    # Only the message: `reqDump` repeats the request, and with it a key that was sent.
    shown = text("install.func_answered", error=error, reason=reason, said=said[:MAX_MESSAGE_CHARACTERS])
    raise FuncError(shown, advice, reason, detail)


def _kind(reason: str, said: str, detail: Any) -> str:
    """Which advice fits a refusal."""
    entity = detail.get("entity") if isinstance(detail, dict) else None
    if "timestamp" in said:
        return "clock"
    if reason.startswith("EUserAuth"):
        return "token" if "Token" in said else "auth"
    if said.startswith("No such router"):
        return "old"
    if entity == "access key":
        return "no_key"
    word = reason.split(".")[0]
    return word if word in _REASONS else "other"


_REASONS = (
    "EUserPrivilege",
    "EUserDisabled",
    "EClientBadRequest",
    "EClientNotFound",
    "EBizRequestConflict",
    "ESys",
)

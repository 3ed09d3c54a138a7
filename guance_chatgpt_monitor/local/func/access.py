"""Who may use Func's management API: access keys, each request signed once, and the token of its host."""

import hashlib
import hmac
import re
import time
from typing import Any, Callable, Dict, NamedTuple, Sequence

from ..http_server import Request
from .errors import ApiError

MAX_CLOCK_SKEW_S = 900


class AccessKey(NamedTuple):
    """An access key; `may_write` is a privilege of the user it belongs to."""

    key_id: str
    secret: str
    may_write: bool = True

    def __repr__(self) -> str:
        return f"AccessKey({self.key_id})"


class AccessChecker:
    """Checks signatures as Func does. `clock` gives seconds since 1970."""

    def __init__(
        self, keys: Sequence[AccessKey], localhost_token: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys: Dict[str, AccessKey] = {key.key_id: key for key in keys}
        self._localhost_token = localhost_token
        self._clock = clock
        self._nonces: Dict[str, float] = {}

    def check(self, request: Request, body: Any, writes: bool) -> None:
        """Raises ApiError. `body`: a JSON body, or the strings of a form."""
        header = request.headers.get
        key_id, sign = header("X-Dff-Ak-Id"), header("X-Dff-Ak-Sign")
        if key_id and sign:
            key = self._check_key(request, key_id, sign, body)
            if writes and not key.may_write:
                raise ApiError(
                    "EUserPrivilege", "Privilege is not satisfied", {"requiredPrivileges": ["general_w"]}
                )
            return
        token = header("X-Localhost-Auth-Token")
        if not token:
            raise ApiError("EUserAuth", "User not signed in")
        if not self._localhost_token or token.strip() != self._localhost_token:
            raise ApiError("EUserAuth", "Invalid Localhost Auth Token")

    def _check_key(self, request: Request, key_id: str, sign: str, body: Any) -> AccessKey:
        timestamp = request.headers.get("X-Dff-Ak-Timestamp") or ""
        nonce = request.headers.get("X-Dff-Ak-Nonce") or ""
        if not nonce:
            raise ApiError("EUserAuth", "Access Key nonce is missing")
        if not re.match(r"\s*\d", timestamp):
            raise ApiError("EUserAuth", "Access Key timestamp is missing")
        if abs(int(timestamp) - self._clock()) > MAX_CLOCK_SKEW_S:
            raise ApiError("EUserAuth", "Invalid Access Key timestamp")
        if nonce in self._nonces:
            raise ApiError("EUserAuth", "Invalid Access Key nonce")
        key = self._keys.get(key_id)
        if key is None:
            raise ApiError("EClientNotFound", "No such data", {"entity": "access key", "id": key_id})
        digest = hashlib.md5(_dump(body or {}).encode("utf-8")).hexdigest()  # noqa: S324 - Func's signature
        text = "&".join([request.method, request.url, timestamp, nonce, digest])
        wanted = hmac.new(key.secret.encode("utf-8"), text.encode("utf-8"), "sha1").hexdigest()
        if not hmac.compare_digest(sign, wanted):
            raise ApiError("EUserAuth", "Invalid Access Key sign. Hint: akSign = HmacSha1(…)")
        self._nonces[nonce] = self._clock()
        return key


def _dump(value: Any) -> str:
    """The body as Func signs it: keys sorted, and strings as they are, unescaped."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return "{" + ",".join(f'"{key}":{_dump(value[key])}' for key in sorted(value)) + "}"

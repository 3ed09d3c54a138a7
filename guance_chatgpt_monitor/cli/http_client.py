"""HTTP requests of the command line, bounded in time and size; failures are explained."""

import time
from contextlib import nullcontext
from typing import Any, ContextManager, Mapping, NamedTuple, Optional

import requests

from ..core.call import without_credentials
from .connection_advice import explain_unreachable
from .user_error import UserError

CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class HTTPAnswer(NamedTuple):
    """A server's answer; the body is cut to MAX_ANSWER_BYTES."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    def refuse_redirect(self, url: str) -> None:
        """Raise UserError for a redirect: none of the servers that we call redirects."""
        to = self.headers.get("Location", "")
        if 300 <= self.status_code < 400 and to:
            to, shown = without_credentials(to.partition("?")[0]), without_credentials(url)
            raise UserError("common.redirect", url=shown, status=self.status_code, to=to)


def call(
    method: str,
    url: str,
    read_timeout_s: float,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    session: Optional[requests.Session] = None,
    **content: Any,
) -> HTTPAnswer:
    """Send one request; `content` as requests takes it. Raises UserError when no answer comes.

    The body is read for `read_timeout_s` at most, so a server that drips holds nobody up. Without a
    `session`, the request has its own connection: servers close one that was idle for long.
    """
    open_session: ContextManager[requests.Session] = nullcontext(session) if session else requests.Session()
    try:
        with open_session as sender, sender.request(
            method,
            url,
            timeout=(connect_timeout_s, read_timeout_s),
            stream=True,
            allow_redirects=False,
            **content,
        ) as answer:
            return HTTPAnswer(answer.status_code, answer.headers, _read(answer, read_timeout_s))
    # requests' own errors are OSErrors, and so is a missing CA file; a host that cannot be is a ValueError.
    except (OSError, ValueError) as error:
        raise explain_unreachable(error, url) from None


def _read(answer: requests.Response, within_s: float) -> bytes:
    body, ends_s = bytearray(), time.monotonic() + within_s
    for chunk in answer.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) >= MAX_ANSWER_BYTES or time.monotonic() > ends_s:
            break
    return bytes(body[:MAX_ANSWER_BYTES])

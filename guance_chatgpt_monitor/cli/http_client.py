"""One HTTP request of the command line: bounded in time and size, and its failure in words."""

from typing import Any, Mapping, NamedTuple, Tuple

import requests

from .connection_advice import explain_unreachable

CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class HTTPAnswer(NamedTuple):
    """What a server answered; of the body, at most MAX_ANSWER_BYTES."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


def call(method: str, url: str, read_timeout_s: float, **content: Any) -> HTTPAnswer:
    """Send one request; `content` as requests takes it. Raises UserError when no answer comes.

    Each request has its own connection: between two of them may lie longer than a server keeps one.
    """
    timeout: Tuple[float, float] = (CONNECT_TIMEOUT_S, read_timeout_s)
    try:
        with requests.Session() as session, session.request(
            method, url, timeout=timeout, stream=True, allow_redirects=False, **content
        ) as answer:
            body = bytearray()
            for chunk in answer.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) >= MAX_ANSWER_BYTES:
                    break
            return HTTPAnswer(answer.status_code, answer.headers, bytes(body[:MAX_ANSWER_BYTES]))
    except requests.RequestException as error:
        raise explain_unreachable(error, url) from None

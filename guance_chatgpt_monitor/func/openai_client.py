"""The SDK's client for Func: sends nothing too late or to another host, and reads no endless answer.

Each HTTP request is checked at the moment it is sent, which may be seconds after the call of the SDK.
"""

import sys
import threading
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional

KEEPALIVE_S = 300.0  # httpx's default of 5 s is shorter than the pause between two calls
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # decompressed: 64 KiB can decompress to this
MAX_REDIRECTS = 5

# `check` of each thread: a function of the request, which raises to stop it.
_thread = threading.local()


class AnswerTooLargeError(Exception):
    """An answer exceeds MAX_ANSWER_BYTES when decompressed."""


class Sdk(NamedTuple):
    """The module `openai`, its client, and the class of its HTTP responses: httpx's, or httpx2's.

    `get()` and `post()` of the client are all that is used of it. Its methods for each API are imported at
    first use (266 modules, 0.4 to 2 s on Python 3.8), and look through every message, 0.3 ms each.
    """

    openai: Any
    client: Any
    response_class: Any


def make_sdk(openai: Any, api_key: str, base_url: str) -> Sdk:
    """With a client that keeps connections for KEEPALIVE_S and does not retry.

    Before openai 1.17, the SDK takes no HTTP client of ours, and `before_sending()` has no effect.
    """
    options: Dict[str, Any] = {}
    limits = getattr(openai, "DEFAULT_CONNECTION_LIMITS", None)
    if limits is not None and hasattr(openai, "DefaultHttpxClient"):
        kept = type(limits)(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=KEEPALIVE_S,
        )
        options["http_client"] = _careful(openai.DefaultHttpxClient)(limits=kept)
    client = openai.OpenAI(api_key=api_key, base_url=base_url, max_retries=0, **options)
    # The SDK exports the class under its own name; a method keeps that of its package.
    http_package = openai.Timeout.__init__.__module__.partition(".")[0]
    return Sdk(openai, client, sys.modules[http_package].Response)


def missing_package(error: ImportError) -> str:
    """What to tell somebody whose Func cannot make a client."""
    # httpx names no module when it lacks the package for a SOCKS proxy, which the environment may ask for.
    name = error.name or ("socksio" if "socksio" in str(error) else "openai")
    return f"the Python package {name} is not installed in this Func"


def before_sending(check: Optional[Callable[[Any], None]]) -> None:
    """Have `check` called with each HTTP request of this thread right before it is sent; it may raise."""
    _thread.check = check


def _check(request: Any) -> None:
    check = getattr(_thread, "check", None)
    if check is not None:
        check(request)


def _careful(base: Any) -> Any:
    class CarefulClient(base):  # type: ignore[misc] # a class of httpx, or of httpx2
        def send(self, request: Any, **options: Any) -> Any:
            wants_stream = options.get("stream", False)
            options.update(stream=True, follow_redirects=False)
            for _ in range(MAX_REDIRECTS + 1):
                _check(request)
                response = super().send(request, **options)
                following = response.next_request
                if following is None or not _stays(request.url, following.url):
                    break
                response.close()
                request = following
            return response if wants_stream else _read(response)

    return CarefulClient


def _stays(here: Any, there: Any) -> bool:
    """Whether a redirect leads to the same host, and not from https to http."""
    same = here.host == there.host
    return bool(same and (here.scheme, here.port) == (there.scheme, there.port)) or bool(
        same and here.scheme == "http" and there.scheme == "https"
    )


def _read(response: Any) -> Any:
    """The same response with its content read, decompressed and bounded."""
    whole = response.iter_bytes

    def bounded() -> Iterator[bytes]:
        n_bytes = 0
        for part in whole():
            n_bytes += len(part)
            if n_bytes > MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
            yield part

    response.iter_bytes = bounded  # which its read() reads; a new response would take 0.1 ms more
    try:
        response.read()
    finally:
        del response.iter_bytes
        response.close()
    return response

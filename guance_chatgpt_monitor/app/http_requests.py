"""What is noted of each HTTP request that a call makes, and of its answer: their number, status and headers.

Stands around two private methods of an OpenAI client, which get their arguments from the client alone.
"""

import functools
import inspect
from typing import Any, Callable

from ..core.response_headers import pick_headers
from .failsafe import guarded
from .observation import under_way
from .routing import Scope

_Method = Callable[..., Any]
_under_way = under_way.get


def wrap_build_request(original: _Method, scope: Scope) -> _Method:
    """The client builds a request for each attempt, right before it sends it."""

    def _build_request(self: Any, options: Any, *, retries_taken: Any = 0) -> Any:
        request = original(self, options, retries_taken=retries_taken)
        observation = _under_way()
        # Of the wrappers of a client and of its class, one counts.
        if observation is not None and observation.scope is scope:
            observation.requests_sent += 1
        return request

    def of_another_sdk(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        guarded(note_request, scope)
        return request

    return _like(original, _build_request, of_another_sdk)


def wrap_process_response(original: _Method, scope: Scope) -> _Method:
    """The client makes its answer of the HTTP response, which the answer itself does not show."""

    def _process_response(
        self: Any,
        *,
        cast_to: Any,
        options: Any,
        response: Any,
        stream: Any,
        stream_cls: Any,
        retries_taken: Any = 0,
    ) -> Any:
        observation = _under_way()
        if observation is not None and observation.scope is scope:
            try:
                observation.status_code = response.status_code
                observation.headers = pick_headers(response.headers)
            except Exception:
                pass  # it is no HTTP response: then there is nothing to tell
        return original(
            self,
            cast_to=cast_to,
            options=options,
            response=response,
            stream=stream,
            stream_cls=stream_cls,
            retries_taken=retries_taken,
        )

    def of_another_sdk(self: Any, *args: Any, **kwargs: Any) -> Any:
        guarded(note_response, scope, kwargs.get("response"))
        return original(self, *args, **kwargs)

    return _like(original, _process_response, of_another_sdk)


def note_request(scope: Scope) -> None:
    observation = _under_way()
    if observation is not None and observation.scope is scope:
        observation.requests_sent += 1


def note_response(scope: Scope, response: Any) -> None:
    observation = _under_way()
    if observation is not None and observation.scope is scope:
        observation.status_code = getattr(response, "status_code", None)
        observation.headers = pick_headers(getattr(response, "headers", None))


def _like(original: _Method, exact: _Method, of_another_sdk: _Method) -> _Method:
    """The wrapper that takes what `original` takes. `exact` costs a call a quarter of what the other does."""
    names = inspect.signature(original).parameters.keys()
    wrapper = exact if inspect.signature(exact).parameters.keys() == names else of_another_sdk
    return functools.wraps(original)(wrapper)

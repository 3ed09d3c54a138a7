"""What stands around the methods of an OpenAI client: it calls the SDK's own and notes what it did.

All calls go through `request()` of the client: create, parse, the stream helpers, the raw responses, and
the module-level functions. So a call counts once, whatever is built on top. The SDK's own call stands
outside of every guard, and what it returns or raises is passed on as it is.
"""

import copy
import functools
import inspect
from contextvars import ContextVar
from typing import Any, Callable, Dict, Optional

from .answers import fields_of
from .content import Content
from .guard import guarded, report
from .observation import Observation
from .scope import Scope
from .streams import hide_usage, watch_raw_body, watch_raw_stream, watch_stream

OPERATIONS = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/responses?beta=true": "responses",
    "/embeddings": "embeddings",
    "/completions": "text_completion",
}
_NONE: Dict[str, Any] = {}
_POST = ("post", "POST")
_STREAM_OPTIONS = ("chat", "text_completion")  # the Responses API sends its usage unasked

# The call that is under way in this thread or task, whose requests are counted, or a block of observe().
under_way: ContextVar[Any] = ContextVar("guance_chatgpt_monitor_call", default=None)


# ---- the wrappers ----


def wrap_request(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    wrap = _wrap_async_request if inspect.iscoroutinefunction(original) else _wrap_sync_request
    return wrap(original, scope)


# In the ones below, a call to the guard would cost as much as what it guards.


def _wrap_sync_request(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            observation = begin(scope, options, kwargs)
        except Exception as error:
            observation = guarded(report, begin, error)
        if observation is None:
            return original(self, cast_to, options, *args, **kwargs)
        try:
            answer = original(self, cast_to, observation.options, *args, **kwargs)
        except BaseException as error:
            guarded(fail, self, observation, error)
            raise
        try:
            finish(self, observation, answer, "close")
        except Exception as error:
            guarded(report, finish, error)
        if observation.asks_for_usage:
            guarded(hide_usage, answer)
        return answer

    return request


def _wrap_async_request(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @functools.wraps(original)
    async def request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            observation = begin(scope, options, kwargs)
        except Exception as error:
            observation = guarded(report, begin, error)
        if observation is None:
            return await original(self, cast_to, options, *args, **kwargs)
        try:
            answer = await original(self, cast_to, observation.options, *args, **kwargs)
        except BaseException as error:
            guarded(fail, self, observation, error)
            raise
        try:
            finish(self, observation, answer, "aclose")
        except Exception as error:
            guarded(report, finish, error)
        if observation.asks_for_usage:
            guarded(hide_usage, answer)
        return answer

    return request


def wrap_build_request(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    """The client builds a request for each attempt, right before it sends it."""

    @functools.wraps(original)
    def _build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        observation = under_way.get()
        # Of the wrappers of a client and of its class, one counts.
        if observation is not None and observation.scope is scope:
            observation.requests_sent += 1
        return request

    return _build_request


def wrap_process_response(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    """The client makes its answer of the HTTP response, which the answer itself does not show."""

    @functools.wraps(original)
    def _process_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        observation = under_way.get()
        if observation is not None and observation.scope is scope:
            try:
                response = kwargs["response"]
                observation.status_code = response.status_code
                observation.headers = response.headers
            except Exception:
                pass  # a later SDK passes it in some other way: then there is nothing to tell
        return original(self, *args, **kwargs)

    return _process_response


# ---- what they note ----


def begin(scope: Scope, options: Any, kwargs: Any) -> Optional[Observation]:
    """The observation of a call; None for what is none, or what another wrapper observes."""
    operation_name = OPERATIONS.get(options.url)
    if operation_name is None or options.method not in _POST or not scope.active:
        return None
    outer = under_way.get()
    if outer is not None:
        if outer.options is options:
            return None  # the client is monitored, and its class is instrumented
        outer = outer.note_call(operation_name)
    body = options.json_data
    model = body.get("model") if isinstance(body, dict) else None
    observation = Observation(scope.submit, operation_name, model, scope, options, outer)
    if kwargs.get("stream"):
        observation.stream = True
        if scope.stream_usage and operation_name in _STREAM_OPTIONS:
            _ask_for_usage(observation)
    if scope.log_content:
        observation.content = guarded(Content, body)
    under_way.set(observation)
    return observation


def fail(client: Any, observation: Observation, error: BaseException) -> None:
    _leave(client, observation)
    observation.failed(error)


def finish(client: Any, observation: Observation, answer: Any, closing: str) -> None:
    """The client has answered; `closing` is the method that closes its HTTP response."""
    _leave(client, observation)
    # Looked up there because a model of pydantic's takes microseconds to say that it has no such attribute.
    attributes = getattr(answer, "__dict__", _NONE)
    response = attributes.get("http_response")  # of a raw answer
    if response is None:
        if observation.stream and "response" in attributes:
            watch_stream(observation, answer, closing)
        else:
            observation.answered(answer)
    elif observation.stream:
        watch_raw_stream(observation, answer, closing)
    elif response.is_closed:
        observation.answered(response.content)
    else:
        watch_raw_body(observation, response, closing)


def _leave(client: Any, observation: Observation) -> None:
    # Not the request's, which is another object for each; the property takes half a microsecond.
    observation.url = getattr(client, "_base_url", None) or client.base_url
    # Else what has ended stays until the next call: that takes less than to put None in its place.
    if observation.outer is not None:
        # Not reset(): that fails in a task which is not the one that began.
        under_way.set(observation.outer)
    # What is queued must not hold the prompt, nor a chain of calls.
    observation.scope = observation.options = observation.outer = None


def _ask_for_usage(observation: Observation) -> None:
    """Unless the caller has asked, or has said no."""
    options = observation.options
    given = options.json_data.get("stream_options")
    if fields_of(given).get("include_usage") is not None:
        return
    if "stream_options" in fields_of(options.extra_json):
        return
    # A copy: the caller may use the same options for another call.
    options = copy.copy(options)
    options.json_data = {**options.json_data, "stream_options": {**(given or {}), "include_usage": True}}
    observation.options = options
    observation.asks_for_usage = True

"""What stands around the methods of an OpenAI client: it calls the SDK's own and notes what it did.

All calls go through `request()` of the client: create, parse, the stream helpers, the raw responses, and
the module-level functions. So a call counts once, whatever is built on top. The SDK's own call stands
outside of every guard, and what it returns or raises is passed on as it is.
"""

import copy
import functools
import inspect
import time
from typing import Any, Callable, Dict, Mapping, Optional

from .answers import fields_of
from .content import Content
from .failsafe import guarded, report
from .observation import Observation, under_way
from .routing import Scope
from .streams import hide_usage, watch_raw_body, watch_raw_stream, watch_stream

_PATHS = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/responses?beta=true": "responses",
    "/embeddings": "embeddings",
    "/completions": "text_completion",
}
# What is posted by hand may lack the slash.
OPERATIONS = {**_PATHS, **{path[1:]: operation for path, operation in _PATHS.items()}}
_NONE: Dict[str, Any] = {}
_under_way, _set_under_way = under_way.get, under_way.set
_POST = ("post", "POST")
# How the SDK's `with_streaming_response` tells the client.
_RAW_RESPONSE_HEADER = "X-Stainless-Raw-Response"
_STREAM_OPTIONS = ("chat", "text_completion")  # the Responses API sends its usage unasked

# ---- the wrappers ----


def wrap_request(original: Callable[..., Any], scope: Scope, is_async: bool = False) -> Callable[..., Any]:
    """`is_async` says that what `original` returns is awaited, though it is no coroutine function."""
    is_async = is_async or inspect.iscoroutinefunction(inspect.unwrap(original))
    return (_wrap_async_request if is_async else _wrap_sync_request)(original, scope)


# In the ones below, a call to the guard would cost as much as what it guards. So would arguments that are
# passed on as *args and **kwargs: named one by one, they take a quarter of that.


def _wrap_sync_request(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(
        self: Any,
        cast_to: Any,
        options: Any,
        *args: Any,
        stream: Any = False,
        stream_cls: Any = None,
        **kwargs: Any,
    ) -> Any:
        if args or kwargs:
            wrapped = _wrap_sync_request(_with_further(original, args, kwargs), scope)
            return wrapped(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        try:
            observation = begin(scope, options, stream)
        except Exception as error:
            observation = guarded(report, begin, error)
        if observation is None:
            return original(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        try:
            answer = original(self, cast_to, observation.options, stream=stream, stream_cls=stream_cls)
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
    async def request(
        self: Any,
        cast_to: Any,
        options: Any,
        *args: Any,
        stream: Any = False,
        stream_cls: Any = None,
        **kwargs: Any,
    ) -> Any:
        if args or kwargs:
            wrapped = _wrap_async_request(_with_further(original, args, kwargs), scope)
            return await wrapped(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        try:
            observation = begin(scope, options, stream)
        except Exception as error:
            observation = guarded(report, begin, error)
        if observation is None:
            return await original(self, cast_to, options, stream=stream, stream_cls=stream_cls)
        try:
            answer = await original(self, cast_to, observation.options, stream=stream, stream_cls=stream_cls)
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


def _with_further(original: Callable[..., Any], args: Any, kwargs: Any) -> Callable[..., Any]:
    """`original`, with further arguments: the first SDK has some that it does not use itself."""

    def request(self: Any, cast_to: Any, options: Any, **streaming: Any) -> Any:
        return original(self, cast_to, options, *args, **streaming, **kwargs)

    return request


# ---- what they note ----


def begin(scope: Scope, options: Any, stream: Any) -> Optional[Observation]:
    """The observation of a call; None for what is none, or what another wrapper observes."""
    # As attributes, each would take longer than this: models of pydantic's have a `__getattr__()`.
    given = options.__dict__
    operation_name = OPERATIONS.get(given["url"])
    if operation_name is None or given["method"] not in _POST or not scope.active:
        return None
    outer = _under_way()
    if outer is not None and outer.options is options:
        return None  # the client is monitored, and its class is instrumented
    observation = Observation()
    observation.submit = scope.submit
    observation.operation_name = operation_name
    observation.scope = scope
    observation.options = options
    body = given["json_data"]
    observation.request_model = body.get("model") if isinstance(body, dict) else None
    # These stand on the class, too; but they are read in the way of the call, which takes longer from there.
    observation.outer = observation.content = None
    observation.stream = observation.asks_for_usage = False
    observation.requests_sent = 0
    if outer is not None and outer.options is not None:
        observation.outer = outer.note_call(operation_name)
    if stream:
        observation.stream = True
        if scope.stream_usage and operation_name in _STREAM_OPTIONS:
            _ask_for_usage(observation)
    if scope.log_content:
        observation.content = guarded(Content, body)
    _set_under_way(observation)
    observation.started_s = time.perf_counter()
    return observation


def fail(client: Any, observation: Observation, error: BaseException) -> None:
    _leave(client, observation)
    observation.failed(error)


def finish(client: Any, observation: Observation, answer: Any, closing: str) -> None:
    """The client has answered; `closing` is the method that closes its HTTP response."""
    observation.ended_s = time.perf_counter()
    _leave(client, observation)
    if observation.stream:
        _watch_stream(observation, answer, closing)
        return
    # Looked up there because a model of pydantic's takes microseconds to say that it has no such attribute.
    try:
        fields = answer.__dict__
    except AttributeError:
        fields = _NONE
    if "http_response" in fields:
        _watch_body(observation, fields["http_response"], closing)
        return
    unknown = getattr(answer, "__pydantic_extra__", None)
    if unknown or not fields or fields.get("error") or observation.content is not None:
        observation.note_answer(answer, fields)
    else:
        # As nearly all answers; in place, since a call takes longer than what it would do.
        observation.usage = fields.get("usage")
        observation.response_model = fields.get("model")
        observation.service_tier = fields.get("service_tier")
    # Called as a method, it would first be looked for on the class.
    submit = observation.submit
    submit(observation)


def _watch_stream(observation: Observation, answer: Any, closing: str) -> None:
    # Not through its `__dict__`: once that is made, the interpreter takes a longer way to each attribute, and
    # each chunk takes the SDK 0.1 us more.
    if getattr(answer, "http_response", None) is not None:
        watch_raw_stream(observation, answer, closing)
    elif getattr(answer, "response", None) is not None:
        watch_stream(observation, answer, closing)
    else:
        observation.answered(answer)


def _watch_body(observation: Observation, response: Any, closing: str) -> None:
    if response.is_closed:
        observation.answered(_body_of(response))
    else:
        watch_raw_body(observation, response, closing)


def _body_of(response: Any) -> Any:
    try:
        return response.content
    except Exception:
        return b""  # closed unread, by a hook of the application's


def _leave(client: Any, observation: Observation) -> None:
    # Not the request's, which is another object for each; the property takes half a microsecond.
    try:
        observation.url = client._base_url
    except AttributeError:
        observation.url = client.base_url
    # Else what has ended stays until the next call: that takes less than to put None in its place.
    if observation.outer is not None:
        # Not reset(): that fails in a task which is not the one that began.
        _set_under_way(observation.outer)
        observation.outer = None
    # What is queued must not hold the prompt, nor a chain of calls.
    observation.scope = observation.options = None


def _is_read_raw(options: Any) -> bool:
    """Whether the application may read the bytes of the stream, where nothing can be hidden from it."""
    headers = options.headers
    return isinstance(headers, Mapping) and headers.get(_RAW_RESPONSE_HEADER) == "stream"


def _ask_for_usage(observation: Observation) -> None:
    """Unless the caller has asked, or has said no."""
    options = observation.options
    if not isinstance(options.json_data, dict) or _is_read_raw(options):
        return
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

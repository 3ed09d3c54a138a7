"""The wrappers of a client's methods: each calls the SDK's own method and records what it did.

All calls go through the client's `request()`: create, parse, the stream helpers, the raw responses and the
module-level functions. So a call counts once, whatever is built on top. The SDK's method is called outside
every guard, and what it returns or raises is passed on unchanged.
"""

import functools
from typing import Any, Callable, Dict, Optional

from ..core.response_headers import pick_headers
from .active_span import active_span
from .call_content import Content, NothingSaid
from .client_keys import keys_of
from .failsafe import guarded
from .jobs import JOB_OPERATIONS, Job, JobRequest, asks_for_job, goes_on
from .litellm_calls import claim, strays
from .observation import Observation, under_way
from .operations import AS_WRITTEN, operation_of
from .routing import ATTRIBUTE, Scope, scope_of
from .stream_options import ask_for_usage, can_go_without_usage
from .streams import hide_usage, watch_raw, watch_stream

_NONE: Dict[str, Any] = {}
_Method = Callable[..., Any]

# ---- the wrappers ----


def wrap_request(original: _Method, is_async: bool) -> _Method:
    """`is_async`: what `original` returns is awaited."""

    @functools.wraps(original)
    def request(self: Any, cast_to: Any, options: Any, *args: Any, stream: Any = False, **kwargs: Any) -> Any:
        observation = guarded(begin, self, options, stream)
        if observation is None:
            answer = original(self, cast_to, options, *args, stream=stream, **kwargs)
            if guarded(asks_for_job, options):
                guarded(note_job, self, stream, answer)
            return answer
        while True:
            try:
                answer = original(self, cast_to, observation.options, *args, stream=stream, **kwargs)
                break
            except BaseException as error:
                if not guarded(can_go_without_usage, observation, error):
                    guarded(fail, observation, error)
                    raise
        guarded(finish, observation, answer)
        if observation.asks_for_usage:
            guarded(hide_usage, answer)
        return answer

    @functools.wraps(original)
    async def async_request(
        self: Any, cast_to: Any, options: Any, *args: Any, stream: Any = False, **kwargs: Any
    ) -> Any:
        observation = guarded(begin, self, options, stream)
        if observation is None:
            answer = await original(self, cast_to, options, *args, stream=stream, **kwargs)
            if guarded(asks_for_job, options):
                guarded(note_job, self, stream, answer)
            return answer
        while True:
            try:
                answer = await original(self, cast_to, observation.options, *args, stream=stream, **kwargs)
                break
            except BaseException as error:
                if not guarded(can_go_without_usage, observation, error):
                    guarded(fail, observation, error)
                    raise
        guarded(finish, observation, answer)
        if observation.asks_for_usage:
            guarded(hide_usage, answer)
        return answer

    return async_request if is_async else request


def wrap_build_request(original: _Method, is_async: bool) -> _Method:  # noqa: ARG001 - as all of these
    """The client builds a request for each attempt, just before it sends it."""

    @functools.wraps(original)
    def _build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        observation = under_way.get()
        if observation is not None and observation.client is self:
            observation.requests_sent += 1
        return request

    return _build_request


def wrap_process_response(original: _Method, is_async: bool) -> _Method:  # noqa: ARG001
    """The client makes its answer from the HTTP response, which the answer itself does not show."""

    @functools.wraps(original)
    def _process_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        observation = under_way.get()
        if observation is not None and observation.client is self:
            observation.response = kwargs.get("response")
        return original(self, *args, **kwargs)

    return _process_response


def wrap_copy(original: _Method, is_async: bool) -> _Method:  # noqa: ARG001
    """A client that is made from a monitored one is monitored."""

    @functools.wraps(original)
    def copy_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = original(self, *args, **kwargs)
        guarded(hand_on, self, client)
        return client

    return copy_client


# ---- what they record ----


def begin(client: Any, options: Any, stream: Any) -> Optional[Observation]:
    """The observation of a call; None if it is not one, or if another wrapper observes it."""
    # Between two calls, the SDK has taken ours out of the processor's caches: here, a function costs 2 us.
    scope: Optional[Scope] = getattr(client, ATTRIBUTE, None)
    if scope is None or options.method.lower() != "post":
        return None
    operation_name = AS_WRITTEN.get(options.url) or operation_of(options.url)
    if operation_name is None:
        return None
    outer = under_way.get()
    if outer is not None and outer.options is options:
        return None
    if outer is not None and outer.options is None:
        outer = None  # it has ended
    body = options.json_data
    kind = Job if operation_name in JOB_OPERATIONS and goes_on(operation_name, options) else Observation
    observation = kind(scope.submit, operation_name, scope.clock)
    observation.client, observation.options, observation.outer = client, options, outer
    if isinstance(body, dict):
        observation.request_model = body.get("model")
    if outer is not None:
        outer.note_call(operation_name)
    elif strays:
        claim(operation_name, observation.request_model)
    if stream:
        observation.stream = True
        if scope.stream_usage:
            ask_for_usage(observation)
    if scope.log_content or scope.log_errors:
        observation.content = guarded(Content, body) if scope.log_content else NothingSaid()
        observation.span = guarded(active_span)
    under_way.set(observation)
    observation.started_s = scope.clock()
    return observation


def hand_on(client: Any, copied: Any) -> None:
    if ATTRIBUTE in vars(client):
        setattr(copied, ATTRIBUTE, vars(client)[ATTRIBUTE])


def fail(observation: Observation, error: BaseException) -> None:
    response = observation.response
    if response is not None and response.status_code < 300 and response.is_closed:
        # An answer that parse() rejected was paid for all the same.
        observation.note_answer(_body_of(response))
    _leave(observation)
    observation.failed(error)


def finish(observation: Observation, answer: Any) -> None:
    """The client has answered, perhaps with something that is yet to be read."""
    ended_s = observation.clock()
    _leave(observation)
    if not observation.stream and observation.note_plain(answer):
        observation.end(ended_s)
    else:
        _watch(observation, answer, ended_s)


def note_job(client: Any, stream: Any, answer: Any) -> None:
    """An answer says how calls stand that were begun earlier."""
    scope = scope_of(client)
    if scope is not None:
        request = JobRequest(scope, client)
        request.stream = bool(stream)
        _watch(request, answer, request.started_s)


def _watch(observation: Observation, answer: Any, ended_s: float) -> None:
    # Not through the `__dict__` of a stream: once that exists, each chunk costs the SDK 0.1 us more.
    is_raw = not observation.stream or getattr(answer, "http_response", None) is not None
    if not is_raw and getattr(answer, "response", None) is not None:
        watch_stream(observation, answer)
        return
    fields = getattr(answer, "__dict__", _NONE)
    response = fields.get("http_response")
    if response is not None and not response.is_closed:
        watch_raw(observation, answer)
        return
    if response is None and "is_stream_consumed" in fields:
        response = answer  # `cast_to` was the HTTP package's class
    observation.note_answer(answer if response is None else _body_of(response))
    observation.end(ended_s)


def _body_of(response: Any) -> Any:
    try:
        return response.content
    except Exception:
        return b""  # a hook of the application closed it unread


def _leave(observation: Observation) -> None:
    # Not reset(): that fails in another task than the one that began.
    under_way.set(observation.outer)
    client, response = observation.client, observation.response
    if observation.content is not None:
        # Now: if the key is a function, the SDK calls it only when it sends.
        observation.content.keys = guarded(keys_of, client, observation.options) or ()
    # The queue must not keep the prompt alive, nor a chain of calls.
    observation.client = observation.outer = observation.response = None
    observation.options = observation.options_given = None
    observation.client_class = type(client)
    # The property of openai 3 imports a module each time.
    observation.base_url = getattr(client, "_base_url", None) or client.base_url
    if response is not None:
        observation.status_code = response.status_code
        observation.headers = pick_headers(response.headers)

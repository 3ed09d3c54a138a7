"""Websockets: `realtime.connect()`, `responses.connect()`, openai-agents. Each response is one call.

The SDK imports their modules when they are first used. So the properties of a client that import them are
wrapped, and these wrap the managers of connections, once. A connection is watched through its own receiving
method and `send()`, which all its other methods call.
"""

import functools
import inspect
import json
import os
import sys
import weakref
from typing import Any, Callable, Dict, List

from .failsafe import guarded
from .observation import Observation
from .routing import Scope, scope_of

_PROPERTIES = ("realtime", "responses", "beta")  # of a client, and of `beta`
# openai-agents opens these itself: module, class, the method that opens one, and what is asked on it.
_AGENTS = (
    ("models.openai_responses", "OpenAIResponsesWSModel", "_open_websocket_connection", "responses"),
    ("realtime.openai_realtime", "OpenAIRealtimeWebSocketModel", "_create_websocket_connection", "realtime"),
)
_CREATE = "response.create"
_STARTED = "response.created"
_ENDED = ("response.done", "response.completed", "response.failed", "response.incomplete")
# All others, most of them pieces of sound, are not parsed.
_MARKS = tuple(f'"{kind}"'.encode() for kind in (_STARTED, *_ENDED, "error"))

Replace = Callable[[Any, str, Any], None]


def wrap_resources(cls: Any, replace: Replace) -> None:
    """Watch the websockets of a client class; `replace` puts a wrapper in the place of an attribute."""
    for name in _PROPERTIES:
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        found = None if owner is None else vars(owner)[name]
        if isinstance(found, functools.cached_property) and not hasattr(found, "of_monitor"):
            replace(owner, name, _announcing(found, owner, name, replace))


def wrap_agents(replace: Replace) -> None:
    """Watch the websockets that openai-agents opens, if it has been imported."""
    for module, class_name, name, operation_name in _AGENTS:
        cls = getattr(sys.modules.get("agents." + module), class_name, None)
        method = vars(cls).get(name) if cls is not None else None
        if method is not None and not hasattr(method, "of_monitor"):
            replace(cls, name, _marked(_wrap_open(method, operation_name)))


def _wrap_open(original: Any, operation_name: str) -> Any:
    @functools.wraps(original)
    async def open_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await original(self, *args, **kwargs)
        guarded(_watch_agents, self, args[0] if args else kwargs.get("url"), operation_name, connection)
        return connection

    return open_connection


def _watch_agents(model: Any, url: Any, operation_name: str, connection: Any) -> None:
    # A model for realtime has no client: it is monitored if all of them are.
    scope = scope_of(getattr(model, "_client", None) or sys.modules["openai"].AsyncOpenAI)
    if scope is not None:
        name = getattr(model, "model", None)
        _watch(connection, "recv", _Responses(scope, operation_name, url, name))


def _announcing(original: Any, owner: Any, name: str, replace: Replace) -> Any:
    @functools.wraps(original.func)
    def get(self: Any) -> Any:
        resource = original.func(self)
        guarded(wrap_resources, type(resource), replace)
        guarded(_wrap_managers, type(resource), replace)
        return resource

    announcing: Any = functools.cached_property(get)
    announcing.__set_name__(owner, name)
    announcing.of_monitor = True
    return announcing


def _wrap_managers(resource_class: Any, replace: Replace) -> None:
    module = sys.modules[resource_class.__module__]
    for cls in list(vars(module).values()):
        if not inspect.isclass(cls) or not cls.__name__.endswith("ConnectionManager"):
            continue
        for name in ("__enter__", "__aenter__", "enter"):
            method = vars(cls).get(name)
            if method is not None and not hasattr(method, "of_monitor"):
                replace(cls, name, _marked(_wrap_enter(method)))


def _wrap_enter(original: Any) -> Any:
    @functools.wraps(original)
    def enter(self: Any) -> Any:
        connection = original(self)
        guarded(_watch_managed, self, connection)
        return connection

    @functools.wraps(original)
    async def enter_async(self: Any) -> Any:
        connection = await original(self)
        guarded(_watch_managed, self, connection)
        return connection

    return enter_async if inspect.iscoroutinefunction(original) else enter


def _watch_managed(manager: Any, connection: Any) -> None:
    private = f"_{type(manager).__name__.lstrip('_')}__"
    client: Any = getattr(manager, private + "client", None)
    scope = scope_of(client)
    if scope is None or hasattr(connection.recv_bytes, "of_monitor"):
        return
    is_realtime = "Realtime" in type(manager).__name__
    model = getattr(manager, private + "model", None)
    responses = _Responses(scope, "realtime" if is_realtime else "responses", client.base_url, model)
    _watch(connection, "recv_bytes", responses)


def _watch(connection: Any, receive: str, responses: "_Responses") -> None:
    setattr(connection, receive, _wrap_receive(getattr(connection, receive), responses))
    connection.send = _wrap_send(connection.send, responses)
    connection.close = _wrap_close(connection.close, responses)
    # Of one that is dropped without being closed.
    weakref.finalize(connection, guarded, responses.close)


class _Responses:
    """The responses of one connection that have not ended yet."""

    def __init__(self, scope: Scope, operation_name: str, base_url: Any, model: Any) -> None:
        self._scope = scope
        self._operation_name = operation_name
        self._base_url = base_url
        self._model = model
        self._asked_for: List[Observation] = []  # by `response.create`, and not yet begun
        self._begun: Dict[Any, Observation] = {}  # by the id of the response
        self._process_id = os.getpid()

    def sent(self, event: Any) -> None:
        if isinstance(event, str):
            event = json.loads(event) if f'"{_CREATE}"' in event else {}
        fields = event if isinstance(event, dict) else getattr(event, "__dict__", {})
        if fields.get("type") == _CREATE:
            response = fields.get("response")
            model = fields.get("model") or (response.get("model") if isinstance(response, dict) else None)
            self._asked_for.append(self._new(model, requests_sent=1))

    def received(self, data: Any) -> None:
        text = data.encode() if isinstance(data, str) else data
        if not any(mark in text for mark in _MARKS):
            if b'.delta"' in text:
                self._note_content()
            return
        event = json.loads(text)
        kind, response = event.get("type"), event.get("response")
        if kind == "error":
            self._failed(event)
        elif isinstance(response, dict) and kind == _STARTED:
            self._begin(response)
        elif isinstance(response, dict) and kind in _ENDED:
            self._end(response)

    def close(self, error: Any = None) -> None:
        """The connection is closed, or broke: nothing more will be heard of its responses."""
        if os.getpid() != self._process_id:
            return  # they are those of the process that forked this one
        open_ones = [*self._asked_for, *self._begun.values()]
        self._asked_for, self._begun = [], {}
        for observation in open_ones:
            if error is None:
                observation.error_type = "cancelled"
                observation.end()
            else:
                observation.failed(error)

    def _new(self, model: Any, requests_sent: int) -> Observation:
        observation = Observation(self._scope.submit, self._operation_name, self._scope.clock)
        observation.request_model = model or self._model
        observation.base_url = self._base_url
        observation.stream = True
        observation.requests_sent = requests_sent
        return observation

    def _begin(self, response: Dict[str, Any]) -> None:
        # If the server heard somebody speak, nobody has asked.
        observation = self._asked_for.pop(0) if self._asked_for else self._new(response.get("model"), 0)
        self._begun[response.get("id")] = observation

    def _note_content(self) -> None:
        for observation in self._begun.values():
            if observation.first_content_s is None:
                observation.first_content_s = observation.clock()

    def _end(self, response: Dict[str, Any]) -> None:
        observation = self._begun.pop(response.get("id"), None)
        if observation is None:
            observation = self._asked_for.pop(0) if self._asked_for else self._new(response.get("model"), 0)
        answer = _as_answer(response) if self._operation_name == "realtime" else response
        observation.note_answer(answer, is_whole=False)
        observation.end()

    def _failed(self, event: Dict[str, Any]) -> None:
        # Other errors, such as of a setting of the session, belong to no response.
        if self._asked_for or self._begun:
            first = self._asked_for or list(self._begun)
            observation = self._asked_for.pop(0) if self._asked_for else self._begun.pop(first[0])
            observation.note_answer({"error": event.get("error") or event}, is_whole=False)
            observation.end()


def _as_answer(response: Dict[str, Any]) -> Dict[str, Any]:
    """Usage and error of a response of the Realtime API. An interrupted one has not failed."""
    details = response.get("status_details")
    error = None
    if response.get("status") == "failed":
        error = (isinstance(details, dict) and details.get("error")) or {"code": "failed"}
    return {"usage": response.get("usage"), "model": response.get("model"), "error": error}


def _wrap_receive(original: Any, responses: _Responses) -> Any:
    @functools.wraps(original)
    def recv_bytes(*args: Any, **kwargs: Any) -> Any:
        try:
            data = original(*args, **kwargs)
        except Exception as error:
            guarded(_broken, responses, error)
            raise
        guarded(responses.received, data)
        return data

    @functools.wraps(original)
    async def recv_bytes_async(*args: Any, **kwargs: Any) -> Any:
        try:
            data = await original(*args, **kwargs)
        except Exception as error:
            guarded(_broken, responses, error)
            raise
        guarded(responses.received, data)
        return data

    return _marked(recv_bytes_async if inspect.iscoroutinefunction(original) else recv_bytes)


def _broken(responses: _Responses, error: Exception) -> None:
    # Only a closed connection has ended; after a timeout, the reader may go on.
    if type(error).__name__.startswith("ConnectionClosed"):
        responses.close(None if type(error).__name__ == "ConnectionClosedOK" else ConnectionError())


def _wrap_send(original: Any, responses: _Responses) -> Any:
    @functools.wraps(original)
    def send(event: Any, *args: Any, **kwargs: Any) -> Any:
        guarded(responses.sent, event)
        return original(event, *args, **kwargs)

    return _marked(send)


def _wrap_close(original: Any, responses: _Responses) -> Any:
    @functools.wraps(original)
    def close(*args: Any, **kwargs: Any) -> Any:
        guarded(responses.close)
        return original(*args, **kwargs)

    return _marked(close)


def _marked(wrapper: Any) -> Any:
    wrapper.of_monitor = True
    return wrapper

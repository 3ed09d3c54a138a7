"""What is patched in the openai SDK, and nothing else; 1.x, 2.x and 3.x alike.

Methods of the client classes, each once. They are looked up, never derived from a version: if a later SDK
drops a private one, less is recorded. `request()` makes every call, `_build_request()` each attempt of it,
and `_process_response()` has the HTTP response; `copy()` and `with_options()` make clients that are monitored
like the original. Where the calls of a client go stands on the client: see `routing`.
"""

import functools
import inspect
import threading
from inspect import Parameter
from types import FunctionType, MethodType
from typing import Any, Callable, Dict, List, NamedTuple, TypeVar

from .connections import wrap_agents, wrap_resources
from .failsafe import guarded
from .litellm_calls import forget_litellm, watch_litellm
from .routing import ATTRIBUTE, Scope, open_scope, scope_of
from .wrappers import wrap_build_request, wrap_copy, wrap_process_response, wrap_request

Client = TypeVar("Client")

_WRAPPERS: Dict[str, Callable[[Any, bool], Any]] = {
    "request": wrap_request,
    "_build_request": wrap_build_request,
    "_process_response": wrap_process_response,
    "copy": wrap_copy,
    "with_options": wrap_copy,
}


class _Replaced(NamedTuple):
    owner: Any
    name: str
    original: Any
    wrapper: Any


_lock = threading.Lock()
_replaced: List[_Replaced] = []
_instrumented: List[Any] = []  # classes
_are_clients_monitored = False  # by monitor(); then the patches stay


def monitor(client: Client, **settings: Any) -> Client:
    """Monitor the calls of one client, and of copies made by `copy()`, `with_options()` or `copy.copy()`.

    Args:
        client: an OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI.
        **settings: see the table in `guance_chatgpt_monitor.core.settings_table`; the environment provides
            those that are not given.

    Returns:
        `client` itself.

    Raises:
        TypeError: `client` is not a client.
        ValueError: a setting is invalid; the message does not quote its value.
    """
    if isinstance(client, type) or not callable(getattr(client, "request", None)):
        raise TypeError(
            "monitor() takes an OpenAI client, such as OpenAI() or AsyncAzureOpenAI(); for the module-level "
            "openai.chat and the like, call instrument()"
        )
    scope = open_scope(settings)
    if scope is not None:
        guarded(monitor_client, client, scope)
    return client


def instrument(**settings: Any) -> None:
    """Monitor the calls of every client in this process, including those that exist already.

    LiteLLM and the websockets of openai-agents are monitored, too, if they have been imported. A second call
    changes nothing.

    Args:
        **settings: as for `monitor()`.

    Raises:
        ImportError: openai is not installed.
        ValueError: a setting is invalid; the message does not quote its value.
    """
    scope = open_scope(settings)
    if scope is not None:
        import openai

        guarded(instrument_classes, (openai.OpenAI, openai.AsyncOpenAI), scope)
        guarded(watch_litellm, scope)


def watch_imported() -> None:
    """If the classes are instrumented, watch LiteLLM and openai-agents, if they are imported now."""
    import openai

    scope = scope_of(openai.OpenAI)
    if scope is not None:
        guarded(watch_litellm, scope)
        with _lock:
            guarded(wrap_agents, _replace)


def uninstrument() -> None:
    """Undo `instrument()`. Clients given to `monitor()` stay monitored."""
    guarded(forget_litellm)
    with _lock:
        for cls in _instrumented:
            if ATTRIBUTE in vars(cls):
                delattr(cls, ATTRIBUTE)
        _instrumented.clear()
        if _are_clients_monitored:
            return
        for owner, name, original, wrapper in reversed(_replaced):
            # If somebody has wrapped our wrapper, it must stay; it only passes calls on from here.
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)
        _replaced.clear()


def monitor_client(client: Any, scope: Scope) -> None:
    """Send the calls of one client to `scope`, unless they go somewhere already."""
    global _are_clients_monitored
    with _lock:
        _patch(type(client))
        _are_clients_monitored = True
    _patch_own(client)
    if ATTRIBUTE not in vars(client):
        setattr(client, ATTRIBUTE, scope)


def instrument_classes(classes: Any, scope: Scope) -> None:
    """Send the calls of all clients of these classes to `scope`, unless they go somewhere already."""
    with _lock:
        for cls in classes:
            # Again even if it was done before: somebody may have undone a patch of theirs, and ours with it.
            if _is_known(cls) or ATTRIBUTE not in vars(cls):
                _patch(cls)
        for cls in classes:
            if ATTRIBUTE not in vars(cls):
                setattr(cls, ATTRIBUTE, scope)
                _instrumented.append(cls)


def _patch(cls: Any) -> None:
    """Wrap the methods of this class where they are defined, once."""
    if not _is_known(cls):
        raise TypeError("the request() of this openai SDK has an unknown signature")
    for name, wrap in _WRAPPERS.items():
        # The SDK's own: an override in a derived class calls it. One that does not is a cache or a stub.
        owner = _owner(cls, name)
        if owner is not None and not _is_ours(vars(owner)[name]):
            wrapper = wrap(vars(owner)[name], _is_async(cls))
            wrapper.of_monitor = True
            _replace(owner, name, wrapper)
    guarded(wrap_resources, cls, _replace)
    guarded(wrap_agents, _replace)


def _replace(owner: Any, name: str, wrapper: Any) -> None:
    _replaced.append(_Replaced(owner, name, vars(owner)[name], wrapper))
    setattr(owner, name, wrapper)


def _owner(cls: Any, name: str) -> Any:
    """The class of the SDK that defines a method of `cls`; None if none does."""
    return next((base for base in reversed(cls.__mro__) if name in vars(base)), None)


def _is_known(cls: Any) -> bool:
    parameters = inspect.signature(_owner(cls, "request").request).parameters
    takes_anything = Parameter.VAR_POSITIONAL in {parameter.kind for parameter in parameters.values()}
    return takes_anything or {"cast_to", "options"} <= parameters.keys()


def _patch_own(client: Any) -> None:
    """Wrap a `request()` that somebody has put on the client itself: it may bypass the class's."""
    own = vars(client).get("request")
    # Not a mock or the like. The proxies of wrapt, which other monitors use, have `__wrapped__`.
    if _is_ours(own) or not (isinstance(own, (FunctionType, MethodType)) or hasattr(own, "__wrapped__")):
        return
    method: Any = own

    @functools.wraps(method)
    def call(_: Any, *args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    wrapper: Any = wrap_request(call, _is_async(type(client)))
    wrapper.of_monitor = True
    client.request = MethodType(wrapper, client)


def _is_ours(function: Any) -> bool:
    """Also if somebody has wrapped it in turn, or if it is of a second import of this package."""
    return hasattr(function, "of_monitor")


def _is_async(cls: Any) -> bool:
    """Also if somebody has wrapped `request()` in a function that returns the coroutine."""
    methods = [inspect.unwrap(vars(base)["request"]) for base in cls.__mro__ if "request" in vars(base)]
    return any(map(inspect.iscoroutinefunction, methods))

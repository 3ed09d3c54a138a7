"""What is patched in the openai SDK, and nothing else; 1.x, 2.x and 3.x alike.

The methods of the client classes, once: which there are is looked up, never told from a version, so where
a later SDK has lost a private one, less is noted. `request()` is every call; `_build_request()` is each
attempt of it; `_process_response()` has the HTTP response; `copy()` and `with_options()` make clients that
are to be monitored like their original. Whose calls are noted is told by the client: see `routing`.
"""

import functools
import inspect
import threading
from types import FunctionType, MethodType
from typing import Any, Callable, Dict, List, NamedTuple, TypeVar

from .connections import wrap_resources
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
_instrumented: List[Any] = []  # the classes
_are_clients_monitored = False  # by monitor(): they keep the patches


def monitor(client: Client, **settings: Any) -> Client:
    """Monitor the calls of this client, an OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI.

    Returns `client` itself. Copies of it, by `copy()`, `with_options()` or `copy.copy()`, are monitored, too.
    The settings are those of `guance_chatgpt_monitor.app.environment`. Raises ValueError for a wrong setting
    and TypeError for what is no client.
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
    """Monitor the calls of every client of this process, those that exist already included.

    The settings are those of `guance_chatgpt_monitor.app.environment`. Raises ValueError for a wrong one and
    ImportError where openai is not installed. Once instrumented, a further call changes nothing. LiteLLM is
    monitored where it is imported already.
    """
    scope = open_scope(settings)
    if scope is not None:
        import openai

        guarded(instrument_classes, (openai.OpenAI, openai.AsyncOpenAI), scope)
        guarded(watch_litellm, scope)


def watch_imported_litellm() -> None:
    """Where the classes are instrumented already, have LiteLLM's calls go where theirs do."""
    import openai

    scope = scope_of(openai.OpenAI)
    if scope is not None:
        guarded(watch_litellm, scope)


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
            # Where somebody has wrapped our wrapper it must stay: it only passes on from here.
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)
        _replaced.clear()


def monitor_client(client: Any, scope: Scope) -> None:
    """Have the calls of one client go to `scope`, unless they go somewhere already."""
    global _are_clients_monitored
    with _lock:
        _patch(type(client))
        _are_clients_monitored = True
    _patch_own(client)
    if ATTRIBUTE not in vars(client):
        setattr(client, ATTRIBUTE, scope)


def instrument_classes(classes: Any, scope: Scope) -> None:
    """Have the calls of all clients of these classes go to `scope`, unless they go somewhere already."""
    with _lock:
        for cls in classes:
            # Once more where it is done already: somebody may have taken back a patch, and ours with it.
            if _is_known(cls) or ATTRIBUTE not in vars(cls):
                _patch(cls)
        for cls in classes:
            if ATTRIBUTE not in vars(cls):
                setattr(cls, ATTRIBUTE, scope)
                _instrumented.append(cls)


def _patch(cls: Any) -> None:
    """Put the wrappers on the classes that define the methods of this one, once."""
    if not _is_known(cls):
        raise TypeError("this openai SDK calls request() in a way that is not known")
    for name, wrap in _WRAPPERS.items():
        # The SDK's own: what overrides a method in a class derived from that calls it.
        owner = next((base for base in reversed(cls.__mro__) if name in vars(base)), None)
        if owner is not None and not _is_ours(vars(owner)[name]):
            wrapper = wrap(vars(owner)[name], _is_async(cls))
            wrapper.of_monitor = True
            _replace(owner, name, wrapper)
    guarded(wrap_resources, cls, _replace)


def _replace(owner: Any, name: str, wrapper: Any) -> None:
    _replaced.append(_Replaced(owner, name, vars(owner)[name], wrapper))
    setattr(owner, name, wrapper)


def _is_known(cls: Any) -> bool:
    return {"cast_to", "options"} <= inspect.signature(cls.request).parameters.keys()


def _patch_own(client: Any) -> None:
    """A `request()` that was put on the client itself, by somebody else, may lead past its class's."""
    own = vars(client).get("request")
    # Not on what is no method, such as a mock; the proxies of wrapt, which other monitors use, have a
    # `__wrapped__`.
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
    """Alone or wrapped in turn, and of this package or of a second import of it."""
    return hasattr(function, "of_monitor")


def _is_async(cls: Any) -> bool:
    """Also where somebody has wrapped `request()` by a function that passes on the coroutine."""
    methods = [inspect.unwrap(vars(base)["request"]) for base in cls.__mro__ if "request" in vars(base)]
    return any(map(inspect.iscoroutinefunction, methods))

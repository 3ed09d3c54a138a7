"""What is patched in the openai SDK, and nothing else; 1.x, 2.x and 3.x alike.

`monitor()` puts wrappers on one client, `instrument()` on the classes of all. Which methods there are is
looked up, never told from a version: where a later SDK has lost a private one, less is noted. Of the
methods, `request()` is every call; `_build_request()` is each attempt of it; `_process_response()` has the
HTTP response. `copy()` and `with_options()` make clients that are to be monitored like their original. The
`__iter__()` of streams is replaced on their classes, since the interpreter looks for it there.
"""

import copy
import functools
import inspect
import sys
import threading
from types import FunctionType, MethodType
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from .failsafe import guarded
from .http_requests import wrap_build_request, wrap_process_response
from .routing import Scope, open_scope
from .streams import only_passes_on, wrap_iter
from .wrappers import wrap_request

Client = TypeVar("Client")

_Wrap = Callable[[Any, Scope], Any]

_CALLS: Dict[str, _Wrap] = {
    "request": wrap_request,
    "_build_request": wrap_build_request,
    "_process_response": wrap_process_response,
}
_COPIES = ("copy", "with_options")
_ITERATIONS = (("Stream", "__iter__"), ("AsyncStream", "__aiter__"))


class _Replaced(NamedTuple):
    owner: Any
    name: str
    original: Any
    wrapper: Any


class _Instrumentation:
    """What `instrument()` has done to the classes, to be undone."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scope: Optional[Scope] = None
        self.replaced: List[_Replaced] = []


_instrumentation = _Instrumentation()


def monitor(client: Client, **settings: Any) -> Client:
    """Monitor the calls of this client, an OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI.

    Returns `client` itself. Clients made of it by `copy()` or `with_options()` are monitored, too. The
    settings are those of `guance_chatgpt_monitor.app.environment`. Raises ValueError for a wrong setting and
    TypeError for what is no client.
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
    ImportError where openai is not installed. Once instrumented, a further call changes nothing.
    """
    scope = open_scope(settings)
    if scope is not None:
        import openai

        guarded(instrument_classes, (openai.OpenAI, openai.AsyncOpenAI), scope)


def uninstrument() -> None:
    """Undo `instrument()`. Clients given to `monitor()` stay monitored."""
    with _instrumentation.lock:
        _undo()


def _undo() -> None:
    if _instrumentation.scope is not None:
        _instrumentation.scope.active = False
    for owner, name, original, wrapper in reversed(_instrumentation.replaced):
        # Where somebody has wrapped our wrapper it must stay; out of its scope it only passes on.
        if vars(owner).get(name) is wrapper:
            setattr(owner, name, original)
    _instrumentation.replaced.clear()
    _instrumentation.scope = None


def monitor_client(client: Any, scope: Scope) -> None:
    """Put the wrappers on one client, once."""
    if hasattr(vars(client).get("request"), "of_monitor"):
        return
    if not _is_known(type(client).request):
        raise TypeError("this openai SDK calls request() in a way that is not known")
    for name, wrap in _CALLS.items():
        if name == "request" and _is_async(type(client)):
            wrap = functools.partial(wrap_request, is_async=True)
        _replace(client, name, wrap, scope)
    for name in _COPIES:
        _replace(client, name, _wrap_copy, scope)
    _prepare_for_copying(type(client))
    guarded(_replace_iterations)


def instrument_classes(classes: Any, scope: Scope) -> None:
    """Put the wrappers on the classes that define the methods of these."""
    with _instrumentation.lock:
        is_done = _instrumentation.scope is not None
        if is_done and not any(map(_is_taken_back, _instrumentation.replaced)):
            return
        if not all(_is_known(cls.request) for cls in classes):
            if is_done:  # somebody's patch, below which ours may well be
                return
            raise TypeError("this openai SDK calls request() in a way that is not known")
        # Somebody's patch, made before ours, was taken back later, and ours with it. Where it is there after
        # all, it only passes on from here.
        _undo()
        _instrumentation.scope = scope
        for cls in classes:
            for name, wrap in _CALLS.items():
                owner = next((base for base in cls.__mro__ if name in vars(base)), None)
                # One base class may define a method for both.
                if owner is not None and not _is_replaced(owner, name):
                    original = vars(owner)[name]
                    wrapper = wrap(original, scope)
                    setattr(owner, name, wrapper)
                    _instrumentation.replaced.append(_Replaced(owner, name, original, wrapper))
        _instrumentation.replaced += guarded(_replace_iterations) or []


def _replace_iterations() -> List[_Replaced]:
    """On the classes of streams; those that are replaced, or that somebody else has replaced, stay."""
    openai = sys.modules.get("openai")
    replaced = []
    for class_name, name in _ITERATIONS:
        owner: Any = getattr(openai, class_name, None)
        original = getattr(owner, "__dict__", {}).get(name)
        if only_passes_on(original):
            wrapper = wrap_iter(original)
            setattr(owner, name, wrapper)
            replaced.append(_Replaced(owner, name, original, wrapper))
    return replaced


def _is_replaced(owner: Any, name: str) -> bool:
    return any(owner is done.owner and name == done.name for done in _instrumentation.replaced)


def _is_taken_back(done: _Replaced) -> bool:
    """Whether a call's wrapper stands no more where it was put, alone or wrapped, as far as can be told."""
    if done.name not in _CALLS:
        return False
    found = vars(done.owner).get(done.name)
    return done.wrapper not in (found, getattr(found, "__wrapped__", None))


def _is_known(request: Any) -> bool:
    parameters = inspect.signature(request).parameters
    defaults = [parameters[name].default for name in ("stream", "stream_cls") if name in parameters]
    return {"cast_to", "options"} <= parameters.keys() and defaults == [False, None]


def _is_async(cls: Any) -> bool:
    """Also of a class derived from an asynchronous client whose own `request()` passes on a coroutine."""
    return any(inspect.iscoroutinefunction(vars(base).get("request")) for base in cls.__mro__)


def _replace(client: Any, name: str, wrap: _Wrap, scope: Scope) -> None:
    function = _function_of(client, getattr(client, name, None))
    if function is not None:
        wrapper = wrap(function, scope)
        wrapper.of_monitor = scope
        setattr(client, name, MethodType(wrapper, client))


def _function_of(client: Any, method: Any) -> Any:
    """What `method` calls, to be called with a client; None for what is no method, such as a mock."""
    # Not isinstance(): the proxies of wrapt, which other monitors use, say that they are methods, and name
    # the function beneath them as theirs.
    if type(method) is MethodType and method.__self__ is client:
        return method.__func__
    if not isinstance(method, (FunctionType, MethodType)) and not hasattr(method, "__wrapped__"):
        return None

    @functools.wraps(method)
    def call(_: Any, *args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return call


def _prepare_for_copying(cls: Any) -> None:
    """Have `copy.copy()` not take our methods along: they are the original's.

    A copy that is given another key would else send with that of the original.
    """
    if not hasattr(cls, "__copy__"):
        cls.__copy__ = _copy


def _copy(client: Any) -> Any:
    """What `copy.copy()` does without this, and if `client` is monitored, so is its copy."""
    reduced = client.__reduce_ex__(4)
    # What copy.copy() itself calls: there is no other way past this very method.
    copied = client if isinstance(reduced, str) else copy._reconstruct(client, None, *reduced)  # type: ignore[attr-defined]
    attributes = getattr(copied, "__dict__", {})
    scope = getattr(attributes.get("request"), "of_monitor", None)
    for name in (*_CALLS, *_COPIES):
        if copied is not client and hasattr(attributes.get(name), "of_monitor"):
            del attributes[name]
    if scope is not None:
        guarded(monitor_client, copied, scope)
    return copied


def _wrap_copy(original: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    @functools.wraps(original)
    def copy_monitored(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = original(self, *args, **kwargs)
        guarded(monitor_client, client, scope)
        return client

    return copy_monitored

"""observe(): for calls that no monitored client makes."""

import contextlib
import functools
import inspect
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Callable, Dict, List, Optional, Tuple, Type, TypeVar, cast

from ..core.fields import read_field
from .failsafe import guarded, warn
from .observation import Observation, under_way

Function = TypeVar("Function", bound=Callable[..., Any])


class ObservedCall:
    """The call that a block makes: what `with observe(...) as call` gives."""

    # As of a call that is under way, in nobody's scope: no wrapper is to take this for its own.
    scope = None
    options = ()

    def __init__(self, begin: Callable[[], Optional[Observation]], frame: Optional[FrameType] = None) -> None:
        self._observation: Optional[Observation] = guarded(begin)
        self._has_own_point = False
        self._has_ended = False
        # By its id: to keep the frame is to keep all that is in it.
        self.frame_id = id(frame)
        self._driver = guarded(_driver_of_generator, frame)
        self._outer = guarded(_not_ended, under_way.get())
        under_way.set(self)

    def record(self, response: Any) -> None:
        """Take usage, model and error from the answer, an object of an SDK's or a dict.

        Of several answers, the last counts. What is neither is left alone: it tells nothing.
        """
        if self._observation is not None and (isinstance(response, dict) or hasattr(response, "__dict__")):
            guarded(_note, self._observation, response)

    def note_call(self, operation_name: str) -> "ObservedCall":
        """A monitored client makes a call within the block; that call has its own point."""
        is_within = self._driver is None or self._driver != _driver() or _is_running(self.frame_id)
        if self._has_ended or not is_within:
            return self  # between two items, whoever reads them makes calls of their own
        # To embed something on the way to a chat is another call, not the one that is observed here.
        own = self._observation.operation_name if self._observation else operation_name
        if (operation_name == "embeddings") == (own == "embeddings"):
            self._has_own_point = True
        return self

    def end(self, error: Optional[BaseException]) -> None:
        self._has_ended = True
        # It is another where a generator is closed elsewhere, or before one that began later.
        if under_way.get() is self:
            under_way.set(_not_ended(self._outer))
            self._outer = None
        if self._observation is None or self._has_own_point:
            return
        if error is not None:
            self._observation.note_error(error)
        self._observation.end()


_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _not_ended(call: Any) -> Any:
    """`call`, or what it was made in, or that in turn."""
    while isinstance(call, ObservedCall) and call._has_ended:
        call = call._outer
    return call


def _driver_of_generator(frame: Optional[FrameType]) -> Optional[Tuple[int, Optional[int]]]:
    """Who runs the generator of this frame; None for what is none, and is not left before its block ends."""
    if frame is None or not frame.f_code.co_flags & _GENERATOR:
        return None
    # Where contextlib makes a context manager of it, what is within that is within the block.
    is_context = frame.f_back is not None and frame.f_back.f_code.co_filename == contextlib.__file__
    return None if is_context else _driver()


def _driver() -> Tuple[int, Optional[int]]:
    """Thread and task: what a generator has another do, such as in a task of its own, is within its block."""
    try:
        task = sys.modules["asyncio"].current_task()
    except (KeyError, AttributeError, RuntimeError):  # nobody has imported it, or no loop is running
        task = None
    return threading.get_ident(), None if task is None else id(task)


def _is_running(frame_id: int) -> bool:
    """Whether this frame is on the stack; a generator's is not while it waits for who wants the next item."""
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None and id(frame) != frame_id:
        frame = frame.f_back
    return frame is not None


def _note(observation: Observation, response: Any) -> None:
    # Whatever SDK it is of: its fields may be properties.
    observation.note_answer({name: read_field(response, name) for name in ("usage", "model", "error")})


class observe:  # noqa: N801 - it reads as a statement
    """Observe a call made without a monitored client: in a `with` or `async with` block, or as a decorator.

    `operation_name` is `chat`, `responses`, `embeddings`, `text_completion` or a word of your own;
    `provider_name` is who answers; `tags` go on the point, a few values each. The response time is that of
    the block, or of the function, whose result is recorded. An error is noted and goes on its way.

    Where a monitored client makes the call after all, there is its point and no second one. Raises
    TypeError or ValueError for a wrong argument.
    """

    def __init__(
        self,
        operation_name: str = "chat",
        request_model: str = "",
        provider_name: str = "openai",
        tags: Optional[Dict[str, str]] = None,
    ) -> None:
        names = {
            "operation_name": operation_name,
            "request_model": request_model,
            "provider_name": provider_name,
        }
        if tags is not None and not isinstance(tags, dict):
            raise TypeError(f"observe(): tags are a dict of texts, not {type(tags).__name__}")
        for name, value in {**names, **(tags or {})}.items():
            if not isinstance(value, str):
                raise TypeError(f"observe(): {name} is to be text, not {type(value).__name__}")
        if tags:
            from ..core.metrics import RESERVED_NAMES

            for name in RESERVED_NAMES.intersection(tags):
                raise ValueError(f"observe(): a tag must not be named {name}, as the monitor's own is")
        if not operation_name:
            raise ValueError("observe(): operation_name is empty; for most calls it is chat")
        self._operation_name = operation_name
        self._request_model = request_model
        self._provider_name = provider_name
        self._tags = dict(tags or {})
        self._calls: List[ObservedCall] = []

    def _begin(self) -> Optional[Observation]:
        from .exporter import get_exporter

        try:
            exporter = get_exporter()
        except ValueError as error:  # a wrong setting in the environment; its value is not quoted
            warn(f"calls are not monitored: {error}")
            return None
        observation = Observation()
        observation.submit = exporter.submit
        observation.operation_name = self._operation_name
        observation.request_model = self._request_model
        observation.provider_name = self._provider_name
        observation.tags = self._tags
        observation.requests_sent = 1  # as far as can be told from outside
        observation.started_s = time.perf_counter()
        return observation

    def __enter__(self) -> ObservedCall:
        return self._enter(sys._getframe(1))

    def _enter(self, frame: FrameType) -> ObservedCall:
        call = ObservedCall(self._begin, frame)
        self._calls.append(call)
        return call

    def __exit__(
        self,
        error_class: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._exit(sys._getframe(1), error)

    def _exit(self, frame: FrameType, error: Optional[BaseException]) -> None:
        # One object may be used by several threads, tasks or generators at a time. The call is that of the
        # block that ends; where somebody else enters and leaves it, as ExitStack does, the current one.
        calls = [call for call in self._calls if call.frame_id == id(frame)]
        if not calls:
            calls = [call for call in self._calls if call is under_way.get()] or self._calls
        call = calls[-1]
        self._calls.remove(call)
        guarded(call.end, error)

    async def __aenter__(self) -> ObservedCall:
        return self._enter(sys._getframe(1))

    async def __aexit__(
        self,
        error_class: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._exit(sys._getframe(1), error)

    def __call__(self, function: Function) -> Function:
        if isinstance(function, (classmethod, staticmethod)):
            raise TypeError(f"observe() goes below @{type(function).__name__}, next to the function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("observe() decorates functions that return an answer; in a generator, use `with`")
        wrap = self._wrap_async if inspect.iscoroutinefunction(function) else self._wrap_sync
        observed: Any = functools.wraps(function)(wrap(function))
        return cast(Function, observed)

    def _wrap_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*args: Any, **kwargs: Any) -> Any:
            call = ObservedCall(self._begin)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                guarded(call.end, error)
                raise
            call.record(result)
            guarded(call.end, None)
            return result

        return observed

    def _wrap_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(*args: Any, **kwargs: Any) -> Any:
            call = ObservedCall(self._begin)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                guarded(call.end, error)
                raise
            call.record(result)
            guarded(call.end, None)
            return result

        return observed

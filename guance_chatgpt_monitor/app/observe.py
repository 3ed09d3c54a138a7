"""observe(): for calls that are not made by a monitored client."""

import functools
import inspect
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Set, Type, TypeVar, cast

from .active_span import active_span
from .call_content import NothingSaid
from .failsafe import guarded, log_warning, warn
from .observation import Observation, under_way
from .other_sdks import as_openai

Function = TypeVar("Function", bound=Callable[..., Any])


class ObservedCall:
    """The call made in a block: what `with observe(...) as call` binds."""

    # Looks like an observation to the wrappers: of no client, and under way until `options` are None.
    client = None

    def __init__(self, begin: Callable[[], Optional[Observation]]) -> None:
        self.options: Any = ()
        self._observation: Optional[Observation] = guarded(begin)
        self._has_own_point = False
        outer = under_way.get()
        # Not one that has ended elsewhere, such as in another thread.
        self._outer = outer if getattr(outer, "options", None) is not None else None
        under_way.set(self)

    def record(self, response: Any) -> None:
        """Read usage, model, finish reason and error from the answer of any SDK, an object or a dict.

        Known forms are those of OpenAI, Anthropic, Google, Amazon Bedrock (Converse), DashScope, Cohere,
        Ollama, LangChain and LlamaIndex. Of several answers, the last one counts. Anything else is ignored,
        with one warning that names its type.
        """
        if self._observation is not None and response is not None:
            guarded(_note, self._observation, response)

    def note_call(self, operation_name: str) -> None:
        """A monitored client makes a call within the block; that call has its own point."""
        # An embedding on the way to a chat is another call than the one observed here.
        own = self._observation.operation_name if self._observation else operation_name
        if (operation_name == "embeddings") == (own == "embeddings"):
            self._has_own_point = True

    def end(self, error: Optional[BaseException]) -> None:
        self.options = None
        # Another one, if a generator is closed elsewhere, or before one that began later.
        if under_way.get() is self:
            under_way.set(self._outer)
        self._outer = None
        if self._observation is None or self._has_own_point:
            return
        if error is not None:
            self._observation.note_error(error)
        self._observation.end()


# The types of answers that could not be read.
_warned_of: Set[str] = set()
_MAX_WARNINGS = 100


def _note(observation: Observation, response: Any) -> None:
    answer = as_openai(response)
    if answer is not None:
        observation.note_answer(answer, is_whole=False)
        return
    name = f"{type(response).__module__}.{type(response).__qualname__}"
    if name not in _warned_of and len(_warned_of) < _MAX_WARNINGS:
        _warned_of.add(name)
        log_warning(
            f"observe(): nothing was read from a {name}, so its call has no tokens; record() the answer as "
            'the SDK gave it, or a dict such as {"model": "m", "usage": {"total_tokens": 30}}'
        )


class observe:  # noqa: N801 - it reads as a statement
    """Observe a call made without a monitored client: in a `with` or `async with` block, or as a decorator.

    The response time is that of the block, or of the function, whose result is recorded. Errors are recorded
    and propagate. If a monitored client makes the call after all, its point is the only one. A generator that
    yields inside the block leaves it open: calls that its reader makes in between are taken for the block's,
    so read the answer in the block and yield it afterwards.

    Args:
        operation_name: `chat`, `responses`, `embeddings`, `text_completion`, or a word of your own.
        request_model: the requested model; may be empty.
        provider_name: who answers.
        tags: your own tags of the point, which should have few values each.

    Raises:
        TypeError: an argument is not a string, or `tags` not a dict of strings.
        ValueError: `operation_name` is empty, or a tag has a reserved name.
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
            raise TypeError(f"observe(): tags must be a dict of strings, not {type(tags).__name__}")
        for name, value in {**names, **(tags or {})}.items():
            if not isinstance(value, str):
                raise TypeError(f"observe(): {name} must be a string, not {type(value).__name__}")
        if tags:
            from ..core.metrics import RESERVED_NAMES

            for name in RESERVED_NAMES.intersection(tags):
                raise ValueError(f"observe(): the tag name {name} is reserved for the monitor")
        if not operation_name:
            raise ValueError("observe(): operation_name is empty; most calls are a chat")
        self._operation_name = operation_name
        self._request_model = request_model
        self._provider_name = provider_name
        self._tags = dict(tags or {})
        self._calls: List[ObservedCall] = []

    def _begin(self) -> Optional[Observation]:
        from .exporter import get_exporter

        try:
            exporter = get_exporter()
        except ValueError as error:  # an invalid setting in the environment; its value is not quoted
            warn(f"calls are not monitored: {error}")
            return None
        observation = Observation(exporter.submit, self._operation_name)
        observation.request_model = self._request_model
        observation.provider_name = self._provider_name
        observation.tags = self._tags
        observation.requests_sent = 1  # as far as is visible from outside
        if exporter.settings.log_errors and not exporter.settings.log_content:
            observation.content = NothingSaid()
            observation.span = guarded(active_span)
        return observation

    def __enter__(self) -> ObservedCall:
        call = ObservedCall(self._begin)
        self._calls.append(call)
        return call

    def __exit__(
        self,
        error_class: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        # Several threads or tasks may use one object at a time: take the call that is under way here, or the
        # last one if the block is left in another thread or task than it was entered in.
        call = under_way.get()
        if call not in self._calls:
            call = self._calls[-1]
        self._calls.remove(call)
        guarded(call.end, error)

    async def __aenter__(self) -> ObservedCall:
        return self.__enter__()

    async def __aexit__(
        self,
        error_class: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.__exit__(error_class, error, traceback)

    def __call__(self, function: Function) -> Function:
        if isinstance(function, (classmethod, staticmethod)):
            raise TypeError(f"observe() goes below @{type(function).__name__}, next to the function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("observe() decorates functions that return an answer; in a generator, use `with`")

        @functools.wraps(function)
        def observed(*args: Any, **kwargs: Any) -> Any:
            with self as call:
                result = function(*args, **kwargs)
                call.record(result)
                return result

        @functools.wraps(function)
        async def observed_async(*args: Any, **kwargs: Any) -> Any:
            with self as call:
                result = await function(*args, **kwargs)
                call.record(result)
                return result

        return cast(Function, observed_async if inspect.iscoroutinefunction(function) else observed)

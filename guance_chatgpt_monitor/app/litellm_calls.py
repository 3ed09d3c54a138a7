"""LiteLLM, through its public callbacks: the calls that it makes without the openai SDK.

It asks most of its providers, and the Responses API of all, with an HTTP client of its own. Calls that it
makes through the SDK are recorded there. What tells them apart: LiteLLM announces each call, most of them in
the thread or task that makes it.
"""

import asyncio
import sys
import threading
from collections import OrderedDict
from typing import Any, Dict, Optional, Tuple

from .failsafe import guarded
from .observation import Observation, under_way
from .routing import Scope

MAX_UNDER_WAY = 10_000  # of more, the oldest is forgotten, and not recorded

_OPERATIONS = {
    "completion": "chat",
    "responses": "responses",
    "embedding": "embeddings",
    "text_completion": "text_completion",
    "image_generation": "image_generation",
    "image_edit": "image_edit",
    "transcription": "transcription",
    "speech": "speech",
    "moderation": "moderation",
    "anthropic_messages": "chat",
    "generate_content": "chat",
}
_PROVIDERS = {"azure": "azure_openai", "azure_text": "azure_openai"}


def watch_litellm(scope: Scope) -> None:
    """Send the calls of LiteLLM to `scope`, if the application has imported it."""
    litellm: Any = sys.modules.get("litellm")
    if litellm is None or not hasattr(litellm, "callbacks"):
        return
    _calls.scope = scope
    # Only one, ever: LiteLLM copies its callbacks to places where they stay.
    if _Shared.callback is None:
        _Shared.callback = _make_callback(_calls)
    if not any(hasattr(each, "of_monitor") for each in litellm.callbacks):
        litellm.callbacks.append(_Shared.callback)


def forget_litellm() -> None:
    _calls.scope = None
    litellm: Any = sys.modules.get("litellm")
    callbacks = getattr(litellm, "callbacks", [])
    callbacks[:] = [each for each in callbacks if not hasattr(each, "of_monitor")]


class _Announced:
    """A call that LiteLLM is about to make. The SDK's wrapper sets `is_seen` if it comes by there."""

    client = None

    def __init__(self) -> None:
        self.options: Any = self  # none of the SDK's
        self.is_seen = False

    def note_call(self, _: str) -> None:
        self.is_seen = True


class _Calls:
    """The calls that are under way, by LiteLLM's own ids."""

    def __init__(self) -> None:
        self.scope: Optional[Scope] = None
        self._announced: OrderedDict[str, _Announced] = OrderedDict()
        # Announced in a thread of the event loop's executor, where the task that makes them has no context:
        # their operation and model, by which the SDK's wrapper knows them.
        self.strays: Dict[str, Tuple[str, Any]] = {}
        self._lock = threading.Lock()

    def announce(self, kwargs: Dict[str, Any]) -> None:
        if self.scope is None:
            return
        announced = _Announced()
        with self._lock:
            # A retry is announced once more.
            before = self._announced.get(kwargs["litellm_call_id"])
            announced.is_seen = before is not None and before.is_seen
            self._announced[kwargs["litellm_call_id"]] = announced
            while len(self._announced) > MAX_UNDER_WAY:
                self.strays.pop(self._announced.popitem(last=False)[0], None)
            if _is_async(kwargs) and not _is_on_loop():
                self.strays[kwargs["litellm_call_id"]] = (_operation_of(kwargs), kwargs.get("model"))
        under_way.set(announced)

    def claim(self, operation_name: str, model: Any) -> None:
        """The SDK's wrapper sees a call: if it was announced elsewhere, it is that one."""
        with self._lock:
            for call_id, stray in self.strays.items():
                if stray == (operation_name, model):
                    del self.strays[call_id]
                    self._announced[call_id].is_seen = True
                    return

    def end(self, kwargs: Dict[str, Any], answer: Any, started: Any, ended: Any) -> None:
        announced, scope = self._take(kwargs), self.scope
        if kwargs.get("cache_hit") or announced is None or announced.is_seen or scope is None:
            return
        operation_name = _operation_of(kwargs)
        if not operation_name:
            return
        observation = Observation(scope.submit, operation_name, scope.clock)
        observation.request_model = kwargs.get("model")
        provider = str(kwargs.get("custom_llm_provider") or "")
        observation.provider_name = _PROVIDERS.get(provider, provider)
        observation.stream = bool(kwargs.get("stream"))
        observation.requests_sent = 1
        ended_s = observation.clock()
        observation.started_s = ended_s - (ended - started).total_seconds()
        first = kwargs.get("completion_start_time")
        if observation.stream and first is not None:
            observation.first_content_s = observation.started_s + (first - started).total_seconds()
        error = kwargs.get("exception")
        if isinstance(error, BaseException) and answer is None:
            observation.note_error(error)
        else:
            observation.note_answer(answer, is_whole=False)
            observation.status_code = 200
        observation.end(ended_s)

    def _take(self, kwargs: Dict[str, Any]) -> Optional[_Announced]:
        with self._lock:
            announced = self._announced.pop(kwargs["litellm_call_id"], None)
            self.strays.pop(kwargs["litellm_call_id"], None)
        if announced is not None:
            announced.options = None  # later calls in its thread do not belong to it
        return announced


def _call_type(kwargs: Dict[str, Any]) -> str:
    return str(kwargs.get("call_type") or "completion")


def _is_async(kwargs: Dict[str, Any]) -> bool:
    call_type = _call_type(kwargs)
    return call_type not in _OPERATIONS and call_type[:1] == "a"


def _operation_of(kwargs: Dict[str, Any]) -> str:
    """Empty if it uses no model."""
    call_type = _call_type(kwargs)
    return _OPERATIONS.get(call_type[1:] if _is_async(kwargs) else call_type, "")


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_calls = _Calls()
strays, claim = _calls.strays, _calls.claim


class _Shared:
    callback: Any = None


def _make_callback(calls: _Calls) -> Any:
    from litellm.integrations.custom_logger import CustomLogger  # type: ignore[import-not-found,unused-ignore]

    class Callback(CustomLogger):  # type: ignore[misc,unused-ignore]
        of_monitor = True

        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:  # noqa: ARG002
            guarded(calls.announce, kwargs)

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            guarded(calls.end, kwargs, response_obj, start_time, end_time)

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
            guarded(calls.end, kwargs, None, start_time, end_time)

        async def async_log_success_event(self, *args: Any, **named: Any) -> None:
            self.log_success_event(*args, **named)

        async def async_log_failure_event(self, *args: Any, **named: Any) -> None:
            self.log_failure_event(*args, **named)

    return Callback()

"""Limits for whoever calls the link and so spends the key's money: models, completion tokens, tokens a day.

What is beyond them is refused, in OpenAI's error form, before anything is sent.
"""

import time
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from .request import Answer, Request, error_body

# A day's count outlives its day, also where the clock is put back.
COUNT_KEPT_S = 48 * 3600

# The parameters that bound an answer; the first is the one put in where a request has none.
_CHAT_PARAMETERS: Tuple[str, ...] = ("max_completion_tokens", "max_tokens")
_RESPONSES_PARAMETERS: Tuple[str, ...] = ("max_output_tokens",)


class Admission(NamedTuple):
    """The request as it may be sent, or why it may not."""

    request: Request
    refusal: Optional[Answer] = None


class GuardRails:
    """The limits of one link; None is no limit. Raises ValueError where the default model is not allowed.

    `cache` is DFF.CACHE, where all workers count the day's tokens together. While it is unreachable, calls
    pass: a link that answers without its daily limit is better than one that does not answer. `say` takes
    one line for the operator.
    """

    def __init__(
        self,
        default_model: str,
        allowed_models: Optional[List[str]] = None,
        max_completion_tokens: Optional[int] = None,
        daily_token_limit: Optional[int] = None,
        clock: Callable[[], float] = time.time,
        scope: str = "guance_chatgpt_monitor",
    ) -> None:
        if allowed_models is not None and default_model not in allowed_models:
            raise ValueError(f"the default model {default_model} must be one of allowed_models")
        self._allowed_models = allowed_models
        self._max_completion_tokens = max_completion_tokens
        self._daily_token_limit = daily_token_limit
        self._clock = clock
        self._scope = scope

    def admit(self, request: Request, cache: Any, say: Callable[[str], None]) -> Admission:
        """`request` with its completion tokens bounded, or its refusal."""
        try:
            self._check_model(request.model)
            bounded = self._bound(request)
            self._check_day(request, cache, say)
            return Admission(bounded)
        except _RefusedError as error:
            body = error_body(str(error), "budget_error", error.param, error.code)
            return Admission(request, Answer(error.status_code, body))

    def count(self, total_tokens: Optional[float], cache: Any, say: Callable[[str], None]) -> None:
        """Add what an answer reported to the day's count. Never raises."""
        if self._daily_token_limit is None or not total_tokens:
            return
        key = self._day_key()
        try:
            cache.hincrby(key, "total", int(total_tokens), scope=self._scope)
            cache.expire(key, COUNT_KEPT_S, scope=self._scope)
        except Exception as error:
            say(f"{int(total_tokens)} token(s) are missing in the day's count ({type(error).__name__})")

    def _check_model(self, model: str) -> None:
        if self._allowed_models is not None and model not in self._allowed_models:
            names = ", ".join(self._allowed_models)
            message = f"this link allows these models only: {names}"
            raise _RefusedError(403, message, "model_not_allowed", "model")

    def _bound(self, request: Request) -> Request:
        limit = self._max_completion_tokens
        if limit is None:
            return request
        body, is_chat = request.body, request.operation_name == "chat"
        names = _CHAT_PARAMETERS if is_chat else _RESPONSES_PARAMETERS
        choices = _choices(body.get("n"), limit) if is_chat else 1
        # Each of a request's choices may have that many.
        allowed = limit // choices
        given = [name for name in names if body.get(name) is not None]
        for name in given:
            if not _is_whole(body[name]) or not 1 <= body[name] <= allowed:
                each = f" ({allowed} for each of {choices} choices)" if choices > 1 else ""
                raise _too_many(f"{name} must be a whole number up to {limit}{each} on this link", name)
        return request if given else request._replace(body={**body, names[0]: allowed})

    def _check_day(self, request: Request, cache: Any, say: Callable[[str], None]) -> None:
        limit = self._daily_token_limit
        if limit is None:
            return
        if request.body.get("background") not in (None, False):
            message = "a background answer reports no tokens, which this link counts: leave background out"
            raise _RefusedError(403, message, "background_not_allowed", "background")
        try:
            used = int(cache.hget(self._day_key(), "total", scope=self._scope) or 0)
        except Exception as error:
            say(f"the daily token limit cannot be checked ({type(error).__name__}): the call passes")
            return
        if used >= limit:
            message = f"this link's {limit} tokens a day are used up; it is open again at {self._reset_at()}"
            raise _RefusedError(429, message, "daily_token_limit_reached")

    def _day_key(self) -> str:
        return time.strftime("tokens_of_%Y-%m-%d", time.localtime(self._clock()))

    def _reset_at(self) -> str:
        today = time.localtime(self._clock())
        midnight_s = time.mktime((today.tm_year, today.tm_mon, today.tm_mday + 1, 0, 0, 0, 0, 0, -1))
        return time.strftime("%Y-%m-%d %H:%M %z", time.localtime(midnight_s))


class _RefusedError(Exception):
    def __init__(self, status_code: int, message: str, code: str, param: Optional[str] = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.param = param


def _too_many(message: str, param: str) -> _RefusedError:
    return _RefusedError(403, message, "completion_tokens_not_allowed", param)


def _choices(n: Any, limit: int) -> int:
    """How many choices a Chat Completions request asks for."""
    if n is None:
        return 1
    if not _is_whole(n) or not 1 <= n <= limit:
        raise _too_many(f"n must be a whole number up to {limit} on this link", "n")
    return int(n)


def _is_whole(value: Any) -> bool:
    # A gateway may take what OpenAI refuses: "100000", or -1 for "no limit".
    return isinstance(value, int) and not isinstance(value, bool)

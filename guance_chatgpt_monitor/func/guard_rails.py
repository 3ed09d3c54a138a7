"""Limits for whoever calls the link and so spends the key's credit: models, completion tokens, tokens a day.

What exceeds them is refused, with an error in OpenAI's form, before anything is sent.
"""

import json
from typing import Any, Callable, Collection, List, NamedTuple, Optional, Tuple

from .daily_tokens import UNBOUNDED_COMPLETION_TOKENS, DailyTokens, Reservation
from .extras import refused_extra
from .request import Answer, Request, error_body

# The parameters that bound an answer. A request without any gets the first.
_CHAT_PARAMETERS: Tuple[str, ...] = ("max_completion_tokens", "max_tokens")
_RESPONSES_PARAMETERS: Tuple[str, ...] = ("max_output_tokens",)


class Admission(NamedTuple):
    """The request as it may be sent, or why it may not."""

    request: Request
    refusal: Optional[Answer] = None
    reservation: Optional[Reservation] = None


class GuardRails:
    """The limits of one link; None means no limit. Raises ValueError if the default model is not allowed.

    `cache` is DFF.CACHE, where all workers count the day's tokens together. While it is unavailable, calls
    pass: a link without its daily limit is better than one that does not answer. `say` takes one line for the
    operator.
    """

    def __init__(
        self,
        default_model: str,
        allowed_models: Optional[List[str]] = None,
        max_completion_tokens: Optional[int] = None,
        daily_tokens: Optional[DailyTokens] = None,
        allowed_extras: Collection[str] = (),
    ) -> None:
        if allowed_models is not None and default_model not in allowed_models:
            raise ValueError(f"the default model {default_model} must be one of allowed_models")
        self._allowed_models = allowed_models
        self._max_completion_tokens = max_completion_tokens
        self._daily_tokens = daily_tokens
        self._allowed_extras = frozenset(allowed_extras)

    @property
    def has_limits(self) -> bool:
        limits = (self._allowed_models, self._max_completion_tokens, self._daily_tokens)
        return any(limit is not None for limit in limits)

    def admit(self, request: Request, cache: Any, say: Callable[[str], None]) -> Admission:
        """`request` with its completion tokens bounded, or its refusal. settle() must follow."""
        if not self.has_limits:
            return Admission(request)
        try:
            self._check_model(request.model)
            self._check_extras(request)
            bounded = self._bound(request)
            return Admission(bounded, reservation=self._reserve(bounded, cache, say))
        except _RefusedError as error:
            body = error_body(str(error), "budget_error", error.param, error.code)
            return Admission(request, Answer(error.status_code, body))

    def settle(
        self, admission: Admission, total_tokens: Optional[float], cache: Any, say: Callable[[str], None]
    ) -> None:
        """Replace what was reserved by what the answer reported. Never raises."""
        if self._daily_tokens is None or admission.reservation is None:
            return
        used = int(total_tokens or 0)
        try:
            self._daily_tokens.settle(admission.reservation, used, cache)
        except Exception as error:
            say(f"{used} token(s) are missing in the day's count ({type(error).__name__})")

    def _check_model(self, model: str) -> None:
        if self._allowed_models is not None and model not in self._allowed_models:
            names = ", ".join(self._allowed_models)
            message = f"this link allows these models only: {names}"
            raise _RefusedError(403, message, "model_not_allowed", "model")

    def _check_extras(self, request: Request) -> None:
        name = refused_extra(request.operation_name, request.body, self._allowed_extras)
        if name is not None:
            message = (
                f"this link has limits and does not allow {name[:64]!r}: leave it out, or have it added to "
                "the setting allowed_extras"
            )
            raise _RefusedError(403, message, "extra_not_allowed", name[:64])

    def _bound(self, request: Request) -> Request:
        limit = self._max_completion_tokens
        if limit is None:
            return request
        body, is_chat = request.body, request.operation_name == "chat"
        names = _names_of_bounds(request)
        choices = _choices(body.get("n"), limit) if is_chat else 1
        # The limit is for all choices together.
        allowed = limit // choices
        given = [name for name in names if body.get(name) is not None]
        for name in given:
            if not _is_whole(body[name]) or not 1 <= body[name] <= allowed:
                each = f" ({allowed} for each of {choices} choices)" if choices > 1 else ""
                raise _too_many(f"{name} must be a whole number up to {limit}{each} on this link", name)
        return request if given else request._replace(body={**body, names[0]: allowed})

    def _reserve(self, request: Request, cache: Any, say: Callable[[str], None]) -> Optional[Reservation]:
        daily = self._daily_tokens
        if daily is None:
            return None
        if request.body.get("background") not in (None, False):
            message = "this link counts tokens, and a background answer reports none: leave background out"
            raise _RefusedError(403, message, "background_not_allowed", "background")
        try:
            reservation = daily.reserve(_most_tokens(request), cache)
        except Exception as error:
            say(f"the daily token limit cannot be checked ({type(error).__name__}): the call passes")
            return daily.nothing_reserved()
        if reservation is None:
            message = (
                f"this link's {daily.limit} tokens a day are used up, or reserved by calls under way; "
                f"it is open again at {daily.resets_at()} at the latest"
            )
            raise _RefusedError(429, message, "daily_token_limit_reached")
        return reservation


class _RefusedError(Exception):
    def __init__(self, status_code: int, message: str, code: str, param: Optional[str] = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.param = param


def _too_many(message: str, param: str) -> _RefusedError:
    return _RefusedError(403, message, "completion_tokens_not_allowed", param)


def _names_of_bounds(request: Request) -> Tuple[str, ...]:
    return _CHAT_PARAMETERS if request.operation_name == "chat" else _RESPONSES_PARAMETERS


def _most_tokens(request: Request) -> int:
    """An upper bound, as a rule: a token is at least a byte, and about 4 bytes of English text."""
    body = request.body
    given = [body[name] for name in _names_of_bounds(request) if _is_whole(body.get(name))]
    choices = body["n"] if _is_whole(body.get("n")) else 1
    completion = max(1, min(given)) if given else UNBOUNDED_COMPLETION_TOKENS
    return len(json.dumps(body, ensure_ascii=False).encode("utf-8")) + completion * max(1, choices)


def _choices(n: Any, limit: int) -> int:
    """How many choices a Chat Completions request asks for."""
    if n is None:
        return 1
    if not _is_whole(n) or not 1 <= n <= limit:
        raise _too_many(f"n must be a whole number up to {limit} on this link", "n")
    return int(n)


def _is_whole(value: Any) -> bool:
    # A gateway may accept what OpenAI refuses: "100000", or -1 for "no limit".
    return isinstance(value, int) and not isinstance(value, bool)

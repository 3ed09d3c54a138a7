"""One ChatGPT call through the openai SDK, within a deadline that includes its retries.

The SDK sends each request once (`max_retries=0`). We retry here, to count the requests and to keep within the
deadline.
"""

import random
import re
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, NamedTuple, Optional, Union

from ..core.answers import error_in, read_finish_reason
from ..core.call import Call, provider_name, without_credentials
from ..core.errors import classify_error, read_message
from ..core.fields import fields_of, parse_json, read_field, read_text
from ..core.response_headers import Picked, pick_headers, read_numbers, read_request_id
from ..core.usage import read_usage
from ..core.validators import can_be_key
from .openai_client import MAX_ANSWER_BYTES, AnswerTooLargeError, Sdk, before_sending, missing_package
from .request import Answer, Request, error_body
from .time_limit import within

CONNECT_TIMEOUT_S = 10.0
MAX_RETRIES = 2
# The SDK's own pauses: 0.5 s, doubled up to 8 s, less up to a quarter; Retry-After up to a minute.
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 8.0
LONGEST_RETRY_AFTER_S = 60.0

_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
# "Incorrect API key provided: sk-abc…": the API repeats part of a refused key.
_KEY_PATTERN = re.compile(r"\bsk-[\w*.…-]+")


class ChatGPT:
    """Sends requests, and ends each call in time."""

    def __init__(self, api_key: str, base_url: str, deadline_s: float) -> None:
        self._api_key = api_key
        self._provider_name = provider_name(base_url)
        self._shown_url = without_credentials(base_url)
        self._deadline_s = deadline_s

    def ask(self, request: Request, call: Call, connect: Callable[[], Sdk]) -> Answer:
        """Send `request`, and again where that may help; fill `call` and end it.

        `connect()` may raise ImportError. Returns within the deadline, counted from the start of `call`,
        whatever the other side does.
        """
        call.provider_name = self._provider_name
        if not self._api_key.strip():
            call.end("authentication")
            return Answer(401, error_body(_NO_KEY, "authentication_error", None, "no_api_key"))
        if not can_be_key(self._api_key):
            call.end("authentication")
            return Answer(401, error_body(_ODD_KEY, "authentication_error", None, "invalid_api_key"))
        begun_s = call.started_s
        deadline_s = begun_s + self._deadline_s
        exchange: Optional[_Exchange] = None
        try:
            sdk = connect()
            # In a worker's first call, the import of the SDK takes half a second, which is not ChatGPT's.
            call.started_s = time.perf_counter()
            exchange = _Exchange(sdk, request, deadline_s)
            outcome = exchange.run()
        except Exception as error:
            outcome = _failure(error)
        finally:
            call.requests_sent = exchange.requests_sent if exchange else 0
        if outcome.failure == "timeout":
            call.started_s = begun_s  # as the deadline does
        return self._conclude(outcome, call)

    def _conclude(self, outcome: "_Outcome", call: Call) -> Answer:
        call.rate_limit, call.processing_time_s = read_numbers(outcome.headers)
        call.request_id = read_request_id(outcome.headers)
        if outcome.failure == "timeout":
            call.end("timeout")
            message = f"no answer within {self._deadline_s:g} s, retries included"
            return Answer(504, error_body(message, "timeout_error", None, "deadline_exceeded"))
        if outcome.failure == "connection":
            call.end("connection")
            message = f"no connection to {self._shown_url}: check the OpenAI base URL, network and proxy"
            return Answer(502, error_body(message, "connection_error", None, "connection_failed"))
        if outcome.failure == "too_large":
            call.end("other")
            message = (
                f"{self._shown_url} answered with more than {MAX_ANSWER_BYTES // 2**20} MiB: not read on"
            )
            return Answer(502, error_body(message, "invalid_response_error", None, "answer_too_large"))
        if outcome.failure == "too_deep":
            call.end("validation")
            return Answer(400, error_body("the body is nested too deeply", "invalid_request_error"))
        if outcome.failure:
            call.end("other")
            return Answer(500, error_body(outcome.failure, "monitor_error"))
        return self._read_answer(outcome.status_code, outcome.text, call)

    def _read_answer(self, status_code: int, text: str, call: Call) -> Answer:
        call.status_code = status_code
        parsed = parse_json(text)
        if status_code >= 300:
            error = fields_of(parsed).get("error")
            call.end(classify_error(status_code, error or parsed))
            return self._error_answer(status_code, text, error or read_message(parsed))
        if not isinstance(parsed, dict):
            call.end("other")
            message = (
                f"{self._shown_url} answered {status_code}, but not with a JSON object: check the OpenAI "
                "base URL (it usually ends in /v1)"
            )
            return Answer(502, error_body(message, "invalid_response_error", None, "not_json"))
        call.response_model = read_text(parsed, "model")
        call.service_tier = read_text(parsed, "service_tier")
        call.usage = read_usage(parsed)
        call.finish_reason = read_finish_reason(parsed)
        error = error_in(parsed)
        if error is None:
            call.end()
            return Answer(status_code, text)
        call.end(classify_error(status_code, error))
        if parsed.get("status") == "incomplete":
            return Answer(status_code, text)  # it has part of the answer, and says why there is no more
        return Answer(502, self._without_key(_in_openai_form(error)))

    def _error_answer(self, status_code: int, text: str, error: Any) -> Answer:
        if 300 <= status_code < 400:
            message = (
                f"{self._shown_url} redirects to another host ({status_code}), to which no prompt is sent: "
                "check the OpenAI base URL"
            )
            return Answer(502, error_body(message, "api_error", None, "redirected"))
        if not 400 <= status_code < 599:  # 599 is Func's own
            status_code = 502
        if not isinstance(error, dict):
            message = error if isinstance(error, str) else f"the API answered {status_code}"
            text = error_body(message, "api_error")
        return Answer(status_code, self._without_key(text))

    def _without_key(self, text: str) -> str:
        return _KEY_PATTERN.sub("sk-***", text.replace(self._api_key, "***"))


_NO_KEY = (
    "no OpenAI key is set: enter it in the startup script, or add the environment variable "
    "OPENAI_API_KEY (type: password) in Func"
)
_ODD_KEY = "the OpenAI key contains characters that no key has: copy it again, without spaces"


class _Outcome(NamedTuple):
    """How an exchange ended: with an HTTP answer, or a `failure` that _conclude() knows, or a message."""

    status_code: int = 0
    text: str = ""
    failure: str = ""
    headers: Optional[Picked] = None


class _Refusal(NamedTuple):
    """A failed attempt that may be repeated after `pause_s`, or after the usual pause."""

    outcome: _Outcome
    pause_s: Optional[float] = None


class _Exchange:
    """The requests of one call. `requests_sent` is correct at any time, on any thread."""

    def __init__(self, sdk: Sdk, request: Request, deadline_s: float) -> None:
        self._sdk = sdk
        self._openai = sdk.openai
        self._request = request
        self._deadline_s = deadline_s  # on the clock of time.perf_counter()
        self._abandoned = threading.Event()
        self.requests_sent = 0

    def run(self) -> _Outcome:
        try:
            return within(self._remaining_s(), self._work)
        finally:
            # Also at Func's time limit: no request is sent for a caller who is gone.
            self._abandoned.set()

    def _remaining_s(self) -> float:
        return self._deadline_s - time.perf_counter()

    def _work(self) -> _Outcome:
        before_sending(self._before_sending)
        try:
            return self._send_until_done()
        finally:
            before_sending(None)  # the thread is kept

    def _send_until_done(self) -> _Outcome:
        for retries_left in range(MAX_RETRIES, -1, -1):
            result = self._send_once()
            if isinstance(result, _Outcome):
                return result
            pause_s = self._pause_s(result, retries_left)
            if retries_left == 0 or pause_s >= self._remaining_s() or self._abandoned.wait(pause_s):
                return result.outcome
        raise AssertionError("unreachable")

    def _pause_s(self, refusal: _Refusal, retries_left: int) -> float:
        if refusal.pause_s is not None:
            return refusal.pause_s
        doubled = FIRST_RETRY_S * 2.0 ** (MAX_RETRIES - retries_left)
        return min(doubled, LONGEST_RETRY_S) * (1 - 0.25 * random.random())

    def _before_sending(self, http_request: Any) -> None:
        remaining_s = self._remaining_s()
        if remaining_s <= 0 or self._abandoned.is_set():
            raise TimeoutError
        timeouts = dict.fromkeys(("read", "write", "pool"), remaining_s)
        timeouts["connect"] = min(CONNECT_TIMEOUT_S, remaining_s)
        http_request.extensions = {**http_request.extensions, "timeout": timeouts}
        self.requests_sent += 1

    def _send_once(self) -> Union[_Outcome, _Refusal]:
        """A final outcome, or a refusal."""
        remaining_s = max(0.001, self._remaining_s())
        timeout = self._openai.Timeout(remaining_s, connect=min(CONNECT_TIMEOUT_S, remaining_s))
        if not hasattr(self._openai, "DefaultHttpxClient"):  # before 1.17, _before_sending() is not called
            self.requests_sent += 1
        try:
            return _outcome_of(
                self._sdk.client.post(
                    _PATHS[self._request.operation_name],
                    cast_to=self._sdk.response_class,
                    body=self._request.body,
                    options={"timeout": timeout},
                )
            )
        except self._openai.APIStatusError as error:
            outcome = _outcome_of(error.response)
            pause_s = _retry_after_s(error.response.headers)
            too_long = pause_s is not None and pause_s > LONGEST_RETRY_AFTER_S
            if too_long or not _worth_retrying(error):
                return outcome
            return _Refusal(outcome, pause_s)
        except self._openai.APIConnectionError as error:
            if isinstance(error.__cause__, (AnswerTooLargeError, TimeoutError)):
                raise error.__cause__ from None  # as openai 3 does
            connecting = type(error.__cause__).__name__ == "ConnectTimeout"
            if isinstance(error, self._openai.APITimeoutError) and not connecting:
                return _Outcome(failure="timeout")
            return _Refusal(_Outcome(failure="connection"))


_FAILURES = {AnswerTooLargeError: "too_large", TimeoutError: "timeout", RecursionError: "too_deep"}


def _outcome_of(response: Any) -> _Outcome:
    text = str(response.text).lstrip("\ufeff")  # JSON parsers refuse it
    return _Outcome(int(response.status_code), text, headers=pick_headers(response.headers))


def _failure(error: Exception) -> _Outcome:
    for kind, failure in _FAILURES.items():
        if isinstance(error, kind):
            return _Outcome(failure=failure)
    if isinstance(error, ImportError):
        return _Outcome(failure=missing_package(error))
    # Only its class: the message of an unforeseen error may quote the request.
    return _Outcome(failure=f"the request could not be sent ({type(error).__name__})")


def _worth_retrying(error: Any) -> bool:
    """The SDK's rule, except for a quota that is used up."""
    advice = error.response.headers.get("x-should-retry")
    if advice in ("true", "false"):
        return bool(advice == "true")
    if classify_error(error.status_code, error.body) == "insufficient_quota":
        return False
    return error.status_code in (408, 409, 429) or error.status_code >= 500


def _retry_after_s(headers: Any) -> Optional[float]:
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return None


def _in_openai_form(error: Any) -> str:
    """An error inside a 200, in the form that the API gives errors."""
    message = read_message(error) or "the API answered 200, but with no answer"
    code = read_field(error, "code")
    return error_body(
        message,
        read_text(error, "type") or "api_error",
        read_text(error, "param") or None,
        str(code) if isinstance(code, (str, int)) else None,
    )

"""One ChatGPT call through the openai SDK, within a deadline that includes its retries.

The SDK sends each request once (`max_retries=0`); the retries are made here, because only who makes
them can count them and knows what is left of the deadline.
"""

import json
import random
import re
import threading
import time
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

from ..core.call import (
    Call,
    classify_error,
    provider_name,
    read_field,
    read_text,
    read_usage,
    without_credentials,
)
from ..core.response_headers import Picked, pick_headers, read_numbers, read_request_id

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"
DEFAULT_DEADLINE_S = 170.0  # Func waits at most about 180 s for a synchronous answer
CONNECT_TIMEOUT_S = 10.0
MAX_RETRIES = 2
# The SDK's own pauses: 0.5 s doubled up to 8 s, less up to a quarter; Retry-After up to a minute.
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 8.0
LONGEST_RETRY_AFTER_S = 60.0
KEEPALIVE_S = 300.0  # httpx drops an idle connection after 5 s: less than the pause between two calls

MAX_OWN_TAGS = 16
MAX_TAG_NAME = 64
MAX_TAG_TEXT = 128

# "Incorrect API key provided: sk-abc…": the API repeats part of a refused key.
_KEY_PATTERN = re.compile(r"\bsk-[\w*.…-]+")
_TAG_NAME = re.compile(r"\w[\w.-]*")


class Answer(NamedTuple):
    """What the caller gets: an HTTP status and a body that is JSON text."""

    status_code: int
    body: str


class BadRequestError(ValueError):
    """The caller's request cannot be sent; the message says what to send instead."""

    def __init__(self, message: str, param: Optional[str] = None) -> None:
        super().__init__(message)
        self.param = param


class Request(NamedTuple):
    """A request as the API takes it; `operation_name` tells the endpoint."""

    operation_name: str
    model: str
    body: Dict[str, Any]
    tags: Dict[str, str]


def error_body(message: str, error_type: str, param: Optional[str] = None, code: Optional[str] = None) -> str:
    """An error in OpenAI's form, as JSON text."""
    error = {"message": message, "type": error_type, "param": param, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False)


# ---- what the caller sent ----


def read_request(given: Dict[str, Any], default_model: str, reserved: Any = ()) -> Request:
    """The request that `given`, the JSON object a caller posted, asks for.

    Either `question` (with optional `system`), or a Chat Completions body, or a Responses body; a tag
    whose name is in `reserved` is refused. Raises BadRequestError.
    """
    # null means "not given" for what is ours; the API's own parameters go out as they came.
    ours = ("question", "system", "messages", "input", "model", "stream", "tags")
    body = {key: value for key, value in given.items() if value is not None or key not in ours}
    tags = _read_tags(body.pop("tags", {}), reserved)
    kinds = [key for key in ("question", "messages", "input") if key in body]
    if len(kinds) != 1:
        raise BadRequestError(
            'send exactly one of "question" (text), "messages" (a Chat Completions body) or "input" '
            '(a Responses body); for example {"question": "What is Guance?"}'
        )
    if body.pop("stream", False) is not False:
        raise BadRequestError(
            "an authorization link cannot stream: leave stream out, or send false", "stream"
        )
    model = body.setdefault("model", default_model)
    if not isinstance(model, str) or not model.strip():
        raise BadRequestError("model must be the name of a model, such as " + DEFAULT_MODEL, "model")
    kind = kinds[0]
    if kind == "question":
        body["messages"] = _question_messages(body.pop("question"), body.pop("system", None))
    elif "system" in body:
        instead = "a system message" if kind == "messages" else "instructions"
        raise BadRequestError(f"system goes with question only; with {kind}, send {instead}", "system")
    elif kind == "messages":
        _check_messages(body["messages"])
    elif not body["input"] or not isinstance(body["input"], (str, list)):
        raise BadRequestError("input must be a text or a list of input items, not empty", "input")
    return Request("responses" if kind == "input" else "chat", model, body, tags)


def _question_messages(question: Any, system: Any) -> List[Dict[str, str]]:
    if not isinstance(question, str) or not question.strip():
        raise BadRequestError("question must be a text, not empty", "question")
    messages = [{"role": "user", "content": question}]
    if system is not None:
        if not isinstance(system, str):
            raise BadRequestError("system must be a text", "system")
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequestError(
            'messages must be a list such as [{"role": "user", "content": "Hello"}], not empty',
            "messages",
        )
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequestError("each of messages must be an object with role and content", "messages")


def _read_tags(tags: Any, reserved: Any) -> Dict[str, str]:
    if not isinstance(tags, dict):
        raise BadRequestError('tags must be an object of short texts, such as {"team": "web"}', "tags")
    if len(tags) > MAX_OWN_TAGS:
        raise BadRequestError(f"at most {MAX_OWN_TAGS} tags can be given", "tags")
    for name, value in tags.items():
        if len(name) > MAX_TAG_NAME or not _TAG_NAME.fullmatch(name):
            raise BadRequestError(
                f"a tag's name has letters, digits and _ . - only, at most {MAX_TAG_NAME}", "tags"
            )
        if name in reserved:
            raise BadRequestError(f"the tag name {name} is taken by the monitor: use another", "tags")
        if not isinstance(value, str) or len(value) > MAX_TAG_TEXT or not value.isprintable():
            raise BadRequestError(
                f"tag {name} must be a text of at most {MAX_TAG_TEXT} characters on one line", "tags"
            )
    return dict(tags)


# ---- the call ----


def make_client(api_key: str, base_url: str) -> Any:
    """An OpenAI client that keeps its connections for KEEPALIVE_S and leaves retries to us."""
    # Imported late: a Func where the package is still missing must be able to deploy.
    import openai

    options: Dict[str, Any] = {}
    limits = getattr(openai, "DEFAULT_CONNECTION_LIMITS", None)
    if limits is not None and hasattr(openai, "DefaultHttpxClient"):
        kept = type(limits)(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=KEEPALIVE_S,
        )
        options["http_client"] = openai.DefaultHttpxClient(limits=kept)
    return openai.OpenAI(api_key=api_key, base_url=base_url, max_retries=0, **options)


class ChatGPT:
    """Sends requests with the client that `connect()` returns, which may raise ImportError."""

    def __init__(
        self,
        connect: Callable[[], Any],
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        deadline_s: float = DEFAULT_DEADLINE_S,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self._connect = connect
        self._api_key = api_key
        self._provider_name = provider_name(base_url)
        self._shown_url = without_credentials(base_url)
        self._deadline_s = deadline_s
        self._max_retries = max_retries

    def ask(self, request: Request, call: Call) -> Answer:
        """Send `request`, and again where that may help; fill `call` and end it.

        Returns within the deadline, counted from the start of `call`, whatever the other side does: the
        requests are sent on a thread of their own, since no HTTP timeout bounds an answer that comes
        byte by byte.
        """
        call.provider_name = self._provider_name
        if not self._api_key.strip():
            call.end("authentication")
            return Answer(401, error_body(_NO_KEY, "authentication_error", None, "no_api_key"))
        if not self._api_key.isascii() or not self._api_key.isprintable():
            call.end("authentication")
            return Answer(401, error_body(_ODD_KEY, "authentication_error", None, "invalid_api_key"))
        begun_s = call.started_s
        deadline_s = begun_s + self._deadline_s
        exchange: Optional[_Exchange] = None
        try:
            client = self._connect()
            # A worker's first call imports the SDK for half a second, which is not ChatGPT's.
            call.started_s = time.perf_counter()
            exchange = _Exchange(client, request, deadline_s, self._max_retries)
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
        if outcome.failure:
            call.end("other")
            return Answer(500, error_body(outcome.failure, "monitor_error"))
        return self._read_answer(outcome.status_code, outcome.text, call)

    def _read_answer(self, status_code: int, text: str, call: Call) -> Answer:
        call.status_code = status_code
        parsed = _parse(text)
        error = read_field(parsed, "error") if isinstance(parsed, dict) else None
        if status_code >= 300 or error:
            call.end(classify_error(status_code, error))
            return self._error_answer(status_code, text, error)
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
        call.end()
        return Answer(status_code, text)

    def _error_answer(self, status_code: int, text: str, error: Any) -> Answer:
        if status_code >= 300 and not 400 <= status_code < 599:  # 599 is Func's own
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
_ODD_KEY = "the OpenAI key holds characters that no key has: copy it again, without blanks"


class _Outcome(NamedTuple):
    """How an exchange ended: an HTTP answer, or a `failure`: timeout, connection or a message."""

    status_code: int = 0
    text: str = ""
    failure: str = ""
    headers: Optional[Picked] = None


class _Refusal(NamedTuple):
    """An attempt that may be repeated after `pause_s`, or after the usual pause."""

    outcome: _Outcome
    pause_s: Optional[float] = None


class _Exchange:
    """The requests of one call. `requests_sent` is right at any time, from any thread."""

    def __init__(self, client: Any, request: Request, deadline_s: float, max_retries: int) -> None:
        self._client = client
        self._request = request
        self._deadline_s = deadline_s  # on the clock of time.perf_counter()
        self._max_retries = max_retries
        self._abandoned = threading.Event()
        self._results: SimpleQueue[_Outcome] = SimpleQueue()
        self.requests_sent = 0

    def run(self) -> _Outcome:
        # A daemon: Func ends its workers without waiting for us.
        threading.Thread(target=self._work, name="chatgpt-call", daemon=True).start()
        try:
            return self._results.get(timeout=max(0.0, self._remaining_s()))
        except Empty:
            return _Outcome(failure="timeout")
        finally:
            # Also when Func's time limit strikes: no request is sent for a caller who is gone.
            self._abandoned.set()

    def _remaining_s(self) -> float:
        return self._deadline_s - time.perf_counter()

    def _work(self) -> None:
        try:
            outcome = self._send_until_done()
        except Exception as error:
            outcome = _failure(error)
        self._results.put(outcome)

    def _send_until_done(self) -> _Outcome:
        if self._request.operation_name == "responses" and not hasattr(self._client, "responses"):
            return _Outcome(failure="the Responses API needs the Python package openai 1.66 or later")
        for retries_left in range(self._max_retries, -1, -1):
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
        doubled = FIRST_RETRY_S * 2.0 ** (self._max_retries - retries_left)
        return min(doubled, LONGEST_RETRY_S) * (1 - 0.25 * random.random())

    def _send_once(self) -> Union[_Outcome, _Refusal]:
        """An outcome that stands, or a refusal."""
        import openai

        remaining_s = max(0.001, self._remaining_s())
        timeout = openai.Timeout(remaining_s, connect=min(CONNECT_TIMEOUT_S, remaining_s))
        self.requests_sent += 1
        try:
            answer = _send(self._client, self._request, timeout)
            return _outcome_of(answer.http_response)
        except openai.APIStatusError as error:
            outcome = _outcome_of(error.response)
            pause_s = _retry_after_s(error.response.headers)
            too_long = pause_s is not None and pause_s > LONGEST_RETRY_AFTER_S
            if too_long or not _worth_retrying(error):
                return outcome
            return _Refusal(outcome, pause_s)
        except openai.APIConnectionError as error:
            connecting = type(error.__cause__).__name__ == "ConnectTimeout"
            if isinstance(error, openai.APITimeoutError) and not connecting:
                return _Outcome(failure="timeout")
            return _Refusal(_Outcome(failure="connection"))


def _outcome_of(response: Any) -> _Outcome:
    return _Outcome(int(response.status_code), str(response.text), headers=pick_headers(response.headers))


def _failure(error: Exception) -> _Outcome:
    if isinstance(error, ImportError):
        return _Outcome(failure=f"the Python package {error.name or 'openai'} is not installed in this Func")
    # The text of an unforeseen error may hold the request: its class has to do.
    return _Outcome(failure=f"the request could not be sent ({type(error).__name__})")


def _send(client: Any, request: Request, timeout: Any) -> Any:
    # What the caller posted goes out as it is, in extra_body: as keyword arguments, a body could set the
    # SDK's own options (extra_headers, timeout), and a parameter newer than the SDK would be refused.
    body = dict(request.body)
    model = body.pop("model")
    if request.operation_name == "responses":
        text = body.pop("input")
        return client.responses.with_raw_response.create(
            model=model, input=text, extra_body=body, timeout=timeout
        )
    messages = body.pop("messages")
    return client.chat.completions.with_raw_response.create(
        model=model, messages=messages, extra_body=body, timeout=timeout
    )


def _worth_retrying(error: Any) -> bool:
    """The SDK's rule, except that a quota that is used up stays so."""
    told = error.response.headers.get("x-should-retry")
    if told in ("true", "false"):
        return bool(told == "true")
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


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None

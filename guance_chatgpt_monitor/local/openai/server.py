"""A stand-in for OpenAI's API: real HTTP on loopback, deterministic answers, scripted faults.

It serves POST /v1/chat/completions, /v1/responses, /v1/embeddings and /v1/completions (all but the
embeddings stream, too), GET /v1/models and /v1/models/NAME, and to an admin key the books of what it
answered: GET /v1/organization/usage/completions and /v1/organization/costs. It accepts every key without
"refused" in it, and every model but those that begin with "no-such-model".

Each request under /v1/ meets one fault, and each fault is one of these words:

    ok                  no fault
    400 to 599          that status with OpenAI's error
    429+N               429 with Retry-After: N seconds
    insufficient_quota  429 with that code
    content_filter      400 with that code
    error200            200 with an error in it; in a stream, as its only event
    html200, html502    a page instead of JSON
    empty200            200 with no body
    no_usage            an answer that does not report its usage
    null_fields         an answer with null for the usage, the model and the text
    slow:S              the answer, S seconds late
    hang                no answer until the server stops
    drip:S              the headers at once, then one byte of the body every S seconds
    reset               a TCP reset instead of an answer
    cut                 the connection closes in the middle of the body, or of the stream

They come from the request's own header, `X-Local-Faults: 429,500,ok`, where `x-stainless-retry-count`,
which the SDK counts up, is the index: the first attempt meets the first word, its first retry the
second, and past the end there is no fault. A client that does not send that count always meets the
first word. A request without the header takes the next word of the server's own queue: `faults`, or
`GET`, `POST` and `DELETE /_local/faults` with the JSON {"faults": [...]}. An empty queue is no fault.
"""

import json
import re
import time
import uuid
from collections import deque
from functools import partial
from typing import Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..http_server import CONTROL_PATH, LocalServer, Request, Response
from .answers import (
    Endpoint,
    Stamp,
    chat_chunks,
    chat_completion,
    describe_model,
    embeddings,
    encode_events,
    list_models,
    response,
    response_events,
    text_chunks,
    text_completion,
)
from .delivery import DELIVERIES, Answer, Delivery, deliver
from .errors import Body, RefusalError, check_key, check_request, refuse_path
from .faults import (
    NO_FAULT,
    Fault,
    change_answer,
    fault_page,
    fault_refusal,
    parse_fault,
    parse_faults,
)
from .organization import COSTS_PATH, USAGE_PATH, Books, check_admin_key, costs_page, usage_page

MAX_REQUESTS_KEPT = 1000
MAX_FAULTS_QUEUED = 1000

_FAULTS_PATH = "/_local/faults"
_MODEL_PATH = "/v1/models/"

# What api.openai.com sends with every answer; the figures are those of an account that does nothing else.
_HEADERS = {
    "openai-version": "2020-10-01",
    "openai-processing-ms": "1",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-tokens": "199900",
}


class ReceivedRequest(NamedTuple):
    """A request as it arrived. `body` is {} unless it was a JSON object; header names are lowercase.

    `url` is path and query as they were sent.
    """

    method: str
    path: str
    body: Body
    headers: Dict[str, str]
    url: str = ""

    def __repr__(self) -> str:
        """Without key and prompt: a failed test prints it."""
        return f"ReceivedRequest({self.method} {self.path})"


class LocalOpenAI(LocalServer):
    """The stand-in. `requests` holds the last 1000 that arrived; `faults` may be changed at any time.

    `books` is what it billed, to which more can be added; `clock` is in seconds since 1970. Raises
    ValueError for an unknown word in `faults`.
    """

    def __init__(
        self, port: int = 0, faults: Iterable[str] = (), clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(port)
        self.faults: Deque[str] = deque(faults)
        for word in self.faults:
            parse_fault(word)
        self.requests: List[ReceivedRequest] = []
        self.books = Books(clock)

    @property
    def base_url(self) -> str:
        """What the SDK takes as its `base_url`."""
        return self.url + "/v1"

    def clear(self) -> None:
        """Forget the requests that arrived, and what was billed."""
        self.requests.clear()
        self.books.clear()

    def respond(self, request: Request) -> Optional[Response]:
        if request.path.startswith(CONTROL_PATH):
            return self._script(request)
        body = _read_body(request)
        self._keep(request, body)
        try:
            fault = self._next_fault(request)
        except ValueError as error:
            # A retry would meet the same word.
            return Response(500, _fault_error(error), headers={"x-should-retry": "false"})
        answer = _answer(request, body, fault, self.books)
        delivery = Delivery(request, answer, fault.seconds, self.stopping)
        return DELIVERIES.get(fault.word, deliver)(delivery)

    def _keep(self, request: Request, body: Optional[Body]) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(ReceivedRequest(request.method, request.path, body or {}, headers, request.url))
        del self.requests[:-MAX_REQUESTS_KEPT]

    def _next_fault(self, request: Request) -> Fault:
        if not request.path.startswith("/v1/"):
            return NO_FAULT
        scripted = request.headers.get("X-Local-Faults", "").strip()
        if scripted:
            faults = parse_faults(scripted)
            attempt = _retry_count(request)
            return faults[attempt] if attempt < len(faults) else NO_FAULT
        try:
            return parse_fault(self.faults.popleft())
        except IndexError:
            return NO_FAULT

    def _script(self, request: Request) -> Response:
        if request.path != _FAULTS_PATH or request.method not in ("GET", "POST", "DELETE"):
            return Response(404, {"error": f"nothing at {request.method} {request.path}"})
        if request.method == "POST":
            try:
                self.faults.extend(_read_faults(request, MAX_FAULTS_QUEUED - len(self.faults)))
            except ValueError as error:
                return Response(400, _fault_error(error))
        elif request.method == "DELETE":
            self.faults.clear()
        return Response(200, {"faults": list(self.faults)})


def _read_body(request: Request) -> Optional[Body]:
    try:
        body = request.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _read_faults(request: Request, room: int) -> List[str]:
    words = (_read_body(request) or {}).get("faults")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError('expected {"faults": ["WORD", ...]}')
    if len(words) > room:
        raise ValueError(f"the queue holds at most {MAX_FAULTS_QUEUED} faults")
    for word in words:
        parse_fault(word)
    return words


def _fault_error(error: ValueError) -> Body:
    return RefusalError(400, str(error), code="unknown_fault").body


def _retry_count(request: Request) -> int:
    count = request.headers.get("x-stainless-retry-count", "")
    return int(count) if re.fullmatch(r"[0-9]{1,9}", count) else 0


# ---- from the request to its answer


# The bodies of an answer, and whether they are the events of a stream.
_Bodies = Tuple[List[Body], bool]


def _answer(request: Request, body: Optional[Body], fault: Fault, books: Books) -> Answer:
    headers = {"x-request-id": f"req_{uuid.uuid4().hex}", **_HEADERS}
    page = fault_page(fault)
    if page:
        status_code, content_type, content = page
        return Answer(Response(status_code, content, content_type, headers))
    if fault.word == "429":
        headers["x-ratelimit-remaining-requests"] = "0"
        if fault.seconds is not None:
            headers["Retry-After"] = f"{fault.seconds:g}"
    try:
        bodies, is_stream = _bodies(request, body, fault, books)
    except RefusalError as refusal:
        return Answer(_json(refusal.status_code, refusal.body, headers))
    if is_stream:
        head = Response(200, content_type="text/event-stream; charset=utf-8", headers=headers)
        return Answer(head, encode_events(bodies))
    return Answer(_json(200, bodies[0], headers))


def _json(status_code: int, body: Body, headers: Dict[str, str]) -> Response:
    # In ASCII: a model's name may hold half a surrogate pair, which UTF-8 cannot.
    return Response(status_code, json.dumps(body), "application/json", headers)


def _bodies(request: Request, body: Optional[Body], fault: Fault, books: Books) -> _Bodies:
    """Raises RefusalError."""
    refusal = fault_refusal(fault)
    if refusal:
        raise refusal
    path = _MODEL_PATH if request.path.startswith(_MODEL_PATH) else request.path
    handler = _HANDLERS.get((request.method, path))
    if handler is None:
        raise refuse_path(request.method, request.path)
    check_key(request.headers.get("Authorization", ""))
    bodies, is_stream = handler(request, body, books)
    return change_answer(bodies, fault), is_stream


def _generate(endpoint: Endpoint, request: Request, body: Optional[Body], books: Books) -> _Bodies:
    checked = check_request(body, endpoint.prompt_field)
    stamp = Stamp(uuid.uuid4().hex, int(time.time()))
    answer = endpoint.body(checked, stamp)
    if endpoint is not _EMBEDDINGS:  # OpenAI has other books for those
        # Whatever becomes of the answer: OpenAI bills what it generated.
        books.book(answer, request.headers.get("OpenAI-Project"))
    if endpoint.events and checked.get("stream") is True:
        return endpoint.events(checked, stamp), True
    return [answer], False


def _list_models(_: Request, __: Optional[Body], ___: Books) -> _Bodies:
    return [list_models()], False


def _describe_model(request: Request, _: Optional[Body], __: Books) -> _Bodies:
    return [describe_model(request.path[len(_MODEL_PATH) :])], False


def _show_books(
    page: Callable[[Books, str], Body], request: Request, _: Optional[Body], books: Books
) -> _Bodies:
    check_admin_key(request.headers.get("Authorization", ""))
    return [page(books, request.url)], False


_CHAT = Endpoint("messages", chat_completion, chat_chunks)
_COMPLETIONS = Endpoint("prompt", text_completion, text_chunks)
_RESPONSES = Endpoint("input", response, response_events)
_EMBEDDINGS = Endpoint("input", embeddings)

_HANDLERS: Dict[Tuple[str, str], Callable[[Request, Optional[Body], Books], _Bodies]] = {
    ("POST", "/v1/chat/completions"): partial(_generate, _CHAT),
    ("POST", "/v1/completions"): partial(_generate, _COMPLETIONS),
    ("POST", "/v1/responses"): partial(_generate, _RESPONSES),
    ("POST", "/v1/embeddings"): partial(_generate, _EMBEDDINGS),
    ("GET", "/v1/models"): _list_models,
    ("GET", _MODEL_PATH): _describe_model,
    ("GET", USAGE_PATH): partial(_show_books, usage_page),
    ("GET", COSTS_PATH): partial(_show_books, costs_page),
}

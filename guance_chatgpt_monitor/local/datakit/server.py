"""A stand-in for DataKit: its write API on loopback, with its answers, refusals and silent drops.

It behaves as DataKit 1.84.1 was observed to. What it takes it keeps in SQLite and can be asked for, in
Python or over HTTP:

- `GET /`: a page that draws the shipped dashboards over the points (see `local/viewer/`).
- `POST /v1/write/CATEGORY`, `GET /v1/ping`: as DataKit. Line protocol only, gzip or plain.
- `GET /metrics`: what became of the points, as DataKit tells it; 404 with `metrics_public=False`.
- `GET /_local/points?measurement=&category=`: a list of points, oldest first.
- `DELETE /_local/points`: forget all.
- `POST /_local/mode {"mode": FAULT}`: what happens to every write from now on; null ends it.
- `POST /_local/faults {"faults": [FAULT, …]}`: appended to a queue that each write takes one from.

A FAULT is one of these words:

- `ok`: none.
- `400` to `599`: this status; nothing is kept. 400, 403 and 429 have DataKit's error body, 408 its text.
- `hang`: no answer until the mode is set, then as that mode says; none at all once stopped.
- `slow:S`: as usual, after S seconds.
- `reset`: a TCP reset; nothing is kept. `reset_after`: the points are kept, then a TCP reset.
- `crash200`: 200 without `X-Datakit`; nothing is kept, as when DataKit's handler crashes.
- `no_header200`: the points are kept, but no answer has `X-Datakit`, as behind some proxies.

A ping takes part in `hang` and `reset` only, and only when they are the mode.
"""

import json
import threading
import time
import zlib
from collections import deque
from decimal import Decimal
from typing import (
    Callable,
    Deque,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Union,
)

from ..http_server import LocalServer, Request, Response
from ..viewer.server import Viewer
from .echoes import ECHOES
from .line_parser import LineError, ParsedPoint, parse_lines
from .point_store import Point, PointStore
from .prometheus import Counters
from .requests_taken import HandlerCrashError, RateLimiter, decode

CATEGORIES = (
    "metric",
    "logging",
    "object",
    "network",
    "tracing",
    "keyevent",
    "custom_object",
    "security",
    "rum",
)
# What is further from the agent's clock than this gets the agent's time.
MAX_CLOCK_SKEW_NS = 2 * 3600 * 10**9
# What a real one, stopped in whatever way, has taken in its last seconds and not yet passed on.
FORGOTTEN_NS = 10 * 10**9
MAX_REQUESTS_KEPT = 1000
MAX_SLOW_S = 600.0

_WRITE = "/v1/write/"
_WORDS = ("ok", "hang", "reset", "reset_after", "crash200", "no_header200")
_STATUS_CODES = range(400, 600)
_TEXT = "text/plain; charset=utf-8"
_PAGE_404 = "<!DOCTYPE html>\n<html><head><title>DataKit</title></head><body>404</body></html>\n"
_OTHER_BODIES = ("application/json", "application/pbjson", "application/protobuf")
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES = 10


class ReceivedRequest(NamedTuple):
    """One request as it came in: header names in lower case, `n_bytes` of body before it was decoded."""

    method: str
    path: str
    query: Dict[str, str]
    headers: Dict[str, str]
    n_bytes: int
    encoding: str


class LocalDataKit(LocalServer):
    """The stand-in.

    `database` is a path or `:memory:`; what a file holds already is kept. `rate_limit` is in requests a
    second for each client and path; None means no limit (DataKit's default is 100). `known_public=False`
    refuses writes as DataKit refuses a caller that is not on loopback. `global_tags` are added to each
    point that has no key of the name: `{"host": hostname}` by default.

    A `forgetful` one loses, when it is stopped and started, what it took in its last 10 s, as the real one
    does; otherwise the points stay.

    `mode` and `faults` say what goes wrong (see the module), and may be changed at any time.
    `requests_total` counts the requests, but for those of `/_local`.
    """

    def __init__(
        self,
        port: int = 0,
        database: str = ":memory:",
        rate_limit: Optional[float] = None,
        version: str = "1.84.1",
        hostname: str = "local",
        clock_ns: Callable[[], int] = time.time_ns,
        auto_timestamp_correction: bool = True,
        known_public: bool = True,
        global_tags: Optional[Mapping[str, str]] = None,
        host: str = "127.0.0.1",
        forgetful: bool = False,
        metrics_public: bool = True,
    ) -> None:
        super().__init__(port, host)
        if rate_limit is not None and rate_limit <= 0:
            raise ValueError(f"rate_limit is {rate_limit}: give requests a second, or None for no limit")
        self.version = version
        self.hostname = hostname
        self.auto_timestamp_correction = auto_timestamp_correction
        self.known_public = known_public
        self.global_tags = {"host": hostname} if global_tags is None else dict(global_tags)
        self.counters = Counters()
        self.metrics_public = metrics_public
        self.faults: Deque[str] = deque()
        self.requests_total = 0
        self._clock_ns = clock_ns
        self._started_at_ns = clock_ns()
        self._stopped_at_ns: Optional[int] = None
        self._forgetful = forgetful
        self._store = PointStore(database)
        self._viewer = Viewer(self._store, clock_ns)
        self._limiter = RateLimiter(rate_limit, clock_ns) if rate_limit else None
        self._requests: Deque[ReceivedRequest] = deque(maxlen=MAX_REQUESTS_KEPT)
        self._requests_lock = threading.Lock()
        self._mode: Optional[str] = None
        self._modes_set = 0
        self._mode_set = threading.Condition()

    @property
    def mode(self) -> Optional[str]:
        """The fault that each write meets; None for none. Setting an unknown word raises ValueError."""
        return self._mode

    @mode.setter
    def mode(self, word: Union[str, int, None]) -> None:
        checked = None if word is None else _check_fault(word)
        with self._mode_set:
            self._mode = None if checked == "ok" else checked
            self._modes_set += 1
            self._mode_set.notify_all()

    @property
    def requests_received(self) -> List[ReceivedRequest]:
        """The last 1000 requests, but for those of `/_local`."""
        with self._requests_lock:
            return list(self._requests)

    def points(self, measurement: Optional[str] = None, category: str = "metric") -> List[Point]:
        """The points of a category, by timestamp; those of one measurement, if given."""
        return self._store.read(measurement, category)

    def add(self, points: List[Point]) -> None:
        """Keep points as they are, as if they had been written."""
        self._store.write(points)

    def count(self, measurement: Optional[str] = None, category: str = "metric") -> int:
        """How many points `points()` would give."""
        return self._store.count(measurement, category)

    def clear(self) -> int:
        """Forget all points of all categories; how many there were."""
        return self._store.clear()

    def start(self) -> "LocalDataKit":
        """Listen, as a DataKit that was just started: a `forgetful` one lacks what it took last."""
        self._started_at_ns = self._clock_ns()
        if self._forgetful:
            self._store.forget_last(FORGOTTEN_NS, self._stopped_at_ns)
        return super().start()

    def stop(self) -> None:
        """Stop listening, and cut every connection."""
        if self._server is not None:
            self._stopped_at_ns = self._clock_ns()
        super().stop()
        with self._mode_set:
            self._mode_set.notify_all()

    def respond(self, request: Request) -> Optional[Response]:
        page = self._viewer.respond(request)
        if page is not None:
            return page
        if request.path.startswith("/_local/"):
            return self._respond_local(request)
        self._record(request)
        if request.path.startswith("/v1/") and request.path.endswith("/"):
            moved = 301 if request.method == "GET" else 307
            return Response(moved, headers={"Location": request.path.rstrip("/")})
        category = request.path[len(_WRITE) :] if request.path.startswith(_WRITE) else ""
        if request.method == "POST" and category and "/" not in category:
            return self._respond_write(request, category)
        if request.method == "GET" and request.path == "/v1/ping":
            return self._respond_ping(request)
        if request.method == "GET" and request.path == "/v1/ntp":
            return Response(200, {"timestamp_sec": self._clock_ns() // 10**9}, headers=self._headers())
        if request.method == "GET" and request.path == "/metrics" and self.metrics_public:
            return Response(200, self.counters.page(), "text/plain; version=0.0.4", self._headers())
        return Response(404, _PAGE_404, "text/html", self._headers())

    def _record(self, request: Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = ReceivedRequest(
            request.method,
            request.path,
            request.query,
            headers,
            len(request.body),
            headers.get("content-encoding", ""),
        )
        with self._requests_lock:
            self._requests.append(received)
            self.requests_total += 1

    def _headers(self) -> Dict[str, str]:
        return {"X-Datakit": f"{self.version}/{self.hostname}"}

    def _error(self, status_code: int, name: str, message: str = "") -> Response:
        body = {"error_code": f"datakit.{name}"}
        if message:
            body["message"] = message
        return Response(status_code, body, headers=self._headers())

    # -- faults ------------------------------------------------------------------------------------

    def _next_fault(self) -> str:
        """The fault of this write; `stopped` after a hang that nothing else ended. Raises ValueError."""
        with self._mode_set:
            modes_set = self._modes_set
            fault = _check_fault(self.faults.popleft()) if self.faults else self._mode or "ok"
        return self._outlast_hang(modes_set) if fault == "hang" else fault

    def _outlast_hang(self, modes_set: int) -> str:
        server = self._server  # another one after stop() and start(), and none of this one's business
        with self._mode_set:
            while server and server is self._server:
                if modes_set != self._modes_set and self._mode != "hang":
                    return self._mode or "ok"
                self._mode_set.wait()
        return "stopped"

    def _respond_write(self, request: Request, category: str) -> Optional[Response]:
        try:
            fault = self._next_fault()
        except ValueError as error:
            return Response(501, str(error), _TEXT)
        if fault.startswith("slow:") and self.stopping.wait(_seconds(fault)):
            fault = "stopped"
        if fault == "crash200":
            return Response(200)
        if fault.isdigit():
            return self._faulty_answer(int(fault), request)
        response = None if fault in ("stopped", "reset") else self._accept(request, category)
        if fault in ("reset", "reset_after"):
            request.reset()
            return None
        if response is not None and fault == "no_header200":
            response.headers.pop("X-Datakit", None)
        return response

    def _faulty_answer(self, status_code: int, request: Request) -> Response:
        if status_code == 400:
            return self._error(400, "invalidLinePoint", _quote("fault", request.body))
        if status_code == 403:
            return self._public_access_disabled(request)
        if status_code == 408:
            return Response(408, "timeout(30s)", _TEXT)
        if status_code == 429:
            return self._reach_max_api_limit()
        return Response(status_code, f"fault {status_code}", _TEXT)

    # -- DataKit -----------------------------------------------------------------------------------

    def _respond_ping(self, request: Request) -> Optional[Response]:
        with self._mode_set:
            modes_set, mode = self._modes_set, self._mode
        if mode == "hang":
            mode = self._outlast_hang(modes_set)
        if mode == "reset":
            request.reset()
        if mode in ("reset", "stopped"):
            return None
        if self._limiter and not self._limiter.take(request.client_host, request.path):
            return self._reach_max_api_limit()
        uptime = _go_duration(self._clock_ns() - self._started_at_ns)
        content = {"version": self.version, "uptime": uptime, "host": self.hostname, "commit": "local"}
        return Response(200, {"content": content}, headers=self._headers())

    def _public_access_disabled(self, request: Request) -> Response:
        message = f"api {request.path} disabled from external IP, only loopback(localhost) allowed"
        return self._error(403, "publicAccessDisabled", message)

    def _reach_max_api_limit(self) -> Response:
        return self._error(429, "reachMaxAPILimit")

    def _accept(self, request: Request, category: str) -> Response:
        if not self.known_public:
            return self._public_access_disabled(request)
        if category not in CATEGORIES:
            return self._error(400, "invalidCategory", f'invalid URL "{request.path}"')
        if self._limiter and not self._limiter.take(request.client_host, request.path):
            return self._reach_max_api_limit()
        if not request.body:
            return self._error(400, "emptyBody")
        if request.query.get("encoding") == "gzip" and not request.headers.get("Content-Encoding"):
            return Response(200, headers=self._headers())  # taken for gzip, and lost
        return self._accept_body(request, category)

    def _accept_body(self, request: Request, category: str) -> Response:
        if request.headers.get("Content-Type", "").startswith(_OTHER_BODIES):
            return Response(501, "the local DataKit reads line protocol only", _TEXT)
        try:
            body = decode(request.body, request.headers.get("Content-Encoding", ""))
        except HandlerCrashError:
            return Response(200)
        except (OSError, EOFError, zlib.error):
            return self._error(400, "decodeBodyFailed")
        received_at_ns = self._clock_ns()
        try:
            parsed = parse_lines(body, category, request.query.get("precision", ""), received_at_ns)
        except LineError as error:
            return self._error(400, "invalidLinePoint", _quote(error.reason, body))
        if not parsed:
            return self._error(400, "noPoints")
        return self._accept_points(request, category, parsed, received_at_ns)

    def _accept_points(
        self, request: Request, category: str, parsed: List[ParsedPoint], received_at_ns: int
    ) -> Response:
        # A flag is on when it is anything but empty: strict=0 turns strict on.
        flag = request.query.get
        dropped = [name for point in parsed for name in point.dropped_fields]
        if flag("strict") and dropped:
            message = f"invalid_field_value_type: field({dropped[0]}) dropped with string value"
            return self._error(400, "pointGotWarning", message)
        echo = ECHOES.get(flag("echo", ""))
        answer = echo(parsed) if echo else ""
        if not flag("dry"):
            tags = {} if flag("ignore_global_host_tags") else self.global_tags
            input_name = flag("input") or category
            points = [self._finish(point, tags, category, input_name, received_at_ns) for point in parsed]
            self._store.write(points)
            self.counters.count_points(category, input_name, ("__orig_time" in p.fields for p in points))
        return Response(200, answer, _TEXT if answer else "", self._headers())

    def _finish(
        self,
        point: ParsedPoint,
        global_tags: Mapping[str, str],
        category: str,
        input_name: str,
        received_at_ns: int,
    ) -> Point:
        fields, timestamp_ns = point.fields, point.timestamp_ns
        if self.auto_timestamp_correction and abs(received_at_ns - timestamp_ns) > MAX_CLOCK_SKEW_NS:
            # DataKit reads its clock once a batch: late points of one series in a batch overwrite each other.
            fields = {"__orig_time": timestamp_ns, **fields}
            timestamp_ns = received_at_ns
        added = {
            name: value
            for name, value in global_tags.items()
            if name not in point.tags and name not in fields
        }
        tags = {**point.tags, **added}
        return Point(point.measurement, tags, fields, timestamp_ns, category, input_name, received_at_ns)

    # -- what DataKit has not ----------------------------------------------------------------------

    def _respond_local(self, request: Request) -> Response:
        route = (request.method, request.path)
        if route == ("GET", "/_local/points"):
            query = request.query
            points = self.points(query.get("measurement") or None, query.get("category") or "metric")
            return Response(200, [point._asdict() for point in points])
        if route == ("DELETE", "/_local/points"):
            return Response(200, {"deleted": self.clear()})
        try:
            if route == ("POST", "/_local/mode"):
                self.mode = request.json()["mode"]
                return Response(200, {"mode": self.mode})
            if route == ("POST", "/_local/faults"):
                self.faults.extend([_check_fault(word) for word in request.json()["faults"]])
                return Response(200, {"faults": list(self.faults)})
        except (ValueError, KeyError, TypeError) as error:
            return Response(400, {"error": f"{type(error).__name__}: {error}"})
        return Response(404, {"error": f"nothing at {request.method} {request.path}"})


def _go_duration(duration_ns: int) -> str:
    """As Go's time.Duration writes itself: 532.1ms, 12.3s, 1h2m3.456s."""
    if duration_ns < 10**9:
        return f"{Decimal(duration_ns) / 10**6:f}ms"
    seconds, rest_ns = divmod(duration_ns, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{Decimal(seconds * 10**9 + rest_ns) / 10**9:f}s"


def _quote(reason: str, body: bytes) -> str:
    """DataKit's message for a refused line: it holds the whole request body."""
    data = json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False)
    return f"invalid lineprotocol: {reason}. Origin data: {data}"


def _check_fault(word: Union[str, int]) -> str:
    text = str(word)
    if text in _WORDS or (text.isdigit() and int(text) in _STATUS_CODES):
        return text
    if text.startswith("slow:") and 0 <= _seconds(text) <= MAX_SLOW_S:
        return text
    known = f"{', '.join(_WORDS)}, slow:S (up to {MAX_SLOW_S:g}) or 400 to 599"
    raise ValueError(f"{text!r} is no fault: give {known}")


def _seconds(slow: str) -> float:
    return float(slow[len("slow:") :])

"""A stand-in for DataKit: its write API on loopback, with its answers, refusals and silent drops.

It behaves as DataKit 1.84.1 was observed to. What it takes it keeps in SQLite and can be asked for, in
Python or over HTTP:

- `GET /`: a page that draws the shipped dashboards over the points (see `local/viewer/`).
- `POST /v1/write/CATEGORY`, `GET /v1/ping`, `GET /v1/ntp`: as DataKit. Line protocol or JSON; no protobuf.
- `GET /metrics`: what became of the points, as DataKit reports it; 404 with `metrics_public=False`.
- `GET /_local/points?measurement=&category=`: a list of points, oldest first.
- `DELETE /_local/points`: forget all.
- `POST /_local/mode {"mode": FAULT}`: what happens to every write from now on; null ends it.
- `POST /_local/faults {"faults": [FAULT, …]}`: appended to a queue that each write takes one from.

`faults` says what a FAULT is.
"""

import threading
import time
from collections import deque
from typing import Callable, Deque, Dict, List, Mapping, NamedTuple, Optional, Union

from ..http_server import CONTROL_PATH, LocalServer, Request, Response
from ..viewer.server import Viewer
from .answers import PAGE_404, error, go_duration, public_access_disabled
from .checked_point import ParsedPoint, with_correct_time, with_tags
from .echoes import ECHOES
from .faults import STOPPED, Faults, check_fault, seconds_of
from .point_store import Point, PointStore
from .prometheus import Counters
from .rate_limiter import RateLimiter
from .write_body import HandlerCrashError, RefusedBodyError, quote, read_points

CATEGORIES = (
    *("metric", "logging", "object", "network", "tracing"),
    *("keyevent", "custom_object", "security", "rum"),
)
# A log that is larger is answered 200, and skipped.
MAX_LOG_BYTES = 1024 * 1024
# What a real one, stopped in whatever way, has taken in its last seconds and not yet passed on.
FORGOTTEN_NS = 10 * 10**9
MAX_REQUESTS_KEPT = 1000

WRITE_PATH = "/v1/write/"
_TEXT = "text/plain; charset=utf-8"
_NO_HEADER = {"X-Datakit": ""}
_ALIVE_EVERY_S = 0.2


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

    A `forgetful` one loses what it took in its last 10 s whenever it ends, as the real one does; otherwise
    the points stay.

    `mode` and `faults` say what goes wrong (see the module `faults`), and may be changed at any time.
    `requests_total` counts the requests, except those to `/_local`.
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
        self.version = version
        self.hostname = hostname
        self.auto_timestamp_correction = auto_timestamp_correction
        self.known_public = known_public
        self.global_tags = {"host": hostname} if global_tags is None else dict(global_tags)
        self.counters = Counters()
        self.metrics_public = metrics_public
        self._faults = Faults()
        self.faults = self._faults.queue
        self.requests_total = 0
        self._clock_ns = clock_ns
        self._started_at_ns = clock_ns()
        self._forgetful = forgetful
        self._store = PointStore(database)
        self._viewer = Viewer(self._store, clock_ns)
        self._limiter = None if rate_limit is None else RateLimiter(rate_limit, clock_ns)
        self._requests: Deque[ReceivedRequest] = deque(maxlen=MAX_REQUESTS_KEPT)
        self._requests_lock = threading.Lock()

    @property
    def mode(self) -> Optional[str]:
        """The fault that each write meets; None for none. Setting an unknown word raises ValueError."""
        return self._faults.mode

    @mode.setter
    def mode(self, word: Union[str, int, None]) -> None:
        self._faults.mode = word

    @property
    def requests_received(self) -> List[ReceivedRequest]:
        """The last 1000 requests, except those to `/_local`."""
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

    def start(self, uptime_s: float = 0.0) -> "LocalDataKit":
        """Listen, as a DataKit that was started `uptime_s` ago: a `forgetful` one lacks what it took last."""
        now_ns = self._clock_ns()
        self._started_at_ns = now_ns - int(uptime_s * 1e9)
        if self._forgetful:
            self._store.forget_last(FORGOTTEN_NS)
        self._store.note_alive(now_ns)
        self._faults.begin()
        super().start()
        if self._forgetful:
            threading.Thread(target=self._note_alive, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening, and cut every connection."""
        if self._server is not None:
            self._store.note_alive(self._clock_ns())
        super().stop()
        self._faults.end_hangs()

    def _note_alive(self) -> None:
        server = self._server
        while server is self._server and not self.stopping.wait(_ALIVE_EVERY_S):
            self._store.note_alive(self._clock_ns())

    def respond(self, request: Request) -> Optional[Response]:
        page = self._viewer.respond(request)
        if page is not None:
            return page
        if request.path.startswith(CONTROL_PATH):
            return self._respond_local(request)
        self._record(request)
        response = self._respond_as_datakit(request)
        if response is not None:
            response.headers = {**self._headers(request), **response.headers}
            if not response.headers["X-Datakit"]:
                del response.headers["X-Datakit"]
        return response

    def _respond_as_datakit(self, request: Request) -> Optional[Response]:
        method, path = request.method, request.path
        if method == "OPTIONS":
            return Response(204)
        if path.startswith("/v1/") and path.endswith("/"):
            return Response(301 if method == "GET" else 307, headers={"Location": path.rstrip("/")})
        category = path[len(WRITE_PATH) :] if path.startswith(WRITE_PATH) else ""
        if method == "POST" and category and "/" not in category:
            return self._respond_write(request, category)
        if method == "GET" and path == "/v1/ping":
            return self._respond_ping(request)
        if method == "GET" and path == "/v1/ntp":
            return Response(200, {"timestamp_sec": self._clock_ns() // 10**9})
        if method == "GET" and path == "/metrics" and self.metrics_public:
            return Response(200, self.counters.page(), "text/plain; version=0.0.4")
        return Response(404, PAGE_404, "text/html")

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

    def _headers(self, request: Request) -> Dict[str, str]:
        """What each answer carries. Pages of another origin have been refused before."""
        headers = {
            "X-Datakit": f"{self.version}/{self.hostname}",
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": "POST, OPTIONS, GET, PUT",
            "Access-Control-Max-Age": "7200",
        }
        if self._limiter:
            headers["X-Rate-Limit-Limit"] = f"{self._limiter.per_second:.2f}"
            headers["X-Rate-Limit-Duration"] = "1"
        return headers

    # -- faults ------------------------------------------------------------------------------------

    def _respond_write(self, request: Request, category: str) -> Optional[Response]:
        try:
            fault = self._faults.of_write()
        except ValueError as unknown:
            return Response(501, str(unknown), _TEXT)
        if fault.startswith("slow:") and self.stopping.wait(seconds_of(fault)):
            fault = STOPPED
        if fault == "crash200":
            return Response(200, headers=_NO_HEADER)
        if fault.isdigit():
            return self._faulty_answer(int(fault), request)
        response = None if fault in (STOPPED, "reset") else self._accept(request, category)
        if fault in ("reset", "reset_after"):
            request.reset()
            return None
        if response is not None and fault == "no_header200":
            response.headers.update(_NO_HEADER)
        return response

    def _faulty_answer(self, status_code: int, request: Request) -> Response:
        if status_code == 400:
            return error(400, "invalidLinePoint", quote("fault", request.body))
        if status_code == 403:
            return public_access_disabled(request)
        if status_code == 408:
            return Response(408, "timeout(30s)", _TEXT)
        if status_code == 429:
            return error(429, "reachMaxAPILimit")
        return Response(status_code, f"fault {status_code}", _TEXT)

    # -- DataKit -----------------------------------------------------------------------------------

    def _respond_ping(self, request: Request) -> Optional[Response]:
        fault = self._faults.of_ping()
        if fault == "reset":
            request.reset()
        if fault in ("reset", STOPPED):
            return None
        if self._limiter and not self._limiter.take(request.client_host, request.path):
            return error(429, "reachMaxAPILimit")
        uptime = go_duration(self._clock_ns() - self._started_at_ns)
        content = {"version": self.version, "uptime": uptime, "host": self.hostname, "commit": "local"}
        return Response(200, {"content": content})

    def _accept(self, request: Request, category: str) -> Response:
        query = request.query
        content_type = request.headers.get("Content-Type", "")
        if not self.known_public:
            return public_access_disabled(request)
        if category not in CATEGORIES:
            return error(400, "invalidCategory", f'invalid URL "{request.path}"')
        if self._limiter and not self._limiter.take(request.client_host, request.path):
            return error(429, "reachMaxAPILimit")
        if not request.body:
            return error(400, "emptyBody")
        if "protobuf" in content_type:
            return Response(501, "the local DataKit reads line protocol and JSON, no protobuf", _TEXT)
        received_at_ns = self._clock_ns()
        try:
            parsed = read_points(
                request.body,
                query.get("encoding") or request.headers.get("Content-Encoding") or "",
                content_type,
                category,
                query.get("precision", ""),
                received_at_ns,
            )
        except HandlerCrashError:
            return Response(200, headers=_NO_HEADER)
        except RefusedBodyError as refused:
            return error(400, refused.error_code, refused.message)
        return self._accept_points(request, category, parsed, received_at_ns)

    def _accept_points(
        self, request: Request, category: str, parsed: List[ParsedPoint], received_at_ns: int
    ) -> Response:
        # A flag is on when it is anything but empty: strict=0 turns strict on.
        flag = request.query.get
        warnings = [warning for point in parsed for warning in point.warnings]
        if flag("strict") and warnings:
            return error(400, "pointGotWarning", warnings[0])
        echo = ECHOES.get(flag("echo", ""))
        answer = echo(parsed) if echo else ""
        if not flag("dry"):
            tags = {} if flag("ignore_global_host_tags") else self.global_tags
            input_name = flag("input") or category
            if category == "logging" and len(request.body) > MAX_LOG_BYTES:
                parsed = self._without_large_logs(parsed)
            if self.auto_timestamp_correction:
                parsed = [with_correct_time(point, received_at_ns) for point in parsed]
            self._store.write(
                Point(*with_tags(point, tags)[:4], category, input_name, received_at_ns) for point in parsed
            )
            self.counters.count_points(category, input_name, ("__orig_time" in p.fields for p in parsed))
        return Response(200, answer, headers={"Content-Type": ""})

    def _without_large_logs(self, parsed: List[ParsedPoint]) -> List[ParsedPoint]:
        kept = [point for point in parsed if len(ECHOES["lp"]([point]).encode()) <= MAX_LOG_BYTES]
        skipped = len(parsed) - len(kept)
        self.counters.count("datakit_io_dataway_skipped_point_total", skipped, category="logging")
        return kept

    # -- what only the stand-in has -----------------------------------------------------------------

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
                self.faults.extend([check_fault(word) for word in request.json()["faults"]])
                return Response(200, {"faults": list(self.faults)})
        except (ValueError, KeyError, TypeError, RecursionError) as wrong:
            return Response(400, {"error": f"{type(wrong).__name__}: {wrong}"})
        return Response(404, {"error": f"nothing at {request.method} {request.path}"})

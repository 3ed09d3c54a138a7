"""Whether DataKit can be reached and takes points, by the same clock, with room below its rate limit."""

import json
import time
from typing import Any, Callable, Iterator, Mapping, NamedTuple
from urllib.parse import urlsplit

import requests

from ...core.call import without_credentials
from ...core.datakit import DEFAULT_URL, INPUT_NAME, DataKit, DataKitError, check_url, make_session
from ...core.line_protocol import Point, encode
from ...core.metrics import MONITOR_MEASUREMENT
from ..connection_advice import explain_unreachable
from ..user_error import UserError
from .finding import Finding, bad, doubtful, from_problem, good

TIMEOUT_S = (2.0, 5.0)
# What is further from DataKit's clock than this gets DataKit's time (observed).
MAX_CLOCK_SKEW_S = 2 * 3600.0
CLOCK_SKEW_NOTED_S = 30.0
# A tenth of DataKit's default limit of 100 requests a second, for each client address and path.
RATE_PROBE_REQUESTS = 10

_WRITE = f"/v1/write/metric?input={INPUT_NAME}&precision=n"
_RESTART = "then: datakit service -R"


def check_datakit(url: str, clock_ns: Callable[[], int] = time.time_ns) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong. Leaves one point: `openai_monitor`, field `check`."""
    try:
        probe = _Probe(check_url(url))
    except ValueError as error:
        yield bad("DataKit reachable", str(error), f"give an address such as {DEFAULT_URL}")
        return
    with probe.session:
        try:
            yield good("DataKit reachable", _read_version(probe))
        except _RefusedError as error:
            yield from_problem("DataKit reachable", error)
            if error.status_code != 403:  # it may close ping to us, and take our points
                return
        except UserError as problem:
            yield from_problem("DataKit reachable", problem)
            return
        try:
            yield from _check_writes(probe, url, clock_ns)
        except UserError as problem:
            yield from_problem("DataKit write", problem)


def _read_version(probe: "_Probe") -> str:
    try:
        content = json.loads(probe.get("/v1/ping").body)["content"]
        return f"{probe.shown}, version {content['version']}, host {content['host']}"
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{probe.shown} answers, but not as a DataKit", "check the address; a proxy may stand in the way"
        ) from None


def _check_writes(probe: "_Probe", url: str, clock_ns: Callable[[], int]) -> Iterator[Finding]:
    answer = probe.post(_WRITE + "&dry=1", _line(clock_ns()))
    if "X-Datakit" not in answer.headers:
        yield doubtful(
            "DataKit write",
            "answered 200 without the header X-Datakit: points may be lost",
            "look at DataKit's log; a proxy in between may drop the header",
        )
    else:
        yield good("DataKit write", "would be accepted (dry run)")
    try:
        DataKit(url, read_timeout_s=TIMEOUT_S[1]).write([_line(clock_ns())])
        yield good("test point", f"accepted: {MONITOR_MEASUREMENT}, field check")
    except DataKitError as error:
        yield bad("test point", str(error), "look at DataKit's log")
    yield _check_clock(probe, clock_ns)
    yield _check_rate(probe, _line(clock_ns()))


def _line(timestamp_ns: int) -> str:
    return encode(Point(MONITOR_MEASUREMENT, {"service_name": "check"}, {"check": 1.0}, timestamp_ns))


def _check_clock(probe: "_Probe", clock_ns: Callable[[], int]) -> Finding:
    """Compare with the time that DataKit gives a point without one, which it echoes.

    That is the clock by which it judges points, to the millisecond; the Date header has whole seconds,
    and a proxy may have written it.
    """
    untimed = _line(0).rpartition(" ")[0]
    before_ns = clock_ns()
    echo = probe.post(_WRITE + "&dry=1&echo=json", untimed).body
    now_ns = (before_ns + clock_ns()) // 2
    try:
        skew_s = (int(json.loads(echo)[0]["time"]) - now_ns) / 1e9
    except (ValueError, KeyError, TypeError, IndexError):
        return doubtful("clock", "DataKit does not tell its time", "compare on both hosts: date -u")
    if abs(skew_s) > MAX_CLOCK_SKEW_S:
        what = f"DataKit's differs by {skew_s:+.0f} s: it overwrites the times of all points from this host"
        step = "correct the clock (NTP), or set auto_timestamp_correction = false under [io] in datakit.conf"
        return bad("clock", what, step)
    if abs(skew_s) > CLOCK_SKEW_NOTED_S:
        what = f"DataKit's differs by {skew_s:+.0f} s: points stand at another time than they were made"
        return doubtful("clock", what, "correct the clock (NTP) of this host, or of DataKit's")
    return good("clock", f"DataKit's differs by {skew_s:+.3f} s")


def _check_rate(probe: "_Probe", line: str) -> Finding:
    try:
        for _ in range(RATE_PROBE_REQUESTS):
            probe.post(_WRITE + "&dry=1", line)
    except _RefusedError as error:
        if error.status_code != 429:
            raise
        what = f"near: {RATE_PROBE_REQUESTS} more requests at once were too many for this host"
        return doubtful("rate limit", what, _RAISE_LIMIT)
    return good("rate limit", f"not near: {RATE_PROBE_REQUESTS} more requests at once went through")


class _Answer(NamedTuple):
    body: bytes
    headers: Mapping[str, str]


class _RefusedError(UserError):
    def __init__(self, message: str, next_step: str, status_code: int) -> None:
        super().__init__(message, next_step)
        self.status_code = status_code


class _Probe:
    """Requests whose failure is explained. Raises UserError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.shown = without_credentials(url)
        self.session = make_session()

    def get(self, path: str) -> _Answer:
        return self._send("GET", path)

    def post(self, path: str, line: str) -> _Answer:
        return self._send("POST", path, data=line.encode("utf-8"))

    def _send(self, method: str, path: str, **content: Any) -> _Answer:
        try:
            answer = self.session.request(
                method, self._url + path, timeout=TIMEOUT_S, allow_redirects=False, **content
            )
        except requests.RequestException as error:
            raise self._explain(error) from None
        if answer.status_code != 200:
            raise self._refusal(answer)
        return _Answer(answer.content, answer.headers)

    def _explain(self, error: requests.RequestException) -> UserError:
        problem = explain_unreachable(error, self._url)
        if "refused" not in str(problem):
            return problem
        if urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1"):
            step = (
                "start DataKit: datakit service -S. In a container, localhost is the container: there give "
                f"the host's address, and {_LISTEN}"
            )
        else:
            step = f"see that DataKit runs; by default it listens to its own host only: {_LISTEN}"
        return UserError(str(problem), step)

    def _refusal(self, answer: requests.Response) -> UserError:
        try:
            # The message beside it quotes the whole request.
            reason = str(answer.json()["error_code"]).rpartition(".")[2]
        except (ValueError, KeyError, TypeError):
            reason = ""
        status = answer.status_code
        step = _STEPS.get(reason) or _STEPS.get(str(status)) or "look at DataKit's log"
        return _RefusedError(f"{self.shown} answered {status} {reason}".rstrip(), step, status)


_LISTEN = f'set http_listen = "0.0.0.0:9529" in its datakit.conf, {_RESTART}'
_RAISE_LIMIT = f"raise the request rate limit under [http_api] in datakit.conf, {_RESTART}"
_STEPS = {
    "publicAccessDisabled": (
        'allow other hosts: in datakit.conf, [http_api] public_apis = ["/v1/write/metric", "/v1/ping"], '
        f"{_RESTART}"
    ),
    "reachMaxAPILimit": f"the rate limit is reached: {_RAISE_LIMIT}",
    "404": "check the address: something else listens there",
    "407": "a proxy stands in the way: give DataKit's own address",
}

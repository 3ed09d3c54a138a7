"""Checks that DataKit is reachable, takes points and their times, and is not near its rate limit."""

import json
import os
import re
import time
from typing import Any, Callable, Iterator
from urllib.parse import urlsplit

import requests

from ...core.call import without_credentials
from ...core.datakit import INPUT_NAME, check_url
from ...core.metrics import MONITOR_MEASUREMENT
from ..http_client import HTTPAnswer, call
from ..messages import text
from ..user_error import UserError
from .datakit_metrics import Metrics, check_uploads, parse_metrics
from .finding import Finding, bad, doubtful, from_error, good
from .other_addresses import check_other_address
from .point_of_check import line_of_check

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 5.0
CLOCK_SKEW_NOTED_S = 30.0
# A tenth of DataKit's default limit of 100 requests a second, for each client address and path.
RATE_PROBE_REQUESTS = 10
# The oldest whose write API has all that is relied on here (`dry`, `echo`, `input`), by its documentation.
OLDEST_VERSION = (1, 30, 0)

_ADJUSTED = "datakit_io_point_time_adjusted_total"


def check_datakit(
    url: str, logs: bool = False, ca: str = "", clock_ns: Callable[[], int] = time.time_ns
) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong. Leaves one point: `openai_monitor`, field `check`.

    `ca` is a file of certificates that an https address is checked by.
    """
    try:
        url = check_url(url)
    except ValueError:
        yield bad("datakit_reachable", "common.no_datakit_address")
        return
    if url.startswith("unix:") or urlsplit(url).query:
        yield from check_other_address(url, clock_ns)
        return
    probe = _Probe(url, ca)
    with probe.session:
        try:
            yield from _check_ping(probe)
        except _RefusedError as error:
            yield from_error("datakit_reachable", error)
            if error.status_code != 403:  # it may close ping to us, and take our points
                return
        except UserError as error:
            yield from_error("datakit_reachable", error)
            return
        try:
            yield from _check_writes(probe, logs, clock_ns)
        except UserError as error:
            yield from_error("datakit_write", error)


def _check_ping(probe: "_Probe") -> Iterator[Finding]:
    answer = probe.get("/v1/ping")
    try:
        content = json.loads(answer.body)["content"]
        version, host = str(content["version"]), str(content["host"])
    except (ValueError, KeyError, TypeError):
        raise UserError("check.not_datakit", url=probe.shown) from None
    yield good("datakit_reachable", "check.datakit_reachable", url=probe.shown, version=version, host=host)
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        yield doubtful("datakit_version", "check.datakit_old", version=version, oldest=oldest)


def _check_writes(probe: "_Probe", logs: bool, clock_ns: Callable[[], int]) -> Iterator[Finding]:
    answer = probe.post(_write("&dry=1"), line_of_check(clock_ns()))
    if b"<" in answer.body[:200]:  # a page: DataKit's answer is empty
        yield bad("datakit_write", "check.page_instead", url=probe.shown)
        return
    if "X-Datakit" not in answer.headers:
        yield doubtful("datakit_write", "check.no_header")
    else:
        yield good("datakit_write", "check.dry_run")
    before = _read_metrics(probe)
    probe.post(_write(), line_of_check(clock_ns()))
    yield good("test_point", "check.test_point", measurement=MONITOR_MEASUREMENT)
    if logs:
        yield _check_logs(probe, clock_ns)
    skew_s = _clock_skew_s(probe, clock_ns)
    yield _check_rate(probe, line_of_check(clock_ns()))
    after = _read_metrics(probe)
    yield _check_clock(skew_s, before, after)
    yield from check_uploads(after)


def _write(flags: str = "", category: str = "metric") -> str:
    return f"/v1/write/{category}?input={INPUT_NAME}&precision=n{flags}"


def _check_logs(probe: "_Probe", clock_ns: Callable[[], int]) -> Finding:
    try:
        probe.post(_write("&dry=1", "logging"), f'openai,service_name=check message="check" {clock_ns()}')
    except UserError as error:
        return from_error("datakit_logs", error)
    return good("datakit_logs", "check.logs_taken")


def _clock_skew_s(probe: "_Probe", clock_ns: Callable[[], int]) -> float:
    """How many seconds the clock of DataKit's host is ahead; NaN if unknown.

    It is the time of a point without one, which DataKit echoes.
    """
    untimed = line_of_check(0).rpartition(" ")[0]
    before_ns = clock_ns()
    echo = probe.post(_write("&dry=1&echo=json"), untimed).body
    now_ns = (before_ns + clock_ns()) // 2
    try:
        return (int(json.loads(echo)[0]["time"]) - now_ns) / 1e9
    except (ValueError, KeyError, TypeError, IndexError):
        return float("nan")


def _check_clock(skew_s: float, before: Metrics, after: Metrics) -> Finding:
    """Whether DataKit gave the test point its own time.

    Its "now" is the one of its Dataway, which no answer of it shows: only its counter tells.
    """
    skew = f"{skew_s:+.3f}"
    if before.known and after.known:
        n_before, n_after = (m.total(_ADJUSTED, name=INPUT_NAME) for m in (before, after))
        if n_after > n_before:
            return bad("clock", "check.clock_overwritten", skew=skew)
        if n_after:
            return doubtful("clock", "check.clock_was_overwritten", n=f"{n_after:.0f}")
    if not abs(skew_s) <= CLOCK_SKEW_NOTED_S:  # NaN, too
        return doubtful("clock", "check.clock_differs", skew=skew)
    if not (before.known and after.known):
        return doubtful("clock", "check.clock_unknown", skew=skew)
    return good("clock", "check.clock_ok", skew=skew)


def _check_rate(probe: "_Probe", line: str) -> Finding:
    limit = ""
    try:
        for _ in range(RATE_PROBE_REQUESTS):
            answer = probe.post(_write("&dry=1"), line)
            limit = answer.headers.get("X-Rate-Limit-Limit", limit)
    except _RefusedError as error:
        if error.status_code != 429:
            raise
        limit = error.headers.get("X-Rate-Limit-Limit", limit)
        return doubtful("rate_limit", "check.rate_near", n=RATE_PROBE_REQUESTS, limit=_in_words(limit))
    return good("rate_limit", "check.rate_ok", n=RATE_PROBE_REQUESTS, limit=_in_words(limit))


def _in_words(limit: str) -> str:
    return text("check.rate_is", limit=limit) if limit else ""


def _read_metrics(probe: "_Probe") -> Metrics:
    try:
        return parse_metrics(probe.get("/metrics").body.decode("utf-8", "replace"))
    except UserError:
        return Metrics({}, known=False)


class _RefusedError(UserError):
    def __init__(self, key: str, answer: HTTPAnswer, **values: Any) -> None:
        super().__init__(key, status=answer.status_code, **values)
        self.status_code = answer.status_code
        self.headers = answer.headers


class _Probe:
    """Requests whose failure is explained. Raises UserError."""

    def __init__(self, url: str, ca: str) -> None:
        self._url = url
        self.shown = without_credentials(url)
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy, just as when points are written
        # trust_env also covers these two, which an https DataKit may need.
        bundle = ca or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self.session.verify = bundle or True

    def get(self, path: str) -> HTTPAnswer:
        return self._send("GET", path)

    def post(self, path: str, line: str) -> HTTPAnswer:
        return self._send("POST", path, data=line.encode("utf-8"))

    def _send(self, method: str, path: str, **content: Any) -> HTTPAnswer:
        try:
            answer = call(
                method, self._url + path, READ_TIMEOUT_S, CONNECT_TIMEOUT_S, self.session, **content
            )
        except UserError as error:
            raise self._explain(error) from None
        if answer.status_code != 200:
            raise self._refusal(answer)
        return answer

    def _explain(self, error: UserError) -> UserError:
        if error.key != "common.refused":
            return error
        parts = urlsplit(self._url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        key = "check.refused_local" if local else "check.refused_remote"
        return UserError(key, address=parts.netloc.rpartition("@")[2])

    def _refusal(self, answer: HTTPAnswer) -> _RefusedError:
        status, reason = answer.status_code, _error_code(answer.body)
        if reason in ("publicAccessDisabled", "reachMaxAPILimit"):
            return _RefusedError(f"check.datakit_{reason}", answer, url=self.shown)
        if reason or "X-Datakit" in answer.headers:
            return _RefusedError("check.datakit_refuses", answer, url=self.shown, reason=reason)
        if b"HTTPS" in answer.body and status == 400:  # the words of Go's server, nginx's, Apache's
            return _RefusedError("check.datakit_wants_tls", answer, url=self.shown)
        if 300 <= status < 400:
            to = urlsplit(answer.headers.get("Location", ""))
            shown = without_credentials(f"{to.scheme}://{to.netloc}") if to.netloc else to.path
            return _RefusedError("check.datakit_redirect", answer, url=self.shown, to=shown)
        key = {401: "401", 407: "407", 404: "404", 502: "gateway", 503: "gateway", 504: "gateway"}.get(status)
        return _RefusedError(f"check.datakit_{key or 'other'}", answer, url=self.shown)


def _error_code(body: bytes) -> str:
    try:
        # The message beside it quotes the whole request.
        return str(json.loads(body)["error_code"]).rpartition(".")[2][:64]
    except (ValueError, KeyError, TypeError):
        return ""

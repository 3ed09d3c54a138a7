"""What the two functions of the script set do. The only module, beside the template, that knows DFF."""

import os
import sys
import time
import types
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from ..core.backlog import MAX_BYTES, MAX_LINES
from ..core.call import Call, provider_name
from ..core.datakit import DEFAULT_URL, DataKit, DataKitError, make_session
from ..core.delivery import Delivery
from ..core.health import Health, Report
from ..core.line_protocol import encode
from ..core.metrics import MEASUREMENT, RESERVED_NAMES, PointMaker
from ..core.replay import Replay
from ..core.validators import (
    read_measurement,
    read_patterns,
    read_price_provider,
    read_service_name,
    read_string,
    read_switch,
    read_tags,
    seconds,
    whole_number,
)
from .cache_backlog import CacheBacklog
from .chatgpt import (
    DEFAULT_BASE_URL,
    DEFAULT_DEADLINE_S,
    DEFAULT_MODEL,
    Answer,
    BadRequestError,
    ChatGPT,
    Request,
    error_body,
    make_client,
    read_request,
)
from .content_logs import Collected, Logs
from .guard_rails import Admission, GuardRails
from .probe import DEFAULT_PROBE_TIMEOUT_S, MAX_PROBE_TIMEOUT_S, Probe, Probed
from .reconciliation import Reconciled, Reconciliation

SERVICE_NAME = "dataflux-func"
# Func gives collect() a minute, the pause between two runs: replaying comes first, then the probe and the
# report, and OpenAI's books are read in what is left until here; the rest is for writing what they say.
REPLAY_BUDGET_S = 45.0
COLLECT_BUDGET_S = 50.0
# Func's link waits no longer.
MAX_DEADLINE_S = 180.0
MAX_KEPT_CONNECTIONS = 8
_PROCESS_MODULE = "guance_chatgpt_monitor_process"
_Result = TypeVar("_Result")


class Waiting(NamedTuple):
    """What became of the points that waited for DataKit."""

    replay: Replay
    datakit_up: bool
    problem: str


class ChatGPTMonitor:
    """ChatGPT through an authorization link, monitored.

    `dff` is Func's DFF. Settings left empty have their defaults; a wrong one raises ValueError, so that
    deploying tells of it. Times in seconds. The names of these parameters are used by startup scripts,
    which an upgrade never touches: they stay.
    """

    def __init__(
        self,
        dff: Any,
        openai_key: str = "",
        openai_base_url: str = "",
        default_model: str = "",
        datakit_url: str = "",
        service_name: str = "",
        measurement: str = MEASUREMENT,
        tags: Optional[Dict[str, str]] = None,
        deadline_s: float = DEFAULT_DEADLINE_S,
        backlog_max_lines: int = MAX_LINES,
        backlog_max_bytes: int = MAX_BYTES,
        openai_admin_key: str = "",
        probe: bool = True,
        probe_timeout_s: float = DEFAULT_PROBE_TIMEOUT_S,
        allowed_models: Optional[List[str]] = None,
        max_completion_tokens: Optional[int] = None,
        daily_token_limit: Optional[int] = None,
        price_provider: str = "",
        log_content: bool = False,
        log_content_max_chars: int = 16_384,
        log_content_rate: float = 1.0,
        redact_patterns: Optional[List[str]] = None,
    ) -> None:
        key = _checked("openai_key", read_string, openai_key)
        admin_key = _checked("openai_admin_key", read_string, openai_admin_key)
        base_url = _base_url(_checked("openai_base_url", read_string, openai_base_url))
        datakit_url = _checked("datakit_url", read_string, datakit_url)
        service_name = _checked("service_name", read_string, service_name) or SERVICE_NAME
        service_name = _checked("service_name", read_service_name, service_name)
        measurement = _checked("measurement", read_measurement, measurement)
        tags = _checked("tags", read_tags, _without_empty(tags or {}))
        deadline_s = _checked("deadline_s", seconds(MAX_DEADLINE_S), deadline_s)
        backlog_max_lines = _checked("backlog_max_lines", whole_number(1, 10_000_000), backlog_max_lines)
        backlog_max_bytes = _checked("backlog_max_bytes", whole_number(1, 2**40), backlog_max_bytes)
        probe_timeout_s = _checked("probe_timeout_s", seconds(MAX_PROBE_TIMEOUT_S), probe_timeout_s)
        price_provider = price_provider and _checked("price_provider", read_price_provider, price_provider)
        patterns = _checked("redact_patterns", read_patterns, redact_patterns) if redact_patterns else ()
        self._dff = dff
        self._default_model = _checked("default_model", read_string, default_model) or DEFAULT_MODEL
        self._provider_name = provider_name(base_url)
        self._datakit = DataKit(
            datakit_url or DEFAULT_URL,
            _kept(("datakit", datakit_url), make_session),
        )

        def connect() -> Any:
            return _kept(("openai", key, base_url), lambda: make_client(key, base_url))

        self._chatgpt = ChatGPT(connect, key, base_url, deadline_s)
        self._guard_rails = GuardRails(
            dff.CACHE, self._default_model, allowed_models, max_completion_tokens, daily_token_limit
        )
        self._points = PointMaker(measurement, service_name, tags, _memory("points"), price_provider)
        backlog = CacheBacklog(dff.CACHE, backlog_max_lines, backlog_max_bytes)
        self._delivery = Delivery(self._datakit, backlog, print, _memory("delivery"))
        self._health = Health(backlog, service_name)
        content_log: Any = None
        if _checked("log_content", _read_switch, log_content):
            # Late: who does not ask for it pays nothing for it.
            from ..core.content.log_line import ContentLog

            content_log = ContentLog(log_content_max_chars, log_content_rate, patterns, [key, admin_key])
        self._logs = Logs(
            self._datakit,
            dff.CACHE,
            backlog_max_lines,
            backlog_max_bytes,
            service_name,
            _memory("logs"),
            content_log,
        )
        self._probing = _checked("probe", _read_switch, probe)
        self._probe = Probe(connect, key, base_url, service_name, probe_timeout_s)
        self._reconciliation = Reconciliation(
            admin_key, base_url, dff.STORE, backlog, self._deliver_uncounted
        )

    def chat(self, body: Dict[str, Any]) -> Any:
        """Answer one request of the link with OpenAI's own JSON, as a DFF.RESP; one point for each."""
        call = Call("chat", self._default_model, self._provider_name)
        line, recorded = "", False
        try:
            answer = self._answer(body, call)
            point = self._points.from_call(call)
            line = encode(point)
            delivered = self._delivery.deliver([line])
            recorded = True
        finally:
            # Func's time limit cannot be caught, but it waits for this. The same line again is no harm.
            if not recorded:
                call.end("timeout")
                self._delivery.deliver([line or encode(self._points.from_call(call))])
        self._health.count_unpriced(self._points.unpriced)
        self._logs.record(call, point, body, answer.body, delivered)
        return self._dff.RESP(answer.body, status_code=answer.status_code, content_type="application/json")

    def collect(self) -> Dict[str, Any]:
        """Deliver what waits, probe OpenAI, report on the monitor itself and read OpenAI's books.

        Returns, and prints, what it found. None stands for what was not asked, or could not be counted.
        """
        ends_s = time.monotonic() + COLLECT_BUDGET_S
        replay_ends_s = time.monotonic() + REPLAY_BUDGET_S
        replay, datakit_up, problem = self._deliver_waiting()
        logs = _contained(
            "the logs",
            lambda: self._logs.collect(
                datakit_up, max(0.0, replay_ends_s - time.monotonic()), self._deliver_uncounted
            ),
            Collected(),
        )
        problem = problem or logs.problem
        probed = _contained("the probe", self._probe_openai, Probed())
        report = self._report(datakit_up)
        if report is None:
            problem = problem or "the backlog cannot be reached: check Func's Redis"
        read = Reconciled()
        if datakit_up:  # otherwise it is read when DataKit is back, which then keeps its times
            read = _contained(
                "reading OpenAI's usage",
                lambda: self._reconciliation.run(ends_s - time.monotonic()),
                Reconciled(problem="OpenAI's usage was not read"),
            )
        words = [*logs.words, *_in_words(replay, report, problem)]
        for line in [*words, probed.words, read.words, read.problem]:
            if line:
                print(line)
        return {
            "datakit_up": datakit_up,
            "openai_up": probed.up,
            "delivered": report.delivered if report else None,
            "replayed": replay.replayed,
            "dropped": report.dropped if report else None,
            "backlog_lines": report.size.lines if report else None,
            "logs": logs.counts,
            "usage_points": read.points,
            "problem": problem or read.problem,
        }

    def _deliver_waiting(self) -> Waiting:
        replay, problem = Replay(), ""
        try:
            info = self._datakit.ping()
            print(f"DataKit {info.version} at {self._datakit.url} is up")
            reachable = True
        except DataKitError as error:
            problem = str(error)
            reachable = error.status_code is not None  # it may close ping to us, and take our points
        if reachable:
            replay = self._delivery.replay(REPLAY_BUDGET_S)
            problem = replay.problem or problem
        else:
            self._delivery.drop_too_old(REPLAY_BUDGET_S)
        return Waiting(replay, reachable and not replay.datakit_failed, problem)

    def _probe_openai(self) -> Probed:
        if not self._probing:
            return Probed()
        probed = self._probe.run()
        if probed.line:
            self._deliver_uncounted([probed.line])
        return probed

    def _deliver_uncounted(self, lines: List[str]) -> None:
        self._delivery.deliver(lines, counted=False)

    def _answer(self, body: Dict[str, Any], call: Call) -> Answer:
        try:
            return self._ask(body, call)
        except Exception as error:
            # Never 599 and a traceback, which would repeat the request to the caller and the task record.
            call.end("other")
            message = f"the monitor failed ({type(error).__name__}): please report it"
            return Answer(500, error_body(message, "monitor_error"))

    def _ask(self, body: Dict[str, Any], call: Call) -> Answer:
        try:
            request = read_request(body, self._default_model, RESERVED_NAMES)
        except BadRequestError as error:
            model = body.get("model")
            call.request_model = model if isinstance(model, str) else ""
            call.end("validation")
            return Answer(400, error_body(str(error), "invalid_request_error", error.param))
        _describe(call, request)
        admission = _contained(
            "the guard rails", lambda: self._guard_rails.admit(request), Admission(request)
        )
        if admission.refusal is not None:
            call.end("budget")
            return admission.refusal
        answer = self._chatgpt.ask(admission.request, call)
        self._guard_rails.count(call.usage.total_tokens)
        return answer

    def _report(self, datakit_up: bool) -> Optional[Report]:
        """Send the monitor's own points the way of every point; None if the backlog is away."""
        try:
            report = self._health.make(datakit_up)
            self._deliver_uncounted(report.lines)
            self._health.sent()
            return report
        except Exception:
            return None


def _contained(what: str, work: Callable[[], _Result], otherwise: _Result) -> _Result:
    """What `work` returns; `otherwise`, and a line for the operator, where it fails unforeseen."""
    try:
        return work()
    except Exception as error:
        # Its text may hold anything: its class has to do.
        print(f"{what} failed ({type(error).__name__})")
        return otherwise


def _in_words(replay: Replay, report: Optional[Report], problem: str) -> List[str]:
    words = []
    if replay.replayed:
        words.append(f"delivered {replay.replayed} point(s) that had waited in the backlog")
    if report is not None:
        words += report.in_words("point(s)")
        unpriced = sorted(report.unpriced.items())
        words += [f"{count} call(s) of {model}: the price is not known" for model, count in unpriced]
    words.append(problem or "everything is delivered")
    return words


def _describe(call: Call, request: Request) -> None:
    call.operation_name = request.operation_name
    call.request_model = request.model
    call.tags = request.tags


def _checked(name: str, read: Callable[[Any], _Result], value: Any) -> _Result:
    """What `read` makes of a setting. Raises ValueError, which names it and does not quote its value."""
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _read_switch(value: Any) -> bool:
    """A text as everywhere, "false" among them; else as in any `if`, 0 and None among them."""
    return read_switch(value) if isinstance(value, str) and value else bool(value)


def _without_empty(tags: Any) -> Any:
    """Without those whose value is empty, as from an environment variable that is not set."""
    return {name: text for name, text in tags.items() if text != ""} if isinstance(tags, dict) else tags


def _base_url(url: str) -> str:
    url = url.strip().rstrip("/") or DEFAULT_BASE_URL
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the OpenAI base URL must look like {DEFAULT_BASE_URL}")
    return url


# Script globals end with their task, modules with their process. What is kept here must not be of our
# classes: they would hold on to the task that made them.


def _memory(name: str) -> Dict[str, Any]:
    module = sys.modules.get(_PROCESS_MODULE)
    if module is None:
        module = sys.modules.setdefault(_PROCESS_MODULE, types.ModuleType(_PROCESS_MODULE))
    memories: Dict[str, Any] = module.__dict__.setdefault("memories", {})
    memory: Dict[str, Any] = memories.setdefault(name, {})
    return memory


def _kept(key: Any, make: Callable[[], Any]) -> Any:
    """The connection that `make` made for `key` in this process, earlier or now."""
    connections = _memory("connections")
    key = (os.getpid(), key)
    if key not in connections:
        while len(connections) >= MAX_KEPT_CONNECTIONS:
            connections.pop(next(iter(connections))).close()
        connections[key] = make()
    return connections[key]

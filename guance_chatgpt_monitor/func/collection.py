"""One run of the auto-trigger: deliver what waits, probe OpenAI, report, and read OpenAI's books."""

import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar

from ..core.datakit import DataKit, DataKitError
from ..core.delivery import LOGGING, METRIC, Delivery
from ..core.health import Health, Report
from ..core.replay import Replay
from .content_logs import Collected, Logs
from .probe import Probed
from .taken_lines import TakenLines

# Func gives collect() a minute, until the next run. Replaying comes first, then the probe and the report.
# OpenAI's books are read in what is left of the budget, and written in the rest of the minute.
REPLAY_BUDGET_S = 45.0
COLLECT_BUDGET_S = 50.0

_Result = TypeVar("_Result")


class Waiting(NamedTuple):
    """What became of the points that waited."""

    replay: Replay
    datakit_up: bool
    problem: str


class Collection:
    """`probe` and `reconciliation` are None if switched off. `say` takes lines for the operator."""

    def __init__(
        self,
        datakit: DataKit,
        delivery: Delivery,
        taken: TakenLines,
        health: Health,
        logs: Logs,
        probe: Optional[Callable[[], Probed]],
        reconciliation: Any,
        say: Callable[[str], None],
    ) -> None:
        self._datakit = datakit
        self._delivery = delivery
        self._taken = taken
        self._health = health
        self._logs = logs
        self._probe = probe
        self._reconciliation = reconciliation
        self._given_say = say

    def run(self) -> Dict[str, Any]:
        """What was found; None for what was not asked or could not be counted."""
        started_s = time.monotonic()
        replay, datakit_up, problem = self._deliver_waiting()
        replay_left_s = max(0.0, started_s + REPLAY_BUDGET_S - time.monotonic())
        logs = contained(
            "the logs",
            lambda: self._logs.collect(datakit_up, replay_left_s, self._deliver_uncounted),
            Collected(),
            self._say,
        )
        problem = problem or logs.problem
        probed = contained("the probe", self._probe_openai, Probed(), self._say)
        report = self._report(datakit_up)
        if report is None:
            problem = problem or "the backlog cannot be reached: check Func's Redis"
        usage_points, usage_words, usage_problem = self._read_books(datakit_up, started_s + COLLECT_BUDGET_S)
        words = [*logs.words, *_in_words(replay, report, problem)]
        for line in [*words, probed.words, usage_words, usage_problem]:
            if line:
                self._say(line)
        return {
            "datakit_up": datakit_up,
            "openai_up": probed.up,
            "delivered": report.delivered if report else None,
            "replayed": replay.replayed,
            "dropped": report.dropped if report else None,
            "backlog_lines": report.size.lines if report else None,
            "logs": logs.counts,
            "usage_points": usage_points,
            "problem": problem or usage_problem,
        }

    def _say(self, line: str) -> None:
        self._given_say(printable(line))

    def _deliver_waiting(self) -> Waiting:
        replay, problem, uptime_s = Replay(), "", None
        try:
            info = self._datakit.ping()
            self._say(f"DataKit {info.version} at {self._datakit.url} is up")
            reachable, uptime_s = True, info.uptime_s
        except DataKitError as error:
            problem = str(error)
            reachable = error.status_code is not None  # it may refuse our pings and take our points
        contained("sending again", lambda: self._send_again(reachable, uptime_s), None, self._say)
        if reachable:
            replay = self._delivery.replay(REPLAY_BUDGET_S)
            problem = replay.problem or problem
        else:
            self._delivery.drop_too_old(REPLAY_BUDGET_S)
        return Waiting(replay, reachable and not replay.datakit_failed, problem)

    def _send_again(self, reachable: bool, uptime_s: Optional[float]) -> None:
        """Send again what a restarted DataKit has lost. One that does not report its uptime is trusted."""
        if not reachable:
            self._taken.keep_longer()
            self._logs.keep_longer()
        if uptime_s is None:
            return
        again = {
            METRIC.noun: self._taken.send_again(uptime_s, self._deliver_uncounted),
            LOGGING.noun: self._logs.send_again(uptime_s),
        }
        for noun, count in again.items():
            if count:
                self._say(f"DataKit was restarted: {count} {noun} that it may have lost are sent again")

    def _probe_openai(self) -> Probed:
        if self._probe is None:
            return Probed()
        probed = self._probe()
        if probed.line:
            self._deliver_uncounted([probed.line])
        return probed

    def _read_books(self, datakit_up: bool, ends_s: float) -> Any:
        """(points, words, problem)"""
        # Not while DataKit is unreachable: it would change the times of points that wait for long.
        if self._reconciliation is None or not datakit_up:
            return None, "", ""
        failed = "OpenAI's usage was not read"
        return contained(
            "reading OpenAI's usage",
            lambda: tuple(self._reconciliation.run(ends_s - time.monotonic())),
            (None, "", failed),
            self._say,
        )

    def _deliver_uncounted(self, lines: List[str]) -> None:
        self._delivery.deliver(lines, counted=False)

    def _report(self, datakit_up: bool) -> Optional[Report]:
        """Deliver the monitor's own points like all others; None if the backlog is unavailable."""
        try:
            report = self._health.make(datakit_up)
            self._deliver_uncounted(report.lines)
            self._health.sent()
            return report
        except Exception:
            return None


def contained(
    what: str, work: Callable[[], _Result], otherwise: _Result, say: Callable[[str], None]
) -> _Result:
    """What `work` returns. If it fails unexpectedly: `otherwise`, and a line for the operator."""
    try:
        return work()
    except Exception as error:
        # Only its class: its message may contain anything.
        say(f"{what} failed ({type(error).__name__})")
        return otherwise


def printable(line: str) -> str:
    """`line` without control characters: a caller's model or tag must not forge lines of the log."""
    return "".join(char if char.isprintable() else "?" for char in line)


def _in_words(replay: Replay, report: Optional[Report], problem: str) -> List[str]:
    words = []
    if replay.replayed:
        words.append(f"delivered {replay.replayed} point(s) that had waited in the backlog")
    if report is not None:
        words += report.in_words("point(s)")
        unpriced = sorted(report.unpriced.items())
        words += [f"{count} call(s) of {model}: the price is unknown" for model, count in unpriced]
    words.append(problem or "everything is delivered")
    return words

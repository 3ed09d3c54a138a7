"""The log lines of a Func: what was said in each call if that is asked for, delivered the way of the points.

They have a backlog of their own, of the same bounds: a line can be a hundred times as long as a point, and a
DataKit that takes points may refuse logs. What waits there is delivered also when no more is asked for.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..core.backlog import CacheBacklog
from ..core.call import Call
from ..core.datakit import DataKit
from ..core.delivery import LOGGING, Delivery, Replay
from ..core.health import Health, Report
from ..core.line_protocol import Point

SCOPE = "guance_chatgpt_monitor_logging"
# With less time left than a few requests may take, the next run is early enough.
MIN_REPLAY_S = 5.0


class Collected(NamedTuple):
    """What one run did: `counts` are for the caller, None if there are no logs."""

    words: List[str] = []  # noqa: RUF012 - never changed in place
    problem: str = ""
    counts: Optional[Dict[str, Any]] = None


class Logs:
    """`content_log` makes the lines, None for none; `memory` is Delivery's. Nothing raises."""

    def __init__(
        self,
        datakit: DataKit,
        cache: Any,
        max_lines: int,
        max_bytes: int,
        service_name: str,
        memory: Dict[str, Any],
        content_log: Any = None,
    ) -> None:
        backlog = CacheBacklog(cache, max_lines, max_bytes, SCOPE)
        self._delivery = Delivery(datakit, backlog, print, memory, category=LOGGING)
        self._health = Health(backlog, service_name, category=LOGGING.name)
        self._content_log = content_log

    def record(self, call: Call, point: Point, request: Any, answer: str, is_up: bool) -> None:
        """Log one call, whose point is `point`. `is_up`: DataKit has just taken that.

        Else the line goes to the backlog at once: an outage costs the caller one timeout, not two.
        """
        if self._content_log is None:
            return
        try:
            if not self._content_log.wants(call):
                return
            line = self._content_log.line_of(point, call, request, answer)
        except Exception as error:
            self._delivery.count_dropped("monitor_error", 1)
            # Its text may hold what was said: its class has to do.
            print(f"what was said in a call could not be read ({type(error).__name__}): not logged")
            return
        if is_up:
            self._delivery.deliver([line])
        else:
            self._delivery.keep([line])

    def collect(self, is_up: bool, budget_s: float, send: Callable[[List[str]], None]) -> Collected:
        """Deliver what waits, and `send` the points on it, if there are logs."""
        replay = Replay()
        if not is_up:
            self._delivery.drop_too_old(budget_s)
        elif budget_s >= MIN_REPLAY_S:
            replay = self._delivery.replay(budget_s)
        try:
            report = self._health.make(is_up and not replay.datakit_failed)
            if self._content_log is None and not _says_anything(report):
                self._health.sent()
                return Collected()
            send(report.lines)
            self._health.sent()
        except Exception:
            return Collected(problem=replay.problem)  # the backlog is away, which the points have told
        counts = {
            "delivered": report.delivered,
            "replayed": replay.replayed,
            "dropped": report.dropped,
            "backlog_lines": report.size.lines,
        }
        return Collected(_in_words(replay, report), replay.problem, counts)


def _says_anything(report: Report) -> bool:
    return bool(report.delivered or report.replayed or report.dropped or report.size.lines)


def _in_words(replay: Replay, report: Report) -> List[str]:
    words = []
    if replay.replayed:
        words.append(f"delivered {replay.replayed} log line(s) that had waited in their backlog")
    words += [f"dropped {count} log line(s): {reason}" for reason, count in sorted(report.dropped.items())]
    if report.size.lines:
        waiting, age_s = report.size.lines, report.oldest_age_s
        words.append(f"{waiting} log line(s) wait in their backlog, the oldest for {age_s:.0f} s")
    return words

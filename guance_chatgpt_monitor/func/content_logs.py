"""The log lines of a Func: what was said in each call, if switched on, delivered like the points.

They have their own backlog with the same bounds: a line can be a hundred times as long as a point, and a
DataKit that takes points may refuse logs. What waits there is delivered even after logs are switched off.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..core.call import Call
from ..core.content_delivery import ContentDelivery
from ..core.datakit import DataKit
from ..core.delivery import LOGGING, Delivery
from ..core.health import Health
from ..core.line_protocol import Point
from ..core.replay import Replay
from .cache_backlog import SCOPE, CacheBacklog
from .taken_lines import TakenLines

LOGS_SCOPE = SCOPE + "_logging"
# With less time left than a few requests may take, leave it to the next run.
MIN_REPLAY_S = 5.0


class Collected(NamedTuple):
    """What one run did. `counts` are for its caller; None if there are no logs."""

    words: List[str] = []  # noqa: RUF012 - never modified
    problem: str = ""
    counts: Optional[Dict[str, Any]] = None


class Logs:
    """`content_log` makes lines of what `read_conversation` reads; None for no logs. Nothing raises.

    `memory` is for Delivery.
    """

    def __init__(
        self,
        datakit: DataKit,
        cache: Any,
        max_lines: int,
        max_bytes: int,
        service_name: str,
        tags: Dict[str, str],
        memory: Dict[str, Any],
        content_log: Any = None,
        read_conversation: Any = None,
        say: Callable[[str], None] = print,
    ) -> None:
        backlog = CacheBacklog(cache, max_lines, max_bytes, LOGS_SCOPE)
        self._taken = TakenLines(cache, LOGS_SCOPE)
        self._delivery = Delivery(
            datakit,
            backlog,
            say,
            memory,
            category=LOGGING,
            on_taken=self._taken.note,
            before_replay=str if content_log is None else content_log.redact_again,
        )
        self._content = ContentDelivery(content_log, self._delivery, say)
        self._health = Health(backlog, service_name, category=LOGGING.name, tags=tags)
        self._read_conversation = read_conversation
        self._asked_for = content_log is not None

    def record(self, call: Call, point: Point, request: Any, answer: str, is_up: bool) -> None:
        """Log one call. `is_up`: DataKit has just taken its `point`."""
        if self._content.wants(call):
            line = self._content.line(point, call, lambda: self._read_conversation(request, answer))
            if line:
                self._content.send([line], is_up)

    def send_again(self, uptime_s: float) -> int:
        """As TakenLines does: a log twice is better than none."""
        return self._taken.send_again(uptime_s, lambda lines: self._delivery.deliver(lines, counted=False))

    def keep_longer(self) -> None:
        """As TakenLines does."""
        self._taken.keep_longer()

    def collect(self, is_up: bool, budget_s: float, send: Callable[[List[str]], None]) -> Collected:
        """Deliver what waits; if there are logs, `send` the points that report on them."""
        replay = Replay()
        if not is_up:
            self._delivery.drop_too_old(budget_s)
        elif budget_s >= MIN_REPLAY_S:
            replay = self._delivery.replay(budget_s)
        try:
            report = self._health.make(is_up and not replay.datakit_failed)
            if not self._asked_for and not report.says_anything():
                self._health.sent()
                return Collected()
            send(report.lines)
            self._health.sent()
        except Exception:
            return Collected(problem=replay.problem)  # the backlog is unavailable; the points' report says so
        counts = {
            "delivered": report.delivered,
            "replayed": replay.replayed,
            "dropped": report.dropped,
            "backlog_lines": report.size.lines,
        }
        words = report.in_words(LOGGING.noun)
        if replay.replayed:
            words.insert(0, f"delivered {replay.replayed} {LOGGING.noun} that had waited in the backlog")
        return Collected(words, replay.problem, counts)

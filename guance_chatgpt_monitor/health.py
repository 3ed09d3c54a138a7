"""What the monitor says of itself: the measurement `openai_monitor`, one report per interval.

The counters only grow. What was reported last is saved together with the lines of that report, in one
step, and by one at a time: whoever dies at whatever moment, each count is reported once.
"""

import json
import time
from typing import Any, Callable, Dict, List, NamedTuple

from .backlog import Backlog, Size
from .line_protocol import Point, encode
from .metrics import MONITOR_MEASUREMENT

LOCK_S = 30  # far above what a report takes; a dead reporter is in nobody's way for longer
MAX_UNSENT_LINES = 1000  # of reporters that died, one after the other

_LOCK = "health"
_DROPPED = "dropped:"


class Report(NamedTuple):
    """Counts since the last report, and what waits now; `oldest_age_s` is 0 when nothing does."""

    delivered: int
    replayed: int
    dropped: Dict[str, int]  # reason -> lines
    write_time_s: float  # mean time of a write to DataKit
    size: Size
    oldest_age_s: float
    lines: List[str]


class Health:
    """Makes the reports of all who share a backlog."""

    def __init__(
        self, backlog: Backlog, service_name: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._backlog = backlog
        self._service_name = service_name
        self._clock_ns = clock_ns

    def unsent_lines(self) -> List[str]:
        """The lines of reports whose makers died before they were `sent()`; the next report has them, too."""
        lines: List[str] = self._last()["lines"] if self._holds_lock() else []
        return lines

    def make(self, datakit_up: bool) -> Report:
        """The report since the last one. Raises if the backlog is away.

        While another makes it, this one has no lines, and counts nothing that the other does.
        """
        alone = self._holds_lock()
        saved = self._last()
        last = saved["totals"]
        totals = self._backlog.totals() if alone else last
        # Fewer than last time: the cache was emptied, and has counted anew.
        since = {name: n - last.get(name, 0) if n >= last.get(name, 0) else n for name, n in totals.items()}
        size = self._backlog.size()
        now_ns = self._clock_ns()
        dropped = {name[len(_DROPPED) :]: n for name, n in since.items() if name.startswith(_DROPPED) and n}
        report = Report(
            since.get("delivered", 0),
            since.get("replayed", 0),
            dropped,
            since.get("write_us", 0) / 1e6 / max(1, since.get("writes", 0)),
            size,
            max(0.0, (now_ns - size.oldest_ns) / 1e9) if size.oldest_ns else 0.0,
            [],
        )
        if not alone or not self._holds_lock():
            return report
        points = self._points(report, datakit_up, now_ns)
        lines = [*saved["lines"], *map(encode, points)][-MAX_UNSENT_LINES:]
        self._save(totals, lines)
        return report._replace(lines=lines)

    def sent(self) -> None:
        """The lines of the last report are with DataKit, or on the backlog."""
        if self._holds_lock():
            self._save(self._last()["totals"], [])
            self._backlog.release(_LOCK)

    def _points(self, report: Report, datakit_up: bool, now_ns: int) -> List[Point]:
        tags = {"service_name": self._service_name}
        fields = {
            "backlog_lines": float(report.size.lines),
            "backlog_bytes": float(report.size.n_bytes),
            "oldest_age": report.oldest_age_s,
            "delivered": float(report.delivered),
            "replayed": float(report.replayed),
            "datakit_up": 1.0 if datakit_up else 0.0,
            "write_time": report.write_time_s,
        }
        if not report.dropped:
            fields["dropped"] = 0.0
        points = [Point(MONITOR_MEASUREMENT, tags, fields, now_ns)]
        for reason, count in report.dropped.items():
            reason_tags = {**tags, "reason": reason}
            points.append(Point(MONITOR_MEASUREMENT, reason_tags, {"dropped": float(count)}, now_ns))
        return points

    def _holds_lock(self) -> bool:
        return self._backlog.acquire(_LOCK, LOCK_S)

    def _last(self) -> Dict[str, Any]:
        saved = self._backlog.load("last_report")
        return json.loads(saved) if saved else {"totals": {}, "lines": []}

    def _save(self, totals: Dict[str, int], lines: List[str]) -> None:
        self._backlog.save("last_report", json.dumps({"totals": totals, "lines": lines}))

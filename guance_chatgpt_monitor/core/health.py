"""What the monitor reports about itself: the measurement `openai_monitor`, one report per interval.

The counters only grow. The totals of the last report are saved in one step with its lines, by one reporter
at a time: whoever dies at whatever moment, each count is reported once.
"""

import json
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .backlog import DELIVERED, REPLAYED, WRITE_US, WRITES, Backlog, Size, counts_below, dropped_by_reason
from .line_protocol import Point, encode
from .metrics import MONITOR_FIELDS, MONITOR_MEASUREMENT
from .tag_places import MAX_TAG_VALUES, OTHER

LOCK_S = 30  # far above what a report takes, and the longest that a dead reporter blocks others
MAX_UNSENT_LINES = 1000  # of several reporters that died in a row

_LOCK = "health"
# A tag with a field's name would replace the field; the others say what a point is about.
_TAKEN = {*MONITOR_FIELDS, "reason", "model", "category", "service_name"}
_UNPRICED = "unpriced:"
_MODELS = "unpriced_models"
_MODELS_LOCK_S = 5


class Report(NamedTuple):
    """Counts since the last report, and what waits now; `oldest_age_s` is 0 when nothing does."""

    delivered: int
    replayed: int
    dropped: Dict[str, int]  # reason -> lines
    write_time_s: float  # mean time of a write to DataKit
    size: Size
    oldest_age_s: float
    lines: List[str]
    unpriced: Dict[str, int]  # model -> calls whose price is unknown

    def says_anything(self) -> bool:
        return bool(self.delivered or self.replayed or self.dropped or self.size.lines)

    def in_words(self, noun: str) -> List[str]:
        """What was dropped and what waits, for the operator; `noun` names the lines, in the plural."""
        words = [f"dropped {count} {noun}: {reason}" for reason, count in sorted(self.dropped.items())]
        if self.size.lines:
            age_s = self.oldest_age_s
            words.append(f"{self.size.lines} {noun} wait in the backlog, the oldest for {age_s:.0f} s")
        return words


class Health:
    """Makes the reports of all who share a backlog.

    `category` is that of its lines, empty for metrics; each point gets `tags`, the user's and the host.
    """

    def __init__(
        self,
        backlog: Backlog,
        service_name: str,
        clock_ns: Callable[[], int] = time.time_ns,
        category: str = "",
        tags: Optional[Dict[str, str]] = None,
    ) -> None:
        self._backlog = backlog
        own = {"service_name": service_name, "category": category}
        self._tags = {name: text for name, text in (tags or {}).items() if name not in _TAKEN}
        self._tags.update(own)
        self._clock_ns = clock_ns

    def count_unpriced(self, counts: Dict[str, int]) -> None:
        """Count the calls without a price in `counts`, by model, and remove them from it.

        Never raises: what cannot be counted stays there for the next time.
        """
        for model in list(counts):
            count = counts.pop(model, 0)
            try:
                self._backlog.add({_UNPRICED + self._known_model(model): count})
            except Exception:
                counts[model] = counts.get(model, 0) + count
                return

    def unsent_lines(self) -> List[str]:
        """Lines of reports whose reporters died before `sent()`; the next report repeats them."""
        lines: List[str] = self._last()["lines"] if self._holds_lock() else []
        return lines

    def make(self, datakit_up: bool) -> Report:
        """The report since the last one. Raises if the backlog is unavailable.

        While another reporter makes it, this one has no lines and counts nothing.
        """
        alone = self._holds_lock()
        saved = self._last()
        last = saved["totals"]
        totals = self._backlog.totals() if alone else last
        # Fewer than last time: the cache was cleared, and counts from 0.
        since = {name: n - last.get(name, 0) if n >= last.get(name, 0) else n for name, n in totals.items()}
        size = self._backlog.size()
        now_ns = self._clock_ns()
        report = Report(
            since.get(DELIVERED, 0),
            since.get(REPLAYED, 0),
            dropped_by_reason(since),
            since.get(WRITE_US, 0) / 1e6 / max(1, since.get(WRITES, 0)),
            size,
            max(0.0, (now_ns - size.oldest_ns) / 1e9) if size.oldest_ns else 0.0,
            [],
            counts_below(since, _UNPRICED),
        )
        if not alone or not self._holds_lock():
            return report
        points = self._points(report, datakit_up, now_ns)
        lines = [*saved["lines"], *map(encode, points)][-MAX_UNSENT_LINES:]
        self._save(totals, lines)
        return report._replace(lines=lines)

    def sent(self) -> None:
        """The lines of the last report have reached DataKit or the backlog."""
        if self._holds_lock():
            self._save(self._last()["totals"], [])
            self._backlog.release(_LOCK)

    def _points(self, report: Report, datakit_up: bool, now_ns: int) -> List[Point]:
        tags = self._tags
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
        for model, count in report.unpriced.items():
            model_tags = {**tags, "model": model}
            points.append(Point(MONITOR_MEASUREMENT, model_tags, {"unpriced_calls": float(count)}, now_ns))
        return points

    def _known_model(self, model: str) -> str:
        """`model`, or `other` beyond MAX_TAG_VALUES models, since each has a counter forever.

        Also `other` if another process is adding one at this moment.
        """
        models = self._models()
        if model in models:
            return model
        if len(models) >= MAX_TAG_VALUES or not self._backlog.acquire(_MODELS, _MODELS_LOCK_S):
            return OTHER
        models = self._models()
        if model not in models:
            self._backlog.save(_MODELS, json.dumps([*models, model]))
        self._backlog.release(_MODELS)
        return model

    def _models(self) -> List[str]:
        saved = self._backlog.load(_MODELS)
        models: List[str] = json.loads(saved) if saved else []
        return models

    def _holds_lock(self) -> bool:
        return self._backlog.acquire(_LOCK, LOCK_S)

    def _last(self) -> Dict[str, Any]:
        saved = self._backlog.load("last_report")
        return json.loads(saved) if saved else {"totals": {}, "lines": []}

    def _save(self, totals: Dict[str, int], lines: List[str]) -> None:
        self._backlog.save("last_report", json.dumps({"totals": totals, "lines": lines}))

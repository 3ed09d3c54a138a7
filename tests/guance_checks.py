"""Runs a monitor over points as Guance's documentation of threshold detection says.

Every `every`, the query is asked over the last `interval`; a group has an event while one of its rules
holds, the worst of them; after `recoverNeedPeriodCount` checks without a fault, it is over. What becomes of
a group that has no result any more, `noDataAction` says.
"""

from typing import Any, Callable, Optional

from guance_chatgpt_monitor.local.viewer.evaluation import evaluate
from guance_chatgpt_monitor.local.viewer.points import PointIndex
from guance_chatgpt_monitor.local.viewer.reading import Range

EVERY_S = {"1m": 60, "5m": 300, "1h": 3600}
SECOND_NS = 10**9

Group = tuple[tuple[str, str], ...]

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
}


class Watch:
    """One monitor. `check()` it from time to time; `events` are (group, status), `ok` when one is over."""

    def __init__(self, script: Any, index: PointIndex) -> None:
        self.script = script
        self.every_s = EVERY_S[script["every"]]
        self.events: list[tuple[Group, str]] = []
        self._index = index
        self._status: dict[Group, str] = {}
        self._fine: dict[Group, int] = {}
        self._seen_s: dict[Group, int] = {}

    def run(self, start_s: int, end_s: int) -> list[tuple[Group, str]]:
        """Check it from `start_s` to `end_s`; what happened."""
        before = len(self.events)
        for at_s in range(start_s, end_s + 1, self.every_s):
            self.check(at_s)
        return self.events[before:]

    def check(self, at_s: int) -> None:
        start_ns = (at_s - self.script["interval"]) * SECOND_NS
        [target] = self.script["targets"]
        values = evaluate(self._index, target["dql"], Range(start_ns, at_s * SECOND_NS))
        results = {group: value for (group, _), value in values.items()}
        self._seen_s.update(dict.fromkeys(results, at_s))
        for group in self._seen_s:
            if group in results:
                self._compare(group, results[group])
            else:
                self._without_data(group, at_s - self._seen_s[group])

    def _compare(self, group: Group, value: float) -> None:
        status = self._status_of(value)
        if status is not None:
            self._fine[group] = 0
            self._tell(group, status)
        elif group in self._status:
            self._fine[group] = self._fine.get(group, 0) + 1
            if self._fine[group] >= self.script["recoverNeedPeriodCount"]:
                self._recover(group)

    def _status_of(self, value: float) -> Optional[str]:
        for rule in self.script["checkerOpt"]["rules"]:  # the worst first
            [condition] = rule["conditions"]
            if _HOLDS[condition["operator"]](value, float(condition["operands"][0])):
                return str(rule["status"])
        return None

    def _without_data(self, group: Group, for_s: int) -> None:
        action = self.script["noDataAction"]
        if action == "checkAs0":
            self._compare(group, 0.0)
        elif for_s >= self.script["noDataInterval"]:
            if action == "noDataEvent":
                self._tell(group, "nodata")
            elif action == "okEvent" and group in self._status:
                self._recover(group)

    def _tell(self, group: Group, status: str) -> None:
        if self._status.get(group) != status:
            self._status[group] = status
            self.events.append((group, status))

    def _recover(self, group: Group) -> None:
        del self._status[group]
        self.events.append((group, "ok"))

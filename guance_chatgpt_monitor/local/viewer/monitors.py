"""What state each shipped monitor would have now, by its own query and thresholds, and since when.

Plays the monitor's last checks over the points, as Guance would have made them: a status holds from the check
that found it, and ends when `recoverNeedPeriodCount` checks in a row found no fault; `noDataAction` says what
becomes of a group that has no points any more.
"""

import operator
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .dql import duration_s
from .dql_tokens import DQLError
from .evaluation import Answer, Query, evaluate_all
from .functions import Group
from .points import PointIndex
from .reading import Range

# How far back checks are played, and how many of one monitor at most.
HISTORY_S = 1800
MAX_CHECKS = 30
# What a check finds may change for so long: points come in a little late.
SETTLED_S = 10

_SECOND_NS = 10**9
_SEVERITY = ("fatal", "critical", "error", "warning", "nodata", "ok")
_COMPARE: Dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}

_Result = Dict[Group, float]


class State(NamedTuple):
    """Of one group of a monitor. `since_ns` is None where it has been so for as long as is looked back."""

    group: Group
    status: str
    value: Optional[float]
    since_ns: Optional[int]


class Judge:
    """Remembers what earlier checks found, so that each is made once."""

    def __init__(self) -> None:
        self._found: Dict[Tuple[str, int, int], _Result] = {}

    def clear(self) -> None:
        self._found.clear()

    def states(
        self, index: PointIndex, checkers: Sequence[Mapping[str, Any]], now_ns: int
    ) -> List[Tuple[List[State], str]]:
        """The states of each monitor, the worst first, and why it cannot be judged, if so."""
        moments = {number: _moments(checker["jsonScript"], now_ns) for number, checker in enumerate(checkers)}
        errors = self._check(index, checkers, moments, now_ns)
        judged = []
        for number, checker in enumerate(checkers):
            script = checker["jsonScript"]
            history = [(at, self._found.get(_key(script, at), {})) for at in moments[number]]
            judged.append((_play(script, history), errors.get(number, "")))
        played = {_key(c["jsonScript"], at) for n, c in enumerate(checkers) for at in moments[n]}
        self._found = {key: found for key, found in self._found.items() if key in played}
        return judged

    def _check(
        self,
        index: PointIndex,
        checkers: Sequence[Mapping[str, Any]],
        moments: Mapping[int, List[int]],
        now_ns: int,
    ) -> Dict[int, str]:
        """Make the checks that were not made yet, those of one time range together."""
        asked: Dict[Tuple[int, int], List[int]] = {}
        for number, checker in enumerate(checkers):
            script = checker["jsonScript"]
            for at_ns in moments[number]:
                if at_ns > now_ns - SETTLED_S * _SECOND_NS or _key(script, at_ns) not in self._found:
                    asked.setdefault((at_ns - script["interval"] * _SECOND_NS, at_ns), []).append(number)
        errors: Dict[int, str] = {}
        for (start_ns, end_ns), numbers in asked.items():
            queries = [Query(checkers[number]["jsonScript"]["targets"][0]["dql"]) for number in numbers]
            answers = evaluate_all(index, queries, Range(start_ns, end_ns))
            for number, answer in zip(numbers, answers):
                if isinstance(answer, DQLError):
                    errors[number] = str(answer)
                else:
                    self._found[_key(checkers[number]["jsonScript"], end_ns)] = _result(answer)
        return errors


def _result(answer: Answer) -> _Result:
    return {group: value for (group, _), value in answer.values.items()}


def _key(script: Mapping[str, Any], at_ns: int) -> Tuple[str, int, int]:
    return (script["targets"][0]["dql"], script["interval"], at_ns)


def _moments(script: Mapping[str, Any], now_ns: int) -> List[int]:
    """When it was checked, oldest first; the last is now."""
    every_ns = int(duration_s(script["every"]) * _SECOND_NS)
    count = min(MAX_CHECKS, max(2, HISTORY_S * _SECOND_NS // every_ns))
    last_ns = now_ns // every_ns * every_ns
    grid = [last_ns - back * every_ns for back in range(count - 1, -1, -1)]
    return grid if last_ns == now_ns else [*grid, now_ns]


class _Track:
    """One group, from check to check."""

    def __init__(self) -> None:
        self.status = ""
        self.since_ns: Optional[int] = None
        self.value: Optional[float] = None
        self._checks_without_fault = 0

    def check(self, at_ns: int, found: str, value: Optional[float], needed: int, is_first: bool) -> None:
        self.value = value
        faults = found not in ("ok", "")
        self._checks_without_fault = 0 if faults else self._checks_without_fault + 1
        if not faults and self.status not in ("", "ok") and self._checks_without_fault < needed:
            return
        if found and found != self.status:
            # As for the first check: who knows for how long it was so before?
            self.status, self.since_ns = found, None if is_first else at_ns


def _play(script: Mapping[str, Any], history: List[Tuple[int, _Result]]) -> List[State]:
    tracks: Dict[Group, _Track] = {}
    empty_since_ns: Dict[Group, int] = {}
    needed = int(script.get("recoverNeedPeriodCount") or 1)
    for at_ns, result in history:
        is_first = at_ns == history[0][0]
        for group in [*tracks, *(group for group in result if group not in tracks)]:
            value = result.get(group)
            if value is None:
                # The first check without data already looked back over its whole interval.
                first_ns = empty_since_ns.setdefault(group, at_ns)
                found = _without_data(script, at_ns - first_ns + script["interval"] * _SECOND_NS)
            else:
                empty_since_ns.pop(group, None)
                found = _status(script, value)
            track = tracks.setdefault(group, _Track())
            track.check(at_ns, found, value, needed, is_first)
    states = [State(group, t.status, t.value, t.since_ns) for group, t in tracks.items()]
    return sorted(states, key=lambda state: (_SEVERITY.index(state.status), state.group))


def _without_data(script: Mapping[str, Any], for_ns: int) -> str:
    """The status of a group that has had no points for so long; empty: as it was."""
    action = script.get("noDataAction")
    if action == "checkAs0":
        return _status(script, 0.0)
    if for_ns < (script.get("noDataInterval") or 0) * _SECOND_NS:
        return ""
    return {"okEvent": "ok", "noDataEvent": "nodata"}.get(action or "", "")


def _status(script: Mapping[str, Any], value: float) -> str:
    holding = [
        rule["status"]
        for rule in script["checkerOpt"]["rules"]
        if all(
            _COMPARE[condition["operator"]](value, float(condition["operands"][0]))
            for condition in rule["conditions"]
        )
    ]
    return min(holding, key=_SEVERITY.index) if holding else "ok"

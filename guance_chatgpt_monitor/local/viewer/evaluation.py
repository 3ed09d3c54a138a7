"""Answers DQL from the points: all queries of a dashboard at once."""

from itertools import chain
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Union

from . import functions
from .dql import Expression, Series, Target, parse
from .dql_tokens import DQLError
from .functions import Group, Values
from .points import PointIndex, Row
from .reading import Plan, Range, Reading

# What SQLite aggregates of each class of series -> of a group of classes.
_AGGREGATES: Dict[str, Callable[[List[Any]], Any]] = {
    "sum": sum,
    "count": sum,
    "min": min,
    "max": max,
    "collect": lambda lists: sorted(chain.from_iterable(lists)),
}
# Function of DQL -> those that it takes.
_MERGED: Dict[str, Sequence[str]] = {
    "sum": ("sum",),
    "count": ("count",),
    "min": ("min",),
    "max": ("max",),
    "avg": ("sum", "count"),
    **dict.fromkeys(functions.OF_LISTS, ("collect",)),
}

_Parsed = Union[Series, Expression, DQLError]


class Query(NamedTuple):
    """A DQL text; `step_ns` holds where it names no interval: 0 for one number over the whole range."""

    dql: str
    step_ns: int = 0


class Answer(NamedTuple):
    """`columns`: name and values of each target. `rows`: whole points, where no aggregate is asked for."""

    columns: List[Tuple[str, Values]]
    rows: List[Row] = []  # noqa: RUF012 - never changed

    @property
    def values(self) -> Values:
        return self.columns[0][1]


def evaluate(index: PointIndex, dql: str, within: Range, step_ns: int = 0) -> Values:
    """The values of one query. Raises DQLError."""
    [answer] = evaluate_all(index, [Query(dql, step_ns)], within)
    if isinstance(answer, DQLError):
        raise answer
    return answer.values if answer.columns else {}


def evaluate_all(index: PointIndex, queries: Sequence[Query], within: Range) -> List[Union[Answer, DQLError]]:
    """An answer, or what is not understood, for each query."""
    parsed = [_parse(query.dql) for query in queries]
    with index.lock:
        reading = Reading(index, within)
        for what in parsed:
            for series in _series(what):
                reading.announce(series)
        evaluation = _Evaluation(reading)
        for query, what in zip(queries, parsed):
            for series in _series(what):
                evaluation.prepare(series, query.step_ns)
        reading.fold()
        return [evaluation.answer(what, query.step_ns) for query, what in zip(queries, parsed)]


def _parse(dql: str) -> _Parsed:
    try:
        return parse(dql)
    except DQLError as error:
        return error


def _series(parsed: _Parsed) -> Iterable[Series]:
    if isinstance(parsed, DQLError):
        return []
    return [parsed] if isinstance(parsed, Series) else parsed.operands.values()


class _Evaluation:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._merged: Dict[Tuple[int, str, str], Dict[Tuple[Group, Any], Any]] = {}

    def prepare(self, series: Series, step_ns: int) -> None:
        """So that what is needed is read in one pass with what others need."""
        try:
            self._plan(series, step_ns)
        except DQLError:
            pass  # answer() will say it

    def answer(self, parsed: _Parsed, step_ns: int) -> Union[Answer, DQLError]:
        if isinstance(parsed, DQLError):
            return parsed
        try:
            if isinstance(parsed, Expression):
                return self._compute(parsed, step_ns)
            if not any(target.function for target in parsed.targets):
                plan = self._plan(parsed, 0)
                return Answer([], self._reading.rows(plan, parsed.limit, parsed.ascending))
            return Answer([(target.name, self._values(parsed, target, step_ns)) for target in parsed.targets])
        except DQLError as error:
            return error

    def _compute(self, parsed: Expression, step_ns: int) -> Answer:
        operands = {code: self._values(s, s.targets[0], step_ns) for code, s in parsed.operands.items()}
        first = next(iter(parsed.operands.values()))
        name = parsed.alias or first.targets[0].name
        return Answer([(name, functions.compute(parsed.expression, operands))])

    def _plan(self, series: Series, step_ns: int) -> Plan:
        aggregates = [
            (name, target.field) for target in series.targets for name in _MERGED.get(target.function, ())
        ]
        return self._reading.plan(series, step_ns, aggregates)

    def _values(self, series: Series, target: Target, step_ns: int) -> Values:
        """Raises DQLError."""
        plan = self._plan(series, step_ns)
        function, field = target.function, target.field
        if function == "avg":
            sums, counts = (self._merge(plan, name, field) for name in ("sum", "count"))
            values = {at: total / counts[at] for at, total in sums.items()}
        elif function in functions.OF_LISTS:
            compute = functions.OF_LISTS[function]
            lists = self._merge(plan, "collect", field)
            values = {at: compute(listed, target.argument) for at, listed in lists.items()}
        elif function in _MERGED:
            values = {at: float(value) for at, value in self._merge(plan, function, field).items()}
        else:
            listed = self._reading.values(plan, field)
            values = functions.of_times(listed, target, plan.groups, bool(plan.span.step_ns), _MERGED)
        if target.fill and plan.span.step_ns:
            values = functions.filled(values, target.fill, [start for start, _ in plan.span.intervals()])
        return values

    def _merge(self, plan: Plan, function: str, field: str) -> Dict[Tuple[Group, Any], Any]:
        """What SQLite aggregated of each class -> of each group."""
        key = (id(plan), function, field)
        if key not in self._merged:
            merge = _AGGREGATES[function]
            parts = self._reading.aggregate(plan, function, field)
            self._merged[key] = {at: merge(values) for at, values in parts.items()}
        return self._merged[key]

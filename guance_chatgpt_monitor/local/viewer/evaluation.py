"""Answers DQL from the points: all queries of a dashboard in a few passes over each measurement."""

import operator
import re
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from . import functions
from .dql import AllOf, AnyOf, Condition, Expression, Series, Target, Where, duration_s, parse, variable_of
from .dql_tokens import DQLError
from .functions import Group, Values
from .points import PointIndex, Row, Source, Span

# What a page can show; Guance draws at most about as many for one series.
MAX_INTERVALS = 2000
# How many intervals `auto` makes of a range, about.
AUTO_INTERVALS = 60
DEFAULT_LIMIT = 100

_STEPS_S = (1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_SECOND_NS = 10**9
_DAY_NS = 86400 * _SECOND_NS

# Of these, the value of several series follows from the values of each.
_MERGED: Dict[str, Tuple[Tuple[str, ...], Callable[[Any, Any], Any]]] = {
    "sum": (("sum",), operator.add),
    "count": (("count",), operator.add),
    "min": (("min",), min),
    "max": (("max",), max),
    "avg": (("sum", "count"), operator.add),
}


class Range(NamedTuple):
    """What a dashboard is asked for. Times in ns since 1970; a variable without a value, or `*`, is open."""

    start_ns: int
    end_ns: int
    variables: Mapping[str, Union[str, Sequence[str]]] = {}
    utc_offset_ns: int = 0

    def chosen(self, variable: str) -> Sequence[str]:
        value = self.variables.get(variable, "*")
        values = [value] if isinstance(value, str) else list(value)
        return [] if "*" in values else values

    def auto_step_ns(self) -> int:
        """The interval that `auto` stands for."""
        wanted_s = (self.end_ns - self.start_ns) / _SECOND_NS / AUTO_INTERVALS
        return next((step for step in _STEPS_S if step >= wanted_s * 0.99), _STEPS_S[-1]) * _SECOND_NS


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
    parsed: List[Union[Series, Expression, DQLError]] = []
    for query in queries:
        try:
            parsed.append(parse(query.dql))
        except DQLError as error:
            parsed.append(error)
    with index.lock:
        evaluation = _Evaluation(index, within)
        for query, what in zip(queries, parsed):
            for series in _series(what):
                evaluation.announce(series, query.step_ns)
        return [_answer(evaluation, what, query.step_ns) for query, what in zip(queries, parsed)]


def _series(parsed: Union[Series, Expression, DQLError]) -> Iterable[Series]:
    if isinstance(parsed, DQLError):
        return []
    return [parsed] if isinstance(parsed, Series) else parsed.operands.values()


def _answer(
    evaluation: "_Evaluation", parsed: Union[Series, Expression, DQLError], step_ns: int
) -> Union[Answer, DQLError]:
    if isinstance(parsed, DQLError):
        return parsed
    try:
        if isinstance(parsed, Expression):
            operands = {
                code: evaluation.values(s, s.targets[0], step_ns) for code, s in parsed.operands.items()
            }
            first = next(iter(parsed.operands.values()))
            return Answer(
                [(parsed.alias or first.targets[0].name, functions.compute(parsed.expression, operands))]
            )
        if not any(target.function for target in parsed.targets):
            return Answer([], evaluation.rows(parsed))
        return Answer([(t.name, evaluation.values(parsed, t, step_ns)) for t in parsed.targets])
    except DQLError as error:
        return error


class _Evaluation:
    """One refresh: what several queries need is read once."""

    def __init__(self, index: PointIndex, within: Range) -> None:
        self._index = index
        self._within = within
        self._announced: Dict[Tuple[Source, Span, str], Set[Tuple[str, str]]] = {}
        self._passes: Dict[Tuple[Source, Span, str], Tuple[List[Tuple[str, str]], List[Tuple[Any, ...]]]] = {}
        self._lists: Dict[Tuple[Source, Span, str, str], List[Tuple[int, int, int, Any]]] = {}

    def announce(self, series: Series, step_ns: int) -> None:
        """Say that `values()` will be asked for it."""
        try:
            key, _ = self._where_to_read(series, step_ns)
        except DQLError:
            return
        for target in series.targets:
            if target.function in _MERGED:
                wanted = {(function, target.field) for function in _MERGED[target.function][0]}
                self._announced.setdefault(key, set()).update(wanted)

    def values(self, series: Series, target: Target, step_ns: int) -> Values:
        """Raises DQLError."""
        key, chosen = self._where_to_read(series, step_ns)
        source, span, where = key
        groups = {number: _group(series, tags) for number, tags in chosen.items()}
        if target.function in _MERGED:
            values = self._merged(key, target, groups)
        else:
            listed = self._lists.get((*key, target.field))
            if listed is None:
                listed = self._lists[(*key, target.field)] = self._index.values(
                    source, target.field, span, where
                )
            values = functions.of_lists(listed, target, groups, bool(span.step_ns), _MERGED)
        if target.fill and span.step_ns:
            values = functions.filled(values, target.fill, [start for start, _ in span.intervals()])
        return values

    def rows(self, series: Series) -> List[Row]:
        (source, span, where), chosen = self._where_to_read(series, 0)
        numbers = ", ".join(map(str, chosen))
        return self._index.latest(
            source,
            span,
            series.limit or DEFAULT_LIMIT,
            f"({where}) AND v.series IN ({numbers})",
            series.ascending,
        )

    def _merged(self, key: Tuple[Source, Span, str], target: Target, groups: Mapping[int, Group]) -> Values:
        source, span, where = key
        if key not in self._passes:
            aggregates = sorted(self._announced[key])
            self._passes[key] = aggregates, self._index.aggregate(source, aggregates, span, where)
        aggregates, rows = self._passes[key]
        names, merge = _MERGED[target.function]
        merged: List[Dict[Tuple[Group, Any], Any]] = []
        for function in names:
            place = 2 + aggregates.index((function, target.field))
            values: Dict[Tuple[Group, Any], Any] = {}
            for row in rows:
                value = row[place]
                group = groups.get(row[0])
                if value is None or group is None or (function == "count" and not value):
                    continue
                at = (group, row[1] if span.step_ns else None)
                values[at] = merge(values[at], value) if at in values else value
            merged.append(values)
        if target.function == "avg":
            return {at: total / merged[1][at] for at, total in merged[0].items()}
        return {at: float(value) for at, value in merged[0].items() if not isinstance(value, str)}

    def _where_to_read(
        self, series: Series, step_ns: int
    ) -> Tuple[Tuple[Source, Span, str], Mapping[int, Mapping[str, str]]]:
        """What to read, and the series that are meant. Conditions on tags choose series, others points."""
        source = (series.category, series.measurement)
        span = self._span(series, step_ns)
        fields, all_series = self._index.fields(source), self._index.series(source)
        if any(c.tag in fields and self._values_of(c) for c in series.conditions):
            return (source, span, self._sql(source, series.where)), all_series
        chosen = {number: tags for number, tags in all_series.items() if self._holds(series.where, tags)}
        return (source, span, "1"), chosen

    def _span(self, series: Series, step_ns: int) -> Span:
        within = self._within
        end_ns = self._moment(series.end, within.end_ns)
        start_ns = self._moment(series.start, within.start_ns)
        if series.start == "yesterday" and not series.end:
            end_ns = start_ns + _DAY_NS
        if series.interval == "auto":
            step_ns = within._replace(start_ns=start_ns, end_ns=end_ns).auto_step_ns()
        elif series.interval:
            step_ns = int(duration_s(series.interval) * _SECOND_NS)
        if step_ns and (end_ns - start_ns) // step_ns > MAX_INTERVALS:
            raise DQLError(
                f"more than {MAX_INTERVALS:,} intervals of {series.interval or 'this length'} in the range"
            )
        return Span(start_ns, end_ns, step_ns, within.utc_offset_ns)

    def _moment(self, text: str, otherwise_ns: int) -> int:
        offset_ns = self._within.utc_offset_ns
        if not text:
            return otherwise_ns
        if text in ("today", "yesterday"):
            midnight_ns = (self._within.end_ns + offset_ns) // _DAY_NS * _DAY_NS - offset_ns
            return midnight_ns - (_DAY_NS if text == "yesterday" else 0)
        return self._within.end_ns - int(duration_s(text) * _SECOND_NS)

    # -- conditions

    def _holds(self, where: Where, tags: Mapping[str, str]) -> bool:
        if isinstance(where, AllOf):
            return all(self._holds(part, tags) for part in where.parts)
        if isinstance(where, AnyOf):
            return any(self._holds(part, tags) for part in where.parts)
        values = self._values_of(where)
        # As in the store: a tag that is not there is an empty one.
        return values is None or _COMPARE[where.operator](tags.get(where.tag, ""), values)

    def _sql(self, source: Source, where: Where) -> str:
        if isinstance(where, (AllOf, AnyOf)):
            word = " AND " if isinstance(where, AllOf) else " OR "
            return f"({word.join(self._sql(source, part) for part in where.parts) or '1'})"
        values = self._values_of(where)
        if values is None:
            return "1"
        if where.tag in self._index.fields(source):
            return _sql_of_field(self._index.column(source, where.tag), where.operator, values)
        numbers = [str(n) for n, tags in self._index.series(source).items() if self._holds(where, tags)]
        return f"v.series IN ({', '.join(numbers)})"

    def _values_of(self, condition: Condition) -> Optional[Sequence[str]]:
        """What is compared with; None where it is a variable that filters nothing."""
        variable = variable_of(condition.value)
        if not variable:
            return [condition.value]
        return self._within.chosen(variable) or None


def _matches(tag: str, values: Sequence[str]) -> bool:
    try:
        return any(re.search(value, tag) for value in values)
    except re.error as error:
        raise DQLError(f"not a regular expression: {values[0]} ({error})") from None


_COMPARE: Dict[str, Callable[[str, Sequence[str]], bool]] = {
    "=": lambda tag, values: tag in values,
    "!=": lambda tag, values: tag not in values,
    "=~": _matches,
    "!~": lambda tag, values: not _matches(tag, values),
    ">": lambda tag, values: tag > values[0],
    ">=": lambda tag, values: tag >= values[0],
    "<": lambda tag, values: tag < values[0],
    "<=": lambda tag, values: tag <= values[0],
}


def _sql_of_field(column: str, comparison: str, values: Sequence[str]) -> str:
    if comparison in ("=~", "!~"):
        raise DQLError("a regular expression is known here for tags only")
    literals = [_literal(value) for value in values]
    if comparison in ("=", "!="):
        found = f"ifnull({column}, '') IN ({', '.join(literals)})"
        return found if comparison == "=" else f"NOT {found}"
    return f"{column} {comparison} {literals[0]}"


def _literal(value: str) -> str:
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return value
    return "'" + value.replace("'", "''") + "'"


def _group(series: Series, tags: Mapping[str, str]) -> Group:
    return tuple(sorted((name, tags.get(name, "")) for name in series.groups))

"""What the queries of one refresh read: each measurement in a few passes, whatever the number of charts."""

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

from .dql import AllOf, AnyOf, Condition, Series, Where, duration_s, variable_of
from .dql_tokens import DQLError
from .functions import Group
from .points import PointIndex, Row, Source, Span

# What a page can show.
MAX_INTERVALS = 2000
# How many intervals `auto` makes of a range, about.
AUTO_INTERVALS = 60
DEFAULT_LIMIT = 100

_STEPS_S = (1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_SECOND_NS = 10**9
_DAY_NS = 86400 * _SECOND_NS

# (group, start of the interval or None) -> something of each class in it
Grouped = Dict[Tuple[Group, Any], List[Any]]


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


class Plan(NamedTuple):
    """Where the values of a series are read, and the group of each class of series that is meant."""

    source: Source
    span: Span
    where: str
    groups: Dict[int, Group]


class Reading:
    """One refresh, under the index's lock: `announce()` all series, `plan()` them, then ask for values."""

    def __init__(self, index: PointIndex, within: Range) -> None:
        self._index = index
        self._within = within
        self._tags: Dict[Source, Set[str]] = {}
        self._classes: Dict[Source, Dict[int, Dict[str, str]]] = {}
        self._plans: Dict[Tuple[Series, int], Plan] = {}
        self._wanted: Dict[Tuple[Source, Span, str], Set[Tuple[str, str]]] = {}
        self._folded: Dict[Tuple[Source, Span, str], Tuple[Source, Span, str]] = {}
        self._read: Dict[Tuple[Source, Span, str], Tuple[List[Tuple[str, str]], List[List[Any]]]] = {}
        self._grouped: Dict[int, Grouped] = {}

    def announce(self, series: Series) -> None:
        """Which tags matter: series that differ in others only are read together."""
        tags = self._tags.setdefault(_source(series), set())
        tags.update(series.groups)
        # A variable that is open filters nothing: series that differ in its tag only are read together, too.
        tags.update(c.tag for c in series.conditions if self._values_of(c) is not None)

    def plan(self, series: Series, step_ns: int, aggregates: Sequence[Tuple[str, str]]) -> Plan:
        """Raises DQLError. `aggregates` are the (function, field) that `aggregate()` will be asked for."""
        key = (series._replace(targets=()), step_ns)
        if key not in self._plans:
            self._plans[key] = self._make_plan(series, step_ns)
        plan = self._plans[key]
        self._wanted.setdefault((plan.source, plan.span, plan.where), set()).update(aggregates)
        return plan

    def fold(self) -> None:
        """Once all is planned: what is asked for the whole of a range is summed up of its intervals."""
        for key in [key for key in self._wanted if not key[1].step_ns]:
            source, span, where = key
            for other in self._wanted:
                if other[1].step_ns and (other[0], *other[1][:2], other[2]) == (source, *span[:2], where):
                    self._wanted[other] |= self._wanted[key]
                    self._folded[key] = other
                    break

    def aggregate(self, plan: Plan, function: str, field: str) -> Grouped:
        """What SQLite aggregated of each class, where it has points, by the group that the class is in."""
        key = (plan.source, plan.span, plan.where)
        key = self._folded.get(key, key)
        if key not in self._read:
            wanted = sorted(self._wanted[key])
            self._read[key] = (wanted, self._index.aggregate(plan.source, wanted, key[1], plan.where))
        wanted, rows = self._read[key]
        if id(plan) not in self._grouped:
            self._grouped[id(plan)] = _by_group(plan, rows)
        place = 2 + wanted.index((function, field))
        found = (
            (at, [row[place] for row in same if row[place]])
            if function in ("count", "collect")
            else (at, [row[place] for row in same if row[place] is not None])
            for at, same in self._grouped[id(plan)].items()
        )
        return {at: values for at, values in found if values}

    def values(self, plan: Plan, field: str) -> List[List[Any]]:
        """Class, start of the interval, time and value of each point."""
        return self._index.values(plan.source, field, plan.span, plan.where)

    def rows(self, plan: Plan, limit: int, ascending: bool) -> List[Row]:
        where = f"({plan.where}) AND m.class IN ({', '.join(map(str, plan.groups))})"
        return self._index.latest(plan.source, plan.span, limit or DEFAULT_LIMIT, where, ascending)

    def _make_plan(self, series: Series, step_ns: int) -> Plan:
        source, span = _source(series), self._span(series, step_ns)
        if source not in self._classes:
            self._classes[source] = self._index.classify(source, self._tags[source])
        classes = self._classes[source]
        where = "1"
        # Conditions on tags choose classes; one on a field chooses points.
        if any(c.tag in self._index.fields(source) and self._values_of(c) for c in series.conditions):
            where = self._sql(source, series.where)
        else:
            classes = {number: tags for number, tags in classes.items() if self._holds(series.where, tags)}
        return Plan(source, span, where, {number: _group(series, tags) for number, tags in classes.items()})

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
            return _sql_of_field(self._index.fields(source)[where.tag], where.operator, values)
        numbers = [str(n) for n, tags in self._classes[source].items() if self._holds(where, tags)]
        return f"m.class IN ({', '.join(numbers)})"

    def _values_of(self, condition: Condition) -> Optional[Sequence[str]]:
        """What is compared with; None where it is a variable that filters nothing."""
        variable = variable_of(condition.value)
        if not variable:
            return [condition.value]
        return self._within.chosen(variable) or None


def _by_group(plan: Plan, rows: Sequence[List[Any]]) -> Grouped:
    grouped: Grouped = {}
    by_time = bool(plan.span.step_ns)
    for row in rows:
        group = plan.groups.get(row[0])
        if group is not None:
            grouped.setdefault((group, row[1] if by_time else None), []).append(row)
    return grouped


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
        raise DQLError("a regular expression on a field (only tags)")
    literals = [_literal(value) for value in values]
    if comparison in ("=", "!="):
        found = f"ifnull({column}, '') IN ({', '.join(literals)})"
        return found if comparison == "=" else f"NOT {found}"
    return f"{column} {comparison} {literals[0]}"


def _literal(value: str) -> str:
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return value
    return "'" + value.replace("'", "''") + "'"


def _source(series: Series) -> Source:
    return (series.category, series.measurement)


def _group(series: Series, tags: Mapping[str, str]) -> Group:
    return tuple(sorted((name, tags.get(name, "")) for name in series.groups))

"""From a compact query to DQL and to what Guance's editor keeps beside it, so that the two cannot disagree.

Compact: `sum(res_status){status = error} / sum(question) * 100`, with measurement and tags to group by;
`openai_usage:sum(requests)` is of another measurement. One aggregate alone is what Guance calls a simple
query; arithmetic between them is an expression.
"""

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from .source import stable_uuid

_AGGREGATE = re.compile(
    r"(?:(?P<measurement>\w+):)?(?P<function>[a-z]\w*)\((?P<field>\w+)\)(?:\{(?P<conditions>[^}]*)\})?"
)
_CONDITION = re.compile(r"\s*(?P<tag>\w+)\s*(?P<operator>!=|=)\s*(?P<value>[\w.-]+)\s*")
_FUNCTION = re.compile(r"sum|avg|last|min|max|count|p\d{1,2}")
_ARITHMETIC = re.compile(r"[A-Z0-9.+\-*/()]+")


class Condition(NamedTuple):
    tag: str
    operator: str
    value: str


class Aggregate(NamedTuple):
    """One function of one field, over the points of a measurement that fulfil all conditions."""

    measurement: str
    function: str
    field: str
    conditions: Tuple[Condition, ...]


class Query(NamedTuple):
    """What is asked.

    `expression` names the aggregates A, B, … in their order; `interval` is a DQL duration or "" where
    the chart's own applies; `path` makes the UUIDs of the filters.
    """

    expression: str
    aggregates: Tuple[Aggregate, ...]
    groups: Tuple[str, ...] = ()
    interval: str = ""
    alias: str = ""
    path: Tuple[str, ...] = ()

    @property
    def is_simple(self) -> bool:
        return self.expression == "A"

    @property
    def dql(self) -> str:
        if self.is_simple:
            return self._dql_of(self.aggregates[0], self.alias)
        operands = ", ".join(
            f'{code_of(i)}="{self._dql_of(aggregate)}"' for i, aggregate in enumerate(self.aggregates)
        )
        # Without a name of its own, the result's column would have the first operand's.
        name = f", alias='{self.alias}'" if self.alias else ""
        return f"eval({self.expression}, {operands}{name})"

    def to_json(self, code: str) -> Dict[str, Any]:
        """Guance's inner `query` object."""
        if self.is_simple:
            return self._simple(self.aggregates[0], code, self.alias)
        in_all = [
            condition
            for condition in self.aggregates[0].conditions
            if all(condition in aggregate.conditions for aggregate in self.aggregates)
        ]
        return {
            "code": code,
            "type": "expression",
            "expression": self.expression,
            "alias": self.alias,
            "children": [
                self._simple(aggregate, code_of(i), "") for i, aggregate in enumerate(self.aggregates)
            ],
            "groupBy": list(self.groups),
            "groupByTime": self.interval,
            "filters": self._filters(in_all, code),
            "funcList": [],
            "fill": None,
            "q": self.dql,
        }

    def _simple(self, aggregate: Aggregate, code: str, alias: str) -> Dict[str, Any]:
        return {
            "code": code,
            "type": "simple",
            "namespace": "metric",
            "dataSource": aggregate.measurement,
            "field": aggregate.field,
            "fieldFunc": aggregate.function,
            "fieldType": "float",
            "alias": alias,
            "groupBy": list(self.groups),
            "groupByTime": self.interval,
            "filters": self._filters(aggregate.conditions, f"{code}/{aggregate.field}"),
            "funcList": [],
            "queryFuncs": [],
            "fill": None,
            "q": self._dql_of(aggregate, alias),
        }

    def _filters(self, conditions: Sequence[Condition], where: str) -> List[Dict[str, Any]]:
        return _filters(conditions, (*self.path, where))

    def _dql_of(self, aggregate: Aggregate, alias: str = "") -> str:
        # The order of the clauses is DQL's: filter, time, group.
        parts = [f"M::`{aggregate.measurement}`:({_call(aggregate)}{f' AS `{alias}`' if alias else ''})"]
        parts.extend(_where(aggregate.conditions))
        if self.interval:
            parts.append(f"[::{self.interval}]")
        if self.groups:
            parts.append("BY " + ", ".join(f"`{tag}`" for tag in self.groups))
        return " ".join(parts)


class Logs(NamedTuple):
    """The newest logs of a source that fulfil all conditions, as rows with these columns."""

    source: str
    columns: Tuple[str, ...]
    conditions: Tuple[Condition, ...]
    path: Tuple[str, ...] = ()

    @property
    def dql(self) -> str:
        wanted = ", ".join(f"`{column}`" for column in (*self.columns, *HIDDEN_COLUMNS))
        return " ".join([f"L::`{self.source}`:({wanted})", *_where(self.conditions)])

    def to_json(self, code: str) -> Dict[str, Any]:
        """Guance's inner `query` object."""
        return {
            "code": code,
            "type": "simple",
            "namespace": "logging",
            "dataSource": self.source,
            "indexFilter": "default",
            "field": None,
            "fields": [
                *({"field": column} for column in self.columns),
                *({"field": column, "hide": True} for column in HIDDEN_COLUMNS),
            ],
            "alias": "",
            "orderby": [{"time": "desc"}],
            "filters": _filters(self.conditions, self.path),
            "funcList": [],
            "highlight": True,
            "q": self.dql,
        }


# What the console's list of logs needs of each: its colour, and its own id, by which a click opens it.
HIDDEN_COLUMNS = ("status", "__docid")


def parse_logs(
    source: str,
    columns: Sequence[str],
    where: str = "",
    variables: Mapping[str, Sequence[str]] = {},
    path: Sequence[str] = (),
) -> Logs:
    """The logs of `source` under the condition `where`, as in `parse()`. Raises ValueError."""
    conditions = (*_conditions(where, where), *_of_variables(variables, source))
    return Logs(source, tuple(columns), conditions, tuple(path))


def parse(
    text: str,
    measurement: str,
    groups: Sequence[str] = (),
    variables: Mapping[str, Sequence[str]] = {},
    interval: str = "",
    alias: str = "",
    path: Sequence[str] = (),
) -> Query:
    """The query that the compact `text` describes, of `measurement` where it names no other.

    `variables` are the dashboard's, by measurement: they filter as well. `alias` names the result. Raises
    ValueError with the text that cannot be read.
    """
    if set(alias) & set("'\"`"):
        raise ValueError(f"no quotes in the name of a result: {alias}")
    aggregates: List[Aggregate] = []

    def take(match: "re.Match[str]") -> str:
        if not _FUNCTION.fullmatch(match["function"]):
            raise ValueError(f"no such function: {match['function']} in {text!r}")
        source = match["measurement"] or measurement
        conditions = (*_conditions(match["conditions"], text), *_of_variables(variables, source))
        aggregates.append(Aggregate(source, match["function"], match["field"], conditions))
        return code_of(len(aggregates) - 1)

    expression = _AGGREGATE.sub(take, text).replace(" ", "")
    if not aggregates or not _ARITHMETIC.fullmatch(expression):
        raise ValueError(f"not a query: {text!r}")
    return Query(expression, tuple(aggregates), tuple(groups), interval, alias, tuple(path))


def _of_variables(variables: Mapping[str, Sequence[str]], source: str) -> List[Condition]:
    return [Condition(code, "=", f"#{{{code}}}") for code in variables.get(source, ())]


def _where(conditions: Sequence[Condition]) -> List[str]:
    wanted = " and ".join(f"`{tag}` {operator} '{value}'" for tag, operator, value in conditions)
    return [f"{{ {wanted} }}"] if wanted else []


def _filters(conditions: Sequence[Condition], path: Sequence[str]) -> List[Dict[str, Any]]:
    return [
        {
            "id": stable_uuid(*path, *condition),
            "op": condition.operator,
            "name": condition.tag,
            "type": "keyword",
            "logic": "and",
            "value": condition.value,
            "values": [],
        }
        for condition in conditions
    ]


def _conditions(listed: str, text: str) -> Tuple[Condition, ...]:
    if not listed:
        return ()
    conditions = []
    for part in listed.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise ValueError(f"not a condition: {part.strip()!r} in {text!r}")
        conditions.append(Condition(match["tag"], match["operator"], match["value"]))
    return tuple(conditions)


def _call(aggregate: Aggregate) -> str:
    if re.fullmatch(r"p\d+", aggregate.function):
        return f"percentile(`{aggregate.field}`, {aggregate.function[1:]})"
    return f"{aggregate.function}(`{aggregate.field}`)"


def code_of(index: int) -> str:
    """The letter that names a query of a chart, or an operand of an expression."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]

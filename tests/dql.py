"""Reads the DQL that the dashboards and monitors use, and asks InfluxDB the same in InfluxQL.

Written against Guance's DQL documentation, not against the generator, which it is to check.
"""

import ast
import operator
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, Union

_SERIES = re.compile(
    r"M::`(?P<measurement>\w+)`"
    r":\((?P<function>\w+)\(`(?P<field>\w+)`(?:, (?P<argument>\d+))?\)(?: AS `(?P<alias>[^`]+)`)?\)"
    r"(?: \{ (?P<conditions>[^}]*(?:#\{\w+\}[^}]*)*) \})?"
    r"(?: \[::(?P<interval>\d+[smhd])\])?"
    r"(?: BY (?P<groups>`\w+`(?:, `\w+`)*))?"
)
_CONDITION = re.compile(r"`(?P<tag>\w+)` (?P<operator>=|!=) '(?P<value>[^']*)'")
_EVAL = re.compile(r"eval\((?P<expression>[^,]+), (?P<operands>.*)\)")
_OPERAND = re.compile(r'(?P<code>[A-Z])="(?P<series>[^"]*)"')
_VARIABLE = re.compile(r"#\{(\w+)\}")

_ARITHMETIC: Dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# (tags of the group, start of the interval or None) -> value
Values = Dict[Tuple[Tuple[Tuple[str, str], ...], Optional[str]], float]


class Condition(NamedTuple):
    tag: str
    operator: str
    value: str


class Series(NamedTuple):
    """One aggregate of one measurement."""

    measurement: str
    function: str
    argument: Optional[str]
    field: str
    alias: str
    conditions: Tuple[Condition, ...]
    interval: str
    groups: Tuple[str, ...]

    @property
    def variables(self) -> List[str]:
        return [name for condition in self.conditions for name in _VARIABLE.findall(condition.value)]

    @property
    def tags(self) -> List[str]:
        return [condition.tag for condition in self.conditions] + list(self.groups)

    def influxql(self, values: Dict[str, str], time_range: Tuple[str, str]) -> str:
        """`values` of variables; one that is not there is `*`: every value, and none."""
        argument = f", {self.argument}" if self.argument else ""
        function = {"avg": "mean"}.get(self.function, self.function)
        where = [f"time >= '{time_range[0]}' AND time < '{time_range[1]}'"]
        for tag, comparison, value in self.conditions:
            variable = _VARIABLE.fullmatch(value)
            if variable and variable[1] not in values:
                where.append(f'"{tag}" =~ /.*/')
            else:
                where.append(f"\"{tag}\" {comparison} '{values[variable[1]] if variable else value}'")
        groups = [f'"{tag}"' for tag in self.groups]
        if self.interval:
            groups.append(f"time({self.interval})")
        return (
            f'SELECT {function}("{self.field}"{argument}) FROM "{self.measurement}" '
            f"WHERE {' AND '.join(where)}" + (f" GROUP BY {', '.join(groups)}" if groups else "")
        )


class Expression(NamedTuple):
    """Arithmetic between series, by their letters."""

    expression: str
    operands: Dict[str, Series]


def parse(dql: str) -> Union[Series, Expression]:
    """Raises ValueError for what is no DQL of the kinds that are used here."""
    match = _EVAL.fullmatch(dql)
    if match is None:
        return _parse_series(dql)
    operands = {m["code"]: _parse_series(m["series"]) for m in _OPERAND.finditer(match["operands"])}
    if _OPERAND.sub("", match["operands"]).strip(", ") or not operands:
        raise ValueError(f"operands of {dql}")
    return Expression(match["expression"], operands)


def series_of(dql: str) -> List[Series]:
    parsed = parse(dql)
    return [parsed] if isinstance(parsed, Series) else list(parsed.operands.values())


def evaluate(dql: str, ask: Callable[[str], Values], **how: object) -> Values:
    """The values of a query; `ask` runs one InfluxQL statement, `how` goes to Series.influxql()."""
    parsed = parse(dql)
    if isinstance(parsed, Series):
        return ask(parsed.influxql(**how))
    operands = {code: ask(series.influxql(**how)) for code, series in parsed.operands.items()}
    tree = ast.parse(parsed.expression, mode="eval").body
    # As Guance does: a group that one operand lacks has no result.
    in_all = set.intersection(*(set(values) for values in operands.values()))
    return {key: _compute(tree, {code: values[key] for code, values in operands.items()}) for key in in_all}


def _parse_series(dql: str) -> Series:
    match = _SERIES.fullmatch(dql)
    if match is None:
        raise ValueError(f"not DQL: {dql}")
    conditions = []
    for part in (match["conditions"] or "").split(" and ") if match["conditions"] else ():
        condition = _CONDITION.fullmatch(part)
        if condition is None:
            raise ValueError(f"not a condition: {part} in {dql}")
        conditions.append(Condition(condition["tag"], condition["operator"], condition["value"]))
    groups = tuple(re.findall(r"`(\w+)`", match["groups"] or ""))
    return Series(
        match["measurement"],
        match["function"],
        match["argument"],
        match["field"],
        match["alias"] or "",
        tuple(conditions),
        match["interval"] or "",
        groups,
    )


def _compute(node: ast.expr, operands: Dict[str, float]) -> float:
    if isinstance(node, ast.Name):
        return operands[node.id]
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.BinOp):
        left, right = _compute(node.left, operands), _compute(node.right, operands)
        return _ARITHMETIC[type(node.op)](left, right)
    raise ValueError(f"not arithmetic: {ast.dump(node)}")

"""What DQL computes: the functions that need all values, the filling of gaps, and arithmetic."""

import ast
import operator
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

from .dql import Target
from .dql_tokens import DQLError

# (tags of the group, start of the interval in ns or None) -> value
Group = Tuple[Tuple[str, str], ...]
Values = Dict[Tuple[Group, Any], float]

# -- functions of all values


def _percentile(ordered: List[Any], argument: Any) -> float:
    """The nearest rank, as InfluxDB has it."""
    rank = int(len(ordered) * float(argument or 50) / 100 + 0.5)
    return float(ordered[min(max(rank, 1), len(ordered)) - 1])


# Of all values in their order, and the function's argument.
OF_LISTS: Dict[str, Callable[[List[Any], Any], float]] = {
    "percentile": _percentile,
    "median": lambda ordered, _: _percentile(ordered, 50),
    "count_distinct": lambda ordered, _: len(set(ordered)),
    "distinct_count": lambda ordered, _: len(set(ordered)),
}

_OF_TIMES: Dict[str, Callable[[List[Tuple[int, Any]]], Tuple[int, Any]]] = {"first": min, "last": max}


def of_times(
    listed: Sequence[Sequence[Any]],
    target: Target,
    groups: Mapping[int, Group],
    by_time: bool,
    others: Iterable[str],
) -> Values:
    """The values of a function that needs the times: `listed` has class, interval, time and value.

    Raises DQLError for a function that is neither of these nor of `others`.
    """
    function = _OF_TIMES.get(target.function)
    if function is None:
        known = ", ".join(sorted([*others, *_OF_TIMES]))
        raise DQLError(f"the function {target.function or 'of nothing'} (supported are {known})")
    lists: Dict[Tuple[Group, Any], List[Tuple[int, Any]]] = {}
    for number, start, time_ns, value in listed:
        if number in groups:
            lists.setdefault((groups[number], start if by_time else None), []).append((time_ns, value))
    return {at: function(values)[1] for at, values in lists.items()}


# -- intervals without points


def filled(values: Values, how: str, starts: Sequence[int]) -> Values:
    """`values` with one for each interval that begins at one of `starts`. Raises DQLError."""
    if how in ("null", "nil", "none"):
        return values
    filled: Values = {}
    for group in {group for group, _ in values}:
        known = [(start, values[group, start]) for start in starts if (group, start) in values]
        for start in starts:
            value = values.get((group, start))
            value = _between(known, start, how) if value is None else value
            if value is not None:
                filled[group, start] = value
    return filled


def _between(known: Sequence[Tuple[int, float]], start: int, how: str) -> Any:
    before = [at for at in known if at[0] < start]
    after = [at for at in known if at[0] > start]
    if how == "previous":
        return before[-1][1] if before else None
    if how == "linear":
        if not before or not after:
            return None
        (t0, v0), (t1, v1) = before[-1], after[0]
        return v0 + (v1 - v0) * (start - t0) / (t1 - t0)
    try:
        return float(how)
    except ValueError:
        raise DQLError(f"fill(…, {how})") from None


# -- arithmetic

_ARITHMETIC: Dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def compute(expression: str, operands: Mapping[str, Values]) -> Values:
    """Arithmetic of each group and interval. What is divided by 0 has no value. Raises DQLError."""
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise DQLError(f"not arithmetic: {expression}") from None
    result: Values = {}
    # As Guance does: a group that one operand lacks has no result.
    for at in set.intersection(*(set(values) for values in operands.values())):
        try:
            result[at] = _compute(tree, {code: values[at] for code, values in operands.items()})
        except ZeroDivisionError:
            pass
    return result


def _compute(node: ast.expr, operands: Mapping[str, float]) -> float:
    if isinstance(node, ast.Name):
        return operands[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_compute(node.operand, operands)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_compute(node.left, operands), _compute(node.right, operands))
    raise DQLError("not arithmetic: + - * / and brackets are")

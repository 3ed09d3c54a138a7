"""Translates the DQL of dashboards for InfluxDB, the oracle for both the assets and the viewer."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Optional

from guance_chatgpt_monitor.local.viewer.dql import Series, parse, variable_of
from guance_chatgpt_monitor.local.viewer.functions import Values, compute


def influxql(series: Series, values: dict[str, str], time_range: tuple[str, str]) -> str:
    """`values` are those of the variables; a missing one is `*`: any value or none."""
    argument = f", {series.argument}" if series.argument else ""
    function = {"avg": "mean"}.get(series.function, series.function)
    where = [f"time >= '{time_range[0]}' AND time < '{time_range[1]}'"]
    for tag, comparison, value in series.conditions:
        variable = variable_of(value)
        if variable and variable not in values:
            where.append(f'"{tag}" =~ /.*/')
        else:
            where.append(f"\"{tag}\" {comparison} '{values[variable] if variable else value}'")
    groups = [f'"{tag}"' for tag in series.groups]
    if series.interval and series.interval != "auto":
        groups.append(f"time({series.interval})")
    return (
        f'SELECT {function}("{series.field}"{argument}) FROM "{series.measurement}" '
        f"WHERE {' AND '.join(where)}" + (f" GROUP BY {', '.join(groups)}" if groups else "")
    )


def evaluate(
    dql: str,
    ask: Callable[[str], Values],
    values: dict[str, str],
    time_range: tuple[str, str],
) -> Values:
    """Evaluate a query; `ask` runs one InfluxQL statement."""
    parsed = parse(dql)
    if isinstance(parsed, Series):
        return ask(influxql(parsed, values, time_range))
    operands = {code: ask(influxql(series, values, time_range)) for code, series in parsed.operands.items()}
    return compute(parsed.expression, operands)


def ns_of(time: Optional[str]) -> Optional[int]:
    """Convert InfluxDB's time to nanoseconds since 1970, as the viewer has it."""
    if time is None:
        return None
    moment = datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 10**9

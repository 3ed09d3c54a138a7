"""The points of a request as DataKit parsed them, in the three forms that `echo` asks for."""

import json
from decimal import Decimal
from typing import Any, Callable, Dict, Sequence

from .checked_point import ParsedPoint, Unsigned


def _echo_line_protocol(points: Sequence[ParsedPoint]) -> str:
    return "\n".join(map(_to_line, points))


def _to_line(point: ParsedPoint) -> str:
    if not point.fields:
        return ""
    tags = "".join(f",{_escape(key)}={_escape(value)}" for key, value in sorted(point.tags.items()))
    fields = ",".join(f"{_escape(key)}={_format(value)}" for key, value in sorted(point.fields.items()))
    measurement = point.measurement.replace(",", "\\,").replace(" ", "\\ ")
    return f"{measurement}{tags} {fields} {point.timestamp_ns}"


def _escape(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _format(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_format, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:d}{'u' if isinstance(value, Unsigned) else 'i'}"
    if isinstance(value, float):
        text = f"{Decimal(repr(value)):f}"  # never with an exponent
        return text[:-2] if text.endswith(".0") else text
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _echo_json(points: Sequence[ParsedPoint]) -> str:
    return json.dumps(
        [
            {
                "measurement": point.measurement,
                "tags": point.tags,
                "fields": point.fields,
                "time": point.timestamp_ns,
            }
            for point in points
        ],
        ensure_ascii=False,
    )


def _echo_protobuf_json(points: Sequence[ParsedPoint]) -> str:
    return json.dumps(
        [
            {
                "name": point.measurement,
                "fields": [
                    *(_typed(key, value) for key, value in point.fields.items()),
                    *({"key": key, "s": value, "is_tag": True} for key, value in point.tags.items()),
                ],
                "time": str(point.timestamp_ns),
            }
            for point in points
        ],
        ensure_ascii=False,
    )


def _typed(key: str, value: Any) -> Dict[str, Any]:
    if isinstance(value, list):
        return {"key": key, "a": value}
    if isinstance(value, bool):
        return {"key": key, "b": value}
    if isinstance(value, int):
        return {"key": key, "u" if isinstance(value, Unsigned) else "i": str(value)}
    return {"key": key, "s" if isinstance(value, str) else "f": value}


ECHOES: Dict[str, Callable[[Sequence[ParsedPoint]], str]] = {
    "lp": _echo_line_protocol,
    "json": _echo_json,
    "pbjson": _echo_protobuf_json,
}

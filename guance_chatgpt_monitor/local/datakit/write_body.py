"""A write's body -> points, in the encodings and content types that DataKit takes, but for protobuf."""

import gzip
import json
import zlib
from typing import Any, Dict, List

from .checked_point import ParsedPoint, Unsigned, checked
from .line_parser import LineError, parse_lines, to_ns

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_HEADER_BYTES = 10
# What a point without a measurement is called.
_DEFAULT_MEASUREMENT = "__default"


class RefusedBodyError(Exception):
    """DataKit answers 400 with this `error_code`, and with `message` unless it is empty."""

    def __init__(self, error_code: str, message: str = "") -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


class HandlerCrashError(Exception):
    """DataKit's handler would crash here, and answer 200."""


def read_points(
    body: bytes, encoding: str, content_type: str, category: str, precision: str, received_at_ns: int
) -> List[ParsedPoint]:
    """At least one point. Raises RefusedBodyError or HandlerCrashError."""
    try:
        text = _decode(body, encoding)
    except (OSError, EOFError, zlib.error):
        raise RefusedBodyError("decodeBodyFailed") from None
    if "application/json" in content_type:
        points = _read_json(text, category, precision, received_at_ns)
    else:
        try:
            points = parse_lines(text, category, precision, received_at_ns)
        except LineError as error:
            raise RefusedBodyError("invalidLinePoint", quote(error.reason, text)) from None
    if not points:
        raise RefusedBodyError("noPoints")
    return points


def quote(reason: str, body: bytes) -> str:
    """DataKit's message for a refused line: it holds the whole request body."""
    data = json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False)
    return f"invalid lineprotocol: {reason}. Origin data: {data}"


def _decode(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    if encoding == "deflate":
        return zlib.decompress(body, wbits=-zlib.MAX_WBITS)  # raw, as Go reads it
    if encoding != "gzip":
        raise OSError(f"unsupported content-encoding: {encoding}")
    if not body.startswith(_GZIP_MAGIC) or len(body) < _GZIP_HEADER_BYTES:
        raise HandlerCrashError
    return gzip.decompress(body)


def _read_json(body: bytes, category: str, precision: str, received_at_ns: int) -> List[ParsedPoint]:
    """A list of points in either of the two forms that `echo` gives as JSON."""
    try:
        points = [_read_point(each) for each in json.loads(body)]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise RefusedBodyError("invalidJSONPoint", f"{type(error).__name__}: {error}") from None
    return [
        checked(point._replace(timestamp_ns=to_ns(point.timestamp_ns, precision, received_at_ns)), category)
        for point in points
    ]


def _read_point(given: Dict[str, Any]) -> ParsedPoint:
    time = int(given.get("time") or 0)
    if "measurement" in given:
        tags: Dict[str, str] = {key: str(value) for key, value in (given.get("tags") or {}).items()}
        fields = {key: _as_go_reads_it(value) for key, value in given["fields"].items()}
        return ParsedPoint(given["measurement"] or _DEFAULT_MEASUREMENT, tags, fields, time)
    tags = {each["key"]: each["s"] for each in given["fields"] if each.get("is_tag")}
    fields = {each["key"]: _typed(each) for each in given["fields"] if not each.get("is_tag")}
    return ParsedPoint(given["name"] or _DEFAULT_MEASUREMENT, tags, fields, time)


def _as_go_reads_it(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # JSON has no other numbers
    if not isinstance(value, (bool, float, str, list)):
        raise TypeError(f"not a field's value: {value!r}")
    return value


def _typed(field: Dict[str, Any]) -> Any:
    """One value of `{"key": …, "f": 1.5}`."""
    if "i" in field or "u" in field:
        return int(field["i"]) if "i" in field else Unsigned(field["u"])
    return float(field["f"]) if "f" in field else _as_go_reads_it(field.get("b", field.get("s")))

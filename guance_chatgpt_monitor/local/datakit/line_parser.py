r"""Line protocol -> points, as DataKit reads it: what it refuses, and what it makes of the rest.

Written apart from `line_protocol.py` and importing nothing of it, so that each can be held against the other.
The rules were observed on DataKit 1.84.1; the limit of a whole series, the sizes behind a guessed precision,
and where a line with brackets ends were read in its source. A backslash escapes the delimiter behind it and
nothing else, not even another backslash. Refused here and not there: base64 strings, and what passes by
accident, such as a backslash before a line break.
"""

import math
import re
from typing import Any, Dict, Iterator, List, Pattern, Tuple

from .checked_point import FieldValue, ParsedPoint, Unsigned, checked

__all__ = ["LineError", "ParsedPoint", "parse_lines"]

# Measurement and tags as written, with a field key: what is over is refused.
MAX_SERIES_BYTES = 65535
_SERIES_SEPARATOR_BYTES = 4

MIN_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1
MAX_UINT64 = 2**64 - 1
# The outermost int64 values are reserved.
MIN_TIMESTAMP = MIN_INT64 + 2
MAX_TIMESTAMP = MAX_INT64 - 1

# An unknown precision is read as nanoseconds.
NS_BY_PRECISION = {
    "n": 1,
    "u": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
# Without one, it is guessed: (smaller than, nanoseconds).
_GUESSES = ((10**10, 10**9), (10**13, 10**6), (10**16, 10**3))

_SPACES = " \t\0"
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]+i|[0-9]+u")
_TIMESTAMP = re.compile(r"-?[0-9]+")
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_ARRAY = r"\[(?:" + _STRING + r'|[^"\]])*\]'
_FIELD = re.compile(
    rf'([^,= \\]*(?:\\(?:[,= ]|(?![,= ]))[^,= \\]*)*)=({_STRING}|{_ARRAY}|[^", ]*)', re.DOTALL
)
_ITEM = re.compile(_STRING + r"|[^,]+", re.DOTALL)
_SIGN = re.compile(r'[\\ =,\[\]"\n]')
_STRING_END = re.compile(_STRING[1:], re.DOTALL)
_UNESCAPED = {delimiter: re.compile(rf"(?<!\\){delimiter}") for delimiter in (" ", ",", "=")}
_ESCAPED_NAME = re.compile(r'\\([,= "])')
_ESCAPED_TAG_VALUE = re.compile(r"\\([,= ])")
# DataKit's two passes over the fields disagree on what is escaped: it refuses the line, or garbles it.
_PAIRED_BACKSLASHES = re.compile(r"(?<!\\)(?:\\\\)+(?:[,= ]|$)")
_ESCAPED_STRING = re.compile(r'\\(["\\])')


class LineError(ValueError):
    """A line that DataKit refuses, and the whole batch with it. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_lines(
    body: bytes, category: str = "metric", precision: str = "n", received_at_ns: int = 0
) -> List[ParsedPoint]:
    """The points of a request body: none, if it holds only blanks and comments.

    `precision` is DataKit's: `n`, `u`, `ms`, `s`, `m`, `h`; empty means a guess from the number's size.
    A timestamp that is missing, 0 or negative becomes `received_at_ns`.
    Raises LineError for the first line that DataKit refuses.
    """
    points: List[ParsedPoint] = []
    for raw_line in _split_lines(body.decode("utf-8", "replace")):
        line = raw_line.lstrip(_SPACES)
        if line and line[0] != "#":
            points.append(checked(_parse_line(line, precision, received_at_ns), category))
    return points


def _split_lines(text: str) -> Iterator[str]:
    if '"' not in text:
        yield from text.split("\n")
        return
    position = 0
    while position < len(text):
        end = _line_end(text, position)
        yield text[position:end]
        position = end + (text[end : end + 1] == "\n")


def _line_end(text: str, position: int) -> int:
    """Where the line ends that begins here. A line break in a string of a field does not end it.

    A comma within brackets is not counted, in a key neither: so a bracket makes a later quote begin a string.
    """
    in_fields = False
    equals = commas = brackets = 0
    while True:
        found = _SIGN.search(text, position)
        if found is None:
            return len(text)
        sign, position = found.group(), found.end()
        if sign == "\n":
            return position - 1
        if sign == "\\":
            position += 1
        elif sign == " ":
            in_fields = True
        elif not in_fields:
            pass
        elif sign == "=":
            equals += 1
        elif sign == ",":
            commas += not brackets
        elif sign in "[]":
            brackets += 1 if sign == "[" else -1
            if not 0 <= brackets <= 1:
                return position
        elif equals > commas:  # a quote, where a value is
            string_end = _STRING_END.match(text, position)
            if string_end is None:
                return len(text)
            position = string_end.end()


def _parse_line(line: str, precision: str, received_at_ns: int) -> ParsedPoint:
    series, *rest = _split(line, " ", 1)
    if not rest:
        raise LineError("missing fields")
    measurement, *tag_texts = _split(series, ",")
    if not measurement:
        raise LineError("missing measurement")
    tags = _read_tags(tag_texts)
    text = rest[0].lstrip(_SPACES)
    fields, end = _read_fields(text)
    _check_series(series, fields)
    time_ns = to_ns(_read_timestamp(text[end:]), precision, received_at_ns)
    return ParsedPoint(_unescape(measurement, _ESCAPED_NAME), tags, fields, time_ns)


def _split(text: str, delimiter: str, times: int = 0) -> List[str]:
    if "\\" in text:
        return _UNESCAPED[delimiter].split(text, maxsplit=times)
    return text.split(delimiter, times or -1)


def _unescape(text: str, escaped: Pattern[str]) -> str:
    return escaped.sub(r"\1", text) if "\\" in text else text


def _read_tags(tag_texts: List[str]) -> Dict[str, str]:
    tags: Dict[str, str] = {}
    for text in tag_texts:
        key, *values = _split(text, "=")
        if not key:
            raise LineError("missing tag key")
        if len(values) > 1 and not values[0]:
            values = ["=" + values[1], *values[2:]]  # DataKit does not look at a value's first character
        if not values or not values[0]:
            raise LineError("missing tag value")
        if len(values) > 1:
            raise LineError("invalid tag format")
        name = _unescape(key, _ESCAPED_TAG_VALUE)
        if name in tags:
            raise LineError("duplicate tags")
        tags[name] = _unescape(values[0], _ESCAPED_TAG_VALUE)
    return tags


def _read_fields(text: str) -> Tuple[Dict[str, FieldValue], int]:
    """The fields, the last of a name, and where they end."""
    fields: Dict[str, FieldValue] = {}
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            raise LineError("invalid field format")
        key, value = match.groups()
        if not key:
            raise LineError("missing field key")
        if _PAIRED_BACKSLASHES.search(key) or "]" in key:
            raise LineError("invalid field key")
        position = match.end()
        following = text[position : position + 1]
        if following == '"':
            raise LineError("unbalanced quotes")
        fields[_unescape(key, _ESCAPED_NAME)] = _read_value(value)
        if following != ",":
            break
        position += 1
    if following not in ("", " "):
        raise LineError("invalid string: something follows its end")
    return fields, position


def _read_value(text: str) -> Any:
    if text.startswith("["):
        if text[-1] != "]":
            raise LineError("missing closing bracket")
        return [_read_scalar(item) for item in _ITEM.findall(text[1:-1]) or [""]]
    return _read_scalar(text)


def _read_scalar(text: str) -> FieldValue:
    if not text:
        raise LineError("missing field value")
    if text[0] == '"':
        return _unescape(text[1:-1], _ESCAPED_STRING)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise LineError("invalid float: out of range")
        return number
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _read_integer(text)
    # NaN, Inf, +1 and the rest of what is no number end here, and the CR of a CRLF with them.
    raise LineError("invalid number or boolean")


def _read_integer(text: str) -> int:
    # A length check first: int() of endless digits takes endless time, or is an error by itself.
    digits = text[:-1].lstrip("-").lstrip("0")
    number = int(text[:-1]) if len(digits) <= len(str(MAX_UINT64)) else MAX_UINT64 + 1
    if text[-1] == "u":
        if number > MAX_UINT64:
            raise LineError("unable to parse unsigned: out of range")
        return Unsigned(number)
    if not MIN_INT64 <= number <= MAX_INT64:
        raise LineError("unable to parse integer: out of range")
    return number


def _read_timestamp(text: str) -> int:
    """0 if there is none."""
    text = text.lstrip(_SPACES).rstrip(" ")
    if not text:
        return 0
    if not _TIMESTAMP.fullmatch(text):
        raise LineError("bad timestamp")
    if len(text.lstrip("-").lstrip("0")) > len(str(MAX_TIMESTAMP)):
        raise LineError("time outside range")
    timestamp = int(text)
    if not MIN_TIMESTAMP <= timestamp <= MAX_TIMESTAMP:
        raise LineError("time outside range")
    return timestamp


def to_ns(timestamp: int, precision: str, received_at_ns: int) -> int:
    """A point's time in nanoseconds: that of receipt, if it is 0 or negative."""
    if timestamp <= 0:
        return received_at_ns
    if precision:
        factor = NS_BY_PRECISION.get(precision, 1)
    else:
        factor = next((factor for limit, factor in _GUESSES if timestamp < limit), 1)
    # Nanoseconds sent as seconds wrap around, as int64 does in DataKit.
    return (timestamp * factor - MIN_INT64) % 2**64 + MIN_INT64


def _check_series(series: str, fields: Dict[str, FieldValue]) -> None:
    room_bytes = MAX_SERIES_BYTES - _SERIES_SEPARATOR_BYTES
    longest = max(map(len, fields))
    # UTF-8 takes four bytes for a character at most: the rest need not be counted.
    if (len(series) + longest) * 4 <= room_bytes:
        return
    longest_bytes = max(len(key.encode("utf-8")) for key in fields)
    if len(series.encode("utf-8")) + longest_bytes > room_bytes:
        raise LineError("max key length exceeded")

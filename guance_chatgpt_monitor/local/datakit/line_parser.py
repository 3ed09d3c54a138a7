r"""Text -> points, as DataKit reads line protocol: what it refuses, cuts and drops without a word.

Written apart from `line_protocol.py` and importing nothing of it, so that each can be held against the other.
The rules were observed on DataKit 1.84.1; the limit of a whole series and the sizes behind a guessed
precision were read in its source, and run; what becomes of a log's keys was read only. A backslash escapes
the delimiter behind it and nothing else, not even another backslash. Refused here and not there: arrays and
base64 strings, and what passes by accident, such as a tag value that begins with a bare `=`, or a backslash
before a line break.
"""

import math
import re
from typing import Dict, Iterator, List, Mapping, NamedTuple, Pattern, Set, Tuple, TypeVar, Union

# In bytes. What is over is cut, in mid-character if it so falls, or dropped.
MAX_MEASUREMENT_BYTES = 1024
MAX_KEY_BYTES = 256
MAX_TAG_VALUE_BYTES = 1024
MAX_TAGS = 256
MAX_FIELDS = 1024
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

# Of a log: what its measurement and time are called elsewhere is dropped, and a status it has always.
_NOT_IN_LOGS = ("source", "date")
_LOG_STATUS = "info"

_BLANKS = " \t\0"
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]+i|[0-9]+u")
_TIMESTAMP = re.compile(r"-?[0-9]+")
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_FIELD = re.compile(r"([^,= \\]*(?:\\(?:[,= ]|(?![,= ]))[^,= \\]*)*)=(" + _STRING + r'|[^", ]*)', re.DOTALL)
# A line break in a string field does not end the line; a quote before the first blank is a plain character.
_LINE_WITH_STRINGS = re.compile(
    r"[ \t\0]*[^ \n\\]*(?:\\ ?[^ \n\\]*)*" + r'(?:[^\n="\\]+|\\[^\n]?|=' + _STRING + r'|=|")*',
    re.DOTALL,
)
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


class Unsigned(int):
    """The value of an unsigned integer field, `1u`."""


FieldValue = Union[bool, int, float, str]
Value = TypeVar("Value")


class ParsedPoint(NamedTuple):
    """One point as DataKit takes it. `dropped_fields` are the names of its string fields, if dropped."""

    measurement: str
    tags: Dict[str, str]
    fields: Dict[str, FieldValue]
    timestamp_ns: int
    dropped_fields: List[str]


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
        line = raw_line.lstrip(_BLANKS)
        if line and line[0] != "#":
            point = _parse_line(line, category != "metric", precision, received_at_ns)
            points.append(_as_log(point) if category == "logging" else point)
    return points


def _as_log(point: ParsedPoint) -> ParsedPoint:
    tags = _log_keys(point.tags, {})
    fields = _log_keys(point.fields, tags)
    if "status" not in tags:
        fields.setdefault("status", _LOG_STATUS)
    return point._replace(tags=tags, fields=fields)


def _log_keys(values: Dict[str, Value], taken: Mapping[str, object]) -> Dict[str, Value]:
    """Without dots in the keys; a key that is there already keeps its value."""
    kept = {}
    for key, value in values.items():
        name = key.replace(".", "_")
        if name not in _NOT_IN_LOGS and (name == key or not (name in values or name in taken)):
            kept[name] = value
    return kept


def _split_lines(text: str) -> Iterator[str]:
    if '"' not in text:
        yield from text.split("\n")
        return
    position = 0
    while position < len(text):
        match = _LINE_WITH_STRINGS.match(text, position)
        assert match is not None  # every part of it may be empty
        yield match.group()
        position = match.end() + 1


def _parse_line(line: str, keep_strings: bool, precision: str, received_at_ns: int) -> ParsedPoint:
    series, *rest = _split(line, " ", 1)
    if not rest:
        raise LineError("missing fields")
    measurement, *tag_texts = _split(series, ",")
    if not measurement:
        raise LineError("missing measurement")
    tags = _read_tags(tag_texts)
    text = rest[0].lstrip(_BLANKS)
    fields, end = _read_fields(text)
    _check_series(series, fields)
    timestamp = _read_timestamp(text[end:])
    # A tag and a field of one name: the tag wins.
    fields = {key: value for key, value in fields.items() if key not in tags}
    tags, fields = _limit(tags, fields)
    dropped = [] if keep_strings else [key for key, value in fields.items() if isinstance(value, str)]
    for key in dropped:
        del fields[key]
    return ParsedPoint(
        _cut(_unescape(measurement, _ESCAPED_NAME), MAX_MEASUREMENT_BYTES),
        tags,
        fields,
        _to_ns(timestamp, precision, received_at_ns),
        dropped,
    )


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


def _read_value(text: str) -> FieldValue:
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
    text = text.lstrip(_BLANKS).rstrip(" ")
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


def _to_ns(timestamp: int, precision: str, received_at_ns: int) -> int:
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


def _limit(
    tags: Dict[str, str], fields: Dict[str, FieldValue]
) -> Tuple[Dict[str, str], Dict[str, FieldValue]]:
    kept_tags = sorted(tags)[:MAX_TAGS]
    kept_fields = list(fields)[:MAX_FIELDS]
    taken = {*kept_tags, *kept_fields}
    return (
        {name: _cut(tags[key], MAX_TAG_VALUE_BYTES) for key, name in _cut_keys(kept_tags, taken)},
        {name: fields[key] for key, name in _cut_keys(kept_fields, taken)},
    )


def _cut_keys(keys: List[str], taken: Set[str]) -> Iterator[Tuple[str, str]]:
    """Each key with its name within the limit, but for those whose name another one has."""
    for key in keys:
        name = _cut(key, MAX_KEY_BYTES)
        if name != key:
            if name in taken:
                continue
            taken.add(name)
        yield key, name


def _cut(text: str, limit_bytes: int) -> str:
    if len(text) * 4 <= limit_bytes:  # UTF-8 takes four bytes for a character at most
        return text
    return text.encode("utf-8")[:limit_bytes].decode("utf-8", "replace")

"""Point -> line protocol, as DataKit and InfluxDB read it.

Never writes what DataKit would refuse or silently change: a field that is not a finite number, an empty tag,
a backslash at the end of a name or value, a line break.
"""

import math
import re
from functools import lru_cache
from typing import Dict, FrozenSet, Mapping, NamedTuple, Optional, Set, Tuple

# In bytes. DataKit drops or cuts what is longer, and cuts a tag value even within a character.
MAX_MEASUREMENT_BYTES = 1024
MAX_KEY_BYTES = 256
MAX_TAG_VALUE_BYTES = 1024
MAX_TAGS = 256
# DataKit refuses a measurement, tags and one field key of more than 65,535 bytes together.
MAX_SERIES_BYTES = 60_000

REMEMBERED = 2048

# Python writes larger floats with an exponent.
_NO_EXPONENT = 1e16
_WRITTEN_BY = {float: "%r", int: "%d.0", bool: "%d.0"}

NO_TEXTS: Mapping[str, str] = {}

_CONTROL = dict.fromkeys((*range(32), 127, 0x85, 0x2028, 0x2029), " ")
_ESCAPE_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})
# In a string field, line breaks and tabs are allowed.
_TEXT = {
    **dict.fromkeys((*range(9), *range(11, 32), 127), " "),
    **str.maketrans({"\\": "\\\\", '"': '\\"'}),
}
_TEXT_UNUSUAL = re.compile('[\x00-\x08\x0b-\x1f\x7f"\\\\\ud800-\udfff]')
_ESCAPE = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
# DataKit takes a bracket for an array: one in a key has the batch refused, or lines swallowed.
_FIELD_KEY = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "[": "(", "]": ")", '"': "'"})


class Tags(Dict[str, str]):
    """Tags that many points share and nobody modifies: keeps how they are written."""

    series: "Optional[Tuple[str, Tuple[str, FrozenSet[str]]]]" = None  # measurement, what _series() returns


class Point(NamedTuple):
    """One point; `timestamp_ns` since 1970. Every field is written as a float, even an int."""

    measurement: str
    tags: Dict[str, str]
    fields: Dict[str, float]
    timestamp_ns: int


def encode(point: Point, texts: Mapping[str, str] = NO_TEXTS) -> str:
    """One line, without a line break at its end.

    `texts` are string fields, which may hold line breaks. For DataKit's category `logging` only: it drops
    those of a metric.

    Raises ValueError if there is no string and no finite number: DataKit would store an empty point.
    """
    fields = _fields(point.fields)
    if not fields and not texts:
        raise ValueError(f"a point of {point.measurement!r} has no finite field")
    if texts:
        written = (f'{_field_key(key)}="{_text(value)}"' for key, value in texts.items())
        fields = ",".join((fields, *written) if fields else written)
    series, names = _series_of(point)
    if not names.isdisjoint(point.fields) or not names.isdisjoint(texts):
        # DataKit would drop the field in favour of the tag.
        taken = names.intersection((*point.fields, *texts))
        tags = [(key, value) for key, value in point.tags.items() if _clean(key, MAX_KEY_BYTES) not in taken]
        series, _ = _series(point.measurement, tuple(tags))
    return f"{series} {fields} {point.timestamp_ns:d}"


def _series_of(point: Point) -> Tuple[str, FrozenSet[str]]:
    tags = point.tags
    if not isinstance(tags, Tags):
        return _series(point.measurement, tuple(tags.items()))
    if tags.series is None or tags.series[0] != point.measurement:
        tags.series = point.measurement, _series(point.measurement, tuple(tags.items()))
    return tags.series[1]


def _fields(fields: Mapping[str, float]) -> str:
    """All finite fields, as written; empty if there are none."""
    values = tuple(fields.values())
    if math.hypot(*values) < _NO_EXPONENT:  # then so is each of them, and none is NaN or Inf
        # One format for all: formatting one by one takes three times as long.
        written = _format(tuple(fields), tuple(map(type, values)))
        if written:
            return written % values
    return ",".join(
        f"{_field_key(key)}={_float(value)}"
        for key, value in zip(fields, map(float, values))
        if math.isfinite(value)
    )


# The same few names and types recur: the lookup takes a tenth of the time.
@lru_cache(maxsize=REMEMBERED)
def _format(names: Tuple[str, ...], types: Tuple[type, ...]) -> str:
    """The format that writes values of these types as floats; empty if there is another type among them."""
    if not _WRITTEN_BY.keys() >= set(types):
        return ""
    return ",".join(
        f"{_field_key(name).replace('%', '%%')}={_WRITTEN_BY[each]}" for name, each in zip(names, types)
    )


def _series(measurement: str, tags: Tuple[Tuple[str, str], ...]) -> Tuple[str, FrozenSet[str]]:
    """The measurement and tags as written, and the names of those tags."""
    parts = [_measurement(measurement)]
    n_bytes = 0
    names: Set[str] = set()  # DataKit refuses duplicates
    for key, value in sorted(tags)[:MAX_TAGS]:
        name, text, tag_bytes = _tag(key, value)
        if not text or name in names:
            continue
        n_bytes += tag_bytes
        if n_bytes > MAX_SERIES_BYTES:
            break
        names.add(name)
        parts.append(text)
    return ",".join(parts), frozenset(names)


@lru_cache(maxsize=REMEMBERED)
def _tag(key: str, value: str) -> Tuple[str, str, int]:
    """(name, the tag as written, its bytes); as written, it is empty if there is nothing to write."""
    name, cleaned = _clean(key, MAX_KEY_BYTES), _clean(value, MAX_TAG_VALUE_BYTES)
    if not name or not cleaned:
        return name, "", 0
    text = f"{name.translate(_ESCAPE)}={cleaned.translate(_ESCAPE)}"
    return name, text, len(text.encode("utf-8")) + 1


@lru_cache(maxsize=REMEMBERED)
def _measurement(name: str) -> str:
    cleaned = _clean(name, MAX_MEASUREMENT_BYTES)
    if cleaned.startswith("#"):  # would be a comment
        cleaned = "_" + cleaned[1:]
    return (cleaned or "_").translate(_ESCAPE_MEASUREMENT)


@lru_cache(maxsize=REMEMBERED)
def _field_key(name: str) -> str:
    return (_clean(name, MAX_KEY_BYTES) or "_").translate(_FIELD_KEY)


def _float(value: float) -> str:
    # Leave out the plus of an exponent: DataKit refuses a leading one.
    return repr(value).replace("e+", "e")


def _text(value: str) -> str:
    if _TEXT_UNUSUAL.search(value) is None:
        return value
    return value.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").translate(_TEXT)


def _clean(text: str, limit_bytes: int) -> str:
    """`text` stripped, on one line, within the limit, and without backslashes that would escape."""
    text = text.translate(_CONTROL).encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")
    text = text.strip()
    if "\\" not in text:
        return text
    # A backslash cannot be escaped: before a delimiter, a backslash or the end it changes the meaning.
    kept = [
        "/" if char == "\\" and following in ("\\", ",", "=", " ", "") else char
        for char, following in zip(text, [*text[1:], ""])
    ]
    return "".join(kept)

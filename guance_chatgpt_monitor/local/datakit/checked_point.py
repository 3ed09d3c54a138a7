"""What DataKit does with a parsed point before it takes it: it cuts, renames and drops, and says nothing.

Only `strict` shows it: there, the first warning refuses the batch. The limits were observed on DataKit
1.84.1; what becomes of a log's keys was read in its source only.
"""

from typing import Dict, Iterator, List, Mapping, NamedTuple, Set, Tuple, TypeVar, Union

# In bytes. What is over is cut, in mid-character if it so falls, or dropped.
MAX_MEASUREMENT_BYTES = 1024
MAX_KEY_BYTES = 256
MAX_TAG_VALUE_BYTES = 1024
MAX_TAGS = 256
MAX_FIELDS = 1024

# What is further from DataKit's clock than this gets DataKit's time.
MAX_CLOCK_SKEW_NS = 2 * 3600 * 10**9

# What a log's measurement and time are called elsewhere is dropped, and a status it always has.
_NOT_IN_LOGS = ("source", "date")
_LOG_STATUS = "info"


class Unsigned(int):
    """The value of an unsigned integer field, `1u`."""


# Or a list of them: arrays are so rare that they are not worth a check wherever a value is used.
FieldValue = Union[bool, int, float, str]
Value = TypeVar("Value")


class ParsedPoint(NamedTuple):
    """One point as DataKit takes it. `warnings` say what was dropped or added."""

    measurement: str
    tags: Dict[str, str]
    fields: Dict[str, FieldValue]
    timestamp_ns: int
    warnings: Tuple[str, ...] = ()


def checked(point: ParsedPoint, category: str) -> ParsedPoint:
    """The point as it is taken in this category."""
    # A tag and a field of one name: the tag wins.
    fields = {key: value for key, value in point.fields.items() if key not in point.tags}
    tags, fields = _limit(point.tags, fields)
    warnings: List[str] = []
    if category == "metric":
        for key in [key for key, value in fields.items() if isinstance(value, str)]:
            warnings.append(f"invalid_field_value_type: field({key}) dropped with string value")
            del fields[key]
    if category == "logging":
        tags = _log_keys(tags, {})
        fields = _log_keys(fields, tags)
        if "status" not in tags and "status" not in fields:
            warnings.append(f'add_required_kv: add required key-value "status": "{_LOG_STATUS}"')
            fields["status"] = _LOG_STATUS
    measurement = _cut(point.measurement, MAX_MEASUREMENT_BYTES)
    return ParsedPoint(measurement, tags, fields, point.timestamp_ns, tuple(warnings))


def with_correct_time(point: ParsedPoint, received_at_ns: int) -> ParsedPoint:
    """With the time of receipt, where the point's own is too far from it.

    DataKit reads its clock once a batch: late points of one series in a batch overwrite each other.
    """
    if abs(received_at_ns - point.timestamp_ns) <= MAX_CLOCK_SKEW_NS:
        return point
    fields: Dict[str, FieldValue] = {"__orig_time": point.timestamp_ns, **point.fields}
    return point._replace(fields=fields, timestamp_ns=received_at_ns)


def with_tags(point: ParsedPoint, global_tags: Mapping[str, str]) -> ParsedPoint:
    """With DataKit's tags, except those whose name the point has."""
    added = {
        name: value
        for name, value in global_tags.items()
        if name not in point.tags and name not in point.fields
    }
    return point._replace(tags={**point.tags, **added})


def _log_keys(values: Mapping[str, Value], taken: Mapping[str, object]) -> Dict[str, Value]:
    """Without dots in the keys; a key that is there already keeps its value."""
    kept = {}
    for key, value in values.items():
        name = key.replace(".", "_")
        if name not in _NOT_IN_LOGS and (name == key or not (name in values or name in taken)):
            kept[name] = value
    return kept


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
    """Each key with its name within the limit, except those whose name another key has."""
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

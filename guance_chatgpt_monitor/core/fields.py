"""The fields of what an API answers: SDK objects, other objects and dicts alike.

Takes nothing on trust: a gateway may send null, a string or nothing where the API documents a number.
"""

import json
from typing import Any, Callable, Dict, List, Optional


def fields_of(source: Any) -> Dict[str, Any]:
    """All fields of a dict or an SDK object, including those that the SDK does not know; else none.

    Reads `__dict__`, because a pydantic model takes microseconds to find that it lacks an attribute.
    """
    if isinstance(source, dict):
        return source
    fields: Dict[str, Any] = getattr(source, "__dict__", {})
    unknown = getattr(source, "__pydantic_extra__", None)
    return {**unknown, **fields} if unknown else fields


def field_getter(source: Any) -> Callable[[str], Any]:
    """A function that returns a field of `source` by its name, or a property; None if it is missing."""
    if isinstance(source, dict) or hasattr(source, "__pydantic_extra__"):
        return fields_of(source).get
    return lambda name: getattr(source, name, None)


def read_field(source: Any, name: str) -> Any:
    """`source[name]` or `source.name`; None if there is neither."""
    return field_getter(source)(name)


def read_text(source: Any, name: str) -> str:
    """The string in a field; empty if there is none."""
    value = read_field(source, name)
    return value if isinstance(value, str) else ""


def read_list(source: Any, name: str) -> List[Any]:
    """The list in a field; empty if there is none."""
    value = read_field(source, name)
    return list(value) if isinstance(value, (list, tuple)) else []


def parse_json(body: Any) -> Any:
    """The JSON value of a body, str or bytes; None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def parse_object(body: Any) -> Optional[Dict[str, Any]]:
    """The JSON object of a body, str or bytes; None if it is not one."""
    parsed = parse_json(body)
    return parsed if isinstance(parsed, dict) else None


def parse_events(body: Any) -> List[Dict[str, Any]]:
    """The JSON objects in a body of server-sent events, str or bytes."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    lines = (line[5:] for line in text.splitlines() if line.startswith("data:"))
    return [event for event in map(parse_object, lines) if event is not None]

"""The fields of what an API answers: the SDK's objects, other objects and dicts alike.

Reads what is there and believes none of it: a gateway may send null, text or nothing where the API documents
a number.
"""

import json
from typing import Any, Callable, Dict, List, Optional


def fields_of(source: Any) -> Dict[str, Any]:
    """All fields of an SDK's object, with those that the SDK does not know, or of a dict; else none.

    A model of pydantic's takes microseconds to say that it has no such attribute: this asks it for none.
    """
    if isinstance(source, dict):
        return source
    fields: Dict[str, Any] = getattr(source, "__dict__", {})
    unknown = getattr(source, "__pydantic_extra__", None)
    return {**unknown, **fields} if unknown else fields


def field_getter(source: Any) -> Callable[[str], Any]:
    """What gives the fields of `source` by name, properties too, and None where there is none."""
    if isinstance(source, dict) or hasattr(source, "__pydantic_extra__"):
        return fields_of(source).get
    return lambda name: getattr(source, name, None)


def read_field(source: Any, name: str) -> Any:
    """`source[name]` or `source.name`; None where there is neither."""
    return field_getter(source)(name)


def read_text(source: Any, name: str) -> str:
    """The text in a field; empty where there is none."""
    value = read_field(source, name)
    return value if isinstance(value, str) else ""


def read_list(source: Any, name: str) -> List[Any]:
    """The list in a field; empty where there is none."""
    value = read_field(source, name)
    return list(value) if isinstance(value, (list, tuple)) else []


def parse_json(body: Any) -> Any:
    """The JSON of a body, text or bytes; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def parse_object(body: Any) -> Optional[Dict[str, Any]]:
    """The JSON object of a body, text or bytes; None where it is none."""
    parsed = parse_json(body)
    return parsed if isinstance(parsed, dict) else None


def parse_events(body: Any) -> List[Dict[str, Any]]:
    """The JSON objects of a body of server-sent events, text or bytes; none where it is none."""
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    lines = (line[5:] for line in text.splitlines() if line.startswith("data:"))
    return [event for event in map(parse_object, lines) if event is not None]

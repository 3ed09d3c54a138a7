"""What Func's management API takes in a body or a query, and its refusal of everything else."""

import re
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from .errors import ApiError


class Field(NamedTuple):
    """One value. `kind` is text, int, bool or json (anything)."""

    kind: str = "text"
    required: bool = False
    nullable: bool = False
    choices: Tuple[str, ...] = ()
    pattern: str = ""
    limits: Tuple[int, int] = (0, 10**12)


class ListOf(NamedTuple):
    """A list of objects."""

    schema: Dict[str, Any]


Schema = Dict[str, Union[Field, ListOf, Dict[str, Any]]]

NOTE = Field(nullable=True)
_KINDS: Dict[str, Any] = {"text": str, "int": int, "bool": bool, "json": object}


def data(**fields: Any) -> Schema:
    """A body `{"data": {…}}`."""
    return {"data": fields}


def check_body(body: Any, schema: Schema) -> None:
    """Raises ApiError for a body of another form."""
    problem = _problem(body, schema, "") if isinstance(body, dict) else "the body is not a JSON object"
    if problem:
        raise ApiError("EClientBadRequest", "Invalid request body", {"message": problem})


def check_query(query: Dict[str, str], names: Tuple[str, ...]) -> None:
    """Raises ApiError for a query with any other name."""
    unknown = sorted(set(query) - set(names))
    if unknown:
        message = f"Unexpected field found: `{unknown[0]}`"
        raise ApiError("EClientBadRequest", "Invalid request query", {"message": message})


def _problem(value: Any, schema: Any, path: str) -> Optional[str]:
    if isinstance(schema, Field):
        return _value_problem(value, schema, path)
    if isinstance(schema, ListOf):
        return _list_problem(value, schema, path)
    if value is None:
        return None
    if not isinstance(value, dict):
        return f"Value type is not an object: `{path}`"
    for name, item in value.items():
        if name not in schema:
            return f"Unexpected field found: `{path}{name}`"
        found = _problem(item, schema[name], f"{path}{name}.")
        if found:
            return found
    missing = [name for name, part in schema.items() if name not in value and _is_required(part)]
    return f"Field is missing: `{path}{missing[0]}`" if missing else None


def _is_required(schema: Any) -> bool:
    if isinstance(schema, dict):
        return any(map(_is_required, schema.values()))
    return bool(getattr(schema, "required", False))


def _list_problem(value: Any, schema: ListOf, path: str) -> Optional[str]:
    if value is None:
        return None
    if not isinstance(value, list):
        return f"Value type is not an array: `{path}`"
    found = (_problem(item, schema.schema, path) for item in value)
    return next(filter(None, found), None)


def _value_problem(value: Any, field: Field, path: str) -> Optional[str]:
    name = path.rstrip(".")
    if value is None:
        return None if field.nullable or field.kind == "json" else f"Value is null: `{name}`"
    kind = _KINDS[field.kind]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"Value type is not {field.kind}: `{name}`"
    if field.choices and value not in field.choices:
        return f"Value is not in the options: `{name}`"
    if field.pattern and not re.search(field.pattern, value):
        return f"Value does not match: `{name}`"
    if field.kind == "int" and not field.limits[0] <= value <= field.limits[1]:
        return f"Value is out of limits: `{name}`"
    return None

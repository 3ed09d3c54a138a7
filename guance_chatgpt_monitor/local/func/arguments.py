"""What is posted to a link -> the function's keyword arguments, by way of JavaScript."""

import json
import math
from typing import Any, Dict, List, Tuple

from ..http_server import Request


def as_javascript(value: Any) -> Any:
    """`value` as JavaScript has it: whole floats become integers, integers above 2^53 lose digits."""
    if isinstance(value, dict):
        return {key: as_javascript(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_javascript(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def read_arguments(request: Request, simplified: bool) -> Dict[str, Any]:
    """The function's keyword arguments. Raises ValueError.

    In the normal form, not the simplified one, they are in `kwargs`.
    """
    if request.method == "GET":
        return dict(request.query)
    content_type = request.headers.get("Content-Type", "").split(";")[0]
    if content_type != "application/json":
        return {"text": request.body.decode("utf-8", "replace")} if content_type == "text/plain" else {}
    body = _read_json(request.body)
    if isinstance(body, list):
        body = {str(n): item for n, item in enumerate(body)}
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004
    for key in ("kwargs", "options"):
        if isinstance(body.get(key), str):
            body[key] = json.loads(body[key])
    return body if simplified else _normal(body)


def _normal(body: Dict[str, Any]) -> Dict[str, Any]:
    options, kwargs = body.get("options") or {}, body.get("kwargs") or {}
    if not isinstance(options, dict) or not isinstance(kwargs, dict) or "timeout" in options:
        raise ValueError("Unexpected field found: `options.timeout`")
    return kwargs


def _read_json(body: bytes) -> Any:
    """As JavaScript reads it: its numbers, and no BOM. Raises ValueError, or RecursionError if very deep."""
    return json.loads(
        body.decode("utf-8-sig"),
        parse_int=_as_number,
        parse_float=_as_number,
        parse_constant=_refuse,
        object_pairs_hook=_object,
    )


def _as_number(text: str) -> Any:
    return as_javascript(float(text))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    content = dict(pairs)
    if "__proto__" in content:
        raise ValueError("Object contains forbidden prototype property")
    return content

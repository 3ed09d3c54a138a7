"""Rows of the local Func as its management API takes and gives them."""

import uuid
from typing import Dict, Iterable, List

from .errors import ApiError
from .state import Row, Rows

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10


class Page(List[Row]):
    """Some of `total` rows."""

    size = 0
    total = 0


def select(rows: Rows, query: Dict[str, str], *filters: str) -> Page:
    """A page of the rows whose columns named in `filters` are what the query says."""
    found: Iterable[Row] = rows.values()
    for name in filters:
        if name in query:
            wanted = query[name].split(",")
            found = [row for row in found if row.get(name) in wanted]
    found = list(found)
    size = min(MAX_PAGE_SIZE, int(query.get("pageSize", DEFAULT_PAGE_SIZE)))
    start = (int(query.get("pageNumber", 1)) - 1) * size
    page = Page(found[start : start + size])
    page.size, page.total = size, len(found)
    return page


def find(rows: Rows, row_id: str, entity: str) -> Row:
    """Raises ApiError."""
    if row_id not in rows:
        raise ApiError("EClientNotFound", "No such data", {"entity": entity, "id": row_id})
    return rows[row_id]


def add(rows: Rows, given: Row, prefix: str) -> Row:
    """Add a row; without an id it gets one. Raises ApiError."""
    row = {**given, "id": given.get("id") or f"{prefix}-{uuid.uuid4().hex[:12]}"}
    if row["id"] in rows:
        raise ApiError("EClientDuplicated", "Data is duplicated", {"id": row["id"]})
    rows[row["id"]] = row
    return row


def without(row: Row, columns: Iterable[str]) -> Row:
    """The row without these columns."""
    return {name: value for name, value in row.items() if name not in columns}


def without_passwords(row: Row) -> Row:
    """An authentication as it is shown: the values of fixed fields are."""
    config = dict(row["configJSON"])
    if config.get("users"):
        config["users"] = [without(user, ("password",)) for user in config["users"]]
    return {**row, "configJSON": config}


def record_row(record: Row) -> Row:
    """A task record, as Func's table has it: with arguments and answer."""
    return {
        "id": record["task_id"],
        "funcId": record["func_id"],
        "funcCallKwargsJSON": record["kwargs"],
        "origin": record["origin"],
        "originId": record["origin_id"],
        "triggerTimeMs": record["triggered_at_ms"],
        "endTimeMs": record["ended_at_ms"],
        "status": record["status"],
        "exceptionTEXT": record["exception"] or None,
        "printLogsTEXT": "\n".join(record["log"]) or None,
        "returnValueJSON": record["data"],
    }

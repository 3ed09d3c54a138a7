"""OpenAI's own books, to compare with what the monitor saw: requests, tokens and cost of the organization.

Read every 15 minutes with an admin key, from OpenAI's Usage and Costs API
(platform.openai.com/docs/api-reference/usage), and written as `openai_usage`.

**Usage** comes in buckets of a minute. Those of the last 110 minutes are written each time, at their own
time, so that later corrections overwrite them. Older ones are not, even after a pause: DataKit would give
those of more than 2 h ago the time of their arrival, a new one each time.

**Cost** comes in days (UTC), whose time is more than 2 h old for most of the day. So a cost point holds what
was *added* to the costs of the last three days since the last reading, at the time of the reading. The sum
over a period is what OpenAI booked in it, perhaps hours after the calls; a correction may be negative. The
first reading adds the current day and takes earlier ones as known.
"""

import math
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import requests

from ..core.backlog import Backlog
from ..core.batches import BATCH_LINES
from ..core.call import without_credentials
from ..core.errors import classify_error
from ..core.fields import parse_json, read_field, read_list, read_text
from ..core.line_protocol import Point, encode
from ..core.metrics import USAGE_MEASUREMENT
from ..core.validators import can_be_key
from .cache_backlog import SCOPE
from .time_limit import within

INTERVAL_S = 900
LOOK_BACK_S = 110 * 60  # less than DataKit's 2 h, with time to arrive
COST_DAYS = 3
READ_S = 20.0  # for all pages
LEAST_READ_S = 5.0  # with less time left, the next run reads
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
PAGE_BUCKETS = 60
MAX_PAGES = 50

_STATE = "reconciliation"
_LOCK_S = 60
_MINUTE_S = 60
_DAY_S = 86400
_USAGE_PATH = "/organization/usage/completions"
_COSTS_PATH = "/organization/costs"
# OpenAI's name -> ours.
_USAGE_FIELDS = {
    "num_model_requests": "requests",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "input_cached_tokens": "cached_tokens",
}

# first second of a day (a string, as a key of JSON) -> project and line item -> USD
_Costs = Dict[str, Dict[str, float]]


class Reconciled(NamedTuple):
    """What one run did; `points` is None if it was not due or had no time."""

    points: Optional[int] = None
    words: str = ""
    problem: str = ""


class _BooksError(Exception):
    """The books could not be read. The message quotes neither the key nor OpenAI's answer."""


class _Reading(NamedTuple):
    from_s: int
    until_s: int
    usage: List[Any]
    costs: List[Any]


class Reconciliation:
    """Reads the books at most once per interval, whoever runs it; never without a key.

    `store` is DFF.STORE, where all workers find what was read; `backlog` has the lock; `deliver` takes up to
    BATCH_LINES lines.
    """

    def __init__(
        self,
        admin_key: str,
        base_url: str,
        store: Any,
        backlog: Backlog,
        deliver: Callable[[List[str]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._admin_key = admin_key
        self._base_url = base_url
        self._store = store
        self._backlog = backlog
        self._deliver = deliver
        self._clock = clock

    def run(self, budget_s: float) -> Reconciled:
        """Read and write what is due, reading for `budget_s` at most.

        A run that dies has written nothing twice: the next one goes on.
        """
        if not self._admin_key or not self._is_due() or not self._backlog.acquire(_STATE, _LOCK_S):
            return Reconciled()
        try:
            if budget_s < LEAST_READ_S:
                return Reconciled(words="OpenAI's usage is left to the next run")
            return self._write(within(min(budget_s, READ_S), self._read))
        except TimeoutError:
            return Reconciled(problem="OpenAI's usage was not read: it did not come in time")
        except _BooksError as error:
            return Reconciled(problem=f"OpenAI's usage was not read: {error}")
        finally:
            self._backlog.release(_STATE)

    def _is_due(self) -> bool:
        # Another interval, not necessarily a later one: the clock may have been put back.
        read_until_s = self._load().get("read_until_s", 0)
        return bool(int(self._clock()) // INTERVAL_S != read_until_s // INTERVAL_S)

    def _write(self, reading: _Reading) -> Reconciled:
        state = self._load()
        read_until_s = state.get("read_until_s", 0)
        added = _added(state.get("costs"), _costs_of(reading), reading.until_s)
        # To the nanosecond, so that a run that died has not used this time for another amount.
        now_ns = int(self._clock() * 1e9)
        cost_lines = [*state.get("unsent", []), *_cost_lines(added, now_ns)]
        # What was added is saved together with the lines that report it: it is written once.
        state = {
            "read_until_s": read_until_s,
            "costs": _remembered(state.get("costs") or {}, reading),
            "unsent": cost_lines,
        }
        self._save(state)
        lines = [*_usage_lines(reading.usage), *cost_lines]
        for start in range(0, len(lines), BATCH_LINES):
            self._deliver(lines[start : start + BATCH_LINES])
        self._save({**state, "read_until_s": reading.until_s, "unsent": []})
        return Reconciled(len(lines), f"OpenAI's usage: {len(lines)} point(s){_gap(read_until_s, reading)}")

    # ---- what is kept between two runs ----

    def _load(self) -> Dict[str, Any]:
        state = self._store.get(_STATE, scope=SCOPE)
        return state if isinstance(state, dict) else {}

    def _save(self, state: Dict[str, Any]) -> None:
        self._store.set(_STATE, state, scope=SCOPE)

    # ---- OpenAI's API ----

    def _read(self) -> _Reading:
        if not can_be_key(self._admin_key):
            raise _BooksError("the OpenAI admin key contains characters that no key has")
        until_s = int(self._clock()) // _MINUTE_S * _MINUTE_S
        # Buckets begin where the query does: on the minute, or on the day.
        from_s, first_day_s = until_s - LOOK_BACK_S, _days_from(until_s)
        usage_params = [
            ("start_time", from_s),
            ("end_time", until_s),
            ("bucket_width", "1m"),
            ("group_by", "model"),
            ("group_by", "project_id"),
            ("limit", PAGE_BUCKETS),
        ]
        cost_params = [
            ("start_time", first_day_s),
            ("bucket_width", "1d"),
            ("group_by", "project_id"),
            ("group_by", "line_item"),
            ("limit", COST_DAYS),
        ]
        with requests.Session() as session:
            usage = self._pages(session, _USAGE_PATH, usage_params)
            return _Reading(from_s, until_s, usage, self._pages(session, _COSTS_PATH, cost_params))

    def _pages(self, session: requests.Session, path: str, params: List[Tuple[str, Any]]) -> List[Any]:
        buckets: List[Any] = []
        page = ""
        for _ in range(MAX_PAGES):
            answer = self._get(session, path, [*params, ("page", page)] if page else params)
            data = read_field(answer, "data")
            if not isinstance(data, list):
                raise self._error(path, "did not answer with a page of data")
            buckets += data
            page = read_text(answer, "next_page")
            if not page:
                return buckets
        raise self._error(path, f"has more than {MAX_PAGES} pages")

    def _get(self, session: requests.Session, path: str, params: List[Tuple[str, Any]]) -> Any:
        try:
            answer = session.get(
                self._base_url + path,
                params=params,
                auth=self._authorize,  # a .netrc would replace a header
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
            )
        except requests.Timeout:
            raise self._error(path, "does not answer in time") from None
        # Only its class: its message may contain the whole address.
        except Exception as error:
            raise self._error(path, f"cannot be reached ({type(error).__name__})") from None
        body = parse_json(answer.content)
        if answer.status_code != 200:
            error_type = classify_error(answer.status_code, read_field(body, "error"))
            hint = _HINTS.get(answer.status_code, "")
            raise self._error(path, f"answered {answer.status_code} {error_type}{hint}")
        return body

    def _authorize(self, request: Any) -> Any:
        request.headers["Authorization"] = "Bearer " + self._admin_key
        return request

    def _error(self, path: str, what: str) -> _BooksError:
        return _BooksError(f"{without_credentials(self._base_url)}{path} {what}")


_NOT_ADMIN = ": it takes an admin key of the organization that may read usage (api.usage.read)"
_HINTS = {
    401: _NOT_ADMIN,
    403: _NOT_ADMIN,
    404: ": only OpenAI itself keeps these books, check the OpenAI base URL",
}


def _number(value: Any) -> Optional[float]:
    """A finite number, else None. Costs also come as strings, although the API's reference says otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


# ---- usage: minute buckets, at their own time ----


def _usage_lines(buckets: List[Any]) -> List[str]:
    lines = []
    for bucket in buckets:
        start_s = _number(read_field(bucket, "start_time"))
        if start_s is not None:
            lines += [encode(point) for point in _usage_points(bucket, int(start_s))]
    return lines


def _usage_points(bucket: Any, start_s: int) -> List[Point]:
    # Summed up, because points with the same series and time overwrite each other.
    sums: Dict[Tuple[str, str], Dict[str, float]] = {}
    for result in read_list(bucket, "results"):
        fields = sums.setdefault((read_text(result, "model"), read_text(result, "project_id")), {})
        for theirs, ours in _USAGE_FIELDS.items():
            value = _number(read_field(result, theirs))
            if value is not None:
                fields[ours] = fields.get(ours, 0.0) + value
    return [
        Point(USAGE_MEASUREMENT, {"model": model, "project_id": project_id}, fields, start_s * 10**9)
        for (model, project_id), fields in sums.items()
        if fields
    ]


def _gap(read_until_s: int, reading: _Reading) -> str:
    if not 0 < read_until_s < reading.from_s:
        return ""
    minutes = (reading.from_s - read_until_s) // _MINUTE_S
    return f"; the {minutes} min before are left out: DataKit would change the time of what is over 2 h old"


# ---- cost: what was added to the days since the last reading ----


def _days_from(until_s: int) -> int:
    """The first second of the first day whose cost is requested."""
    return (until_s // _DAY_S - (COST_DAYS - 1)) * _DAY_S


def _costs_of(reading: _Reading) -> _Costs:
    costs: _Costs = {}
    for bucket in reading.costs:
        start_s = _number(read_field(bucket, "start_time"))
        if start_s is None:
            continue
        day = costs.setdefault(str(int(start_s) // _DAY_S * _DAY_S), {})
        for result in read_list(bucket, "results"):
            amount = read_field(result, "amount")
            value = _number(read_field(amount, "value"))
            if value is not None and read_text(amount, "currency").lower() in ("usd", ""):
                key = f"{read_text(result, 'project_id')}\t{read_text(result, 'line_item')}"
                day[key] = day.get(key, 0.0) + value
    return costs


def _remembered(known: _Costs, reading: _Reading) -> _Costs:
    """The costs of the days that will be requested again; a day that was not returned stays as it was."""
    first_day_s = _days_from(reading.until_s)
    days = {**known, **_costs_of(reading)}
    return {day: amounts for day, amounts in days.items() if int(day) >= first_day_s}


def _added(known: Optional[_Costs], costs: _Costs, until_s: int) -> Dict[str, float]:
    """USD by project and line item; on the first reading, those of the current day."""
    added: Dict[str, float] = {}
    for day, amounts in costs.items():
        if known is None and int(day) + _DAY_S <= until_s:
            continue
        before = (known or {}).get(day, {})
        for key in {**before, **amounts}:
            added[key] = added.get(key, 0.0) + amounts.get(key, 0.0) - before.get(key, 0.0)
    # Below 1e-9 USD, less than any token costs, it is a rounding error.
    return {key: usd for key, usd in added.items() if abs(usd) >= 1e-9}


def _cost_lines(added: Dict[str, float], now_ns: int) -> List[str]:
    lines = []
    for key, usd in added.items():
        project_id, _, line_item = key.partition("\t")
        # Most line items are "MODEL, KIND", such as "gpt-4o-mini-2024-07-18, input".
        model, comma, _ = line_item.rpartition(", ")
        tags = {"model": model if comma else "", "project_id": project_id, "line_item": line_item}
        lines.append(encode(Point(USAGE_MEASUREMENT, tags, {"cost": usd}, now_ns)))
    return lines

"""The books of OpenAI's stand-in: what it answered, by the minute, and what that costs, by the day.

The forms are those of OpenAI's API reference (platform.openai.com/docs/api-reference/usage). The figures
follow rules that a test can state: a million input tokens cost 1 USD, cached ones half of that, a million
output tokens 4 USD; what is answered without the header `OpenAI-Project` is of the project `proj_local`.

As observed of the real ones: buckets begin on the minute, hour or day (UTC), but for the first, which
begins at `start_time`; and an amount may come as text, though the reference says number.
"""

import base64
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, urlsplit

from .errors import Body, RefusalError, check_key

USAGE_PATH = "/v1/organization/usage/completions"
COSTS_PATH = "/v1/organization/costs"
PROJECT_ID = "proj_local"
ADMIN_KEY_PREFIX = "sk-admin-"
MAX_BOOKED = 100_000

# Price per token, in USD.
INPUT_USD = 1e-6
CACHED_USD = 0.5e-6
OUTPUT_USD = 4e-6

# Width -> seconds, buckets of a page by default, and at most. From OpenAI's API reference.
_USAGE_WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (86400, 7, 31)}
_COSTS_WIDTHS = {"1d": (86400, 7, 180)}
_USAGE_GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source")
_COSTS_GROUPS = ("project_id", "user_id", "line_item", "api_key_id", "api_source")
_PAGE_PREFIX = "page_"


class Booked(NamedTuple):
    """What was answered at one moment; `at_s` in seconds since 1970, cached tokens are input tokens, too."""

    at_s: float
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    requests: int = 1
    project_id: str = PROJECT_ID


class Books:
    """The last 100,000 entries. `amounts_as_text` may be changed at any time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.amounts_as_text = False
        self.clock = clock
        self._entries: Deque[Booked] = deque(maxlen=MAX_BOOKED)

    def add(self, *entries: Booked) -> None:
        """Book these, however late."""
        self._entries.extend(entries)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def book(self, answer: Body, project_id: Optional[str] = None) -> None:
        """Book an answer, now."""
        usage = answer["usage"]
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
        entry = Booked(
            self.clock(),
            answer["model"],
            usage.get("prompt_tokens", usage.get("input_tokens", 0)),
            usage.get("completion_tokens", usage.get("output_tokens", 0)),
            details.get("cached_tokens", 0),
            project_id=project_id or PROJECT_ID,
        )
        self.add(entry)

    def between(self, start_s: float, end_s: float) -> List[Booked]:
        """Entries from `start_s` on, before `end_s`."""
        return [entry for entry in tuple(self._entries) if start_s <= entry.at_s < end_s]


def check_admin_key(authorization: str) -> None:
    """Accept a key that begins with `sk-admin-`, as those of OpenAI do. Raises RefusalError."""
    check_key(authorization)
    if not authorization.partition(" ")[2].strip().startswith(ADMIN_KEY_PREFIX):
        raise RefusalError(
            403,
            "You have insufficient permissions for this operation. Missing scopes: api.usage.read. Check "
            "that you have the correct role in your organization, and if you're using a restricted API "
            "key, that it has the necessary scopes.",
        )


def usage_page(books: Books, url: str) -> Body:
    """The answer to GET /v1/organization/usage/completions. Raises RefusalError."""
    query = _Query(url, _USAGE_WIDTHS, _USAGE_GROUPS, books.clock())
    return query.page(books, lambda entries: _usage_results(entries, query.group_by))


def costs_page(books: Books, url: str) -> Body:
    """The answer to GET /v1/organization/costs. Raises RefusalError."""
    query = _Query(url, _COSTS_WIDTHS, _COSTS_GROUPS, books.clock())
    return query.page(books, lambda entries: _cost_results(entries, query.group_by, books.amounts_as_text))


class _Query:
    """The query of one request, checked. Raises RefusalError."""

    def __init__(
        self, url: str, widths: Dict[str, Tuple[int, int, int]], groups: Tuple[str, ...], now_s: float
    ) -> None:
        # The SDK writes a list as name[]=, the API's own examples as name=.
        self._given = [(name.replace("[]", ""), value) for name, value in parse_qsl(urlsplit(url).query)]
        width = self._last("bucket_width") or "1d"
        if width not in widths:
            raise _invalid("bucket_width", f"expected one of {', '.join(widths)}")
        self.width_s, default_limit, max_limit = widths[width]
        self.group_by = self._all("group_by")
        if not set(self.group_by) <= set(groups):
            raise _invalid("group_by", f"expected some of {', '.join(groups)}")
        start_s, page = self._integer("start_time", None, 0), self._last("page")
        self._start_s = start_s if page is None else _read_cursor(page)
        self._end_s = self._integer("end_time", int(now_s) + 1, 0)
        self._limit = self._integer("limit", default_limit, 1, max_limit)

    def page(self, books: Books, results: Callable[[List[Booked]], List[Body]]) -> Body:
        """The buckets from the cursor on, each with the results of its entries."""
        buckets: List[Body] = []
        start_s = self._start_s
        while start_s < self._end_s and len(buckets) < self._limit:
            next_s = (start_s // self.width_s + 1) * self.width_s
            found = results(self._wanted(books.between(start_s, min(next_s, self._end_s))))
            buckets.append({"object": "bucket", "start_time": start_s, "end_time": next_s, "results": found})
            start_s = next_s
        has_more = start_s < self._end_s
        next_page = _cursor(start_s) if has_more else None
        return {"object": "page", "data": buckets, "has_more": has_more, "next_page": next_page}

    def _wanted(self, entries: List[Booked]) -> List[Booked]:
        models, projects = self._all("models"), self._all("project_ids")
        return [
            entry
            for entry in entries
            if (not models or entry.model in models) and (not projects or entry.project_id in projects)
        ]

    def _all(self, name: str) -> List[str]:
        return [value for key, value in self._given if key == name]

    def _last(self, name: str) -> Optional[str]:
        values = self._all(name)
        return values[-1] if values else None

    def _integer(self, name: str, default: Optional[int], least: int, most: Optional[int] = None) -> int:
        text = self._last(name)
        if text is None and default is not None:
            return default
        if text is None:
            raise RefusalError(
                400,
                f"Missing required parameter: '{name}'.",
                code="missing_required_parameter",
                param=name,
            )
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise _invalid(name, f"expected an integer from {least}" + (f" to {most}" if most else ""))
        return int(text)


def _invalid(name: str, expected: str) -> RefusalError:
    return RefusalError(400, f"Invalid '{name}': {expected}.", code="invalid_value", param=name)


def _cursor(start_s: int) -> str:
    return _PAGE_PREFIX + base64.urlsafe_b64encode(str(start_s).encode("ascii")).decode("ascii")


def _read_cursor(page: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(page[len(_PAGE_PREFIX) :]))
    except ValueError:
        raise _invalid("page", "expected the next_page of an answer") from None


# What a result is grouped by, and what is summed up in it.
_Row = Tuple[Dict[str, str], Any]


def _grouped(rows: Iterable[_Row], group_by: List[str]) -> Iterator[Tuple[Body, List[Any]]]:
    """The labels of each group, and what is in it."""
    groups: Dict[Tuple[Optional[str], ...], List[Any]] = {}
    for labels, row in rows:
        groups.setdefault(tuple(labels.get(name) for name in group_by), []).append(row)
    for key, group in groups.items():
        yield dict(zip(group_by, key)), group


def _usage_results(entries: List[Booked], group_by: List[str]) -> List[Body]:
    rows = (({"model": entry.model, "project_id": entry.project_id}, entry) for entry in entries)
    results = []
    for labels, group in _grouped(rows, group_by):
        result: Body = {
            "object": "organization.usage.completions.result",
            "input_tokens": sum(entry.input_tokens for entry in group),
            "output_tokens": sum(entry.output_tokens for entry in group),
            "input_cached_tokens": sum(entry.cached_tokens for entry in group),
            "input_audio_tokens": 0,
            "output_audio_tokens": 0,
            "num_model_requests": sum(entry.requests for entry in group),
            **dict.fromkeys(_USAGE_GROUPS),
        }
        results.append({**result, **labels})
    return results


def _cost_results(entries: List[Booked], group_by: List[str], as_text: bool) -> List[Body]:
    rows = (
        ({"project_id": entry.project_id, "line_item": f"{entry.model}, {kind}"}, usd)
        for entry in entries
        for kind, usd in _prices(entry)
        if usd
    )
    results = []
    for labels, group in _grouped(rows, group_by):
        value = round(sum(group), 12)
        result: Body = {
            "object": "organization.costs.result",
            "amount": {"value": f"{value:.12f}" if as_text else value, "currency": "usd"},
            "quantity": None,
            **dict.fromkeys(_COSTS_GROUPS),
        }
        results.append({**result, **labels})
    return results


def _prices(entry: Booked) -> List[Tuple[str, float]]:
    return [
        ("input", (entry.input_tokens - entry.cached_tokens) * INPUT_USD),
        ("cached input", entry.cached_tokens * CACHED_USD),
        ("output", entry.output_tokens * OUTPUT_USD),
    ]

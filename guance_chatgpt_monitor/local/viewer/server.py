"""Serves the page and its data over HTTP: GET only, all of it from the points that the DataKit holds.

`/` is the page; `/_local/view/…` is what it consists of and what it asks for:

- `dashboards?lang=`: every shipped dashboard's layout
- `data?dashboard=&lang=&from=&to=&offset=&v.CODE=`: the answers to its queries; times in ms, offset in min
- `calls?from=&to=&v.TAG=`: the last calls, newest first, with what was said where it was logged
- `monitors?lang=`: their states now
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from ..http_server import Request, Response
from . import charts, shipped
from .evaluation import Answer, Query, evaluate_all
from .monitors import Judge
from .points import PointIndex, Row
from .reading import Range

PATH = "/_local/view/"
MAX_CALLS = 200
ROWS_AT_ONCE = 5000
INSTALL = 'pip install "guance-chatgpt-monitor[viewer]"'

_SCRIPT = "text/javascript; charset=utf-8"
_FILES = {
    **dict.fromkeys(("texts.js", "charts.js", "page.js"), _SCRIPT),
    "page.css": "text/css; charset=utf-8",
}
_FILTERS = ("service_name", "request_model", "status")
_MS_NS = 10**6
# Plotly sets styles on what it draws; scripts come from here, and from nowhere else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Store(Protocol):
    """Where the points come from. `generation` changes when what was read before holds no more."""

    generation: int

    def rows_after(self, number: int, limit: int) -> List[Tuple[int, Row]]:
        """Rows with a number above this, by number."""


class Viewer:
    """The page of one DataKit. What has come in since the last look is read when it is asked for."""

    def __init__(self, store: Store, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock_ns = clock_ns
        self._index = PointIndex()
        self._judge = Judge()
        self._last_number = 0
        self._generation = store.generation

    def respond(self, request: Request) -> Optional[Response]:
        """The answer to a GET of the page or what belongs to it; None for any other request."""
        if request.method != "GET" or not (request.path == "/" or request.path.startswith(PATH)):
            return None
        name = request.path[len(PATH) :] if request.path != "/" else ""
        if name == "plotly.js":
            return _plotly(request)
        if not name or name in _FILES:
            content = (Path(__file__).parent / (name or "page.html")).read_bytes()
            return Response(200, content, _FILES.get(name, "text/html; charset=utf-8"), _HEADERS)
        asked: Dict[str, Callable[[Mapping[str, str]], Any]] = {
            "dashboards": self._dashboards,
            "data": self._data,
            "calls": self._calls,
            "monitors": self._monitors,
        }
        if name not in asked:
            return Response(404, {"error": f"nothing at {request.path}"})
        try:
            with self._index.lock:
                self._update()
                answer = asked[name](request.query)
        except (ValueError, KeyError, OverflowError) as error:
            return Response(400, {"error": f"{type(error).__name__}: {error}"}, headers=_HEADERS)
        text = json.dumps(answer, ensure_ascii=False)
        return Response(200, text, "application/json; charset=utf-8", _HEADERS)

    def _update(self) -> None:
        if self._generation != self._store.generation:
            self._generation, self._last_number = self._store.generation, 0
            self._index.clear()
            self._judge.clear()
        while True:
            # A few at a time: whoever writes waits no longer than these take to read.
            rows = self._store.rows_after(self._last_number, ROWS_AT_ONCE)
            self._index.add(row for _, row in rows)
            if not rows:
                return
            self._last_number = rows[-1][0]

    def _dashboards(self, query: Mapping[str, str]) -> Any:
        found = shipped.dashboards(query.get("lang", "en"))
        titles = {name: dashboard["title"] for name, dashboard in found.items()}
        return {name: charts.layout(dashboard, self._index, titles) for name, dashboard in found.items()}

    def _data(self, query: Mapping[str, str]) -> Any:
        dashboard = shipped.dashboards(query.get("lang", "en"))[query["dashboard"]]
        return charts.answers(dashboard, self._index, self._range(query))

    def _calls(self, query: Mapping[str, str]) -> Any:
        within = self._range(query)
        where = " and ".join(f"`{tag}` = '#{{{tag}}}'" for tag in _FILTERS)
        texts = [f"{space}::`openai`:(*) {{ {where} }} LIMIT {MAX_CALLS}" for space in ("M", "L")]
        points, logs = (
            answer.rows if isinstance(answer, Answer) else []
            for answer in evaluate_all(self._index, [Query(text) for text in texts], within)
        )
        # A call's log has the time and the tags of its point.
        said = {(log.timestamp_ns, _identity(log)): log.fields_dict for log in logs}
        return {
            "calls": [
                {
                    "time": point.timestamp_ns // _MS_NS,
                    "tags": point.tags_dict,
                    "fields": point.fields_dict,
                    "said": said.get((point.timestamp_ns, _identity(point))),
                }
                for point in points
            ],
            "filters": {tag: self._index.tag_values(("metric", "openai"), tag) for tag in _FILTERS},
        }

    def _monitors(self, query: Mapping[str, str]) -> Any:
        checkers = shipped.checkers(query.get("lang", "en"))
        judged = self._judge.states(self._index, checkers, self._clock_ns())
        return [
            {
                "name": checker["jsonScript"]["name"],
                "every": checker["jsonScript"]["every"],
                "interval": checker["jsonScript"]["interval"],
                "levels": _levels(checker["jsonScript"]["checkerOpt"]["rules"]),
                "message": checker["jsonScript"]["message"],
                "dql": checker["jsonScript"]["targets"][0]["dql"],
                "error": error,
                "states": [
                    {
                        "group": dict(state.group),
                        "status": state.status,
                        "value": state.value,
                        "since": state.since_ns and state.since_ns // _MS_NS,
                    }
                    for state in states
                ],
            }
            for checker, (states, error) in zip(checkers, judged)
        ]

    def _range(self, query: Mapping[str, str]) -> Range:
        now_ms = self._clock_ns() // _MS_NS
        end_ms = int(query.get("to", now_ms))
        start_ms = int(query.get("from", end_ms - 3600 * 1000))
        if not 0 <= start_ms < end_ms < 10**14:
            raise ValueError("from and to are milliseconds since 1970")
        variables = {name[2:]: value for name, value in query.items() if name.startswith("v.")}
        offset_ns = int(query.get("offset", 0)) * 60 * 1000 * _MS_NS
        return Range(start_ms * _MS_NS, end_ms * _MS_NS, variables, offset_ns)


def _identity(row: Row) -> Tuple[str, ...]:
    tags = row.tags_dict
    return tuple(tags.get(name, "") for name in ("service_name", "request_model", "operation_name"))


def _levels(rules: Sequence[Mapping[str, Any]]) -> List[List[str]]:
    """Status, comparison and limit of each rule."""
    return [
        [rule["status"], condition["operator"], condition["operands"][0]]
        for rule in rules
        for condition in rule["conditions"]
    ]


def _plotly(request: Request) -> Response:
    """The JavaScript out of the package plotly, which the extra `viewer` installs."""
    try:
        from plotly.offline import get_plotlyjs, get_plotlyjs_version
    except ImportError:
        return Response(404, f"{INSTALL}\n", "text/plain; charset=utf-8", _HEADERS)
    tag = '"' + hashlib.sha256(get_plotlyjs_version().encode()).hexdigest()[:16] + '"'
    headers = {**_HEADERS, "Cache-Control": "no-cache", "ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return Response(304, b"", headers=headers)
    return Response(200, get_plotlyjs(), _SCRIPT, headers)

"""Points for the viewer's evaluator, from line protocol or by hand."""

from collections.abc import Iterable
from typing import Any

from guance_chatgpt_monitor.local.datakit.line_parser import parse_lines
from guance_chatgpt_monitor.local.datakit.server import Point
from guance_chatgpt_monitor.local.viewer.points import PointIndex
from guance_chatgpt_monitor.local.viewer.reading import Range

SECOND_NS = 10**9
# A full hour, so that each point's interval is known.
START_NS = 1_700_002_800 * SECOND_NS


def points_of(lines: Iterable[str], category: str = "metric") -> list[Point]:
    """The points a DataKit would have stored of these lines."""
    parsed = parse_lines("\n".join(lines).encode(), category)
    return [Point(*one[:4], category, category, one.timestamp_ns) for one in parsed]


def index_of(lines: Iterable[str], category: str = "metric") -> PointIndex:
    """The index of `points_of(lines)`."""
    return index_of_points(*points_of(lines, category))


def point(second: float, tags: dict[str, str], measurement: str = "openai", **fields: object) -> Point:
    """A point `second` seconds after START_NS; one with a `message` is a log."""
    time_ns = START_NS + int(second * SECOND_NS)
    category = "logging" if "message" in fields else "metric"
    return Point(measurement, tags, fields, time_ns, category, category, time_ns)  # type: ignore[arg-type]


def index_of_points(*points: Point) -> PointIndex:
    index = PointIndex()
    index.add_points(points)
    return index


def within(seconds: float, **variables: object) -> Range:
    """The range of `seconds` after START_NS."""
    return Range(START_NS, START_NS + int(seconds * SECOND_NS), variables)  # type: ignore[arg-type]


# The query of a single-value chart or a monitor, which identifies it in any language.
REQUESTS = "M::`openai`:(sum(`question`)"
ERROR_RATE = 'eval(A/B*100, A="M::`openai`:(sum(`res_status`))'
P95 = "M::`openai`:(percentile(`response_time`, 95)"
COST = "M::`openai`:(sum(`cost`)"
REQUESTS_LEFT = 'eval(A/B*100, A="M::`openai`:(sum(`remaining_requests`))'


def chart_of(dashboard: dict[str, Any], dql: str) -> int:
    """The index of the single-value chart whose query begins with `dql`."""
    return next(
        place
        for place, chart in enumerate(dashboard["main"]["charts"])
        if chart["type"] == "singlestat" and chart["queries"][0]["query"]["q"].startswith(dql)
    )

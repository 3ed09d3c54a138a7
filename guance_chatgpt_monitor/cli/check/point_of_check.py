"""The point that check leaves: of the monitor's own measurement, so that no call is counted."""

from ...core.line_protocol import Point, encode
from ...core.metrics import MONITOR_MEASUREMENT


def line_of_check(timestamp_ns: int) -> str:
    """The point as a line."""
    return encode(Point(MONITOR_MEASUREMENT, {"service_name": "check"}, {"check": 1.0}, timestamp_ns))

"""From what was said in a call to a log line in DataKit, for Func and for applications."""

from typing import Any, Callable, List

from .call import Call
from .delivery import MONITOR_ERROR, Delivery
from .line_protocol import Point


class ContentDelivery:
    """`content_log` makes the lines (a ContentLog, or None for no logs), `delivery` sends them.

    Nothing raises: what cannot be read is counted as dropped and reported through `say`, without its content.
    """

    def __init__(self, content_log: Any, delivery: Delivery, say: Callable[[str], None]) -> None:
        self._content_log = content_log
        self._delivery = delivery
        self._say = say

    def wants(self, call: Call) -> bool:
        """Whether this call gets a line. To be asked once per call."""
        try:
            return self._content_log is not None and bool(self._content_log.wants(call))
        except Exception as error:
            self._drop(error)
            return False

    def line(self, point: Point, call: Call, read: Callable[[], Any]) -> str:
        """The line of a call with this point; empty if `read()` returns None instead of a Conversation."""
        try:
            conversation = read()
            return "" if conversation is None else str(self._content_log.line(point, call, conversation))
        except Exception as error:
            self._drop(error)
            return ""

    def send(self, lines: List[str], points_arrived: bool) -> None:
        """Deliver lines; if the points of the same calls did not reach DataKit, put them on the backlog.

        So a DataKit that does not answer costs one timeout.
        """
        if not points_arrived and self._delivery.try_keep(lines):
            self._delivery.save_counts()
        elif lines:
            self._delivery.deliver(lines)

    def _drop(self, error: Exception) -> None:
        self._delivery.count_dropped(MONITOR_ERROR, 1)
        self._delivery.save_counts()
        # Not its message, which may quote what was said.
        self._say(f"what was said in a call could not be read ({type(error).__name__}): not logged")

"""What was said in a call, to a log line, to DataKit: the same for Func and for applications."""

from typing import Any, Callable, List

from .call import Call
from .delivery import MONITOR_ERROR, Delivery
from .line_protocol import Point


class ContentDelivery:
    """`content_log` makes the lines (a ContentLog; None for none), `delivery` carries them.

    Nothing raises: what cannot be read is counted as dropped, and told to `say` without any content.
    """

    def __init__(self, content_log: Any, delivery: Delivery, say: Callable[[str], None]) -> None:
        self._content_log = content_log
        self._delivery = delivery
        self._say = say

    def wants(self, call: Call) -> bool:
        """Whether this call is to have a line. Asked once for each call."""
        try:
            return self._content_log is not None and bool(self._content_log.wants(call))
        except Exception as error:
            self._drop(error)
            return False

    def line(self, point: Point, call: Call, read: Callable[[], Any]) -> str:
        """The line of a call with this point; `read` gives its Conversation, or None: then it has no line."""
        try:
            conversation = read()
            return "" if conversation is None else str(self._content_log.line(point, call, conversation))
        except Exception as error:
            self._drop(error)
            return ""

    def send(self, lines: List[str], points_arrived: bool) -> None:
        """Deliver lines; on to the backlog, if the points of the same calls did not reach DataKit.

        So a DataKit that does not answer is waited for once.
        """
        if not points_arrived and self._delivery.try_keep(lines):
            self._delivery.save_counts()
        elif lines:
            self._delivery.deliver(lines)

    def _drop(self, error: Exception) -> None:
        self._delivery.count_dropped(MONITOR_ERROR, 1)
        self._delivery.save_counts()
        # Not its text, which may hold what was said.
        self._say(f"what was said in a call could not be read ({type(error).__name__}): not logged")

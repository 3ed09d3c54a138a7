"""The content of an application's calls, until their log lines are made and delivered."""

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, List, NamedTuple, Optional

from ..core.batches import BATCH_BYTES, BATCH_LINES
from ..core.call import Call
from ..core.content_delivery import ContentDelivery
from ..core.delivery import LOGGING, NO_TIME, QUEUE_FULL
from ..core.line_protocol import Point
from .channel import Channel, has_backlog_file
from .content_budget import ContentBudget
from .environment import Settings

if TYPE_CHECKING:
    from ..core.content.log_line import ContentLog

# Calls that wait for their line; making one takes a fraction of a millisecond per KB. Beyond that, calls have
# no line.
MAX_CALLS = 1000

# Azure's keys have no recognizable form.
_KEY_VARIABLES = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_API_KEY")


class _Noted(NamedTuple):
    """A call whose point is made, but not its log line."""

    observation: Any
    call: Call
    point: Point


class ContentQueue:
    """Calls until their log lines are with DataKit or on the backlog of `channel`.

    One thread at a time, except `keep()`. No method raises. The points of the same calls go first: if they
    did not arrive, logs are not tried.
    """

    def __init__(
        self,
        content: ContentDelivery,
        channel: Channel,
        budget: ContentBudget,
        monotonic: Callable[[], float],
    ) -> None:
        self._content = content
        self._budget = budget
        self._channel = channel
        self._monotonic = monotonic
        self._noted: Deque[_Noted] = deque()
        self._in_hand: List[str] = []

    def note(self, observation: Any, call: Call, point: Point) -> None:
        """Make a line later, if the observation has content and the call is to be logged."""
        if getattr(observation, "content", None) is None:
            return
        if not self._content.wants(call):
            self._budget.release(observation)
        elif len(self._noted) < MAX_CALLS:
            self._noted.append(_Noted(observation, call, point))
        else:
            self._budget.release(observation)
            self._channel.count_dropped(QUEUE_FULL, 1)

    def is_empty(self) -> bool:
        return not self._noted

    def deliver(self, points_arrived: bool, until_s: float = float("inf")) -> None:
        """Make lines until `until_s`, and deliver them."""
        self._channel.count_dropped(QUEUE_FULL, self._budget.refused.take())
        while self._noted and self._monotonic() < until_s:
            lines = self._in_hand = []
            self._take(self._noted, lines, until_s)
            if lines:
                self._content.send(lines, points_arrived and self._channel.is_up)
            self._in_hand = []

    def keep(self, until_s: float) -> int:
        """Make lines until `until_s` and put them on the backlog. Returns how many are lost.

        Called on another thread than `deliver()`, which may be running: what that has in hand may then be
        there twice. Call it again after an exception, which a signal handler may raise.
        """
        noted, self._noted = self._noted, deque()
        lines = [*self._in_hand, *self._channel.stranded]
        try:
            while True:
                if lines and self._channel.try_keep(lines):
                    lines = []
                if not noted or self._monotonic() >= until_s:
                    break
                self._take(noted, lines, until_s)
        except BaseException:
            self._noted, self._in_hand = noted, lines
            raise
        n_lost = len(lines) + len(noted)
        self._channel.count_dropped(NO_TIME, n_lost)
        return n_lost

    def _take(self, noted: Deque[_Noted], lines: List[str], until_s: float) -> None:
        """Make lines, as many as one request can have, and add them to `lines`."""
        n_chars = 0
        while len(lines) < BATCH_LINES and n_chars < BATCH_BYTES and self._monotonic() < until_s:
            try:
                observation, call, point = noted.popleft()
            except IndexError:  # empty; perhaps another thread took it over
                return
            line = self._content.line(point, call, observation.to_conversation)
            self._budget.release(observation)
            if line:
                lines.append(line)
                n_chars += len(line)
            time.sleep(0)


def make_content_log(settings: Settings) -> "Optional[ContentLog]":
    """What makes log lines and redacts waiting ones again; None if there are none.

    Not for the exporter's thread: a fork in the middle of an import leaves the child unable to import it.
    """
    wanted = settings.log_content or settings.log_errors
    if not wanted and not has_backlog_file(settings, LOGGING):
        return None
    from ..core.content.log_line import ContentLog

    return ContentLog(
        settings.log_content_max_chars,
        settings.log_content_rate if settings.log_content else 0.0,
        settings.redact_patterns,
        [os.environ.get(name, "") for name in _KEY_VARIABLES],
    )

"""From observations to points and, if asked for, to log lines; both to DataKit, or each to its backlog."""

import time
from typing import TYPE_CHECKING, Any, Callable, Iterable, List, Optional

from ..core.delivery import LOGGING, METRIC
from ..core.line_protocol import encode
from ..core.metrics import PointMaker
from .channel import Channel, has_backlog_file
from .environment import Settings
from .export_logs import MONITOR_ERROR, LogQueue

if TYPE_CHECKING:
    from ..core.content.log_line import ContentLog

REPORT_EVERY_S = 60.0
# Of each turn, for what was said: the points go first.
LOGS_BUDGET_S = 0.5
# A point takes some 15 us: so many at a time keep the interpreter from others for 2 ms, a whole batch would
# for 8. Under a busy application each time of letting go takes until it is had again, which can be 100 ms.
SLICE_CALLS = 100


class Pipeline:
    """What the exporter's thread works with. One thread at a time, but for `keep()` and `keep_logs()`.

    `say` takes one line for the operator, `sleep` may return early. Nothing raises for a DataKit or a
    backlog that is away.

    An observation has `to_call()`. One of a call of which the content is to be logged has also an attribute
    `content`, anything but None, and `to_conversation()`, which gives a `conversation.Conversation`, or None
    for no line. Both are asked for on the exporter's thread.
    """

    def __init__(
        self,
        settings: Settings,
        points: PointMaker,
        content_log: "Optional[ContentLog]",
        say: Callable[[str], None],
        sleep: Callable[[float], None],
        report_every_s: float = REPORT_EVERY_S,
    ) -> None:
        self._points = points
        self._say = say
        self._metrics = Channel(settings, METRIC, say, sleep)
        self._channels = [self._metrics]
        self._logs: Optional[LogQueue] = None
        # Also where logs were asked for earlier, and some of them still wait.
        if content_log is not None or has_backlog_file(settings, LOGGING):
            self._channels.append(Channel(settings, LOGGING, say, sleep))
        if content_log is not None:
            self._logs = LogQueue(content_log, self._channels[-1], say)
        self._report_every_s = report_every_s
        self._report_at_s = time.monotonic() + report_every_s

    def lines_of(self, observations: Iterable[Any]) -> List[str]:
        """Their points; those that cannot be made are counted as dropped. What was said is read later."""
        lines = []
        for n, observation in enumerate(observations, 1):
            try:
                call = observation.to_call()
                point = self._points.from_call(call)
                lines.append(encode(point))
                if self._logs is not None:
                    self._logs.note(observation, call, point)
            except Exception as error:
                self.count_dropped(MONITOR_ERROR, 1)
                # Not its text, which may hold what the application sent or received.
                self._say(f"a call could not be read ({type(error).__name__}): dropped")
            if n % SLICE_CALLS == 0:
                time.sleep(0)
        return lines

    def deliver(self, lines: List[str]) -> None:
        """To DataKit, or to the backlog."""
        self._metrics.deliver(lines)

    def keep(self, lines: List[str]) -> bool:
        """To the backlog at once; False if it does not take them."""
        return self._metrics.keep(lines)

    def keep_logs(self, until_s: float) -> int:
        """Put on its backlog what was said, as long as there is time; returns how many lines are lost."""
        return self._logs.keep(until_s) if self._logs is not None else 0

    def stranded(self) -> List[str]:
        """Points that the backlog did not take when DataKit did not either."""
        return self._metrics.stranded()

    def is_settled(self) -> bool:
        """Whether every line is with DataKit or on the backlog; tries once more with those that are not."""
        self._deliver_logs()
        settled = [channel.is_settled() for channel in self._channels]  # each of them tries
        return all(settled)

    def count_dropped(self, reason: str, count: int) -> None:
        self._metrics.count_dropped(reason, count)

    def run_due(self) -> None:
        """What was said; replays and the report, each if it is time."""
        self._deliver_logs(time.monotonic() + LOGS_BUDGET_S)
        for channel in self._channels:
            if self._may_replay(channel):
                channel.replay_if_due()
        if time.monotonic() >= self._report_at_s:
            self._report_at_s = time.monotonic() + self._report_every_s
            self._report()

    def due_in_s(self) -> float:
        """When `run_due()` has something to do; never below 0."""
        if self._logs is not None and not self._logs.is_empty():
            return 0.0
        due_in_s = [channel.due_in_s() for channel in self._channels if self._may_replay(channel)]
        return max(0.0, min(self._report_at_s - time.monotonic(), *due_in_s))

    def finish(self) -> None:
        """The last of an orderly end: what was said, what would end with the process, what it counted."""
        self._deliver_logs()
        if self._metrics.is_up:
            for channel in self._channels:
                channel.replay_memory()
            self._report()

    def close(self) -> int:
        """How many lines end with this process."""
        self._metrics.count_unpriced(self._points.unpriced)
        return sum(channel.close() for channel in self._channels)

    def _may_replay(self, channel: Channel) -> bool:
        """One timeout at a time: whether DataKit is back, the points find out for the logs."""
        return channel is self._metrics or self._metrics.is_up

    def _deliver_logs(self, until_s: float = float("inf")) -> None:
        if self._logs is not None:
            # The points of the same calls went first: where they did not arrive, logs need not try.
            self._logs.deliver(self._metrics.is_up, until_s)

    def _report(self) -> None:
        self._metrics.count_unpriced(self._points.unpriced)
        for channel in self._channels:
            channel.report(self._report_every_s, self._send_report)

    def _send_report(self, lines: List[str]) -> None:
        self._metrics.deliver(lines, counted=False)

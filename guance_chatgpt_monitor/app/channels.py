"""Where the lines of an application go: a channel for points, and one for log lines where there are some."""

from typing import TYPE_CHECKING, Callable, List, NamedTuple, Optional

from ..core.content_delivery import ContentDelivery
from ..core.delivery import LOGGING, METRIC
from .channel import Channel
from .content_budget import ContentBudget
from .content_queue import ContentQueue
from .environment import Settings

if TYPE_CHECKING:
    from ..core.content.log_line import ContentLog


class Channels(NamedTuple):
    """`content` is None where nothing that was said is logged."""

    metrics: Channel
    all: List[Channel]
    content: Optional[ContentQueue] = None

    def deliver_content(self, until_s: float = float("inf")) -> None:
        if self.content is not None:
            self.content.deliver(self.metrics.is_up, until_s)

    def that_may_replay(self) -> List[Channel]:
        """One timeout at a time: whether DataKit is back, the points find out for the logs."""
        return self.all if self.metrics.is_up else [self.metrics]

    def due_in_s(self) -> float:
        """When there is something to deliver or to replay; 0 or less for now."""
        if self.content is not None and not self.content.is_empty():
            return 0.0
        return min(channel.due_in_s() for channel in self.that_may_replay())


def open_channels(
    settings: Settings,
    content_log: "Optional[ContentLog]",
    budget: Optional[ContentBudget],
    say: Callable[[str], None],
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> Channels:
    """The channels of these settings; `say`, `sleep` and `monotonic` are Channel's.

    `budget` is None where no more is logged, and `content_log` where nothing waits either.
    """
    metrics = Channel(settings, METRIC, say, sleep, monotonic)
    if content_log is None:
        return Channels(metrics, [metrics])
    logs = Channel(settings, LOGGING, say, sleep, monotonic, content_log.redact_again)
    if budget is None:
        return Channels(metrics, [metrics, logs])
    content = ContentQueue(ContentDelivery(content_log, logs, say), logs, budget, monotonic)
    return Channels(metrics, [metrics, logs], content)

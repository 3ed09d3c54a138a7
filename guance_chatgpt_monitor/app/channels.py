"""Where the lines of an application go: a channel for points, and one for log lines if there are any."""

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
    """`content` is None if no calls are logged."""

    metrics: Channel
    all: List[Channel]
    content: Optional[ContentQueue] = None

    def deliver_content(self, until_s: float = float("inf")) -> None:
        if self.content is not None:
            self.content.deliver(self.metrics.is_up, until_s)

    def that_may_replay(self) -> List[Channel]:
        """One timeout at a time: logs wait until the points have found DataKit up."""
        return self.all if self.metrics.is_up else [self.metrics]

    def due_in_s(self) -> float:
        """Seconds until there is something to deliver or replay; 0 or less for now."""
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
    """The channels for these settings; `say`, `sleep` and `monotonic` are those of Channel.

    `budget` is None if no calls are logged, `content_log` if no earlier log lines wait either.
    """
    metrics = Channel(settings, METRIC, say, sleep, monotonic)
    if content_log is None:
        return Channels(metrics, [metrics])
    logs = Channel(settings, LOGGING, say, sleep, monotonic, content_log.redact_again)
    if budget is None:
        return Channels(metrics, [metrics, logs])
    content = ContentQueue(ContentDelivery(content_log, logs, say), logs, budget, monotonic)
    return Channels(metrics, [metrics, logs], content)

"""Calls for the local page to draw: one a second or so, with varied models, times, errors and retries."""

import random
import threading
from typing import Dict, Tuple

from .demo import Demo, Wanted

EVERY_S = 1.0
COLLECT_EVERY_S = 60.0

# Model -> how often, and the typical time of an answer in seconds.
_MODELS: Dict[str, Tuple[int, float]] = {
    "gpt-4o-mini": (5, 0.25),
    "gpt-4o": (3, 0.5),
    "gpt-4.1": (2, 0.4),
    "o3-mini": (1, 1.1),
}
_QUESTIONS = (
    "What is Guance?",
    "Summarize this ticket in one sentence: the invoice is missing.",
    "Translate to Chinese: the order has been shipped.",
    "Write a friendly reminder about an unpaid invoice.",
    "Which three metrics tell that a web shop is healthy?",
    "Explain line protocol to a colleague in two sentences.",
)
_TEAMS = ("web", "growth", "support")
# What the stand-in does instead of answering at once, and how often of 100.
_FAULTS: Tuple[Tuple[int, str, Tuple[str, ...]], ...] = (
    (4, "429_then_answered", ("429", "ok")),
    (2, "500_then_answered", ("500", "ok")),
    (3, "500s", ("500", "500", "500")),
    (1, "429s", ("429", "429", "429")),
    (1, "refused_key", ("401",)),
    (1, "content_filter", ("content_filter",)),
)


class Traffic:
    """`run()` makes calls through the demo's link until `stopping` is set."""

    def __init__(self, demo: Demo, seed: int = 0) -> None:
        self._demo = demo
        self._random = random.Random(seed)
        self.calls = 0
        self.failed = 0

    def run(self, stopping: threading.Event, every_s: float = EVERY_S) -> None:
        self._demo.read_books()
        since_collect_s = COLLECT_EVERY_S
        while not stopping.is_set():
            if since_collect_s >= COLLECT_EVERY_S:
                self._demo.collect()
                since_collect_s = 0.0
            pause_s = max(0.0, every_s - self.call())
            stopping.wait(pause_s)
            since_collect_s += every_s

    def call(self) -> float:
        """Make one call; how long it took, in seconds."""
        made = self._demo.call(self._next())
        self.calls += 1
        self.failed += made.status_code != 200
        return made.duration_s

    def _next(self) -> Wanted:
        chance = self._random
        model = chance.choices(list(_MODELS), [weight for weight, _ in _MODELS.values()])[0]
        team = chance.choice(_TEAMS)
        body = {"question": chance.choice(_QUESTIONS), "model": model, "tags": {"team": team}}
        drawn = chance.uniform(0, 100)
        for often, name, faults in _FAULTS:
            drawn -= often
            if drawn < 0:
                return Wanted(name, body, faults)
        answer_s = min(3.0, _MODELS[model][1] * chance.lognormvariate(0, 0.5))
        return Wanted("answered", body, (f"slow:{answer_s:.2f}",))

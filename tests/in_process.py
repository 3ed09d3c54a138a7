"""What a worker of Func keeps, in a process of the test's own, which can give it its clock and its parts.

The rest is the stack's: OpenAI, DataKit, and the cache and the store of its Func.
"""

import functools
from typing import Any, NamedTuple

from stack import KEY, Stack

from guance_chatgpt_monitor.func.monitor import Monitor
from guance_chatgpt_monitor.func.reconciliation import Reconciliation
from guance_chatgpt_monitor.func.startup_settings import read_startup_settings
from guance_chatgpt_monitor.local.func.dff import Backend, Cache, FuncResponse, Store


class Places(NamedTuple):
    """Where the parts of a stack are, for another process, too."""

    func: str
    redis_url: str
    openai: str
    datakit: str


def places_of(stack: Stack) -> Places:
    func = f"127.0.0.1:{stack.func.port}"
    return Places(func, stack.redis_url, stack.openai.base_url, stack.datakit.url)


def settings_at(places: Places, **given: Any) -> dict[str, Any]:
    """The settings of a startup script, as they are read."""
    defaults = {"openai_key": KEY, "openai_base_url": places.openai, "datakit_url": places.datakit}
    return read_startup_settings({**defaults, **given})


class Task:
    """What a task of Func hands to the monitor; `log` is what was printed."""

    def __init__(self, places: Places) -> None:
        backend = Backend(places.func, places.redis_url)
        self.cache = Cache(backend, "any_script")
        self.store = Store(backend, "any_script")
        self.respond = FuncResponse
        self.log: list[str] = []
        self.say = self.log.append

    def import_openai(self) -> Any:
        import openai  # late, as in a worker: it takes longer than all the rest

        return openai


class Collected(NamedTuple):
    """What one run of collect() returned and printed."""

    data: dict[str, Any]
    log: list[str]


def collect_at(
    places: Places, now_s: float, books: type[Reconciliation] = Reconciliation, **given: Any
) -> Collected:
    """One run of collect() of a new worker; for the class `books`, which reads OpenAI's, it is `now_s`."""
    task, settings = Task(places), settings_at(places, probe=False, **given)
    reading = functools.partial(books, clock=lambda: now_s)
    return Collected(Monitor(settings, {}, reconciliation=reading).collect(task), task.log)

"""DFF.CACHE as in a Func worker, in the test's own process or in one that is killed.

`PuppetBackend` stops before any chosen command, so that the test can act as another worker or let this one
die.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from typing import Any

from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.delivery import Delivery
from guance_chatgpt_monitor.core.line_protocol import Point, encode
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.local.func.memory_cache import MemoryCache
from guance_chatgpt_monitor.local.func.worker import Backend, Cache

SCOPE = "guance_chatgpt_monitor"


class KilledError(BaseException):
    """The worker is dead: it executes no further command. Our code does not catch this."""


class MemoryBackend:
    """The cache of a machine without Redis."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = MemoryCache(clock)

    def cache(self, command: str, key: str, *args: Any) -> Any:
        return self._memory.run(command, key, *map(str, args))


class PuppetBackend:
    """Passes commands on, and calls `before(n, command)` before the n-th, counted from 0."""

    def __init__(self, backend: Any, before: Callable[[int, str], None]) -> None:
        self._backend = backend
        self._before = before
        self.commands = 0

    def cache(self, command: str, key: str, *args: Any) -> Any:
        self.commands += 1
        self._before(self.commands - 1, command)
        return self._backend.cache(command, key, *args)


def dying_at(fatal: int) -> Callable[[int, str], None]:
    """Die before this command and every later one, so that `finally` can execute none."""

    def before(n: int, _: str) -> None:
        if n >= fatal:
            raise KilledError

    return before


def cache_of(backend: Any) -> Cache:
    """DFF.CACHE with this backend."""
    return Cache(backend, "any_script")


def line(n: int, timestamp_ns: int = 0, measurement: str = "openai", **tags: str) -> str:
    """The n-th line, with a timestamp of its own."""
    stamp = timestamp_ns or time.time_ns()
    return encode(Point(measurement, tags, {"question": 1.0, "n": float(n)}, stamp + n))


def bad_line(n: int, timestamp_ns: int = 0) -> str:
    """A line that DataKit refuses."""
    return line(n, timestamp_ns).replace("question=1.0", "question=NaN")


# ---- in separate processes ----


def processes() -> ForkServerContext:
    """Forks from a clean process that has imported everything: a child starts within milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cache_client", "redis", "requests"])
    return context


def delivery_over(redis_url: str, datakit_url: str, sleep: Callable[[float], None] = time.sleep) -> Delivery:
    backlog = CacheBacklog(cache_of(Backend("", redis_url)))
    return Delivery(DataKit(datakit_url), backlog, lambda _: None, sleep=sleep)


def deliver_lines(redis_url: str, datakit_url: str, caller: int, count: int, go: Event) -> None:
    """One caller: delivers `count` points in turn."""
    delivery = delivery_over(redis_url, datakit_url)
    go.wait(30)
    for n in range(count):
        delivery.deliver([line(n, caller=str(caller))])


def replay_once(redis_url: str, datakit_url: str) -> None:
    """One run of the auto-trigger."""
    delivery_over(redis_url, datakit_url).replay(30.0)


def replay_until(redis_url: str, datakit_url: str, done: Event, go: Event) -> None:
    """The auto-trigger, repeated until `done`."""
    go.wait(30)
    while not done.is_set():
        delivery_over(redis_url, datakit_url).replay(30.0)
        done.wait(0.01)


def run_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(0)` to `work(count - 1)` at the same time, and raise the first error."""
    errors: list[BaseException] = []

    def run(n: int) -> None:
        try:
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]

"""What a DataKit that is up, known to be down, or hanging costs a call in Func; and how fast a backlog goes.

    python bench/delivery.py [--rounds 20] [--backlog 100000] [--json]

Over a real Redis, with the local DataKit in a process of its own. The states are measured in turn, round
by round, so that a machine whose speed drifts is as fair to one as to the other. A call's share is
`Delivery.deliver()` of its one line, with a new object each time, as a Func task has it.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import requests

from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.datakit import DataKit
from guance_chatgpt_monitor.core.delivery import Delivery
from guance_chatgpt_monitor.core.line_protocol import encode
from guance_chatgpt_monitor.core.metrics import PointMaker
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.func.cache_backlog import CacheBacklog
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.worker import Backend, Cache

CALLS = 100  # in each round and state
HANGING_ROUNDS = 3  # each takes the 2 s of the call that finds out


def serve_datakit(pipe: Connection) -> None:
    """A DataKit until the other end hangs up; what is sent becomes its mode."""
    with LocalDataKit() as datakit:
        pipe.send(datakit.url)
        while True:
            try:
                datakit.mode = pipe.recv()
            except EOFError:
                return
            pipe.send(datakit.count())


class Bench:
    """One Func worker's side of it."""

    def __init__(self, redis_url: str, datakit_url: str) -> None:
        self._cache = Cache(Backend("", redis_url), "bench")
        self._session = requests.Session()
        self._datakit = DataKit(datakit_url)
        self._url = datakit_url
        self._memory: dict[str, Any] = {}
        self._points = PointMaker(service_name="bench")

    def line(self) -> str:
        """The point of an ordinary call, some 330 bytes."""
        usage = Usage(1234.0, 1000.0, 234.0, 0.0, 0.0)
        call = Call("chat", "gpt-4o-mini", "openai", "gpt-4o-mini-2024-07-18", usage=usage)
        call.requests_sent, call.status_code = 1, 200
        call.end()
        return encode(self._points.from_call(call))

    def backlog(self) -> CacheBacklog:
        return CacheBacklog(self._cache)

    def delivery(self) -> Delivery:
        return Delivery(self._datakit, self.backlog(), lambda _: None, self._memory)

    def deliver(self, line: str) -> None:
        self.delivery().deliver([line])

    def post(self, line: str) -> None:
        """The bare write, without anything of ours."""
        url = f"{self._url}/v1/write/metric?input=bench&precision=n"
        self._session.post(url, data=line.encode(), timeout=2)

    def mark_down(self, down: bool) -> None:
        self.backlog().save("down_until_s", str(time.time() + 29) if down else "")

    def times_us(self, work: Callable[[str], None], count: int) -> list[float]:
        took = []
        for _ in range(count):
            line = self.line()
            started_ns = time.perf_counter_ns()
            work(line)
            took.append((time.perf_counter_ns() - started_ns) / 1e3)
        return took


def measure_calls(bench: Bench, set_mode: Callable[[str], None], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"bare": [], "up": [], "down": [], "noticing": [], "hanging": []}
    bench.times_us(bench.deliver, CALLS)  # connections, imports
    for number in range(rounds):
        took["bare"] += bench.times_us(bench.post, CALLS)
        took["up"] += bench.times_us(bench.deliver, CALLS)
        bench.mark_down(True)
        took["down"] += bench.times_us(bench.deliver, CALLS)
        bench.mark_down(False)
        if number < HANGING_ROUNDS:
            set_mode("hang")
            took["noticing"] += bench.times_us(bench.deliver, 1)
            took["hanging"] += bench.times_us(bench.deliver, CALLS)
            set_mode("ok")
            bench.mark_down(False)
    return took


def measure_replay(bench: Bench, count: int) -> dict[str, float]:
    backlog = bench.backlog()
    lines = [bench.line() for _ in range(count)]
    started_s = time.perf_counter()
    backlog.push(lines)
    kept_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    n_bytes = backlog.size().n_bytes
    counted_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    replay = bench.delivery().replay(600.0)
    replayed_s = time.perf_counter() - started_s
    if replay.problem or replay.replayed != count:
        raise RuntimeError(f"the replay is not complete: {replay}")
    return {
        "lines": count,
        "bytes": n_bytes,
        "kept_per_s": count / kept_s,
        "counted_s": counted_s,
        "replayed_per_s": count / replayed_s,
    }


def run(rounds: int, count: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    datakit = context.Process(target=serve_datakit, args=(theirs,), daemon=True)
    datakit.start()
    theirs.close()
    redis = LocalRedis().start()
    try:
        bench = Bench(redis.url, ours.recv())

        def set_mode(word: str) -> int:
            ours.send(word)
            return int(ours.recv())

        took = measure_calls(bench, set_mode, rounds)
        if bench.delivery().replay(600.0).problem:
            raise RuntimeError("what was kept could not be replayed")
        stored = set_mode("ok")
        replay = measure_replay(bench, count)
        if set_mode("ok") - stored != count:
            raise RuntimeError("points are missing in DataKit")
    finally:
        ours.close()
        redis.remove()
        datakit.join(5)
    return {"machine": machine(), "calls": {state: summary(times) for state, times in took.items()}, **replay}


def summary(times_us: list[float]) -> dict[str, float]:
    ordered = sorted(times_us)
    shares = {"median_us": 0.5, "p95_us": 0.95, "p99_us": 0.99}
    cuts = {name: round(ordered[int(len(ordered) * share)], 1) for name, share in shares.items()}
    return {"calls": len(ordered), **cuts}


def machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "requests": requests.__version__,
    }


STATES = {
    "bare": "a bare POST to DataKit, for comparison",
    "up": "DataKit is up: written at once",
    "down": "DataKit is marked down: to the backlog",
    "noticing": "DataKit hangs: the call that finds out",
    "hanging": "DataKit hangs: the others, for 30 s",
}


def as_table(result: dict[str, Any]) -> str:
    rows = ["| added to a call | calls | median | p95 | p99 |", "|---|---|---|---|---|"]
    for state, title in STATES.items():
        times = result["calls"][state]
        cells = [f"{times[name] / 1e3:.2f} ms" for name in ("median_us", "p95_us", "p99_us")]
        rows.append(f"| {title} | {times['calls']:,.0f} | {' | '.join(cells)} |")
    rows += [
        "",
        f"Backlog of {result['lines']:,} lines ({result['bytes'] / 2**20:.0f} MiB): "
        f"kept at {result['kept_per_s']:,.0f} lines/s, counted in {result['counted_s']:.2f} s, "
        f"replayed at {result['replayed_per_s']:,.0f} lines/s.",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help=f"of {CALLS} calls in each state")
    parser.add_argument("--backlog", type=int, default=100_000, help="lines to replay")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not LocalRedis.is_available():
        sys.exit("needs redis-server and Python's redis package")
    result = run(options.rounds, options.backlog)
    print(json.dumps(result, indent=2) if options.json else as_table(result))


if __name__ == "__main__":
    main()

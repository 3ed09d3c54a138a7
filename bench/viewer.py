"""What the local page costs: a whole dashboard over 100,000 points, and the writes meanwhile.

    .venv/bin/python bench/viewer.py

A local DataKit in this process holds an hour of calls of 192 series. Printed: the time to index them at the
first look, the time of a refresh of each dashboard and of the monitors (the middle and longest of five, and
the processor's time of one), and how long a write takes alone and while a dashboard is being refreshed.
"""

import random
import statistics
import threading
import time
from typing import Callable

import requests

from guance_chatgpt_monitor.local.datakit.server import LocalDataKit

POINTS = 100_000
POINTS_A_REQUEST = 1000
HOUR_NS = 3600 * 10**9
REFRESHES = 5
WRITES = 100
FIELDS = (
    *("question", "response_time", "create_time", "processing_time", "time_to_first_token", "cost"),
    *("total_tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("remaining_requests", "limit_requests", "remaining_tokens", "limit_tokens"),
)


def lines(now_ns: int) -> list[str]:
    chance = random.Random(1)
    made = []
    for number in range(POINTS):
        tags = {
            "host": chance.choice("ab"),
            "model": chance.choice(("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3")),
            "operation_name": chance.choice(("chat", "responses")),
            "provider_name": "openai",
            "service_name": chance.choice(("shop", "bot", "batch")),
            "stream": chance.choice(("true", "false")),
        }
        failed = number % 20 == 0
        outcome = "error_type=rate_limit,status=error" if failed else "status=ok"
        series = ",".join(f"{name}={value}" for name, value in tags.items())
        fields = ",".join(f"{name}={chance.random() * 100:.3f}" for name in FIELDS)
        time_ns = now_ns - HOUR_NS + number * HOUR_NS // POINTS
        series += f",request_model={tags['model']},{outcome}"
        made.append(f"openai,{series} {fields},res_status={float(failed)} {time_ns}")
    return made


def timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def main() -> None:
    session = requests.Session()
    session.trust_env = False
    with LocalDataKit() as datakit:

        def write(body: list[str]) -> None:
            url = f"{datakit.url}/v1/write/metric?precision=n"
            assert session.post(url, "\n".join(body).encode(), timeout=60).status_code == 200

        def ask(what: str) -> None:
            with requests.Session() as own:
                own.trust_env = False
                assert own.get(f"{datakit.url}/_local/view/{what}", timeout=60).status_code == 200

        all_lines = lines(time.time_ns())
        for start in range(0, POINTS, POINTS_A_REQUEST):
            write(all_lines[start : start + POINTS_A_REQUEST])
        print(f"{POINTS:,} points; first look: {timed(lambda: ask('dashboards')):.2f} s")
        for what in ("data?dashboard=openai", "data?dashboard=openai_monitor", "monitors"):
            started_s = time.process_time()
            times_s = [timed(lambda what=what: ask(what)) for _ in range(REFRESHES)]  # type: ignore[misc]
            processor_s = (time.process_time() - started_s) / REFRESHES
            middle_s, longest_s = statistics.median(times_s), max(times_s)
            print(f"{what:30} {middle_s:.2f} s, longest {longest_s:.2f} s, processor {processor_s:.2f} s")

        def writes() -> str:
            now_ns = time.time_ns()
            each_s = [
                timed(lambda n=n: write([f"other value=1 {now_ns + n}"]))  # type: ignore[misc]
                for n in range(WRITES)
            ]
            return f"middle {statistics.median(each_s) * 1000:.1f} ms, longest {max(each_s) * 1000:.0f} ms"

        print(f"a write alone                  {writes()}")
        ended = threading.Event()

        def refresh() -> None:
            while not ended.is_set():
                ask("data?dashboard=openai")

        refreshing = threading.Thread(target=refresh)
        refreshing.start()
        print(f"a write while it is refreshed  {writes()}")
        ended.set()
        refreshing.join()


if __name__ == "__main__":
    main()

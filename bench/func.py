"""What a call through the authorization link costs, beside a function that does nothing.

    python bench/func.py [--rounds 5] [--calls 100] [--previous COMMIT] [--bare] [--json]

Side by side in one run, through links of the local Func over a real Redis, with 1 and with 8 callers: a
function that does nothing, one that imports 16 empty scripts, the set as it was at an earlier commit, and
ours. The stand-ins are processes of their own, each Func with its workers too. The rounds take the functions
in turn, so that a machine whose speed drifts is as fair to one as to the other; shown is the median of the
rounds.

The local Func is lighter than the real one: a task is made to take as much of the processor as the real one's
was observed to take, and each script that it loads likewise. With --bare, nothing is added.
"""

import argparse
import io
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import requests

from guance_chatgpt_monitor.cli.build import build, default_manifest
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis
from guance_chatgpt_monitor.local.func.server import (
    OBSERVED_SCRIPT_COST_S,
    OBSERVED_TASK_COST_S,
    LocalFunc,
)
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

ROOT = Path(__file__).resolve().parent.parent
# The last commit whose every task loaded every script.
PREVIOUS = "0d1a9ee"
CALLERS = (1, 8)
EMPTY_SCRIPTS = 16
STARTUP = "startup__guance_chatgpt_monitor"
QUESTION = {"question": "What is Guance?"}
REFUSED = {"no": "question"}
MAX_PROCESSOR = 1.5  # times the no-op's, plus the SDK's own call
LEAST_RATE = 0.6  # of the no-op's

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Contestant(NamedTuple):
    """A link of a Func, the processes of that, and what is posted."""

    url: str
    pids: list[int]
    body: dict[str, Any]


# ---- the parts, each a process of its own ----


def serve_stand_ins(pipe: Connection) -> None:
    """OpenAI and DataKit until the other end hangs up."""
    with LocalOpenAI() as openai, LocalDataKit() as datakit:
        pipe.send((openai.base_url, datakit.url))
        _wait_for_end(pipe)


def serve_func(
    pipe: Connection, zip_path: str, redis_url: str, parameters: dict[str, str], costs: dict[str, float]
) -> None:
    """A Func with a set and with what it is compared to, until the other end hangs up."""
    with LocalFunc(redis_url=redis_url, **costs) as func:
        func.deploy(func.install(zip_path), parameters)
        imports = "".join(f"import bench__empty_{n}\n" for n in range(EMPTY_SCRIPTS))
        for n in range(EMPTY_SCRIPTS):
            func.edit(f"bench__empty_{n}", "")
        function = "def run(**body):\n    return {}\n"
        func.edit("bench__nothing", function)
        func.edit("bench__sixteen", imports + function)
        loaded = func.script(STARTUP).replace("return monitor.chat(body)", "return {}")
        func.edit("bench__loaded", loaded)
        names = {
            "nothing": "bench__nothing.run",
            "sixteen": "bench__sixteen.run",
            "loaded": "bench__loaded.chat",
            "chat": f"{STARTUP}.chat",
        }
        for name, func_id in names.items():
            script_id, _, function_name = func_id.partition(".")
            if name != "chat":
                func.register(script_id, function_name)
        links = {name: func.add_link(func_id) + "/simplified" for name, func_id in names.items()}
        pipe.send((links, [os.getpid(), *func.worker_pids()]))
        _wait_for_end(pipe)


def _wait_for_end(pipe: Connection) -> None:
    try:
        pipe.recv()
    except EOFError:
        pass


def measure_sdk(pipe: Connection, base_url: str, calls: int) -> None:
    """Processor time of the SDK's own call, in ms, of each round that is asked for."""
    import openai

    client = openai.OpenAI(api_key="sk-local", base_url=base_url, max_retries=0)
    messages: Any = [{"role": "user", "content": QUESTION["question"]}]

    def call() -> None:
        client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=messages)

    call()
    pipe.send(None)
    try:
        while True:
            pipe.recv()
            started_s = time.process_time()
            for _ in range(calls):
                call()
            pipe.send((time.process_time() - started_s) / calls * 1e3)
    except EOFError:
        pass


# ---- measuring ----


def processor_ms(pids: list[int]) -> float:
    """Processor time that these processes have used, user and system."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) * _TICK_MS
    return total


def measure(contestant: Contestant, callers: int, calls: int) -> dict[str, float]:
    """Calls a second, and processor time a call, of `calls` calls."""
    left = threading.Semaphore(calls)
    failed: list[str] = []

    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while left.acquire(blocking=False):
                answer = session.post(contestant.url, json=contestant.body, timeout=60)
                if answer.status_code not in (200, 400):
                    failed.append(answer.text)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    before_ms, started_s = processor_ms(contestant.pids), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - started_s
    if failed:
        raise RuntimeError(f"{len(failed)} call(s) failed: {failed[0][:300]}")
    return {"calls_s": calls / took_s, "processor_ms": (processor_ms(contestant.pids) - before_ms) / calls}


def build_previous(commit: str, folder: Path) -> Path:
    """The import zip of the set as it was at `commit`."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    source = folder / "source"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(source, filter="data")
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "build", "--out", str(folder / "dist")]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    (zip_path,) = (folder / "dist").glob("*.zip")
    return zip_path


def run(rounds: int, calls: int, previous: str, bare: bool) -> dict[str, Any]:
    costs = {} if bare else {"task_cost_s": OBSERVED_TASK_COST_S, "script_cost_s": OBSERVED_SCRIPT_COST_S}
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []

    def start(target: Any, *arguments: Any) -> Connection:
        ours, theirs = context.Pipe()
        context.Process(target=target, args=(theirs, *arguments), daemon=False).start()
        theirs.close()
        pipes.append(ours)
        return ours

    redis = LocalRedis().start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            base_url, datakit_url = start(serve_stand_ins).recv()
            parameters = {"OpenAI key": "sk-local", "OpenAI base URL": base_url, "DataKit URL": datakit_url}
            zips = {
                "ours": build(folder / "ours", default_manifest()).zip_path,
                "previous": build_previous(previous, folder),
            }
            funcs = {
                key: start(serve_func, str(path), f"{redis.url[:-1]}{n}", parameters, costs)
                for n, (key, path) in enumerate(zips.items())
            }
            (links, pids), (old_links, old_pids) = funcs["ours"].recv(), funcs["previous"].recv()
            sdk = start(measure_sdk, base_url, calls)
            sdk.recv()
            contestants = {
                "nothing": Contestant(links["nothing"], pids, {}),
                "sixteen": Contestant(links["sixteen"], pids, {}),
                "previous": Contestant(old_links["chat"], old_pids, QUESTION),
                "ours": Contestant(links["chat"], pids, QUESTION),
                "loaded": Contestant(links["loaded"], pids, QUESTION),
                "refused": Contestant(links["chat"], pids, REFUSED),
            }
            return _compare(contestants, sdk, rounds, calls)
    finally:
        for pipe in pipes:
            pipe.close()
        redis.remove()


def _compare(contestants: dict[str, Contestant], sdk: Connection, rounds: int, calls: int) -> dict[str, Any]:
    for contestant in contestants.values():
        measure(contestant, max(CALLERS), calls)  # every worker is warm
    sdk_ms: list[float] = []
    measured: dict[str, dict[int, list[dict[str, float]]]] = {
        name: {callers: [] for callers in CALLERS} for name in contestants
    }
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        sdk.send(None)
        sdk_ms.append(sdk.recv())
        for callers in CALLERS:
            for name, contestant in contestants.items():
                measured[name][callers].append(measure(contestant, callers, calls))
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "calls": calls,
        "sdk_ms": statistics.median(sdk_ms),
        "figures": {
            name: {
                callers: {
                    key: statistics.median(each[key] for each in results)
                    for key in ("calls_s", "processor_ms")
                }
                for callers, results in by_callers.items()
            }
            for name, by_callers in measured.items()
        },
    }


TITLES = {
    "nothing": "a function that does nothing",
    "sixteen": f"one that imports {EMPTY_SCRIPTS} empty scripts",
    "previous": "the set before, a call that is answered",
    "ours": "**ours, a call that is answered**",
    "loaded": "of that: loading, and finding what is kept",
    "refused": "of that: a call that is refused, with its point and the write",
}


def as_table(result: dict[str, Any]) -> str:
    figures = result["figures"]
    rows = [
        "| through the link | calls/s, 1 caller | 8 callers | processor a call, 1 caller | 8 callers |",
        "|---|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        one, eight = (figures[name][callers] for callers in CALLERS)
        rows.append(
            f"| {title} | {one['calls_s']:.0f} | {eight['calls_s']:.0f} "
            f"| {one['processor_ms']:.2f} ms | {eight['processor_ms']:.2f} ms |"
        )
    rows += ["", f"The SDK's own call takes {result['sdk_ms']:.2f} ms of processor.", ""]
    for callers in CALLERS:
        ours, nothing = figures["ours"][callers], figures["nothing"][callers]
        bar_ms = MAX_PROCESSOR * nothing["processor_ms"] + result["sdk_ms"]
        rate = ours["calls_s"] / nothing["calls_s"]
        rows.append(
            f"{callers} caller(s): processor {ours['processor_ms']:.2f} ms of at most {bar_ms:.2f}; "
            f"calls/s {rate:.2f} of the function's that does nothing, at least {LEAST_RATE}."
        )
    head = (
        f"{result['machine']}; load {result['load']:.1f}; {result['rounds']} rounds, {result['calls']} calls."
    )
    return "\n".join([head, "", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=100, help="of each function in each round")
    parser.add_argument("--previous", default=PREVIOUS, help="commit of the set to compare with")
    parser.add_argument("--bare", action="store_true", help="without the real Func's own cost of a task")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not LocalRedis.is_available():
        sys.exit("needs redis-server and Python's redis package")
    if not Path("/proc/self/stat").exists():
        sys.exit("needs Linux: processor time is read from /proc")
    result = run(options.rounds, options.calls, options.previous, options.bare)
    print(json.dumps(result, indent=2) if options.json else as_table(result))


if __name__ == "__main__":
    main()

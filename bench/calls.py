"""What a monitored call costs: bare SDK, ours, and the best peers, side by side in one run.

    python bench/calls.py [ours otel langfuse openlit] [--rounds 3] [--json]

Each instrumentation runs in an environment of its own (`.venv-bench-NAME`, made on the first run), beside
the bare SDK of the same environment and in the same process, in pairs of calls in random order. Shown is what
the instrumentation adds in the fastest third of the pairs: those that nothing else on the machine has held
up; and the processor time that no call waits for, in the fastest third of batches of calls.

The rounds take the instrumentations in turn, with several processes for each: where the system has put the
memory of one makes some microseconds a call, and half a microsecond a chunk. What calls and chunks take is
the median of the third of all these processes whose bare calls were the fastest: a neighbour on a shared
machine holds up the whole of a process, whose bare call then takes up to twice as long, and so does what an
instrumentation adds. Every other figure is the median of all.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sink

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = {
    "ours": ["--editable", str(ROOT), "openai"],
    "otel": [
        "openai",
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
        "requests",
    ],
    "langfuse": ["openai", "langfuse", "requests"],
    "openlit": ["openai<3", "openlit", "requests"],
}
INSTALL_TIMEOUT_S = 300
MEASURE_TIMEOUT_S = 600
EXIT_CALLS = 1000
CALL_PROCESSES = 8
COLUMNS = {
    "sync_us": "sync, µs a call",
    "async_us": "async, 50 at once, µs a call",
    "chunk_us": "stream, µs a chunk",
    "async_chunk_us": "async stream, µs a chunk",
    "cpu_us": "processor, µs a call",
    "import_ms": "import, ms",
    "memory_mb": "memory, MB",
}


def environment(name: str) -> str | None:
    """The Python of an environment with what `name` needs; None when that cannot be installed."""
    folder = ROOT / f".venv-bench-{name}"
    python = str(folder / "bin" / "python")
    if (folder / ".installed").exists():
        return python
    print(f"installing {name} into {folder.name}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "uv"]
    # pip needs many minutes to resolve what some peers ask for.
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, *PEERS[name]]
    try:
        subprocess.run(pip, check=True, timeout=INSTALL_TIMEOUT_S)
        subprocess.run(uv, check=True, timeout=INSTALL_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{name} is left out: {type(error).__name__}", file=sys.stderr)
        return None
    (folder / ".installed").touch()
    return python


def measure(name: str, environment_name: str, what: str, url: str) -> dict:
    """What bench/workload.py prints, run in an environment."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "SINK": url,
            "CHATGPT_MONITOR_BACKLOG": str(Path(folder) / "backlog.sqlite"),
            "PYTHONDONTWRITEBYTECODE": "",  # what an application imports is compiled once, not each time
        }
        output = subprocess.run(
            [environment(environment_name), str(HERE / "workload.py"), name, what],
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=MEASURE_TIMEOUT_S,
        ).stdout
    return json.loads(output.splitlines()[-1])


def one_round(name: str, url: str) -> dict:
    bare, instrumented = (measure(each, name, "memory", url) for each in ("bare", name))
    return {
        "calls": [measure(name, name, "calls", url) for _ in range(CALL_PROCESSES)],
        "background_us": measure(name, name, "background", url)["background_us"],
        "memory_mb": instrumented["memory_mb"] - bare["memory_mb"],
    }


def added(rounds: list[dict]) -> dict:
    """The figure of each column, of what `one_round()` has measured."""
    calls = [call for each in rounds for call in each["calls"]]
    added_us = {}
    for what in ("sync", "async", "chunk", "async_chunk"):
        undisturbed = fastest([call[f"{what}_ns"] for call in calls])
        added_us[f"{what}_us"] = statistics.median(each["added"] for each in undisturbed) / 1e3
    return {
        **added_us,
        "cpu_us": added_us["sync_us"] + statistics.median(each["background_us"] for each in rounds),
        "import_ms": statistics.median(call["import_ms"] for call in calls),
        "memory_mb": statistics.median(each["memory_mb"] for each in rounds),
    }


def fastest(processes: list[dict]) -> list[dict]:
    """The third whose bare calls took the shortest, whatever the instrumented ones took."""
    return sorted(processes, key=lambda each: each["bare"])[: max(4, len(processes) // 3)]


def exit_while_refused(python: str, calls: int) -> tuple[float, int]:
    """Seconds from the last call to the end of the process, and the points that wait in the backlog."""
    with tempfile.TemporaryDirectory() as folder:
        backlog = str(Path(folder) / "backlog.sqlite")
        code = (
            "import sys, time; sys.argv = ['', 'ours']\n"
            f"sys.path.insert(0, {str(HERE)!r})\n"
            "import workload\n"
            "clients = workload.ours()\n"
            "create = clients[0](**workload.sync_options()).chat.completions.create\n"
            f"[create(**workload.ASKED) for _ in range({calls})]\n"
            "print(time.time(), flush=True)\n"
        )
        env = {**os.environ, "SINK": "http://127.0.0.1:9", "CHATGPT_MONITOR_BACKLOG": backlog}
        output = subprocess.run([python, "-c", code], env=env, check=True, capture_output=True, text=True)
        exit_s = time.time() - float(output.stdout)
        count = (
            "from guance_chatgpt_monitor.app.file_backlog import FileBacklog\n"
            f"print(FileBacklog({backlog!r}, lambda _: None, 100_000, 2**26).size().lines)"
        )
        waiting = subprocess.run([python, "-c", count], check=True, capture_output=True, text=True).stdout
        return exit_s, int(waiting)


def run(names: list[str], rounds: int) -> dict:
    url = sink.start()
    names = [name for name in names if environment(name) is not None]
    measured: dict = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            measured[name].append(one_round(name, url))
    exit_s, waiting = exit_while_refused(str(environment("ours")), EXIT_CALLS)
    return {
        "machine": _machine(),
        "rounds": rounds,
        "added": {name: added(results) for name, results in measured.items()},
        "exit_refused_s": exit_s,
        "lost": EXIT_CALLS - waiting,
        "measured": measured,
    }


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def markdown(result: dict) -> str:
    rows = [f"| added by | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in result["added"].items():
        digits = {"chunk_us": 2, "async_chunk_us": 2}
        cells = [f"{row[key]:.{digits.get(key, 1)}f}" for key in COLUMNS]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    last = (
        f"An exit with {EXIT_CALLS:,} calls undelivered and the backend refusing takes "
        f"{result['exit_refused_s']:.2f} s and loses {result['lost']}."
    )
    calls = [call for rounds in result["measured"].values() for each in rounds for call in each["calls"]]
    bare_us = statistics.median(each["bare"] for each in fastest([call["sync_ns"] for call in calls])) / 1e3
    head = f"{result['machine']}; rounds: {result['rounds']}; a bare call takes {bare_us:.0f} µs."
    return "\n".join([head, "", *rows, "", last])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"what is measured; default: {' '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3, a minute or two for each in each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PEERS]
    if unknown:
        parser.error(f"no such instrumentation: {' '.join(unknown)}; there are {' '.join(PEERS)}")
    result = run(options.names or list(PEERS), options.rounds)
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()

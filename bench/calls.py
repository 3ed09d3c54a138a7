"""What a monitored call costs: bare SDK, ours, and the best peers, side by side in one run.

    python bench/calls.py [--rounds 60] [--json]

Each instrumentation runs in an environment of its own (`.venv-bench-NAME`, made on the first run), against
the bare SDK of the same environment, batch by batch in turn, so that a machine whose speed drifts is as
fair to one as to the other. The median of the differences of the pairs is shown.
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
BATCHES = {"sync": 50, "concurrent": 50, "stream": 2}  # calls, or streams of 500 chunks, in a batch
EXIT_CALLS = 1000


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


class Side:
    """One process that runs batches when told to."""

    def __init__(self, python: str, name: str, url: str, backlog: str) -> None:
        env = {**os.environ, "SINK": url, "CHATGPT_MONITOR_BACKLOG": backlog}
        self._process = subprocess.Popen(
            [python, str(HERE / "workload.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            text=True,
        )
        self.import_ms: float = self._answer()["import_ms"]

    def batch(self, kind: str, count: int) -> float:
        return self._ask(f"{kind} {count}")["ns"]

    def flush(self) -> dict:
        return self._ask("flush")

    def end(self) -> None:
        self._process.communicate()

    def _ask(self, line: str) -> dict:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        answer: dict = json.loads(self._process.stdout.readline())
        return answer


def compare(python: str, name: str, rounds: int, url: str, backlog: str) -> dict:
    """What `name` adds to the bare SDK of its environment: medians of the differences of paired batches."""
    bare, other = Side(python, "bare", url, backlog), Side(python, name, url, backlog)
    added: dict = {}
    cpu = {}
    for kind, count in BATCHES.items():
        before = [side.flush()["cpu_s"] for side in (bare, other)]
        differences = []
        for number in range(rounds):
            # In turn who is first: what one leaves in the caches is there for both.
            pair = (bare, other) if number % 2 else (other, bare)
            took = {side: side.batch(kind, count) for side in pair}
            differences.append(took[other] - took[bare])
        added[kind] = statistics.median(differences)
        after = [side.flush()["cpu_s"] for side in (bare, other)]
        spent = [end - start for start, end in zip(before, after, strict=True)]
        cpu[kind] = (spent[1] - spent[0]) / (rounds * count) * 1e6
    memory = [side.flush()["memory_mb"] for side in (bare, other)]
    bare.end()
    other.end()
    return {
        "sync_us": round(added["sync"] / 1e3, 2),
        "async_us": round(added["concurrent"] / 1e3, 2),
        "chunk_us": round(added["stream"] / 1e3, 3),
        "cpu_us": round(cpu["sync"], 1),
        "import_ms": round(other.import_ms - bare.import_ms, 1),
        "memory_mb": round(memory[1] - memory[0], 1),
    }


def exit_while_refused(python: str, calls: int) -> tuple[float, int]:
    """Seconds from the last call to the end of the process, and the points that wait in the backlog."""
    with tempfile.TemporaryDirectory() as folder:
        backlog = str(Path(folder) / "backlog.sqlite")
        code = (
            "import sys, time; sys.argv = ['', 'ours']\n"
            f"sys.path.insert(0, {str(HERE)!r})\n"
            "import workload\n"
            "clients = workload.ours()\n"
            "create = clients[0](**workload._sync_options()).chat.completions.create\n"
            f"[create(**workload.ASKED) for _ in range({calls})]\n"
            "print(time.time(), flush=True)\n"
        )
        env = {**os.environ, "SINK": "http://127.0.0.1:9", "CHATGPT_MONITOR_BACKLOG": backlog}
        output = subprocess.run([python, "-c", code], env=env, check=True, capture_output=True, text=True)
        exit_s = time.time() - float(output.stdout)
        count = (
            "from guance_chatgpt_monitor.file_backlog import FileBacklog\n"
            f"print(FileBacklog({backlog!r}, lambda _: None, 100_000, 2**26).size().lines)"
        )
        waiting = subprocess.run([python, "-c", count], check=True, capture_output=True, text=True).stdout
        return exit_s, int(waiting)


def run(rounds: int) -> dict:
    url = sink.start()
    table = {}
    for name in PEERS:
        python = environment(name)
        if python is None:
            continue
        print(f"measuring {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            table[name] = compare(python, name, rounds, url, str(Path(folder) / "backlog.sqlite"))
        if name == "ours":
            exit_s, waiting = exit_while_refused(python, EXIT_CALLS)
            table[name].update(exit_refused_s=round(exit_s, 2), lost=EXIT_CALLS - waiting)
    return {"machine": _machine(), "rounds": rounds, "added": table}


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def markdown(result: dict) -> str:
    rows = [
        "| added by | sync, µs a call | async, 50 at once, µs a call | stream, µs a chunk "
        "| processor, µs a call | import, ms | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["added"].items():
        cells = [row[key] for key in ("sync_us", "async_us", "chunk_us", "cpu_us", "import_ms", "memory_mb")]
        rows.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    ours = result["added"]["ours"]
    last = (
        f"An exit with 1,000 calls undelivered and the backend refusing takes {ours['exit_refused_s']} s "
        f"and loses {ours['lost']}."
    )
    return "\n".join([f"{result['machine']}; {result['rounds']} pairs of batches.", "", *rows, "", last])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60, help="pairs of batches; default: 60")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = run(options.rounds)
    print(json.dumps(result, indent=2) if options.json else markdown(result))


if __name__ == "__main__":
    main()

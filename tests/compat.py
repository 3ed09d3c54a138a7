"""make compat: monitored applications with the oldest and the newest SDK of each major, and costs with the
price table that pip installs on older Pythons.

Each environment is a `.venv-compat-NAME`, made on the first run: a Python, an SDK and pytest. The oldest SDK
runs the whole suite, the others its core; all tests run with the newest SDK in `make test`.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from interpreters import OLDEST, ROOT, find, make_environment, newest

# Tests of the patched parts of the SDK, where most releases differ.
CORE = [
    "app/test_instrument.py",
    "app/test_instrument_async.py",
    "app/test_streams.py",
    "app/test_surface.py",
    "app/test_jobs.py",
    "app/test_connections.py",
]
SUITE = [
    *CORE,
    "app/test_instrument_content.py",
    "app/test_streams_random.py",
    "app/test_observe.py",
    "app/test_gateways.py",
]
PARALLEL = 2


class Environment(NamedTuple):
    """`python` is a version such as 3.8, or empty for the one that runs this."""

    name: str
    python: str
    requirements: list[str]
    suite: list[str] = SUITE
    extra: str = ""


def environments() -> list[Environment]:
    return [
        # Before 1.55.3, the SDK passed an argument that httpx 0.28 no longer has.
        Environment("1-oldest", OLDEST, ["openai==1.0.0", "httpx<0.28"]),
        Environment("1-newest", OLDEST, ["openai<2"], CORE),
        Environment("2-oldest", "", ["openai==2.0.0"], CORE),
        Environment("2-newest", newest(), ["openai<3"], CORE),
        Environment("3-oldest", "", ["openai==3.0.0"], CORE),
        Environment("3-newest", newest(), ["openai"], CORE),
        Environment(
            "litellm", "", ["litellm", "openai-agents"], ["app/test_litellm.py", "app/test_agents.py"]
        ),
        Environment("cost-3.9", "3.9", [], ["core/test_prices.py"], "[cost]"),
        Environment("cost-3.10", "3.10", [], ["core/test_prices.py"], "[cost]"),
    ]


def prepare(environment: Environment) -> str | None:
    """Return the Python of the environment, or None if this machine lacks the version."""
    base = find(environment.python) if environment.python else sys.executable
    if base is None:
        return None
    folder = ROOT / f".venv-compat-{environment.name}"
    python, ready = str(folder / "bin" / "python"), folder / ".installed"
    asked_for = ["pytest", "pytest-timeout", "websockets", *environment.requirements]
    asked_for += ["--editable", f"{ROOT}{environment.extra}"]
    if not ready.exists() or ready.read_text() != " ".join(asked_for):
        make_environment(base, folder, *asked_for)
        ready.write_text(" ".join(asked_for))
    return python


def run(environment: Environment) -> tuple[Environment, str, str, str]:
    """Return (environment, versions, verdict, output); the verdict is passed, failed or skipped."""
    python = prepare(environment)
    if python is None:
        return environment, f"python{environment.python}", "skipped", "not installed here"
    show = "import sys, openai; print('Python %d.%d' % sys.version_info[:2], 'openai', openai.__version__)"
    versions = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.strip()
    suite = [str(ROOT / "tests" / name) for name in environment.suite]
    plugins = ["-p", "no:cacheprovider", "-p", "frozen_heap"]
    chosen = ["-m", "not slow"] if environment.suite is CORE else []
    command = [python, "-m", "pytest", "--noconftest", "-q", *plugins, *chosen, *suite]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": ""}
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables)
    return environment, versions, "failed" if result.returncode else "passed", result.stdout + result.stderr


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="such as 1-oldest; default: all")
    names = parser.parse_args().names
    chosen = [environment for environment in environments() if not names or environment.name in names]
    started_s, verdicts = time.monotonic(), []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for environment, versions, verdict, output in pool.map(run, chosen):
            last = output.strip().splitlines()[-1] if output.strip() else ""
            print(f"{environment.name:10} {versions:28} {verdict}: {last}", flush=True)
            if verdict == "failed":
                print(output)
            verdicts.append(verdict)
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("passed", "failed", "skipped"))
    print(f"{len(chosen)} environments in {time.monotonic() - started_s:.0f} s")
    print(f"environments: {counts}")
    required = bool(os.environ.get("REQUIRE_PYTHONS"))
    return int("failed" in verdicts or (required and "skipped" in verdicts))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())

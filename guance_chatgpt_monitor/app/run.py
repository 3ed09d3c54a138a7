"""guance-chatgpt-monitor run COMMAND: start a program that is monitored without a change to its code.

A folder with a `sitecustomize` goes first on PYTHONPATH. Every Python that the program is, or starts, finds
it: `python app.py`, `python -m …`, console scripts, gunicorn and its workers; but not one that ignores the
environment (`python -E`, `-I`, `-S`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List

from .environment import Settings

RUN_PID_VARIABLE = "CHATGPT_MONITOR_RUN_PID"

_FOLDER = str(Path(__file__).resolve().parent / "autostart")


def _warn(line: str) -> None:
    print(line, file=sys.stderr)


def run(command: List[str], strict: bool = False, warn: Callable[[str], None] = _warn) -> int:
    """Become the program `command`, monitored with the settings of the environment.

    If a setting is invalid, the program starts unmonitored and `warn` gets a line; `strict` makes that an
    error. Returns only on Windows, where a process cannot become another, with the exit code, and, like a
    shell, 127 if the program is not found or 126 if it cannot be run. Raises ValueError if there is no
    command or, with `strict`, if a setting is invalid.
    """
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise ValueError("there is no program to run: guance-chatgpt-monitor run python app.py")
    environment = dict(os.environ)
    try:
        Settings.read()
        environment = monitored_environment(environment)
    except ValueError as error:
        if strict:
            raise
        warn(f"guance-chatgpt-monitor: not monitored: {error}; the program starts without")
    if Path(command[0]).name == "opentelemetry-instrument":
        # It goes before us on PYTHONPATH and imports no further `sitecustomize`.
        warn(
            "guance-chatgpt-monitor: not monitored: opentelemetry-instrument is in the way; start it first: "
            "opentelemetry-instrument guance-chatgpt-monitor run python app.py"
        )
    if shutil.which(command[0]) is None:
        hint = f"; try: python {command[0]}" if command[0].endswith(".py") else ""
        warn(f"error: there is no program {command[0]}{hint}")
        return 127
    try:
        if os.name == "nt":
            return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
        sys.stdout.flush()
        sys.stderr.flush()
        os.execvpe(command[0], command, environment)  # noqa: S606
    except OSError as error:
        warn(f"error: {command[0]} cannot be run: {error.strerror}")
        return 126


def monitored_environment(environment: Dict[str, str]) -> Dict[str, str]:
    """`environment`, changed so that every Python monitors its calls."""
    before = environment.get("PYTHONPATH")
    # If it is not empty, an empty entry in it is the current folder.
    folders = before.split(os.pathsep) if before else []
    path = os.pathsep.join([_FOLDER, *(folder for folder in folders if folder != _FOLDER)])
    return {**environment, "PYTHONPATH": path, RUN_PID_VARIABLE: str(os.getpid())}

"""Other Pythons for Func's workers: the oldest supported, and the newest available."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OLDEST = "3.8"  # Func's last public image
ROOT = Path(__file__).resolve().parent.parent
# Set in CI, where a missing Python is a failure instead of a skip.
REQUIRED = bool(os.environ.get("REQUIRE_PYTHONS"))


def newest() -> str:
    """Return the newest Python found, up to 3.13."""
    return next((name for name in ("3.13", "3.12", "3.11") if find(name)), OLDEST)


def find(version: str) -> str | None:
    """Return the path of `pythonX.Y`, from the PATH or pyenv."""
    found = shutil.which(f"python{version}")
    if found and _works(found, version):
        return found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for path in sorted(root.glob(f"versions/{version}.*/bin/python")):
        if _works(str(path), version):
            return str(path)
    return None


def with_packages(version: str) -> str:
    """Return a Python of this version with the packages Func's user installs, or skip the test."""
    base = find(version)
    if base is None:
        message = f"skipped: no python{version} on this machine"
        (pytest.fail if REQUIRED else pytest.skip)(message)
    assert base is not None
    folder = ROOT / f".venv-{version}"
    ready = folder / ".installed"
    with (ROOT / f".venv-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests run in several processes
        if not ready.exists():
            make_environment(base, folder, "openai", "requests", "redis")
            ready.touch()
    return str(folder / "bin" / "python")


def make_environment(base: str, folder: Path, *arguments: str) -> None:
    """Make a virtual environment from the Python `base`, with `pip install` and these arguments."""
    # With pip, this would take most of the tests' time.
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", base, str(folder)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*install, *arguments], check=True)


def _works(path: str, version: str) -> bool:
    # pyenv puts shims on the PATH even for inactive versions.
    result = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return bool(re.match(rf"Python {re.escape(version)}\.", result.stdout))


def current() -> str:
    return sys.executable

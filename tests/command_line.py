"""Runs the command line: in this process, or as a stand-in until Ctrl-C."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import pytest

from guance_chatgpt_monitor.cli.main import main


class Said(NamedTuple):
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err


class CommandLine:
    """Runs commands; none may ever show a traceback."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        code = main(list(arguments))
        said = Said(code, *self._capsys.readouterr())
        assert "Traceback" not in said.everything
        return said


@contextmanager
def local(*arguments: str) -> Iterator[IO[str]]:
    """Yield the output of `local PART`, and stop it with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "guance_chatgpt_monitor", "local", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        # A process in a shell's background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        yield process.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) in (0, 130)
    finally:
        process.kill()
        process.communicate()

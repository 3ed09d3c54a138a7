"""Runs the command line: in this process against stand-ins, or as a stand-in that runs until Ctrl-C."""

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
    """Runs commands. Whatever they do, none may show a traceback."""

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
    """The output of `local PART`, which Ctrl-C ends afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "guance_chatgpt_monitor", "local", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        # A process that a shell starts in the background ignores Ctrl-C, and so does all that it starts.
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

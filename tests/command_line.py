"""The command line, run in this process against stand-ins; what it said."""

from typing import NamedTuple

import pytest

from guance_chatgpt_monitor.cli import main


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

"""Prints a completion script for a shell, made of the command line's own parser.

By shtab, when it is asked for: the script then needs neither shtab nor a start of Python at each Tab,
as argcomplete would.
"""

import argparse
from pathlib import Path
from typing import Any

from ..messages import text
from ..user_error import UserError

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: Any) -> None:
    parser.add_argument("shell", choices=SHELLS, help=text("help.shell"))


def run(options: Any) -> int:
    try:
        import shtab
    except ImportError:
        raise UserError("tools.no_shtab") from None
    from ..parser import whole_parser

    if options.shell not in shtab.SUPPORTED_SHELLS:
        raise UserError("tools.old_shtab", shell=options.shell)
    parser = whole_parser()
    _mark_files(parser, shtab)
    print(shtab.complete(parser, shell=options.shell))
    return 0


def _mark_files(parser: Any, shtab: Any) -> None:
    """Tell shtab which values are files."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                _mark_files(part, shtab)
        elif action.type is Path or action.nargs == argparse.REMAINDER:
            action.complete = shtab.DIR if action.metavar == "DIR" else shtab.FILE

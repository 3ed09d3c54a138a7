"""Starts a Python program whose OpenAI calls are monitored."""

import argparse
from typing import Any

from ..messages import text
from ..user_error import UserError


def add_arguments(parser: Any) -> None:
    parser.add_argument("--strict", action="store_true", help=text("help.strict"))
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM …", help=text("help.program"))


def run(options: Any) -> int:
    from ...app.run import run

    try:
        return run(options.program, options.strict)
    except ValueError as error:
        step = text("tools.run_setting_step" if options.program else "tools.run_no_program_step")
        raise UserError(str(error), step) from None

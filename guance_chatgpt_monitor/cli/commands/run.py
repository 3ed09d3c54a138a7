"""Starts a Python program whose OpenAI calls are monitored."""

import argparse
import sys
from typing import Any

from ..messages import text, translated
from ..terminal import one_line, say
from ..user_error import UserError


def add_arguments(parser: Any) -> None:
    parser.add_argument("--strict", action="store_true", help=text("help.strict"))
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM …", help=text("help.program"))


def run(options: Any) -> int:
    from ...app.run import run

    try:
        return run(options.program, options.strict, lambda line: say(one_line(translated(line)), sys.stderr))
    except ValueError as error:
        step = text("common.setting_step" if options.program else "tools.run_no_program_step")
        raise UserError(translated(str(error)), step) from None

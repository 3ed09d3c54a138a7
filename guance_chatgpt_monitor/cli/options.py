"""What the commands of the command line have in common."""

import argparse
import getpass
import os
import sys
from typing import Any, Callable, Optional, TextIO

from .user_error import ProblemError, check_http_url, check_secret


def add_command(commands: Any, name: str, run: Callable[[Any], int], about: str, example: str) -> Any:
    """Add a command; the lines of `example` stand in its help."""
    command = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"example:\n  guance-chatgpt-monitor {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def say(text: str, file: Optional[TextIO] = None) -> None:
    """Print a line at once. A reader who is gone, as in `| head -1`, does not end the command."""
    try:
        print(text, file=file, flush=True)
    except BrokenPipeError:
        discard_output()


def progress(as_json: bool) -> Callable[[str], None]:
    """What says how a command comes on, a line at a time: beside the JSON, on standard error."""
    file = sys.stderr if as_json else sys.stdout
    return lambda text: say(text, file)


def discard_output() -> None:
    """What is printed from here on, and at the end of Python, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def read_secret(given: str, variable: str, name: str, ask: bool = True) -> str:
    """A secret of an option, else of an environment variable, else asked for at a terminal, else "".

    Raises ProblemError for one that no header can hold.
    """
    secret = given or os.environ.get(variable, "")
    if not secret and ask and sys.stdin.isatty():
        try:
            secret = getpass.getpass(f"{name} (it is not shown): ")
        except EOFError:  # nobody is there
            pass
    return check_secret(secret, name)


def check_urls(openai: str, datakit: str, datakit_step: str) -> None:
    """Those that are given. Raises ProblemError; `datakit_step` is what to do about DataKit's."""
    from ..core.datakit import check_url

    if openai:
        check_http_url(openai, "OpenAI base URL", "https://api.openai.com/v1")
    if datakit:
        try:
            check_url(datakit)
        except ValueError as error:
            raise ProblemError(str(error), datakit_step) from None


def required(value: str, name: str, variable: str, option: str) -> str:
    """`value`, unless it is empty. Raises ProblemError."""
    if not value:
        raise ProblemError(f"no {name} was given", f"give {option}, or export {variable}=…")
    return value

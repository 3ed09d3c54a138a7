"""The entry point: finds the command, runs it, and reports errors in two lines."""

import os
import sys
from typing import List, Optional, Sequence, Tuple

from .messages import current_language, language_of, text, translated, use_language
from .terminal import (
    discard_output,
    one_line,
    paint,
    prepare_output,
    printable,
    report,
    say,
    to_json,
    use_color,
)
from .user_error import UsageError, UserError


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; returns its exit code. Errors are one line and a next step, never a traceback.

    With `--json`, they are an object on standard output, too.
    """
    words = sys.argv[1:] if arguments is None else arguments
    prepare_output()
    use_language(language_of(os.environ, getattr(sys.stdout, "encoding", None) or "ascii"))
    use_color("--no-color" not in words)
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()  # here, where a failure is explained, rather than as Python ends
    except UserError as error:
        for detail in error.details:
            print(printable(detail), file=sys.stderr)
        _tell(words, error.message, error.next_step, error.details)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt as stopped:
        _tell_stopped(str(stopped))
        return 130
    except BrokenPipeError:  # nobody reads any more
        discard_output()
        return 141
    except Exception as error:
        if os.environ.get("CHATGPT_MONITOR_DEBUG"):
            raise
        _tell(words, *_unforeseen(error))
        return 1


def _print_version() -> int:
    from .. import __version__

    print(__version__)
    return 0


def _run(words: List[str]) -> int:
    if words in (["--version"], ["-V"]):  # without a parser
        return _print_version()
    from .parser import COMMANDS, PROGRAM, command_parser, general_parser, language_option, refuse, split

    use_language(language_option(words) or current_language())
    before, name, after = split(words)
    general = general_parser()
    options = general.parse_args(before)
    use_color("--no-color" not in [*before, *(after if name != "run" else ())])
    if not name:
        general.print_help()
        return 0
    if name not in COMMANDS:
        refuse("common.unknown_command", name, COMMANDS, PROGRAM)
    options = command_parser(name).parse_args(after)
    code: int = options.run(options)
    return code


def _unforeseen(error: Exception) -> Tuple[str, str]:
    """The class of an error, never its message, which may contain anything."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + translated(error.strerror), text("common.os_error_step")
    return text("common.unforeseen", name=type(error).__name__), text("common.unforeseen_step")


def _tell(words: List[str], message: str, next_step: str, details: Sequence[str] = ()) -> None:
    try:
        report("error", message, sys.stderr)
        report("next", next_step, sys.stderr)
        if "--json" in words:
            problems = {"problems": list(details)} if details else {}
            say(to_json({"error": message, "next": next_step, **problems}, indent=None))
        sys.stdout.flush()
    except OSError:  # the disk that it would be written to is full
        discard_output()


def _tell_stopped(what: str) -> None:
    """`what` says what was done and what was not; most commands have changed nothing."""
    said = what or text("common.stopped")
    print(paint(one_line(said), "warn", sys.stderr), file=sys.stderr, flush=True)

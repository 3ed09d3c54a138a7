"""The parser of a command: help in the user's language, and the nearest word for a typo."""

import argparse
import re
import shutil
from importlib import import_module
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from .. import __version__
from .messages import LANGUAGES, text
from .terminal import pad, wrap
from .user_error import UsageError

PROGRAM = "guance-chatgpt-monitor"
COMMANDS = (
    "install",
    "check",
    "ask",
    "run",
    "top",
    "demo",
    "assets",
    "build",
    "local",
    "uninstall",
    "completion",
)

# argparse reports errors in English only: (its words, our key).
_ERRORS = (
    (r"argument (?P<name>.+): expected (?:one|at least one|\d+) arguments?", "common.no_value"),
    (r"the following arguments are required: (?P<name>.+)", "common.no_argument"),
    (r"ambiguous option: (?P<name>\S+) could match (?P<matches>.+)", "common.ambiguous"),
    (r"argument (?P<name>.+): ignored explicit argument .+", "common.takes_no_value"),
    (r"argument (?P<name>[^:]+): invalid \w+ value: .+", "common.not_a_number"),
)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def add_usage(
        self, usage: Optional[str], actions: Any, groups: Any, prefix: Optional[str] = None
    ) -> None:
        super().add_usage(usage, actions, groups, text("help.usage") if prefix is None else prefix)

    def start_section(self, heading: Optional[str]) -> None:
        headings = {"positional arguments": "help.arguments", "options": "help.options"}
        headings["optional arguments"] = "help.options"  # until Python 3.9
        super().start_section(text(headings[heading]) if heading in headings else heading)

    def _split_lines(self, text: str, width: int) -> List[str]:
        return wrap(text, width)  # argparse's own takes a Chinese character for one column


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageError."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("formatter_class", _HelpFormatter)
        super().__init__(*arguments, **{**options, "add_help": False})
        self.add_argument("-h", "--help", action="help", help=text("help.help"))

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Raises UsageError."""
        options, further = self.parse_known_args(args, namespace)
        if further:
            word = further[0].partition("=")[0]
            if word.startswith("-"):
                refuse("common.unknown_option", word, self.words(), self.prog)
            refuse("common.unknown_word", word, self.words(), self.prog, "common.quote_spaces")
        return options

    def error(self, message: str) -> Any:
        for pattern, key in _ERRORS:
            found = re.fullmatch(pattern, message)
            if found:
                raise UsageError(key, program=self.prog, **found.groupdict())
        raise UsageError("common.usage", program=self.prog, message=message)

    def words(self) -> List[str]:
        """Options and choices, those of its parts as well."""
        found: List[str] = []
        for action in self._actions:
            found += action.option_strings or map(str, action.choices or ())
            if isinstance(action, argparse._SubParsersAction):
                for part in action.choices.values():
                    found += part.words()
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            refuse("common.not_a_choice", str(value), choices, self.prog, choices=", ".join(choices))


def refuse(
    key: str,
    word: str,
    words: Iterable[str],
    program: str,
    otherwise: str = "common.see_help",
    **values: Any,
) -> None:
    """Raise UsageError for an unknown word; the next step names the nearest of `words`, if one is near."""
    import difflib

    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    step = "common.did_you_mean" if near else otherwise
    next_step = text(step, near="".join(near), program=program)
    raise UsageError(text(key, word=word, **values), next_step)


# ---- the parts of a command line ----


def general_parser() -> Parser:
    """The options before the command; its help covers the whole program."""
    parser = Parser(prog=PROGRAM, usage=text("help.usage_whole", program=PROGRAM))
    _add_general(parser)
    parser.add_argument("--version", action="version", version=__version__, help=text("help.version"))
    parser.description = text("help.about") + "\n\n" + "\n".join(_commands_table())
    parser.epilog = text("help.examples")
    return parser


def _commands_table() -> List[str]:
    width = max(map(len, COMMANDS))
    lines = [text("help.commands")]
    for name in COMMANDS:
        first, *others = wrap(text(f"help.{name}"), _columns() - width - 4)
        lines.append(f"  {pad(name, width)}  {first}")
        lines += [" " * (width + 4) + other for other in others]
    return lines


def _columns() -> int:
    return shutil.get_terminal_size().columns - 2


def command_parser(name: str) -> Parser:
    """The parser of one command."""
    parser = Parser(prog=f"{PROGRAM} {name}")
    fill(parser, name)
    return parser


def fill(parser: Parser, name: str) -> None:
    """Add the command's own options and those that every command has."""
    parser.description = "\n".join(wrap(text(f"help.{name}") + text("help.stop"), _columns()))
    example = f"{text('help.example')}\n  {PROGRAM} " + text(f"help.{name}_example").rstrip()
    parser.epilog = example + "\n"
    command = import_module(f"{__package__}.commands.{name}")
    command.add_arguments(parser)
    if name not in OWN_LANGUAGE:
        _add_general(parser)
    parser.set_defaults(run=command.run)


# `assets` has a --lang of its own, and what follows `run` is a program's.
OWN_LANGUAGE = ("assets", "run")


def _add_general(parser: Parser) -> None:
    parser.add_argument("--lang", choices=LANGUAGES, help=text("help.lang"))
    parser.add_argument("--no-color", action="store_true", help=text("help.no_color"))


def whole_parser() -> Parser:
    """All commands in one parser, for the completion scripts."""
    parser = general_parser()
    commands = parser.add_subparsers(dest="command", parser_class=Parser)
    for name in COMMANDS:
        fill(commands.add_parser(name, help=text(f"help.{name}")), name)
    return parser


def split(arguments: Sequence[str]) -> Tuple[List[str], str, List[str]]:
    """The words before the command, the command ("" if there is none), and the words after it."""
    before: List[str] = []
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            return before, word, list(words)
        before.append(word)
        if word == "--lang":
            before += [value for value in [next(words, None)] if value is not None]
    return before, "", []


def language_option(arguments: Sequence[str]) -> str:
    """The value of --lang, read before parsing, because help texts depend on it; "" without one."""
    before, name, after = split(arguments)
    words = before if name in OWN_LANGUAGE else [*before, *after]
    for word, following in zip(words, [*words[1:], ""]):
        value = following if word == "--lang" else word.partition("--lang=")[2]
        if value in LANGUAGES:
            return value
    return ""

"""Shell completion, made from the command line's own parser."""

import argparse
from pathlib import Path
from typing import Dict, List

PROGRAM = "guance-chatgpt-monitor"
SHELLS = ("bash", "zsh")

_TEMPLATE = """\
# {shell} completion of {program}
{prelude}_{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=""
    case "${{COMP_WORDS[1]}} $previous" in
{values}
    esac
    if [[ $COMP_CWORD -eq 1 ]]; then words="{commands}"
    elif [[ -z $words ]]; then case "${{COMP_WORDS[1]}}" in
{options}
    esac; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _{function} {program}
"""
_FILES = '        "{name} "{option}) COMPREPLY=($(compgen -f -- "$current")); return;;'
_ALL_FILES = '        {name}) COMPREPLY=($(compgen -f -- "$current")); return;;'
_OPTIONS = '        {name}) words="{words}";;'
_CHOICES = '        "{name} "{option}) words="{choices}";;'


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script for bash or zsh, to be sourced."""
    commands = _commands(parser)
    values: List[str] = []
    for name, command in commands.items():
        values += _values(name, command)
    options = [_further(name, command) for name, command in commands.items()]
    # zsh runs bash's completion functions itself.
    prelude = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return _TEMPLATE.format(
        shell=shell,
        program=PROGRAM,
        prelude=prelude,
        function=PROGRAM.replace("-", "_"),
        values="\n".join(values) or "        :) ;;",
        commands=" ".join([*commands, "--help", "--version"]),
        options="\n".join(options),
    )


def _commands(parser: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
    found: Dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def _values(name: str, command: argparse.ArgumentParser) -> List[str]:
    """What may follow an option that takes one of a few words, or a file."""
    lines = []
    for action in command._actions:
        for option in action.option_strings:
            if action.choices:
                choices = " ".join(map(str, action.choices))
                lines.append(_CHOICES.format(name=name, option=option, choices=choices))
            elif action.type is Path:
                lines.append(_FILES.format(name=name, option=option))
    return lines


def _further(name: str, command: argparse.ArgumentParser) -> str:
    """What may follow elsewhere: options, or, of a command that starts another one, files."""
    if any(action.nargs == argparse.REMAINDER for action in command._actions):
        return _ALL_FILES.format(name=name)
    return _OPTIONS.format(name=name, words=" ".join(_words(command)))


def _words(command: argparse.ArgumentParser) -> List[str]:
    words: List[str] = []
    for action in command._actions:
        words += action.option_strings if action.option_strings else map(str, action.choices or ())
    return words

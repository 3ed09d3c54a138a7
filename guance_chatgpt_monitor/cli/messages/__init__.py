"""The messages of the command line: a folder for each language, with the same keys in each.

A key is `file.name`; its message is `name` in TEXTS of that file. A problem is a pair: what is wrong, and
the next step. What other parts of the package say in English is translated by its wording (`zh/quoted.py`).
The tests compare the languages, and look for keys that are missing or unused.
"""

import locale
import os
import re
from importlib import import_module
from typing import Any, Dict, Mapping, Tuple, Union

LANGUAGES = ("en", "zh")
VARIABLE = "CHATGPT_MONITOR_LANG"

Texts = Dict[str, Union[str, Tuple[str, str]]]

_language = LANGUAGES[0]


def use_language(language: str) -> None:
    """Say everything in `language` from here on."""
    global _language
    _language = language


def current_language() -> str:
    return _language


def language_of(environment: Mapping[str, str], encoding: str) -> str:
    """The language that the environment asks for; English where the output's encoding has no Chinese."""
    asked = environment.get(VARIABLE, "").strip().lower()[:2]
    if asked in LANGUAGES:
        return asked
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    name = next(filter(None, names), "")
    if not name and os.name == "nt":
        name = locale.getlocale()[0] or ""
    if not name.lower().startswith(("zh", "chinese")):
        return "en"
    try:
        "中".encode(encoding)
    except (UnicodeError, LookupError):
        return "en"
    return "zh"


def text(key: str, **values: object) -> str:
    """The text of `key`."""
    found = _entry(key)
    return (found if isinstance(found, str) else found[0]).format(**values)


def problem(key: str, **values: object) -> Tuple[str, str]:
    """What is wrong, and the next step."""
    what, next_step = _entry(key)
    return what.format(**values), next_step.format(**values)


def translated(message: str) -> str:
    """`message`, which core, app, assets or the script in Func wrote in English, in the user's language.

    Anything else, such as OpenAI's own words, stays as it is.
    """
    if _language == LANGUAGES[0]:
        return message
    quoted: Dict[str, str] = import_module(f"{__name__}.{_language}.quoted").TEXTS
    for original, translation in quoted.items():
        found = re.fullmatch(_PLACEHOLDER.sub(r"(?P<\1>.+?)", re.escape(original)), message, re.DOTALL)
        if found:
            values = {name: translated(value) for name, value in found.groupdict().items()}
            return translation.format(**values)
    return message


_PLACEHOLDER = re.compile(r"\\{(\w+)\\}")


def english(key: str) -> str:
    """The text of `key` that is the same in every language: what a script goes by."""
    found: str = _entry(key, "en")
    return found


def _entry(key: str, language: str = "") -> Any:
    file, _, name = key.partition(".")
    return import_module(f"{__name__}.{language or _language}.{file}").TEXTS[name]

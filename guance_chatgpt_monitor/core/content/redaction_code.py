"""Secrets in calls: `setPassword("S")`, `get("password", "S")`, `password = f("S")`, `password.equals("S")`.

Programs are full of strings next to such names, so only those that look like secrets count.
"""

import re
from typing import Iterator, Tuple

from .redaction_labels import TOKEN, Label
from .redaction_plausible import is_loose, is_mixed, is_password_like, is_random_enough, is_term

_Extent = Tuple[int, int]

_MAX_STATEMENT_CHARS = 200
_MIN_CHARS = 6
_STRING = re.compile(r"(\\*[\"'`])((?:(?!\1)[^\s\\]|\\[^\"'`\s]){4,128})\1")
# `setPassword(`, `password.equals(`, `password = new Secret(`.
_CALL = re.compile(
    r"(?:\.(?:is_?)?(?:eq|compare)\w{0,20}|[\"']?\]?[ \t]*(?::[^=\n(]{0,40})?=[ \t]*(?:(?:new|await)[ \t]+)?"
    r"(?:\[\])?[\w.:]{0,80}(?:<[^<>\n]{0,40}>)?)?[ \t]?\(",
)
_IS_IN = re.compile(r"[ \t]+(?:not[ \t]+)?in[ \t]*[(\[{]")
# Functions that take a password, without a label for it.
_LOGIN = re.compile(r"login\(|log_in\(|connect\(|connection\(|signin\(|sign_in\(|authenticate\(|basic\(")
# The label is a string, and another string follows.
_NEXT_STRING = re.compile(r"\\*[\"'`](?:[ \t]*,\s{0,20}|;s:[0-9]{1,4}:)(?=\\*[\"'`])")
_ARGUMENT = re.compile(r"\([ \t]*\\*[\"'`][\w.-]*\Z")


def find_passed(text: str, label: Label) -> Iterator[_Extent]:
    """The secret strings in the statement of the label."""
    after = _NEXT_STRING.match(text, label.end)
    if after is not None:
        string = _STRING.match(text, after.end())
        is_argument = _ARGUMENT.search(text, max(0, label.start - 60), label.start) is not None
        if string is not None and _is_secret(string.group(2), label, is_argument):
            yield string.span(2)
        return
    call = _CALL.match(text, label.end) or _IS_IN.match(text, label.end)
    for string in _strings(text, call.end()) if call else ():
        if _is_secret(string.group(2), label, False):
            yield string.span(2)


def find_in_calls(text: str, lowered: str) -> Iterator[_Extent]:
    """Strings that can only be passwords, in `login("bob", "S")` and the like; `lowered` is in lower case."""
    for call in _LOGIN.finditer(lowered):
        for string in _strings(text, call.end()):
            if is_password_like(string.group(2)):
                yield string.span(2)


def _strings(text: str, position: int) -> Iterator["re.Match[str]"]:
    """The strings in the rest of the statement."""
    line_end = text.find("\n", position, position + _MAX_STATEMENT_CHARS)
    return _STRING.finditer(text, position, line_end if line_end >= 0 else position + _MAX_STATEMENT_CHARS)


def _is_secret(chars: str, label: Label, is_argument: bool) -> bool:
    if label.kind == TOKEN:
        return is_random_enough(chars)
    if len(chars) < _MIN_CHARS or not is_loose(chars) or is_term(chars):
        return False
    return is_argument or is_mixed(chars)

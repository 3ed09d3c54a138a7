"""From the template of the script set to the startup script that Func makes of it, and back."""

import re
from typing import Dict, Optional

from ..messages import text
from ..user_error import UserError

# What deploying would alter: (observed) Func escapes no backslash and no line end, and
# interprets dollar signs as JavaScript's replace() does, and takes `"<…>"` for a placeholder.
_UNUSABLE = re.compile(r'[\\\x00-\x1f\x7f\u2028\u2029]|\$[$&`\'0-9<]|"<|^<.*>$')
_PLACEHOLDER_LINE = re.compile(r'(.*?)"<(.+)>"(.*)')


def check_parameter(label: str, value: str) -> str:
    """`value`, if deploying keeps it as it is. Raises UserError."""
    found = _UNUSABLE.search(value)
    if found is None:
        return value
    what = found.group()
    if what.startswith("<"):
        what = text("install.in_brackets")
    elif not what.startswith(("\\", "$", '"')):
        what = text("install.control_character")
    raise UserError("install.odd_parameter", label=label, what=what)


def fill_in(template: str, parameters: Dict[str, str]) -> str:
    """The startup script that deploying makes: `"<label>"` -> `"value"`, or `"" # label` without one."""
    for label, value in parameters.items():
        if value:
            quoted = value.replace('"', '\\"')
            template = template.replace(f'"<{label}>"', f'"{quoted}"', 1)
    return re.sub(r'"<(.+)>"(.*)', r'""\2 # \1', template)


def read_back(template: str, code: str) -> Optional[Dict[str, str]]:
    """The parameters with which `template` gives `code`; None if none do: somebody edited it."""
    lines, wanted = code.split("\n"), template.split("\n")
    if len(lines) != len(wanted):
        return None
    parameters: Dict[str, str] = {}
    for line, pattern in zip(lines, wanted):
        found = _PLACEHOLDER_LINE.fullmatch(pattern)
        if found:
            before, label, after = found.groups()
            given = re.fullmatch(f'{re.escape(before)}"(.*)"{re.escape(after)}', line)
            empty = line == f'{before}""{after} # {label}'
            parameters[label] = given.group(1).replace('\\"', '"') if given and not empty else ""
    return parameters if fill_in(template, parameters) == code else None

"""The readable source of the dashboards and the monitors: YAML in `sources/`, a folder for each.

Strings that differ by language are written as `{zh: …, en: …}`.
"""

import pkgutil
import uuid
from typing import Any

import yaml

LANGUAGES = ("zh", "en")

# PyYAML's own in C, which not every system has, takes a tenth of the 0.3 s.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "guance_chatgpt_monitor.assets")


def load(name: str, language: str) -> Any:
    """The source `name`, such as "openai/overview.yaml". Raises ValueError for an unknown language."""
    if language not in LANGUAGES:
        raise ValueError(f"no such language: {language!r}; there are {', '.join(LANGUAGES)}")
    # get_data reads from a zipped package, too.
    data = pkgutil.get_data(__package__, f"sources/{name}")
    return _in_language(yaml.load(data or b"", _LOADER), language)  # noqa: S506 - a safe loader


def stable_uuid(*path: str) -> str:
    """The same UUID each time for the same path of ids."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(path)))


def _in_language(node: Any, language: str) -> Any:
    if isinstance(node, list):
        return [_in_language(item, language) for item in node]
    if not isinstance(node, dict):
        return node
    if set(node) == set(LANGUAGES):
        return node[language]
    return {key: _in_language(value, language) for key, value in node.items()}

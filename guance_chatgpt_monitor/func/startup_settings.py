"""Reads what a startup script passes to ChatGPTMonitor, by the table in core.settings_table."""

from typing import Any, Dict

from ..core.settings import read_settings
from ..core.settings_table import FUNC, SETTINGS

SERVICE_NAME = "dataflux-func"
_SWITCHES = ("probe", "log_content")


def read_startup_settings(given: Dict[str, Any]) -> Dict[str, Any]:
    """The value of every setting of Func. Raises ValueError, which names the setting but not its value.

    None, an empty string and a tag with an empty value mean "not given": that is what parameters that were
    not filled in and environment variables that are not set look like.
    """
    if isinstance(given.get("tags"), dict):
        given = {**given, "tags": {name: value for name, value in given["tags"].items() if value != ""}}
    for name in _SWITCHES:
        # Startup scripts of the first versions may have 0 or 1 here.
        if not isinstance(given.get(name), (str, type(None))):
            given = {**given, name: bool(given[name])}
    filled_in = {name: (name, value) for name, value in given.items() if not _is_empty(value)}
    values = read_settings(FUNC, filled_in)
    values["service_name"] = values["service_name"] or SERVICE_NAME
    values["default_model"] = values["default_model"] or SETTINGS["default_model"].default
    return values


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

"""What a startup script gives ChatGPTMonitor, read: the values of the table in core.settings."""

from typing import Any, Dict

from ..core.settings import FUNC, SETTINGS, read_settings

SERVICE_NAME = "dataflux-func"
_SWITCHES = ("probe", "log_content")


def read_startup_settings(given: Dict[str, Any]) -> Dict[str, Any]:
    """Every setting of Func with its value. Raises ValueError, which names the setting and not its value.

    None, an empty string, and a tag without a value stand for "not given": so come parameters that were not
    filled in, and environment variables that are not set.
    """
    if isinstance(given.get("tags"), dict):
        given = {**given, "tags": {name: value for name, value in given["tags"].items() if value != ""}}
    for name in _SWITCHES:
        # Startup scripts of the first versions may have 0 or None there, as in any `if`.
        if not isinstance(given.get(name), (str, type(None))):
            given = {**given, name: bool(given[name])}
    filled_in = {name: (name, value) for name, value in given.items() if not _is_empty(value)}
    values = read_settings(FUNC, filled_in)
    values["service_name"] = values["service_name"] or SERVICE_NAME
    values["default_model"] = values["default_model"] or SETTINGS["default_model"].default
    return values


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

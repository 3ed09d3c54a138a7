"""The settings of a monitored application: each from an argument, else the environment, else its default.

`core.settings_table` has them all. The environment variable of a setting is CHATGPT_MONITOR_ and its name in
capitals. An empty one counts as not set, except the backlog's.
"""

import hashlib
import os
import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ..core.settings import read_settings
from ..core.settings_table import APP, SETTINGS

ENVIRONMENT_PREFIX = "CHATGPT_MONITOR_"
FOLDER = "guance_chatgpt_monitor"


def _default(name: str) -> Any:
    return SETTINGS[name].default_in(APP)


@dataclass(frozen=True)
class Settings:
    """Checked settings, as `read()` makes them; `core.settings_table` says what each is."""

    datakit_url: str = _default("datakit_url")
    datakit_ca: str = _default("datakit_ca")
    service_name: str = _default("service_name")
    tags: Dict[str, str] = field(default_factory=dict)
    host: str = _default("host")
    measurement: str = _default("measurement")
    enabled: bool = _default("enabled")
    price_provider: str = _default("price_provider")
    stream_usage: bool = _default("stream_usage")
    backlog: str = _default("backlog")
    backlog_max_lines: int = _default("backlog_max_lines")
    backlog_max_bytes: int = _default("backlog_max_bytes")
    max_queue: int = _default("max_queue")
    max_queue_bytes: int = _default("max_queue_bytes")
    log_content: bool = _default("log_content")
    log_content_max_chars: int = _default("log_content_max_chars")
    log_content_rate: float = _default("log_content_rate")
    log_errors: bool = _default("log_errors")
    redact_patterns: Tuple[str, ...] = _default("redact_patterns")

    @classmethod
    def read(cls, **arguments: Any) -> "Settings":
        """The settings from these arguments, the environment and the defaults. None counts as not given.

        Raises ValueError for an invalid value and TypeError for an unknown name.
        """
        given = {name: (name, value) for name, value in arguments.items() if value is not None}
        for setting in fields(cls):
            variable = ENVIRONMENT_PREFIX + setting.name.upper()
            value = os.environ.get(variable)
            if setting.name not in given and value is not None and (value or setting.name == "backlog"):
                given[setting.name] = (variable, value)
        values = read_settings(APP, given)
        values["service_name"] = values["service_name"] or _program_name()
        if "backlog" not in given:
            values["backlog"] = _default_backlog(values["service_name"], values["datakit_url"])
        return cls(**values)

    def differences(self, other: "Settings") -> List[str]:
        """The names of the settings that differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


def _program_name() -> str:
    # An embedded interpreter may have no argv; without a file, it is "-c" or "-m".
    path = Path((getattr(sys, "argv", None) or [""])[0])
    if path.name == "__main__.py":
        path = path.parent
    name = path.stem if path.suffix in (".py", ".pyc", ".pyz", ".exe") else path.name
    return name[:100] if name and not name.startswith("-") else "python"


def _default_backlog(service_name: str, datakit_url: str) -> str:
    """A file for each service and DataKit: no points must go to another service's DataKit."""
    root = os.environ.get("XDG_STATE_HOME", "")
    if os.name == "nt":
        root = os.environ.get("LOCALAPPDATA", "")
    elif not os.path.isabs(root):  # noqa: PTH117 - as the XDG specification asks
        root = os.path.expanduser("~/.local/state")  # noqa: PTH111
    if not os.path.isabs(root):  # noqa: PTH117
        return ""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", service_name)[:40]
    digest = hashlib.sha256(f"{service_name}\n{datakit_url}".encode("utf-8", "replace")).hexdigest()[:8]
    return str(Path(root) / FOLDER / f"{readable}-{digest}.sqlite3")

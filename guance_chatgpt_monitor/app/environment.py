"""The settings of a monitored application: given as an argument, else by the environment, else the default.

The environment variable of a setting is CHATGPT_MONITOR_ and its name in capitals. An empty one counts as
not set, but for the backlog's.

- `datakit_url`: where DataKit listens. Text, default `http://localhost:9529`.
- `service_name`: the tag that tells applications apart. Text of up to 1024 bytes, default: the program's
  name, without `.py`.
- `tags`: further tags of every point. A dict of texts, in the environment `team=web,region=eu`; up to 55,
  none with a name that the monitor itself uses. Default: none.
- `enabled`: whether anything is monitored. true/false (yes/no, on/off, 1/0), default true.
- `backlog`: the SQLite file where points wait while DataKit is away; the processes of an application share
  it. A path (`~` is the home), default: a file for this service and this DataKit in the folder
  `guance_chatgpt_monitor` of $XDG_STATE_HOME, else of ~/.local/state (Windows: %LOCALAPPDATA%). Empty or
  `off`: in memory only, up to 10,000 points and 8 MiB, which end with the process. Logs wait in a file of
  their own beside it, `…-logging.sqlite3`, in the same bounds.
- `backlog_max_lines`: how many points wait there at most; then the oldest go. 1 to 10,000,000, default
  100,000.
- `backlog_max_bytes`: how many bytes they have at most, as line protocol. 1 to 2^40, default 67,108,864
  (64 MiB); the file is about a tenth larger.
- `measurement`: the name of the points' measurement. Letters, digits and `_ . -`, up to 128; default
  `openai`.
- `stream_usage`: whether to ask the API for the usage of streams, and to hide the chunk that brings it.
  true/false, default false.
- `price_provider`: whose prices hold for a base URL that the price table does not know, such as that of a
  proxy. `openai`, `azure_openai`, another provider of the table, or the host of its API; default: none, and
  such calls have no cost.
- `log_content`: whether what was said, redacted, goes to DataKit as logs, too. true/false, default false.
- `log_content_max_chars`: the length of each text of a log, in characters. 1 to 131,072, default 16,384.
- `log_content_rate`: the share of calls that have a log; those that failed always have one. 0 to 1,
  default 1.
- `redact_patterns`: regular expressions of what is replaced in logs, too. A list of up to 50, in the
  environment as JSON: `["CUST-[0-9]{6}"]`; default: none.
- `max_queue`: how many calls wait in memory for the exporter's thread at most; then further ones are
  dropped and counted. From half of it on they go to the backlog first. 2 to 1,000,000, default 10,000.
"""

import hashlib
import os
import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from ..core.backlog import MAX_BYTES, MAX_LINES
from ..core.datakit import DEFAULT_URL
from ..core.metrics import MEASUREMENT
from ..core.settings import (
    read_measurement,
    read_patterns,
    read_price_provider,
    read_rate,
    read_service_name,
    read_switch,
    read_tags,
    read_text,
    read_url,
    whole_number,
)

ENVIRONMENT_PREFIX = "CHATGPT_MONITOR_"
MAX_QUEUE = 10_000
FOLDER = "guance_chatgpt_monitor"


@dataclass(frozen=True)
class Settings:
    """Checked settings, as `read()` makes them; see the module for each."""

    datakit_url: str = DEFAULT_URL
    service_name: str = ""
    tags: Dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    backlog: str = ""
    backlog_max_lines: int = MAX_LINES
    backlog_max_bytes: int = MAX_BYTES
    measurement: str = MEASUREMENT
    stream_usage: bool = False
    price_provider: str = ""
    log_content: bool = False
    log_content_max_chars: int = 16_384
    log_content_rate: float = 1.0
    redact_patterns: Tuple[str, ...] = ()
    max_queue: int = MAX_QUEUE

    @classmethod
    def read(cls, **arguments: Any) -> "Settings":
        """The settings of these arguments, the environment and the defaults. None counts as not given.

        Raises ValueError for a wrong value and TypeError for a name that is no setting.
        """
        unknown = sorted(set(arguments) - set(_READERS))
        if unknown:
            raise TypeError(f"there is no setting {unknown[0]}: the settings are {', '.join(_READERS)}")
        values = {}
        for name, read in _READERS.items():
            variable = ENVIRONMENT_PREFIX + name.upper()
            source, value = name, arguments.get(name)
            if value is None:
                source, value = variable, os.environ.get(variable)
            if value is None or (value == "" and name != "backlog"):
                continue
            try:
                values[name] = read(value)
            except ValueError as error:
                raise ValueError(f"{source} {error}") from None
        values.setdefault("service_name", _program_name())
        if "backlog" not in values:
            values["backlog"] = _default_backlog(
                values["service_name"], values.get("datakit_url", DEFAULT_URL)
            )
        return cls(**values)

    def differences(self, other: "Settings") -> List[str]:
        """The names of the settings that are not the same."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


def _read_backlog(value: Any) -> str:
    text = read_text(os.fspath(value) if isinstance(value, os.PathLike) else value)
    if text.lower() in ("", "off"):
        return ""
    if "\0" in text:
        raise ValueError("must be a path")
    # Absolute from the start: an application that goes to the background changes its folder.
    path = os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - without an error, unlike Path
    if os.path.isdir(path):  # noqa: PTH112
        raise ValueError("must be a file, not a folder")
    return path


_READERS: Dict[str, Callable[[Any], Any]] = {
    "datakit_url": read_url,
    "service_name": read_service_name,
    "tags": read_tags,
    "enabled": read_switch,
    "backlog": _read_backlog,
    "backlog_max_lines": whole_number(1, 10_000_000),
    "backlog_max_bytes": whole_number(1, 2**40),
    "measurement": read_measurement,
    "stream_usage": read_switch,
    "price_provider": read_price_provider,
    "log_content": read_switch,
    "log_content_max_chars": whole_number(1, 131_072),
    "log_content_rate": read_rate,
    "redact_patterns": read_patterns,
    "max_queue": whole_number(2, 1_000_000),
}


def _program_name() -> str:
    # An embedded interpreter may have no argv; "-c" and "-m" stand there for what is no file.
    path = Path((getattr(sys, "argv", None) or [""])[0])
    if path.name == "__main__.py":
        path = path.parent
    name = path.stem if path.suffix in (".py", ".pyc", ".pyz", ".exe") else path.name
    return name[:100] if name and not name.startswith("-") else "python"


def _default_backlog(service_name: str, datakit_url: str) -> str:
    """A file of its own for each service and DataKit: nobody's points must go to another's DataKit."""
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

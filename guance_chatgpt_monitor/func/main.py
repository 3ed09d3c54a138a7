"""What startup scripts import: the only other script that a task of a warm worker loads.

Each script that a task loads costs Func a round trip to Redis and 1 to 1.5 ms. So everything that does not
depend on the task (the other scripts, the settings, the client) is kept in a module of the process, by the
version of the set and by settings. What does depend on the task is passed in with each call.
"""

from __future__ import annotations  # each task runs this script anew, and would evaluate them

import os
import sys
import types
from typing import Any, Dict, List, Optional

# The build writes the version of the set here. Whoever edits another script of the set by hand has to change
# it too, or restart Func: the workers keep using the scripts that they have.
SET_VERSION = "not built"
MAX_VERSIONS = 3
MAX_MONITORS = 8  # per version: startup scripts with different settings
_PROCESS_MODULE = "guance_chatgpt_monitor_process"


class ChatGPTMonitor:
    """ChatGPT through an authorization link, monitored.

    An upgrade never touches startup scripts, so the names of these parameters stay.

    Args:
        dff: Func's DFF.
        openai_key and the others: see the script `settings_table`; what is not given, or empty, has the
            default there. Times end in `_s` and are in seconds.

    Raises:
        ValueError: a setting is invalid, so that deploying reports it; the message does not quote its value.
    """

    def __init__(
        self,
        dff: Any,
        openai_key: str = "",
        openai_base_url: str = "",
        default_model: str = "",
        datakit_url: str = "",
        service_name: str = "",
        measurement: str = "",
        tags: Optional[Dict[str, str]] = None,
        deadline_s: Optional[float] = None,
        backlog_max_lines: Optional[int] = None,
        backlog_max_bytes: Optional[int] = None,
        openai_admin_key: str = "",
        probe: Optional[bool] = None,
        probe_timeout_s: Optional[float] = None,
        allowed_models: Optional[List[str]] = None,
        max_completion_tokens: Optional[int] = None,
        daily_token_limit: Optional[int] = None,
        timezone: str = "",
        allowed_extras: Optional[List[str]] = None,
        price_provider: str = "",
        log_content: Optional[bool] = None,
        log_content_max_chars: Optional[int] = None,
        log_content_rate: Optional[float] = None,
        redact_patterns: Optional[List[str]] = None,
        host: str = "",
        datakit_ca: str = "",
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "dff")}
        self._task = Task(dff)
        self._monitor = _kept_monitor(given)

    def chat(self, body: Dict[str, Any]) -> Any:
        """Answer one request of the link with OpenAI's own JSON, as a DFF.RESP; makes one point."""
        return self._monitor.chat(self._task, body)

    def collect(self) -> Dict[str, Any]:
        """Deliver what waits, probe OpenAI, report on the monitor itself, and read OpenAI's books."""
        found: Dict[str, Any] = self._monitor.collect(self._task)
        return found


class Task:
    """The parts of a Func task that the kept monitor needs."""

    def __init__(self, dff: Any) -> None:
        self.cache = dff.CACHE
        self.store = dff.STORE
        self.respond = dff.RESP
        self.say = print

    def import_openai(self) -> Any:
        """The SDK. Imported late, so that the set can be deployed before the package is installed."""
        import openai

        return openai


def _kept_monitor(given: Dict[str, Any]) -> Any:
    """The monitor with these settings, of this version, in this process; loaded if there is none yet.

    Kept only once complete: a load that fails, or that Func's time limit interrupts, leaves nothing.
    """
    process = sys.modules.get(_PROCESS_MODULE)
    if process is None:
        process = sys.modules.setdefault(_PROCESS_MODULE, types.ModuleType(_PROCESS_MODULE))
    versions = process.__dict__.setdefault("versions", {})
    version = (SET_VERSION, os.getpid())
    kept = versions.get(version)
    if kept is None:
        kept = versions[version] = {"monitors": {}, "memory": {}}
        _let_go(versions, MAX_VERSIONS)
    monitors = kept["monitors"]
    settings = repr(given)
    monitor = monitors.get(settings)
    if monitor is None:
        monitor = monitors[settings] = _load(given, kept["memory"])
        _let_go(monitors, MAX_MONITORS)
    return monitor


def _let_go(kept: Dict[Any, Any], at_most: int) -> None:
    """The oldest first."""
    while len(kept) > at_most:
        kept.pop(next(iter(kept)))


def _load(given: Dict[str, Any], memory: Dict[str, Any]) -> Any:
    # Imported by the task that finds nothing kept, and only as far as the settings require.
    from .startup_settings import read_startup_settings

    settings = read_startup_settings(given)
    content_log = read = reconciliation = None
    if settings["log_content"]:
        from ..core.content.log_line import ContentLog
        from ..core.content.transcript import read_conversation

        secrets = [settings["openai_key"], settings["openai_admin_key"]]
        content_log = ContentLog(
            settings["log_content_max_chars"],
            settings["log_content_rate"],
            settings["redact_patterns"],
            secrets,
        )
        read = read_conversation
    if settings["openai_admin_key"]:
        from .reconciliation import Reconciliation

        reconciliation = Reconciliation
    from .monitor import Monitor

    return Monitor(settings, memory, content_log, read, reconciliation)

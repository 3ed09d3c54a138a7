"""What startup scripts import, and all that a task of a warm worker loads besides.

Each script that a task loads costs Func a round trip to Redis and 1 to 1.5 ms. So what does not depend on the
task is kept in a module of the process, by the version of the set and by settings: the other scripts, the
settings that were read, the client. What does depend on it is handed to that with each task.
"""

import os
import sys
import types
from typing import Any, Dict, List, Optional

# The build writes here what tells this set from every other. Whoever edits another script of the set by hand
# changes it too, or restarts Func: the workers go on with the scripts that they keep.
SET_VERSION = "not built"
MAX_VERSIONS = 3
MAX_MONITORS = 8  # of a version: startup scripts, each with its settings
_PROCESS_MODULE = "guance_chatgpt_monitor_process"


class ChatGPTMonitor:
    """ChatGPT through an authorization link, monitored.

    `dff` is Func's DFF. Settings that are not given, or empty, have the defaults of the table in the script
    `settings`; a wrong one raises ValueError, so that deploying tells of it. The names of these parameters
    are used by startup scripts, which an upgrade never touches: they stay.
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
        """Answer one request of the link with OpenAI's own JSON, as a DFF.RESP; one point for each."""
        return self._monitor.chat(self._task, body)

    def collect(self) -> Dict[str, Any]:
        """Deliver what waits, probe OpenAI, report on the monitor itself and read OpenAI's books."""
        found: Dict[str, Any] = self._monitor.collect(self._task)
        return found


class Task:
    """What belongs to one task of Func's, for what outlives it."""

    def __init__(self, dff: Any) -> None:
        self.cache = dff.CACHE
        self.store = dff.STORE
        self.respond = dff.RESP
        self.say = print

    def import_openai(self) -> Any:
        """The SDK. Late: a Func where the package is still missing must be able to deploy."""
        import openai

        return openai


def _kept_monitor(given: Dict[str, Any]) -> Any:
    """The monitor of these settings, of this version, in this process; loaded if there is none yet.

    It is kept only when it is whole: a load that fails, or that Func's time limit cuts off, leaves nothing.
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
    """Of the first come."""
    while len(kept) > at_most:
        kept.pop(next(iter(kept)))


def _load(given: Dict[str, Any], memory: Dict[str, Any]) -> Any:
    # Imported here, by the task that finds nothing kept, and only what its settings ask for.
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

"""What the local Func stores: rows as Func's own tables have them, by their ids."""

import copy
import hashlib
import re
import threading
import time
from collections import deque
from datetime import datetime, timezone
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

Row = Dict[str, Any]
Rows = Dict[str, Row]


class Snapshot(NamedTuple):
    """The state as callers and workers see it. `codes` is what is published, by script."""

    codes: Dict[str, str]
    funcs: Rows
    sync_apis: Rows
    api_auths: Rows
    env: Dict[str, Dict[str, str]]


class FuncState:
    """The rows, and how they looked `visible_after_s` ago, which is what Func's server and workers see."""

    def __init__(self, visible_after_s: float, clock: Callable[[], float] = time.time) -> None:
        self.script_sets: Rows = {}
        self.scripts: Rows = {}
        self.funcs: Rows = {}
        self.sync_apis: Rows = {}
        self.api_auths: Rows = {}
        self.env_variables: Rows = {}
        self.cron_jobs: Rows = {}
        self._visible_after_s = visible_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._visible = self._snapshot()
        self._coming: Deque[Tuple[float, Snapshot]] = deque()

    def copy_rows(self) -> Dict[str, Rows]:
        """All that is stored, to come back to."""
        return copy.deepcopy(self._tables())

    def replace_rows(self, tables: Dict[str, Rows]) -> None:
        """Store these instead, seen at once; what is not in `tables` is gone."""
        for name, rows in self._tables().items():
            rows.clear()
            rows.update(copy.deepcopy(tables.get(name, {})))
        with self._lock:
            self._visible = self._snapshot()
            self._coming.clear()

    def _tables(self) -> Dict[str, Rows]:
        return {
            "script_sets": self.script_sets,
            "scripts": self.scripts,
            "funcs": self.funcs,
            "sync_apis": self.sync_apis,
            "api_auths": self.api_auths,
            "env_variables": self.env_variables,
            "cron_jobs": self.cron_jobs,
        }

    def changed(self) -> None:
        """To be called after each change."""
        with self._lock:
            self._coming.append((self._clock() + self._visible_after_s, self._snapshot()))

    def visible(self) -> Snapshot:
        """What is seen by now."""
        with self._lock:
            while self._coming and self._coming[0][0] <= self._clock():
                self._visible = self._coming.popleft()[1]
            return self._visible

    def current(self) -> Snapshot:
        """What is stored: a check before a script is published runs on that."""
        return self._snapshot()

    def _snapshot(self) -> Snapshot:
        codes = {script_id: script["code"] for script_id, script in list(self.scripts.items())}
        env = {
            env_id: {"value": row["valueTEXT"], "type": row["autoTypeCasting"]}
            for env_id, row in list(self.env_variables.items())
        }
        return Snapshot(codes, dict(self.funcs), dict(self.sync_apis), dict(self.api_auths), env)

    def import_sets(self, meta: Row, read: Callable[[str], bytes], origin: str) -> Dict[str, Optional[str]]:
        """Replace the script sets that `meta` lists; their required packages and versions."""
        requirements: Dict[str, Optional[str]] = {}
        for script_set in meta["scriptSets"]:
            set_id = script_set["id"]
            self.delete_set(set_id)
            columns = ("title", "description", "requirements", "originMD5")
            row = {"id": set_id, **{name: script_set.get(name) for name in columns}}
            self.script_sets[set_id] = {**row, "origin": origin, "originId": origin}
            for script in script_set.get("scripts") or ():
                self._import_script(set_id, script, read)
            requirements.update(_requirements(script_set.get("requirements") or ""))
        self.changed()
        return requirements

    def _import_script(self, set_id: str, script: Row, read: Callable[[str], bytes]) -> None:
        script_id = script["id"]
        # Without its type a script has no extension, and its code is not found.
        python = script.get("type") == "python"
        name = script_id.split("__", 1)[1]
        code = read(f"script-sets/{set_id}/{name}.py").decode("utf-8") if python else ""
        self.set_script(script_id, code, script.get("title"), script.get("publishVersion", 0))
        self.set_funcs(script_id, script.get("funcs") or [])

    def set_script(self, script_id: str, code: str, title: Optional[str] = None, version: int = 0) -> None:
        """Add a script, published as it is."""
        set_id = script_id.split("__")[0]
        self.script_sets.setdefault(set_id, {"id": set_id, "title": set_id.title(), "origin": "UNKNOWN"})
        self.scripts[script_id] = {
            "id": script_id,
            "scriptSetId": set_id,
            "title": title,
            "type": "python",
            "publishVersion": version,
            "code": code,
            "codeMD5": md5(code),
            "codeDraft": code,
            "codeDraftMD5": md5(code),
        }

    def set_funcs(self, script_id: str, funcs: List[Row]) -> None:
        """Replace the functions of a script."""
        for func_id in [key for key, func in self.funcs.items() if func["scriptId"] == script_id]:
            del self.funcs[func_id]
        for func in funcs:
            func_id = f"{script_id}.{func['name']}"
            set_id = script_id.split("__")[0]
            updated = datetime.fromtimestamp(self._clock(), timezone.utc).isoformat().replace("+00:00", "Z")
            self.funcs[func_id] = {
                **func,
                "id": func_id,
                "scriptId": script_id,
                "scriptSetId": set_id,
                "updateTime": updated,
            }

    def delete_script(self, script_id: str) -> None:
        """Delete a script and its functions; links and auto-triggers to them stay, and lead nowhere."""
        del self.scripts[script_id]
        self.set_funcs(script_id, [])

    def delete_set(self, set_id: str) -> None:
        """Delete a set, its scripts and their functions."""
        self.script_sets.pop(set_id, None)
        for script_id in [key for key, script in self.scripts.items() if script["scriptSetId"] == set_id]:
            self.delete_script(script_id)


def md5(text: str) -> str:
    """Func's marker of a script's code."""
    return hashlib.md5(text.encode("utf-8")).hexdigest()  # noqa: S324 - Func's own marker, no secret


def _requirements(text: str) -> Dict[str, Optional[str]]:
    found: Dict[str, Optional[str]] = {}
    for line in filter(str.strip, text.split("\n")):
        package, *version = re.split(r"[>=<!]=*", line.strip())
        found[package.split("[")[0]] = version[0] if version else None
    return found

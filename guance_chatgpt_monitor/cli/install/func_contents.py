"""Reads which parts of the monitor are in a Func, through its management API."""

import re
from datetime import datetime
from typing import Any, Dict, List, NamedTuple, Optional

from ..func_client import FuncClient, Row
from .startup_template import read_back

SET_ID = "guance_chatgpt_monitor"
STARTUP_ID = f"startup__{SET_ID}"
CHAT_ID = f"{STARTUP_ID}.chat"
COLLECT_ID = f"{STARTUP_ID}.collect"
ENV_ID = "OPENAI_API_KEY"
# What install makes says so, in a title, description or note: uninstall takes away that, and only that.
MADE_BY = "made by guance-chatgpt-monitor install"

_SETTING = re.compile(r'^([A-Z_]+) = "(.*)"', re.MULTILINE)


class Startup(NamedTuple):
    """The startup script. `parameters` is None when it was edited, or made from another template."""

    code: str
    draft_md5: str
    registered: bool  # its functions are known to Func
    parameters: Optional[Dict[str, str]]
    ours: bool
    deployed_at_s: float = 0.0  # since 1970: when Func registered its functions; 0 if unknown


class FuncContents(NamedTuple):
    """What was found; rows as Func returns them."""

    script_set: Optional[Row]
    startup: Optional[Startup]
    links: List[Row]  # all that lead to chat()
    auths: Dict[str, Row]
    env: Optional[Row]
    cron_job: Optional[Row]

    @property
    def own_link(self) -> Optional[Row]:
        """The link that install made."""
        return next(filter(is_ours, self.links), None)


def read_func_contents(client: FuncClient, new_template: str) -> FuncContents:
    """Read what is there. Raises UserError."""
    script_set = _first(client.list("script-sets", id=SET_ID, _withScripts="true", _withScriptCode="true"))
    templates = (
        [script["code"] for script in script_set["scripts"] if script["id"] == f"{SET_ID}__example"]
        if script_set
        else []
    )
    return FuncContents(
        script_set,
        _read_startup(client, [*templates, new_template]),
        client.list("sync-apis", funcId=CHAT_ID),
        {row["id"]: row for row in client.list("api-auth")},
        _first(client.list("env-variables", id=ENV_ID)),
        _first(client.list("cron-jobs", funcId=COLLECT_ID)),
    )


def is_this_product(script_set: Row) -> bool:
    """Whether the set of our ID is ours: the official market has another of the same."""
    return any("class ChatGPTMonitor" in (script.get("code") or "") for script in script_set["scripts"])


def read_startup_settings(client: FuncClient) -> Dict[str, str]:
    """The settings in the startup script by name, except keys; {} without a script.

    With `LOGS` if it logs content. Raises UserError.
    """
    script = _first(client.list("scripts", id=STARTUP_ID, _withCode="true"))
    code = (script or {}).get("code") or ""
    settings = {name: value for name, value in _SETTING.findall(code) if "KEY" not in name}
    return {**settings, **({"LOGS": "1"} if re.search(r"^\s*log_content=True", code, re.MULTILINE) else {})}


def is_ours(row: Row) -> bool:
    """Whether install made it."""
    return any(MADE_BY in (row.get(name) or "") for name in ("title", "description", "note"))


def read_link_secret(auth: Optional[Row], header: str) -> str:
    """The secret that a link's authentication wants in `header`; "" if it wants something else.

    (read) Func gives the values of fixed fields to those who may see its authentications.
    """
    config = (auth or {}).get("configJSON") or {}
    fields = config.get("fields") or ()
    wanted = (field for field in fields if field["location"] == "header" and field["name"] == header)
    return next((str(field["value"]) for field in wanted), "")


def _read_startup(client: FuncClient, templates: List[str]) -> Optional[Startup]:
    script = _first(client.list("scripts", id=STARTUP_ID, _withCode="true"))
    if script is None:
        return None
    code = script.get("code") or ""
    funcs = client.list("funcs", scriptId=STARTUP_ID)
    known = {row["id"] for row in funcs}
    parameters = None
    if script["codeMD5"] == script["codeDraftMD5"]:  # else an edit waits to be published
        found: Any = (read_back(template, code) for template in templates)
        parameters = next((item for item in found if item is not None), None)
    return Startup(
        code,
        script["codeDraftMD5"],
        {CHAT_ID, COLLECT_ID} <= known,
        parameters,
        is_ours(script),
        max(map(_changed_at_s, funcs), default=0.0),
    )


def _changed_at_s(row: Row) -> float:
    """Deploying and publishing make a script's functions anew."""
    try:
        text = str(row["updateTime"]).replace("Z", "+00:00")
        return datetime.fromisoformat(text).timestamp()
    except (KeyError, ValueError):
        return 0.0


def _first(rows: List[Row]) -> Optional[Row]:
    return rows[0] if rows else None

"""Func's management API, as far as installing and looking after the script set needs it.

With the failures of the real one: a deployment that fails leaves its script, an authentication that is
deleted leaves its link open, a password is not shown again, but the value of a fixed field is. The
answers follow the public source of Func (2024).
"""

import base64
import io
import secrets
import zipfile
from typing import Any, Deque, Dict, NamedTuple, Tuple

import yaml

from .errors import ApiError
from .packages import Packages
from .rows import add, find, record_row, select, without, without_passwords
from .startup import Publisher
from .state import FuncState, Row, Rows, md5

AUTH_TYPES = ("fixedField", "httpBasic")


class Call(NamedTuple):
    """One request, checked: the ids in its path, its query, its body, its file."""

    ids: Tuple[str, ...]
    query: Dict[str, str]
    body: Dict[str, Any]
    file: bytes


class ManagementAPI:
    """What each request of the management API does. Raises ApiError."""

    def __init__(
        self,
        state: FuncState,
        publisher: Publisher,
        packages: Packages,
        records: Deque[Row],
    ) -> None:
        self.state = state
        self.publisher = publisher
        self.packages = packages
        self.records = records
        self._imports: Dict[str, bytes] = {}

    # ---- script sets and scripts ----

    def import_set(self, call: Call) -> Any:
        archive = _open_zip(call.file)
        diff = self._diff(archive)
        if call.body.get("checkOnly") == "true":
            confirm_id = "import-" + secrets.token_hex(8)
            self._imports[confirm_id] = call.file
            return {"requirements": {}, "confirmId": confirm_id, "diff": diff}
        return {"requirements": self._import(archive), "confirmId": "import-unused", "diff": diff}

    def confirm_import(self, call: Call) -> Any:
        content = self._imports.pop(call.body["confirmId"], None)
        if content is None:
            raise ApiError("EBizCondition.ConfirmingImportTimeout", "Confirming import timeout")
        return {"requirements": self._import(_open_zip(content))}

    def _import(self, archive: zipfile.ZipFile) -> Any:
        return self.state.import_sets(yaml.safe_load(archive.read("META.yaml")), archive.read, "user")

    def _diff(self, archive: zipfile.ZipFile) -> Any:
        sets = yaml.safe_load(archive.read("META.yaml"))["scriptSets"]
        kinds = {True: "replace", False: "add"}
        return {
            "scriptSets": [
                {
                    "id": row["id"],
                    "title": row["title"],
                    "diffType": kinds[row["id"] in self.state.script_sets],
                }
                for row in sets
            ]
        }

    def list_sets(self, call: Call) -> Any:
        rows = [dict(row) for row in select(self.state.script_sets, call.query, "id")]
        for row in rows if call.query.get("_withScripts") == "true" else ():
            scripts = [item for item in self.state.scripts.values() if item["scriptSetId"] == row["id"]]
            hidden = () if call.query.get("_withScriptCode") == "true" else ("code",)
            row["scripts"] = [without(item, ("codeDraft", *hidden)) for item in scripts]
        return rows

    def delete_set(self, call: Call) -> Any:
        self.state.delete_set(call.ids[0])
        self.state.changed()
        return {"id": call.ids[0]}

    def deploy(self, call: Call) -> Any:
        given = call.body
        deployed = self.publisher.deploy(
            call.ids[0],
            given.get("configReplacer") or {},
            given.get("startupScriptTitle"),
            bool(given.get("withCronJob")),
        )
        return {"startupScriptId": deployed.script_id, "startupCronJobId": deployed.cron_job_id}

    def list_scripts(self, call: Call) -> Any:
        asked = {"code": "_withCode", "codeDraft": "_withCodeDraft"}
        hidden = [column for column, name in asked.items() if call.query.get(name) != "true"]
        return [without(row, hidden) for row in select(self.state.scripts, call.query, "id", "scriptSetId")]

    def modify_script(self, call: Call) -> Any:
        script = find(self.state.scripts, call.ids[0], "script")
        given = call.body["data"]
        before = call.body.get("prevCodeDraftMD5")
        if before and before != script["codeDraftMD5"]:
            raise ApiError("EBizRequestConflict.scriptDraftAlreadyChanged", "Script draft already changed")
        if "codeDraftBase64" in given:
            given["codeDraft"] = base64.b64decode(given.pop("codeDraftBase64")).decode("utf-8")
        if "codeDraft" in given:
            given["codeDraftMD5"] = md5(given["codeDraft"])
        script.update(given)
        return {"id": script["id"], "codeDraftMD5": script["codeDraftMD5"]}

    def publish_script(self, call: Call) -> Any:
        script = find(self.state.scripts, call.ids[0], "script")
        funcs = self.publisher.publish(script["id"])
        return {"id": script["id"], "publishVersion": script["publishVersion"], "apiFuncs": funcs}

    def delete_script(self, call: Call) -> Any:
        script = find(self.state.scripts, call.ids[0], "script")
        self.state.delete_script(script["id"])
        self.state.changed()
        return {"id": script["id"]}

    def list_funcs(self, call: Call) -> Any:
        return select(self.state.funcs, call.query, "id", "scriptId", "scriptSetId")

    # ---- links and their authentication ----

    def list_links(self, call: Call) -> Any:
        return select(self.state.sync_apis, call.query, "id", "funcId")

    def list_async_apis(self, call: Call) -> Any:
        return select({}, call.query)  # the local Func has none

    def add_link(self, call: Call) -> Any:
        given = call.body["data"]
        find(self.state.funcs, given["funcId"], "func")
        link = add(self.state.sync_apis, given, "sapi")
        self.state.changed()
        return {"id": link["id"], "url": f"/api/v1/sync/{link['id']}"}

    def modify_link(self, call: Call) -> Any:
        return self._modify(self.state.sync_apis, call, "sync API")

    def delete_link(self, call: Call) -> Any:
        return self._delete(self.state.sync_apis, call, "sync API")

    def list_auths(self, call: Call) -> Any:
        rows = select(self.state.api_auths, call.query, "id", "type")
        wanted = call.query.get("title", "")
        return [without_passwords(row) for row in rows if wanted in (row.get("title") or "")]

    def add_auth(self, call: Call) -> Any:
        if call.body["data"]["type"] not in AUTH_TYPES:
            raise ApiError("EClientBadRequest", "the local Func enforces " + " and ".join(AUTH_TYPES))
        row = add(self.state.api_auths, call.body["data"], "apia")
        self.state.changed()
        return {"id": row["id"]}

    def modify_auth(self, call: Call) -> Any:
        return self._modify(self.state.api_auths, call, "API auth")

    def delete_auth(self, call: Call) -> Any:
        return self._delete(self.state.api_auths, call, "API auth")

    # ---- environment variables, auto-triggers, records, packages ----

    def list_env(self, call: Call) -> Any:
        rows = select(self.state.env_variables, call.query, "id")
        return [without(row, ("valueTEXT",) if row["autoTypeCasting"] == "password" else ()) for row in rows]

    def add_env(self, call: Call) -> Any:
        given = {"valueTEXT": "", **call.body["data"]}
        if given["id"] in self.state.env_variables:
            raise ApiError("EBizCondition.DuplicatedEnvVariableID", "ID of ENV Variable already exists")
        row = add(self.state.env_variables, given, "evar")
        self.state.changed()
        return {"id": row["id"]}

    def modify_env(self, call: Call) -> Any:
        return self._modify(self.state.env_variables, call, "env variable")

    def delete_env(self, call: Call) -> Any:
        return self._delete(self.state.env_variables, call, "env variable")

    def list_cron_jobs(self, call: Call) -> Any:
        rows = select(self.state.cron_jobs, call.query, "id", "funcId")
        return [{"lastTaskStatus": None, **row} for row in rows]

    def add_cron_job(self, call: Call) -> Any:
        given = call.body["data"]
        find(self.state.funcs, given["funcId"], "func")
        row = add(self.state.cron_jobs, {"isDisabled": False, **given}, "cron")
        return {"id": row["id"]}

    def modify_cron_job(self, call: Call) -> Any:
        return self._modify(self.state.cron_jobs, call, "cron job")

    def delete_cron_job(self, call: Call) -> Any:
        return self._delete(self.state.cron_jobs, call, "cron job")

    def list_records(self, call: Call) -> Any:
        rows = {record["task_id"]: record_row(record) for record in reversed(self.records)}
        return select(rows, call.query, "funcId", "originId", "origin", "status")

    def list_packages(self, _: Call) -> Any:
        return self.packages.listing()

    def package_status(self, _: Call) -> Any:
        return self.packages.status()

    def install_packages(self, call: Call) -> Any:
        self.packages.install(call.body["packages"])

    def _modify(self, rows: Rows, call: Call, entity: str) -> Any:
        row = find(rows, call.ids[0], entity)
        rows[row["id"]] = {**row, **call.body["data"]}
        self.state.changed()
        return {"id": row["id"]}

    def _delete(self, rows: Rows, call: Call, entity: str) -> Any:
        del rows[find(rows, call.ids[0], entity)["id"]]
        self.state.changed()
        return {"id": call.ids[0]}


def _open_zip(content: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        raise ApiError("EBizCondition.InvalidImportFile", "Invalid import file") from None

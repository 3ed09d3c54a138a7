"""From the template of a script set to the startup script that runs: Func's deploying and publishing."""

import re
from typing import Any, Dict, List, NamedTuple, Optional

from .errors import ApiError
from .pool import Task, TaskResult, WorkerPool
from .state import FuncState, Row, md5

STARTUP_SET = "startup"
PRECHECK_TIMEOUT_S = 60.0
CRON_RECORDS_KEPT = 100


class DeployError(ApiError):
    """The startup script failed when it was run once; it stays as it is."""

    def __init__(self, result: TaskResult) -> None:
        detail = {"exception": result.exception, "traceback": result.traceback}
        message = "Startup Script deploying failed, Please contact the author"
        super().__init__("EStartupScriptDeployFailed", message, detail)

    def __str__(self) -> str:
        return f"{self.detail['exception']}\n{self.detail['traceback']}"


class Deployed(NamedTuple):
    """What deploying made, or found; `cron_job_id` is None without an auto-trigger."""

    script_id: Optional[str] = None
    cron_job_id: Optional[str] = None


class Publisher:
    """Deploys script sets and publishes scripts; both run the script once before."""

    def __init__(self, state: FuncState, pool: WorkerPool) -> None:
        self._state = state
        self._pool = pool

    def deploy(
        self, set_id: str, parameters: Dict[str, Any], title: Optional[str] = None, with_cron_job: bool = True
    ) -> Deployed:
        """Fill in the template, run it once, register its functions and its auto-trigger.

        An existing startup script is left as it is. Raises DeployError; the broken script stays. A value
        that is not a string raises AttributeError, which the real one does not expect either.
        """
        template = self._state.scripts.get(f"{set_id}__example")
        if template is None:
            return Deployed()
        script_id = f"{STARTUP_SET}__{set_id}"
        if script_id not in self._state.scripts:
            self._state.set_script(script_id, fill_in(template["code"], parameters), title or set_id)
            self._state.changed()
        result = self._precheck(script_id)
        if result.status == "failure":
            raise DeployError(result)
        if result.funcs:  # none when it ran past its time, which deploying takes for a success
            self._state.set_funcs(script_id, list(result.funcs))
            self._state.changed()
        return Deployed(script_id, self._cron_job(set_id, script_id, result.funcs) if with_cron_job else None)

    def publish(self, script_id: str) -> List[Row]:
        """Make a script's draft its code; its functions. Raises ApiError; then the code stays."""
        script = self._state.scripts[script_id]
        result = self._precheck(script_id)
        if result.status != "success":
            detail = {"result": {"status": result.status, "exception": result.exception}}
            raise ApiError("EScriptPublishFailed", "Script publishing failed. Please check your code", detail)
        script.update(code=script["codeDraft"], codeMD5=md5(script["codeDraft"]))
        script["publishVersion"] += 1
        self._state.set_funcs(script_id, list(result.funcs))
        self._state.changed()
        return list(result.funcs)

    def _precheck(self, script_id: str) -> TaskResult:
        snapshot = self._state.current()
        codes = {**snapshot.codes, script_id: self._state.scripts[script_id]["codeDraft"]}
        task = Task(script_id, {}, "scriptSet", {}, PRECHECK_TIMEOUT_S, snapshot._replace(codes=codes))
        return self._pool.run(task)

    def _cron_job(self, set_id: str, script_id: str, funcs: Any) -> Optional[str]:
        scheduled = [func for func in funcs if func["extraConfigJSON"].get("fixedCronExpr")]
        if not scheduled:
            return None
        func_id = f"{script_id}.{scheduled[0]['name']}"
        for cron_job_id, cron_job in self._state.cron_jobs.items():
            if cron_job["funcId"] == func_id:
                return cron_job_id
        cron_job_id = f"cron-starup-{set_id}"  # "starup": so the real one spells it
        self._state.cron_jobs[cron_job_id] = {
            "id": cron_job_id,
            "funcId": func_id,
            "funcCallKwargsJSON": {},
            "cronExpr": None,
            "taskRecordLimit": CRON_RECORDS_KEPT,
            "isDisabled": False,
        }
        return cron_job_id


def fill_in(template: str, parameters: Dict[str, Any]) -> str:
    """The startup script: JavaScript's replace() of each placeholder, then of those that are left."""
    for label, value in parameters.items():
        if value:
            quoted = '"' + value.replace('"', '\\"') + '"'
            template = _replace_first(template, f'"<{label}>"', quoted)
    return re.sub(r'"<(.+)>"(.*)', r'""\2 # \1', template)


def _replace_first(text: str, found: str, replacement: str) -> str:
    before, separator, after = text.partition(found)
    if not separator:
        return text
    parts = {"$$": "$", "$&": found, "$`": before, "$'": after}
    return before + re.sub(r"\$[$&`']", lambda match: parts[match.group()], replacement) + after

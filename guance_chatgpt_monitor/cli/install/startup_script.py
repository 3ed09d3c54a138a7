"""The startup script and its auto-trigger: deployed, renewed while nobody edited it, else left alone."""

import base64
from typing import Any, Dict

from ..func_client import FuncClient, FuncError, path_part
from ..messages import text, translated
from ..user_error import UserError
from .func_contents import MADE_BY, SET_ID, STARTUP_ID, FuncContents, Startup
from .startup_template import fill_in
from .steps import KEY_LABEL, InstallOptions, Progress, Step

STARTUP_TITLE = f"ChatGPT ({MADE_BY})"
MAX_EXCEPTION_CHARACTERS = 300

_NAME = "startup_script"


class StartupSetup:
    """`template` is that of the script set to come."""

    def __init__(
        self,
        client: FuncClient,
        found: FuncContents,
        options: InstallOptions,
        template: str,
        progress: Progress,
    ) -> None:
        self._client = client
        self._found = found
        self._options = options
        self._template = template
        self._progress = progress

    def step(self, scripts_change: bool) -> Step:
        """What is to be done about it."""
        startup, cron_job = self._found.startup, self._found.cron_job
        if startup is None:
            what = text("install.deploy", startup=STARTUP_ID)
            return Step(_NAME, "make", what, self._deploy_new)
        if cron_job is not None and cron_job.get("isDisabled"):
            self._progress.warn(text("install.trigger_disabled"))
        if startup.parameters is None:
            self._progress.warn(text("install.startup_edited", startup=STARTUP_ID))
        elif self._wanted_code(startup.parameters) != startup.code:
            return Step(_NAME, "change", text("install.renew"), lambda: self._renew(startup))
        if scripts_change or not startup.registered or cron_job is None:
            return Step(_NAME, "change", text("install.deploy_again"), self._deploy_again)
        return Step(
            _NAME,
            "keep",
            text("install.startup_left" if startup.parameters is None else "install.up_to_date"),
        )

    def _wanted_code(self, present: Dict[str, str]) -> str:
        kept = dict(present)
        if self._options.openai_key:
            kept.pop(KEY_LABEL, None)  # the key given now is in the environment variable
        return fill_in(self._template, {**kept, **self._options.parameters})

    def _deploy_new(self) -> str:
        try:
            self._deploy()
        except UserError:
            # A failed deploy leaves its script, which the next one would take for good (observed).
            self._delete()
            raise
        return text("install.deployed", startup=STARTUP_ID)

    def _delete(self) -> None:
        try:
            self._client.get(f"scripts/{path_part(STARTUP_ID)}/do/delete")
        except UserError:
            pass  # it was never made, or Func is unreachable: report why deploying failed

    def _deploy_again(self) -> str:
        self._deploy()
        return text("install.deployed_again")

    def _deploy(self) -> None:
        body = {
            "withCronJob": True,
            "startupScriptTitle": STARTUP_TITLE,
            # Strings only: anything else crashes Func (observed).
            "configReplacer": self._options.parameters,
        }
        try:
            deployed = self._client.post(f"script-sets/{SET_ID}/do/deploy", body)
        except FuncError as error:
            raise _explain(error) from None
        if not (deployed or {}).get("startupCronJobId"):
            # (read) A script that times out is no failure to Func, but has no functions.
            raise UserError("install.no_functions")

    def _renew(self, startup: Startup) -> str:
        path = f"scripts/{path_part(STARTUP_ID)}/do"
        # In Base64, and only if nobody else changed the draft meanwhile.
        draft = {"codeDraftBase64": _base64(self._wanted_code(startup.parameters or {}))}
        self._client.post(f"{path}/modify", {"prevCodeDraftMD5": startup.draft_md5, "data": draft})
        try:
            # Publishing runs the draft first: one that fails never takes the place of one that runs.
            self._client.post(f"{path}/publish", {"data": {"note": MADE_BY}})
        except FuncError as error:
            self._client.post(f"{path}/modify", {"data": {"codeDraftBase64": _base64(startup.code)}})
            raise _explain(error) from None
        if self._found.cron_job is None:
            self._deploy()
        return text("install.renewed")


def _explain(error: FuncError) -> UserError:
    """Why the startup script fails, of the detail that Func gives; anything else as it is."""
    detail: Any = error.detail if isinstance(error.detail, dict) else {}
    exception = detail.get("exception") or (detail.get("result") or {}).get("exception")
    if not exception:
        return error
    said = str(exception)[:MAX_EXCEPTION_CHARACTERS]
    key = "install.startup_package" if "No module named" in said else "install.startup_fails"
    return UserError(key, said=translated(said))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")

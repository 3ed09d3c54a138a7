"""Takes out of a Func what install made, and only that."""

from typing import Callable, List

from ..func_client import FuncClient, Row
from ..messages import text
from .func_contents import COLLECT_ID, ENV_ID, SET_ID, STARTUP_ID, FuncContents, is_ours
from .steps import Step


def plan_removal(client: FuncClient, found: FuncContents) -> List[Step]:
    """What to remove, in order; what is kept says why. Raises UserError.

    Where the startup script stays, its auto-trigger and the script set stay, too: it does not run without.
    """

    def remove(path: str, what: str) -> Callable[[], str]:
        def run() -> str:
            client.get(path)
            return text("install.removed", what=what)

        return run

    def going(name: str, what: str, path: str) -> Step:
        return Step(name, "remove", what, remove(path, what))

    plan: List[Step] = []
    for link in found.links:
        if is_ours(link):
            plan.append(going("link", link["id"], f"sync-apis/{link['id']}/do/delete"))
        else:
            plan.append(Step("link", "keep", text("install.left_link", link=link["id"])))
    for auth in filter(is_ours, found.auths.values()):
        if auth["id"] in _auths_in_use(client, found):
            plan.append(Step("api_auth", "keep", text("install.left_auth")))
        else:
            plan.append(going("api_auth", auth["id"], f"api-auth/{auth['id']}/do/delete"))
    reason = _reason_to_keep_all(found)
    cron_job: Row = found.cron_job or {}
    parts = (
        ("auto_trigger", COLLECT_ID, f"cron-jobs/{cron_job.get('id')}/do/delete", found.cron_job),
        ("startup_script", STARTUP_ID, f"scripts/{STARTUP_ID}/do/delete", found.startup),
        ("script_set", SET_ID, f"script-sets/{SET_ID}/do/delete", found.script_set),
    )
    for name, what, path, there in parts:
        if there is not None:
            of_others = name == "script_set" and not is_ours(found.script_set or {})
            why = reason or (text("install.left_imported") if of_others else "")
            plan.append(Step(name, "keep", why) if why else going(name, what, path))
    if found.env is not None:
        if is_ours(found.env):
            what = text("install.with_its_key")
            plan.append(going("openai_key", what, f"env-variables/{ENV_ID}/do/delete"))
        else:
            plan.append(Step("openai_key", "keep", text("install.left_env")))
    if any(step.run for step in plan):
        plan.append(Step("packages", "keep", text("install.left_packages")))
    return plan


def _reason_to_keep_all(found: FuncContents) -> str:
    """Why the startup script stays, and with it its auto-trigger and script set; "" if it goes."""
    startup = found.startup
    if startup is not None and startup.parameters is None:
        return text("install.left_edited", startup=STARTUP_ID)
    if startup is not None and not startup.ours:
        return text("install.left_deployed_by_hand", startup=STARTUP_ID)
    return ""


def _auths_in_use(client: FuncClient, found: FuncContents) -> List[str]:
    """(read) A link or asynchronous API whose authentication is deleted is open from then on."""
    rows = client.list("sync-apis") + client.list("async-apis")
    going = {link["id"] for link in found.links if is_ours(link)}
    return [str(row.get("apiAuthId")) for row in rows if row["id"] not in going]

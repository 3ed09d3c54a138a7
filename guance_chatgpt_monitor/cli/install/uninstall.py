"""Takes out of a Func what install made, and only that."""

from typing import Callable, List, NamedTuple

from ..func_client import FuncClient
from .func_contents import COLLECT_ID, ENV_ID, SET_ID, STARTUP_ID, FuncContents, is_ours


class Removal(NamedTuple):
    """One thing that is removed, by a GET of `path`; without one it is left, and `text` says why."""

    name: str
    text: str
    path: str = ""


def plan_removal(client: FuncClient, found: FuncContents) -> List[Removal]:
    """What to remove, in order. Raises UserError."""
    plan: List[Removal] = []
    for link in found.links:
        path = f"sync-apis/{link['id']}/do/delete" if is_ours(link) else ""
        plan.append(Removal("link", link["id"] if path else f"left: {link['id']}, not made by install", path))
    plan += _plan_auths(client, found)
    plan += _plan_startup(found)
    if found.script_set is not None:
        path = f"script-sets/{SET_ID}/do/delete" if is_ours(found.script_set) else ""
        plan.append(Removal("script set", SET_ID if path else "left: not imported by install", path))
    if found.env is not None:
        path = f"env-variables/{ENV_ID}/do/delete" if is_ours(found.env) else ""
        plan.append(Removal(ENV_ID, "with its key" if path else "left: not made by install", path))
    if any(removal.path for removal in plan):
        plan.append(Removal("packages", "left: other scripts may use openai and requests"))
    return plan


def remove(client: FuncClient, plan: List[Removal], say: Callable[[str], None]) -> None:
    """Remove what is planned. Raises UserError; run again, it goes on from there."""
    for removal in plan:
        if removal.path:
            client.get(removal.path)
        say(f"{removal.name:20} {'removed: ' if removal.path else ''}{removal.text}")


def _plan_auths(client: FuncClient, found: FuncContents) -> List[Removal]:
    # (read) A link or asynchronous API whose authentication is deleted is open from then on.
    rows = client.list("sync-apis") + client.list("async-apis")
    going = {link["id"] for link in found.links if is_ours(link)}
    used = {row.get("apiAuthId") for row in rows if row["id"] not in going}
    plan: List[Removal] = []
    for auth in filter(is_ours, found.auths.values()):
        if auth["id"] in used:
            plan.append(Removal("API authentication", "left: another link uses it"))
        else:
            plan.append(Removal("API authentication", auth["id"], f"api-auth/{auth['id']}/do/delete"))
    return plan


def _plan_startup(found: FuncContents) -> List[Removal]:
    startup, cron_job = found.startup, found.cron_job
    if startup is None:
        return []
    if not startup.ours:
        return [Removal("startup script", "left: not deployed by install")]
    plan: List[Removal] = []
    if cron_job is not None:
        plan.append(Removal("auto-trigger", COLLECT_ID, f"cron-jobs/{cron_job['id']}/do/delete"))
    if startup.parameters is None:
        plan.append(Removal("startup script", f"left: {STARTUP_ID} was edited; delete it in Func"))
    else:
        plan.append(Removal("startup script", STARTUP_ID, f"scripts/{STARTUP_ID}/do/delete"))
    return plan

"""What Func itself says: the script set, the startup script, its auto-trigger, its links."""

import json
import time
from typing import Any, Callable, Dict, Iterator

from ...core.call import without_credentials
from ..build import Built
from ..func_client import FuncClient, Row
from ..install.func_contents import COLLECT_ID, SET_ID, STARTUP_ID, FuncContents, Startup, read_func_contents
from ..user_error import UserError
from .finding import Finding, bad, doubtful, from_problem, good
from .prices import check_prices_in_func

# It is due every minute.
AUTO_TRIGGER_LATE_S = 300.0

_INSTALL = "run guance-chatgpt-monitor install"


def check_func(client: FuncClient, built: Built, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong. `built` is what this package would install."""
    try:
        found = read_func_contents(client, built.scripts[f"{SET_ID}__example"])
        yield good("Func", f"{client.url} accepts the access key")
        yield from _check_installed(found, built)
        if found.startup is not None:
            yield from _check_auto_trigger(client, found, clock())
            yield from _check_links(found)
        yield check_prices_in_func(client)
    except UserError as problem:
        yield from_problem("Func", problem)


def _check_installed(found: FuncContents, built: Built) -> Iterator[Finding]:
    if found.script_set is None:
        yield bad("script set", f"{SET_ID} is not there", _INSTALL)
    elif found.script_set.get("originMD5") != built.origin_md5:
        yield doubtful("script set", "is not of this version", f"to bring it up to date, {_INSTALL} again")
    else:
        yield good("script set", f"{SET_ID}, of this version")
    startup = found.startup
    if startup is None:
        yield bad("startup script", f"{STARTUP_ID} is not there", _INSTALL)
    elif not startup.registered:
        yield bad(
            "startup script", "its functions are not registered: it failed when deployed", f"{_INSTALL} again"
        )
    else:
        yield good("startup script", _describe(startup))


def _describe(startup: Startup) -> str:
    """What it was deployed with, but for keys."""
    if startup.parameters is None:
        return "edited, or of an earlier version"
    shown = {name: value for name, value in startup.parameters.items() if value and "key" not in name}
    texts = (f"{name} {without_credentials(v) if 'URL' in name else v}" for name, v in shown.items())
    return ", ".join(["as deployed", *texts])


def _check_auto_trigger(client: FuncClient, found: FuncContents, now_s: float) -> Iterator[Finding]:
    name, cron_job = "auto-trigger", found.cron_job
    if cron_job is None:
        yield bad(name, f"none calls {COLLECT_ID}", f"{_INSTALL} again")
        return
    if cron_job.get("isDisabled"):
        yield bad(name, "it is disabled", "enable it in Func")
        return
    last: Any = cron_job.get("lastTaskStatus")
    if not last:
        yield doubtful(name, "has not run yet", "it is due every minute: wait two, and check again")
        return
    ago_s = now_s - last["timestamp"]
    if ago_s > AUTO_TRIGGER_LATE_S:
        step = "look whether Func's beat and workers run, and compare the clocks of Func and this host"
        yield bad(name, f"last ran {ago_s / 60:.0f} min ago", step)
        return
    if last["status"] == "failure":
        yield bad(
            name,
            f"failed {max(0.0, ago_s):.0f} s ago",
            f"look at its task records in Func, or {_INSTALL} again",
        )
        return
    yield good(name, f"ran {max(0.0, ago_s):.0f} s ago")
    records = client.get("task-records/func/do/list", originId=cron_job["id"], pageSize=1)
    if records:  # none where Func keeps no records
        yield _check_report(_report(records[0]))


def _report(record: Row) -> Dict[str, Any]:
    """What collect() returned."""
    returned = record.get("returnValueJSON")
    try:
        report = json.loads(returned) if isinstance(returned, str) else returned
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _check_report(report: Dict[str, Any]) -> Finding:
    name = "delivery from Func"
    problem = str(report.get("problem") or "")
    waiting, dropped = report.get("backlog_lines") or 0, report.get("dropped") or {}
    if "datakit_up" not in report:
        return doubtful(name, "the auto-trigger gave no report", "look at its task records in Func")
    if not report["datakit_up"]:
        step = f"{waiting} point(s) wait and are delivered when DataKit is back; check it from Func's host"
        return bad(name, problem or "DataKit is away", step)
    if dropped:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        return doubtful(name, f"points were dropped: {counts}", "look at the auto-trigger's task log in Func")
    if problem or waiting:
        return doubtful(
            name, problem or f"{waiting} point(s) wait", "they are due within minutes: check again"
        )
    return good(name, "DataKit is up, nothing waits, nothing was dropped")


def _check_links(found: FuncContents) -> Iterator[Finding]:
    if not found.links:
        yield doubtful("links", "none leads to chat()", f"{_INSTALL} again, or add one in Func")
        return
    shut = [link for link in found.links if not link.get("isDisabled")]
    # (read) An authentication that was deleted leaves its link open.
    unprotected = [link["id"] for link in shut if link.get("apiAuthId") not in found.auths]
    if unprotected:
        what = f"open to anybody: {', '.join(unprotected)}"
        yield doubtful("links", what, "give them an API authentication in Func, or delete them")
    else:
        yield good("links", f"{len(shut)}, with API authentication")

"""Checks Func itself: the script set, the startup script, its auto-trigger, its links."""

import json
import time
from typing import Any, Callable, Dict, Iterator, List

from ...core.call import without_credentials
from ..build import Built
from ..func_client import FuncClient, Row
from ..install.func_contents import (
    COLLECT_ID,
    SET_ID,
    STARTUP_ID,
    FuncContents,
    Startup,
    is_this_product,
    read_func_contents,
)
from ..messages import text, translated
from ..user_error import UserError
from .finding import Finding, bad, doubtful, from_error, good
from .prices import check_prices_in_func

# It is due every minute.
AUTO_TRIGGER_LATE_S = 300.0
RECORDS_READ = 2  # the last report, and the one before: whether the backlog grows


def check_func(client: FuncClient, built: Built, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong. `built` is what this package would install."""
    try:
        found = read_func_contents(client, built.scripts[f"{SET_ID}__example"])
        yield good("func", "check.func_accepts", url=client.url)
        yield from _check_installed(found, built)
        if found.startup is not None:
            yield from _check_auto_trigger(client, found, clock())
            yield from _check_links(client, found)
        yield check_prices_in_func(client)
    except UserError as error:
        yield from_error("func", error)


def _check_installed(found: FuncContents, built: Built) -> Iterator[Finding]:
    if found.script_set is None:
        yield bad("script_set", "check.set_missing", set=SET_ID)
    elif not is_this_product(found.script_set):
        yield bad("script_set", "check.set_of_others", set=SET_ID, title=found.script_set.get("title") or "")
    elif found.script_set.get("originMD5") != built.origin_md5:
        yield doubtful("script_set", "check.set_old")
    else:
        yield good("script_set", "check.set_ok", set=SET_ID)
    startup = found.startup
    if startup is None:
        yield bad("startup_script", "check.startup_missing", startup=STARTUP_ID)
    elif not startup.registered:
        yield bad("startup_script", "check.startup_failed")
    else:
        yield good("startup_script", "check.startup_ok", described=_describe(startup))


def _describe(startup: Startup) -> str:
    """What it was deployed with, except keys."""
    if startup.parameters is None:
        return text("check.startup_edited")
    shown = {name: value for name, value in startup.parameters.items() if value and "key" not in name}
    texts = (f"{name} {without_credentials(v) if 'URL' in name else v}" for name, v in shown.items())
    return text("check.separator").join([text("check.startup_as_deployed"), *texts])


def _check_auto_trigger(client: FuncClient, found: FuncContents, now_s: float) -> Iterator[Finding]:
    name, cron_job = "auto_trigger", found.cron_job
    if cron_job is None:
        yield bad(name, "check.trigger_missing", collect=COLLECT_ID)
        return
    if cron_job.get("isDisabled"):
        yield bad(name, "check.trigger_disabled")
        return
    last: Any = cron_job.get("lastTaskStatus")
    deployed_at_s = found.startup.deployed_at_s if found.startup else 0.0
    if not last or last["timestamp"] < deployed_at_s:
        yield doubtful(name, "check.trigger_not_yet")
        return
    ago_s = max(0.0, now_s - last["timestamp"])
    if ago_s > AUTO_TRIGGER_LATE_S:
        yield bad(name, "check.trigger_late", minutes=f"{ago_s / 60:.0f}")
        return
    if last["status"] == "failure":
        yield bad(name, "check.trigger_failed", seconds=f"{ago_s:.0f}")
        return
    yield good(name, "check.trigger_ok", seconds=f"{ago_s:.0f}")
    path = "task-records/func/do/list"
    records: List[Row] = client.get(path, originId=cron_job["id"], pageSize=RECORDS_READ)
    # Reports from before the last deployment are out of date. Empty if Func keeps no records.
    records = [row for row in records or () if (row.get("triggerTimeMs") or 0) / 1000 >= deployed_at_s]
    if records:
        yield from _check_reports(records)


def _check_reports(records: List[Row]) -> Iterator[Finding]:
    report, earlier = _report(records[0]), _report(records[-1])
    if "datakit_up" not in report:
        yield doubtful("delivery_from_func", "check.no_report")
        return
    yield _check_delivery(report, earlier)
    if report.get("openai_up"):
        yield good("openai_from_func", "check.openai_up")
        return
    said = _words_of_probe(records[0])
    key = "check.openai_down" if report.get("openai_up") is False else "check.openai_unknown"
    if "package" in said:
        key = "check.openai_package"
    make = doubtful if key == "check.openai_unknown" and not said else bad
    yield make("openai_from_func", key, said=translated(said) or text("check.no_words"))


def _report(record: Row) -> Dict[str, Any]:
    """What collect() returned."""
    returned = record.get("returnValueJSON")
    try:
        report = json.loads(returned) if isinstance(returned, str) else returned
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _words_of_probe(record: Row) -> str:
    """What collect() printed of OpenAI."""
    lines = (record.get("printLogsTEXT") or "").splitlines()
    # Func puts the time before each line.
    found = [
        line[line.index("OpenAI ") :] for line in lines if "OpenAI at " in line or "OpenAI is not" in line
    ]
    return found[0] if found else ""


def _check_delivery(report: Dict[str, Any], earlier: Dict[str, Any]) -> Finding:
    name = "delivery_from_func"
    said = translated(str(report.get("problem") or ""))
    waiting, dropped = report.get("backlog_lines") or 0, report.get("dropped") or {}
    if not report["datakit_up"]:
        return bad(name, "check.delivery_down", said=said or text("check.no_words"), n=waiting)
    if dropped:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        return doubtful(name, "check.delivery_dropped", counts=counts)
    before = earlier.get("backlog_lines") or 0
    if waiting > before and before:
        return bad(name, "check.delivery_grows", n=waiting, before=before)
    if said or waiting:
        return doubtful(name, "check.delivery_waits", said=said or text("check.n_wait", n=waiting))
    return good(name, "check.delivery_ok")


def _check_links(client: FuncClient, found: FuncContents) -> Iterator[Finding]:
    if not found.links:
        yield doubtful("links", "check.links_none")
        return
    enabled = [link for link in found.links if not link.get("isDisabled")]
    # (read) An authentication that was deleted leaves its link open.
    unprotected = [link["id"] for link in enabled if link.get("apiAuthId") not in found.auths]
    if unprotected:
        yield doubtful("links", "check.links_open", links=", ".join(unprotected))
    else:
        yield good("links", "check.links_ok", n=len(enabled))
    keeping = [link["id"] for link in found.links if _keeps_records(client, link)]
    if keeping:
        yield doubtful("task_records", "check.records_kept", links=", ".join(keeping))
    else:
        yield good("task_records", "check.records_none")


def _keeps_records(client: FuncClient, link: Row) -> bool:
    """Whether Func keeps a link's questions and answers: by its setting, by default, or in fact."""
    if link.get("taskRecordLimit") != 0:
        return True
    # (read) A Func may take 0 for its default.
    return bool(client.get("task-records/func/do/list", originId=link["id"], pageSize=1))

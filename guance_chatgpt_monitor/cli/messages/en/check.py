"""check. A name is in `--json`, too: those who read it rely on it."""

from typing import Dict

from .. import Text

_INSTALL = "run guance-chatgpt-monitor install"
_RESTART = "then: datakit service -R"
_LISTEN = (
    f'let it listen to others: in datakit.conf, [http_api] listen = "0.0.0.0:9529", {_RESTART}; '
    "in a container, ENV_HTTP_LISTEN=0.0.0.0:9529; in Kubernetes, give http://datakit-service.datakit:9529"
)
_PUBLIC = (
    'allow other hosts: in datakit.conf, [http_api] public_apis = ["/v1/write/metric", "/v1/write/logging", '
    f'"/v1/ping"], {_RESTART}'
)
_RAISE_LIMIT = f"raise the request rate limit under [http_api] in datakit.conf, {_RESTART}"
_TO_HAVE_COST = "if they are to have one: "
_EXTRA = "pip install 'guance-chatgpt-monitor[cost]'"

TEXTS: Dict[str, Text] = {
    "ok": "ok",
    "warn": "warn",
    "fail": "fail",
    "waiting": "checking",
    "summary": "{n} checks: {n_warn} warning(s), {n_fail} failure(s); the worst stands last",
    "summary_ok": "{n} checks: all is well",
    # ---- the chain ----
    "part_setup": "settings",
    "part_func": "application or Func",
    "part_openai": "-> OpenAI",
    "part_datakit": "-> DataKit",
    "part_workspace": "DataKit -> workspace",
    "name_settings": "settings",
    "name_prices": "prices",
    "name_func": "Func",
    "name_script_set": "script set",
    "name_startup_script": "startup script",
    "name_auto_trigger": "auto-trigger",
    "name_links": "links",
    "name_task_records": "task records",
    "name_prices_in_func": "prices in Func",
    "name_link": "link",
    "name_link_authentication": "link authentication",
    "name_openai_reachable": "OpenAI reachable",
    "name_openai_key": "OpenAI key",
    "name_default_model": "default model",
    "name_openai_from_func": "OpenAI from Func",
    "name_datakit_reachable": "DataKit reachable",
    "name_datakit_version": "DataKit version",
    "name_datakit_write": "DataKit write",
    "name_test_point": "test point",
    "name_datakit_logs": "DataKit logs",
    "name_clock": "clock",
    "name_rate_limit": "rate limit",
    "name_delivery_from_func": "delivery from Func",
    "name_uploads": "uploads",
    # ---- settings ----
    "settings": "{sources}",
    "source_func": "Func: with an access key",
    "source_key": "OpenAI: key in {source}",
    "source_base_url": "OpenAI: base URL in {source}",
    "source_datakit": "DataKit: {source}",
    "source_datakit_there": "DataKit: not checked from here, the startup script names Func's own host",
    "source_link": "link: with a secret",
    "source_link_open": "link: without a secret",
    "startup": "the startup script",
    "as_given": "as given",
    "default_address": "the default address",
    "prices": "genai-prices {version}, its latest price of {date}",
    "unknown_date": "an unknown date",
    "prices_broken": (
        "genai-prices is installed, but cannot be imported: points have no cost",
        f"{_EXTRA} --force-reinstall",
    ),
    "prices_none": ("genai-prices is not installed: points have no cost", _TO_HAVE_COST + _EXTRA),
    "prices_none_38": (
        "genai-prices is not installed: points have no cost",
        f"{_TO_HAVE_COST}{_EXTRA}; it needs Python 3.9 or later",
    ),
    "prices_none_func": (
        "genai-prices is not installed: points have no cost",
        f"{_TO_HAVE_COST}install genai-prices with Func's PIP tool; it needs Python 3.9 or later",
    ),
    # ---- OpenAI ----
    "openai_reachable": "{url}",
    "no_key": ("there is none in {source}", "export OPENAI_API_KEY=…"),
    "key_accepted": "accepted (from {source})",
    "key_401": (
        "refused (401): wrong, or withdrawn",
        "make a new key at https://platform.openai.com/api-keys, or check that it was copied whole",
    ),
    "key_403": (
        "not allowed (403): a restricted key, or OpenAI does not serve this place",
        "give the key the permission to list models, or call from a country that OpenAI serves",
    ),
    "key_429": ("rate limited (429)", "wait a minute; if it stays, check the account's limits"),
    "openai_407": (
        "{url} answers {status}, but not with its models",
        "a proxy wants a name and password: put them into HTTPS_PROXY, or the host into NO_PROXY",
    ),
    "openai_404": (
        "{url} answers {status}, but not with its models",
        "check the base URL: OpenAI's own is {official}",
    ),
    "openai_5xx": (
        "{url} answers {status}, but not with its models",
        "wait; https://status.openai.com tells more. A proxy may stand in the way, too",
    ),
    "openai_other": (
        "{url} answers {status}, but not with its models",
        "check the base URL; a proxy or a login page may stand in the way",
    ),
    "openai_redirect": (
        "{url} answers {status}: it sends its callers to {to}",
        "give that address as the base URL, if it is the one you mean; else a login page stands in the way",
    ),
    "model_allowed": "{model} is allowed",
    "model_not_allowed": (
        "the key does not allow {model}",
        "allow it for the key's project, or choose one that is allowed: {named}",
    ),
    # ---- DataKit ----
    "datakit_reachable": "{url}, version {version}, host {host}",
    "datakit_old": (
        "version {version} is older than {oldest}, the oldest that is supported",
        "upgrade DataKit",
    ),
    "dataway_reachable": "{url}, a Dataway",
    "dataway_takes": "Dataway takes points straight into the workspace",
    "dataway_refuses": (
        "{said}",
        "check the address, and the token behind it: Guance, Management / Basic Settings",
    ),
    "socket_refuses": (
        "{said}",
        "see that DataKit runs and listens at this socket (listen_socket in [http_api]), and that this user may write to it",
    ),
    "not_datakit": ("{url} answers, but not as a DataKit", "check the address; a proxy may stand in the way"),
    "refused_local": (
        "connection refused: nothing listens at {address}",
        f"start DataKit: datakit service -S. In a container, localhost is the container: there give the host's address, and {_LISTEN}",
    ),
    "refused_remote": (
        "connection refused: nothing listens at {address}",
        f"see that DataKit runs; by default it listens to its own host only: {_LISTEN}",
    ),
    "datakit_publicAccessDisabled": ("{url} answers {status}: DataKit refuses other hosts", _PUBLIC),
    "datakit_reachMaxAPILimit": (
        "{url} answers {status} reachMaxAPILimit",
        f"the rate limit is reached: {_RAISE_LIMIT}",
    ),
    "datakit_refuses": ("{url} answered {status} {reason}", "look at DataKit's log"),
    "datakit_wants_tls": ("{url} answers {status}: it wants TLS", "begin the address with https://"),
    "datakit_redirect": (
        "{url} answers {status}: it sends its callers to {to}",
        "give the address of DataKit itself; what redirects may be a login page or a gateway",
    ),
    "datakit_401": (
        "{url} answers {status}: something before DataKit wants a password, DataKit itself never does",
        "give DataKit's own address, or let the gateway pass /v1/write/metric and /v1/ping",
    ),
    "datakit_407": ("{url} answers {status}", "a proxy stands in the way: give DataKit's own address"),
    "datakit_404": ("{url} answers {status}", "check the address: something else listens there"),
    "datakit_gateway": (
        "{url} answers {status}: a gateway or proxy, which gets nothing from DataKit behind it",
        "see that DataKit runs (datakit service -T), and which address the gateway has of it",
    ),
    "datakit_other": (
        "{url} answered {status}",
        "look at DataKit's log; if it has nothing, something else answered",
    ),
    "page_instead": (
        "{url} answers a write with a page: it is no DataKit, and what it takes is lost",
        "give DataKit's own address, such as http://localhost:9529",
    ),
    "no_header": (
        "answered 200 without the header X-Datakit: points may be lost",
        "look at DataKit's log; a proxy in between may drop the header",
    ),
    "dry_run": "would be accepted (dry run)",
    "test_point": "accepted: {measurement}, field check",
    "logs_taken": "would be accepted (dry run)",
    "clock_ok": "points keep their times; DataKit's host differs by {skew} s",
    "clock_overwritten": (
        "DataKit overwrites the times of points from this host: they are more than 2 h from its own (its host differs by {skew} s)",
        "correct the clock (NTP), or set auto_timestamp_correction = false under [io] in datakit.conf",
    ),
    "clock_was_overwritten": (
        "points keep their times now; since DataKit started, it gave {n} of ours its own time",
        "they were more than 2 h old: an outage, or a clock that was wrong. If it goes on, correct the clocks (NTP)",
    ),
    "clock_differs": (
        "the clock of DataKit's host differs by {skew} s: points may stand at another time than they were made",
        "compare on both hosts (date -u), and correct the wrong one (NTP)",
    ),
    "clock_unknown": (
        "it cannot be told whether DataKit overwrites our times: its /metrics may not be read from here (its host differs by {skew} s)",
        'run check on DataKit\'s host, or add "/metrics" to public_apis',
    ),
    "rate_ok": "not near: {n} more requests at once went through",
    "rate_ok_limit": "not near: {n} more requests at once went through; the limit is {limit} a second",
    "rate_near": ("near: {n} more requests at once were too many for this host", _RAISE_LIMIT),
    "rate_near_limit": (
        "near: {n} more requests at once were too many for this host; the limit is {limit} a second",
        _RAISE_LIMIT,
    ),
    # ---- the workspace ----
    "uploads_ok": "DataKit sent {n} point(s) to the workspace since it started, and none was refused",
    "uploads_none": (
        "DataKit has sent nothing to the workspace yet",
        "it sends every 10 s: check again; if it stays, look at [dataway] in datakit.conf, and at datakit monitor",
    ),
    "uploads_unknown": (
        "it cannot be told whether points reach the workspace: DataKit's /metrics may not be read from here",
        "run check on DataKit's host, or look there at: datakit monitor",
    ),
    "uploads_token": (
        "Dataway refuses DataKit's token: {n} {category} point(s) {status}, {n_ok} OK",
        "correct the token in [dataway] urls of datakit.conf (Guance, Management / Basic Settings), then: datakit service -R",
    ),
    "uploads_failed": (
        "{n} {category} point(s) were not taken by Dataway ({status}), {n_ok} were",
        "see that DataKit's host reaches the address in [dataway] urls (proxy, firewall, DNS); datakit monitor tells more. It repeats what failed",
    ),
    "uploads_skipped": (
        "DataKit skipped {n} {category} point(s) that it had taken",
        "a log above 1 MiB is one such: lower log_content_max_chars; DataKit's log tells more",
    ),
    "uploads_queue_full": (
        "DataKit dropped {n} {category} point(s): its queue is full",
        "it sends too slowly, or its disk is full: look at datakit monitor",
    ),
    # ---- the link ----
    "link_answers": "answers, in {seconds} s",
    "link_not_ours": (
        "answers {status}, but not as the script",
        "check that the link leads to startup__guance_chatgpt_monitor.chat",
    ),
    "link_protected": "asks for its secret",
    "link_open": (
        "the link answers to anybody: whoever has its address spends the money of your OpenAI key",
        "give it an API authentication in Func, or delete it and run guance-chatgpt-monitor install",
    ),
    # ---- Func ----
    "func_accepts": "{url} accepts the access key",
    "set_missing": ("{set} is not there", _INSTALL),
    "set_of_others": (
        "{set} is there, but it is another product's ({title}): the official market has a set of the same ID",
        f"to replace it by this one, {_INSTALL}; if you need that one, install this in another Func",
    ),
    "set_old": ("is not of this version", f"to bring it up to date, {_INSTALL} again"),
    "set_ok": "{set}, of this version",
    "startup_missing": ("{startup} is not there", _INSTALL),
    "startup_failed": (
        "its functions are not registered: it failed when deployed",
        f"{_INSTALL} again",
    ),
    "startup_ok": "{described}",
    "startup_edited": "edited, or of an earlier version",
    "startup_as_deployed": "as deployed",
    "trigger_missing": ("none calls {collect}", f"{_INSTALL} again"),
    "trigger_disabled": ("it is disabled", "enable it in Func"),
    "trigger_not_yet": (
        "has not run yet since it was deployed",
        "it is due every minute: wait two, and check again",
    ),
    "trigger_late": (
        "last ran {minutes} min ago",
        "look whether Func's beat and workers run, and compare the clocks of Func and this host",
    ),
    "trigger_failed": (
        "failed {seconds} s ago",
        f"look at its task records in Func, or {_INSTALL} again",
    ),
    "trigger_ok": "ran {seconds} s ago",
    "no_report": ("the auto-trigger gave no report", "look at its task records in Func"),
    "no_words": "it said nothing more",
    "n_wait": "{n} point(s) wait",
    "openai_up": "Func reaches OpenAI, and its key is accepted",
    "openai_down": (
        "Func cannot use OpenAI: {said}",
        "check the key in Func's environment variable OPENAI_API_KEY, the base URL, and that Func's host reaches it",
    ),
    "openai_unknown": (
        "Func did not ask OpenAI: {said}",
        "unless you turned the probe off, look at the auto-trigger's task log in Func",
    ),
    "openai_package": (
        "every call fails: {said}",
        f"{_INSTALL} again, which adds the packages, or use Func's PIP tool",
    ),
    "delivery_down": (
        "{said}",
        "{n} point(s) wait and are delivered when DataKit is back; check it from Func's host",
    ),
    "delivery_dropped": ("points were dropped: {counts}", "look at the auto-trigger's task log in Func"),
    "delivery_grows": (
        "the backlog grows: {n} point(s) wait, {before} did before",
        "more comes than DataKit takes: raise its rate limit, or look at its load and its log",
    ),
    "delivery_waits": ("{said}", "they are due within minutes: check again"),
    "delivery_ok": "DataKit is up, nothing waits, nothing was dropped",
    "links_none": ("none leads to chat()", f"{_INSTALL} again, or add one in Func"),
    "links_open": (
        "open to anybody: {links}",
        "give them an API authentication in Func, or delete them",
    ),
    "links_ok": "{n}, with API authentication",
    "records_none": "Func keeps no questions and answers of the links",
    "records_kept": (
        "Func keeps questions and answers in clear text, of: {links}",
        "set the links' task records to 0 in Func, or: guance-chatgpt-monitor install --task-records 0; if they stay, switch off local function task records in Func's system settings",
    ),
}

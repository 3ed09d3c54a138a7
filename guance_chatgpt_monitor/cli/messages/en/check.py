"""check. The names stand in `--json`, too, where scripts rely on them."""

from .. import Texts

_INSTALL = "run guance-chatgpt-monitor install"
_RESTART = "then: datakit service -R"
_LISTEN = (
    f'let it accept other hosts: in datakit.conf, [http_api] listen = "0.0.0.0:9529", {_RESTART}; '
    "in a container, ENV_HTTP_LISTEN=0.0.0.0:9529; in Kubernetes, use http://datakit-service.datakit:9529"
)
_PUBLIC = (
    'allow other hosts: in datakit.conf, [http_api] public_apis = ["/v1/write/metric", "/v1/write/logging", '
    f'"/v1/ping"], {_RESTART}'
)
_RAISE_LIMIT = f"raise the request rate limit under [http_api] in datakit.conf, {_RESTART}"
_EXTRA = "pip install 'guance-chatgpt-monitor[cost]'"

TEXTS: Texts = {
    "ok": "ok",
    "warn": "warn",
    "fail": "fail",
    "waiting": "checking",
    "summary": "{n} check(s): {n_warn} warning(s), {n_fail} failure(s); the worst come last",
    "summary_ok": "{n} check(s): all well",
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
    "separator": "; ",
    "source_func": "Func: with an access key",
    "source_key": "OpenAI: key in {source}",
    "source_base_url": "OpenAI: base URL in {source}",
    "source_datakit": "DataKit: {source}",
    "source_datakit_there": "DataKit: not checked from here, since it is on Func's own host",
    "source_link": "link: with a secret",
    "source_link_open": "link: without a secret",
    "startup": "the startup script",
    "as_given": "as given",
    "default_address": "the default address",
    "prices": "genai-prices {version}, latest price of {date}",
    "unknown_date": "an unknown date",
    "prices_broken": (
        "genai-prices is installed but cannot be imported: points have no cost",
        f"{_EXTRA} --force-reinstall",
    ),
    "prices_none": "genai-prices is not installed: points have no cost",
    "prices_here": f"to add it: {_EXTRA} (Python 3.9 or later)",
    "prices_in_func": "to add it: install genai-prices with Func's PIP tool (Python 3.9 or later)",
    # ---- OpenAI ----
    "openai_reachable": "{url}",
    "no_key": ("{source} holds no key", "export OPENAI_API_KEY=…"),
    "key_accepted": "accepted (from {source})",
    "key_401": (
        "refused (401): wrong or revoked",
        "make a new key at https://platform.openai.com/api-keys, or check that it was copied whole",
    ),
    "key_403": (
        "not allowed (403): the key is restricted, or OpenAI does not serve this region",
        "allow the key to list models, or call from a region that OpenAI serves",
    ),
    "key_429": ("rate limited (429)", "wait a minute; if it persists, check the account's limits"),
    "no_models": "{url} answers {status}, but without a list of models",
    "no_models_407": "the proxy wants a user name and password: put them into HTTPS_PROXY, or the host into NO_PROXY",
    "no_models_404": "check the base URL: OpenAI's own is {official}",
    "no_models_5xx": "wait, and see https://status.openai.com; a proxy may also have answered",
    "no_models_other": "check the base URL; a proxy or a login page may have answered",
    "model_allowed": "{model} is allowed",
    "model_not_allowed": (
        "the key does not allow {model}",
        "allow it for the key's project, or choose one of: {named}",
    ),
    # ---- DataKit ----
    "datakit_reachable": "{url}, version {version}, host {host}",
    "datakit_old": (
        "version {version} is older than {oldest}, the oldest supported",
        "upgrade DataKit",
    ),
    "dataway_reachable": "{url}, a Dataway",
    "dataway_takes": "Dataway writes points straight to the workspace",
    "dataway_refuses": (
        "{said}",
        "check the address and its token: Guance, Management / Basic Settings",
    ),
    "socket_refuses": (
        "{said}",
        "check that DataKit runs and listens on this socket (listen_socket in [http_api]), and that you may write to it",
    ),
    "not_datakit": ("{url} answers, but not as DataKit", "check the address; a proxy may have answered"),
    "refused_local": (
        "connection refused: nothing listens at {address}",
        f"start DataKit: datakit service -S. In a container, localhost is the container: use the host's address, and {_LISTEN}",
    ),
    "refused_remote": (
        "connection refused: nothing listens at {address}",
        f"check that DataKit runs; by default it accepts its own host only: {_LISTEN}",
    ),
    "datakit_publicAccessDisabled": ("{url} answers {status}: DataKit refuses other hosts", _PUBLIC),
    "datakit_reachMaxAPILimit": (
        "{url} answers {status} reachMaxAPILimit",
        f"the rate limit is reached: {_RAISE_LIMIT}",
    ),
    "datakit_refuses": ("{url} answered {status} {reason}", "look at DataKit's log"),
    "datakit_wants_tls": ("{url} answers {status}: it expects TLS", "start the address with https://"),
    "datakit_redirect": (
        "{url} answers {status}, a redirect to {to}",
        "give the address of DataKit itself; a login page or a gateway may have answered",
    ),
    "datakit_401": (
        "{url} answers {status}: something in front of DataKit wants a password; DataKit itself never does",
        "give DataKit's own address, or let the gateway pass /v1/write/metric and /v1/ping",
    ),
    "datakit_407": ("{url} answers {status}", "a proxy answers: give DataKit's own address"),
    "datakit_404": ("{url} answers {status}", "check the address: something else listens there"),
    "datakit_gateway": (
        "{url} answers {status}: a gateway or proxy that gets no answer from DataKit",
        "check that DataKit runs (datakit service -T), and the gateway's address for it",
    ),
    "datakit_other": (
        "{url} answered {status}",
        "look at DataKit's log; if there is nothing in it, something else answered",
    ),
    "page_instead": (
        "{url} answers a write with a web page: it is not DataKit, and points sent there are lost",
        "give DataKit's own address, such as http://localhost:9529",
    ),
    "no_header": (
        "answered 200 without the header X-Datakit: points may be lost",
        "look at DataKit's log; a proxy may drop the header",
    ),
    "dry_run": "would be accepted (dry run)",
    "test_point": "accepted: {measurement}, field check",
    "logs_taken": "would be accepted (dry run)",
    "clock_ok": "points keep their times; the clock of DataKit's host differs by {skew} s",
    "clock_overwritten": (
        "DataKit overwrites the times of points from this host: they differ by more than 2 h from its own (its host: {skew} s)",
        "correct the clock (NTP), or set auto_timestamp_correction = false under [io] in datakit.conf",
    ),
    "clock_was_overwritten": (
        "points keep their times now, but DataKit has overwritten the times of {n} of ours since it started",
        "they were more than 2 h old, after an outage or because a clock was wrong. If it continues, correct the clocks (NTP)",
    ),
    "clock_differs": (
        "the clock of DataKit's host differs by {skew} s: points may be shown at the wrong time",
        "compare the clocks of both hosts (date -u), and correct the wrong one (NTP)",
    ),
    "clock_unknown": (
        "whether DataKit overwrites our times is unknown: its /metrics cannot be read from here (its host differs by {skew} s)",
        'run check on DataKit\'s host, or add "/metrics" to public_apis',
    ),
    "rate_ok": "not near: {n} more requests at once went through{limit}",
    "rate_near": ("near: {n} more requests at once were too many for this host{limit}", _RAISE_LIMIT),
    "rate_is": "; the limit is {limit} a second",
    # ---- the workspace ----
    "uploads_ok": "DataKit has sent {n} point(s) to the workspace since it started; none was refused",
    "uploads_none": (
        "DataKit has sent nothing to the workspace yet",
        "it sends every 10 s: check again; if that stays, look at [dataway] in datakit.conf, and at datakit monitor",
    ),
    "uploads_unknown": (
        "whether points reach the workspace is unknown: DataKit's /metrics cannot be read from here",
        "run check on DataKit's host, or look at datakit monitor there",
    ),
    "uploads_token": (
        "Dataway refuses DataKit's token: {n} {category} point(s) {status}, {n_ok} OK",
        "correct the token in [dataway] urls of datakit.conf (Guance, Management / Basic Settings), then: datakit service -R",
    ),
    "uploads_failed": (
        "Dataway did not take {n} {category} point(s) ({status}); it took {n_ok}",
        "check that DataKit's host reaches the address in [dataway] urls (proxy, firewall, DNS); see datakit monitor. DataKit retries what failed",
    ),
    "uploads_skipped": (
        "DataKit skipped {n} {category} point(s) that it had taken",
        "a log above 1 MiB, for instance: lower log_content_max_chars; see DataKit's log",
    ),
    "uploads_queue_full": (
        "DataKit dropped {n} {category} point(s): its queue is full",
        "it sends too slowly, or its disk is full: see datakit monitor",
    ),
    # ---- the link ----
    "link_answers": "answers in {seconds} s",
    "link_not_ours": (
        "answers {status}, but not as the script",
        "check that the link leads to startup__guance_chatgpt_monitor.chat",
    ),
    "link_protected": "asks for its secret",
    "link_open": (
        "the link is open: anyone with its address can spend your OpenAI credit",
        "give it an API authentication in Func, or delete it and run guance-chatgpt-monitor install",
    ),
    # ---- Func ----
    "func_accepts": "{url} accepts the access key",
    "set_missing": ("{set} is missing", _INSTALL),
    "set_of_others": (
        "{set} belongs to another product ({title}): the official market has a set of the same ID",
        f"to replace it with this one, {_INSTALL}; if you need that one, install this in another Func",
    ),
    "set_old": ("not of this version", f"to update it, {_INSTALL} again"),
    "set_ok": "{set}, of this version",
    "startup_missing": ("{startup} is missing", _INSTALL),
    "startup_failed": (
        "its functions are not registered: it failed when it was deployed",
        f"{_INSTALL} again",
    ),
    "startup_ok": "{described}",
    "startup_edited": "edited, or from an earlier version",
    "startup_as_deployed": "as deployed",
    "trigger_missing": ("none calls {collect}", f"{_INSTALL} again"),
    "trigger_disabled": ("disabled", "enable it in Func"),
    "trigger_not_yet": (
        "has not run yet since it was deployed",
        "it runs every minute: wait two, then check again",
    ),
    "trigger_late": (
        "last ran {minutes} min ago",
        "check that Func's beat and workers run, and compare the clocks of Func and this host",
    ),
    "trigger_failed": (
        "failed {seconds} s ago",
        f"look at its task records in Func, or {_INSTALL} again",
    ),
    "trigger_ok": "ran {seconds} s ago",
    "no_report": ("the auto-trigger gave no report", "look at its task records in Func"),
    "no_words": "no reason given",
    "n_wait": "{n} point(s) wait",
    "openai_up": "Func reaches OpenAI, which accepts its key",
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
        "{n} point(s) wait and will be delivered when DataKit is back; check it from Func's host",
    ),
    "delivery_dropped": ("points were dropped: {counts}", "look at the auto-trigger's task log in Func"),
    "delivery_grows": (
        "the backlog grows: {n} point(s) wait, {before} did before",
        "more arrives than DataKit takes: raise its rate limit, or look at its load and its log",
    ),
    "delivery_waits": ("{said}", "it should be delivered within minutes: check again"),
    "delivery_ok": "DataKit is up, nothing waits, nothing was dropped",
    "links_none": ("none leads to chat()", f"{_INSTALL} again, or add one in Func"),
    "links_open": (
        "open to anyone: {links}",
        "give them an API authentication in Func, or delete them",
    ),
    "links_ok": "{n}, with API authentication",
    "records_none": "Func keeps no questions and answers of the links",
    "records_kept": (
        "Func keeps questions and answers in clear text for: {links}",
        "set the links' task records to 0 in Func, or run guance-chatgpt-monitor install --task-records 0; if they are still kept, turn off local function task records in Func's system settings",
    ),
}

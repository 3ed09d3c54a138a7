"""ask, assets, completion, local, run, top."""

from .. import Texts

TEXTS: Texts = {
    # ---- ask ----
    "asking": "waiting for ChatGPT's answer",
    "tokens": "{n} tokens",
    "tokens_unknown": "tokens unknown",
    "ask_refused": ("{status}: {error}", "run guance-chatgpt-monitor check to find the cause"),
    "no_text": ("the answer has no text", "see all of it with --json"),
    # ---- assets ----
    "importing": "importing into the API key's workspace, at {endpoint}",
    "item_created": "created",
    "item_skipped": "skipped",
    "item_dashboard": "dashboard",
    "item_monitor": "monitor",
    "imported": "{created} created, {skipped} skipped because the name is taken",
    "apply_step": "check --site (or --endpoint) and the API key (DF_API_KEY): Management / API Key Management",
    "api_key": "API key",
    "endpoint": "OpenAPI address",
    "only_with_apply": ("--site, --endpoint and --api-key need --apply", "add --apply, or leave them out"),
    "two_addresses": ("--site and --endpoint both name an address", "give one of them"),
    "unknown_site": (
        "there is no site {site}",
        "choose one of {sites} (see assets --help), or give another address with --endpoint",
    ),
    "no_site": (
        "no site was given",
        "give --site, one of {sites} (see assets --help), or another address with --endpoint",
    ),
    "plain_http": ("over http:// the API key would cross the network in clear text", "use https://"),
    # ---- completion ----
    "no_shtab": (
        "completion scripts need the Python package shtab, which is not installed",
        "pip install 'guance-chatgpt-monitor[completion]' (Python 3.9 or later)",
    ),
    "old_shtab": ("the installed shtab does not support {shell}", "pip install --upgrade shtab"),
    # ---- local ----
    "ctrl_c_stops": "Ctrl-C stops it",
    "no_database": ("{path} cannot be used as a database: {reason}", "give --database another path"),
    "port_taken": ("port {port} is taken", "choose another with --port, or leave it out for a free one"),
    "port_not_allowed": (
        "you may not listen on port {port}",
        "choose one above 1023 with --port, or leave it out for a free one",
    ),
    "no_redis": ("--redis needs the Python package redis, which is not installed", "pip install redis"),
    "redis_unusable": (
        "no Redis answers at the address in --redis",
        "give one such as redis://127.0.0.1:6379/0, or leave it out",
    ),
    "host_not_here": (
        "cannot listen there: --host is not an address of this machine",
        "give --host 127.0.0.1 or 0.0.0.0",
    ),
    "local_datakit": "DataKit stand-in on {url}; to see what it received: open {url} in a browser, or GET {url}/_local/points",
    "local_openai": "OpenAI stand-in, base URL {base_url}; to inject faults: POST {url}/_local/faults",
    "local_func_key": "Its management API: {access} (a new key at each start)",
    "local_func_empty": "Func stand-in on {url}, empty. Try:",
    "local_func": "Func stand-in on {url}, {script} deployed; it uses the key in $OPENAI_API_KEY. Try:",
    # ---- run ----
    "run_no_program_step": "run --help shows an example",
    # ---- top ----
    "top_title": "ChatGPT calls of the last {minutes} min, at {time}",
    "top_model": "model",
    "top_calls": "calls",
    "top_errors": "errors",
    "top_p95": "p95",
    "top_tokens": "tokens",
    "top_cost": "cost",
    "top_all": "all",
    "top_waiting": "{n} line(s) wait for DataKit",
    "top_ctrl_c": "Ctrl-C stops it",
    "top_no_points": (
        "{url} has no points to show: it is not a local DataKit",
        "run guance-chatgpt-monitor local datakit, or leave out --datakit to see what waits in the backlog",
    ),
    "top_no_backlog": (
        "there is no backlog file at {path}",
        "either nothing waits, or your application uses another: set CHATGPT_MONITOR_BACKLOG as it does, or give --datakit",
    ),
    "top_no_home": (
        "there is no backlog file: CHATGPT_MONITOR_BACKLOG is off, or no home folder is known",
        "set CHATGPT_MONITOR_BACKLOG as your application does, or give --datakit",
    ),
    "top_backlog_unreadable": (
        "the backlog file {path} cannot be read ({said})",
        "check that you may read it, and that it is a backlog file",
    ),
}

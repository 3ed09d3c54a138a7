"""ask, build, completion, local, run."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    # ---- ask ----
    "asking": "waiting for ChatGPT's answer",
    "tokens": "{n} tokens",
    "tokens_unknown": "tokens unknown",
    "ask_refused": ("{status}: {error}", "guance-chatgpt-monitor check tells which part is at fault"),
    "no_text": ("the answer has no text", "look at it whole: --json"),
    # ---- build ----
    "market": "script market: serve the folder over HTTP, or push it to a git repository",
    "zip": "Func: Management / Script Set Import",
    "built": "{n} scripts, originMD5 {md5}",
    "not_built": ("{n} problem(s): nothing was built", "correct what stands above, then build again"),
    "out_not_writable": (
        "nothing can be written to {folder}: {reason}",
        "choose another folder with --out",
    ),
    # ---- completion ----
    "no_shtab": (
        "completion scripts are made by the Python package shtab, which is not installed",
        "pip install 'guance-chatgpt-monitor[completion]' (Python 3.9 or later)",
    ),
    "old_shtab": ("the shtab installed here knows no {shell}", "pip install --upgrade shtab"),
    # ---- local ----
    "ctrl_c_stops": "Ctrl-C stops it",
    "no_database": ("{path} cannot be used as a database: {reason}", "give --database another path"),
    "port_taken": ("port {port} is taken", "choose another with --port, or leave it out for a free one"),
    "port_not_allowed": (
        "you may not listen on port {port}",
        "choose one above 1023 with --port, or leave it out for a free one",
    ),
    "local_datakit": "DataKit stand-in on {url}; what it received: open {url} in a browser, or GET {url}/_local/points",
    "local_openai": "OpenAI stand-in, base URL {base_url}; faults: POST {url}/_local/faults",
    "demo_page": "look at it: {url}   (Ctrl-C ends it)",
    "demo_look": "see it drawn: guance-chatgpt-monitor demo --open (in a clone: make demo ARGS=--open)",
    "demo_ended": "ended: {calls} calls were made, {failed} of them failed; all stand-ins are stopped",
    "demo_real": "{count} calls, which cost a little, go to the real OpenAI at {url} with $OPENAI_API_KEY",
    "demo_real_without_key": (
        "--real asks the real OpenAI, and OPENAI_API_KEY is not set",
        "export OPENAI_API_KEY=…, or leave out --real to use the stand-in",
    ),
    "demo_open_alone": (
        "--open shows what the stand-ins do: it goes with neither --datakit, --json nor --real",
        "guance-chatgpt-monitor demo --open",
    ),
    "local_func_key": "Its management API: {access} (another key at each start)",
    "local_func_empty": "Func stand-in on {url}, empty. Try:",
    "local_func": "Func stand-in on {url}, {script} deployed; its OpenAI key is $OPENAI_API_KEY. Try:",
    # ---- run ----
    "run_setting_step": "set it right, or unset it",
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
    "top_ctrl_c": "Ctrl-C ends it",
    "top_no_points": (
        "{url} has no points to show: it is no local DataKit",
        "guance-chatgpt-monitor local datakit, or leave out --datakit to see what waits in the backlog",
    ),
    "top_no_backlog": (
        "there is no backlog file at {path}",
        "nothing waits, or your application has another: set CHATGPT_MONITOR_BACKLOG as it does; or give --datakit",
    ),
    "top_backlog_unreadable": (
        "the backlog file {path} cannot be read ({said})",
        "see that this user may read it, and that it is the backlog's",
    ),
}

"""Help."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "usage": "usage: ",
    "arguments": "arguments",
    "options": "options",
    "example": "example:",
    "stop": ".",
    "usage_whole": "{program} [options] COMMAND …",
    "commands": "commands:",
    "help": "show this help and exit",
    "version": "print the version and exit",
    "lang": "language of help and messages; default: $CHATGPT_MONITOR_LANG, else your locale",
    "no_color": "no colour; the same as NO_COLOR=1",
    "json": "print the result as JSON; progress goes to standard error",
    "about": "Monitors ChatGPT calls with Guance.",
    "examples": """\
examples:
  guance-chatgpt-monitor demo                     see the whole path run, with stand-ins, in seconds
  guance-chatgpt-monitor install --func http://HOST:8088
  guance-chatgpt-monitor check                    say what is wrong, and what to do
  guance-chatgpt-monitor ask "What is Guance?" --link http://HOST:8088/api/v1/al/ID
  guance-chatgpt-monitor run python app.py        monitor a program without changing it
  guance-chatgpt-monitor build                    make dist/ for Func: a script market and an import zip
  guance-chatgpt-monitor assets --lang en --out . write the dashboards and monitors
  guance-chatgpt-monitor COMMAND --help           all options of a command, with examples
""",
    # ---- ask ----
    "ask": "ask ChatGPT one question through the link",
    "ask_example": 'ask "What is Guance?" --link http://HOST:8088/api/v1/al/ID',
    "question": "what to ask",
    "link": "authorization link; default: $CHATGPT_MONITOR_LINK",
    "link_secret": "secret of the link; default: $CHATGPT_MONITOR_LINK_SECRET",
    "ask_model": "default: that of the startup script",
    "system": "a system message",
    # ---- assets ----
    "assets": "write the dashboards and monitors as files, or import them into a Guance or TrueWatch workspace",
    "assets_example": """assets --lang en --out .
  DF_API_KEY=… guance-chatgpt-monitor assets --lang zh --apply --site cn1

Sites of Guance: cn1 Hangzhou, cn2 Ningxia, cn4 Guangzhou, cn6 Hong Kong, me1 UAE. Of TrueWatch: us1 Oregon,
eu1 Frankfurt, ap1 Singapore, za1 South Africa, id1 Jakarta. What has a name that is there is left as it is.""",
    "assets_lang": "language of dashboards and monitors; default: zh",
    "assets_out": "default: this folder",
    "apply": "import through the OpenAPI of your site instead",
    "site": "your site, such as cn1 or us1",
    "endpoint": "OpenAPI address of a site that has no name here",
    "api_key": "better in $DF_API_KEY, which no list of processes shows",
    # ---- build ----
    "build": "build the script set for Func's market and import",
    "build_example": "build --out dist",
    "out": "default: dist",
    "manifest": "default: manifest.yaml of the package",
    # ---- check ----
    "check": "say what is wrong between OpenAI, Func, DataKit and the workspace, and what to do",
    "check_example": """check
  guance-chatgpt-monitor check --datakit http://HOST:9529
  guance-chatgpt-monitor check --link http://HOST:8088/api/v1/al/ID --openai
  guance-chatgpt-monitor check --func http://HOST:8088 --json

With no part named, DataKit is checked and whatever the environment tells of: OPENAI_API_KEY,
CHATGPT_MONITOR_DATAKIT_URL, CHATGPT_MONITOR_LINK with CHATGPT_MONITOR_LINK_SECRET, FUNC_URL with FUNC_AK_ID
and FUNC_AK_SECRET. Where nothing else is said, the addresses are those of the startup script installed in
Func. A part that an option belongs to, such as --model to OpenAI, is checked in any case.
No check costs a token. The exit code is that of the worst finding: 0 ok, 1 warn, 2 fail.""",
    "check_openai": "check OpenAI",
    "check_key_env": "default: OPENAI_API_KEY",
    "check_base_url": "default: $OPENAI_BASE_URL, else the startup script's, else OpenAI's own",
    "check_model": "model that must be allowed; default: the startup script's, else gpt-4o-mini",
    "check_datakit": "check DataKit, as this host reaches it",
    "check_logs": "check that DataKit takes logs, too (log_content)",
    # ---- completion ----
    "completion": "print a completion script for bash, zsh or fish",
    "completion_example": """completion bash >> ~/.bashrc
  echo 'eval "$(guance-chatgpt-monitor completion zsh)"' >> ~/.zshrc
  guance-chatgpt-monitor completion fish > ~/.config/fish/completions/guance-chatgpt-monitor.fish""",
    "shell": "your shell",
    # ---- demo ----
    "demo": "call ChatGPT through a local Func and show the points",
    "demo_example": "demo\n  guance-chatgpt-monitor demo --open",
    "demo_open": "keep it running, with a call every second or so, and open the page that draws it; Ctrl-C ends it",
    "demo_real": "ask the real OpenAI with $OPENAI_API_KEY, in a few calls that cost money; default: a stand-in",
    "demo_datakit": "a real DataKit; default: a stand-in on this machine",
    # ---- install, uninstall ----
    "install": "install the script set in a running Func, or bring it up to date",
    "install_example": """install --func http://HOST:8088 --dry-run
  guance-chatgpt-monitor install --func http://HOST:8088 --datakit http://HOST:9529 --service shop

secrets come from the environment, or are asked for:
  export FUNC_AK_ID=ak-…         access key of Func: Management / Access Key
  export FUNC_AK_SECRET=…
  export OPENAI_API_KEY=sk-…     goes into Func's environment variables, never into a script; once one is
                                 there, only --openai-key-env NAME or --openai-key replaces it
on Func's own host, in place of the access key: FUNC_LOCALHOST_TOKEN, from /data/localhost-auth-token of its
container.

Run again, it brings up to date what differs, and leaves what you changed.""",
    "func_url": "address of Func, such as http://HOST:8088; default: $FUNC_URL",
    "ak_id": "access key of Func; default: $FUNC_AK_ID",
    "ak_secret": "default: $FUNC_AK_SECRET, else it is asked for",
    "openai_key": "others on this host can see it: prefer the variable",
    "openai_key_env": "variable that holds the key",
    "openai_base_url": "default: https://api.openai.com/v1",
    "model": "default model; default: gpt-4o-mini",
    "datakit": "DataKit as Func reaches it; default: http://localhost:9529",
    "service": "service_name of the points; default: dataflux-func",
    "open": "a link without API authentication: whoever has it spends your money",
    "calls_per_minute": "throttling of the link; default: 60",
    "task_records": "calls of the link that Func keeps, questions and answers in clear text; default: 0, at most 10000",
    "no_packages": "do not let Func install the Python packages openai, requests",
    "pip_index": "where Func gets packages; default: its own setting",
    "dry_run": "print the steps, change nothing",
    "uninstall": "take out of Func what install made, and only that",
    "uninstall_example": "uninstall --func http://HOST:8088 --dry-run",
    # ---- local ----
    "local": "run a stand-in for Func, DataKit or OpenAI alone",
    "local_example": "local openai --port 9000",
    "local_func": "a stand-in for Func, with the script set deployed",
    "local_datakit": "a stand-in for DataKit",
    "local_openai": "a stand-in for OpenAI",
    "port": "default: a free one",
    "local_openai_url": "OpenAI base URL to deploy with",
    "local_host": "address to listen on, such as 0.0.0.0 for containers; default: 127.0.0.1, this machine only",
    "database": "keep the points in this SQLite file; default: in memory, until it ends",
    "forgetful": "lose what came in the last 10 s whenever it ends, as a real DataKit does (with --database)",
    "local_datakit_url": "DataKit URL to deploy with",
    "redis": "a Redis for DFF.CACHE; default: memory",
    "empty": "without the script set, to try install",
    # ---- top ----
    "top": "show live the calls that a local DataKit has, or that wait in the backlog, by model",
    "top_example": """top --datakit http://127.0.0.1:9529
  guance-chatgpt-monitor top --once --minutes 60

A real DataKit keeps no points to be asked for: of one that is down, the backlog files of
this user's applications have them (or the one that CHATGPT_MONITOR_BACKLOG names). They are only read.""",
    "top_datakit": "address of `local datakit` or of the demo's; default: the backlog file",
    "top_minutes": "how far back; default: 15",
    "top_once": "print it once, do not refresh",
    # ---- run ----
    "run": "start a Python program whose OpenAI calls are monitored",
    "run_example": """run python app.py
  CHATGPT_MONITOR_SERVICE_NAME=shop guance-chatgpt-monitor run gunicorn shop:app""",
    "strict": "a wrong setting is an error; else the program starts unmonitored",
    "program": "as you start it now",
}

"""Help."""

from .. import Texts

TEXTS: Texts = {
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
  guance-chatgpt-monitor demo                     see the whole path run in seconds, with stand-ins
  guance-chatgpt-monitor install --func http://HOST:8088
  guance-chatgpt-monitor check                    find out what is wrong, and what to do
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
    "ask_model": "default: the startup script's",
    "system": "a system message",
    # ---- assets ----
    "assets": "write the dashboards and monitors as files, or import them into a Guance or TrueWatch workspace",
    "assets_example": """assets --lang en --out .
  DF_API_KEY=… guance-chatgpt-monitor assets --lang zh --apply --site cn1

Sites of Guance: cn1 Hangzhou, cn2 Ningxia, cn4 Guangzhou, cn6 Hong Kong, me1 UAE. Of TrueWatch: us1 Oregon,
eu1 Frankfurt, ap1 Singapore, za1 South Africa, id1 Jakarta. Those whose name is taken are left as they are.""",
    "assets_lang": "language of dashboards and monitors; default: zh",
    "assets_out": "default: this folder",
    "apply": "import them through your site's OpenAPI instead",
    "site": "your site, such as cn1 or us1",
    "endpoint": "OpenAPI address of any other site",
    "api_key": "prefer $DF_API_KEY, which process lists do not show",
    # ---- build ----
    "build": "build the script set for Func's script market and import",
    "build_example": "build --out dist",
    "out": "default: dist",
    "manifest": "default: the package's manifest.yaml",
    # ---- check ----
    "check": "find out what is wrong between OpenAI, Func, DataKit and the workspace, and what to do",
    "check_example": """check
  guance-chatgpt-monitor check --datakit http://HOST:9529
  guance-chatgpt-monitor check --link http://HOST:8088/api/v1/al/ID --openai
  guance-chatgpt-monitor check --func http://HOST:8088 --json

Without options, it checks DataKit and whatever the environment names: OPENAI_API_KEY,
CHATGPT_MONITOR_DATAKIT_URL, CHATGPT_MONITOR_LINK with CHATGPT_MONITOR_LINK_SECRET, FUNC_URL with FUNC_AK_ID
and FUNC_AK_SECRET. Unless given, addresses are taken from the startup script installed in Func. An option
of one part, such as --model of OpenAI, has that part checked.
No check costs tokens. The exit code is that of the worst finding: 0 ok, 1 warn, 2 fail.""",
    "check_openai": "check OpenAI",
    "check_key_env": "default: OPENAI_API_KEY",
    "check_base_url": "default: $OPENAI_BASE_URL, else the startup script's, else OpenAI's own",
    "check_model": "model the key must be allowed to use; default: the startup script's, else gpt-4o-mini",
    "check_datakit": "check DataKit, as this host reaches it",
    "check_logs": "also check that DataKit takes logs (log_content)",
    # ---- completion ----
    "completion": "print a completion script for bash, zsh or fish",
    "completion_example": """completion bash >> ~/.bashrc
  echo 'eval "$(guance-chatgpt-monitor completion zsh)"' >> ~/.zshrc
  guance-chatgpt-monitor completion fish > ~/.config/fish/completions/guance-chatgpt-monitor.fish""",
    "shell": "your shell",
    # ---- demo ----
    "demo": "call ChatGPT through a local Func and show the points",
    "demo_example": "demo\n  guance-chatgpt-monitor demo --open",
    "demo_open": "keep running, with a call about every second, and open the page that draws them; Ctrl-C stops it",
    "demo_real": "make a few calls to the real OpenAI with $OPENAI_API_KEY, which cost money; default: a stand-in",
    "demo_datakit": "a real DataKit; default: a stand-in on this machine",
    # ---- install, uninstall ----
    "install": "install the script set in a running Func, or update it",
    "install_example": """install --func http://HOST:8088 --dry-run
  guance-chatgpt-monitor install --func http://HOST:8088 --datakit http://HOST:9529 --service shop

Secrets come from the environment; install asks for missing ones:
  export FUNC_AK_ID=ak-…         access key of Func: Management / Access Key
  export FUNC_AK_SECRET=…
  export OPENAI_API_KEY=sk-…     goes into Func's environment variables, never into a script; if one is
                                 already there, only --openai-key-env NAME or --openai-key replaces it
On Func's own host, FUNC_LOCALHOST_TOKEN can replace the access key: it is in /data/localhost-auth-token of
Func's container.

Run again, install updates what differs, and leaves what you changed.""",
    "func_url": "address of Func, such as http://HOST:8088; default: $FUNC_URL",
    "ak_id": "access key of Func; default: $FUNC_AK_ID",
    "ak_secret": "default: $FUNC_AK_SECRET, else it is asked for",
    "openai_key": "other users of this host can see it: prefer the variable",
    "openai_key_env": "variable that holds the key",
    "openai_base_url": "default: https://api.openai.com/v1",
    "model": "default model; default: gpt-4o-mini",
    "datakit": "DataKit as Func reaches it; default: http://localhost:9529",
    "service": "service_name of the points; default: dataflux-func",
    "open": "no API authentication: anyone with the link can spend your OpenAI credit",
    "calls_per_minute": "limit of the link; default: 60",
    "task_records": "how many of the link's calls Func keeps, questions and answers in clear text; default: 0, at most 10000",
    "no_packages": "do not let Func install the Python packages openai and requests",
    "pip_index": "where Func gets packages; default: its own setting",
    "dry_run": "print the steps, change nothing",
    "uninstall": "remove from Func what install made, and only that",
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
    "database": "keep the points in this SQLite file; default: in memory, until it stops",
    "forgetful": "when stopped, lose what came in the last 10 s, as a real DataKit does (with --database)",
    "local_datakit_url": "DataKit URL to deploy with",
    "redis": "a Redis for DFF.CACHE; default: memory",
    "empty": "without the script set, to try install",
    # ---- top ----
    "top": "show live, by model, the calls that a local DataKit received or that wait in the backlog",
    "top_example": """top --datakit http://127.0.0.1:9529
  guance-chatgpt-monitor top --once --minutes 60

A real DataKit keeps no points that could be read back. While it is down, they wait in the backlog files of
your applications (or the one that CHATGPT_MONITOR_BACKLOG names), which top only reads.""",
    "top_datakit": "address of `local datakit`, or of the demo's DataKit; default: read the backlog files",
    "top_minutes": "how far back; default: 15",
    "top_once": "print once, do not refresh",
    # ---- run ----
    "run": "start a Python program and monitor its OpenAI calls",
    "run_example": """run python app.py
  CHATGPT_MONITOR_SERVICE_NAME=shop guance-chatgpt-monitor run gunicorn shop:app""",
    "strict": "make a wrong setting an error; otherwise the program starts unmonitored",
    "program": "the command that starts it now",
}

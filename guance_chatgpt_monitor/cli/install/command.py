"""The commands install and uninstall."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from ...core.call import without_credentials
from ..options import add_command, check_urls, progress, read_secret, required
from ..user_error import check_secret

if TYPE_CHECKING:
    from ..func_client import FuncClient
    from .installer import Installed
    from .plan import Settings, Step

_INSTALL = """install --func http://HOST:8088 --dry-run
  guance-chatgpt-monitor install --func http://HOST:8088 --datakit http://HOST:9529 --service shop

secrets come from the environment, or are asked for:
  export FUNC_AK_ID=ak-…         access key of Func: Management / Access Key
  export FUNC_AK_SECRET=…
  export OPENAI_API_KEY=sk-…     goes into Func's environment variables, never into a script; once one is
                                 there, only --openai-key-env NAME or --openai-key replaces it
on Func's own host, in place of the access key: FUNC_LOCALHOST_TOKEN, from /data/localhost-auth-token of its
container.

Run again, it brings up to date what differs, and leaves what you changed."""


def add_install(commands: Any) -> None:
    """The commands install and uninstall."""
    command = add_command(
        commands,
        "install",
        _install,
        "install the script set in a running Func, or bring it up to date",
        _INSTALL,
    )
    add_func_options(command)
    add = command.add_argument
    add("--openai-key", default="", metavar="KEY", help="others on this host can see it: prefer the variable")
    add("--openai-key-env", default="", metavar="NAME", help="variable that holds the key")
    add("--openai-base-url", default="", metavar="URL", help="default: https://api.openai.com/v1")
    add("--model", default="", metavar="NAME", help="default model: gpt-4o-mini")
    add("--datakit", default="", metavar="URL", help="as Func reaches it; default: http://localhost:9529")
    add("--service", default="", metavar="NAME", help="service_name of the points; default: dataflux-func")
    add(
        "--open",
        action="store_true",
        help="a link without API authentication: whoever has it spends your money",
    )
    add("--calls-per-minute", type=_positive, metavar="N", help="throttling of the link; default: 60")
    add(
        "--task-records",
        type=_positive,
        metavar="N",
        help="calls that Func keeps, in clear text; default: 10",
    )
    add(
        "--no-packages",
        action="store_true",
        help="do not let Func install the Python packages openai, requests",
    )
    add("--pip-index", default="", metavar="URL", help="where Func gets packages; default: its own setting")
    add("--dry-run", action="store_true", help="print the steps, change nothing")
    add("--json", action="store_true", help="print what was done as JSON; progress goes to standard error")

    about = "take out of Func what install made, and only that"
    example = "uninstall --func http://HOST:8088 --dry-run"
    command = add_command(commands, "uninstall", _uninstall, about, example)
    add_func_options(command)
    command.add_argument("--dry-run", action="store_true", help="print the steps, change nothing")
    command.add_argument("--json", action="store_true", help="print what was done as JSON")


def add_func_options(command: Any) -> None:
    """Which Func, and as whom."""
    add = command.add_argument
    add(
        "--func",
        default="",
        metavar="URL",
        help="address of Func, such as http://HOST:8088; default: $FUNC_URL",
    )
    add("--ak-id", default="", metavar="ID", help="access key; default: $FUNC_AK_ID")
    add("--ak-secret", default="", metavar="SECRET", help="default: $FUNC_AK_SECRET, else it is asked for")


def make_client(options: Any) -> "FuncClient":
    """Func as the options and the environment say. Raises ProblemError."""
    from ..func_client import AccessKey, Credentials, FuncClient, LocalhostToken

    url = required(options.func or os.environ.get("FUNC_URL", ""), "address of Func", "FUNC_URL", "--func")
    key_id = options.ak_id or os.environ.get("FUNC_AK_ID", "")
    token = read_secret("", "FUNC_LOCALHOST_TOKEN", "localhost token of Func", ask=False)
    credentials: Credentials = LocalhostToken(token)
    if key_id or not token:
        key_id = check_secret(required(key_id, "access key", "FUNC_AK_ID", "--ak-id"), "access key")
        secret = read_secret(options.ak_secret, "FUNC_AK_SECRET", "secret of the access key")
        credentials = AccessKey(
            key_id, required(secret, "secret of the access key", "FUNC_AK_SECRET", "--ak-secret")
        )
    return FuncClient(url, credentials)


def _install(options: Any) -> int:
    from ..build import build, default_manifest
    from .installer import Installer, needs_key
    from .inventory import SET_ID, read_installation

    settings, client = _settings(options), make_client(options)
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder), default_manifest())
        found = read_installation(client, built.scripts[f"{SET_ID}__example"])
        if needs_key(found) and not settings.openai_key and not options.dry_run:
            key = read_secret("", "OPENAI_API_KEY", "OpenAI key")
            required(key, "OpenAI key", "OPENAI_API_KEY", "--openai-key-env NAME")
            settings = settings._replace(openai_key=key)
        installer = Installer(client, found, settings, built, progress(options.json))
        if options.dry_run:
            return _show_plan(installer.plan(), options.json)
        return _show_installed(installer.install(), options)


def _settings(options: Any) -> "Settings":
    from .plan import Settings

    check_urls(options.openai_base_url, options.datakit, "give --datakit as Func reaches it")
    parameters = {
        "OpenAI base URL": options.openai_base_url,
        "Default model": options.model,
        "DataKit URL": options.datakit,
        "Service name": options.service,
    }
    return Settings(
        {label: value for label, value in parameters.items() if value},
        _named_key(options),
        options.open,
        options.calls_per_minute,
        options.task_records,
        not options.no_packages,
        options.pip_index,
    )


def _named_key(options: Any) -> str:
    """The key that the user named now. One that only stands in OPENAI_API_KEY never replaces Func's."""
    variable = options.openai_key_env
    key = read_secret(options.openai_key, variable, "OpenAI key", ask=False)
    return required(key, "OpenAI key", variable, "another variable") if variable else key


def _show_plan(steps: "List[Step]", as_json: bool) -> int:
    if as_json:
        print(json.dumps({"dry_run": True, "steps": _rows(steps)}, ensure_ascii=False, indent=2))
        return 0
    for step in steps:
        print(f"{step.action:7} {step.name:20} {step.text}")
    print("nothing was changed: --dry-run")
    return 0


def _show_installed(installed: "Installed", options: Any) -> int:
    from ..func_link import SECRET_HEADER

    if options.json:
        facts: Dict[str, Any] = {**installed._asdict(), "steps": _rows(installed.steps)}
        if not installed.secret:
            del facts["secret"]
        print(json.dumps({**facts, "header": SECRET_HEADER}, ensure_ascii=False, indent=2))
    else:
        print(_usage(installed))
        for warning in installed.warnings:
            print(f"warning: {warning}")
    if installed.problem:
        print(f"error: it is installed, but OpenAI did not answer: {installed.problem}", file=sys.stderr)
        base_url = without_credentials(options.openai_base_url)
        further = f" --openai-base-url {base_url}" if base_url else ""
        print(f"next: guance-chatgpt-monitor check --openai{further} tells more", file=sys.stderr)
    return 1 if installed.problem else 0


def _usage(installed: "Installed") -> str:
    from ..func_link import SECRET_HEADER

    lines = ["", f"export CHATGPT_MONITOR_LINK={installed.link}"]
    if installed.secret:
        lines += [
            f"export CHATGPT_MONITOR_LINK_SECRET={installed.secret}",
            "# The secret is shown this once; Func keeps it, under API authentication.",
        ]
    curl_header, python_headers = "", ""
    if installed.protected:
        curl_header = f' -H "{SECRET_HEADER}: $CHATGPT_MONITOR_LINK_SECRET"'
        python_headers = f'\nheaders = {{"{SECRET_HEADER}": os.environ["CHATGPT_MONITOR_LINK_SECRET"]}}'
    argument = ", headers=headers" if installed.protected else ""
    lines += [
        "",
        f"curl -H 'Content-Type: application/json'{curl_header} \\",
        '     -d \'{"question": "What is Guance?"}\' "$CHATGPT_MONITOR_LINK"',
        "",
        "import os, requests",
        f'link = os.environ["CHATGPT_MONITOR_LINK"]{python_headers}',
        f'answer = requests.post(link, json={{"question": "What is Guance?"}}{argument}, timeout=180)',
        'print(answer.json()["choices"][0]["message"]["content"])',
    ]
    return "\n".join(lines)


def _uninstall(options: Any) -> int:
    from ..build import build, default_manifest
    from .inventory import SET_ID, read_installation
    from .uninstall import plan_removal, remove

    client = make_client(options)
    with tempfile.TemporaryDirectory() as folder:
        template = build(Path(folder), default_manifest()).scripts[f"{SET_ID}__example"]
    plan = plan_removal(client, read_installation(client, template))
    tell = progress(options.json)
    if not options.dry_run:
        remove(client, plan, tell)
    if options.json:
        rows = [{"name": row.name, "text": row.text, "removed": bool(row.path)} for row in plan]
        print(json.dumps({"dry_run": options.dry_run, "steps": rows}, ensure_ascii=False, indent=2))
    elif options.dry_run:
        for row in plan:
            print(f"{'remove' if row.path else 'keep':7} {row.name:20} {row.text}")
        print("nothing was changed: --dry-run")
    if not plan:
        tell("there is nothing of the monitor in this Func")
    return 0


def _rows(steps: "List[Step]") -> List[Dict[str, str]]:
    return [{"name": step.name, "action": step.action, "text": step.text} for step in steps]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)

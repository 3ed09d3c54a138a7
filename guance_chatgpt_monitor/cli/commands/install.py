"""Installs the script set in a running Func, or brings it up to date."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List

from ..messages import text
from ..options import add_func_options, add_json, check_urls, count, make_client, read_secret, required
from ..terminal import one_line, pad, progress, report, say, to_json
from ..user_error import UserError

if TYPE_CHECKING:
    from ..install.installer import Installed
    from ..install.steps import InstallOptions, Step

MAX_TASK_RECORDS = 10_000  # Func refuses more


def add_arguments(parser: Any) -> None:
    add_func_options(parser)
    add = parser.add_argument
    add("--openai-key", default="", metavar="KEY", help=text("help.openai_key"))
    add("--openai-key-env", default="", metavar="NAME", help=text("help.openai_key_env"))
    add("--openai-base-url", default="", metavar="URL", help=text("help.openai_base_url"))
    add("--model", default="", metavar="NAME", help=text("help.model"))
    add("--datakit", default="", metavar="URL", help=text("help.datakit"))
    add("--service", default="", metavar="NAME", help=text("help.service"))
    add("--open", action="store_true", help=text("help.open"))
    add("--calls-per-minute", type=count, metavar="N", help=text("help.calls_per_minute"))
    task_records = partial(count, most=MAX_TASK_RECORDS, least=0)
    add("--task-records", type=task_records, metavar="N", help=text("help.task_records"))
    add("--no-packages", action="store_true", help=text("help.no_packages"))
    add("--pip-index", default="", metavar="URL", help=text("help.pip_index"))
    add("--dry-run", action="store_true", help=text("help.dry_run"))
    add_json(parser)


def run(options: Any) -> int:
    import tempfile

    from ..build import build, default_manifest
    from ..install.func_contents import SET_ID, read_func_contents
    from ..install.installer import Installer, needs_key
    from ..terminal import Waiting

    wanted, client = _wanted(options), make_client(options)
    tell = progress(options.json)
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder), default_manifest())
        with Waiting(text("install.reading")):
            found = read_func_contents(client, built.scripts[f"{SET_ID}__example"])
        if needs_key(found) and not wanted.openai_key and not options.dry_run:
            key = read_secret(text("common.openai_key"), "OPENAI_API_KEY", ask=True)
            required(key, text("common.openai_key"), "OPENAI_API_KEY", "--openai-key-env NAME")
            wanted = wanted._replace(openai_key=key)
        installer = Installer(client, found, wanted, built, tell)
        if options.dry_run:
            steps = installer.plan()
            show_plan(steps, options.json, installer.warnings)
            return 0
        return _show_installed(installer.install(), options)


def _wanted(options: Any) -> "InstallOptions":
    from ..install.steps import InstallOptions

    check_urls(options.openai_base_url, options.datakit)
    parameters = {
        "OpenAI base URL": options.openai_base_url,
        "Default model": options.model,
        "DataKit URL": options.datakit,
        "Service name": options.service,
    }
    return InstallOptions(
        {label: value for label, value in parameters.items() if value},
        _named_key(options),
        options.open,
        options.calls_per_minute,
        options.task_records,
        not options.no_packages,
        options.pip_index,
    )


def _named_key(options: Any) -> str:
    """The key that the user names now. One that is only in OPENAI_API_KEY never replaces Func's."""
    variable, name = options.openai_key_env, text("common.openai_key")
    if options.openai_key:
        return read_secret(name, "OPENAI_API_KEY", "--openai-key", options.openai_key)
    if not variable:
        return ""
    return required(read_secret(name, variable), name, variable, text("install.another_variable"))


def show_plan(steps: "List[Step]", as_json: bool, warnings: List[str]) -> None:
    """The steps of a dry run."""
    if as_json:
        rows = [step.facts() for step in steps]
        print(to_json({"dry_run": True, "steps": rows}))
        return
    for step in steps:
        say(f"{pad(text(f'install.action_{step.action}'), 7)} {pad(step.title, 20)} {one_line(step.text)}")
    for warning in warnings:
        report("warning", warning)
    say(text("install.nothing_changed"))


def _show_installed(installed: "Installed", options: Any) -> int:
    from ..func_link import SECRET_HEADER

    if options.json:
        facts: Dict[str, Any] = {**installed._asdict(), "steps": [step.facts() for step in installed.steps]}
        if not installed.secret:
            del facts["secret"]
        print(to_json({**facts, "header": SECRET_HEADER}))
    else:
        say(_usage(installed))
        for warning in installed.warnings:
            report("warning", warning)
    if not installed.problem:
        return 0
    from ...core.call import without_credentials

    base_url = without_credentials(options.openai_base_url)
    further = f" --openai-base-url {base_url}" if base_url else ""
    error = UserError("install.no_answer", problem=installed.problem, further=further)
    report("error", error.message, sys.stderr)
    report("next", error.next_step, sys.stderr)
    return 1


def _usage(installed: "Installed") -> str:
    from ..func_link import SECRET_HEADER

    lines = ["", f"export CHATGPT_MONITOR_LINK={installed.link}"]
    if installed.secret:
        lines += [
            f"export CHATGPT_MONITOR_LINK_SECRET={installed.secret}",
            f"# {text('install.secret_once')}",
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

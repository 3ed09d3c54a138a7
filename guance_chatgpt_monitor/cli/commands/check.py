"""Says what is wrong between OpenAI, Func, DataKit and the workspace, and what to do."""

import os
from typing import TYPE_CHECKING, Any, Dict, List

from ..messages import text
from ..options import (
    add_func_options,
    add_json,
    add_link_options,
    application_settings,
    link_secret,
    make_client,
    required,
)
from ..terminal import say

if TYPE_CHECKING:
    from ..check.chain import Targets
    from ..check.finding import Finding
    from ..func_client import FuncClient

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--openai", action="store_true", help=text("help.check_openai"))
    add("--openai-key-env", default="", metavar="NAME", help=text("help.check_key_env"))
    add("--openai-base-url", default="", metavar="URL", help=text("help.check_base_url"))
    add("--model", default="", metavar="NAME", help=text("help.check_model"))
    add("--datakit", default="", metavar="URL", help=text("help.check_datakit"))
    add("--logs", action="store_true", help=text("help.check_logs"))
    add_link_options(parser)
    add_func_options(parser)
    add_json(parser)


def run(options: Any) -> int:
    from ..check.chain import check
    from ..check.finding import from_error
    from ..check.picture import as_json, draw
    from ..user_error import UserError

    findings: List[Finding] = []
    try:
        findings = check(_targets(options))
    except UserError as error:
        findings.append(from_error("settings", error))
    if options.json:
        print(as_json(findings))
    else:
        for line in draw(findings):
            say(line)
    return max(finding.severity for finding in findings)


def _targets(options: Any) -> "Targets":
    from ..check.chain import Targets

    env = os.environ.get
    everything = not (options.openai or options.datakit or options.link or options.func)
    targets = Targets([])
    installed: Dict[str, str] = {}
    names_func = bool(options.func or options.ak_id or options.ak_secret)
    if names_func or (everything and env("FUNC_URL") and (env("FUNC_AK_ID") or env("FUNC_LOCALHOST_TOKEN"))):
        client = make_client(options)
        targets = targets._replace(func=client)
        targets.sources.append(text("check.source_func"))
        installed = _installed(client)
    targets = _with_openai(targets, options, everything, installed)
    targets = _with_datakit(targets, options, everything, installed)
    names_link = bool(options.link or options.link_secret)
    link = options.link or (env("CHATGPT_MONITOR_LINK", "") if everything or names_link else "")
    if names_link:
        link = required(link, text("common.link"), "CHATGPT_MONITOR_LINK", "--link")
    if link:
        secret = link_secret(options)
        targets = targets._replace(link=link, link_secret=secret)
        targets.sources.append(text("check.source_link" if secret else "check.source_link_open"))
    return targets


def _installed(client: "FuncClient") -> Dict[str, str]:
    """The settings in Func's startup script; none where Func cannot be asked: its own check tells why."""
    from ..install.func_contents import read_startup_settings
    from ..user_error import UserError

    try:
        return read_startup_settings(client)
    except UserError:
        return {}


def _with_openai(targets: "Targets", options: Any, everything: bool, installed: Dict[str, str]) -> "Targets":
    from ...core.settings_table import DEFAULT_MODEL
    from ...core.validators import DEFAULT_BASE_URL
    from ..check.openai import OpenAITarget

    named = options.openai or options.openai_key_env or options.openai_base_url or options.model
    variable = options.openai_key_env or "OPENAI_API_KEY"
    key = os.environ.get(variable, "")
    if not named and not (everything and key):
        return targets
    source, base_url = f"${variable}", options.openai_base_url
    targets.sources.append(text("check.source_key", source=source))
    if not base_url and os.environ.get("OPENAI_BASE_URL"):  # as the SDK itself
        base_url = os.environ["OPENAI_BASE_URL"]
        targets.sources.append(text("check.source_base_url", source="$OPENAI_BASE_URL"))
    elif not base_url and installed.get("OPENAI_BASE_URL"):
        base_url = installed["OPENAI_BASE_URL"]
        targets.sources.append(text("check.source_base_url", source=text("check.startup")))
    model = options.model or installed.get("DEFAULT_MODEL") or DEFAULT_MODEL
    return targets._replace(openai=OpenAITarget(key, source, base_url or DEFAULT_BASE_URL, model))


def _with_datakit(targets: "Targets", options: Any, everything: bool, installed: Dict[str, str]) -> "Targets":
    from ...core.datakit import DEFAULT_URL

    if not (options.datakit or options.logs or everything):
        return targets
    settings = application_settings()
    url, source = options.datakit, text("check.as_given")
    if not url and os.environ.get("CHATGPT_MONITOR_DATAKIT_URL"):
        url, source = settings.datakit_url, "$CHATGPT_MONITOR_DATAKIT_URL"
    if not url and targets.func is not None and installed:
        url, source = installed["DATAKIT_URL"] or DEFAULT_URL, text("check.startup")
        if _is_loopback(url) and not _is_loopback(targets.func.url):
            # That is Func's own host, not this one; collect() reports on it.
            targets.sources.append(text("check.source_datakit_there"))
            return targets
    if not url:
        url, source = DEFAULT_URL, text("check.default_address")
    targets.sources.append(text("check.source_datakit", source=source))
    logs = options.logs or settings.log_content or settings.log_errors or "LOGS" in installed
    return targets._replace(datakit_url=url, datakit_ca=settings.datakit_ca, logs=logs)


def _is_loopback(url: str) -> bool:
    from urllib.parse import urlsplit

    return (urlsplit(url if "://" in url else f"http://{url}").hostname or "") in _LOOPBACK

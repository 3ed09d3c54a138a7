"""Says what is wrong between OpenAI, Func, DataKit and the workspace, and what to do."""

import os
from typing import TYPE_CHECKING, Any, List

from ..messages import text
from ..options import add_func_options, add_json, add_link_options, link_secret, make_client, required
from ..terminal import say

if TYPE_CHECKING:
    from ..check.chain import Targets
    from ..check.finding import Finding


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--openai", action="store_true", help=text("help.check_openai"))
    add("--openai-key-env", default="", metavar="NAME", help=text("help.check_key_env"))
    add("--openai-base-url", default="", metavar="URL", help=text("help.check_base_url"))
    add("--model", default="", metavar="NAME", help=text("help.check_model"))
    add("--datakit", default="", metavar="URL", help=text("help.check_datakit"))
    add_link_options(parser)
    add_func_options(parser)
    add_json(parser)


def run(options: Any) -> int:
    from ..check.chain import as_json, as_text, check
    from ..check.finding import from_problem
    from ..user_error import UserError

    findings: List[Finding] = []
    show = findings.append if options.json else lambda finding: say(as_text(finding))
    try:
        worst = check(_targets(options), show)
    except UserError as problem:
        finding = from_problem("settings", problem)
        show(finding)
        worst = finding.severity
    if options.json:
        print(as_json(findings))
    return worst


def _targets(options: Any) -> "Targets":
    from ...core.datakit import DEFAULT_URL
    from ...func.chatgpt import DEFAULT_BASE_URL, DEFAULT_MODEL
    from ..check.chain import Targets
    from ..check.openai import OpenAITarget

    env = os.environ.get
    names_openai = bool(options.openai or options.openai_key_env or options.openai_base_url or options.model)
    names_link = bool(options.link or options.link_secret)
    names_func = bool(options.func or options.ak_id or options.ak_secret)
    everything = not (options.openai or options.datakit or options.link or options.func)
    targets = Targets([])
    variable = options.openai_key_env or "OPENAI_API_KEY"
    key = env(variable, "")
    if names_openai or (everything and key):
        source, base_url = f"${variable}", options.openai_base_url
        targets.sources.append(f"OpenAI: key in {source}")
        if not base_url and env("OPENAI_BASE_URL"):  # as the SDK itself
            base_url = env("OPENAI_BASE_URL", "")
            targets.sources.append("OpenAI: base URL in $OPENAI_BASE_URL")
        target = OpenAITarget(key, source, base_url or DEFAULT_BASE_URL, options.model or DEFAULT_MODEL)
        targets = targets._replace(openai=target)
    if options.datakit or everything:
        url = options.datakit or env("CHATGPT_MONITOR_DATAKIT_URL", "")
        targets = targets._replace(datakit_url=url or DEFAULT_URL)
        targets.sources.append("DataKit: " + _source(options.datakit, url, "CHATGPT_MONITOR_DATAKIT_URL"))
    link = options.link or (env("CHATGPT_MONITOR_LINK", "") if everything or names_link else "")
    if names_link:
        link = required(link, text("common.link"), "CHATGPT_MONITOR_LINK", "--link")
    if link:
        secret = link_secret(options)
        targets = targets._replace(link=link, link_secret=secret)
        targets.sources.append(f"link: {'with' if secret else 'without'} a secret")
    if names_func or (everything and env("FUNC_URL") and (env("FUNC_AK_ID") or env("FUNC_LOCALHOST_TOKEN"))):
        targets = targets._replace(func=make_client(options))
        targets.sources.append("Func: with an access key")
    return targets


def _source(option: str, found: str, variable: str) -> str:
    if option:
        return "as given"
    return f"${variable}" if found else "the default address"

"""The commands check and ask."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any, List

from ..install.command import add_func_options, make_client
from ..options import add_command, read_secret, required, say

if TYPE_CHECKING:
    from .chain import Targets
    from .finding import Finding

_CHECK = """check
  guance-chatgpt-monitor check --datakit http://HOST:9529
  guance-chatgpt-monitor check --link http://HOST:8088/api/v1/al/ID --openai
  guance-chatgpt-monitor check --func http://HOST:8088 --json

With no part named, DataKit is checked and whatever the environment tells of: OPENAI_API_KEY,
CHATGPT_MONITOR_DATAKIT_URL, CHATGPT_MONITOR_LINK with CHATGPT_MONITOR_LINK_SECRET, FUNC_URL with FUNC_AK_ID
and FUNC_AK_SECRET. A part that an option belongs to, such as --model to OpenAI, is checked in any case.
No check costs a token. The exit code is that of the worst finding: 0 ok, 1 warn, 2 fail."""


def add_check(commands: Any) -> None:
    """The command check."""
    about = "say what is wrong between OpenAI, Func and DataKit, and what to do"
    command = add_command(commands, "check", _check, about, _CHECK)
    add = command.add_argument
    add("--openai", action="store_true", help="check OpenAI")
    add("--openai-key-env", default="", metavar="NAME", help="default: OPENAI_API_KEY")
    add("--openai-base-url", default="", metavar="URL", help="default: $OPENAI_BASE_URL, else OpenAI's own")
    add("--model", default="", metavar="NAME", help="model that must be allowed; default: gpt-4o-mini")
    add("--datakit", default="", metavar="URL", help="check DataKit, as this host reaches it")
    _add_link_options(command)
    add_func_options(command)
    add("--json", action="store_true", help="print the findings as JSON")


def add_ask(commands: Any) -> None:
    """The command ask."""
    about = "ask ChatGPT one question through the link"
    example = 'ask "What is Guance?" --link http://HOST:8088/api/v1/al/ID'
    command = add_command(commands, "ask", _ask, about, example)
    command.add_argument("question")
    _add_link_options(command)
    command.add_argument("--model", default="", metavar="NAME", help="default: that of the startup script")
    command.add_argument("--system", default="", metavar="TEXT", help="a system message")
    command.add_argument("--json", action="store_true", help="print answer, model, tokens, seconds as JSON")


def _add_link_options(command: Any) -> None:
    add = command.add_argument
    add("--link", default="", metavar="URL", help="authorization link; default: $CHATGPT_MONITOR_LINK")
    add("--link-secret", default="", metavar="SECRET", help="default: $CHATGPT_MONITOR_LINK_SECRET")


def _check(options: Any) -> int:
    from ..user_error import ProblemError
    from .chain import as_json, as_text, check
    from .finding import from_problem

    findings: List[Finding] = []
    show = findings.append if options.json else lambda finding: say(as_text(finding))
    try:
        worst = check(_targets(options), show)
    except ProblemError as problem:
        finding = from_problem("settings", problem)
        show(finding)
        worst = finding.severity
    if options.json:
        print(as_json(findings))
    return worst


def _targets(options: Any) -> "Targets":
    from ...core.datakit import DEFAULT_URL
    from ...func.chatgpt import DEFAULT_BASE_URL, DEFAULT_MODEL
    from .chain import Targets
    from .openai import OpenAITarget

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
        link = required(link, "link", "CHATGPT_MONITOR_LINK", "--link")
    if link:
        secret = _link_secret(options)
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


def _link_secret(options: Any) -> str:
    return read_secret(options.link_secret, "CHATGPT_MONITOR_LINK_SECRET", "secret of the link", ask=False)


def _ask(options: Any) -> int:
    from ..ask import ask
    from ..func_link import Link

    url = options.link or os.environ.get("CHATGPT_MONITOR_LINK", "")
    link = Link(required(url, "link", "CHATGPT_MONITOR_LINK", "--link"), _link_secret(options))
    reply = ask(link, options.question, options.model, options.system)
    if options.json:
        print(json.dumps(reply._asdict(), ensure_ascii=False, indent=2))
        return 0
    tokens = "tokens unknown" if reply.total_tokens is None else f"{reply.total_tokens} tokens"
    print(reply.text)
    print(f"-- {reply.model}, {tokens}, {reply.duration_s:.2f} s", file=sys.stderr)
    return 0

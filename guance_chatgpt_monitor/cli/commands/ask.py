"""Asks ChatGPT one question through the authorization link."""

import os
import sys
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional

from ..messages import text
from ..options import add_json, add_link_options, link_secret, required
from ..terminal import Waiting, one_line, paint, printable, say, to_json
from ..user_error import UserError

if TYPE_CHECKING:
    from ..func_link import Link


class Reply(NamedTuple):
    """The answer and what it took; `total_tokens` is None where the API did not say."""

    text: str
    model: str
    total_tokens: Optional[int]
    duration_s: float


def add_arguments(parser: Any) -> None:
    parser.add_argument("question", metavar="QUESTION", help=text("help.question"))
    add_link_options(parser)
    parser.add_argument("--model", default="", metavar="NAME", help=text("help.ask_model"))
    parser.add_argument("--system", default="", metavar="TEXT", help=text("help.system"))
    add_json(parser)


def run(options: Any) -> int:
    from ..func_link import Link

    url = options.link or os.environ.get("CHATGPT_MONITOR_LINK", "")
    url = required(url, text("common.link"), "CHATGPT_MONITOR_LINK", "--link")
    link = Link(url, link_secret(options))
    with Waiting(text("tools.asking")):  # the link cannot stream
        reply = ask(link, options.question, options.model, options.system)
    if options.json:
        print(to_json(reply._asdict()))
        return 0
    say(printable(reply.text))
    known = reply.total_tokens is not None
    tokens = text("tools.tokens" if known else "tools.tokens_unknown", n=reply.total_tokens)
    told = f"-- {one_line(reply.model)}, {tokens}, {reply.duration_s:.2f} s"
    say(paint(told, "dim", sys.stderr), sys.stderr)
    return 0


def ask(link: "Link", question: str, model: str = "", system: str = "") -> Reply:
    """Raises UserError; an error of OpenAI's among them."""
    optional = {"model": model, "system": system}
    body = {"question": question, **{name: value for name, value in optional.items() if value}}
    answer = link.post(body)
    if answer.status_code != 200 or answer.error:
        raise UserError("tools.ask_refused", status=answer.status_code, error=answer.error or "-")
    tokens = (answer.body.get("usage") or {}).get("total_tokens")
    return Reply(_text(answer.body), str(answer.body.get("model")), tokens, answer.duration_s)


def _text(body: Dict[str, Any]) -> str:
    try:
        message = body["choices"][0]["message"]
        return str(message.get("content") or message.get("refusal") or "")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UserError("tools.no_text") from None

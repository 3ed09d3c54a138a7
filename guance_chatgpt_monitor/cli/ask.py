"""Asks ChatGPT one question through the authorization link."""

from typing import Any, Dict, NamedTuple, Optional

from .func_link import Link
from .user_error import ProblemError


class Reply(NamedTuple):
    """The answer and what it took; `total_tokens` is None where the API did not say."""

    text: str
    model: str
    total_tokens: Optional[int]
    duration_s: float


def ask(link: Link, question: str, model: str = "", system: str = "") -> Reply:
    """Raises ProblemError; an error of OpenAI's among them."""
    optional = {"model": model, "system": system}
    body = {"question": question, **{name: value for name, value in optional.items() if value}}
    answer = link.post(body)
    if answer.status_code != 200 or answer.error:
        raise ProblemError(
            f"{answer.status_code}: {answer.error or 'no answer'}",
            "guance-chatgpt-monitor check tells which part is at fault",
        )
    tokens = (answer.body.get("usage") or {}).get("total_tokens")
    return Reply(_text(answer.body), str(answer.body.get("model")), tokens, answer.duration_s)


def _text(body: Dict[str, Any]) -> str:
    try:
        message = body["choices"][0]["message"]
    except (KeyError, IndexError, TypeError):
        raise ProblemError("the answer has no text", "look at it whole: --json") from None
    return str(message.get("content") or message.get("refusal") or "")

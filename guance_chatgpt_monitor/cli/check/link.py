"""Whether the authorization link answers, and to whom. Costs no token, and one point of a refused request."""

from typing import Iterator

from ..func_link import Link, LinkAnswer, LinkError
from ..user_error import UserError
from .finding import Finding, bad, doubtful, from_problem, good


def check_link(url: str, secret: str) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong."""
    try:
        # A request with nothing to ask: the script refuses it, and so shows that it is there.
        answer = Link(url, secret).post({})
        protected = bool(secret) and _asks_for_secret(url)
    except UserError as problem:
        yield from_problem("link", problem)
        return
    if not _is_ours(answer):
        step = "check that the link leads to startup__guance_chatgpt_monitor.chat"
        yield bad("link", f"answers {answer.status_code}, but not as the script", step)
        return
    yield good("link", f"answers, in {answer.duration_s:.2f} s")
    if protected:
        yield good("link authentication", "asks for its secret")
    else:
        yield doubtful(
            "link authentication",
            "the link answers to anybody: whoever has its address spends the money of your OpenAI key",
            "give it an API authentication in Func, or delete it and run guance-chatgpt-monitor install",
        )


def _asks_for_secret(url: str) -> bool:
    try:
        Link(url).post({})
    except LinkError as error:
        if error.reason != "EAPIAuth":
            raise
        return True
    return False


def _is_ours(answer: LinkAnswer) -> bool:
    error = answer.body.get("error")
    return (
        answer.status_code == 400 and isinstance(error, dict) and error.get("type") == "invalid_request_error"
    )

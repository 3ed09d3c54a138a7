"""Whether the authorization link answers, and to whom. Costs no token, and leaves no point of a call."""

from typing import Iterator

from ..func_link import Link, LinkAnswer, LinkError
from ..user_error import UserError
from .finding import Finding, bad, doubtful, from_error, good

# The script answers it without counting it as a call. One of an earlier version refuses it, as having nothing
# to ask, and so shows as well that it is there.
CHECK = {"check": True}


def check_link(url: str, secret: str) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong."""
    try:
        answer = Link(url, secret).post(CHECK)
        protected = bool(secret) and _asks_for_secret(url)
    except UserError as error:
        yield from_error("link", error)
        return
    if not _is_ours(answer):
        yield bad("link", "check.link_not_ours", status=answer.status_code)
        return
    yield good("link", "check.link_answers", seconds=f"{answer.duration_s:.2f}")
    if protected:
        yield good("link_authentication", "check.link_protected")
    else:
        yield doubtful("link_authentication", "check.link_open")


def _asks_for_secret(url: str) -> bool:
    try:
        Link(url).post(CHECK)
    except LinkError as error:
        if error.reason != "EAPIAuth":
            raise
        return True
    return False


def _is_ours(answer: LinkAnswer) -> bool:
    error = answer.body.get("error")
    refused = isinstance(error, dict) and error.get("type") == "invalid_request_error"
    return (answer.status_code == 400 and refused) or answer.body.get("object") == "check"

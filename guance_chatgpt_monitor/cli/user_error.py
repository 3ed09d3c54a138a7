"""What the user can set right, in words that lead on."""

from typing import Any, List

from .messages import problem


class UserError(Exception):
    """Something the user can set right: what is wrong, and the next step. Neither holds a secret.

    `key` and `values` are those of the message; with `next_step`, `key` is the message itself, as it came
    from elsewhere. `details` are lines that stand before it.
    """

    details: List[str] = []  # noqa: RUF012 - none, unless a subclass has some

    def __init__(self, key: str, next_step: str = "", **values: Any) -> None:
        self.key = key
        self.message, self.next_step = (key, next_step) if next_step else problem(key, **values)
        super().__init__(self.message)


class UsageError(UserError):
    """The command line itself is wrong: exit code 2, as of every command."""


def check_http_url(url: str, name: str, example: str) -> str:
    """`url` without spaces around it and a slash at its end. Raises UserError."""
    from urllib.parse import urlsplit  # late: most commands that fail need no address

    url = url.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or any(character <= " " or character == "\x7f" for character in url):
        raise UserError("common.no_http_address", name=name, example=example)
    return url.rstrip("/")


def check_secret(secret: str, name: str) -> str:
    """`secret` without spaces around it, if it can stand in a header. Raises UserError."""
    secret = secret.strip()
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        # Never shown, and never left to the HTTP library, whose error would show it.
        raise UserError("common.odd_secret", name=name)
    return secret

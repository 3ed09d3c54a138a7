"""Errors that the user can fix, each with a next step."""

from typing import Any, List

from .messages import problem


class UserError(Exception):
    """An error that the user can fix: what is wrong, and the next step. Neither contains a secret.

    `key` and `values` select a message of the catalogue; with `next_step`, `key` is the message itself.
    `details` are lines printed before it.
    """

    details: List[str] = []  # noqa: RUF012 - never mutated

    def __init__(self, key: str, next_step: str = "", **values: Any) -> None:
        self.key = key
        self.message, self.next_step = (key, next_step) if next_step else problem(key, **values)
        super().__init__(self.message)


class UsageError(UserError):
    """The command line itself is wrong: exit code 2."""


def check_http_url(url: str, name: str, example: str) -> str:
    """`url`, stripped of surrounding spaces and trailing slashes. Raises UserError."""
    from urllib.parse import urlsplit  # late: most commands that fail need no address

    url = url.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        usable = False
    if not usable or any(character <= " " or character == "\x7f" for character in url):
        raise UserError("common.no_http_address", name=name, example=example)
    return url.rstrip("/")


def check_secret(secret: str, name: str) -> str:
    """`secret`, stripped; it must fit into a header. Raises UserError."""
    secret = secret.strip()
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        # Never shown, and never left to the HTTP library, whose error would show it.
        raise UserError("common.odd_secret", name=name)
    return secret

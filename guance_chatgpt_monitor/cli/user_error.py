"""What the user can set right, in words that lead on."""

from urllib.parse import urlsplit


class ProblemError(Exception):
    """Something the user can set right: what is wrong, and the next step. Neither holds a secret."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


def check_http_url(url: str, name: str, example: str) -> str:
    """`url` without blanks and a slash at its end. Raises ProblemError."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or any(character <= " " or character == "\x7f" for character in url):
        raise ProblemError(f"the {name} is no HTTP address", f"give one such as {example}")
    return url.rstrip("/")


def check_secret(secret: str, name: str) -> str:
    """`secret` without blanks around it, if it can stand in a header. Raises ProblemError."""
    secret = secret.strip()
    if not all("!" <= character <= "~" for character in secret):
        # Never shown, and never left to the HTTP library, whose error would show it.
        raise ProblemError(
            f"the {name} has blanks, line ends or characters outside ASCII", "copy it again, whole"
        )
    return secret

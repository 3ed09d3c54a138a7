"""DQL cut into tokens, and the pointer that its parser moves over them."""

import re
from typing import List, NamedTuple

_TOKEN = re.compile(
    r"""\s*(?:
      `(?P<name>[^`]*)`
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | (?P<duration>\d+(?:ms|[smhdw])(?!\w))
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<word>\#\{\w+\}|[A-Za-z_]\w*)
    | (?P<sign>::|!=|>=|<=|=~|!~|[-+*/=<>(){}\[\],:])
    )""",
    re.VERBOSE,
)


class DQLError(ValueError):
    """A query that is not understood; the message says which part of it."""


class Token(NamedTuple):
    kind: str
    text: str
    position: int


class Tokens:
    """The tokens of one text. All methods raise DQLError where something else stands than is wanted."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens: List[Token] = []
        self.position = 0
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise DQLError(f"not DQL: {_excerpt(text[position:])}")
            kind, inner = match.lastgroup, match[match.lastgroup]
            if kind in ("single", "double"):
                kind, inner = "string", re.sub(r"\\(.)", r"\1", inner)
            self._tokens.append(Token(kind, inner, match.start(match.lastgroup)))
            position = match.end()

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these words or signs."""
        token = self.peek()
        return token.kind in ("word", "sign") and token.text.lower() in texts

    def peek(self) -> Token:
        if self.position < len(self._tokens):
            return self._tokens[self.position]
        return Token("end", "", len(self.text))

    def take(self, *kinds: str) -> str:
        token = self.peek()
        if token.kind not in kinds:
            raise self.error(" or ".join(kinds))
        self.position += 1
        return token.text

    def skip(self, *texts: str) -> bool:
        if not self.at(*texts):
            return False
        self.position += 1
        return True

    def expect(self, text: str) -> None:
        if not self.skip(text):
            raise self.error(text)

    def error(self, wanted: str) -> DQLError:
        rest = _excerpt(self.text[self.peek().position :])
        return DQLError(f"{rest or 'the end'} (where {wanted} is expected) in {self.text}")

    def end(self) -> None:
        if self.position < len(self._tokens):
            raise self.error("the end")


def _excerpt(text: str) -> str:
    text = text.strip()
    return text[:40] + ("…" if len(text) > 40 else "")

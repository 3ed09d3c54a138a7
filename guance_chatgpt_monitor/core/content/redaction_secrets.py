"""Secrets that are known, found in whatever form they stand: as they are, in base64, or only in part.

The API repeats a refused key, and some cut it; in `Basic` credentials it is in base64, behind a name.
"""

import base64
from typing import FrozenSet, Iterator, List, Sequence, Tuple

# A shorter "key" is a placeholder, whose letters may stand anywhere.
MIN_SECRET_CHARS = 8
# Of a secret, so much at its beginning or end tells of it.
_MIN_PART_CHARS = 12
MAX_SECRET_CHARS = 8192

_Extent = Tuple[int, int]


class KnownSecrets:
    """`longest_chars` is how long the longest of them can be where it stands."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.values: FrozenSet[str] = frozenset(
            secret.strip()[:MAX_SECRET_CHARS] for secret in secrets if len(secret.strip()) >= MIN_SECRET_CHARS
        )
        self._forms = [form for secret in sorted(self.values) for form in _forms_of(secret)]
        self.longest_chars = max(map(len, self._forms), default=0)

    def find(self, text: str) -> Iterator[_Extent]:
        for form in self._forms:
            n_part = max(_MIN_PART_CHARS, len(form) // 2)
            if len(form) < 2 * _MIN_PART_CHARS:
                yield from _all_of(form, text)
                continue
            for start, end in _all_of(form[:n_part], text):
                while end - start < len(form) and text[end : end + 1] == form[end - start]:
                    end += 1
                yield start, end
            for start, end in _all_of(form[-n_part:], text):
                while end - start < len(form) and start and text[start - 1] == form[start - end - 1]:
                    start -= 1
                yield start, end


def _all_of(form: str, text: str) -> Iterator[_Extent]:
    position = text.find(form)
    while position >= 0:
        yield position, position + len(form)
        position = text.find(form, position + len(form))


def _forms_of(secret: str) -> List[str]:
    """As it is; and in base64, where what stands before moves it by none, one or two of its bytes."""
    forms = [secret]
    encoded = secret.encode("utf-8", "replace")
    for n_before in range(3):
        whole = base64.b64encode(b"x" * n_before + encoded).decode("ascii").rstrip("=")
        # The characters at either end depend on what is beside it.
        part = whole[(0, 2, 3)[n_before] : len(whole) - 1 if (n_before + len(encoded)) % 3 else None]
        if len(part) >= MIN_SECRET_CHARS:
            forms += dict.fromkeys((part, part.replace("+", "-").replace("/", "_")))
    return forms

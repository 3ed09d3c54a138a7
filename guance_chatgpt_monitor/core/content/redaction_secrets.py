"""Known secrets, found verbatim, in base64, or in part.

The API repeats a refused key, and some gateways shorten it; `Basic` credentials have it in base64, after a name.
"""

import base64
from typing import FrozenSet, Iterator, List, Sequence, Tuple

# A shorter "key" is a placeholder, whose letters may occur anywhere.
MIN_SECRET_CHARS = 8
# So many characters at its beginning or end give a secret away.
_MIN_PART_CHARS = 12
MAX_SECRET_CHARS = 8192

_Extent = Tuple[int, int]


class KnownSecrets:
    """`longest_chars` is the length of the longest form that a secret can have."""

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
    """Verbatim, and in base64 at each of the three offsets that the bytes before it can cause."""
    forms = [secret]
    encoded = secret.encode("utf-8", "replace")
    for n_before in range(3):
        whole = base64.b64encode(b"x" * n_before + encoded).decode("ascii").rstrip("=")
        # The characters at either end depend on the neighboring bytes.
        part = whole[(0, 2, 3)[n_before] : len(whole) - 1 if (n_before + len(encoded)) % 3 else None]
        if len(part) >= MIN_SECRET_CHARS:
            forms += dict.fromkeys((part, part.replace("+", "-").replace("/", "_")))
    return forms

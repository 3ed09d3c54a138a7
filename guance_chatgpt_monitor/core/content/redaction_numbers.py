"""Phone numbers, payment cards and identity cards in a text of ASCII digits.

- `[phone]`: with a country code; mainland China's mobiles and landlines; North America's.
- `[card]`: 13 to 19 digits that pass the Luhn check, in one piece or in groups.
- `[id-card]`: mainland China's 18 digits with their checksum, and the 15 of before 1999 with their date; the
  social security numbers of the United States.
"""

import re
from datetime import date
from typing import Iterator, List, Tuple

PHONE = "[phone]"
CARD = "[card]"
ID_CARD = "[id-card]"

_Span = Tuple[int, int, str]  # start, end, mark

# Where such a number can be at all; what it is, is looked at in there.
_RUN = re.compile(r"[0-9][0-9 ().+-]{5,}[0-9Xx]")
_MAX_PREFIX = 2  # "+(", which may stand before the first digit

_BEFORE, _AFTER = r"(?<![0-9])", r"(?![0-9])"
_CHINA_AREA = r"0(?:10|2[0-9]|[3-9][0-9]{2})"
_AMERICA_AREA = r"[2-9](?!11)[0-9]{2}"
_PHONES = tuple(
    re.compile(pattern + _AFTER)
    for pattern in (
        # E.164: up to 15 digits with the country code.
        r"(?:\(\+[1-9][0-9]{0,2}\)|\+[1-9])(?:[ .()-]{0,3}[0-9]){6,14}",
        # Mainland China: mobiles of 11 digits; landlines with an area code of 3 or 4.
        _BEFORE + r"(?:(?:00)?86[ )-]{0,2})?1[3-9][0-9](?:[ -]?[0-9]{4}){2}",
        _BEFORE + rf"(?:\({_CHINA_AREA}\)|{_CHINA_AREA})[ -]{{0,2}}[1-9][0-9]{{2,3}}[ -]?[0-9]{{4}}",
        # North America: neither area nor exchange begins with 0 or 1, or is N11.
        _BEFORE + rf"(?:1[ .-]?)?(?:\({_AMERICA_AREA}\)|{_AMERICA_AREA})"
        r"[ .-]{0,2}[2-9](?!11)[0-9]{2}[ .-]?[0-9]{4}",
    )
)
_SOCIAL_SECURITY = re.compile(
    _BEFORE + r"(?!000|666|9)[0-9]{3}([ -])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}" + _AFTER
)
# Groups of digits with one blank or dash between them.
_CHAIN = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_MAX_GROUPS = 6
# Of all groups but the last. Shorter ones are rather a list of numbers, a tenth of which pass the Luhn check.
_MIN_CARD_GROUP = 4
_MIN_ID_GROUP = 3

_CARD_DIGITS = range(13, 20)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ID_CHARS = 18
_OLD_ID_CHARS = 15
# GB 11643: the weights of the first 17, and the last one by their sum modulo 11.
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_LAST = "10X98765432"
# GB/T 2260: the regions' first digit, and the second of the provinces in each.
_PROVINCES = ("", "12345", "123", "1234567", "123456", "01234", "12345", "1", "123", "")


def find_numbers(text: str) -> Iterator[_Span]:
    """All of them; what two of them share is in both."""
    for run in _RUN.finditer(text):
        for chain in _CHAIN.finditer(text, run.start(), run.end()):
            if chain.end() - chain.start() >= _CARD_DIGITS.start:
                yield from _cards_and_ids(text, *chain.span())
        for match in _SOCIAL_SECURITY.finditer(text, run.start(), run.end()):
            yield (*match.span(), ID_CARD)
        for pattern in _PHONES:
            for match in pattern.finditer(text, max(0, run.start() - _MAX_PREFIX), run.end()):
                yield (*match.span(), PHONE)


def _cards_and_ids(text: str, start: int, end: int) -> Iterator[_Span]:
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    if len(groups) in _CARD_DIGITS and all(last - first == 1 for first, last in groups):
        groups = [(start, end)]  # spelled out
    for n, (first, _) in enumerate(groups):
        yield from _beginning_with(text, first, groups[n : n + _MAX_GROUPS])


def _beginning_with(text: str, first: int, groups: List[Tuple[int, int]]) -> Iterator[_Span]:
    digits, shortest = "", _ID_CHARS
    for group_start, group_end in groups:
        digits += text[group_start:group_end].replace(" ", "").replace("-", "")
        if len(digits) > _CARD_DIGITS[-1] or shortest < _MIN_ID_GROUP:
            return
        has_x = text[group_end : group_end + 1] in ("X", "x")
        if _is_id(digits + "X" if has_x else digits):
            yield first, group_end + has_x, ID_CARD
        elif shortest >= _MIN_CARD_GROUP and _is_card(digits) and not _is_fraction(text, first):
            yield first, group_end, CARD
        shortest = min(shortest, group_end - group_start)


def _is_fraction(text: str, start: int) -> bool:
    """Whether the digits stand behind a decimal point."""
    return start >= 2 and text[start - 1] == "." and text[start - 2].isdigit()


def _is_card(digits: str) -> bool:
    # ISO/IEC 7812: 0 is reserved, 1 is for airlines; timestamps in milliseconds begin with 1.
    if len(digits) not in _CARD_DIGITS or digits[0] in "01":
        return False
    doubled = sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + doubled) % 10 == 0


def _is_id(text: str) -> bool:
    if len(text) == _OLD_ID_CHARS:
        return text.isdigit() and text[1] in _PROVINCES[int(text[0])] and _is_date("19" + text[6:12])
    if len(text) != _ID_CHARS or not _is_date(text[6:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text))
    return _ID_LAST[total % 11] == text[-1]


def _is_date(text: str) -> bool:
    if not "1850" <= text[:4] <= "2100":
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True

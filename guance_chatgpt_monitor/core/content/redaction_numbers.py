"""Phone numbers, payment cards and identity cards, in ASCII digits.

- `[phone]`: numbers with a country code; mobiles and landlines of mainland China; in groups, those of North
  America and others with an area code. Any other number only after a word such as `tel` or `电话`.
- `[card]`: 13 to 19 digits that pass the Luhn check and begin like an issuer's, in one piece or in groups;
  with 13 or 14 digits, none that have the check digit of an article number (EAN).
- `[id-card]`: the 18 digits of mainland China with their checksum, and the 15 used before 1999 with their date;
  social security numbers of the United States.

A number right after a word such as `order` or `单号` counts only as an identity card, if its checksum is right.
"""

import re
from datetime import date
from typing import Iterator, List, Sequence, Tuple

PHONE = "[phone]"
CARD = "[card]"
ID_CARD = "[id-card]"

_Span = Tuple[int, int, str]  # start, end, mark

# Where such a number can be at all.
_RUN = re.compile(r"[0-9][0-9 ()./+-]{5,}[0-9Xx]")
_MAX_PREFIX = 2  # "+(" before the first digit

# The words right before a number.
_CONTEXT_CHARS = 32
_CALLED = r"[^0-9\n;；。]{0,12}\Z"
_CALLED_PHONE = re.compile(
    r"(?:phone|mobile|(?<![a-z])(?:tel|cell|call|dial|fax|whatsapp|contact|sms|wechat|reach (?:me|us))(?![a-z])"
    r"|手机|电话|電話|联系|聯絡|致电|拨打|座机|传真|热线|微信|短信|전화|телефон|telefon|téléphone|teléfono)"
    + _CALLED
)
_CALLED_CARD = re.compile(
    r"(?:card|visa|master|amex|credit|debit|银行卡|信用卡|储蓄卡|借记卡|卡号|付款账号|카드|tarjeta|carte|karte)"
    + _CALLED
)
_CALLED_SOCIAL = re.compile(r"(?:ssn|social security)" + _CALLED)
_CALLED_OTHERWISE = re.compile(
    r"(?:order|invoice|tracking|shipment|parcel|sku|(?<![a-z])(?:ean|upc|gtin|isbn|asin|lot|po)(?![a-z])"
    r"|barcode|article|serial|batch|timestamp|订单|訂單|单号|運單|运单|快递|流水|发票|编号|编码|会员号|学号|交易号|合同号|保单号|会议号|条码|条形码|货号|商品|序列号|时间戳)"
    r"[^0-9\n,;；，。]{0,10}\Z"
)

_BEFORE, _AFTER = r"(?<![0-9])(?<![0-9][.])", r"(?![0-9])(?![.][0-9])"
_CHINA_AREA = r"0(?:10|2[0-9]|[3-9][0-9]{2})"
_CHINA_MOBILE = r"1(?:3[0-9]|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
_AMERICA_AREA = r"[2-9](?!11)[0-9]{2}"
_PHONES = tuple(
    re.compile(pattern + _AFTER)
    for pattern in (
        # E.164: up to 15 digits with the country code.
        r"(?<![0-9][eE])(?:\(\+[1-9][0-9]{0,2}\)|\+[1-9])(?:[ .()/-]{0,3}[0-9]){6,14}",
        _BEFORE + r"00[1-9][0-9]{0,2}[ -](?:[ .()-]{0,2}[0-9]){6,12}",
        # Mainland China: mobiles of 11 digits; landlines with an area code of 3 or 4.
        _BEFORE + rf"(?:(?:00)?86[ )-]{{0,2}})?{_CHINA_MOBILE}(?:[ .-]?[0-9]{{4}}){{2}}",
        _BEFORE + rf"(?:\({_CHINA_AREA}\)|{_CHINA_AREA})[ -]{{0,2}}[1-9][0-9]{{2,3}}[ -]?[0-9]{{4}}",
        # North America, in groups: neither area nor exchange begins with 0 or 1, or is N11.
        _BEFORE + rf"(?<![0-9][ -])(?:1[ .-]?)?(?:\({_AMERICA_AREA}\) ?|{_AMERICA_AREA}[ .-]{{1,2}})"
        r"[2-9](?!11)[0-9]{2}[ .-][0-9]{4}(?![ -]?[0-9])",
        # Others with an area code: nine digits or more, in groups.
        _BEFORE + r"(?<![0-9][ -])(?:\(0[1-9][0-9]{0,3}\)|0[1-9][0-9]{1,4})[ -]"
        r"(?=(?:[ -]?[0-9]){6,9}(?![0-9]))[0-9]{2,6}[ -]?[0-9]{3,6}(?![ -]?[0-9])",
        _BEFORE + r"8 ?\([0-9]{3}\) ?[0-9]{3}-[0-9]{2}-?[0-9]{2}",
        _BEFORE + r"(?<![0-9][ .])0[1-9](?:[ .][0-9]{2}){4}(?![ .]?[0-9])",
    )
)
_INTERNATIONAL = _PHONES[:2]
_MIN_NATIONAL_DIGITS = 9
_BARE_DIGITS = re.compile(r"[0-9]{8,}")
_DECIMAL = re.compile(r"\+(?=[0-9.]{3,10}\Z)[0-9]+\.[0-9]+")
_ANY_PHONE = re.compile(_BEFORE + r"[(]?[0-9](?:[ .()/-]{0,2}[0-9]){6,14}" + _AFTER)
_DATE = re.compile(r"(?:19|20)[0-9]{2}[./-]?[01][0-9]|[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)[0-9]{2}")
_SOCIAL_SECURITY = re.compile(
    _BEFORE + r"(?<![0-9]-)(?!000|666|9)[0-9]{3}([ -])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?!-?[0-9])"
)
_NINE_DIGITS = re.compile(r"[0-9]{9}(?![0-9])")
_LETTERS_BEFORE = re.compile(r"[A-Za-z0-9]*[A-Za-z]-?\Z")
_LETTERS_AFTER = re.compile(r"-?[A-Za-z][A-Za-z0-9]*")
_MAX_HASH_CHARS = 40
# Groups of digits with one space or dash between them.
_CHAIN = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
_MAX_GROUPS = 6
# Of all groups but the last. Shorter ones are rather lists of numbers, a tenth of which pass the Luhn check.
_MIN_CARD_GROUP = 4
_MAX_CARD_GROUP = 7
_MIN_ID_GROUP = 3

_CARD_DIGITS = range(13, 20)
# ISO/IEC 7812: how the numbers of each issuer begin, and how long they are, as the schemes publish it.
_ISSUERS = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),  # Discover, RuPay
    ("60", "60", (16,)),
    ("644", "659", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("81", "82", (16, 17, 18, 19)),
    ("955", "955", (16, 19)),  # two Chinese banks' older debit cards
    ("3528", "3589", (16, 19)),  # JCB
    ("300", "305", (14, 16, 19)),  # Diners
    ("36", "36", (14, 16, 19)),
    ("38", "39", (14, 16, 19)),
    ("50", "50", (16, 18, 19)),  # Maestro, Elo, Verve
    ("56", "59", (16, 18, 19)),
    ("61", "61", (16,)),
    ("63", "63", (16, 18, 19)),
    ("66", "69", (16, 18, 19)),
    ("2200", "2204", (16, 19)),  # Mir
    ("9792", "9792", (16,)),  # Troy
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ID_CHARS = 18
_OLD_ID_CHARS = 15
# GB 11643: the weights of the first 17, and the last one by their sum modulo 11.
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_LAST = "10X98765432"
# GB/T 2260: the regions' first digit, and the second of the provinces in each.
_PROVINCES = ("", "12345", "123", "1234567", "123456", "01234", "12345", "1", "123", "")


def find_numbers(text: str, lowered: str) -> Iterator[_Span]:
    """All of them; two may overlap. `lowered` is `text` in lower case."""
    for run in _RUN.finditer(text):
        for start, end, mark in _in_run(text, lowered, run.start(), run.end()):
            if not _is_in_hash(text, start, end):
                yield start, end, mark


def _in_run(text: str, lowered: str, start: int, end: int) -> Iterator[_Span]:
    if sum(map(str.isdigit, text[start:end])) < _MIN_NATIONAL_DIGITS:
        yield from _phones(text, lowered, start, end, _INTERNATIONAL)
        return
    for chain in _CHAIN.finditer(text, start, end):
        if chain.end() - chain.start() >= _CARD_DIGITS.start:
            yield from _cards_and_ids(text, lowered, *chain.span())
    if _is_called(_CALLED_SOCIAL, lowered, start) and _NINE_DIGITS.match(text, start):
        yield start, start + 9, ID_CARD
    for match in _SOCIAL_SECURITY.finditer(text, start, end):
        if match.group(1) == "-" or _is_called(_CALLED_SOCIAL, lowered, match.start()):
            yield (*match.span(), ID_CARD)
    yield from _phones(text, lowered, start, end, _PHONES)


def _is_in_hash(text: str, start: int, end: int) -> bool:
    """Whether it is part of a hash or a UUID: letters and more digits adjoin it."""
    before = _LETTERS_BEFORE.search(text[max(0, start - _MAX_HASH_CHARS) : start])
    after = _LETTERS_AFTER.match(text, end, end + _MAX_HASH_CHARS)
    return any(side is not None and any(map(str.isdigit, side.group())) for side in (before, after))


def _phones(
    text: str, lowered: str, start: int, end: int, patterns: Sequence["re.Pattern[str]"]
) -> Iterator[_Span]:
    for pattern in patterns:
        for match in pattern.finditer(text, max(0, start - _MAX_PREFIX), end):
            is_bare = _BARE_DIGITS.fullmatch(match.group()) is not None
            if is_bare and _is_called(_CALLED_OTHERWISE, lowered, match.start()):
                continue
            if not _DECIMAL.fullmatch(match.group()):
                yield (*match.span(), PHONE)
    if _is_called(_CALLED_PHONE, lowered, start):
        called = _ANY_PHONE.match(text, start, end)
        if called is not None and _DATE.match(called.group()) is None:
            yield (*called.span(), PHONE)


def _is_called(name: "re.Pattern[str]", lowered: str, start: int) -> bool:
    return name.search(lowered[max(0, start - _CONTEXT_CHARS) : start].rstrip("+(")) is not None


def _cards_and_ids(text: str, lowered: str, start: int, end: int) -> Iterator[_Span]:
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    if len(groups) in _CARD_DIGITS and all(last - first == 1 for first, last in groups):
        groups = [(start, end)]  # spelled out
    is_card = _is_called(_CALLED_CARD, lowered, start)
    is_other = not is_card and _is_called(_CALLED_OTHERWISE, lowered, start)
    for n, (first, _) in enumerate(groups):
        for found in _beginning_with(text, first, groups[n : n + _MAX_GROUPS], is_card):
            if found[2] != CARD or not is_other:
                yield found


def _beginning_with(
    text: str, first: int, groups: List[Tuple[int, int]], is_called_card: bool
) -> Iterator[_Span]:
    digits, shortest, longest = "", _ID_CHARS, 0
    for group_start, group_end in groups:
        digits += text[group_start:group_end].replace(" ", "").replace("-", "")
        if len(digits) > _CARD_DIGITS[-1] or shortest < _MIN_ID_GROUP:
            return
        has_x = text[group_end : group_end + 1] in ("X", "x")
        is_one_piece = group_start == first
        longest = max(longest, group_end - group_start)
        if (
            len(digits) >= _OLD_ID_CHARS
            and _is_id(digits + "X" if has_x else digits)
            and (is_one_piece or len(digits) > _OLD_ID_CHARS)
        ):
            yield first, group_end + has_x, ID_CARD
        elif (
            shortest >= _MIN_CARD_GROUP
            and (is_one_piece or longest <= _MAX_CARD_GROUP or longest == group_end - first)
            and _is_card(digits, is_called_card)
            and not _is_fraction(text, first)
        ):
            yield first, group_end, CARD
        shortest = min(shortest, group_end - group_start)


def _is_fraction(text: str, start: int) -> bool:
    """Whether the digits follow a decimal point."""
    return start >= 2 and text[start - 1] == "." and text[start - 2].isdigit()


def _is_card(digits: str, is_called_card: bool) -> bool:
    # 0 is reserved, 1 is for airlines; timestamps in milliseconds begin with 1.
    if len(digits) not in _CARD_DIGITS or digits[0] in "01":
        return False
    doubled = sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    if (sum(map(int, digits[::-2])) + doubled) % 10:
        return False
    return is_called_card or (_has_issuer(digits) and not (len(digits) < 15 and _is_article(digits)))


def _has_issuer(digits: str) -> bool:
    return any(
        first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in _ISSUERS
    )


def _is_article(digits: str) -> bool:
    """The check digit of EAN-13 and GTIN-14: weights 3 and 1 from the right."""
    return (sum(map(int, digits[-3::-2])) + 3 * sum(map(int, digits[-2::-2])) + int(digits[-1])) % 10 == 0


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

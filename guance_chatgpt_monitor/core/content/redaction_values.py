"""The values of labels: quoted in any way, bare, in lists and dicts, in pieces, or before their label."""

import re
from itertools import islice
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .redaction_beginnings import Beginning, beginnings, end_of_label
from .redaction_code import find_passed
from .redaction_containers import MAX_BLOCK_CHARS, QUOTES, Steps, end_of_quoted, find_in_container
from .redaction_labels import CODE, PASSWORD, SECRET, TOKEN, WEAK, Label
from .redaction_plausible import (
    MIN_KEY_CHARS,
    is_in_program,
    is_loose,
    is_mixed,
    is_ordinary,
    is_password_like,
    is_placeholder,
    is_plausible,
    is_random_enough,
    is_strong,
    is_term,
)

_Extent = Tuple[int, int]

_FIELD_BEFORE = re.compile(r"<\w{1,12}\b[^<>\n]{0,80}?\svalue=(\\*[\"'])([^\s\"'<>]+)\1[^<>\n]{0,80}\Z")
_OPEN_QUOTE = re.compile(rf"(?:[A-Za-z]{{1,2}}|[$@]{{1,2}}|r#{{1,3}})?(\\*)(\"\"\"|'''|[{QUOTES}])")
# Between the parts of a string.
_JOINED = re.compile(r"\s{0,40}(?:[+.&]|\\\n)?\s{0,40}(?=\\*[\"'`])")
_OUTSIDE = r"\x7f-\xbf\u2000-\U0010ffff"  # CJK text and symbols, which end an unquoted value
_BARE = re.compile(
    rf"(?:[^\s\\,;&<>|\"'`{_OUTSIDE}]"
    # A delimiter, if only more of the value can follow.
    rf"|[,;&|\"'`](?=[^\s,;&<>|\"'`\\{_OUTSIDE}](?![\w.-]{{0,40}}[ ]?[:=]))"
    r"|<(?![/A-Za-z!])|\\(?![nrtbfuvx0\"'`\\/]))+"
)
# Labels of whole phrases.
_ARGUMENTS = ("auth", "basicauth", "basic_auth", "pass", "pw")
_PHRASES = ("passphrase", "seed phrase", "recovery phrase", "mnemonic phrase", "助记词")
_PHRASE = re.compile(r"[a-z]{2,12}(?:[ -][a-z]{2,12}){3,23}(?![\w-])", re.IGNORECASE)
_NEXT = re.compile(r"[ \t]*(?:,|;|、|/|\band\b|\bor\b|和|与|\r?\n[ \t]*(?:[-*+]|[0-9]{1,2}[.)])[ \t])[ \t]*")
_PAIR = re.compile(r"[ \t]*[/|,、]?[ \t]*")
_MAX_LISTED = 20
_WORD = re.compile(rf"[^\s=,;<>(){{}}\[\]|{QUOTES}{_OUTSIDE}]{{4,64}}")
_MAX_NEARBY_WORDS = 5
_MAX_NEARBY_CHARS = 80
_MAX_VALUE_CHARS = 128  # how much of an unquoted value is judged; it may be longer
_MAX_CHARS_AT_END = 8
_MAX_PAIR_CHARS = 20
_USER = re.compile(
    r"(?:(?:user|username|login|account|e-?mail|id)[ \t]*(?:/|and|&|\+)|(?:账号|帐号|账户|用户名?)[ \t]*(?:[/&+和及与、])?)[ \t]*\Z"
)
_DIGITS = re.compile(
    r"(?:[ \t]*(?:is|was|are|号?码?[是为]?))?[ \t]*[:=#-]?[ \t]*[\u3010\u300c\u201c\[(]?((?:[A-Z]-)?[0-9]{3,4}[ -]?[0-9]{0,4})"
    r"(?![0-9]|[.][0-9]|[A-Za-z%])"
)
_CODE_BEFORE = re.compile(r"(?<![a-z0-9.-])(?:[a-z]-)?[0-9]{4,8}\Z")
_MIN_PIN_DIGITS = 4
_MIN_CHARS = 3  # of a password that is not quoted
_MIN_NEXT_DIGITS = 6
_MIN_DIGITS = 4  # of a password without anything else
_ASSIGNED_TO = re.compile(r"[ \t]+=(?!=)")
# Between a value and the label after it: `... is my password`, `用 ... 作为密码`.
_IS_THE = re.compile(
    r"(?:[ ](?:is|was|as|works as|being)[ ](?:(?:my|your|our|the|a|his|her|their|its)[ ])?(?:[a-z]{1,12}[ ]){0,2}"
    r"|[ ]?(?:是|为|作为|当作?|做|就是)(?:我的?|[你您]的?|他的?|新的?|登录|初始|访问|接口|应用|的)?)\Z"
)
_LAST_WORD = re.compile(rf"([^\s{QUOTES}{_OUTSIDE}]{{5,60}})[{QUOTES}]?\Z")
_MAX_LINK_CHARS = 40
_MAX_FIELD_CHARS = 250
_MAX_WORD_CHARS = 64


class _Value(NamedTuple):
    start: int
    end: int
    quote: str  # with its backslashes; empty if there is none

    def span(self) -> _Extent:
        return self.start, self.end

    def chars(self, text: str) -> str:
        return text[self.start : self.end]


def find_assigned(text: str, lowered: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    """The values of `labels`, which are sorted."""
    taken_to = 0
    steps = Steps(len(text))
    for label in labels:
        if label.start < taken_to:
            continue  # a part of a value
        if label.kind != WEAK:
            yield from _before(text, lowered, label)
        if label.kind in (PASSWORD, SECRET, TOKEN) or label.word in _ARGUMENTS:
            yield from find_passed(text, label)
        if label.kind == CODE:
            yield from _code(text, label)
        for found in beginnings(text, lowered, label):
            extents = _values(text, lowered, label, found, steps)
            if extents:
                yield from extents
                if found.position == extents[0][0]:
                    taken_to = extents[0][1]
                break
        else:
            if label.kind in (PASSWORD, SECRET):
                yield from _nearby(text, label)


def _nearby(text: str, label: Label) -> Iterator[_Extent]:
    """A word that can only be a secret: of the next few of the line, or of the last few before."""
    line_start = text.rfind("\n", max(0, label.start - _MAX_NEARBY_CHARS), label.start) + 1
    before = _WORD.finditer(text, line_start or max(0, label.start - _MAX_NEARBY_CHARS), label.start)
    after = _WORD.finditer(text, label.end, _end_of_line(text, label.end))
    for word in (*islice(after, _MAX_NEARBY_WORDS), *list(before)[-_MAX_NEARBY_WORDS:]):
        chars = _without_end(word.group())
        if is_password_like(chars):
            yield word.start(), word.start() + len(chars)
            return


def _before(text: str, lowered: str, label: Label) -> Iterator[_Extent]:
    end = label.start
    field = (
        _FIELD_BEFORE.search(text, max(0, end - _MAX_FIELD_CHARS), end)
        if text[end - 1 : end] in ('"', "'")
        else None
    )
    if field is not None and is_strong(field.group(2)):
        yield field.span(2)
    start = max(0, end - _MAX_LINK_CHARS)
    link = _IS_THE.search(lowered[start:end])
    if link is not None:
        end = start + link.start()
        start = max(0, end - _MAX_WORD_CHARS)
        if label.kind == CODE:
            code = _CODE_BEFORE.search(lowered, start, end)
            if code is not None:
                yield code.span()
            return
        word = _LAST_WORD.search(lowered[start:end])
        if word is not None and is_loose(word.group(1)):
            yield start + word.start(1), start + word.end(1)


def _code(text: str, label: Label) -> Iterator[_Extent]:
    digits = _DIGITS.match(text, end_of_label(text, label.end))
    if digits and len(digits.group(1)) >= (_MIN_PIN_DIGITS if label.word.startswith("pin") else 3):
        yield digits.start(1), digits.start(1) + len(digits.group(1).rstrip(" -"))


def _values(text: str, lowered: str, label: Label, found: Beginning, steps: Steps) -> List[_Extent]:
    """The secret values there: several in a list, in pieces, or in a pair of user and password."""
    position = found.position
    if position >= len(text) or is_placeholder(text, position):
        return []
    if text[position] in "[{" and found.is_sure:
        return find_in_container(text, position, label.kind, steps)
    if label.word in _PHRASES:
        phrase = _PHRASE.match(text, position)
        if phrase is not None and sum(map(is_ordinary, phrase.group().lower().split())) <= 1:
            return [phrase.span()]
    value = _value_at(text, position, found)
    if value is None:
        return []
    is_pair = _USER.search(lowered[max(0, label.start - _MAX_PAIR_CHARS) : label.start]) is not None
    is_secret = _is_secret(text, value, label, found)
    if is_pair:
        slash = value.chars(text).find("/") + 1
        password = (
            value._replace(start=value.start + slash) if slash else _following(text, value, _PAIR, found)
        )
        if slash and password is not None and is_loose(password.chars(text)):
            return [password.span()]
        if password is not None and (
            text[value.end : password.start].strip() or is_loose(password.chars(text))
        ):
            return [value.span(), password.span()]
    if not is_secret:
        return []
    if not value.quote and value.end - value.start > _MAX_VALUE_CHARS - _MAX_CHARS_AT_END:
        whole = _BARE.match(text, value.start)  # only now: with many labels, it would be quadratic
        value = value._replace(end=whole.end() if whole else value.end)
    values = [value]
    while len(values) < _MAX_LISTED:
        following = _following(text, values[-1], _JOINED, found) if value.quote else None
        if following is None or following.quote != value.quote:
            following = _following(text, values[-1], _NEXT, found) if label.is_plural else None
            if following is None or not is_loose(following.chars(text)):
                break
        values.append(following)
    return [each.span() for each in values]


def _following(text: str, value: _Value, between: "re.Pattern[str]", found: Beginning) -> Optional[_Value]:
    match = between.match(text, value.end + len(value.quote))
    return _value_at(text, match.end(), found) if match else None


def _value_at(text: str, position: int, found: Beginning) -> Optional[_Value]:
    quote = _OPEN_QUOTE.match(text, position)
    if quote is not None:
        if _closes(text, position, quote):
            return None
        end = end_of_quoted(text, quote.end(), len(quote.group(1)), quote.group(2))
        return _Value(quote.end(), end, quote.group(1) + quote.group(2)) if end > quote.end() else None
    bare = _BARE.match(text, position, position + _MAX_VALUE_CHARS)
    if bare is None:
        return None
    value = bare.group()
    if found.is_cell:
        value = value.split("|")[0]
    before = text[max(0, position - 3) : position]
    for mark in ("**", "__", "~~", "*"):
        if before.endswith(mark) and mark in value[1:]:
            value = value[: value.index(mark, 1)]
    value = _without_end(value)
    return _Value(position, position + len(value), "") if value else None


def _closes(text: str, position: int, quote: "re.Match[str]") -> bool:
    """Whether the quote closes the string that the label is in, as in `getpass("Password: ")`."""
    if text[quote.end() : quote.end() + 1] not in ("", "\n", ",", ")", "]", "}", ";", ":", "+", " "):
        return False
    line_start = text.rfind("\n", 0, position) + 1
    return text.count(quote.group(2), max(line_start, position - MAX_BLOCK_CHARS), position) % 2 == 1


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position, position + _MAX_NEARBY_CHARS)
    return end if end >= 0 else position + _MAX_NEARBY_CHARS


def _without_end(value: str) -> str:
    """Without the punctuation after it."""
    while value and (
        value[-1] in ".,:;"
        or (value[-1] in ")]}" and value.count(value[-1]) > value.count("([{"[")]}".index(value[-1])]))
    ):
        value = value[:-1]
    return value


def _is_secret(text: str, value: _Value, label: Label, found: Beginning) -> bool:
    chars = text[value.start : value.end]
    if not value.quote:
        follows = text[value.end : value.end + 2]
        if follows.startswith((":", "=")) and found.is_on_next_line:
            return False  # another name
        if _ASSIGNED_TO.match(text, value.end):
            return False
        if len(chars) < (_MIN_DIGITS if chars.isdigit() else _MIN_CHARS) and label.kind == PASSWORD:
            return False
        is_constant = text[label.start : label.end].isupper()
        if is_in_program(chars, text, value.end, label.kind, is_constant, found.is_equated):
            return False
    if label.kind == WEAK and label.word in ("pass", "pw"):
        return is_loose(chars) and not ("_" in chars and chars.replace("_", "").isalnum())
    if not is_plausible(chars, label.kind, bool(value.quote)):
        return False
    if label.kind == CODE and not chars[0].isdigit() and label.word.startswith("pin"):
        return False  # a pin of a circuit
    if label.kind == CODE:
        return True
    if label.kind == TOKEN and label.is_plural and not any(map(str.isalpha, chars)):
        return False  # a count of tokens
    if found.is_next and not _is_next(chars, label):
        return False
    if found.is_cell:
        return is_strong(chars)
    if found.is_sure and not found.is_on_next_line:
        return True
    return is_strong(chars) and not (value.quote and " " in chars)


def _is_next(chars: str, label: Label) -> bool:
    """Whether `chars`, right after the label, are meant as its value."""
    if label.end - label.start != len(label.word):
        return False
    if label.kind != PASSWORD:
        return is_random_enough(chars)
    if chars.isdigit():
        return not label.word.isascii() and len(chars) >= _MIN_NEXT_DIGITS
    return is_loose(chars) and (is_mixed(chars) or (len(chars) >= MIN_KEY_CHARS and not is_term(chars)))

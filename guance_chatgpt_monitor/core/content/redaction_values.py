"""What is assigned to a label, wherever and however it is written.

Between a label and its value may stand quotes, brackets, marks of Markdown, HTML's tags, the bars of a table,
a note in brackets, a line break; `=`, `:`, `->`, `is`, `是`; the value may be quoted in any way, in a list or a
dict, in a block of YAML.
"""

import re
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .redaction_containers import MAX_BLOCK_CHARS, QUOTES, Steps, end_of_quoted, find_in_container
from .redaction_labels import CODE, PASSWORD, SECRET, TOKEN, WEAK, Label
from .redaction_plausible import is_in_program, is_loose, is_placeholder, is_plausible, is_strong

_Extent = Tuple[int, int]

_MARKS = rf"[\\{QUOTES}*_~)\]]{{0,8}}"
_TAG = r"(?:</?[A-Za-z][^<>\n]{0,80}>)"
_NOTE = r"(?:[ \t]{0,2}(?:\([^()\n]{0,60}\)|\[[^\[\]\n]{0,40}\]|\u3010[^\u3011\n]{0,40}\u3011))"
_CLOSING = re.compile(rf"{_MARKS}(?:[ \t]*{_TAG}){{0,6}}{_NOTE}?{_MARKS}")
_OF_WHAT = re.compile(
    r"[ \t]+(?:for|of|to|on|in|at|from|de|für|pour|para|del|per)[ \t][^\n:=,.;|\"'`<>]{1,40}?(?=[ \t]*[:=]|[ \t]+(?:is|was)[ \t])"
)
# ---- between label and value ----
_SYMBOL = re.compile(
    r"\u3011?[ \t]*(?:\r?\n[ \t]*)?(?::=|=>|={1,3}|->|\u2192|\u2014>|:(?!:)|:(?=[ \t]*:))[ \t]*"
)
_CELL = re.compile(r"[ \t]*\|[ \t]*")
_TAGS = re.compile(rf"{_MARKS}[ \t]*(?:</?[A-Za-z][^<>\n]{{0,80}}>\s{{0,8}}){{2,6}}")
_ELEMENT = re.compile(r"(?:[ \t][^<>\n]{0,80})?>[ \t]*(?:<!\[CDATA\[)?")
_ATTRIBUTE = re.compile(
    r"[\\\"'`]{0,4}(?:[ \t]+type=[\"']\w{1,12}[\"'])?[ \t]*,?\s{0,12}(?:[\\\"'`]{0,4}|[-][ ])(?:value|val|default|content|text|data)[\\\"'`]{0,4}"
    r"[ \t]*[:=][ \t]*",
    re.IGNORECASE,
)
# name="password">, in XML; and the field of a form behind its label.
_NAMED_ELEMENT = re.compile(r"[\"'][^<>\n]{0,60}>[ \t]*")
_FIELD = re.compile(
    r"[ \t:*]*(?:</?[A-Za-z][^<>\n]{0,80}>\s{0,8})?<\w{1,12}\b[^<>\n]{0,120}?\svalue=", re.IGNORECASE
)
_VERB = re.compile(
    r"[ \t]*(?:\r?\n[ \t]*)?(?:(?<=\s)(?:(?:is|are|was|were|ist|lautet|es|est|são|é|è|to)"
    r"|(?:(?:has been|have been|was|is|will be)[ \t])?(?:now[ \t])?(?:set|changed|reset|updated|called)(?:[ \t](?:to|as|now))?"
    r")(?=[\s:\"'`*])"
    r"|(?:已经?|被|请|暂时|暂|可以?)?(?:改|设|设置|设定|重置|更新|修改|变更|换)?[成为是到](?:了)?|就是|\u3011|は|は、|은|는|입니다|\u2014|-(?=[ \t])|~(?=[ \t]))[\s:]{0,3}",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"[ \t]*\r?\n[ \t]*")
_SPACE = re.compile(r"[ \t]+")
# ---- before the value ----
_OPENING = re.compile(
    rf"(?:[|>][+-]?[ \t]*\r?\n[ \t]+|(?:[*_~{QUOTES}]{{1,3}}(?=\s))?\s{{0,80}}(?:[-*+][ \t]+)?)(?:{_TAG}\s{{0,8}}){{0,4}}(\*{{1,3}}(?=\S)|__(?=\S)|~~(?=\S)|(?=\S))"
)
_OPEN_QUOTE = re.compile(rf"(?:[A-Za-z]{{1,2}}|[$@]{{1,2}})?(\\*)(\"\"\"|'''|[{QUOTES}])")
_OUTSIDE = r"\x7f-\xbf\u2000-\U0010ffff"  # no part of an unquoted value: CJK text, symbols
_BARE = re.compile(
    rf"(?:[^\s\\,;&<>|\"'`{_OUTSIDE}]"
    # A delimiter that nothing but more of the value can follow.
    rf"|[,;&|\"'`](?=[^\s,;&<>|\"'`\\{_OUTSIDE}](?![\w.-]{{0,40}}[ ]?[:=]))"
    r"|<(?![/A-Za-z!])|\\(?![nrtbfuvx0\"'`\\/]))+"
)
_NEXT = re.compile(r"[ \t]*(?:,|;|、|/|\band\b|\bor\b|和|与|\r?\n[ \t]*(?:[-*+]|[0-9]{1,2}[.)])[ \t])[ \t]*")
_PAIR = re.compile(r"[ \t]*[/|,、]?[ \t]*")
_MAX_LISTED = 20
_MAX_VALUE_CHARS = 128  # of one that is not quoted, to tell what it is; it may go on
_MAX_CHARS_AT_END = 8
_MAX_PAIR_CHARS = 20
_USER = re.compile(
    r"(?:(?:user|username|login|account|e-?mail|id)[ \t]*(?:/|and|&|\+)|(?:账号|帐号|账户|用户名?)[ \t]*(?:[/&+和及与、])?)[ \t]*\Z"
)
_DIGITS = re.compile(
    r"(?:[ \t]*(?:is|was|are|是|为))?[ \t]*[:=#-]?[ \t]*([0-9]{3,4}[ -]?[0-9]{0,4})(?![0-9]|[.][0-9]|[A-Za-z%])"
)
_MIN_PIN_DIGITS = 4
_MIN_CHARS = 3  # of a password that is not quoted
_MIN_DIGITS = 4  # of a password without anything else
_ASSIGNED_TO = re.compile(r"[ \t]+=(?!=)")
# Between a value and its label that comes after it: `... is my password`, `用 ... 作为密码`.
_IS_THE = re.compile(
    r"(?:[ ](?:is|was|as|works as|being)[ ](?:(?:my|your|our|the|a|his|her|their|its)[ ])?(?:[a-z]{1,12}[ ]){0,2}"
    r"|[ ]?(?:是|为|作为|当作?|做|就是)(?:我的?|你的?|他的?|新的?|登录|初始|访问|接口|应用|的)?)\Z"
)
_LAST_WORD = re.compile(rf"([^\s{QUOTES}{_OUTSIDE}]{{5,60}})[{QUOTES}]?\Z")
_MAX_LINK_CHARS = 40
_MAX_WORD_CHARS = 64


class _Value(NamedTuple):
    start: int
    end: int
    is_quoted: bool


class _Found(NamedTuple):
    """Where a value begins, and what stands before it."""

    position: int
    is_sure: bool  # a symbol that assigns; else a word, behind which only what looks like a secret is one
    is_equated: bool
    is_on_next_line: bool
    is_cell: bool
    is_next: bool = False  # nothing but space, or the end of the line, is between


def find_assigned(text: str, lowered: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    """Where the values are that have a label."""
    taken_to = 0
    steps = Steps(len(text))
    for label in labels:
        if label.start < taken_to:
            continue  # a part of a value
        if label.kind in (PASSWORD, SECRET, TOKEN):
            yield from _before(lowered, label.start)
        if label.kind == CODE:
            yield from _code(text, label)
        for found in _beginnings(text, lowered, label):
            extents = _values(text, lowered, label, found, steps)
            if extents:
                yield from extents
                if found.position == extents[0][0]:
                    taken_to = extents[0][1]
                break


def _before(lowered: str, end: int) -> Iterator[_Extent]:
    start = max(0, end - _MAX_LINK_CHARS)
    link = _IS_THE.search(lowered[start:end])
    if link is not None:
        end = start + link.start()
        start = max(0, end - _MAX_WORD_CHARS)
        word = _LAST_WORD.search(lowered[start:end])
        if word is not None and is_loose(word.group(1)):
            yield start + word.start(1), start + word.end(1)


def _code(text: str, label: Label) -> Iterator[_Extent]:
    closing = _CLOSING.match(text, label.end)
    digits = _DIGITS.match(text, closing.end() if closing else label.end)
    if digits and len(digits.group(1)) >= (_MIN_PIN_DIGITS if label.word.startswith("pin") else 3):
        yield digits.start(1), digits.start(1) + len(digits.group(1).rstrip(" -"))


def _beginnings(text: str, lowered: str, label: Label) -> Iterator[_Found]:
    """The places where the value may begin, the likeliest first."""
    closing = _CLOSING.match(text, label.end)
    end = closing.end() if closing else label.end
    of_what = _OF_WHAT.match(lowered, end)
    end = of_what.end() if of_what else end
    attribute = _ATTRIBUTE.match(text, label.end)
    if attribute:
        yield _found(text, attribute.end(), True, False)
    symbol = _SYMBOL.match(text, end)
    if symbol:
        yield _found(text, symbol.end(), True, "=" in symbol.group())
    if text[label.start - 1 : label.start] in ("<", ":") or text[label.start - 2 : label.start] == "</":
        element = _ELEMENT.match(text, label.end)
        if element and text[label.start - 1] != "/":
            yield _found(text, element.end(), True, True)
    if text[label.end : label.end + 1] in ('"', "'"):
        element = _NAMED_ELEMENT.match(text, label.end)
        if element:
            yield _found(text, element.end(), True, True)
    field = _FIELD.match(text, label.end)
    if field:
        yield _found(text, field.end(), True, True)
    cell = _CELL.match(text, end)
    if cell:
        yield _found(text, cell.end(), True, False, is_cell=True)
    tags = _TAGS.match(text, label.end)
    if tags:
        yield _found(text, tags.end(), True, True)
    verb = _VERB.match(text, end)
    if verb:
        yield _found(text, verb.end(), False, False)
    space = _SPACE.match(text, end)
    if space:
        is_option = _is_option(text, label)
        yield _found(text, space.end(), is_option, is_option)._replace(is_next=not is_option)
    line_break = _LINE_BREAK.match(text, end)
    if line_break and _begins_line(text, label.start):
        yield _found(text, line_break.end(), False, False)._replace(is_next=True)


def _found(text: str, position: int, is_sure: bool, is_equated: bool, is_cell: bool = False) -> _Found:
    opening = _OPENING.match(text, position)
    end = opening.end() if opening else position
    skipped = text[position:end]
    is_block = skipped[:1] in ("|", ">") and "\n" in skipped
    return _Found(end, is_sure, is_equated or is_block, "\n" in skipped and not is_block, is_cell)


def _is_option(text: str, label: Label) -> bool:
    """Of a command, or of Redis: a space is enough before the value."""
    word = re.search(r"(?:^|\s)--?[a-z-]*\Z", text[max(0, label.start - 40) : label.start])
    return word is not None or label.word == "requirepass"


def _begins_line(text: str, start: int) -> bool:
    line_start = text.rfind("\n", max(0, start - 20), start)
    if line_start < 0 and start > 20:
        return False
    return not any(map(str.isalnum, text[line_start + 1 : start]))


def _values(text: str, lowered: str, label: Label, found: _Found, steps: Steps) -> List[_Extent]:
    """The values that are secret there; more than one in a list, or in a pair of user and password."""
    position = found.position
    if position >= len(text) or is_placeholder(text, position):
        return []
    if text[position] in "[{" and found.is_sure:
        return find_in_container(text, position, label.kind, steps)
    value = _value_at(text, position, found)
    is_pair = _USER.search(lowered[max(0, label.start - _MAX_PAIR_CHARS) : label.start]) is not None
    if value is None or not (is_pair or _is_secret(text, value, label, found)):
        return []
    if not value.is_quoted and value.end - value.start > _MAX_VALUE_CHARS - _MAX_CHARS_AT_END:
        whole = _BARE.match(text, value.start)  # not before: so many labels may be in there
        value = value._replace(end=whole.end() if whole else value.end)
    extents = [(value.start, value.end)]
    if is_pair:
        second = _PAIR.match(text, value.end + value.is_quoted)
        following = _value_at(text, second.end(), found) if second else None
        if following is not None and (
            text[value.end : following.start].strip() or is_loose(text[following.start : following.end])
        ):
            extents.append((following.start, following.end))
        elif not _is_secret(text, value, label, found):
            return []
    elif label.is_plural:
        while len(extents) < _MAX_LISTED:
            further = _NEXT.match(text, extents[-1][1] + value.is_quoted)
            following = _value_at(text, further.end(), found) if further else None
            if following is None or not is_loose(text[following.start : following.end]):
                break
            extents.append((following.start, following.end))
    return extents


def _value_at(text: str, position: int, found: _Found) -> Optional[_Value]:
    quote = _OPEN_QUOTE.match(text, position)
    if quote is not None:
        if _closes(text, position, quote):
            return None
        end = end_of_quoted(text, quote.end(), len(quote.group(1)), quote.group(2))
        return _Value(quote.end(), end, True) if end > quote.end() else None
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
    return _Value(position, position + len(_without_end(value)), False) if _without_end(value) else None


def _closes(text: str, position: int, quote: "re.Match[str]") -> bool:
    """Whether the quote closes what the label stands in, as in `getpass("Password: ")`."""
    if text[quote.end() : quote.end() + 1] not in ("", "\n", ",", ")", "]", "}", ";", ":", "+", " "):
        return False
    line_start = text.rfind("\n", 0, position) + 1
    return text.count(quote.group(2), max(line_start, position - MAX_BLOCK_CHARS), position) % 2 == 1


def _without_end(value: str) -> str:
    """Without the punctuation around it."""
    while value and (
        value[-1] in ".,:;"
        or (value[-1] in ")]}" and value.count(value[-1]) > value.count("([{"[")]}".index(value[-1])]))
    ):
        value = value[:-1]
    return value


def _is_secret(text: str, value: _Value, label: Label, found: _Found) -> bool:
    chars = text[value.start : value.end]
    if not value.is_quoted:
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
        return is_loose(chars)
    if not is_plausible(chars, label.kind, value.is_quoted):
        return False
    if label.kind == CODE or (label.is_plural and label.kind == TOKEN):
        return label.kind == CODE or not chars.replace("_", "").isdigit()
    if found.is_next and not _is_next(chars, label):
        return False
    if found.is_cell:
        return is_strong(chars)
    if found.is_sure and not found.is_on_next_line:
        return True
    return is_strong(chars) and not (value.is_quoted and " " in chars)


def _is_next(chars: str, label: Label) -> bool:
    """Whether what merely comes next, with no word between, is meant as the value."""
    is_word = label.end - label.start == len(label.word)
    return (
        label.kind == PASSWORD
        and is_word
        and is_loose(chars)
        and (not chars.islower() or not chars.isalnum())
    )

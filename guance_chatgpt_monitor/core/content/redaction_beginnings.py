"""Where the value of a label may begin: after `=`, `:`, `->`, `is`, `是`, a tag, a table's bar, a line break.

In between there may be quotes, brackets, Markdown, a note in brackets, and what the label belongs to.
"""

import re
from typing import Iterator, NamedTuple

from .redaction_containers import QUOTES
from .redaction_labels import Label

_MARKS = rf"[\\{QUOTES}*_~)\]]{{0,8}}"
_TAG = r"(?:</?[A-Za-z][^<>\n]{0,80}>)"
_NOTE = r"(?:[ \t]{0,2}(?:\([^()\n]{0,60}\)|\[[^\[\]\n]{0,40}\]|\u3010[^\u3011\n]{0,40}\u3011))"
_CLOSING = re.compile(rf"{_MARKS}(?:[ \t]*{_TAG}){{0,6}}{_NOTE}?{_MARKS}")
_OF_WHAT = re.compile(
    r"[ \t]+(?:(?:for|of|to|on|in|at|from|de|für|pour|para|del|per)[ \t](?:[^\n:=,.;|\"'`<>]|[.](?=\S)){1,40}?"
    r"|secret[ao]|privad[ao]|temporal|segret[ao]|provisoire|tymczasowe)(?=[ \t]*[:=]|[ \t]+(?:is|was)[ \t])"
)
# ---- between label and value ----
_SYMBOL = re.compile(
    r"\u3011?[ \t]*(?:\r?\n[ \t]*)?(?:"
    # After the type of a variable.
    r":[ \t]*(?:&(?:'\w{1,10}[ ])?)?[A-Za-z_.<>\[\]|?]{1,40}[ \t]+=[ \t]*(?=\w{0,2}\#*[\"'`(])"
    r"|:=|=>|[!=]?={1,2}|->|\u2192|\u2014>|:(?!:)|:(?=[ \t]+:))[ \t]*"
)
_CELL = re.compile(r"[ \t]*\|[ \t]*")
_TAGS = re.compile(rf"{_MARKS}[ \t]*(?:</?[A-Za-z][^<>\n]{{0,80}}>\s{{0,8}}){{2,6}}")
_ELEMENT = re.compile(r"(?:[ \t][^<>\n]{0,80})?>[ \t]*(?:<!\[CDATA\[)?")
_ATTRIBUTE = re.compile(
    r"[\\\"'`]{0,4}(?:[ \t]+type=[\"']\w{1,12}[\"'])?[ \t]*(?:,|\{\s{0,12}(?:\w{1,20}[ \t]*=[^\n]{0,80}\n[ \t]{0,12}){0,4})?\s{0,12}(?:[\\\"'`]{0,4}|[-][ ])(?:value|val|default|content|text|data)[\\\"'`]{0,4}"
    r"[ \t]*[:=][ \t]*",
    re.IGNORECASE,
)
# name="password">, in XML; and the field of a form after its label.
_NAMED_ELEMENT = re.compile(r"[\"'][^<>\n]{0,60}>[ \t]*")
_FIELD = re.compile(
    r"(?:[ \t:*]*(?:</?[A-Za-z][^<>\n]{0,80}>\s{0,8})?<\w{1,12}\b|\\*[\"'])[^<>\n]{0,120}?\s(?:value|content)=",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"[ \t]*(?:\r?\n[ \t]*)?(?:(?<=\s)(?:(?:is|are|was|were|ist|lautet|es|est|são|é|è|to)"
    r"|(?:(?:has been|have been|was|is|will be)[ \t])?(?:now[ \t])?(?:set|changed|reset|updated|called)(?:[ \t](?:to|as|now))?"
    r")(?=[\s:\"'`*])"
    r"|(?:已经?|被|请|暂时|暂|可以?)?(?:改|设|设置|设定|重置|更新|修改|变更|换)?[成为是到](?:了)?|就是|如下:?|\u3011|は|は、|은|는|입니다|\u2014|-(?=[ \t])|~(?=[ \t]))[\s:]{0,3}",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"[ \t]*\r?\n[ \t]*")
_PART = re.compile(r"\\*\"\r?\n\r?\n")  # of a multipart form
_SPACE = re.compile(r"[ \t]+")
# ---- before the value ----
_OPENING = re.compile(
    # A block of YAML, a here-document.
    rf"(?:[|>][+-]?[ \t]*\r?\n[ \t]+|<<<?[-~]?[\"']?\w{{1,20}}[\"']?[ \t]*\r?\n[ \t]*|(?:[*_~{QUOTES}]{{1,3}}(?=\s))?\s{{0,80}}(?:[-*+][ \t]+)?)"
    # Tags of HTML, tags and anchors of YAML, a bracket.
    rf"(?:{_TAG}\s{{0,8}}){{0,4}}(?:[!&][\w!./-]{{1,40}}[ \t]+){{0,2}}(?:\((?=[\"'`]))?"
    r"(\*{1,3}(?=\S)|__(?=\S)|~~(?=\S)|(?=\S))"
)


class Beginning(NamedTuple):
    """A position where a value may begin, and what precedes it."""

    position: int
    is_sure: bool  # after a symbol that assigns; after a word, only what looks like a secret is one
    is_equated: bool = False  # after an equals sign, or something as good
    is_on_next_line: bool = False
    is_cell: bool = False  # of a table
    is_next: bool = False  # only a space or a line break in between


def end_of_label(text: str, end: int) -> int:
    """The position after the quotes, marks and tags that enclose the label."""
    closing = _CLOSING.match(text, end)
    return closing.end() if closing else end


def beginnings(text: str, lowered: str, label: Label) -> Iterator[Beginning]:
    """The positions where the value may begin, the likeliest first."""
    end = end_of_label(text, label.end)
    of_what = _OF_WHAT.match(lowered, end)
    end = of_what.end() if of_what else end
    attribute = _ATTRIBUTE.match(text, label.end)
    if attribute:
        yield _at(text, attribute.end(), True, False)
    symbol = _SYMBOL.match(text, end)
    if symbol:
        is_compared = "==" in symbol.group() or "!" in symbol.group()
        is_sure = not is_compared or text[symbol.end() : symbol.end() + 1] in QUOTES
        yield _at(text, symbol.end(), is_sure, "=" in symbol.group())
    if text[label.start - 1 : label.start] in ("<", ":") or text[label.start - 2 : label.start] == "</":
        element = _ELEMENT.match(text, label.end)
        if element and text[label.start - 1] != "/":
            yield _at(text, element.end(), True, True)
    if text[label.end : label.end + 1] in ('"', "'"):
        element = _NAMED_ELEMENT.match(text, label.end)
        if element:
            yield _at(text, element.end(), True, True)
    field = _FIELD.match(text, label.end)
    if field:
        yield _at(text, field.end(), True, True)
    cell = _CELL.match(text, end)
    if cell:
        yield _at(text, cell.end(), True, False, is_cell=True)
    tags = _TAGS.match(text, label.end)
    if tags:
        yield _at(text, tags.end(), True, True)
    verb = _VERB.match(text, end)
    if verb:
        yield _at(text, verb.end(), False, False)
    if not text[label.end - 1].isascii() and text[label.end : label.end + 1].isalnum():
        yield _at(text, label.end, False, False, is_next=True)
    space = _SPACE.match(text, end)
    if space:
        is_option = _is_option(text, label)
        yield _at(text, space.end(), is_option, is_option, is_next=not is_option)
    part = _PART.match(text, label.end)
    if part:
        yield _at(text, part.end(), True, True)
    line_break = _LINE_BREAK.match(text, end)
    if line_break and _begins_line(text, label.start):
        yield _at(text, line_break.end(), False, False, is_next=True)


def _at(
    text: str, position: int, is_sure: bool, is_equated: bool, is_cell: bool = False, is_next: bool = False
) -> Beginning:
    opening = _OPENING.match(text, position)
    end = opening.end() if opening else position
    skipped = text[position:end]
    is_block = skipped[:1] in ("|", ">", "<") and "\n" in skipped
    is_on_next_line = "\n" in skipped and not is_block
    return Beginning(end, is_sure, is_equated or is_block, is_on_next_line, is_cell, is_next)


def _is_option(text: str, label: Label) -> bool:
    """Whether it is an option of a command or a setting of Redis: their values follow a space."""
    word = re.search(r"(?:^|\s)--?[a-z-]*\Z", text[max(0, label.start - 40) : label.start])
    return word is not None or label.word == "requirepass"


def _begins_line(text: str, start: int) -> bool:
    line_start = text.rfind("\n", max(0, start - 20), start)
    if line_start < 0 and start > 20:
        return False
    return not any(map(str.isalnum, text[line_start + 1 : start]))

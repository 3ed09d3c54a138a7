"""Values under a heading that names a secret.

In columns of Markdown, HTML, CSV, SQL and aligned text, and in sections of YAML and TOML.
"""

import re
from typing import Iterator, List, Optional, Sequence, Tuple

from .redaction_labels import CODE, WEAK, Label, label_of_name
from .redaction_plausible import is_loose, is_mixed, is_plausible, is_random_enough

_Extent = Tuple[int, int]

_MAX_ROWS = 500
_MAX_LINE_CHARS = 2000
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t:|+-]*-[ \t:|+-]*\Z")
_HEADER_CELL = re.compile(r"[^\W\d][\w .*()/\"'`-]{0,40}\Z")
_ALIGNED = re.compile(r"[ \t]{2,}|\t")


def find_headed(text: str, lowered: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    """All of them. `lowered` is `text` in lower case; `labels` are sorted."""
    if not labels:
        return
    yield from _columns(text, labels)
    yield from _sections(text, labels)
    if "kind: secret" in lowered:
        yield from _kubernetes_secrets(text)
    if "<th" in lowered:
        yield from _html_columns(text)
    if "insert" in lowered:
        yield from _inserted(text, lowered)


def _columns(text: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    read_to = 0
    for label in labels:
        if label.start < read_to:
            continue
        start = text.rfind("\n", 0, label.start) + 1
        read_to = _line_end(text, start)
        if read_to - start > _MAX_LINE_CHARS:
            continue
        delimiter, kinds = _header(text[start:read_to])
        if not any(kinds) or (
            delimiter == "|" and not _SEPARATOR.match(text, read_to + 1, _line_end(text, read_to + 1))
        ):
            continue
        for _ in range(_MAX_ROWS):
            start = read_to + 1
            read_to = _line_end(text, start)
            row = text[start:read_to]
            if not row.strip() or len(row) > _MAX_LINE_CHARS:
                break
            if _SEPARATOR.match(row):
                continue
            cells = _cells(row, delimiter)
            if len(cells) < len(kinds) - 1 or len(cells) == 1:
                break
            for (first, cell), kind in zip(cells, kinds):
                if kind and is_plausible(cell, kind, True):
                    yield start + first, start + first + len(cell)


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _header(line: str) -> Tuple[str, List[str]]:
    for delimiter in ("|", "\t", ",", ";", "  "):
        if delimiter not in line:
            continue
        cells = _cells(line, delimiter)
        if len(cells) > 1 and all(
            _HEADER_CELL.match(cell) and cell.count("(") == cell.count(")") for _, cell in cells
        ):
            kinds = [label_of_name(cell.strip("*\"'` ")) for _, cell in cells]
            return delimiter, ["" if kind in (WEAK, CODE) and delimiter == "  " else kind for kind in kinds]
    return "", []


def _cells(line: str, delimiter: str) -> List[Tuple[int, str]]:
    """The cells with their positions, without spaces and quotes around them."""
    cells: List[Tuple[int, str]] = []
    position = 0
    for part in _split(line, delimiter):
        cell = part.strip(" \t\r\"'`*")
        if cell or delimiter != "|" or 0 < position < len(line):
            cells.append((position + (part.find(cell) if cell else 0), cell))
        position += len(part) + _width(line, position + len(part), delimiter)
    return [cell for cell in cells if cell[1]] if delimiter == "  " else cells


def _split(line: str, delimiter: str) -> List[str]:
    return _ALIGNED.split(line) if delimiter == "  " else line.split(delimiter)


def _width(line: str, position: int, delimiter: str) -> int:
    if delimiter != "  ":
        return 1
    match: Optional[re.Match[str]] = _ALIGNED.match(line, position)
    return match.end() - match.start() if match else 1


# ---- HTML ----

_ROW = re.compile(r"<tr\b|</table", re.IGNORECASE)
_HTML_CELL = re.compile(
    r"<t([hd])\b[^<>]{0,200}>\s{0,80}(?:<[^<>/]{1,80}>\s{0,8}){0,3}([^<>\s][^<>]{0,400})<", re.IGNORECASE
)
_MAX_ROW_CHARS = 4000


def _html_columns(text: str) -> Iterator[_Extent]:
    """Below a row that consists of `<th>` only."""
    kinds: List[str] = []
    rows = list(_ROW.finditer(text))
    for n, row in enumerate(rows):
        end = rows[n + 1].start() if n + 1 < len(rows) else len(text)
        cells = list(_HTML_CELL.finditer(text, row.end(), min(end, row.end() + _MAX_ROW_CHARS)))
        if len(cells) > 1 and all(cell.group(1) in "hH" for cell in cells):
            kinds = [label_of_name(cell.group(2).rstrip()) for cell in cells]
        elif row.group()[1] == "/":
            kinds = []
        for cell, kind in zip(cells, kinds):
            if kind and cell.group(1) in "dD" and is_plausible(cell.group(2).rstrip(), kind, True):
                yield cell.start(2), cell.start(2) + len(cell.group(2).rstrip())


# ---- SQL ----

_INSERT = re.compile(r"insert\s+into\s+[\w.`\"\[\]]{1,130}\s*\(([^()]{1,2000})\)\s*values\b")
_MIN_INSERTED = 5  # with its quotes
_SQL_TOKEN = re.compile(r"'((?:[^'\\]|\\.|'')*)'|[(),;]")


def _inserted(text: str, lowered: str) -> Iterator[_Extent]:
    """The strings for such columns in `INSERT INTO t (user, password) VALUES ('bob', 'S'), ...`."""
    inserts = list(_INSERT.finditer(lowered))
    for n, insert in enumerate(inserts):
        end = inserts[n + 1].start() if n + 1 < len(inserts) else len(text)
        kinds = [label_of_name(name.strip(' \t\r\n`"[]')) for name in insert.group(1).split(",")]
        depth = column = 0
        for token in _SQL_TOKEN.finditer(text, insert.end(), end) if any(kinds) else ():
            mark = token.group()
            if mark == ";" and depth <= 0:
                break
            if mark == "(":
                depth += 1
                column = 0 if depth == 1 else column
            elif mark == ")":
                depth -= 1
            elif mark == ",":
                column += depth == 1
            elif (
                len(mark) > _MIN_INSERTED
                and column < len(kinds)
                and kinds[column]
                and is_plausible(token.group(1), kinds[column], True)
            ):
                yield token.span(1)


# ---- sections ----

_HEADING = re.compile(r"[\"']?(?:\][ \t]*|[ \t]*:[ \t]*)\r?\n")
_KUBERNETES_DATA = re.compile(r"^([ \t]*)(?:data|stringData):[ \t]*\r?\n", re.MULTILINE)
_ENTRY = re.compile(
    r"([ \t]*)(?:-[ \t]+)?[\"']?[\w.-]{1,60}[\"']?[ \t]*[:=][ \t]*([\"']?)([^\s\"'#]{5,200}[^\s\"'#,])\2"
)


def _sections(text: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    """Values that look like secrets, indented below a line `tokens:`, or below a line `[tokens]`."""
    for label in labels:
        heading = _HEADING.match(text, label.end)
        if heading is not None and label.kind not in (WEAK, CODE):
            line = text[text.rfind("\n", 0, label.start) + 1 : label.start]
            indent = -1 if "]" in heading.group() else len(line) - len(line.lstrip())
            for entry in _entries(text, heading.end(), indent):
                value = entry.group(3)
                if is_random_enough(value) or (is_loose(value) and is_mixed(value)):
                    yield entry.span(3)


def _kubernetes_secrets(text: str) -> Iterator[_Extent]:
    for heading in _KUBERNETES_DATA.finditer(text):
        for entry in _entries(text, heading.end(), len(heading.group(1))):
            yield entry.span(3)


def _entries(text: str, position: int, indent: int) -> Iterator["re.Match[str]"]:
    for _ in range(_MAX_ROWS):
        entry = _ENTRY.match(text, position)
        if entry is None or len(entry.group(1)) <= indent:
            return
        yield entry
        position = _line_end(text, entry.end()) + 1

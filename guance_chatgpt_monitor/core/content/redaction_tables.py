"""Columns under a header that names a secret: in tables of Markdown, in CSV, and where tabs or spaces align."""

import re
from typing import Iterator, List, Optional, Sequence, Tuple

from .redaction_labels import CODE, WEAK, Label, label_of_name
from .redaction_plausible import is_plausible

_Extent = Tuple[int, int]

_MAX_ROWS = 500
_MAX_LINE_CHARS = 2000
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t:|+-]*-[ \t:|+-]*\Z")
_HEADER_CELL = re.compile(r"[^\W\d][\w .*()/\"'`-]{0,40}\Z")
_ALIGNED = re.compile(r"[ \t]{2,}|\t")


def find_columns(text: str, labels: Sequence[Label]) -> Iterator[_Extent]:
    """Where in the rows the cells of such columns are."""
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
        if len(cells) > 1 and all(_HEADER_CELL.match(cell) for _, cell in cells):
            kinds = [label_of_name(cell.strip("*\"'` ")) for _, cell in cells]
            return delimiter, ["" if kind in (WEAK, CODE) and delimiter == "  " else kind for kind in kinds]
    return "", []


def _cells(line: str, delimiter: str) -> List[Tuple[int, str]]:
    """Each with where it begins, without what is around it."""
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

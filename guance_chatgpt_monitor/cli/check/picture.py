"""The findings as one picture: a line for each link of the chain, its findings below, the worst last."""

from typing import Dict, Iterable, Iterator, List

from ..messages import english, text
from ..terminal import display_width, line_width, one_line, pad, paint, to_json, wrap
from .finding import FAIL, OK, PARTS, WARN, Finding

_INDENT = "  "
_MIN_COLUMNS = 20  # of a text that is broken: in less, nobody reads it


def draw(findings: List[Finding]) -> Iterator[str]:
    """The lines for a terminal, or for a pipe: there, each finding is one line."""
    parts: Dict[str, List[Finding]] = {}
    for finding in findings:
        parts.setdefault(PARTS[finding.name], []).append(finding)
    for part in _worst_last(parts, parts):
        worst = max(parts[part], key=lambda finding: finding.severity)
        yield f"{_status(worst.status)} {paint(text(f'check.part_{part}'), 'bold')}"
        for finding in sorted(parts[part], key=lambda finding: finding.severity):
            yield from _lines(finding)
    yield _summary(findings)


def as_json(findings: List[Finding]) -> str:
    """For a machine: the names are English in every language."""
    worst = max(findings, key=lambda finding: finding.severity).status
    rows = [{**finding._asdict(), "name": english(f"check.name_{finding.name}")} for finding in findings]
    return to_json({"worst": worst, "findings": rows})


def _worst_last(names: Iterable[str], parts: Dict[str, List[Finding]]) -> List[str]:
    return sorted(names, key=lambda name: max(finding.severity for finding in parts[name]))


def _lines(finding: Finding) -> Iterator[str]:
    name = pad(text(f"check.name_{finding.name}"), 20)
    head = f"{_INDENT}{_status(finding.status)} {name} "
    yield from _hanging(head, display_width(_INDENT) + 6 + max(20, display_width(name)) + 1, finding.what)
    if finding.next_step:
        label = text("common.next")
        yield from _hanging(f"{'':8}{paint(label, 'bold')}", 8 + display_width(label), finding.next_step)


def _hanging(head: str, indent: int, body: str) -> Iterator[str]:
    body, width = one_line(body), line_width()
    lines = [body] if width is None else wrap(body, max(_MIN_COLUMNS, width - indent))
    yield head + lines[0]
    for line in lines[1:]:
        yield " " * indent + line


def _status(status: str) -> str:
    return paint(pad(text(f"check.{status}"), 5), status)


def _summary(findings: List[Finding]) -> str:
    n_warn = sum(finding.status == WARN for finding in findings)
    n_fail = sum(finding.status == FAIL for finding in findings)
    color = FAIL if n_fail else WARN if n_warn else OK
    key = "check.summary" if n_warn or n_fail else "check.summary_ok"
    return paint(text(key, n=len(findings), n_warn=n_warn, n_fail=n_fail), color)

"""Reads from DataKit's `GET /metrics` whether points reach the workspace.

Names and labels are DataKit's own: `datakit_io_dataway_point_total{category,status}` counts what it sent to
Dataway by the text of the HTTP status (`OK`, `Forbidden`), and all of it as `total`.
"""

import re
from typing import Dict, FrozenSet, Iterator, NamedTuple, Tuple

from .finding import Finding, bad, doubtful, good

CATEGORIES = ("metric", "logging")

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SENT = "datakit_io_dataway_point_total"
_SKIPPED = "datakit_io_dataway_skipped_point_total"
_QUEUED = "datakit_io_wal_point_total"
_TOKEN = ("Unauthorized", "Forbidden")

_Labels = FrozenSet[Tuple[str, str]]


class Metrics(NamedTuple):
    """Samples by name and labels; not `known` if DataKit does not show them."""

    samples: Dict[Tuple[str, _Labels], float]
    known: bool = True

    def total(self, metric: str, **labels: str) -> float:
        """The sum of all samples with these labels."""
        wanted = set(labels.items())
        return sum(
            value for (name, found), value in self.samples.items() if name == metric and wanted <= found
        )

    def by_status(self, metric: str, category: str) -> Dict[str, float]:
        """The values of a category by their label `status`."""
        counts: Dict[str, float] = {}
        for (name, labels), value in self.samples.items():
            found = dict(labels)
            if name == metric and found.get("category") == category:
                counts[found.get("status", "")] = counts.get(found.get("status", ""), 0.0) + value
        return counts


def parse_metrics(page: str) -> Metrics:
    """Parse Prometheus's text format; anything else gives metrics that are not `known`."""
    samples: Dict[Tuple[str, _Labels], float] = {}
    for line in page.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found:
            try:
                labels = frozenset(_LABEL.findall(found.group(2) or ""))
                samples[found.group(1), labels] = float(found.group(3))
            except ValueError:
                pass
    known = any(name.startswith("datakit_") for name, _ in samples)
    return Metrics(samples, known)


def check_uploads(metrics: Metrics) -> Iterator[Finding]:
    """Whether points reach the workspace."""
    if not metrics.known:
        yield doubtful("uploads", "check.uploads_unknown")
        return
    findings = [finding for category in CATEGORIES for finding in _check_category(metrics, category)]
    sent = sum(metrics.total(_SENT, category=category, status="OK") for category in CATEGORIES)
    if findings:
        yield from findings
    elif sent:
        yield good("uploads", "check.uploads_ok", n=f"{sent:.0f}")
    else:
        yield doubtful("uploads", "check.uploads_none")


def _check_category(metrics: Metrics, category: str) -> Iterator[Finding]:
    counts = metrics.by_status(_SENT, category)
    n_ok = counts.pop("OK", 0.0)
    counts.pop("total", None)
    for status, n in sorted(counts.items()):
        if n:
            key = "check.uploads_token" if status in _TOKEN else "check.uploads_failed"
            values = {"category": category, "status": status or "?", "n": f"{n:.0f}", "n_ok": f"{n_ok:.0f}"}
            yield doubtful("uploads", key, **values) if n_ok else bad("uploads", key, **values)
    skipped = metrics.total(_SKIPPED, category=category)
    if skipped:
        yield doubtful("uploads", "check.uploads_skipped", category=category, n=f"{skipped:.0f}")
    # By the letter or the name, as DataKit's versions have it.
    dropped = sum(metrics.total(_QUEUED, category=c, status="drop") for c in (category, category[0].upper()))
    if dropped:
        yield bad("uploads", "check.uploads_queue_full", category=category, n=f"{dropped:.0f}")

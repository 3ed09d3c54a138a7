"""`GET /metrics` of the local DataKit: what became of the points that it took, in Prometheus's text format.

Names and labels are DataKit's own. The real one has some hundred metrics more.
"""

from collections import Counter
from typing import Counter as CounterType
from typing import Dict, Iterable, Tuple

_HELP = {
    "datakit_io_point_time_adjusted_total": "Point time adjusted count",
    "datakit_io_dataway_point_total": "Dataway uploaded points, partitioned by category and send status",
    "datakit_io_dataway_skipped_point_total": "Skipped point count during encoding(Protobuf) point",
    "datakit_io_wal_point_total": "WAL queued points",
}


class Counters:
    """Counts since the start. `upload_status` is what Dataway says to every upload: an HTTP status's text."""

    def __init__(self) -> None:
        self.upload_status = "OK"
        self._counts: CounterType[Tuple[str, Tuple[Tuple[str, str], ...]]] = Counter()

    def count(self, metric: str, n: int = 1, **labels: str) -> None:
        """Add `n` to a metric, such as `datakit_io_wal_point_total` with `status="drop"`."""
        self._counts[metric, tuple(sorted(labels.items()))] += n

    def count_points(self, category: str, input_name: str, adjusted: Iterable[bool]) -> None:
        """Points that were taken; `adjusted` says of each whether its time was overwritten."""
        flags = list(adjusted)
        if any(flags):
            name = "datakit_io_point_time_adjusted_total"
            self.count(name, sum(flags), category=category, name=input_name)
        for status in (self.upload_status, "total"):
            self.count("datakit_io_dataway_point_total", len(flags), category=category, status=status)

    def page(self) -> str:
        """The answer's body."""
        lines, seen = [], set()
        for (metric, labels), n in sorted(dict(self._counts).items()):
            if metric not in seen:
                lines += [f"# HELP {metric} {_HELP.get(metric, metric)}", f"# TYPE {metric} counter"]
                seen.add(metric)
            lines.append(f"{metric}{_labels(dict(labels))} {n}")
        # Shown whatever was taken.
        lines += ["# HELP datakit_goroutines Goroutine count", "# TYPE datakit_goroutines gauge"]
        return "\n".join([*lines, "datakit_goroutines 100", ""])


def _labels(labels: Dict[str, str]) -> str:
    escaped = {name: text.replace("\\", "\\\\").replace('"', '\\"') for name, text in labels.items()}
    return "{" + ",".join(f'{name}="{text}"' for name, text in escaped.items()) + "}"

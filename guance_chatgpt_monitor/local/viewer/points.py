"""The received points by series, in an SQLite of their own, so that a whole dashboard is read in a second.

The DataKit's own table keeps a point's tags and fields as JSON, which is right for writing. Here a series
is a number, each field a column, and the points of a series lie in the order of their times: what a chart
asks is summed up in one pass, without sorting.
"""

import json
import sqlite3
import threading
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set, Tuple

# SQLite's own bound is 2,000 columns.
MAX_FIELDS = 1500

# (category, measurement)
Source = Tuple[str, str]


class Row(NamedTuple):
    """A point as it is stored: tags and fields as JSON texts; `number` tells two logs of one time apart."""

    measurement: str
    tags: str
    fields: str
    timestamp_ns: int
    category: str
    number: int = 0

    @property
    def tags_dict(self) -> Dict[str, str]:
        tags: Dict[str, str] = json.loads(self.tags)
        return tags

    @property
    def fields_dict(self) -> Dict[str, Any]:
        fields: Dict[str, Any] = json.loads(self.fields)
        return fields


class Span(NamedTuple):
    """From `start_ns` to before `end_ns`, in intervals of `step_ns`; 0 for one interval.

    Intervals begin at multiples of the step in local time, `utc_offset_ns` east of Greenwich.
    """

    start_ns: int
    end_ns: int
    step_ns: int = 0
    utc_offset_ns: int = 0

    def intervals(self) -> List[Tuple[int, int]]:
        """Where each begins (cut at neither side), and where it ends."""
        if not self.step_ns:
            return [(self.start_ns, self.end_ns)]
        first = (self.start_ns + self.utc_offset_ns) // self.step_ns * self.step_ns - self.utc_offset_ns
        return [(start, start + self.step_ns) for start in range(first, self.end_ns, self.step_ns)]


class PointIndex:
    """All points of one DataKit. Safe to use from several threads, one at a time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("CREATE TABLE interval (i INTEGER PRIMARY KEY, low INTEGER, high INTEGER)")
        self._tables: Dict[Source, _Table] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """A point of a series and time that is there already replaces it."""
        by_source: Dict[Source, List[Row]] = {}
        for row in rows:
            by_source.setdefault((row.category, row.measurement), []).append(row)
        with self.lock:
            for source, listed in by_source.items():
                self._table(source).add(listed)

    def add_points(self, points: Iterable[Any]) -> None:
        """The same of points with tags and fields as dicts, as `LocalDataKit.points()` gives them."""
        self.add(
            Row(
                point.measurement,
                json.dumps(point.tags, ensure_ascii=False, sort_keys=True),
                json.dumps(point.fields, ensure_ascii=False),
                point.timestamp_ns,
                point.category,
                number if point.category == "logging" else 0,
            )
            for number, point in enumerate(points)
        )

    def clear(self) -> None:
        with self.lock:
            for table in self._tables.values():
                table.drop()
            self._tables.clear()

    def series(self, source: Source) -> Mapping[int, Mapping[str, str]]:
        """The tags of each series, by its number."""
        table = self._tables.get(source)
        return {} if table is None else table.series

    def fields(self, source: Source) -> Set[str]:
        table = self._tables.get(source)
        return set() if table is None else set(table.columns)

    def column(self, source: Source, field: str) -> str:
        """The name of a field's column, to be used in a condition."""
        return self._tables[source].columns[field]

    def aggregate(
        self, source: Source, aggregates: Sequence[Tuple[str, str]], span: Span, where: str = "1"
    ) -> List[Tuple[Any, ...]]:
        """Rows of (series, start of the interval, one value for each (function, field) of `aggregates`).

        `function` is SQLite's; the field `*` is counted only.
        """
        columns = self._columns(source)
        wanted = ", ".join(f"{name}({columns.get(field, 'NULL')})" for name, field in aggregates)
        return self._read(source, f"v.series, low, {wanted}", span, f"({where})", "GROUP BY s.id, interval.i")

    def values(
        self, source: Source, field: str, span: Span, where: str = "1"
    ) -> List[Tuple[int, int, int, Any]]:
        """(series, start of the interval, time, value) of each point that has the field."""
        column = self._columns(source).get(field, "NULL")
        return self._read(source, f"v.series, low, t, {column}", span, f"({where}) AND {column} NOT NULL")

    def latest(
        self, source: Source, span: Span, limit: int, where: str = "1", ascending: bool = False
    ) -> List[Row]:
        """Whole points, newest first (or oldest first), with their times."""
        with self.lock:
            table = self._tables.get(source)
            if table is None:
                return []
            names = list(table.columns)
            found = self._connection.execute(
                f"SELECT v.series, t, n{''.join(f', c{i}' for i in range(len(names)))} FROM {table.name} v"  # noqa: S608
                f" WHERE t >= ? AND t < ? AND ({where})"
                f" ORDER BY t {'ASC' if ascending else 'DESC'}, n DESC LIMIT ?",
                (span.start_ns, span.end_ns, limit),
            ).fetchall()
            return [
                Row(
                    source[1],
                    table.tags_text(row[0]),
                    json.dumps({n: v for n, v in zip(names, row[3:]) if v is not None}, ensure_ascii=False),
                    row[1],
                    source[0],
                    row[2],
                )
                for row in found
            ]

    def _table(self, source: Source) -> "_Table":
        if source not in self._tables:
            self._tables[source] = _Table(self._connection, f"points_{len(self._tables)}")
        return self._tables[source]

    def _columns(self, source: Source) -> Mapping[str, str]:
        table = self._tables.get(source)
        return {"*": "*"} if table is None else {**table.columns, "*": "*"}

    def _read(
        self, source: Source, what: str, span: Span, where: str, end: str = ""
    ) -> List[Tuple[Any, ...]]:
        with self.lock:
            table = self._tables.get(source)
            if table is None:
                return []
            run = self._connection.execute
            run("DELETE FROM interval")
            self._connection.executemany("INSERT INTO interval (low, high) VALUES (?, ?)", span.intervals())
            # Loops in this order find each interval's points side by side: a GROUP BY then needs no sorting.
            return run(
                f"SELECT {what} FROM {table.name}_series s CROSS JOIN interval CROSS JOIN {table.name} v"  # noqa: S608
                " ON v.series = s.id AND v.t >= max(low, ?) AND v.t < min(high, ?)"
                f" WHERE {where} {end}",
                (span.start_ns, span.end_ns),
            ).fetchall()


class _Table:
    """The points of one measurement. Its names are ours, never those that came in."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self.columns: Dict[str, str] = {}
        self.series: Dict[int, Dict[str, str]] = {}
        self._ids: Dict[str, int] = {}
        self._connection = connection
        connection.execute(f"CREATE TABLE {name}_series (id INTEGER PRIMARY KEY)")
        connection.execute(
            f"CREATE TABLE {name} (series INTEGER, t INTEGER, n INTEGER, PRIMARY KEY (series, t, n))"
            " WITHOUT ROWID"
        )

    def tags_text(self, series: int) -> str:
        return json.dumps(self.series[series], ensure_ascii=False)

    def add(self, rows: Sequence[Row]) -> None:
        parsed = [(self._series_of(row.tags), row, json.loads(row.fields)) for row in rows]
        for name in {name for _, _, fields in parsed for name in fields}:
            self._add_column(name)
        names = list(self.columns)
        marks = ", ".join("?" * (3 + len(names)))
        self._connection.executemany(
            f"INSERT OR REPLACE INTO {self.name} VALUES ({marks})",  # noqa: S608
            (
                (series, row.timestamp_ns, row.number, *(_storable(fields.get(name)) for name in names))
                for series, row, fields in parsed
            ),
        )
        self._connection.commit()

    def drop(self) -> None:
        self._connection.execute(f"DROP TABLE {self.name}")
        self._connection.execute(f"DROP TABLE {self.name}_series")

    def _series_of(self, tags: str) -> int:
        series = self._ids.get(tags)
        if series is None:
            series = self._ids[tags] = len(self._ids) + 1
            self.series[series] = json.loads(tags)
            self._connection.execute(f"INSERT INTO {self.name}_series VALUES (?)", (series,))  # noqa: S608
        return series

    def _add_column(self, name: str) -> None:
        if name not in self.columns and len(self.columns) < MAX_FIELDS:
            column = self.columns[name] = f"c{len(self.columns)}"
            self._connection.execute(f"ALTER TABLE {self.name} ADD COLUMN {column}")


def _storable(value: Any) -> Any:
    # SQLite's integers end at 64 bits; DataKit's may be unsigned.
    return float(value) if type(value) is int and abs(value) >= 1 << 63 else value

"""The received points by series, in an SQLite of their own, so that a whole dashboard is read in a second.

The DataKit's own table keeps a point's tags and fields as JSON, which is right for writing. Here a series
is a number, each field a column, and the points of a series lie in the order of their times: what a chart
asks is summed up in one pass, without sorting.
"""

import json
import sqlite3
import threading
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple

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
    """All points of one DataKit. One thread reads at a time: it holds `lock` from `classify()` on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("CREATE TABLE interval (i INTEGER PRIMARY KEY, low INTEGER, high INTEGER)")
        self._tables: Dict[Source, _Table] = {}
        self._collected: List[List[Any]] = []
        self._connection.create_aggregate("collect", 1, _collector(self._collected))

    def add(self, rows: Iterable[Row]) -> None:
        """A point of a series and time that is there already replaces it."""
        by_source: Dict[Source, List[Row]] = {}
        for row in rows:
            by_source.setdefault((row.category, row.measurement), []).append(row)
        with self.lock:
            for source, listed in by_source.items():
                if source not in self._tables:
                    self._tables[source] = _Table(self._connection, f"points_{len(self._tables)}")
                self._tables[source].add(listed)

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

    def fields(self, source: Source) -> Mapping[str, str]:
        """Each field's column, to be used in a condition."""
        table = self._tables.get(source)
        return {} if table is None else table.columns

    def tag_values(self, source: Source, tag: str) -> List[str]:
        """All values of a tag, sorted."""
        with self.lock:
            table = self._tables.get(source)
            series = () if table is None else table.series.values()
            return sorted({tags[tag] for tags in series if tag in tags})

    def classify(self, source: Source, tags: Iterable[str]) -> Dict[int, Dict[str, str]]:
        """Take the series together that have the same of these tags; the tags of each class, by its number.

        What is read from this source from now on is read by class. A tag that a series lacks is empty.
        """
        table = self._tables.get(source)
        names = sorted(set(tags))
        numbers: Dict[Tuple[str, ...], int] = {}
        members = [
            (numbers.setdefault(tuple(has.get(name, "") for name in names), len(numbers) + 1), series)
            for series, has in (table.series.items() if table else ())
        ]
        if table is not None:
            table.set_members(numbers.values(), members)
        return {number: dict(zip(names, values)) for values, number in numbers.items()}

    def aggregate(
        self, source: Source, aggregates: Sequence[Tuple[str, str]], span: Span, where: str = "1"
    ) -> List[List[Any]]:
        """Rows of class, start of the interval, and a value for each (function, field) of `aggregates`.

        `function` is SQLite's, or `collect`: a list of all values. The field `*` is counted only.
        """
        columns = {**self.fields(source), "*": "*"}
        wanted = ", ".join(f"{name}({columns.get(field, 'NULL')})" for name, field in aggregates)
        rows = self._read(source, f"c.id, low, {wanted}", span, f"({where})", "GROUP BY c.id, interval.i")
        lists = [2 + place for place, (name, _) in enumerate(aggregates) if name == "collect"]
        collected, self._collected[:] = list(self._collected), []
        for row in rows:
            for place in lists:
                row[place] = [value for value in collected[row[place]] if value is not None]
        return rows

    def values(self, source: Source, field: str, span: Span, where: str = "1") -> List[List[Any]]:
        """Class, start of the interval, time and value of each point that has the field."""
        column = self.fields(source).get(field, "NULL")
        return self._read(source, f"c.id, low, t, {column}", span, f"({where}) AND {column} NOT NULL")

    def latest(
        self, source: Source, span: Span, limit: int, where: str = "1", ascending: bool = False
    ) -> List[Row]:
        """Whole points, newest first (or oldest first)."""
        table = self._tables.get(source)
        if table is None:
            return []
        names = list(table.columns)
        order = "ASC" if ascending else "DESC"
        found = self._connection.execute(
            f"SELECT v.series, t, n{''.join(f', c{i}' for i in range(len(names)))}"  # noqa: S608
            f" FROM {table.name}_member m JOIN {table.name} v ON v.series = m.series"
            f" WHERE t >= ? AND t < ? AND ({where}) ORDER BY t {order}, n {order} LIMIT ?",
            (span.start_ns, span.end_ns, limit),
        ).fetchall()
        rows = []
        for series, time_ns, number, *values in found:
            fields = {name: value for name, value in zip(names, values) if value is not None}
            tags, texts = table.series[series], json.dumps(fields, ensure_ascii=False)
            rows.append(
                Row(source[1], json.dumps(tags, ensure_ascii=False), texts, time_ns, source[0], number)
            )
        return rows

    def _read(self, source: Source, what: str, span: Span, where: str, end: str = "") -> List[List[Any]]:
        table = self._tables.get(source)
        if table is None:
            return []
        self._connection.execute("DELETE FROM interval")
        self._connection.executemany("INSERT INTO interval (low, high) VALUES (?, ?)", span.intervals())
        # In this order the points of a class and interval are found side by side: nothing is sorted to group.
        cursor = self._connection.execute(
            f"SELECT {what} FROM {table.name}_class c CROSS JOIN interval"  # noqa: S608
            f" CROSS JOIN {table.name}_member m ON m.class = c.id"
            f" CROSS JOIN {table.name} v ON v.series = m.series AND v.t >= max(low, ?) AND v.t < min(high, ?)"
            f" WHERE {where} {end}",
            (span.start_ns, span.end_ns),
        )
        return [list(row) for row in cursor]


def _collector(collected: List[List[Any]]) -> Any:
    """An aggregate for SQLite, whose result is the place of a list of all values in `collected`."""

    class Collector:
        def __init__(self) -> None:
            values: List[Any] = []
            collected.append(values)
            self._place = len(collected) - 1
            self.step = values.append  # without a Python frame: it is called once a point

        def finalize(self) -> int:
            return self._place

    return Collector


class _Table:
    """The points of one measurement. Its names are ours, never those that came in."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self.columns: Dict[str, str] = {}
        self.series: Dict[int, Dict[str, str]] = {}
        self._ids: Dict[str, int] = {}
        self._connection = connection
        connection.execute(
            f"CREATE TABLE {name} (series INTEGER, t INTEGER, n INTEGER, PRIMARY KEY (series, t, n))"
            " WITHOUT ROWID"
        )
        # Which series are of one class, and are summed up together.
        connection.execute(f"CREATE TABLE {name}_class (id INTEGER PRIMARY KEY)")
        connection.execute(
            f"CREATE TABLE {name}_member (class INTEGER, series INTEGER, PRIMARY KEY (class, series))"
            " WITHOUT ROWID"
        )

    def set_members(self, classes: Iterable[int], members: Iterable[Tuple[int, int]]) -> None:
        for what in ("class", "member"):
            self._connection.execute(f"DELETE FROM {self.name}_{what}")  # noqa: S608
        self._connection.executemany(
            f"INSERT INTO {self.name}_class VALUES (?)",  # noqa: S608
            ((number,) for number in classes),
        )
        self._connection.executemany(f"INSERT INTO {self.name}_member VALUES (?, ?)", members)  # noqa: S608
        self._connection.commit()

    def drop(self) -> None:
        for table in (self.name, f"{self.name}_class", f"{self.name}_member"):
            self._connection.execute(f"DROP TABLE {table}")

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

    def _series_of(self, tags: str) -> int:
        series = self._ids.get(tags)
        if series is None:
            series = self._ids[tags] = len(self._ids) + 1
            self.series[series] = json.loads(tags)
        return series

    def _add_column(self, name: str) -> None:
        if name not in self.columns and len(self.columns) < MAX_FIELDS:
            column = self.columns[name] = f"c{len(self.columns)}"
            self._connection.execute(f"ALTER TABLE {self.name} ADD COLUMN {column}")


def _storable(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    # SQLite's integers end at 64 bits; DataKit's may be unsigned.
    return float(value) if type(value) is int and abs(value) >= 1 << 63 else value

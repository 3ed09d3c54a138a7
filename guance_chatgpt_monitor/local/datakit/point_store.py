"""What the stand-in keeps of the points that it took."""

import json
import sqlite3
import threading
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..viewer.points import Row
from .checked_point import FieldValue


class Point(NamedTuple):
    """One stored point. Times in nanoseconds since 1970."""

    measurement: str
    tags: Dict[str, str]
    fields: Dict[str, FieldValue]
    timestamp_ns: int
    category: str
    input: str
    received_at_ns: int


class PointStore:
    """Points in SQLite, over one connection under a lock.

    Of two points of one series with one timestamp, the later replaces the earlier, as in Guance's store; two
    logs are two logs.
    """

    def __init__(self, database: str) -> None:
        self.generation = 0
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(database, check_same_thread=False)
        # A killed process loses nothing by it, a power cut may: DataKit itself promises less.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS points (measurement TEXT, tags TEXT, fields TEXT,"
                " timestamp_ns INTEGER, category TEXT, input TEXT, received_at_ns INTEGER)"
            )
            self._connection.execute(
                "CREATE UNIQUE INDEX IF NOT EXISTS series"
                " ON points (category, measurement, tags, timestamp_ns) WHERE category <> 'logging'"
            )
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS alive AS SELECT max(received_at_ns) AS until_ns FROM points"
            )

    def write(self, points: Iterable[Point]) -> None:
        rows = [
            (
                point.measurement,
                json.dumps(point.tags, ensure_ascii=False, sort_keys=True),
                json.dumps(point.fields, ensure_ascii=False),
                *point[3:],
            )
            for point in points
        ]
        with self._lock, self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def read(self, measurement: Optional[str], category: str) -> List[Point]:
        rows = self._select("*", measurement, category)
        return [Point(row[0], json.loads(row[1]), json.loads(row[2]), *row[3:]) for row in rows]

    def count(self, measurement: Optional[str], category: str) -> int:
        count: int = self._select("count(*)", measurement, category)[0][0]
        return count

    def note_alive(self, now_ns: int) -> None:
        """Remember that the DataKit ran until now."""
        with self._lock, self._connection:
            self._connection.execute("UPDATE alive SET until_ns = ?", (now_ns,))

    def forget_last(self, lost_ns: int) -> None:
        """Delete what came in the last `lost_ns` before the DataKit stopped, in whatever way."""
        with self._lock, self._connection:
            self.generation += 1
            self._connection.execute(
                "DELETE FROM points WHERE received_at_ns > (SELECT until_ns FROM alive) - ?", (lost_ns,)
            )

    def clear(self) -> int:
        with self._lock, self._connection:
            self.generation += 1
            return self._connection.execute("DELETE FROM points").rowcount

    def rows_after(self, number: int, limit: int) -> List[Tuple[int, Row]]:
        """What was written since, by number; what the viewer reads."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT rowid, measurement, tags, fields, timestamp_ns, category FROM points"
                " WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (number, limit),
            ).fetchall()
        return [
            (number, Row(name, tags, fields, time_ns, category, number if category == "logging" else 0))
            for number, name, tags, fields, time_ns, category in rows
        ]

    def _select(self, what: str, measurement: Optional[str], category: str) -> List[Tuple[Any, ...]]:
        query = (
            f"SELECT {what} FROM points WHERE category = ? AND (? IS NULL OR measurement = ?)"  # noqa: S608
            " ORDER BY timestamp_ns, rowid"
        )
        with self._lock:
            return self._connection.execute(query, (category, measurement, measurement)).fetchall()

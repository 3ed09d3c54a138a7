"""One connection to the SQLite file of undelivered lines: the schema, and a transaction for each step."""

import os
import sqlite3
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..core.backlog import Backlog, Claim, Size, length_bytes, timestamp_ns

SCHEMA_VERSION = 1
# Beyond those just pushed: a bound that was lowered is reached in steps, without delaying a caller.
EVICTED_AT_ONCE = 1000
# Pages of 4 KB; with more free ones, a drained file is shrunk.
MAX_FREE_PAGES = 64

# Marks the file as ours: the letters GCGM.
_APPLICATION_ID = 0x4743474D
_SCHEMA = (
    # Ids grow from the oldest line to the newest.
    "CREATE TABLE lines (id INTEGER PRIMARY KEY, line TEXT NOT NULL, n_bytes INTEGER NOT NULL,"
    " timestamp_ns INTEGER NOT NULL)",
    # A claim is a range of ids. Claims take the oldest lines, so all ids above them are free.
    "CREATE TABLE claims (claim_id TEXT PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,"
    " n_settled INTEGER NOT NULL)",
    # One row, changed with the lines in one transaction: a push need not count them.
    "CREATE TABLE size (n_lines INTEGER NOT NULL, n_bytes INTEGER NOT NULL)",
    "INSERT INTO size VALUES (0, 0)",
    "CREATE TABLE totals (name TEXT PRIMARY KEY, count INTEGER NOT NULL)",
    "CREATE TABLE texts (name TEXT PRIMARY KEY, text TEXT NOT NULL)",
    "CREATE TABLE locks (name TEXT PRIMARY KEY, token TEXT NOT NULL, expires_at_s REAL NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_FREE = "id > (SELECT coalesce(max(last_id), -1) FROM claims)"


class BacklogDatabase(Backlog):
    """The file at `path`, created for its owner alone if there is none. One thread at a time.

    Raises sqlite3.Error: OperationalError "database is locked" at once if another process holds the file,
    NotSupportedError if it is of another version or another program's, and DatabaseError itself, not a
    subclass, if it is damaged.
    """

    def __init__(
        self,
        path: Path,
        max_lines: int,
        max_bytes: int,
        token: str,
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._token = token
        self._clock = clock
        _make(path)
        self._identity = _identity(path)
        self._connection = sqlite3.connect(
            str(path), timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._is_made()  # first: nothing may change in another program's database
            self._query("PRAGMA journal_mode = WAL")
            self._query("PRAGMA synchronous = NORMAL")
            # Deleted lines are overwritten: they may hold prompts and answers.
            self._query("PRAGMA secure_delete = ON")
            if not self._is_made():
                with self._transaction():
                    if not self._is_made():
                        for statement in _SCHEMA:
                            self._query(statement)
        except BaseException:
            self.close()
            raise

    def is_in_place(self) -> bool:
        """Whether this connection's file is still the one at the path."""
        return self._identity == _identity(self._path)

    def close(self) -> None:
        """Close the file. The last process to do so removes the files that SQLite keeps beside it."""
        self._connection.close()

    def put(self, lines: List[str], counts: Dict[str, int]) -> int:
        """`push()` and `add()` in one."""
        with self._transaction():
            if counts:
                self._add(counts)
            if not lines:
                return 0
            rows = [(line, length_bytes(line), timestamp_ns(line)) for line in lines]
            self._connection.executemany(
                "INSERT INTO lines (line, n_bytes, timestamp_ns) VALUES (?, ?, ?)", rows
            )
            n_lines, n_bytes = self._resize(len(rows), sum(row[1] for row in rows))
            return self._drop_surplus(n_lines, n_bytes, len(rows) + EVICTED_AT_ONCE)

    def push(self, lines: List[str]) -> int:
        return self.put(lines, {})

    def add(self, counts: Dict[str, int]) -> None:
        self.put([], counts)

    def claim(self, max_lines: int) -> Optional[Claim]:
        with self._transaction():
            earlier = self._query(
                "SELECT claim_id, first_id, last_id, n_settled FROM claims ORDER BY first_id LIMIT 1"
            )
            if earlier:
                claim_id, first_id, last_id, n_settled = earlier[0]
                rows = self._query(
                    "SELECT line FROM lines WHERE id BETWEEN ? AND ? ORDER BY id", first_id, last_id
                )
                return Claim(claim_id, [row[0] for row in rows], n_settled)
            rows = self._query("SELECT line, id FROM lines ORDER BY id LIMIT ?", max_lines)
            if not rows:
                return None
            claim_id = uuid.uuid4().hex
            self._query("INSERT INTO claims VALUES (?, ?, ?, 0)", claim_id, rows[0][1], rows[-1][1])
            return Claim(claim_id, [row[0] for row in rows])

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        rest = claim.after(n_lines, counts)
        with self._transaction():
            # No row: another process took the claim over and settled it.
            for first_id, last_id, n_settled in self._query(
                "SELECT first_id, last_id, n_settled FROM claims WHERE claim_id = ?", claim.claim_id
            ):
                n_new = rest.n_settled - n_settled
                if n_new > 0:
                    self._settle(claim.claim_id, first_id, last_id, n_new)
                    self._add(_first(n_new, counts))
        if not rest.lines and not self._query("SELECT n_lines FROM size")[0][0]:
            self._give_space_back()
        return rest

    def size(self) -> Size:
        n_lines, n_bytes = self._query("SELECT n_lines, n_bytes FROM size")[0]
        oldest = self._query("SELECT timestamp_ns FROM lines ORDER BY id LIMIT 1")
        return Size(n_lines, n_bytes, oldest[0][0] if oldest else 0)

    def totals(self) -> Dict[str, int]:
        return dict(self._query("SELECT name, count FROM totals"))

    def load(self, name: str) -> str:
        rows = self._query("SELECT text FROM texts WHERE name = ?", name)
        return str(rows[0][0]) if rows else ""

    def save(self, name: str, text: str) -> None:
        with self._transaction():
            self._query("INSERT OR REPLACE INTO texts VALUES (?, ?)", name, text)

    def acquire(self, name: str, expires_s: int) -> bool:
        with self._transaction():
            now_s = self._clock()
            for token, expires_at_s in self._query(
                "SELECT token, expires_at_s FROM locks WHERE name = ?", name
            ):
                # Further ahead than any is ever set: the clock was set back.
                held = now_s < expires_at_s <= now_s + expires_s
                if held and token != self._token:
                    return False
            self._query("INSERT OR REPLACE INTO locks VALUES (?, ?, ?)", name, self._token, now_s + expires_s)
            return True

    def release(self, name: str) -> None:
        with self._transaction():
            self._query("DELETE FROM locks WHERE name = ? AND token = ?", name, self._token)

    def _give_space_back(self) -> None:
        """All is delivered: shrink the file, and SQLite's write-ahead log."""
        try:
            if self._query("PRAGMA freelist_count")[0][0] > MAX_FREE_PAGES:
                self._query("VACUUM")
            self._query("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            pass  # others are using it

    def _query(self, sql: str, *values: object) -> List[Tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._query("BEGIN IMMEDIATE")
        try:
            yield
            self._query("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._query("ROLLBACK")
            raise

    def _is_made(self) -> bool:
        """Whether the schema is there; False for an empty file."""
        application_id = self._query("PRAGMA application_id")[0][0]
        version = self._query("PRAGMA user_version")[0][0]
        if (application_id, version) == (_APPLICATION_ID, SCHEMA_VERSION):
            return True
        if application_id == _APPLICATION_ID:
            raise sqlite3.NotSupportedError(f"its version is {version}, not {SCHEMA_VERSION}")
        if self._query("SELECT 1 FROM sqlite_master LIMIT 1"):
            raise sqlite3.NotSupportedError("it is another program's database")
        return False

    def _add(self, counts: Dict[str, int]) -> None:
        self._connection.executemany(
            "INSERT INTO totals VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            counts.items(),
        )

    def _settle(self, claim_id: str, first_id: int, last_id: int, n_lines: int) -> None:
        # Lines are only removed from the front: the ids of a claim have no gaps.
        first_left_id = first_id + n_lines
        self._remove("id BETWEEN ? AND ?", first_id, min(first_left_id - 1, last_id))
        if first_left_id > last_id:
            self._query("DELETE FROM claims WHERE claim_id = ?", claim_id)
        else:
            self._query(
                "UPDATE claims SET first_id = ?, n_settled = n_settled + ? WHERE claim_id = ?",
                first_left_id,
                n_lines,
                claim_id,
            )

    def _resize(self, n_lines: int, n_bytes: int) -> Tuple[int, int]:
        self._query("UPDATE size SET n_lines = n_lines + ?, n_bytes = n_bytes + ?", n_lines, n_bytes)
        n_lines, n_bytes = self._query("SELECT n_lines, n_bytes FROM size")[0]
        return n_lines, n_bytes

    def _drop_surplus(self, n_lines: int, n_bytes: int, at_most: int) -> int:
        if n_lines <= self._max_lines and n_bytes <= self._max_bytes:
            return 0
        last_id = None
        for id_, line_bytes in self._connection.execute(
            f"SELECT id, n_bytes FROM lines WHERE {_FREE} ORDER BY id LIMIT {at_most:d}"  # noqa: S608
        ):
            last_id = id_
            n_lines -= 1
            n_bytes -= line_bytes
            if n_lines <= self._max_lines and n_bytes <= self._max_bytes:
                break
        return 0 if last_id is None else self._remove(f"{_FREE} AND id <= ?", last_id)

    def _remove(self, where: str, *values: object) -> int:
        n_lines, n_bytes = self._query(
            f"SELECT count(*), coalesce(sum(n_bytes), 0) FROM lines WHERE {where}",  # noqa: S608
            *values,
        )[0]
        self._query(f"DELETE FROM lines WHERE {where}", *values)  # noqa: S608
        self._resize(-n_lines, -n_bytes)
        return int(n_lines)


def _make(path: Path) -> None:
    """An empty file for its owner alone; SQLite gives the two beside it the same mode."""
    try:
        # Never one that exists: closing it would free the locks that this process has on it.
        os.close(os.open(str(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass


def _identity(path: Path) -> Optional[Tuple[int, int]]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _first(n: int, counts: Dict[str, int]) -> Dict[str, int]:
    """The first `n` of `counts`: another process has settled and counted the rest."""
    first = {}
    for name, count in counts.items():
        first[name] = min(count, n)
        n -= first[name]
    return first

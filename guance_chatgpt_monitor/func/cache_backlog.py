"""The backlog in Func's cache, a Redis shared by all workers and hosts of one Func."""

import json
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from ..core.backlog import (
    MAX_BYTES,
    MAX_LINES,
    WRITE_US,
    WRITES,
    Backlog,
    Claim,
    Size,
    add_counts,
    length_bytes,
    timestamp_ns,
)

SCOPE = "guance_chatgpt_monitor"  # in the cache, for all scripts of the set


class CacheBacklog(Backlog):
    """The backlog in DFF.CACHE, under one scope whichever script asks.

    Uses only single commands, which are atomic, and never relies on two together. A claim is a list, added
    to only while it is taken, and records: each deliverer writes in its own how many of the oldest lines are
    settled, and how. The furthest record counts; none is ever wrong, however slow its writer.
    """

    at_once = 1
    # The durations of so many writes are added up in the process before they are saved: a mean needs no more.
    WRITES_AT_ONCE = 20
    WRITES_KEPT_S = 60.0

    # Lists are pushed to on the left: the oldest line is at the right end.
    _LINES = "backlog"
    _RECORDS = "backlog_claims"  # CLAIM/WRITER -> record
    _SIZE = "backlog_size"
    _TOTALS = "totals"
    _ADDED_UP = "added_up"  # the counts of claims whose records were deleted
    _SLICE = 1000
    _EVICTED_AT_ONCE = 20
    # So long, a claim whose taking was interrupted may still get lines.
    _CUT_OFF_KEPT_NS = 3600 * 10**9
    # Claims remembered as added up, so that records written too late are not counted again.
    _REMEMBERED = 1000

    def __init__(
        self,
        cache: Any,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
        scope: str = SCOPE,
        clock_ns: Callable[[], int] = time.time_ns,
        memory: Optional[Dict[str, Any]] = None,
    ) -> None:
        self._memory: Dict[str, Any] = {} if memory is None else memory
        self._cache = cache
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._scope = scope
        self._clock_ns = clock_ns
        self._token = uuid.uuid4().hex

    def push(self, lines: List[str]) -> int:
        return sum(map(self._push, lines))

    def claim(self, max_lines: int) -> Optional[Claim]:
        for claim_id, record in self._records().items():
            if not record.settled:
                lines = self._lines_of(claim_id, record)
                if lines:
                    return Claim(claim_id, lines, record.n_settled, record.counts, record.complete)
        return self._new_claim(max_lines)

    def settle(self, claim: Claim, n_lines: int, counts: Dict[str, int]) -> Claim:
        # First: a worker that dies before the next step leaves the count too low, which drops nothing.
        self._add_bytes(-sum(map(length_bytes, claim.lines[:n_lines])))
        rest = claim.after(n_lines, counts)
        settled = rest.complete and not rest.lines
        self._write_record(rest, settled)
        if settled:
            self._cache.delete(claim.claim_id, scope=self._scope)
        return rest

    def size(self) -> Size:
        """How much waits: up to _SLICE lines are read and counted, more are not read."""
        n_lines, oldest = self._cache.llen(self._LINES, scope=self._scope) or 0, []
        oldest.append(self._slice(self._LINES, -1, -1))
        for claim_id, record in self._records().items():
            if not record.settled:
                left = (self._cache.llen(claim_id, scope=self._scope) or 0) - record.n_settled
                n_lines += max(0, left)
                at = -1 - record.n_settled
                oldest.append(self._slice(claim_id, at, at))
        if n_lines <= self._SLICE:
            return self._size_afresh()
        stamps = [timestamp_ns(line) for lines in oldest for line in lines]
        return Size(n_lines, max(0, self._counted_bytes()), min(stamps, default=0))

    def _size_afresh(self) -> Size:
        # Corrects the running count, which lacks what killed workers had no time to count.
        counted = self._counted_bytes()
        n_lines = n_bytes = 0
        oldest: List[int] = []
        for lines in self._all_lines():
            n_lines += len(lines)
            n_bytes += sum(map(length_bytes, lines))
            oldest.extend(map(timestamp_ns, lines[:1]))
        # Others add and remove meanwhile: rather too low, as above.
        self._add_bytes(n_bytes - max(counted, self._counted_bytes()))
        return Size(n_lines, n_bytes, min(oldest, default=0))

    def add(self, counts: Dict[str, int]) -> None:
        for name, count in counts.items():
            if name in (WRITES, WRITE_US):
                self._add_up(name, count)
            elif count:
                self._cache.hincrby(self._TOTALS, name, count, scope=self._scope)

    def _add_up(self, name: str, count: int) -> None:
        sums = self._memory.setdefault("writes", {WRITES: 0, WRITE_US: 0})
        sums[name] += count
        last_s = self._memory.get("writes_added_at_s", float("-inf"))
        is_time = sums[WRITES] >= self.WRITES_AT_ONCE or time.monotonic() - last_s > self.WRITES_KEPT_S
        if name == WRITE_US and is_time:
            self._memory["writes_added_at_s"] = time.monotonic()
            for each in (WRITES, WRITE_US):
                self._cache.hincrby(self._TOTALS, each, sums[each], scope=self._scope)
                sums[each] = 0

    def totals(self) -> Dict[str, int]:
        stored = self._cache.hgetall(self._TOTALS, scope=self._scope) or {}
        return add_counts({name: int(count) for name, count in stored.items()}, self._totals_of_claims())

    def load(self, name: str) -> str:
        return str(self._cache.get(name, scope=self._scope) or "")

    def save(self, name: str, text: str) -> None:
        self._cache.set(name, text, scope=self._scope)

    def acquire(self, name: str, expires_s: int) -> bool:
        key = "lock_" + name
        options = {"scope": self._scope, "expires": expires_s}
        if self._cache.set(key, self._token, not_exists=True, **options):
            return True
        if self._cache.get(key, scope=self._scope) != self._token:
            return False
        return bool(self._cache.expire(key, expires_s, scope=self._scope))

    def release(self, name: str) -> None:
        key = "lock_" + name
        if self._cache.get(key, scope=self._scope) == self._token:
            self._cache.delete(key, scope=self._scope)

    def _push(self, line: str) -> int:
        n_bytes = self._add_bytes(length_bytes(line))
        n_lines = self._cache.lpush(self._LINES, line, scope=self._scope)
        dropped = 0
        try:
            if n_lines == 1:
                # The list was empty or gone: forget what was miscounted.
                self._cache.hset(self._SIZE, "bytes", length_bytes(line), scope=self._scope)
            # A few at a time: after the bound is lowered, one caller would wait for tens of thousands.
            for _ in range(self._EVICTED_AT_ONCE):
                if n_lines <= 1 or (n_lines <= self._max_lines and n_bytes <= self._max_bytes):
                    break
                oldest = self._cache.rpop(self._LINES, scope=self._scope)
                dropped += oldest is not None
                # Asked again, because others evict at the same time.
                n_lines = self._cache.llen(self._LINES, scope=self._scope)
                n_bytes = self._add_bytes(-length_bytes(oldest or ""))
        except Exception:
            pass  # the line is in, and must not be pushed again; the next push restores the bounds
        return dropped

    def _new_claim(self, max_lines: int) -> Optional[Claim]:
        # The ids sort by time.
        claim = Claim(f"claim_{self._clock_ns():020d}_{uuid.uuid4().hex}", [], complete=False)
        # Recorded before it holds a line, so that no line is lost if we die now.
        self._write_record(claim)
        while len(claim.lines) < max_lines:
            line = self._cache.rpoplpush(self._LINES, claim.claim_id, scope=self._scope)
            if line is None:
                break
            claim.lines.append(line)
        if not claim.lines:
            self._cache.hdel(self._RECORDS, self._record_name(claim.claim_id), scope=self._scope)
            return None
        claim = claim._replace(complete=True)
        self._write_record(claim)
        return claim

    def _totals_of_claims(self) -> Dict[str, int]:
        """The counts of all claims. Those of settled claims are added up, and their records deleted.

        The sum is saved in one step with the claims that are in it: each counts once, whoever dies when.
        """
        text = self.load(self._ADDED_UP)
        before = json.loads(text) if text else {"counts": {}, "claims": []}
        counts: Dict[str, int] = before["counts"]
        under_way: Dict[str, int] = {}
        done = {}
        for claim_id, record in self._records().items():
            if record.settled or self._is_over(claim_id, record):
                done[claim_id] = record
                if claim_id not in before["claims"]:
                    counts = add_counts(counts, record.counts)
            elif claim_id not in before["claims"]:
                under_way = add_counts(under_way, record.counts)
        if done:
            claims = [*before["claims"], *done][-self._REMEMBERED :]
            self.save(self._ADDED_UP, json.dumps({"counts": counts, "claims": claims}))
        for claim_id, record in done.items():
            self._cache.delete(claim_id, scope=self._scope)
            for name in record.names:
                self._cache.hdel(self._RECORDS, name, scope=self._scope)
        return add_counts(counts, under_way)

    def _is_over(self, claim_id: str, record: "_Record") -> bool:
        """Whether a claim was interrupted long ago and holds no more lines."""
        taken_ns = int(claim_id.split("_")[1])
        return self._clock_ns() - taken_ns > self._CUT_OFF_KEPT_NS and not self._lines_of(claim_id, record)

    def _records(self) -> Dict[str, "_Record"]:
        """The record of each claim that counts, oldest claim first."""
        stored = self._cache.hgetall(self._RECORDS, scope=self._scope) or {}
        records: Dict[str, _Record] = {}
        for name in sorted(stored):
            claim_id = name.split("/")[0]
            record = _Record([name], **json.loads(stored[name]))
            known = records.get(claim_id)
            records[claim_id] = record if known is None else record.merged(known)
        return records

    def _write_record(self, claim: Claim, settled: bool = False) -> None:
        record = _Record([], claim.n_settled, claim.counts, claim.complete, settled)._asdict()
        del record["names"]
        name = self._record_name(claim.claim_id)
        self._cache.hset(self._RECORDS, name, json.dumps(record), scope=self._scope)

    def _record_name(self, claim_id: str) -> str:
        return f"{claim_id}/{self._token}"

    def _all_lines(self) -> Iterator[List[str]]:
        """Everything that waits, in parts whose first line is their oldest."""
        for claim_id, record in self._records().items():
            if not record.settled:
                yield self._lines_of(claim_id, record)
        start = 0
        while True:
            lines = self._slice(self._LINES, start, start + self._SLICE - 1)
            yield lines
            if len(lines) < self._SLICE:
                return
            start += self._SLICE

    def _lines_of(self, claim_id: str, record: "_Record") -> List[str]:
        """The unsettled lines of a claim."""
        return self._slice(claim_id, 0, -1)[record.n_settled :]

    def _slice(self, key: str, start: int, stop: int) -> List[str]:
        """Lines of a list, oldest first; positions count from the newest."""
        return (self._cache.lrange(key, start, stop, scope=self._scope) or [])[::-1]

    def _counted_bytes(self) -> int:
        return int(self._cache.hget(self._SIZE, "bytes", scope=self._scope) or 0)

    def _add_bytes(self, n_bytes: int) -> int:
        return int(self._cache.hincrby(self._SIZE, "bytes", n_bytes, scope=self._scope))


class _Record(NamedTuple):
    """What one writer recorded about a claim; `names` are the fields that hold it."""

    names: List[str]
    n_settled: int
    counts: Dict[str, int]
    complete: bool
    settled: bool  # all its lines are settled

    def merged(self, other: "_Record") -> "_Record":
        furthest = max(self, other, key=lambda record: (record.settled, record.n_settled))
        complete = self.complete or other.complete
        return furthest._replace(names=[*other.names, *self.names], complete=complete)

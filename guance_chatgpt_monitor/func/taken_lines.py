"""What DataKit took recently, kept in Func's cache until it is known to be safe.

A DataKit that is stopped loses its last 10 s. So each request that it took is noted with one Redis command,
in a list for each minute. collect() asks DataKit how long it has been running; after a restart, it sends what
DataKit took last before that again. What was taken before the previous collect() is then deleted.
"""

import json
import time
from typing import Any, Callable, List

from ..core.backlog import length_bytes
from ..core.batches import BATCH_LINES
from ..core.recent_lines import SLACK_S, Taken, lost_lines

MAX_ENTRIES = 20_000  # per minute
MAX_LONG_BYTES = 16 * 1024 * 1024  # of entries longer than LONG_BYTES, per minute
LONG_BYTES = 4096
KEPT_S = 15 * 60  # if no collect() runs
KEPT_IN_OUTAGE_S = 12 * 3600  # as long as lines wait in the backlog

_MINUTE_S = 60
_CHECKED = "taken_checked_at_s"
_DELETED = "taken_deleted_until_s"
_STARTED = "taken_datakit_started_at_s"


class TakenLines:
    """The lines of one category, in the `scope` of its backlog. `clock` returns seconds since 1970."""

    def __init__(self, cache: Any, scope: str, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._scope = scope
        self._clock = clock

    def note(self, lines: List[str]) -> None:
        """DataKit has just taken these in one request. Raises if the cache is unavailable."""
        now_s = self._clock()
        key = _key(now_s)
        entry = json.dumps([round(now_s, 3), lines], ensure_ascii=False)
        count = int(self._cache.lpush(key, entry, scope=self._scope))
        if count == 1:
            self._cache.expire(key, KEPT_S, scope=self._scope)
        too_many = count > MAX_ENTRIES
        if len(entry) > LONG_BYTES:
            bytes_key = key + "_bytes"
            n_bytes = int(self._cache.incr(bytes_key, length_bytes(entry), scope=self._scope))
            self._cache.expire(bytes_key, KEPT_S, scope=self._scope)
            too_many = too_many or n_bytes > MAX_LONG_BYTES
        if too_many:
            self._cache.rpop(key, scope=self._scope)

    def send_again(self, uptime_s: float, deliver: Callable[[List[str]], Any]) -> int:
        """Deliver again what DataKit, running for `uptime_s`, has lost; returns the number of lines.

        A run that is killed leaves it to the next. Raises if the cache is unavailable.
        """
        now_s = self._clock()
        started_at_s, checked_at_s = now_s - uptime_s, self._load(_CHECKED) or now_s - KEPT_S
        lost: List[str] = []
        if abs(started_at_s - self._load(_STARTED)) > 2 * SLACK_S:
            taken = [entry for minute in _minutes(checked_at_s, now_s) for entry in self._entries(minute)]
            lost = lost_lines(taken, started_at_s)
            for start in range(0, len(lost), BATCH_LINES):
                deliver(lost[start : start + BATCH_LINES])
            self._save(_STARTED, started_at_s)
        for minute in _minutes(self._load(_DELETED) or checked_at_s, checked_at_s)[:-2]:
            self._cache.delete(_key(minute), scope=self._scope)
        self._save(_DELETED, checked_at_s)
        self._save(_CHECKED, now_s)
        return len(lost)

    def keep_longer(self) -> None:
        """DataKit is unreachable: keep what it took last until its uptime says whether that is lost."""
        for minute in _minutes(self._load(_CHECKED), self._clock())[-KEPT_S // _MINUTE_S :]:
            self._cache.expire(_key(minute), KEPT_IN_OUTAGE_S, scope=self._scope)

    def _entries(self, minute_s: float) -> List[Taken]:
        texts = self._cache.lrange(_key(minute_s), 0, -1, scope=self._scope) or []
        return [Taken(*json.loads(text)) for text in reversed(texts)]

    def _load(self, name: str) -> float:
        return float(self._cache.get(name, scope=self._scope) or 0)

    def _save(self, name: str, value_s: float) -> None:
        self._cache.set(name, str(value_s), scope=self._scope)


def _key(at_s: float) -> str:
    return f"taken_{int(at_s) // _MINUTE_S}"


def _minutes(from_s: float, until_s: float) -> List[float]:
    """A time in each minute from the one before `from_s` to that of `until_s`, if lines are kept as long."""
    first = int(max(from_s - _MINUTE_S, until_s - KEPT_IN_OUTAGE_S)) // _MINUTE_S
    return [float(minute * _MINUTE_S) for minute in range(first, int(until_s) // _MINUTE_S + 1)]

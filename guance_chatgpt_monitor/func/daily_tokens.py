"""The tokens of a day, counted by all workers together in Func's cache.

A call reserves its upper bound before it is sent and returns what it did not use, so simultaneous callers
cannot all use what is left for one. Each command of the cache is atomic and returns the new sum.
"""

import json
import time
import uuid
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, NamedTuple, Optional

from ..core.validators import timezone_of
from .cache_backlog import SCOPE

# Longer than a day, in case the clock is put back.
COUNT_KEPT_S = 48 * 3600
# Far longer than a call may take: a call that reserved so long ago was killed.
RESERVED_S = 600
# For an answer without a bound: the most that most models generate.
UNBOUNDED_COMPLETION_TOKENS = 16_384


class Reservation(NamedTuple):
    """Tokens of a day that one call may use."""

    day: str
    reservation_id: str
    tokens: int


class DailyTokens:
    """`timezone` decides when midnight is; empty for Func's own. `clock` returns seconds since 1970."""

    def __init__(self, limit: int, timezone: str = "", clock: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._timezone = timezone_of(timezone) if timezone else None
        self._clock = clock

    def reserve(self, tokens: int, cache: Any) -> Optional[Reservation]:
        """None if the day's tokens are used up or reserved. Raises if the cache is unavailable."""
        day = self._day()
        is_left = self._add_if_left(day, tokens, cache)
        if not is_left and self._free_abandoned(day, cache):
            is_left = self._add_if_left(day, tokens, cache)
        if not is_left:
            return None
        reservation = Reservation(day, uuid.uuid4().hex, tokens)
        text = json.dumps([tokens, self._clock() + RESERVED_S])
        cache.hset(_reserved(day), reservation.reservation_id, text, scope=SCOPE)
        cache.expire(_reserved(day), COUNT_KEPT_S, scope=SCOPE)
        return reservation

    def nothing_reserved(self) -> Reservation:
        """For a call that is sent without a reservation, and is counted afterwards."""
        return Reservation(self._day(), "", 0)

    def settle(self, reservation: Reservation, used: int, cache: Any) -> None:
        """Replace what was reserved by what was used. Raises if the cache is unavailable."""
        reserved, reservation_id = _reserved(reservation.day), reservation.reservation_id
        given_back = reservation_id and int(cache.hdel(reserved, reservation_id, scope=SCOPE) or 0)
        self._add(reservation.day, used - reservation.tokens if given_back else used, cache)
        cache.expire(_total(reservation.day), COUNT_KEPT_S, scope=SCOPE)

    def resets_at(self) -> str:
        """The next midnight, for an error message."""
        now = self._now()
        tomorrow = now.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        # Not with the current offset, which may change before then.
        there = tomorrow.replace(tzinfo=self._timezone) if self._timezone else tomorrow.astimezone()
        return there.strftime("%Y-%m-%d %H:%M %z")

    def _day(self) -> str:
        return self._now().strftime("%Y-%m-%d")

    def _now(self) -> datetime:
        now = datetime.fromtimestamp(self._clock(), self._timezone)
        return now.astimezone() if self._timezone is None else now

    def _add_if_left(self, day: str, tokens: int, cache: Any) -> bool:
        if self._add(day, tokens, cache) - tokens < self.limit:
            return True
        self._add(day, -tokens, cache)
        return False

    def _add(self, day: str, tokens: int, cache: Any) -> int:
        return int(cache.hincrby(_total(day), "total", tokens, scope=SCOPE))

    def _free_abandoned(self, day: str, cache: Any) -> bool:
        """Release what killed calls had reserved; returns whether there was any."""
        stored: Dict[str, str] = cache.hgetall(_reserved(day), scope=SCOPE) or {}
        freed = False
        for reservation_id, text in stored.items():
            tokens, until_s = json.loads(text)
            # Of two workers that see it, only one deletes it.
            if until_s < self._clock() and int(cache.hdel(_reserved(day), reservation_id, scope=SCOPE) or 0):
                self._add(day, -tokens, cache)
                freed = True
        return freed


def _total(day: str) -> str:
    return f"tokens_of_{day}"


def _reserved(day: str) -> str:
    return f"reserved_of_{day}"

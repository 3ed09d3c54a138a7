"""The Redis commands that DFF.CACHE is made of, in memory: for a machine without Redis."""

import threading
import time
from typing import Any, Callable, Dict, List, Optional

_COMMANDS = (
    *("get", "set", "del", "exists", "expire", "ttl", "incrby"),
    *("hset", "hget", "hgetall", "hdel", "hincrby"),
    *("lpush", "rpush", "lpop", "rpop", "rpoplpush", "llen", "lrange", "ltrim"),
)


class MemoryCache:
    """`run("lpush", key, value)` and so on; values are strings. Thread-safe; expiry to the millisecond."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: Dict[str, Any] = {}
        self._expiry: Dict[str, float] = {}
        self._lock = threading.Lock()

    def run(self, command: str, key: str, *args: str) -> Any:
        """Carry out one command. Raises ValueError for one that is not known."""
        # A fixed list: what comes over HTTP must not reach any other attribute.
        method = getattr(self, "_" + command.lower()) if command.lower() in _COMMANDS else None
        if method is None:
            raise ValueError(f"the cache in memory has no command {command}: use a real Redis")
        with self._lock:
            if self._expiry.get(key, self._clock() + 1) <= self._clock():
                self._del(key)
            return method(key, *args)

    def _get(self, key: str) -> Optional[str]:
        return self._values.get(key)

    def _set(self, key: str, value: str, *options: str) -> Optional[str]:
        if "NX" in options and key in self._values:
            return None
        self._del(key)
        self._values[key] = value
        if "EX" in options:
            self._expire(key, options[options.index("EX") + 1])
        return "OK"

    def _del(self, key: str) -> int:
        self._expiry.pop(key, None)
        return int(self._values.pop(key, None) is not None)

    def _exists(self, key: str) -> int:
        return int(key in self._values)

    def _expire(self, key: str, seconds: str) -> int:
        if key not in self._values:
            return 0
        self._expiry[key] = self._clock() + float(seconds)
        return 1

    def _ttl(self, key: str) -> int:
        if key not in self._values:
            return -2
        return round(self._expiry[key] - self._clock()) if key in self._expiry else -1

    def _incrby(self, key: str, step: str) -> int:
        self._values[key] = str(int(self._values.get(key, 0)) + int(step))
        return int(self._values[key])

    def _hset(self, key: str, field: str, value: str) -> int:
        fields = self._values.setdefault(key, {})
        new = field not in fields
        fields[field] = value
        return int(new)

    def _hget(self, key: str, field: str) -> Optional[str]:
        fields: Dict[str, str] = self._values.get(key, {})
        return fields.get(field)

    def _hgetall(self, key: str) -> Dict[str, str]:
        return dict(self._values.get(key, {}))

    def _hdel(self, key: str, field: str) -> int:
        return self._dropped_if_empty(key, self._values.get(key, {}).pop(field, None) is not None)

    def _hincrby(self, key: str, field: str, step: str) -> int:
        fields = self._values.setdefault(key, {})
        fields[field] = str(int(fields.get(field, 0)) + int(step))
        return int(fields[field])

    def _lpush(self, key: str, *values: str) -> int:
        items = self._list(key)
        for value in values:
            items.insert(0, value)
        return len(items)

    def _rpush(self, key: str, *values: str) -> int:
        self._list(key).extend(values)
        return len(self._values[key])

    def _lpop(self, key: str) -> Optional[str]:
        return self._pop(key, 0)

    def _rpop(self, key: str) -> Optional[str]:
        return self._pop(key, -1)

    def _rpoplpush(self, key: str, target: str) -> Optional[str]:
        value = self._pop(key, -1)
        if value is not None:
            self._lpush(target, value)
        return value

    def _llen(self, key: str) -> int:
        return len(self._values.get(key, ()))

    def _lrange(self, key: str, start: str, stop: str) -> List[str]:
        return list(self._values.get(key, ()))[_slice(start, stop)]

    def _ltrim(self, key: str, start: str, stop: str) -> str:
        self._values[key] = self._lrange(key, start, stop)
        self._dropped_if_empty(key)
        return "OK"

    def _list(self, key: str) -> List[str]:
        items: List[str] = self._values.setdefault(key, [])
        return items

    def _pop(self, key: str, index: int) -> Optional[str]:
        items = self._values.get(key)
        if not items:
            return None
        value: str = items.pop(index)
        self._dropped_if_empty(key)
        return value

    def _dropped_if_empty(self, key: str, changed: bool = False) -> int:
        if not self._values.get(key, True):
            self._del(key)
        return int(changed)


def _slice(start: str, stop: str) -> slice:
    """Redis's range, whose end is included, as a slice."""
    end = int(stop)
    return slice(int(start), None if end == -1 else end + 1)

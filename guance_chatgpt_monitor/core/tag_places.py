"""Bounds the names and values of tags: each makes a series, and Guance bills by series.

A value has a place, or is written as `other`. Places are for calls that were answered. Failed calls get only
a few, and calls refused before they were sent none, so that no caller can use them all up.
"""

from typing import Any, Collection, Dict, Mapping

from .call import Call

MAX_TAG_VALUES = 200
MAX_TAG_NAMES = 64
# Of these, as many as failed calls may take.
MAX_FAILED_VALUES = 50
MAX_FAILED_NAMES = 8
OTHER = "other"
UNUSED_NS = 3600 * 10**9  # a place is free again when unused for so long


class TagPlaces:
    """`memory` is a dict that outlives the object.

    The tags `ours` have few values, whoever calls. The values in `known`, by tag, always have a place.
    """

    def __init__(
        self, memory: Dict[str, Any], ours: Collection[str], known: Mapping[str, Collection[str]]
    ) -> None:
        self._names: Dict[str, Any] = memory.setdefault("tag_names", {})
        self._values: Dict[str, Dict[str, Any]] = memory.setdefault("tag_places", {})
        self._ours = ours
        self._known = {name: frozenset(values) for name, values in known.items()}

    def limit(self, tags: Dict[str, str], call: Call) -> Dict[str, str]:
        """`tags`, with `other` for values without a place, and without names that have none."""
        names = _Places(
            self._names, call, MAX_TAG_NAMES - len(self._ours) - len(self._known), MAX_FAILED_NAMES
        )
        limited = {}
        for name, value in tags.items():
            if name in self._ours:
                limited[name] = value
            elif name in self._known or names.has(name):
                limited[name] = value if self._has_place(name, value, call) else OTHER
        for name in [each for each in self._values if each not in self._known and each not in self._names]:
            del self._values[name]
        return limited

    def _has_place(self, name: str, value: str, call: Call) -> bool:
        if value in self._known.get(name, ()):
            return True
        return _Places(self._values.setdefault(name, {}), call, MAX_TAG_VALUES, MAX_FAILED_VALUES).has(value)


class _Places:
    """Places as one call sees them: for each, its last use and whether an answered call has used it."""

    def __init__(self, places: Dict[str, Any], call: Call, most: int, most_failed: int) -> None:
        self._places = places
        self._now_ns = call.ended_at_ns
        self._answered = not call.error_type
        self._may_take = self._answered or call.requests_sent > 0
        self._most = most
        self._most_failed = most_failed

    def has(self, key: str) -> bool:
        """Whether `key` has a place, or gets one."""
        place = self._places.get(key)
        if place is None and not (self._may_take and (self._is_room() or self._make_room())):
            return False
        self._places[key] = (self._now_ns, self._answered or (place is not None and place[1]))
        return True

    def _is_room(self) -> bool:
        if len(self._places) >= self._most:
            return False
        return (
            self._answered or sum(not answered for _, answered in self._places.values()) < self._most_failed
        )

    def _make_room(self) -> bool:
        for key, (used_ns, _) in list(self._places.items()):
            if self._now_ns - used_ns > UNUSED_NS:
                del self._places[key]
        failed = [(used_ns, key) for key, (used_ns, answered) in self._places.items() if not answered]
        if self._answered and len(self._places) >= self._most and failed:
            del self._places[min(failed)[1]]
        return self._is_room()

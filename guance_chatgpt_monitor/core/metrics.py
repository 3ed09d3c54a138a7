"""Call -> point: the five metrics, the further fields and the tags that Guance shows."""

import os
from typing import Any, Dict, Iterable, Optional, Tuple

from .call import Call
from .line_protocol import Point, Tags
from .prices import Prices
from .tag_places import OTHER, TagPlaces

MEASUREMENT = "openai"
MONITOR_MEASUREMENT = "openai_monitor"
PROBE_MEASUREMENT = "openai_probe"
USAGE_MEASUREMENT = "openai_usage"

# Field -> unit. The first five are on every point, except total_tokens if an answer reports no usage.
FIELDS = {
    "question": "count",
    "response_time": "s",
    "create_time": "count",
    "res_status": "count",
    "total_tokens": "count",
    "prompt_tokens": "count",
    "completion_tokens": "count",
    "cached_tokens": "count",
    "reasoning_tokens": "count",
    "prompt_audio_tokens": "count",
    "completion_audio_tokens": "count",
    "prompt_image_tokens": "count",
    "completion_image_tokens": "count",
    "audio_duration": "s",
    "time_to_first_token": "s",
    "processing_time": "s",
    "cost": "USD",
    "remaining_requests": "count",
    "remaining_tokens": "count",
    "limit_requests": "count",
    "limit_tokens": "count",
    "delay": "s",
}
# The monitor's own health, measurement openai_monitor. A point with the tag `reason` has only `dropped`, one
# with the tag `model` only `unpriced_calls`. The tag `category` is set for lines that are not points.
MONITOR_FIELDS = {
    "backlog_lines": "count",
    "backlog_bytes": "B",
    "oldest_age": "s",
    "delivered": "count",
    "replayed": "count",
    "dropped": "count",
    "unpriced_calls": "count",
    "datakit_up": "1/0",
    "write_time": "s",
}
MONITOR_TAGS = ("service_name", "reason", "model", "category", "host")
# Whether the API answers, measurement openai_probe, once a minute.
PROBE_FIELDS = {
    "up": "1/0",
    "response_time": "s",
}
PROBE_TAGS = ("status_code", "error_type", "service_name", "provider_name", "host")
# OpenAI's own books, measurement openai_usage. A point with the tag `line_item` has only `cost`. There is no
# service_name: the books are those of the whole organization.
USAGE_FIELDS = {
    "requests": "count",
    "input_tokens": "count",
    "output_tokens": "count",
    "cached_tokens": "count",
    "cost": "USD",
}
USAGE_TAGS = ("model", "project_id", "line_item")
TAGS = (
    "operation_name",
    "provider_name",
    "request_model",
    "response_model",
    "status",
    "status_code",
    "error_type",
    "stream",
    "finish_reason",
    "service_name",
    "host",
)

# The tags of similar calls are remembered.
MAX_REMEMBERED = 256
REMEMBERED_NS = 60 * 10**9
# How far a point may be moved past the end of its call to have a time of its own.
MAX_AHEAD_NS = 60 * 10**9


class PointMaker:
    """Makes points. One thread at a time.

    `memory` is a dict that all PointMakers of a process share. `price_provider`: see Prices. `known_models`
    are never replaced by `other` in the tags.
    """

    def __init__(
        self,
        measurement: str = MEASUREMENT,
        service_name: str = "",
        tags: Optional[Dict[str, str]] = None,
        memory: Optional[Dict[str, Any]] = None,
        price_provider: str = "",
        known_models: Iterable[str] = (),
        host: str = "",
    ) -> None:
        self._measurement = measurement
        self._service_name = service_name
        self._host = host
        self._tags = dict(tags or {})
        self._memory: Dict[str, Any] = {} if memory is None else memory
        self._remembered: Dict[Tuple[Any, ...], Tags] = {}
        self._remembered_at_ns = 0
        known: Dict[str, Any] = {name: (value,) for name, value in self._tags.items()}
        known.update(request_model=known_models, response_model=known_models)
        self._places = TagPlaces(self._memory, frozenset(TAGS) - frozenset(known), known)
        self._prices = Prices(price_provider, self._memory.setdefault("prices", {}))

    def from_call(self, call: Call) -> Point:
        """The point of a call that has ended."""
        fields = _point_fields(call)
        cost_usd = self._prices.cost_usd(call)
        if cost_usd is not None:
            fields["cost"] = cost_usd
        return Point(self._measurement, self._tags_of(call), fields, self.unique_ns(call))

    @property
    def unpriced(self) -> Dict[str, int]:
        """Model -> calls whose price is unknown. Whoever counts them, for Health, removes them."""
        return self._prices.unpriced

    def unique_ns(self, call: Call) -> int:
        """The end of the call, in nanoseconds since 1970; a little later if that time was used before.

        Points with the same series and timestamp overwrite each other in the store. The digits below the
        microsecond tell processes apart.
        """
        pid, digits_ns = self._memory.get("digits", (0, 0))
        if pid != os.getpid():
            digits_ns = int.from_bytes(os.urandom(4), "big") % 1000
            self._memory["digits"] = (os.getpid(), digits_ns)
        timestamp_ns: int = call.ended_at_ns // 1000 * 1000 + digits_ns
        last_ns = self._memory.get("last_timestamp_ns", 0)
        # Further ahead, the clock was put back: later points do not wait for it to catch up.
        if timestamp_ns <= last_ns <= timestamp_ns + MAX_AHEAD_NS:
            timestamp_ns = (last_ns // 1000 + 1) * 1000 + digits_ns
        self._memory["last_timestamp_ns"] = timestamp_ns
        return timestamp_ns

    def _tags_of(self, call: Call) -> Tags:
        """The tags of the point, within their limits."""
        key = (
            call.operation_name,
            call.provider_name,
            call.request_model,
            call.response_model,
            call.error_type,
            call.status_code,
            call.stream,
            call.finish_reason,
            *call.tags.items(),
        )
        if not 0 <= call.ended_at_ns - self._remembered_at_ns < REMEMBERED_NS:
            self._remembered.clear()  # so that the places in use are renewed
            self._remembered_at_ns = call.ended_at_ns
        tags = self._remembered.get(key)
        if tags is None:
            tags = Tags(self._places.limit(self._all_tags_of(call), call))
            # A value that has no place may get one later.
            if len(self._remembered) < MAX_REMEMBERED and OTHER not in tags.values():
                self._remembered[key] = tags
        return tags

    def _all_tags_of(self, call: Call) -> Dict[str, str]:
        tags = {
            "operation_name": call.operation_name,
            "provider_name": call.provider_name,
            "request_model": call.request_model,
            "response_model": call.response_model,
            "status": "error" if call.error_type else "ok",
            "status_code": "" if call.status_code is None else str(call.status_code),
            "error_type": call.error_type or "",
            "stream": "true" if call.stream else "false",
            "finish_reason": call.finish_reason,
            "service_name": self._service_name,
            "host": self._host,
        }
        own = {**self._tags, **call.tags}
        # Ours come first: the user's must neither crowd them out nor replace them.
        tags.update((name, value) for name, value in own.items() if name not in RESERVED_NAMES)
        return {name: value for name, value in tags.items() if value}


_OF_OTHER_KINDS = (
    "prompt_audio_tokens",
    "completion_audio_tokens",
    "prompt_image_tokens",
    "completion_image_tokens",
    "audio_duration",
)


def _point_fields(call: Call) -> Dict[str, float]:
    # Counts stay ints, which are written as floats all the same, in half the time.
    fields: Dict[str, float] = {
        "question": 1,
        "response_time": call.response_time_s,
        "create_time": call.requests_sent,
        "res_status": 1 if call.error_type else 0,
    }
    # One by one: a loop over names and values takes three times as long.
    total, prompt, completion, cached, reasoning, _, *of_other_kinds = call.usage
    if total is not None:
        fields["total_tokens"] = total
    elif call.error_type:
        fields["total_tokens"] = 0
    if prompt is not None:
        fields["prompt_tokens"] = prompt
    if completion is not None:
        fields["completion_tokens"] = completion
    if cached is not None:
        fields["cached_tokens"] = cached
    if reasoning is not None:
        fields["reasoning_tokens"] = reasoning
    if any(of_other_kinds):
        fields.update((name, count) for name, count in zip(_OF_OTHER_KINDS, of_other_kinds) if count)
    if call.time_to_first_token_s is not None:
        fields["time_to_first_token"] = call.time_to_first_token_s
    if call.processing_time_s is not None:
        fields["processing_time"] = call.processing_time_s
    fields.update(call.rate_limit)
    return fields


# Names that the user's tags cannot have: DataKit silently drops a field if a tag has its name.
RESERVED_NAMES = frozenset(FIELDS) | frozenset(TAGS) | {"time"}
# And those that a caller's tags cannot have: DataKit and Guance use or add these.
RESERVED_FROM_CALLERS = RESERVED_NAMES | frozenset(
    [
        "host",
        "service",
        "source",
        "date",
        "index",
        "message",
        "name",
        "category",
        "reason",
        "model",
        "up",
        "df_status",
    ]
)

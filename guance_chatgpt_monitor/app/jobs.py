"""Calls that go on after their request: background responses, runs of an assistant, batches.

`create()` tells only that one has begun. Its point is written when `retrieve()`, `cancel()`, a polling helper
or a stream that is resumed shows the end, with its tokens and the time that the API itself says it took. One
that is never seen to end is written without tokens after MAX_AGE_S, or when the process ends. A batch, which
is mostly made elsewhere, is a point when it is first seen to have ended.
"""

import os
import re
import threading
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional

from ..core.fields import fields_of, parse_object
from .failsafe import guarded
from .observation import Observation

MAX_JOBS = 1000  # that are under way at a time; of more, the oldest is written as it is
MAX_AGE_S = 3600.0

_RESPONSE, _RUN, _BATCH = "responses", "assistant_run", "batch"
STARTED_BY = frozenset([_RESPONSE, _RUN])
# What is asked by its id, and what it is then: any request below these paths tells how it stands.
_PATHS = (
    (re.compile(r"/?responses/([^/?]+)(?:/cancel)?(?:\?.*)?"), _RESPONSE),
    (re.compile(r"/?threads/[^/]+/runs/([^/?]+)(?:/cancel|/submit_tool_outputs)?(?:\?.*)?"), _RUN),
    (re.compile(r"/?batches/([^/?]+)(?:/cancel)?(?:\?.*)?"), _BATCH),
)
_UNDER_WAY = frozenset(["queued", "in_progress", "requires_action", "cancelling", "validating", "finalizing"])
# Ended, and not as was asked for; "incomplete" tells by its reason.
_FAILURES = {"failed": "other", "expired": "timeout", "cancelled": "cancelled"}


def keep(observation: Observation, answer: Any) -> bool:
    """Whether a call is not over with this answer: then it is kept until its end is seen."""
    fields = fields_of(answer)
    if fields.get("status") not in _UNDER_WAY or not isinstance(fields.get("id"), str):
        return False
    _jobs.add(fields["id"], observation)
    return True


def asks_for_job(options: Any) -> bool:
    """Whether a request asks how a call stands that was begun before."""
    return _find(options) is not None


def note_answer(scope: Any, client: Any, options: Any, answer: Any) -> Optional[Observation]:
    """What such a request was answered; where that is a stream, the observation that watches it.

    `scope` is where the calls of `client` go.
    """
    if getattr(answer, "response", None) is not None and hasattr(answer, "_iterator"):
        job_id = _find(options)
        return _Resumed(job_id, _jobs.get(job_id)) if job_id in _jobs else None
    raw = fields_of(answer).get("http_response")
    if raw is not None:  # the polling helpers of the SDK ask so
        answer = (parse_object(raw.content) or {}) if raw.is_closed else {}
    found = fields_of(answer)
    if found.get("status") in _UNDER_WAY or "status" not in found or not isinstance(found.get("id"), str):
        return None
    observation = _jobs.take(found["id"])
    if observation is None and found.get("object") == _BATCH and _jobs.is_new(found["id"]):
        observation = _new_batch(scope, client, found)
    if observation is not None:
        _end(observation, answer, found)
    return None


def end_jobs() -> None:
    """Write what has not ended, for the process ends."""
    for observation in _jobs.take_all():
        guarded(observation.end)


def _find(options: Any) -> Optional[str]:
    url = options.url
    # Not one more comparison for what is asked most.
    if type(url) is str and url.lstrip("/").startswith(("responses/", "threads/", "batches/")):
        for path, _ in _PATHS:
            found = path.fullmatch(url)
            if found:
                return found[1]
    return None


def _new_batch(scope: Any, client: Any, found: Dict[str, Any]) -> Observation:
    observation = Observation(scope.submit, _BATCH, scope.clock)
    observation.base_url = client.base_url
    observation.request_model = found.get("model")
    return observation


def _end(observation: Observation, answer: Any, found: Dict[str, Any]) -> None:
    observation.note_answer(answer, is_whole=False)
    if observation.error_type is None:
        observation.error_type = _FAILURES.get(str(found.get("status")))
    ended_s = observation.clock()
    took_s = _took_s(found)
    if took_s is not None:
        observation.started_s = ended_s - took_s
    observation.end(ended_s)


def _took_s(found: Dict[str, Any]) -> Optional[float]:
    """By the API's own times, in whole seconds; None where it tells none."""
    began = found.get("created_at")
    ended = next((found[name] for name in _ENDED_AT if found.get(name)), None)
    numbers = (int, float)
    if not isinstance(began, numbers) or not isinstance(ended, numbers) or not 0 < began <= ended:
        return None
    return float(ended - began)


_ENDED_AT = ("completed_at", "failed_at", "cancelled_at", "expired_at")


class _Resumed(Observation):
    """Watches the stream of a job, which may be given up and resumed again: only its end is the job's."""

    def __init__(self, job_id: Any, job: Observation) -> None:
        super().__init__(self._seen, job.operation_name, job.clock)
        self._job_id = job_id
        self._has_ended = False

    def note_chunk(self, chunk: Any, read_s: float) -> bool:
        self._has_ended = super().note_chunk(chunk, read_s) or self._has_ended
        return self._has_ended

    def _seen(self, _: Observation) -> None:
        job = _jobs.take(self._job_id) if self._has_ended else None
        if job is not None:
            job.usage, job.error_type = self.usage, self.error_type
            job.response_model = self.response_model or job.response_model
            job.service_tier = self.service_tier or job.service_tier
            job.finish_reason = self.finish_reason or job.finish_reason
            job.end()


class _Jobs:
    """Those under way in this process, by their ids; and the ids of batches that were counted."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        self._lock = threading.Lock()
        self._under_way: OrderedDict[str, Observation] = OrderedDict()
        self._counted: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._under_way

    def get(self, job_id: Any) -> Observation:
        return self._under_way[job_id]

    def add(self, job_id: str, observation: Observation) -> None:
        with self._lock:
            self._under_way[job_id] = observation
            given_up = self._too_old(observation.clock)
        for each in given_up:
            each.end()

    def take(self, job_id: Any) -> Optional[Observation]:
        with self._lock:
            return self._under_way.pop(job_id, None)

    def take_all(self) -> List[Observation]:
        with self._lock:
            taken, self._under_way = list(self._under_way.values()), OrderedDict()
        return taken

    def is_new(self, batch_id: str) -> bool:
        with self._lock:
            is_new = batch_id not in self._counted
            self._counted[batch_id] = None
            while len(self._counted) > MAX_JOBS:
                self._counted.popitem(last=False)
        return is_new

    def _too_old(self, clock: Callable[[], float]) -> List[Observation]:
        found = []
        now_s = clock()
        while self._under_way:
            job_id, oldest = next(iter(self._under_way.items()))
            if len(self._under_way) <= MAX_JOBS and now_s - oldest.started_s < MAX_AGE_S:
                break
            found.append(self._under_way.pop(job_id))
        return found


_jobs = _Jobs()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_jobs.start_over)  # the parent writes them

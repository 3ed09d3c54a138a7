"""Calls that go on after their request: background responses, runs of an assistant, batches.

`create()` shows only that one has begun, and so does a stream that is left early, or that stops for the
application's tools. The point is written when `retrieve()`, `list()`, `cancel()`, `submit_tool_outputs()`, a
polling helper or another stream shows the end, with its tokens. One that is never seen to end is written
without tokens after MAX_AGE_S, or when the process ends. A batch, which is mostly made elsewhere, is a point
when it is first seen to have ended.
"""

import os
import re
import threading
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional

from ..core.fields import fields_of
from .failsafe import guarded
from .observation import Observation

MAX_JOBS = 1000  # under way at a time; of more, the oldest is written as it is
MAX_AGE_S = 3600.0
MAX_COUNTED = 100_000  # batches whose ids are remembered, so that each is one call

_RESPONSE, _RUN, _BATCH = "responses", "assistant_run", "batch"
JOB_OPERATIONS = (_RESPONSE, _RUN)
# Requests that are answered with one of them, or with a page of them.
_PATH = re.compile(
    r"/?(?:responses/[^/?]+(?:/cancel)?"
    r"|threads/[^/]+/runs(?:/[^/?]+(?:/cancel|/submit_tool_outputs)?)?"
    r"|batches(?:/[^/?]+(?:/cancel)?)?)(?:\?.*)?"
)
# What their objects are called; a gateway may leave that out.
_OBJECTS = (None, "response", "thread.run", _BATCH)
_UNDER_WAY = frozenset(["queued", "in_progress", "requires_action", "cancelling", "validating", "finalizing"])
# Of an end that is no answer; "incomplete" has a reason of its own.
_FAILURES = {"failed": "other", "expired": "timeout", "cancelled": "cancelled"}
_ENDED_AT = ("completed_at", "failed_at", "cancelled_at", "expired_at")


class Job(Observation):
    """A call that goes on after its request: whatever first shows its end is the end of it."""

    _id: Optional[str] = None  # of one that was seen under way

    def _note(self, source: Any, is_whole: bool) -> None:
        fields = fields_of(source)
        if fields.get("object") not in _OBJECTS:
            return  # a step or a message of a run
        super()._note(source, is_whole)
        job_id, status = fields.get("id"), fields.get("status")
        if not isinstance(job_id, str) or not isinstance(status, str):
            return
        if status not in _UNDER_WAY:
            self.error_type = self.error_type or _FAILURES.get(status)
            if self._id is not None and _jobs.take(self._id) is self:
                self._id = None  # its own stream has the end
        elif self._id is None:
            self._id = job_id
            _jobs.add(job_id, self)

    def end(self, ended_s: Optional[float] = None) -> None:
        """End it, unless it was seen under way: then it waits, or somebody else has ended it."""
        if self.body is not None:
            self._parse_body()
        if self._id is None:
            super().end(ended_s)

    def end_with(self, source: Any) -> None:
        """End it as this object of the API says."""
        self.error_type = None  # that of a stream which broke off
        self.note_answer(source, is_whole=False)
        ended_s = self.clock()
        took_s = _took_s(fields_of(source))
        # The API's times are whole seconds; ours depend on when somebody looked.
        if took_s is not None and abs(ended_s - self.started_s - took_s) > 1:
            self.started_s = ended_s - took_s
        super().end(ended_s)

    def end_unseen(self) -> None:
        """End it without knowing how it ended."""
        super().end()


class JobRequest(Observation):
    """A request that asks how jobs stand. It is no call: it ends those that it shows to have ended."""

    def __init__(self, scope: Any, client: Any) -> None:
        super().__init__(scope.submit, "", scope.clock)
        self.base_url = client.base_url

    def _note(self, source: Any, is_whole: bool) -> None:  # noqa: ARG002 - the base class's
        fields = fields_of(source)
        page = fields.get("data")
        for each in page if isinstance(page, list) else [source]:
            guarded(self._note_job, each)

    def _note_job(self, source: Any) -> None:
        fields = fields_of(source)
        job_id, status = fields.get("id"), fields.get("status")
        if not isinstance(job_id, str) or not isinstance(status, str) or status in _UNDER_WAY:
            return
        job = _jobs.take(job_id)
        if job is None and fields.get("object") == _BATCH and _jobs.is_new(job_id):
            job = Job(self.submit, _BATCH, self.clock)
            job.base_url = self.base_url
            job.request_model = fields.get("model")
        if job is not None:
            job.end_with(source)

    def end(self, ended_s: Optional[float] = None) -> None:  # noqa: ARG002
        if self.body is not None:
            self._parse_body()


def goes_on(operation_name: str, options: Any) -> bool:
    """Whether what one of the JOB_OPERATIONS asks for may go on after the request for it."""
    if operation_name == _RUN:
        return True
    bodies = fields_of(options.extra_json), fields_of(options.json_data)
    return any(body.get("background") for body in bodies)


def asks_for_job(options: Any) -> bool:
    """Whether a request asks how calls stand that were begun before."""
    url = options.url
    # Not one more comparison for most others.
    return (
        type(url) is str
        and url.lstrip("/").startswith(("responses/", "threads/", "batches"))
        and _PATH.fullmatch(url) is not None
    )


def end_jobs() -> None:
    """Write what was not seen to end, as the process ends."""
    for job in _jobs.take_all():
        guarded(job.end_unseen)


def _took_s(fields: Dict[str, Any]) -> Optional[float]:
    """By the API's own times; None where it gives none."""
    began = fields.get("created_at")
    ended = next((fields[name] for name in _ENDED_AT if fields.get(name)), None)
    numbers = (int, float)
    if not isinstance(began, numbers) or not isinstance(ended, numbers) or not 0 < began <= ended:
        return None
    return float(ended - began)


class _Jobs:
    """Those under way in this process, by their ids, oldest first; and the batches that were counted."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        self._lock = threading.Lock()
        self._under_way: OrderedDict[str, Job] = OrderedDict()
        self._counted: OrderedDict[str, None] = OrderedDict()

    def add(self, job_id: str, job: Job) -> None:
        with self._lock:
            replaced = self._under_way.pop(job_id, None)  # by a gateway that gives all the same id
            self._under_way[job_id] = job
            given_up = self._take_surplus(job.clock)
        for each in [replaced, *given_up]:
            if each is not None:
                each.end_unseen()

    def take(self, job_id: str) -> Optional[Job]:
        with self._lock:
            return self._under_way.pop(job_id, None)

    def take_all(self) -> List[Job]:
        with self._lock:
            taken, self._under_way = list(self._under_way.values()), OrderedDict()
        return taken

    def is_new(self, batch_id: str) -> bool:
        with self._lock:
            is_new = batch_id not in self._counted
            self._counted[batch_id] = None
            if len(self._counted) > MAX_COUNTED:
                self._counted.popitem(last=False)
        return is_new

    def _take_surplus(self, clock: Callable[[], float]) -> List[Job]:
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

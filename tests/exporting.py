"""Calls for the exporter, and a DataKit to wait for; also imported by the processes that tests start."""

import gzip
import threading
import time
from pathlib import Path
from typing import Any, List, Optional

from guance_chatgpt_monitor.app.channel import backlog_path
from guance_chatgpt_monitor.app.environment import Settings
from guance_chatgpt_monitor.app.exporter import Exporter
from guance_chatgpt_monitor.app.file_backlog import FileBacklog
from guance_chatgpt_monitor.core.call import Call
from guance_chatgpt_monitor.core.content.transcript import Conversation
from guance_chatgpt_monitor.core.delivery import LOGGING
from guance_chatgpt_monitor.core.usage import Usage
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.http_server import Request, Response

WAIT_S = 20.0  # far more than it takes, even on a busy machine


class Observed:
    """A call as the exporter receives it, identified by its `ended_at_ns`."""

    def __init__(self, ended_at_ns: int = 0, model: str = "gpt-4o", error_type: Optional[str] = None) -> None:
        self.ended_at_ns = ended_at_ns or time.time_ns()
        self.model = model
        self.error_type = error_type

    def to_call(self) -> Call:
        return Call(
            "chat",
            self.model,
            requests_sent=1,
            status_code=200,
            error_type=self.error_type,
            usage=Usage(30.0, 10.0, 20.0),
            response_time_s=0.5,
            ended_at_ns=self.ended_at_ns,
        )


class Said(Observed):
    """A call with content."""

    def __init__(
        self,
        question: str = "Why?",
        answer: str = "Because.",
        ended_at_ns: int = 0,
        error_type: Optional[str] = None,
        content: Any = True,
        nothing_said: bool = False,
    ) -> None:
        super().__init__(ended_at_ns, error_type=error_type)
        self.content = content
        self.was_read = False
        self._conversation = None if nothing_said else Conversation(question=question, answer=answer)

    def to_conversation(self) -> Optional[Conversation]:
        self.was_read = True
        return self._conversation


_last_us = 0


def new_stamps(n_calls: int) -> List[int]:
    """Distinct timestamps in whole microseconds: the digits below are the process's own."""
    global _last_us
    first_us = max(time.time_ns() // 1000, _last_us + 1)
    _last_us = first_us + n_calls - 1
    return [us * 1000 for us in range(first_us, first_us + n_calls)]


def known_by(timestamp_ns: int) -> int:
    """The part of a point's timestamp that identifies its call."""
    return timestamp_ns // 1000 * 1000


def submit_said(exporter: Exporter, n_calls: int, question: str = "Why?") -> List[int]:
    """Submit `n_calls` calls with content; returns the timestamps that identify them."""
    stamps = new_stamps(n_calls)
    for stamp in stamps:
        exporter.submit(Said(question, ended_at_ns=stamp))
    return stamps


def submit(exporter: Exporter, n_calls: int) -> List[int]:
    """Submit `n_calls` calls; returns the timestamps that identify them."""
    stamps = new_stamps(n_calls)
    for stamp in stamps:
        exporter.submit(Observed(stamp))
    return stamps


class WatchedDataKit(LocalDataKit):
    """A DataKit to wait for. `batches` has the number of lines in each write, in order of arrival."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches: List[int] = []
        self._changed = threading.Condition()

    def respond(self, request: Request) -> Optional[Response]:
        if request.path.startswith("/v1/write/"):
            zipped = request.headers.get("Content-Encoding") == "gzip"
            body = gzip.decompress(request.body) if zipped else request.body
            with self._changed:
                self.batches.append(body.count(b"\n") + 1)
                self._changed.notify_all()
        response = super().respond(request)
        with self._changed:
            self._changed.notify_all()
        return response

    def wait_for(self, n_points: int, measurement: str = "openai", category: str = "metric") -> bool:
        """Wait for `n_points` points; False if they do not come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count(measurement, category) >= n_points, WAIT_S)

    def wait_for_writes(self, n_writes: int) -> bool:
        """Wait for `n_writes` writes, answered or not; False if they do not come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.batches) >= n_writes, WAIT_S)

    def stamps(self) -> List[int]:
        """The timestamps that identify the stored calls."""
        return [known_by(point.timestamp_ns) for point in self.points("openai")]

    def total(self, field: str, **tags: str) -> float:
        """The sum of a field of the monitor's own points that have these tags."""
        points = [point for point in self.points("openai_monitor") if tags.items() <= point.tags.items()]
        return sum(float(point.fields.get(field, 0.0)) for point in points)


def settings(datakit_url: str, backlog: Any, **further: Any) -> Settings:
    return Settings.read(datakit_url=datakit_url, backlog=str(backlog), service_name="tested", **further)


def stamps_in(path: Any) -> List[int]:
    """The timestamps of the lines in a backlog file, claimed or not, without the monitor's own points."""
    backlog = FileBacklog(str(path), print)
    stamps = []  # type: ignore[var-annotated]
    while True:
        claim = backlog.claim(100_000)
        if claim is None:
            backlog.close()
            return stamps
        calls = [line for line in claim.lines if not line.startswith("openai_monitor")]
        stamps += [known_by(int(line.rsplit(" ", 1)[1])) for line in calls]
        backlog.settle(claim, len(claim.lines), {})


def log_file(path: Any) -> Path:
    """The backlog file of log lines, beside the one at `path`."""
    return backlog_path(Settings(backlog=str(path)), LOGGING)


def logs_in(path: Any) -> List[int]:
    """The timestamps of the log lines waiting in that file."""
    return stamps_in(log_file(path))

"""The local Func's workers: processes that are reused from task to task, and started again when they die."""

import json
import queue
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .dff import SCRIPT_MD5_KEY
from .state import FuncState, Snapshot, md5

# Func's server gives up on a task so long after its time limit, and about 180 s after the call at the latest.
NO_RESPONSE_AFTER_S = 40.0
LONGEST_WAIT_S = 180.0

_WORKER = Path(__file__).with_name("worker.py")


class TaskResult(NamedTuple):
    """What became of a task: success, failure, timeout, lost (its worker died) or no_response."""

    status: str
    data: Any = None
    control: Optional[Dict[str, Any]] = None
    exception: str = ""
    traceback: str = ""
    log: Tuple[str, ...] = ()
    funcs: Tuple[Dict[str, Any], ...] = ()
    loaded: Tuple[str, ...] = ()  # the scripts, in the order in which they were asked for


class Task:
    """One run of a function, or of a script's top level alone.

    `snapshot` is what it runs on; without one, what is visible when it begins.
    """

    def __init__(
        self,
        func_id: str,
        kwargs: Dict[str, Any],
        origin: str,
        http_request: Dict[str, Any],
        timeout_s: float,
        snapshot: Optional[Snapshot] = None,
    ) -> None:
        self.task_id = uuid.uuid4().hex
        self.func_id = func_id
        self.kwargs = kwargs
        self.origin = origin
        self.http_request = http_request
        self.timeout_s = timeout_s
        self.snapshot = snapshot
        self.queued_s = time.monotonic()
        self.done = threading.Event()
        self.result: Optional[TaskResult] = None

    def expired(self) -> bool:
        return time.monotonic() - self.queued_s > self.timeout_s

    def message(self, env: Dict[str, Any], scripts: Optional[Dict[str, str]]) -> str:
        names = ("func_id", "kwargs", "origin", "task_id", "timeout_s", "http_request")
        fields = {name: getattr(self, name) for name in names}
        return json.dumps({**fields, "env": env, "scripts": scripts}) + "\n"


class WorkerPool:
    """`n_workers` processes of `python`."""

    def __init__(self, python: str, n_workers: int, state: FuncState) -> None:
        self.python = python
        self.state = state
        self.tasks: queue.Queue[Optional[Task]] = queue.Queue()
        self.stopping = threading.Event()
        self.settings: Dict[str, str] = {}
        self.stderr_file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the workers
        self._n_workers = n_workers
        self._workers: List[_Worker] = []
        self._published: Optional[Dict[str, str]] = None
        self._publish_lock = threading.Lock()

    def start(self, settings: Dict[str, str]) -> None:
        """`settings` are what a worker is told when it begins."""
        self.settings = settings
        self.stopping.clear()
        self._workers = [_Worker(self) for _ in range(self._n_workers)]

    def stop(self) -> None:
        self.stopping.set()
        for _ in self._workers:
            self.tasks.put(None)
        for worker in self._workers:
            worker.end()
        self._workers = []
        self.stderr_file.close()

    def run(self, task: Task) -> TaskResult:
        """Run a task on one of the workers; wait for its result."""
        self.tasks.put(task)
        if not task.done.wait(min(task.timeout_s + NO_RESPONSE_AFTER_S, LONGEST_WAIT_S)):
            return TaskResult("no_response")
        return task.result or TaskResult("lost")

    def end_processes(self) -> None:
        """End all processes, as the real worker does when one of its children gets a SIGTERM."""
        for worker in self._workers:
            worker.kill()

    def publish(self, codes: Dict[str, str]) -> None:
        """Write the MD5 of each script to the Redis, where a worker looks whether its code has changed."""
        with self._publish_lock:
            if not self.settings.get("redis_url") or codes == self._published:
                return
            import redis

            self._published = codes
            try:
                with redis.Redis.from_url(self.settings["redis_url"]) as client:
                    client.delete(SCRIPT_MD5_KEY)
                    if codes:
                        client.hset(SCRIPT_MD5_KEY, mapping={name: md5(code) for name, code in codes.items()})
            except redis.RedisError:
                self._published = None  # unreachable; the scripts are to see this failure themselves

    def forget_published(self) -> None:
        """The Redis was emptied."""
        with self._publish_lock:
            self._published = None

    def pids(self) -> List[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def stderr(self) -> str:
        """What the workers wrote to standard error."""
        self.stderr_file.seek(0)
        return self.stderr_file.read().decode("utf-8", "replace")


class _Worker:
    """One worker process and the thread that feeds it."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._process = self._spawn()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self.kill()
        self._thread.join()  # which may be reading the last of it
        self._process.communicate()

    def _spawn(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(  # noqa: S603 - the Python that the user names
            [self._pool.python, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._pool.stderr_file,
            encoding="utf-8",
        )
        self._codes: Dict[str, str] = {}
        self._send(process, json.dumps(self._pool.settings) + "\n")
        return process

    def _serve(self) -> None:
        while True:
            task = self._pool.tasks.get()
            if task is None:
                return
            if not task.expired():  # else it gets no answer, as in the real one
                task.result = self._run(task)
            task.done.set()

    def _run(self, task: Task) -> TaskResult:
        if self._process.poll() is not None:
            self._restart()
        snapshot = task.snapshot or self._pool.state.visible()
        changed = self._codes != snapshot.codes
        self._pool.publish(snapshot.codes)
        self._codes = snapshot.codes
        self._send(self._process, task.message(snapshot.env, snapshot.codes if changed else None))
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            result = json.loads(line)
            lists = {name: tuple(result[name]) for name in ("log", "funcs", "loaded")}
            return TaskResult(**{**result, **lists})
        if not self._pool.stopping.is_set():
            self._restart()
        return TaskResult("lost")

    def _restart(self) -> None:
        self._process.communicate()
        if self._process.returncode == -signal.SIGTERM:
            self._pool.end_processes()
        self._process = self._spawn()

    @staticmethod
    def _send(process: "subprocess.Popen[str]", text: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(text)
            process.stdin.flush()
        except OSError:
            pass  # it died; reading its answer will show it

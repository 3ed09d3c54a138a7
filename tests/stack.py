"""Func with the built set deployed, OpenAI and DataKit: what most tests call and look at."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import requests

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit, Point
from guance_chatgpt_monitor.local.func.server import LocalFunc, TaskResult
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

KEY = "sk-secretkey-0123456789abcdef"
STARTUP = "startup__guance_chatgpt_monitor"


class Stack:
    """`settings` are further arguments of ChatGPTMonitor, as a user would add them to the startup script."""

    def __init__(
        self,
        built: Built,
        python: str = sys.executable,
        workers: int = 1,
        redis_url: str = "",
        parameters: dict[str, str] | None = None,
        exits_with_redis: bool = True,
        **settings: Any,
    ) -> None:
        self.redis_url = redis_url
        self.openai = LocalOpenAI()
        self.datakit = LocalDataKit()
        self.func = LocalFunc(
            python=python, workers=workers, redis_url=redis_url, exits_with_redis=exits_with_redis
        )
        self.link = ""
        self._built = built
        self._parameters = parameters
        self._settings = settings
        self._template = ""

    def __enter__(self) -> "Stack":
        self.openai.start()
        self.datakit.start()
        self.func.start()
        set_id = self.func.install(str(self._built.zip_path))
        defaults = {
            "OpenAI key": KEY,
            "OpenAI base URL": self.openai.base_url,
            "DataKit URL": self.datakit.url,
        }
        self.func.deploy(set_id, {**defaults, **(self._parameters or {})})
        self._template = self.func.script(STARTUP)
        self.configure(**self._settings)
        self.link = self.func.add_link(f"{STARTUP}.chat") + "/simplified"
        return self

    def __exit__(self, *_: object) -> None:
        self.func.stop()
        self.datakit.stop()
        self.openai.stop()

    def configure(self, **settings: Any) -> None:
        """Edit the startup script: what was deployed, with these settings."""
        lines = "".join(f"    {name}={value!r},\n" for name, value in settings.items())
        self.func.edit(STARTUP, self._template.replace("    DFF,\n", "    DFF,\n" + lines))

    @contextlib.contextmanager
    def another_datakit(self, make: Callable[[int], LocalDataKit]) -> Iterator[None]:
        """For a while, what `make(port)` returns is the DataKit, at the same URL."""
        usual = self.datakit
        usual.stop()
        self.datakit = make(usual.port)
        try:
            with self.datakit:
                yield
        finally:
            self.datakit = usual
            usual.start()

    def reset(self) -> None:
        self.configure(**self._settings)
        self.openai.faults.clear()
        self.openai.clear()
        self.datakit.stop()
        self.datakit.start(uptime_s=3600)  # since before anything that it is sent
        self.datakit.mode = None
        self.datakit.faults.clear()
        self.datakit.clear()
        self.func.records.clear()
        self.func.clear_cache()

    def post(self, body: Any, **options: Any) -> requests.Response:
        return requests.post(self.link, json=body, timeout=60, **options)

    def ask(self, question: str = "What is Guance?", **body: Any) -> requests.Response:
        return self.post({"question": question, **body})

    def collect(self) -> TaskResult:
        return self.func.fire_cron()[0]

    def points(self, measurement: str = "openai") -> list[Point]:
        return self.datakit.points(measurement)

    def point(self) -> Point:
        """The only point."""
        points = self.points()
        assert len(points) == 1
        return points[0]

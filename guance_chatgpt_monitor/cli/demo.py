"""The whole path in one run: build, install, deploy, call, and show what DataKit received."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import requests

from ..core.call import without_credentials
from ..local.datakit.server import LocalDataKit
from ..local.func.redis_server import LocalRedis
from ..local.func.server import LocalFunc, TaskResult
from ..local.openai.server import LocalOpenAI
from .build import build, default_manifest
from .messages import english, text, translated
from .terminal import pad
from .user_error import UserError

# Instead of 170, for the call that is not answered: the others may take their time on a slow machine.
SHORT_DEADLINE_S = 2.0
LOCAL_KEY = "sk-local-demo"
LOCAL_ADMIN_KEY = "sk-admin-local-demo"
# OpenAI's books are read up to the last full minute: the stand-in books everything as of this much earlier.
BOOKED_EARLIER_S = 120.0
METRICS = ("question", "response_time", "create_time", "res_status", "total_tokens")
RATE_LIMIT = {"remaining_requests", "limit_requests", "remaining_tokens", "limit_tokens"}
CALLS_WHILE_DOWN = 5


class Wanted(NamedTuple):
    """One call of the demo: `demo.call_NAME`, its body, what the stand-in does with it, a setting for it."""

    name: str
    body: Dict[str, Any]
    faults: Tuple[str, ...] = ()
    setting: str = ""


class Made(NamedTuple):
    """One call that was made, and what it returned; the title is in English, for scripts."""

    title: str
    status_code: int
    duration_s: float
    text: str


_Points = List[Dict[str, Any]]


class Result(NamedTuple):
    """What the demo saw: the points of the calls, of the probe and of OpenAI's books.

    `points` is None where a real DataKit has all of them; without the stand-in there are no books.
    """

    calls: List[Made]
    collected: Dict[str, Any]
    points: Optional[_Points]
    delivered: int
    probe: _Points
    usage: _Points

    @property
    def complete(self) -> bool:
        """Whether each call's point arrived, once."""
        arrived = self.delivered if self.points is None else len(self.points)
        return arrived == len(self.calls)

    @property
    def totals(self) -> Dict[str, float]:
        return {name: _sum(self.points or [], name) for name in METRICS}


MODEL = "gpt-4o-mini"
HELLO = [{"role": "user", "content": "Say hello."}]
ANSWERED = (
    Wanted("question", {"question": "What is Guance?"}),
    Wanted("system_and_model", {"question": "Hi", "system": "Be brief.", "model": MODEL}),
    Wanted("chat_body", {"model": MODEL, "messages": HELLO, "max_tokens": 20}),
    Wanted("responses_body", {"model": MODEL, "input": "Say hello.", "max_output_tokens": 20}),
    Wanted("own_tags", {"question": "Hi", "tags": {"team": "web"}}),
    Wanted("unknown_model", {"question": "Hi", "model": "no-such-model"}),
    Wanted("nothing_to_ask", {"query": "Hi"}),
    Wanted("stream", {"question": "Hi", "stream": True}),
)
FAULTY = (
    Wanted("429_then_answered", {"question": "Hi"}, ("429", "ok")),
    Wanted("refused_key", {"question": "Hi"}, ("401",)),
    Wanted("no_quota", {"question": "Hi"}, ("insufficient_quota",)),
    Wanted("too_late", {"question": "Hi"}, ("hang",), f"deadline_s={SHORT_DEADLINE_S}"),
    Wanted("resets", {"question": "Hi"}, ("reset", "reset", "reset")),
    Wanted("no_usage", {"question": "Hi"}, ("no_usage",)),
)


# Few calls to the real OpenAI, because they cost money.
REAL = (ANSWERED[0], ANSWERED[2])
REAL_CALLS_WHILE_DOWN = 1
REAL_BASE_URL = "https://api.openai.com/v1"


class Demo:
    """The parts of one demo, started with `with`. All are stand-ins, unless `real` or a DataKit is given.

    `real` asks the OpenAI that the environment names, with the key that it has. Raises UserError without one,
    and BuildError, DeployError or OSError when a part cannot be started.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        datakit_url: str = "",
        real: bool = False,
        log_content: bool = False,
        service_name: str = "demo",
    ) -> None:
        self._say = say
        self._key = LOCAL_KEY
        self._base_url = ""
        if real:
            self._key = os.environ.get("OPENAI_API_KEY", "").strip()
            self._base_url = os.environ.get("OPENAI_BASE_URL", "").strip() or REAL_BASE_URL
            if not self._key:
                raise UserError("demo.real_without_key")
        self._log_content = log_content
        self.openai = None if real else LocalOpenAI(clock=_earlier)
        self.datakit = None if datakit_url else LocalDataKit()
        self._datakit_url = datakit_url
        self._redis = LocalRedis() if LocalRedis.is_available() else None
        self._service_name = service_name
        # One worker: each imports the SDK with its first call.
        self._func = LocalFunc(workers=1, redis_url=self._redis.url if self._redis else "")
        self._script_id = ""
        self.link = ""

    def __enter__(self) -> "Demo":
        if self.openai is None:
            count = len(REAL) + (REAL_CALLS_WHILE_DOWN if self.datakit else 0)
            self._say(text("demo.real", count=count, url=without_credentials(self._base_url)))
        try:
            for part in (self._redis, self.openai, self.datakit, self._func):
                if part is not None:
                    part.start()
            self._deploy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._func.stop()
        if self.datakit is not None:
            self.datakit.stop()
        if self.openai is not None:
            self.openai.stop()
        if self._redis is not None:
            self._redis.remove()

    def run(self) -> Result:
        """Make the demo's calls, with an outage of the DataKit where it is the stand-in."""
        wanted = REAL if self.openai is None else (*ANSWERED, *FAULTY)
        calls = [self._call_with_setting(each) for each in wanted]
        # The report that this run makes starts anew with the outage.
        direct = self.collect()
        calls += self._outage(REAL_CALLS_WHILE_DOWN if self.openai is None else CALLS_WHILE_DOWN)
        self.read_books()
        return self._result(calls, direct, self.collect())

    def read_books(self) -> None:
        """From the next `collect()` on, what OpenAI's stand-in booked is read as well."""
        if self.openai is not None:
            self._func.set_env("OPENAI_ADMIN_KEY", LOCAL_ADMIN_KEY)

    def collect(self) -> Dict[str, Any]:
        """What the auto-trigger does each minute. Raises RuntimeError where it fails."""
        result: TaskResult = self._func.fire_cron()[0]
        if result.status != "success":
            raise RuntimeError(f"collect() failed: {result.exception}")
        data: Dict[str, Any] = result.data
        return data

    def _deploy(self) -> None:
        func = self._func
        cache = text("demo.in_redis" if self._redis else "demo.in_memory")
        self._say(text("demo.func", url=func.url, cache=cache))
        datakit = text("demo.stand_in", url=self.datakit.url) if self.datakit else self._datakit_url
        self._say(text("demo.datakit", url=datakit))
        real = without_credentials(self._base_url)
        openai = text("demo.stand_in", url=self.openai.base_url) if self.openai else real
        self._say(text("demo.openai", url=openai))
        with tempfile.TemporaryDirectory() as folder:
            built = build(Path(folder), default_manifest())
            self._say(text("demo.built", n=len(built.scripts), md5=built.origin_md5))
            set_id = func.install(str(built.zip_path))
        parameters = {
            "OpenAI key": self._key,
            "OpenAI base URL": self.openai.base_url if self.openai else self._base_url,
            "DataKit URL": self.datakit.url if self.datakit else self._datakit_url,
            "Service name": self._service_name,
        }
        self._script_id = func.deploy(set_id, parameters)
        if self.openai is not None:
            # The stand-in's own host is in no price table.
            self._set('price_provider="openai"')
        if self._log_content:
            self._set("log_content=True")
        self.link = func.add_link(f"{self._script_id}.chat")
        self._say(text("demo.deployed", script=self._script_id, triggers=", ".join(func.cron_jobs)))
        self._say(text("demo.link", url=f"{self.link}/simplified"))

    def _set(self, setting: str) -> None:
        self._func.edit(self._script_id, _with_setting(self._func.script(self._script_id), setting))

    def _call_with_setting(self, wanted: Wanted) -> Made:
        if not wanted.setting:
            return self.call(wanted)
        script = self._func.script(self._script_id)
        self._set(wanted.setting)
        made = self.call(wanted)
        self._func.edit(self._script_id, script)
        return made

    def call(self, wanted: Wanted) -> Made:
        """Call ChatGPT through the link, and print the outcome."""
        if self.openai is not None:
            self.openai.faults.extend(wanted.faults)
        started_s = time.perf_counter()
        answer = requests.post(f"{self.link}/simplified", json=wanted.body, timeout=200)
        duration_s, title = time.perf_counter() - started_s, f"demo.call_{wanted.name}"
        made = Made(english(title), answer.status_code, duration_s, _excerpt(answer))
        self._say(f"  {made.status_code}  {made.duration_s:6.2f} s  {pad(text(title), 34)} {made.text}")
        return made

    def _outage(self, count: int) -> List[Made]:
        if self.datakit is None:
            return []
        self._say(text("demo.stopped"))
        self.datakit.stop()
        wanted = Wanted("outage", {"question": "Hi"})
        calls = [self.call(wanted) for _ in range(count)]
        self.datakit.start()
        self._say(text("demo.started"))
        return calls

    def _result(self, calls: List[Made], direct: Dict[str, Any], last: Dict[str, Any]) -> Result:
        delivered = sum(run[key] or 0 for run in (direct, last) for key in ("delivered", "replayed"))
        self._say(f"collect()  {last}")
        points = None if self.datakit is None else self._points("openai")
        probe, usage = self._points("openai_probe"), self._points("openai_usage")
        return Result(calls, last, points, delivered, probe, usage)

    def _points(self, measurement: str) -> _Points:
        return [
            {"tags": point.tags, "fields": point.fields, "timestamp_ns": point.timestamp_ns}
            for point in (self.datakit.points(measurement) if self.datakit else ())
        ]


def _with_setting(script: str, setting: str) -> str:
    return script.replace("    DFF,\n", f"    DFF,\n    {setting},\n")


def _earlier() -> float:
    return time.time() - BOOKED_EARLIER_S


def _sum(points: _Points, name: str) -> float:
    return float(sum(point["fields"].get(name, 0.0) for point in points))


def _excerpt(answer: requests.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:60]
    if body.get("error"):
        return f"{body['error']['type']}: {translated(body['error']['message'])}"[:76]
    tokens = (body.get("usage") or {}).get("total_tokens")
    known = text("tools.tokens" if tokens is not None else "tools.tokens_unknown", n=tokens)
    return f"{body.get('model')}, {known}"


def points_table(points: _Points) -> List[str]:
    """The points as lines of a table: the tags that differ, and the five metrics."""
    tags = ("operation_name", "request_model", "status_code", "error_type")
    header = [*tags, *METRICS, "delay"]
    rows = [
        [point["tags"].get(name, "") for name in tags]
        + [_number(point["fields"].get(name)) for name in (*METRICS, "delay")]
        for point in points
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]
    ]


def summary(result: Result) -> List[str]:
    """What the points say beside the five metrics, a line each."""
    points, probe = result.points or [], result.probe
    totals = ", ".join(f"{name} {value:g}" for name, value in result.totals.items())
    lines = [text("demo.totals", totals=totals)]
    if probe:
        mean_s = _sum(probe, "response_time") / len(probe)
        up = f"{_sum(probe, 'up'):g}"
        lines.append(text("demo.probe", up=up, n=len(probe), seconds=f"{mean_s:.3f}"))
    lines += _headroom(points)
    lines.append(_cost(points))
    if result.usage:
        lines.append(_books(points, result.usage))
    return lines


def _headroom(points: _Points) -> List[str]:
    told = [point["fields"] for point in points if point["fields"].keys() >= RATE_LIMIT]
    return [
        text(
            "demo.rate_limit",
            requests=f"{last['remaining_requests']:g}",
            max_requests=f"{last['limit_requests']:g}",
            tokens=f"{last['remaining_tokens']:g}",
            max_tokens=f"{last['limit_tokens']:g}",
        )
        for last in told[-1:]
    ]


def _cost(points: _Points) -> str:
    if any("cost" in point["fields"] for point in points):
        return text("demo.cost", cost=f"{_sum(points, 'cost'):.6f}")
    return text("demo.cost_unknown")


def _books(points: _Points, usage: _Points) -> str:
    answered = [point for point in points if point["tags"]["status"] == "ok"]
    return text(
        "demo.books",
        n=f"{_sum(usage, 'requests'):g}",
        tokens=f"{_sum(usage, 'input_tokens') + _sum(usage, 'output_tokens'):g}",
        cost=f"{_sum(usage, 'cost'):.6f}",
        n_answered=len(answered),
        tokens_answered=f"{_sum(answered, 'total_tokens'):g}",
    )


def _number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")

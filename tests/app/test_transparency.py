"""The application gets exactly what the bare SDK gives, whatever fails in our code."""

import asyncio
import gc
import importlib
import inspect
import json
import logging
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import Any, Dict, List, Tuple

import openai
import pytest
from monitored import CHAT, USAGE, Canned, Collector, chunk, httpx, points

from guance_chatgpt_monitor import instrument, monitor, observe, uninstrument
from guance_chatgpt_monitor.app.environment import Settings
from guance_chatgpt_monitor.app.exporter import Exporter

pytest_plugins = ["monitored_fixtures"]
# An exception in a finalizer would end up in the application's error output.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]

STREAM = {**CHAT, "stream": True}
IN_BACKGROUND = {"model": "m", "input": "one", "background": True}
MODULES = [
    importlib.import_module(f"guance_chatgpt_monitor.{name}")
    for name in (
        "core.response_headers",
        "core.answers",
        "core.call",
        "core.errors",
        "core.fields",
        "core.usage",
        "core.content.streamed_answer",
        "core.content.transcript",
        "app.active_span",
        "app.call_content",
        "app.client_keys",
        "app.connections",
        "app.failsafe",
        "app.instrument",
        "app.jobs",
        "app.observation",
        "app.observe",
        "app.routing",
        "app.stream_options",
        "app.streams",
        "app.wrappers",
        "app.raw_body",
    )
]
# Called by the application itself, or on its path but calling nothing of ours unguarded.
ON_THE_PATH = {
    "guarded",
    "instrument",
    "uninstrument",
    "monitor",
    "open_scope",
    "_at_exit",
    "Scope.__init__",
    "observe.__init__",
    "observe.__enter__",
    "observe.__exit__",
    "observe.__aenter__",
    "observe.__aexit__",
    "observe.__call__",
    "ObservedCall.__init__",
    "ObservedCall.record",
    "_pass_on",
    "_pass_on_async",
    "_leave_out_usage",
    "_leave_out_usage_async",
    "hide_usage",  # opt-in: requesting the usage means having to hide its chunk
    "_replace_iterator",
    "_when_parsed",
}


class InjectedError(Exception):
    pass


class RefusedError(Exception):
    """Raised by the transport only."""


# ---- one application, whose results can be compared ----


EVENTS = [chunk(role="assistant", content=""), chunk(content="one"), chunk(content="two")]
USAGE_EVENT = chunk(usage=USAGE, choices=[])
BROKEN = [chunk(content="one"), {"error": {"message": "no more", "type": "server_error", "code": None}}]
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "one two"}}
    ],
    "usage": USAGE,
}
EMBEDDED = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "e"}
JOB = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "tools": []}
BEGUN, DONE = {**JOB, "status": "queued"}, {**JOB, "status": "completed"}
REFUSAL = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}


class Transport(Canned):
    """Answers as the name of the model demands."""

    def __init__(self):
        super().__init__(body=ANSWER)
        self.threads = set()
        self.requests = 0

    def handle_request(self, request):
        if request.method == "GET":
            return httpx.Response(200, json=DONE)
        self.threads.add(threading.get_ident())
        self.requests += 1
        body = json.loads(request.content)
        if body.get("background"):
            events = [{"type": "response.created", "sequence_number": 0, "response": BEGUN}]
            return Canned(body=BEGUN, events=events if body.get("stream") else None).respond()
        model = body["model"]
        if model == "refused":
            return httpx.Response(429, json=REFUSAL)
        if model == "unreachable":
            raise httpx.ConnectError("no route", request=request)
        if model == "interrupted":
            raise KeyboardInterrupt
        if body.get("stream"):
            asked = body.get("stream_options", {}).get("include_usage")
            return Canned(
                events=BROKEN if model == "broken" else EVENTS + [USAGE_EVENT][: bool(asked)]
            ).respond()
        return Canned(body=EMBEDDED if "input" in body else ANSWER).respond()

    async def handle_async_request(self, request):
        await asyncio.sleep(0)
        return self.handle_request(request)


def options(http_client):
    return {
        "api_key": "sk-local",
        "base_url": "http://local/v1",
        "max_retries": 0,
        "http_client": http_client,
    }


def new_client():
    return openai.OpenAI(**options(httpx.Client(transport=Transport())))


def new_async_client():
    return openai.AsyncOpenAI(**options(httpx.AsyncClient(transport=Transport())))


def seen(value):
    """What the application can see of a value."""
    if isinstance(value, list):
        return [seen(item) for item in value]
    if isinstance(value, BaseException):
        return type(value), str(value), vars(value).keys(), repr(getattr(value, "body", None))
    shown = value.model_dump() if hasattr(value, "model_dump") else str(value)
    return type(value), shown


def outcome(function):
    try:
        return seen(function())
    except BaseException as error:
        return seen(error)


def models(model):
    return {**CHAT, "model": model}


def steps(client):
    """Everything that an application does with a client."""
    chat = client.chat.completions
    raw = chat.with_raw_response
    found = [
        lambda: chat.create(**CHAT),
        lambda: client.with_options(timeout=5).chat.completions.create(**CHAT),
        lambda: client.embeddings.create(model="e", input="one", encoding_format="float"),
        lambda: chat.create(**models("refused")),
        lambda: chat.create(**models("unreachable")),
        lambda: chat.create(**models("interrupted")),
        lambda: list(chat.create(**STREAM)),
        lambda: list(chat.create(**{**STREAM, "model": "broken"})),
        lambda: chat.create(**{**STREAM, "model": "refused"}),
        lambda: next(chat.create(**STREAM)),
        lambda: type(chat.create(**STREAM)),
        lambda: raw.create(**CHAT),
        lambda: raw.create(**CHAT).parse(),
        lambda: list(raw.create(**STREAM).parse()),
        lambda: chat.create(**CHAT, nonsense=1),
        lambda: _observed(chat),
        observe()(lambda: chat.create(**models("refused"))),
    ]
    if hasattr(chat, "with_streaming_response"):
        found += [lambda: _streamed(chat, CHAT), lambda: _streamed(chat, STREAM)]
    if hasattr(chat, "stream"):
        found.append(lambda: _helped(chat))
    if hasattr(client, "responses"):
        found += [
            lambda: client.responses.create(**IN_BACKGROUND),
            lambda: client.responses.retrieve("resp_1"),
            lambda: next(client.responses.create(**IN_BACKGROUND, stream=True)),
            lambda: client.responses.with_raw_response.retrieve("resp_1").parse(),
        ]
    return found


def _observed(chat):
    with observe() as call:
        answer = chat.create(**CHAT)
        call.record(answer)
    return answer


def _streamed(chat, asked):
    with chat.with_streaming_response.create(**asked) as response:
        parsed = response.parse()
        return list(parsed) if asked is STREAM else [parsed]


def _helped(chat):
    with chat.stream(**CHAT) as stream:
        return [type(event) for event in stream]


def use(client):
    """The outcomes of these steps."""
    return [outcome(step) for step in steps(client)]


async def async_outcome(step):
    try:
        return seen(await step())
    except BaseException as error:
        return seen(error)


def async_steps(client):
    chat = client.chat.completions
    raw = chat.with_raw_response
    found = [
        lambda: chat.create(**CHAT),
        lambda: client.with_options(timeout=5).chat.completions.create(**CHAT),
        lambda: chat.create(**models("refused")),
        lambda: chat.create(**models("unreachable")),
        lambda: _read(chat.create(**STREAM)),
        lambda: _read(chat.create(**{**STREAM, "model": "broken"})),
        lambda: _type(chat.create(**STREAM)),
        lambda: _parsed(raw.create(**CHAT)),
        lambda: _read(_parsed(raw.create(**STREAM))),
        lambda: _observed_async(chat),
        observe()(_asking(chat)),
    ]
    if hasattr(chat, "with_streaming_response"):
        found += [lambda: _streamed_async(chat, CHAT), lambda: _streamed_async(chat, STREAM)]
    if hasattr(client, "responses"):
        found.append(lambda: client.responses.create(**IN_BACKGROUND))
        found.append(lambda: client.responses.retrieve("resp_1"))
    return found


async def _read(stream):
    return [chunk async for chunk in await stream]


async def _type(answer):
    return type(await answer)


async def _parsed(answer):
    return (await answer).parse()


async def _observed_async(chat):
    async with observe() as call:
        answer = await chat.create(**CHAT)
        call.record(answer)
    return answer


def _asking(chat):
    async def ask():
        return await chat.create(**CHAT)

    return ask


async def _streamed_async(chat, asked):
    async with chat.with_streaming_response.create(**asked) as response:
        parsed = await response.parse()
        return [chunk async for chunk in parsed] if asked is STREAM else [parsed]


async def use_async(client):
    return [await async_outcome(step) for step in async_steps(client)]


@pytest.fixture(scope="module")
def expected():
    return use(new_client()), asyncio.run(use_async(new_async_client()))


# ---- failures of ours ----


def functions():
    """Every function and method of the modules on the path of a call, by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                found[name] = module, name
            elif inspect.isclass(value):
                methods = [method for method in vars(value) if inspect.isfunction(vars(value)[method])]
                found.update({f"{name}.{method}": (value, method) for method in methods})
    return found


OURS = {name: where for name, where in functions().items() if name not in ON_THE_PATH}


def raising(*args, **kwargs):
    raise InjectedError("injected")


@pytest.fixture
def break_():
    """Makes functions of ours raise for a while, wherever they were imported."""

    @contextmanager
    def breaking(*names):
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name in names:
                owner, attribute = OURS.get(name, (Exporter, name))
                function = getattr(owner, attribute)
                monkeypatch.setattr(owner, attribute, raising)
                for module in MODULES:
                    for bound, value in list(vars(module).items()):
                        if value is function:
                            monkeypatch.setattr(module, bound, raising)
                        elif isinstance(value, dict) and function in value.values():
                            broken = {k: raising if item is function else item for k, item in value.items()}
                            monkeypatch.setattr(module, bound, broken)
            yield

    return breaking


@pytest.fixture
def failing_log():
    """A log handler of the application that fails too; its errors must not surface."""

    class Failing(logging.Handler):
        def emit(self, record):
            raise InjectedError

    log, failing = logging.getLogger("guance_chatgpt_monitor"), Failing()
    log.addHandler(failing)
    yield
    log.removeHandler(failing)


def test_the_functions_on_the_path_exist():
    assert functions().keys() >= ON_THE_PATH
    assert len(OURS) > 50


@pytest.fixture
def collector(api, monkeypatch):
    """Replaces the exporter of `monitor()`, `instrument()` and `observe()`."""
    exporter = importlib.import_module("guance_chatgpt_monitor.app.exporter")
    api.collector.settings = Settings()  # which observe() reads
    monkeypatch.setattr(exporter, "get_exporter", lambda settings=None: api.collector)
    return api.collector


@contextmanager
def noting_calls():
    """Yields the names of our functions that are called meanwhile."""
    by_code: Dict[Any, List[str]] = {}
    for name, (owner, attribute) in OURS.items():
        by_code.setdefault(inspect.unwrap(getattr(owner, attribute)).__code__, []).append(name)
    called = set()

    def note(frame, event, arg):
        if event == "call" and frame.f_code in by_code:
            called.update(by_code[frame.f_code])

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def reached(expected):
    """For each function of ours, the numbers of the steps that call it: of a client, and of an async one."""
    found: Dict[str, Tuple[List[int], List[int]]] = {name: ([], []) for name in OURS}
    exporter = importlib.import_module("guance_chatgpt_monitor.app.exporter")
    collector = Collector()
    collector.settings = Settings()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(exporter, "get_exporter", lambda settings=None: collector)
        instrument(log_content=True)
        for n, step in enumerate(steps(new_client())):
            with noting_calls() as called:
                outcome(step)
            for name in called:
                found[name][0].append(n)
        for n, step in enumerate(async_steps(new_async_client())):
            with noting_calls() as called:
                asyncio.run(async_outcome(step))
            for name in called:
                found[name][1].append(n)
        uninstrument()
    assert sum(steps_of != ([], []) for steps_of in found.values()) > 80
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.partition(".")[2])
def test_a_failure_in_any_function_of_ours_makes_no_difference(
    module, collector, expected, reached, break_, failing_log
):
    """In the steps that call the function; to the others, it cannot make one."""
    instrument(log_content=True)
    for name in OURS:
        owner = OURS[name][0]
        if module.__name__ not in (owner.__name__, getattr(owner, "__module__", None)):
            continue
        client, async_client = new_client(), new_async_client()
        ours, ours_async = reached[name]
        with break_(name):
            step = steps(client)
            assert [outcome(step[n]) for n in ours] == [expected[0][n] for n in ours], name
            step = async_steps(async_client)
            for n in ours_async:
                assert asyncio.run(async_outcome(step[n])) == expected[1][n], name


def test_a_failure_in_what_no_call_reaches_makes_no_difference(
    collector, expected, reached, break_, failing_log
):
    """What the exporter's thread calls, for instance."""
    instrument(log_content=True)
    client, async_client = new_client(), new_async_client()
    with break_(*(name for name in OURS if reached[name] == ([], []))):
        assert use(client) == expected[0]
        assert asyncio.run(use_async(async_client)) == expected[1]


AT_FIRST = [
    name for name in OURS if OURS[name][0].__name__.endswith((".instrument", ".wrappers", ".routing"))
]


@pytest.mark.parametrize("name", AT_FIRST)
def test_a_failure_while_patching_makes_no_difference(name, collector, expected, break_, failing_log):
    with break_(name):
        assert use(monitor(new_client(), stream_usage=True, log_content=True)) == expected[0]
        assert asyncio.run(use_async(monitor(new_async_client()))) == expected[1]
        instrument()
        assert use(new_client()) == expected[0]


@pytest.mark.parametrize("name", ["Observation.to_call", "provider_name", "read_numbers", "submit"])
def test_a_failure_in_the_exporter_makes_no_difference(name, datakit, expected, break_, failing_log):
    with break_(name):
        assert use(monitor(new_client())) == expected[0]
        assert asyncio.run(use_async(monitor(new_async_client()))) == expected[1]
        gc.collect()  # ends the unread streams
        assert points(datakit) == []


def test_without_failures_each_request_is_a_point(datakit, expected):
    client, async_client = monitor(new_client(), stream_usage=True), monitor(new_async_client())
    assert use(client) == expected[0]
    assert asyncio.run(use_async(async_client)) == expected[1]
    gc.collect()  # ends the unread streams
    n_requests = client._client._transport.requests + async_client._client._transport.requests
    assert len(points(datakit)) == n_requests > 20


# ---- exceptions ----


@pytest.mark.parametrize("model", ["refused", "unreachable", "interrupted"])
def test_exceptions_have_the_traceback_of_the_bare_sdk(model, api):
    bare = _raised(new_client(), model)
    raised = _raised(api.watch(new_client()), model)
    assert _frames(raised) == _frames(bare)
    assert type(raised.__cause__) is type(bare.__cause__)
    assert type(raised.__context__) is type(bare.__context__)
    assert raised.__suppress_context__ == bare.__suppress_context__


def _raised(client, model):
    with pytest.raises(BaseException) as raised:  # noqa: PT011, RUF100
        client.chat.completions.create(**models(model))
    return raised.value


def _frames(error):
    """The functions in its traceback, without ours."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        (frame.filename, frame.name) for frame in frames if "/guance_chatgpt_monitor/" not in frame.filename
    ]


def test_an_exception_is_the_same_object(api):
    class Refusing(httpx.BaseTransport):
        def handle_request(self, request):
            raise error

    error = RefusedError()
    client = openai.OpenAI(**options(httpx.Client(transport=Refusing())))
    with pytest.raises(BaseException) as bare:
        client.chat.completions.create(**CHAT)
    with pytest.raises(BaseException) as raised:
        api.watch(client).chat.completions.create(**CHAT)
    assert type(raised.value) is type(bare.value)
    assert error in (raised.value, raised.value.__cause__)


# ---- threads, signatures, the log ----


def test_calls_stay_in_their_thread(api):
    client = api.watch(new_client())
    before = threading.active_count()
    use(client)
    assert client._client._transport.threads == {threading.get_ident()}
    assert threading.active_count() == before


def test_the_exporter_has_one_thread_and_it_is_a_daemon(api, datakit):
    before = set(threading.enumerate())
    client = monitor(new_client())
    assert set(threading.enumerate()) == before  # started by the first call
    use(client)
    started = [thread for thread in threading.enumerate() if thread not in before and thread.daemon]
    assert [thread.name for thread in started if "Thread-" not in thread.name] == ["guance_chatgpt_monitor"]


def test_signatures_and_documentation_are_those_of_the_sdk(api):
    bare, client = new_client(), api.watch(new_client())
    for name in ("request", "copy", "with_options"):
        ours, theirs = getattr(client, name), getattr(bare, name)
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert (ours.__name__, ours.__doc__) == (theirs.__name__, theirs.__doc__)


def test_our_failures_are_logged_once_without_content(api, monkeypatch, caplog):
    guard = importlib.import_module("guance_chatgpt_monitor.app.failsafe")
    wrappers = importlib.import_module("guance_chatgpt_monitor.app.wrappers")
    monkeypatch.setattr(guard, "rare_warnings", guard.RareWarnings())

    def begin(scope, options, kwargs):
        raise ValueError(str(options.json_data))

    monkeypatch.setattr(wrappers, "begin", begin)
    client = api.watch(new_client())
    for _ in range(3):
        client.chat.completions.create(**CHAT)
    (record,) = [record for record in caplog.records if record.name == "guance_chatgpt_monitor"]
    assert "ValueError" in record.getMessage()
    assert "zebra" not in record.getMessage()
    assert record.exc_info is None

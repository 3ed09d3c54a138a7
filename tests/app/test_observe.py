"""observe(): a call made without a monitored client."""

import asyncio
import contextlib
import gc
import io
import threading
import urllib.error
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
from monitored import CHAT, USAGE, WAIT_S, httpx, monitor_environment, point, points, restart
from preloaded import with_sdk

from guance_chatgpt_monitor import monitor, observe
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytest_plugins = ["monitored_fixtures"]

ANSWER = {"model": "llama-3-70b", "usage": USAGE}
OF_ANTHROPIC = {
    "type": "message",
    "model": "claude-sonnet-4-5",
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100},
}


class Answer:
    """An answer from some other SDK."""

    def __init__(self):
        self.model = "llama-3-70b"
        self.usage = type("Usage", (), USAGE)()


class UnavailableError(Exception):
    pass


@pytest.mark.parametrize("answer", [ANSWER, Answer()])
def test_a_block_is_a_point(answer, datakit):
    with observe("chat", "llama-3", provider_name="groq", tags={"team": "web"}) as call:
        call.record(answer)
    found = point(datakit)
    assert found.tags == {
        "operation_name": "chat",
        "provider_name": "groq",
        "request_model": "llama-3",
        "response_model": "llama-3-70b",
        "status": "ok",
        "stream": "false",
        "service_name": "shop",
        "host": "web-1",
        "team": "web",
    }
    assert found.fields["total_tokens"] == 30
    assert (found.fields["question"], found.fields["create_time"], found.fields["res_status"]) == (1, 1, 0)
    assert 0 < found.fields["response_time"] < WAIT_S


def test_an_asynchronous_block_is_a_point(datakit):
    async def ask():
        async with observe(operation_name="responses", request_model="m") as call:
            await asyncio.sleep(0)
            call.record(ANSWER)

    asyncio.run(ask())
    found = point(datakit)
    assert found.tags["operation_name"] == "responses"
    assert found.fields["total_tokens"] == 30


def test_a_decorated_function_is_a_point_each_time(datakit):
    @observe(request_model="llama-3")
    def ask(question, **options):
        """Ask."""
        return {**ANSWER, "question": question, **options}

    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert ask("why", n=1) == {**ANSWER, "question": "why", "n": 1}
    ask("how")
    assert [found.fields["total_tokens"] for found in points(datakit)] == [30, 30]


def test_a_decorated_coroutine_is_a_point_each_time(datakit):
    @observe(request_model="llama-3")
    async def ask():
        await asyncio.sleep(0)
        return Answer()

    async def ask_all():
        return await asyncio.gather(*(ask() for _ in range(20)))

    assert asyncio.iscoroutinefunction(ask)
    assert len(asyncio.run(ask_all())) == 20
    assert [found.fields["total_tokens"] for found in points(datakit)] == [30] * 20


@pytest.mark.parametrize("result", [None, "text", 7, [ANSWER], b"bytes"])
def test_a_function_that_returns_no_answer_is_a_point_too(result, datakit):
    assert observe()(lambda: result)() == result
    found = point(datakit)
    assert found.tags["status"] == "ok"
    assert "total_tokens" not in found.fields


def test_an_error_is_recorded_and_propagates(datakit):
    error = UnavailableError()
    with pytest.raises(UnavailableError) as raised, observe():
        raise error
    assert raised.value is error
    with pytest.raises(UnavailableError):
        observe()(_fail)()
    with pytest.raises(UnavailableError):
        asyncio.run(observe()(_fail_later)())
    found = points(datakit)
    assert [each.fields["res_status"] for each in found] == [1, 1, 1]
    assert {each.tags["error_type"] for each in found} == {"other"}


def _fail():
    raise UnavailableError


async def _fail_later():
    raise UnavailableError


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(TimeoutError(), "timeout"), (ConnectionError(), "connection"), (KeyboardInterrupt(), "cancelled")],
)
def test_each_error_has_its_error_type(error, error_type, datakit):
    with pytest.raises(type(error)), observe():
        raise error
    assert point(datakit).tags["error_type"] == error_type


def test_an_answer_with_an_error_is_an_error(datakit):
    with observe() as call:
        call.record({"error": {"code": "rate_limit_exceeded"}})
    assert point(datakit).tags["error_type"] == "rate_limit"


def test_the_last_recorded_answer_counts(datakit):
    with observe() as call:
        call.record({"usage": {"total_tokens": 1}})
        call.record(ANSWER)
        call.record(None)
    assert point(datakit).fields["total_tokens"] == 30


@pytest.mark.parametrize("answer", [OF_ANTHROPIC, SimpleNamespace(**OF_ANTHROPIC)])
def test_an_answer_from_another_sdk_is_read(answer, datakit):
    with observe(provider_name="anthropic") as call:
        call.record(answer)
    found = point(datakit)
    assert (found.tags["response_model"], found.tags["finish_reason"]) == ("claude-sonnet-4-5", "length")
    told = {name: found.fields[name] for name in ("total_tokens", "prompt_tokens", "cached_tokens")}
    assert told == {"total_tokens": 115.0, "prompt_tokens": 110.0, "cached_tokens": 100.0}


def test_each_unknown_type_of_answer_causes_one_warning(datakit, caplog):
    class Answer:
        """From an unknown SDK."""

    class Text(str):
        """From a function that returns only the text."""

    for answer in (Answer(), Answer(), Text("hi"), None):
        observe()(lambda answer=answer: answer)()
    said = [record.getMessage() for record in caplog.records if "nothing was read" in record.getMessage()]
    assert len(said) == 2
    assert "<locals>.Answer" in said[0]
    assert "<locals>.Text" in said[1]
    assert len(points(datakit)) == 4


@pytest.mark.parametrize(
    ("error", "error_type", "status_code"),
    [
        (httpx.ReadTimeout("t"), "timeout", None),
        (requests.ReadTimeout("t"), "timeout", None),
        (urllib.error.URLError(TimeoutError("t")), "timeout", None),
        (urllib.error.HTTPError("http://localhost", 429, "?", None, io.BytesIO()), "rate_limit", "429"),  # type: ignore[arg-type]
    ],
)
def test_errors_of_http_clients_have_their_error_type(error, error_type, status_code, datakit):
    with pytest.raises(type(error)), observe():
        raise error
    tags = point(datakit).tags
    assert (tags["error_type"], tags.get("status_code")) == (error_type, status_code)


def test_an_http_error_of_requests_has_its_status_code(datakit):
    with LocalOpenAI() as server, pytest.raises(requests.HTTPError), observe():
        requests.get(server.base_url + "/no-such-path", timeout=10).raise_for_status()
    tags = point(datakit).tags
    assert (tags["error_type"], tags["status_code"]) == ("not_found", "404")


def test_recording_odd_objects_never_raises(datakit):
    class Odd:
        @property
        def usage(self):
            raise UnavailableError

        def __getattr__(self, name):
            raise RuntimeError(name)

    for odd in (Odd(), {"usage": Odd()}, {"error": Odd()}, object(), type):
        with observe() as call:
            call.record(odd)
    points(datakit)


def test_nested_blocks_in_threads_are_a_point_each(datakit):
    shared = observe(request_model="shared")

    def work():
        for _ in range(10):
            with observe(request_model="outer") as outer:
                with observe(request_model="inner") as inner:
                    inner.record({"usage": {"total_tokens": 1}})
                outer.record({"usage": {"total_tokens": 2}})
            shared(lambda: {"usage": {"total_tokens": 3}})()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    found = [(each.tags["request_model"], each.fields["total_tokens"]) for each in points(datakit)]
    assert sorted(found) == sorted([("inner", 1), ("outer", 2), ("shared", 3)] * 40)


def test_one_object_can_observe_blocks_in_many_tasks(datakit):
    shared = observe()

    async def ask(n_tokens, entered, leave):
        async with shared as call:
            entered.set()
            await leave.wait()
            call.record({"usage": {"total_tokens": n_tokens}})

    async def main():
        first, second, never = asyncio.Event(), asyncio.Event(), asyncio.Event()
        tasks = [asyncio.ensure_future(ask(1, first, second)), asyncio.ensure_future(ask(2, second, never))]
        await tasks[0]
        found = points(datakit)
        never.set()
        await tasks[1]
        return [each.fields["total_tokens"] for each in found]

    assert asyncio.run(main()) == [1]
    assert [each.fields["total_tokens"] for each in points(datakit)] == [1, 2]


# ---- around monitored clients ----


def test_a_block_inside_a_context_manager_spans_its_body(api, datakit):
    client = monitor(api.bare())

    @contextlib.contextmanager
    def traced():
        with observe():
            yield

    @contextlib.asynccontextmanager
    async def traced_later():
        with observe():
            yield

    async def use():
        async with traced_later():
            client.chat.completions.create(**CHAT)

    with traced():
        client.chat.completions.create(**CHAT)
    assert len(points(datakit)) == 1
    asyncio.run(use())
    assert len(points(datakit)) == 2


def test_a_task_started_in_a_generators_block_is_part_of_it(api, datakit):
    client = monitor(api.bare())

    async def call():
        client.chat.completions.create(**CHAT)

    async def items():
        with observe():
            await asyncio.gather(call())
            yield 1

    async def use():
        return [item async for item in items()]

    assert asyncio.run(use()) == [1]
    assert len(points(datakit)) == 1


def test_blocks_that_end_in_another_thread_are_freed(datakit):
    alive = []

    def items():
        with observe() as call:
            alive.append(weakref.ref(call))
            yield 1

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for _ in range(20):
            generator = items()
            assert one.submit(next, generator).result() == 1
            assert other.submit(next, generator, None).result() is None
        del generator
        gc.collect()
        assert sum(reference() is not None for reference in alive) < 5


def test_one_object_can_observe_interleaved_generators(datakit):
    observed = observe()

    def items(fails):
        with observed:
            yield 1
            if fails:
                raise ValueError
            yield 2

    first, second = items(fails=True), items(fails=False)
    next(first)
    next(second)
    with pytest.raises(ValueError):
        next(first)
    assert [point.tags["status"] for point in points(datakit)] == ["error"]
    assert list(second) == [2]
    assert [point.tags["status"] for point in points(datakit)] == ["error", "ok"]
    with observe():
        pass
    assert len(points(datakit)) == 3


def test_a_block_around_a_monitored_call_adds_no_point(api, datakit):
    client = monitor(api.bare())
    with observe("chat", "my-chain", tags={"team": "web"}) as call:
        call.record(client.chat.completions.create(**CHAT))
    found = point(datakit)
    assert found.tags["request_model"] == "gpt-4o-mini"

    ask = observe()(lambda: client.chat.completions.create(**CHAT).choices[0].message.content)
    ask()
    ask()
    assert len(points(datakit)) == 3


def test_a_block_around_a_failing_monitored_call_adds_no_point(api, datakit):
    client = monitor(api.bare())
    with pytest.raises(Exception, match="no-such-model"), observe():
        client.chat.completions.create(**{**CHAT, "model": "no-such-model"})
    assert point(datakit).tags["error_type"] == "not_found"


def test_an_embedding_inside_a_block_is_a_call_of_its_own(api, datakit):
    client = monitor(api.bare())
    with observe("chat", "llama-3") as call:
        client.embeddings.create(model="text-embedding-3-small", input="one two")
        call.record(ANSWER)
    assert [found.tags["operation_name"] for found in points(datakit)] == ["embeddings", "chat"]


def test_a_block_around_an_unmonitored_client_is_one_point(api, datakit):
    with observe("chat", "gpt-4o-mini") as call:
        answer = api.bare().chat.completions.create(**CHAT)
        call.record(answer)
    assert point(datakit).fields["total_tokens"] == answer.usage.total_tokens


def test_calls_after_a_block_are_not_part_of_it(api, datakit):
    client = monitor(api.bare_async())

    async def later(ended):
        await ended.wait()
        await client.chat.completions.create(**CHAT)

    async def main():
        ended = asyncio.Event()
        with observe("chat", "llama-3") as call:
            task = asyncio.ensure_future(later(ended))
            call.record(ANSWER)
        ended.set()
        await task

    asyncio.run(main())
    assert [found.tags["request_model"] for found in points(datakit)] == ["llama-3", "gpt-4o-mini"]


# ---- wrong use, and disabled ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operation_name": None}, "operation_name"),
        ({"request_model": 4}, "request_model"),
        ({"provider_name": b"groq"}, "provider_name"),
        ({"tags": {"team": 7}}, "team"),
        ({"tags": "team=web"}, "tags"),
    ],
)
def test_an_invalid_argument_is_a_clear_error_at_once(arguments, message):
    with pytest.raises(TypeError, match=message):
        observe(**arguments)


def test_an_empty_operation_name_is_a_clear_error_at_once():
    with pytest.raises(ValueError, match="operation_name"):
        observe("")


def test_a_reserved_tag_name_is_a_clear_error_at_once():
    with pytest.raises(ValueError, match="status"):
        observe(tags={"status": "mine"})


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_it_must_go_below_classmethod_and_staticmethod(kind):
    with pytest.raises(TypeError, match="goes below"):
        observe()(kind(lambda: None))


def test_a_generator_cannot_be_decorated():
    def chunks():
        yield 1

    async def chunks_later():
        yield 1

    for function in (chunks, chunks_later):
        with pytest.raises(TypeError, match="with"):
            observe()(function)


def test_it_does_nothing_when_disabled(datakit, monkeypatch):
    monkeypatch.setenv("CHATGPT_MONITOR_ENABLED", "false")
    restart()
    with observe() as call:
        call.record(ANSWER)
    assert points(datakit) == []


def test_an_invalid_setting_in_the_environment_breaks_nothing(datakit):
    code = """
from guance_chatgpt_monitor import flush, observe, shutdown
with observe() as call:
    call.record({})
assert observe()(lambda: 7)() == 7
assert flush()
shutdown()
"""
    environment = monitor_environment(datakit, CHATGPT_MONITOR_MAX_QUEUE="many")
    done = with_sdk().run(code, environment)
    assert done.returncode == 0
    (said,) = done.stderr.splitlines()  # once
    assert "CHATGPT_MONITOR_MAX_QUEUE must be a whole number" in said

"""Calls of the asynchronous client, many at a time."""

import asyncio
import functools
import inspect
import json
import threading

import openai
import pytest
from monitored import CHAT, USAGE, WAIT_S, Canned, faults, httpx, needs, point, points

from guance_chatgpt_monitor import instrument, monitor

pytest_plugins = ["monitored_fixtures"]


def run(coroutine):
    """Run in a new event loop, with a timeout."""

    async def bounded():
        return await asyncio.wait_for(coroutine, WAIT_S)

    return asyncio.run(bounded())


async def ask(client, **options):
    async with client:
        return await client.chat.completions.create(**{**CHAT, **options})


async def ask_fifty(client):
    asked = [client.chat.completions.create(**{**CHAT, "model": f"m{n}"}) for n in range(50)]
    await asyncio.gather(*asked)


# ---- through the whole stack ----


def test_a_call_is_a_point(api, datakit):
    answer = run(ask(monitor(api.bare_async())))
    found = point(datakit)
    assert found.fields["total_tokens"] == answer.usage.total_tokens
    assert found.fields["create_time"] == 1
    assert (found.tags["status"], found.tags["operation_name"]) == ("ok", "chat")


def test_every_client_of_an_instrumented_process_is_monitored(api, datakit):
    instrument()
    run(ask(api.bare_async()))
    run(ask(monitor(api.bare_async())))
    assert len(points(datakit)) == 2


def test_fifty_calls_at_once_are_fifty_points(api, datakit):
    client = monitor(api.bare_async(max_retries=1, http_client=httpx.AsyncClient(transport=_Flaky())))
    run(ask_fifty(client))
    found = points(datakit)
    assert len({each.timestamp_ns for each in found}) == len(found) == 50
    assert {each.tags["request_model"] for each in found} == {f"m{n}" for n in range(50)}


# ---- what is observed ----


class _Flaky(Canned):
    """Refuses the first request for each odd-numbered model, and lets other tasks run in between."""

    def __init__(self):
        super().__init__(body={"usage": USAGE})
        self.refused = set()

    async def handle_async_request(self, request):
        await asyncio.sleep(0)
        model = json.loads(request.content)["model"]
        if int(model[1:]) % 2 and model not in self.refused:
            self.refused.add(model)
            return httpx.Response(429, headers={"retry-after": "0.01"}, json={})
        return self.respond()


def test_tasks_do_not_mix_up_their_calls(api):
    client = api.async_client(max_retries=1, http_client=httpx.AsyncClient(transport=_Flaky()))
    run(ask_fifty(client))
    sent = {call.request_model: call.requests_sent for call in api.collector.calls()}
    assert sent == {f"m{n}": 1 + n % 2 for n in range(50)}


def test_the_client_is_the_same_object_and_its_methods_are_coroutines(api):
    client = api.bare_async()
    assert api.watch(client) is client
    assert type(client) is openai.AsyncOpenAI
    assert inspect.iscoroutinefunction(client.request)
    assert type(client.with_options(timeout=5)) is openai.AsyncOpenAI


class Limited(openai.AsyncOpenAI):
    """A derived client whose method is not a coroutine function, but returns the SDK's coroutine."""

    def request(self, cast_to, options, *, stream=False, stream_cls=None, **kwargs):
        return super().request(cast_to, options, stream=stream, stream_cls=stream_cls, **kwargs)


def test_a_derived_client_that_returns_the_sdks_coroutine_is_monitored(api):
    client = api.watch(Limited(**api.options(http_client=httpx.AsyncClient(verify=False, trust_env=False))))
    run(ask(client))
    call = api.collector.call()
    assert (call.error_type, call.usage.total_tokens, call.requests_sent) == (None, 16, 1)


def test_a_class_whose_request_is_wrapped_by_a_plain_function_is_monitored(api, monkeypatch):
    owner = next(cls for cls in openai.AsyncOpenAI.__mro__ if "request" in vars(cls))
    original = owner.request
    wrapper = functools.wraps(original)(lambda *args, **kwargs: original(*args, **kwargs))
    monkeypatch.setattr(owner, "request", wrapper)
    api.instrument()
    run(ask(api.bare_async()))
    assert api.collector.call().requests_sent == 1


@pytest.mark.parametrize("first", ["monitor", "instrument"])
def test_a_client_both_monitored_and_instrumented_counts_once(first, api):
    if first == "instrument":
        api.instrument()
    client = api.async_client()
    if first == "monitor":
        api.instrument()
    run(ask(client))
    assert api.collector.call().requests_sent == 1


def test_copies_are_monitored(api):
    run(ask(api.async_client().with_options(timeout=5).copy()))
    api.collector.call()


@pytest.mark.parametrize("fault", ["400", "429", "500", "insufficient_quota", "reset", "cut", "empty200"])
def test_errors_are_those_of_the_bare_sdk(fault, api):
    with pytest.raises(Exception) as bare:  # which one is up to the SDK
        run(ask(api.bare_async(), **faults(fault)))
    with pytest.raises(type(bare.value)) as raised:
        run(ask(api.async_client(), **faults(fault)))
    assert getattr(raised.value, "status_code", None) == getattr(bare.value, "status_code", None)
    call = api.collector.call()
    assert call.error_type is not None
    assert call.requests_sent == 1


def test_a_call_given_up_by_its_caller_is_cancelled(api):
    async def give_up():
        async with api.async_client() as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.chat.completions.create(**CHAT, **faults("hang")), 0.1)

    run(give_up())
    call = api.collector.call()
    assert (call.error_type, call.requests_sent) == ("cancelled", 1)
    assert 0.05 <= call.response_time_s < WAIT_S


class _Endless(Canned):
    """Never answers; sets `started` when a request arrives."""

    async def handle_async_request(self, request):
        self.started.set()
        await asyncio.Event().wait()


async def ask_the_endless(api):
    """Return a task that waits for an answer."""
    endless = _Endless()
    endless.started = asyncio.Event()
    client = api.async_client(http_client=httpx.AsyncClient(transport=endless))
    task = asyncio.ensure_future(client.chat.completions.create(**CHAT))
    await endless.started.wait()
    return task


def test_a_cancelled_task_is_a_cancelled_call(api):
    async def cancel():
        task = await ask_the_endless(api)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(cancel())
    assert api.collector.call().error_type == "cancelled"


def test_a_closed_coroutine_is_a_cancelled_call(api):
    async def throw_away():
        task = await ask_the_endless(api)
        task.get_coro().close()
        assert api.collector.call().error_type == "cancelled"
        task.cancel()

    run(throw_away())
    assert api.collector.calls() == []


def test_raw_and_streaming_responses_are_recorded(api):
    async def read_all():
        async with api.async_client() as client:
            raw = await client.chat.completions.with_raw_response.create(**CHAT)
            assert raw.parse().usage.total_tokens == 16
            create = needs(client, "chat", "completions", "with_streaming_response").create
            async with create(**CHAT) as response:
                await response.parse()
            async with create(**CHAT) as response:
                await response.json()
            async with create(**CHAT):
                pass
            with pytest.raises(httpx.TransportError):
                async with create(**CHAT, **faults("cut")) as response:
                    await response.read()

    run(read_all())
    calls = api.collector.calls()
    assert [call.usage.total_tokens for call in calls] == [16, 16, 16, None, None]
    assert [call.error_type for call in calls] == [None, None, None, None, "connection"]


def test_clients_in_several_event_loops_are_monitored(api):
    errors = []

    def work():
        try:
            for _ in range(3):
                run(ask(api.async_client()))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert errors == []
    assert [call.requests_sent for call in api.collector.calls()] == [1] * 9

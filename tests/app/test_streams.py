"""Streams: recorded once however they end, and unchanged for their reader."""

import asyncio
import copy
import gc
import inspect
import os
import sys
import threading
import time
import weakref

import openai
import pytest
from monitored import (
    CHAT,
    USAGE,
    WAIT_S,
    Canned,
    canned,
    chunk,
    faults,
    httpx,
    monitor_environment,
    needs,
    needs_parameter,
    point,
    points,
)
from preloaded import with_sdk

from guance_chatgpt_monitor import monitor

pytest_plugins = ["monitored_fixtures"]

STREAM = {**CHAT, "stream": True}
OPENAI_URL = "https://api.openai.com/v1"  # never reached: the transport answers


def run(coroutine):
    """Run in a new event loop, with a timeout."""

    async def bounded():
        return await asyncio.wait_for(coroutine, WAIT_S)

    return asyncio.run(bounded())


def asking(stream_options):
    """Arguments of a call, which an SDK older than these options accepts too."""
    needs_parameter(openai.resources.chat.Completions.create, "stream_options")
    return {"stream_options": stream_options}


async def read(stream):
    return [chunk async for chunk in stream]


# ---- through the whole stack ----


def test_a_stream_is_a_point(api, datakit):
    client = monitor(api.bare())
    for _ in client.chat.completions.create(**STREAM, **asking({"include_usage": True})):
        pass
    found = point(datakit)
    assert found.tags["stream"] == "true"
    assert found.tags["response_model"] == "gpt-4o-mini-2024-07-18"
    assert found.fields["total_tokens"] == 16
    assert 0 < found.fields["time_to_first_token"] <= found.fields["response_time"]


def test_unknown_usage_is_absent(api, datakit):
    list(monitor(api.bare()).chat.completions.create(**STREAM))
    assert "total_tokens" not in point(datakit).fields


def test_a_stream_of_the_asynchronous_client_is_a_point(api, datakit):
    async def read_all():
        async with monitor(api.bare_async(), stream_usage=True) as client:
            return await read(await client.chat.completions.create(**STREAM))

    run(read_all())
    assert point(datakit).fields["total_tokens"] == 16


# ---- however it ends ----


def test_a_stream_read_to_the_end_is_recorded_once(api):
    stream = api.client().chat.completions.create(**STREAM)
    assert api.collector.calls() == []
    list(stream)
    call = api.collector.call()
    assert (call.error_type, call.status_code, call.stream) == (None, 200, True)
    del stream
    gc.collect()
    assert api.collector.calls() == []


def test_a_stream_can_be_read_on_after_a_break(api):
    """Leaving a loop does not end a stream."""
    stream = api.client().chat.completions.create(**STREAM)
    for _ in stream:
        break
    assert api.collector.calls() == []
    next(stream)
    for _ in stream:
        pass
    api.collector.call()
    assert list(stream) == []
    assert api.collector.calls() == []


def test_a_stream_can_be_read_on_after_a_break_at_every_chunk(api):
    events = [chunk(content="word ")] * 1500 + [chunk(usage=USAGE, choices=[])]
    stream = api.client(**canned(events=events)).chat.completions.create(**STREAM)
    for _ in events:
        for _ in stream:
            break
    assert list(stream) == []
    call = api.collector.call()
    assert (call.error_type, call.usage.total_tokens) == (None, 30)


def test_closing_or_throwing_into_an_iterator_does_not_end_the_stream(api):
    """As in the bare SDK, where the iterator only passes on the stream's chunks."""
    stream = api.client().chat.completions.create(**STREAM)
    iterator = iter(stream)
    next(iterator)
    iterator.close()
    iterator = iter(stream)
    next(iterator)
    with pytest.raises(ZeroDivisionError):
        iterator.throw(ZeroDivisionError())
    assert api.collector.calls() == []
    assert len(list(stream)) == 13
    assert api.collector.call().error_type is None


def test_throwing_into_the_first_iterator_does_not_end_the_stream(api):
    stream = api.client().chat.completions.create(**STREAM)
    iterator = iter(stream)
    next(iterator)
    with pytest.raises(ZeroDivisionError):
        iterator.throw(ZeroDivisionError())
    assert len(list(stream)) == 14
    assert api.collector.call().error_type is None


def test_an_abandoned_stream_is_recorded_when_garbage_collected(api):
    for _ in api.client().chat.completions.create(**STREAM):
        break
    gc.collect()
    call = api.collector.call()
    assert call.error_type is None
    assert call.response_model == "gpt-4o-mini-2024-07-18"


def test_an_unread_stream_is_recorded_when_garbage_collected(api):
    stream = api.client().chat.completions.create(**STREAM)
    del stream
    gc.collect()
    call = api.collector.call()
    assert (call.error_type, call.time_to_first_token_s) == (None, None)


@pytest.mark.parametrize("n_chunks", [0, 3])
def test_a_closed_stream_is_recorded_once(n_chunks, api):
    stream = api.client().chat.completions.create(**STREAM)
    for _ in range(n_chunks):
        next(stream)
    needs(stream, "close")()
    assert api.collector.call().error_type is None
    stream.close()
    stream.response.close()
    del stream
    gc.collect()
    assert api.collector.calls() == []


def test_closing_the_response_ends_the_stream(api):
    stream = api.client().chat.completions.create(**STREAM)
    next(stream)
    stream.response.close()
    api.collector.call()


def test_leaving_a_with_block_ends_the_stream(api):
    stream = api.client().chat.completions.create(**STREAM)
    needs(stream, "__exit__")
    with stream as entered:
        assert entered is stream
        next(stream)
    api.collector.call()


def test_the_applications_error_in_a_with_block_is_not_the_streams(api):
    stream = api.client().chat.completions.create(**STREAM)
    needs(stream, "__exit__")
    with pytest.raises(ZeroDivisionError), stream:
        _ = 1 / len(next(stream).choices[1:])
    assert api.collector.call().error_type is None


def test_a_connection_lost_in_the_middle_is_an_error(api):
    bare = api.bare().chat.completions.create(**STREAM, **faults("cut"))
    with pytest.raises(Exception) as expected:  # which one is up to the SDK
        list(bare)
    stream = api.client().chat.completions.create(**STREAM, **faults("cut"))
    with pytest.raises(type(expected.value)):
        list(stream)
    call = api.collector.call()
    assert (call.error_type, call.status_code) == ("connection", 200)
    assert call.time_to_first_token_s is not None
    assert list(stream) == list(bare) == []


def test_an_api_error_in_the_middle_is_an_error(api):
    error = {"error": {"message": "no more", "type": "server_error", "code": None}}
    stream = api.client(**canned(events=[chunk(content="one"), error])).chat.completions.create(**STREAM)
    next(stream)
    with pytest.raises(openai.APIError):
        next(stream)
    assert api.collector.call().error_type == "server_error"


def test_an_error_instead_of_a_stream_is_recorded(api):
    with pytest.raises(openai.RateLimitError):
        api.client().chat.completions.create(**STREAM, **faults("429"))
    call = api.collector.call()
    assert (call.error_type, call.stream) == ("rate_limit", True)


@pytest.mark.parametrize("fault", ["html200", "empty200"])
def test_a_stream_without_events_is_an_error(fault, api):
    assert list(api.client().chat.completions.create(**STREAM, **faults(fault))) == []
    assert api.collector.call().error_type == "other"


def test_retries_before_a_stream_are_counted(api):
    api.server.faults.append("429+0.01")
    list(api.client(max_retries=1).chat.completions.create(**STREAM))
    assert api.collector.call().requests_sent == 2


def test_a_stream_can_be_read_on_in_another_thread(api):
    stream = api.client().chat.completions.create(**STREAM)
    chunks = [next(stream)]
    thread = threading.Thread(target=lambda: chunks.extend(stream))
    thread.start()
    thread.join(WAIT_S)
    assert len(chunks) == 15
    api.collector.call()


def test_a_stream_can_be_closed_by_another_thread(api):
    """One thread waits for a chunk while another closes the stream."""
    waiting, go_on = threading.Event(), threading.Event()

    class Held(httpx.SyncByteStream):
        def __iter__(self):
            yield b'data: {"choices": []}\n\n'
            waiting.set()
            go_on.wait(WAIT_S)

    class Transport(httpx.BaseTransport):
        def handle_request(self, request):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Held())

    client = api.client(http_client=httpx.Client(transport=Transport()))
    stream = client.chat.completions.create(**STREAM)
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    assert waiting.wait(WAIT_S)
    stream.response.close()
    go_on.set()
    thread.join(WAIT_S)
    api.collector.wait_for(1)
    api.collector.call()


class _Slow(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Five chunks; after the first, sets `waiting` and holds the next ones until `more` is set."""

    def __init__(self, event):
        self.waiting, self.more = event(), event()
        self.pieces = Canned(events=[chunk(content=str(n)) for n in range(5)]).pieces()

    def __iter__(self):
        for n, piece in enumerate(self.pieces):
            if n:
                self.waiting.set()
                assert self.more.wait(WAIT_S)
            yield piece

    async def __aiter__(self):
        for n, piece in enumerate(self.pieces):
            if n:
                self.waiting.set()
                await self.more.wait()
            yield piece


class _SlowTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, content):
        self.content = content

    def handle_request(self, request):
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=self.content)

    async def handle_async_request(self, request):
        return self.handle_request(request)


@pytest.mark.parametrize("monitored", [True, False])
def test_concurrent_readers_get_an_error_and_lose_no_chunk(monitored, api):
    content = _Slow(threading.Event)
    new = api.client if monitored else api.bare
    stream = new(http_client=httpx.Client(transport=_SlowTransport(content))).chat.completions.create(
        **STREAM
    )
    read = []

    def read_two():
        for each in stream:
            read.append(each)
            if len(read) == 2:
                return

    thread = threading.Thread(target=read_two)
    thread.start()
    assert content.waiting.wait(WAIT_S)
    for way in (next, list, next, list, next):
        with pytest.raises(ValueError, match="already executing"):
            way(stream)
    content.more.set()
    thread.join(WAIT_S)
    read.append(next(stream))
    read.extend(stream)
    assert [each.choices[0].delta.content for each in read] == ["0", "1", "2", "3", "4"]
    assert len(api.collector.calls()) == monitored


@pytest.mark.parametrize("monitored", [True, False])
def test_concurrent_async_readers_get_an_error_and_lose_no_chunk(monitored, api):
    async def use():
        content = _Slow(asyncio.Event)
        new = api.async_client if monitored else api.bare_async
        client = new(http_client=httpx.AsyncClient(transport=_SlowTransport(content)))
        stream = await client.chat.completions.create(**STREAM)
        first = asyncio.ensure_future(read(stream))
        await content.waiting.wait()
        for way in (stream.__anext__, lambda: read(stream), stream.__anext__, lambda: read(stream)):
            with pytest.raises(RuntimeError, match="already running"):
                await way()
        content.more.set()
        return len(await first)

    if sys.version_info < (3, 8, 1):
        pytest.skip("this Python does not raise the error")
    assert run(use()) == 5
    assert len(api.collector.calls()) == monitored


def test_many_streams_in_many_threads_are_one_call_each(api):
    client = api.client(**canned(events=[chunk(content="one"), chunk(usage=USAGE, choices=[])]))
    endings = [list, next, lambda stream: stream.response.close(), lambda stream: None]

    def work():
        for end in endings * 5:
            end(client.chat.completions.create(**STREAM))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    gc.collect()
    assert len(api.collector.calls()) == 8 * 4 * 5


# ---- however an asynchronous one ends ----


def with_stream(api, use, **options):
    """Run `use(stream)` in an event loop."""

    async def begin_and_use():
        client = api.async_client(**options)
        await use(await client.chat.completions.create(**STREAM))

    run(begin_and_use())


async def collected():
    gc.collect()
    await asyncio.sleep(0)


def test_an_async_stream_read_to_the_end_is_recorded_once(api):
    async def use(stream):
        assert type(stream) is openai.AsyncStream
        assert len(await read(stream)) == 15
        api.collector.call()
        assert await read(stream) == []

    with_stream(api, use)
    gc.collect()
    assert api.collector.calls() == []


def test_an_async_stream_can_be_read_on_after_a_break(api):
    async def use(stream):
        async for _ in stream:
            break
        assert api.collector.calls() == []
        await read(stream)
        api.collector.call()

    with_stream(api, use)


@pytest.mark.parametrize("n_chunks", [0, 3])
def test_a_closed_async_stream_is_recorded_once(n_chunks, api):
    async def use(stream):
        for _ in range(n_chunks):
            await stream.__anext__()
        await needs(stream, "close")()
        assert api.collector.call().error_type is None
        await stream.close()

    with_stream(api, use)
    gc.collect()
    assert api.collector.calls() == []


def test_leaving_a_with_block_ends_an_async_stream(api):
    async def use(stream):
        needs(stream, "__aexit__")
        async with stream:
            await stream.__anext__()
        api.collector.call()

    with_stream(api, use)


@pytest.mark.parametrize("n_chunks", [0, 3])
def test_an_async_stream_is_recorded_when_garbage_collected(n_chunks, api):
    async def leave():
        stream = await api.async_client().chat.completions.create(**STREAM)
        for _ in range(n_chunks):
            await stream.__anext__()

    async def use():
        await leave()
        await collected()
        assert api.collector.call().error_type is None

    run(use())
    gc.collect()
    assert api.collector.calls() == []


def test_an_async_connection_lost_in_the_middle_is_an_error(api):
    async def use():
        client = api.async_client()
        stream = await client.chat.completions.create(**STREAM, **faults("cut"))
        with pytest.raises((openai.APIConnectionError, httpx.TransportError)):
            await read(stream)

    run(use())
    assert api.collector.call().error_type == "connection"


class _Held(httpx.AsyncByteStream):
    """One chunk and no more; sets `waiting` when the next is awaited."""

    def __init__(self):
        self.waiting = asyncio.Event()

    async def __aiter__(self):
        yield b'data: {"choices": []}\n\n'
        self.waiting.set()
        await asyncio.Event().wait()


async def read_held(api):
    """Return a task that waits for the second chunk."""

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=held)

    held = _Held()
    client = api.async_client(http_client=httpx.AsyncClient(transport=Transport()))
    stream = await client.chat.completions.create(**STREAM)
    task = asyncio.ensure_future(read(stream))
    await held.waiting.wait()
    return task


def test_a_cancelled_reader_is_a_cancelled_call(api):
    async def cancel():
        task = await read_held(api)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert api.collector.call().error_type == "cancelled"

    run(cancel())
    gc.collect()
    assert api.collector.calls() == []


@pytest.mark.filterwarnings("ignore")  # Python warns that the task was destroyed
def test_a_stream_is_recorded_when_its_loop_closes_in_the_middle(api):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    task = loop.run_until_complete(read_held(api))
    loop.close()
    del task
    for _ in range(3):  # one round frees what kept another alive
        gc.collect()
    api.collector.call()


@pytest.mark.parametrize("run_no", range(5))  # generators are closed in any order
def test_a_stream_still_held_when_the_loop_ends_is_recorded(run_no, api):
    held = []

    async def use(stream):
        iterator = stream.__aiter__()
        await iterator.__anext__()
        held.extend([stream, iterator])

    with_stream(api, use)
    held.clear()
    gc.collect()
    assert api.collector.call().error_type is None


def test_a_stream_can_be_read_on_in_another_task(api):
    async def use(stream):
        first = await stream.__anext__()
        rest = await asyncio.ensure_future(read(stream))
        assert len([first, *rest]) == 15

    with_stream(api, use)
    api.collector.call()


def test_fifty_concurrent_streams_are_fifty_calls(api):
    async def use():
        http_client = httpx.AsyncClient(transport=Canned(events=[chunk(content="one"), chunk(usage=USAGE)]))
        client = api.async_client(http_client=http_client)

        async def one():
            return await read(await client.chat.completions.create(**STREAM))

        await asyncio.gather(*(one() for _ in range(50)))

    run(use())
    assert [call.usage.total_tokens for call in api.collector.calls()] == [30] * 50


# ---- when the process ends or forks ----


SCRIPT = """
import gc, os, sys, openai, guance_chatgpt_monitor
url = os.environ["API_URL"]
client = guance_chatgpt_monitor.monitor(openai.OpenAI(api_key="sk-local", base_url=url, max_retries=0))
asked = dict(model="m", messages=[{"role": "user", "content": "q"}])
stream = client.chat.completions.create(**asked, stream=True)
next(stream)
"""


def run_script(code, api, datakit):
    """Run the script with `code` at its end, expecting no error output; return its exit code."""
    done = with_sdk().run(SCRIPT + code, monitor_environment(datakit, API_URL=api.server.base_url))
    assert done.stderr == ""
    return done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "client.chat.completions.create(**asked)"])
def test_a_stream_still_open_at_exit_is_recorded(before, api, datakit):
    # The exit code is not checked: Python 3.13.0 crashes if it collects an open stream at exit.
    run_script(before, api, datakit)
    streams = [each for each in datakit.points("openai") if each.tags["stream"] == "true"]
    assert len(streams) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="skipped: this system does not fork")
def test_a_stream_open_during_a_fork_is_recorded_once(api, datakit):
    code = """
if os.fork() == 0:
    del stream
    gc.collect()
    guance_chatgpt_monitor.flush(10)
    sys.exit()
os.wait()
list(stream)
"""
    assert run_script(code, api, datakit) == 0
    assert len(datakit.points("openai")) == 1


# ---- the times ----


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock(api):
    api.clock = Clock()
    return api.clock


def ticking(clock, events, **options):
    """Arguments of a client that receives one event a second."""
    headers = {"content-type": "text/event-stream"}

    class Transport(Canned):
        def handle_request(self, request):
            clock.now_s += 1
            return httpx.Response(200, headers=headers, stream=_Ticking(clock, self.pieces()))

    return {"http_client": httpx.Client(transport=Transport(events=events)), **options}


class _Ticking(httpx.SyncByteStream):
    def __init__(self, clock, pieces):
        self.clock = clock
        self.pieces = pieces

    def __iter__(self):
        for piece in self.pieces:
            self.clock.now_s += 1
            yield piece


EVENTS = [chunk(role="assistant", content=""), chunk(content="one"), chunk(content="two"), chunk()]


def test_the_response_time_ends_with_the_last_chunk(api, clock):
    for _ in api.client(**ticking(clock, EVENTS)).chat.completions.create(**STREAM):
        last_s = clock.now_s
        clock.now_s += 100  # a slow application; the next chunk has long arrived
    call = api.collector.call()
    assert call.response_time_s == last_s - 1000
    ended_at_ns = time.time_ns() - 100e9
    assert abs(call.ended_at_ns - ended_at_ns) < WAIT_S * 1e9
    assert call.time_to_first_token_s == 1 + 1 + 100 + 1


@pytest.mark.parametrize(
    "first",
    [
        chunk(content="one"),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        chunk(function_call={"arguments": "{"}),
        chunk(refusal="No"),
        chunk(reasoning_content="Hm"),
        {"choices": [{"index": 0, "text": "one"}]},
        {"choices": [{"index": 0, "delta": {}}, {"index": 1, "delta": {"content": "one"}}]},
    ],
)
def test_the_first_token_is_the_first_content_of_any_kind(first, api, clock):
    events = [chunk(role="assistant", content="", refusal=None), {"choices": None}, first, chunk(content="x")]
    list(api.client(**ticking(clock, events)).chat.completions.create(**STREAM))
    assert api.collector.call().time_to_first_token_s == 4


def test_a_stream_without_content_has_no_first_token(api, clock):
    events = [chunk(role="assistant", content=""), {"choices": None}, {}, chunk(choices=[])]
    list(api.client(**ticking(clock, events)).chat.completions.create(**STREAM))
    call = api.collector.call()
    assert call.time_to_first_token_s is None
    assert call.response_time_s == 5


def test_the_response_time_of_an_abandoned_stream_ends_with_its_last_chunk(api, clock):
    stream = api.client(**ticking(clock, EVENTS)).chat.completions.create(**STREAM)
    next(stream)
    clock.now_s += 100
    stream.response.close()
    assert api.collector.call().response_time_s == 2


def test_the_response_time_of_an_unread_stream_ends_when_it_is_returned(api, clock):
    stream = api.client(**ticking(clock, EVENTS)).chat.completions.create(**STREAM)
    clock.now_s += 100
    del stream
    gc.collect()
    assert api.collector.call().response_time_s == 1


# ---- the content of the stream ----


@pytest.mark.parametrize(
    "events",
    [
        [chunk(content="one"), chunk(usage=USAGE, choices=[])],
        [chunk(content="one"), chunk(usage=USAGE)],
        [chunk(content="one"), chunk(usage=USAGE, choices=[]), chunk()],
        [chunk(usage={**USAGE, "total_tokens": 1}, content="one"), chunk(usage=USAGE, choices=[])],
        [chunk(role="assistant"), chunk(usage=USAGE, choices=[]), chunk()],
    ],
)
def test_usage_is_read_where_the_api_sends_it(events, api):
    chunks = list(api.client(**canned(events=events)).chat.completions.create(**STREAM))
    assert len(chunks) == len(events)  # we did not request the usage, so nothing is hidden
    assert api.collector.call().usage.total_tokens == 30


def in_a_loop(stream):
    yield from stream


def one_by_one(stream):
    while (each := next(stream, None)) is not None:
        yield each


def by_turns(stream):
    """Alternates between the stream and an iterator, which must see each other's chunks."""
    iterator = iter(stream)
    yield next(iterator)
    yield next(stream)
    yield next(iterator)
    yield next(stream)
    yield from iterator


def in_two_loops(stream):
    for each in stream:
        yield each
        break
    yield from stream


WAYS = [in_a_loop, one_by_one, by_turns, in_two_loops]


@pytest.mark.parametrize("n_chunks", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", [None, OPENAI_URL])
def test_times_and_usage_are_the_same_however_a_stream_is_read(url, way, n_chunks, api, clock):
    events = [*EVENTS, chunk(usage=USAGE, choices=[])]
    client = api.client(**ticking(clock, events, **({} if url is None else {"base_url": url})))
    stream = client.chat.completions.create(**STREAM)
    read_at_s = []
    for _ in way(stream):
        read_at_s.append(clock.now_s)
        clock.now_s += 100
        if len(read_at_s) == n_chunks:
            stream.response.close()
            break
    call = api.collector.call()
    assert len(read_at_s) == min(n_chunks, len(events))
    assert call.response_time_s == read_at_s[-1] - 1000
    assert call.time_to_first_token_s == (None if n_chunks < 2 else read_at_s[1] - 1000)
    assert call.usage.total_tokens == (30 if n_chunks >= 5 else None)
    assert (call.provider_name == "openai") == (url == OPENAI_URL)


async def async_in_a_loop(stream):
    async for each in stream:
        yield each


async def async_one_by_one(stream):
    while True:
        try:
            each = await stream.__anext__()
        except StopAsyncIteration:
            return
        yield each


async def async_by_turns(stream):
    iterator = stream.__aiter__()
    yield await iterator.__anext__()
    yield await stream.__anext__()
    yield await iterator.__anext__()
    yield await stream.__anext__()
    async for each in iterator:
        yield each


async def async_in_two_loops(stream):
    async for each in stream:
        yield each
        break
    async for each in stream:
        yield each


ASYNC_WAYS = [async_in_a_loop, async_one_by_one, async_by_turns, async_in_two_loops]


@pytest.mark.parametrize("n_chunks", [1, 3, 4, 6])
@pytest.mark.parametrize("way", ASYNC_WAYS)
@pytest.mark.parametrize("url", [None, OPENAI_URL])
def test_times_and_usage_are_the_same_however_an_async_stream_is_read(url, way, n_chunks, api, clock):
    events = [*EVENTS, chunk(usage=USAGE, choices=[])]
    read_at_s = []

    async def use(stream):
        reading = way(stream)
        async for _ in reading:
            read_at_s.append(clock.now_s)
            clock.now_s += 100
            if len(read_at_s) == n_chunks:
                await stream.response.aclose()
                break
        await reading.aclose()

    url_given = {} if url is None else {"base_url": url}
    with_stream(api, use, http_client=httpx.AsyncClient(transport=Canned(events=events)), **url_given)
    call = api.collector.call()
    assert len(read_at_s) == min(n_chunks, len(events))
    assert call.response_time_s == read_at_s[-1] - 1000
    assert call.usage.total_tokens == (30 if n_chunks >= 5 else None)
    assert (call.provider_name == "openai") == (url == OPENAI_URL)


def test_streamed_text_completions_are_recorded(api):
    list(api.client().completions.create(model="gpt-3.5-turbo-instruct", prompt="one two", stream=True))
    call = api.collector.call()
    assert call.operation_name == "text_completion"
    assert call.time_to_first_token_s is not None


def test_streamed_responses_are_recorded(api):
    client = api.client()
    events = list(needs(client, "responses").create(model="gpt-4o-mini", input="one two", stream=True))
    assert events[-1].type == "response.completed"
    call = api.collector.call()
    assert call.usage.total_tokens == events[-1].response.usage.total_tokens
    assert call.response_model == "gpt-4o-mini-2024-07-18"
    assert call.time_to_first_token_s is not None
    assert call.error_type is None


def test_abandoned_responses_are_recorded(api):
    stream = needs(api.client(), "responses").create(model="gpt-4o-mini", input="one two", stream=True)
    next(stream)
    stream.close()
    assert api.collector.call().response_model == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("event", "error_type"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, "rate_limit"),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "server_error"),
        ({"type": "response.incomplete", "response": {"error": None, "usage": USAGE}}, None),
    ],
)
def test_failed_responses_have_their_error_type(event, error_type, api):
    client = api.client(**canned(events=[{"type": "response.created", "response": {}}, event]))
    try:
        list(needs(client, "responses").create(model="m", input="one two", stream=True))
    except openai.APIError:  # of an `error` event, some SDKs make one
        pass
    assert api.collector.call().error_type == error_type


COMPLETED = {"type": "response.completed", "response": {"error": None, "usage": USAGE}}
NO_MORE = {"type": "error", "code": "server_error", "message": "m", "param": None}


@pytest.mark.parametrize(
    ("events", "error_type", "total_tokens"),
    [
        ([COMPLETED, {"type": "response.rate_limits.updated", "rate_limits": []}], None, 30),
        ([COMPLETED, {"type": "keepalive"}, {"type": "keepalive"}], None, 30),
        ([NO_MORE, {"type": "response.failed", "response": {"error": None}}], "server_error", None),
        ([NO_MORE, {"type": "keepalive"}], "server_error", None),
    ],
)
def test_events_after_the_end_of_a_response_are_ignored(events, error_type, total_tokens, api):
    created = {"type": "response.created", "response": {}}
    piece = {"type": "response.output_text.delta", "delta": "one"}
    client = api.client(**canned(events=[created, piece, *events]))
    try:
        list(needs(client, "responses").create(model="m", input="one two", stream=True))
    except openai.APIError:  # of an `error` event, some SDKs make one
        pass
    call = api.collector.call()
    assert (call.error_type, call.usage.total_tokens) == (error_type, total_tokens)


# ---- the SDK's helpers ----


def test_a_stream_of_the_chat_helper_is_recorded(api):
    helper = needs(api.client(), "chat", "completions", "stream")
    with helper(**CHAT) as stream:
        assert stream.get_final_completion().choices[0].message.content
    call = api.collector.call()
    assert call.time_to_first_token_s is not None
    with helper(**CHAT) as stream:
        next(iter(stream))
        assert api.collector.calls() == []
    api.collector.call()


def test_a_stream_of_the_responses_helper_is_recorded(api):
    helper = needs(api.client(), "responses", "stream")
    with helper(model="gpt-4o-mini", input="one two") as stream:
        tokens = stream.get_final_response().usage.total_tokens
    assert api.collector.call().usage.total_tokens == tokens


def test_streams_of_the_asynchronous_helpers_are_recorded(api):
    async def use():
        client = api.async_client()
        async with needs(client, "chat", "completions", "stream")(**CHAT) as stream:
            await stream.get_final_completion()
        async with needs(client, "responses", "stream")(model="gpt-4o-mini", input="one two") as stream:
            async for _ in stream:
                break

    run(use())
    assert [call.operation_name for call in api.collector.calls()] == ["chat", "responses"]


# ---- raw ----


def test_a_parsed_raw_stream_is_observed(api):
    raw = api.client().chat.completions.with_raw_response.create(**STREAM)
    stream = raw.parse()
    assert type(stream) is openai.Stream
    assert raw.parse() is stream
    assert len(list(stream)) == 15
    assert api.collector.call().time_to_first_token_s is not None


def test_an_unparsed_raw_stream_is_recorded(api):
    raw = api.client().chat.completions.with_raw_response.create(**STREAM)
    assert len(list(raw.http_response.iter_lines())) > 15
    assert api.collector.call().error_type is None
    raw = api.client().chat.completions.with_raw_response.create(**STREAM)
    del raw
    gc.collect()
    api.collector.call()


def test_a_stream_in_a_streaming_response_is_recorded(api):
    create = needs(api.client(), "chat", "completions", "with_streaming_response").create
    with create(**STREAM) as response:
        assert len(list(response.parse())) == 15
    assert api.collector.call().time_to_first_token_s is not None
    with create(**STREAM) as response:
        assert len(list(response.iter_lines())) > 15
    api.collector.call()
    with pytest.raises(httpx.TransportError), create(**STREAM, **faults("cut")) as response:
        list(response.iter_lines())
    assert api.collector.call().error_type == "connection"


def test_asynchronous_raw_streams_are_recorded(api):
    async def use():
        client = api.async_client()
        raw = await client.chat.completions.with_raw_response.create(**STREAM)
        assert len(await read(raw.parse())) == 15
        create = needs(client, "chat", "completions", "with_streaming_response").create
        async with create(**STREAM) as response:
            assert len(await read(await response.parse())) == 15
        async with create(**STREAM) as response:
            assert len(await read(response.iter_lines())) > 15

    run(use())
    assert [call.time_to_first_token_s is None for call in api.collector.calls()] == [False, False, False]


# ---- the object is unchanged ----


def test_type_and_attributes_are_those_of_the_bare_sdk(api):
    bare, stream = (client.chat.completions.create(**STREAM) for client in (api.bare(), api.client()))
    assert type(stream) is type(bare) is openai.Stream
    assert vars(stream).keys() == vars(bare).keys()
    assert dir(stream) == dir(bare)
    assert type(stream._iterator) is type(bare._iterator)
    assert type(iter(stream)) is type(iter(bare))
    assert iter(stream).__qualname__ == iter(bare).__qualname__ == "Stream.__iter__"
    list(bare)
    list(stream)
    assert vars(stream.response).keys() == vars(bare.response).keys()


def test_closing_its_generator_ends_the_stream(api):
    stream = api.client().chat.completions.create(**STREAM)
    stream._iterator.close()
    assert list(stream) == []
    del stream
    gc.collect()
    api.collector.call()


def test_no_chunk_is_held_longer_than_by_the_bare_sdk(api):
    stream = api.client().chat.completions.create(**STREAM)
    last = [weakref.ref(each) for each in stream][-1]
    gc.collect()
    assert last() is None
    assert list(stream) == []
    api.collector.call()


def test_an_unknown_kind_of_stream_is_left_alone(api, caplog):
    class Fake(openai.Stream):
        def __init__(self, items):
            self._iterator = iter(items)

    api.client()
    assert list(Fake([1, 2])) == [1, 2]
    assert caplog.text == ""


def test_aclose_of_an_open_streams_response_is_a_coroutine_function(api):
    """Web frameworks check this to see whether to await it."""

    async def use(stream):
        assert inspect.iscoroutinefunction(stream.response.aclose)
        await stream.response.aclose()
        assert stream.response.is_closed

    with_stream(api, use)
    api.collector.call()


def test_the_parse_method_of_a_raw_stream_looks_unchanged(api):
    async def use(client):
        raw = await client.chat.completions.with_raw_response.create(**STREAM)
        told = inspect.iscoroutinefunction(raw.parse), inspect.signature(raw.parse)
        await read(raw.parse())
        return told

    assert run(use(api.async_client())) == run(use(api.bare_async()))
    api.collector.call()


def test_the_chunks_are_those_of_the_bare_sdk(api):
    events = [*EVENTS, {"choices": None, "odd": 1}, chunk(usage=USAGE, choices=[])]
    expected = list(api.bare(**canned(events=events)).chat.completions.create(**STREAM))
    for stream_usage in (False, True):
        client = api.client(stream_usage, **canned(events=events))
        chunks = list(client.chat.completions.create(**STREAM, **asking({"include_usage": True})))
        assert chunks == expected


# ---- stream_usage ----


def test_usage_is_requested_and_its_chunk_is_hidden(api):
    expected = list(api.bare().chat.completions.create(**STREAM))
    api.server.clear()
    chunks = list(api.client(stream_usage=True).chat.completions.create(**STREAM))
    assert len(chunks) == len(expected)
    assert all(chunk.choices for chunk in chunks)
    (request,) = api.server.requests
    assert request.body["stream_options"] == {"include_usage": True}
    assert api.collector.call().usage.total_tokens == 16


class Refusing(Canned):
    """A gateway that rejects `stream_options` with this error."""

    def __init__(self, status_code, error, refused="stream_options"):
        super().__init__(events=EVENTS)
        self.status_code, self.error, self.refused, self.n_refused = status_code, error, refused, 0

    def handle_request(self, request):
        if self.refused.encode() not in request.content:
            return self.respond()
        self.n_refused += 1
        return httpx.Response(self.status_code, json=self.error)

    async def handle_async_request(self, request):
        return self.handle_request(request)


FORBIDDEN = {
    "detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "not permitted"}]
}
REFUSALS = [
    (422, FORBIDDEN),
    (422, {"object": "error", "message": FORBIDDEN}),
    (400, {"error": {"message": "Unrecognized request argument supplied: stream_options", "code": None}}),
    (400, {"error": "stream_options is not supported"}),
]


@pytest.mark.parametrize(("number", "refusal"), list(enumerate(REFUSALS)))
def test_usage_is_not_requested_again_from_a_gateway_that_rejects_it(number, refusal, api):
    transport = Refusing(*refusal)
    gateway = {"http_client": httpx.Client(transport=transport), "base_url": f"http://refusing-{number}/v1"}
    expected = list(api.bare(**gateway).chat.completions.create(**STREAM))
    for n_requests in (2, 1, 1):
        client = api.client(stream_usage=True, **gateway)
        assert list(client.chat.completions.create(**STREAM)) == expected
        call = api.collector.call()
        assert (call.error_type, call.requests_sent, call.status_code) == (None, n_requests, 200)
    assert transport.n_refused == 1


def test_an_asynchronous_stream_falls_back_to_no_usage_too(api):
    transport = Refusing(*REFUSALS[0])
    gateway = {"http_client": httpx.AsyncClient(transport=transport), "base_url": "http://refusing-async/v1"}

    async def use():
        client = api.async_client(stream_usage=True, **gateway)
        return [await read(await client.chat.completions.create(**STREAM)) for _ in range(2)]

    assert [len(chunks) for chunks in run(use())] == [len(EVENTS)] * 2
    assert transport.n_refused == 1
    assert [call.error_type for call in api.collector.calls()] == [None, None]


def test_other_refusals_reach_the_caller(api):
    other = Refusing(400, {"error": {"message": "no such model", "code": None}})
    client = api.client(
        stream_usage=True, http_client=httpx.Client(transport=other), base_url="http://strict/v1"
    )
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**STREAM)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert other.n_refused == 1
    own = Refusing(*REFUSALS[0])
    client = api.client(stream_usage=True, http_client=httpx.Client(transport=own), base_url="http://own/v1")
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(**STREAM, **asking({"include_usage": True}))
    assert own.n_refused == 1
    assert [call.error_type for call in api.collector.calls()] == ["bad_request"] * 2


def test_the_usage_chunk_is_hidden_if_chunks_are_dicts(api):
    def use(client):
        streaming = {"stream": True, "stream_cls": openai.Stream[object]}
        return list(client.post("/chat/completions", cast_to=object, body=STREAM, **streaming))

    assert len(use(api.client(stream_usage=True))) == len(use(api.bare())) == 15
    assert api.collector.call().usage.total_tokens == 16


def test_usage_is_not_requested_if_its_chunk_cannot_be_hidden(api):
    create = needs(api.client(stream_usage=True), "chat", "completions", "with_streaming_response").create
    with create(**STREAM) as response:
        list(response.iter_lines())
    (request,) = api.server.requests
    assert "stream_options" not in request.body
    api.collector.call()


def test_usage_is_requested_for_asynchronous_streams_too(api):
    async def use(stream):
        assert len(await read(stream)) == 15

    with_stream(api, use, stream_usage=True)
    assert api.collector.call().usage.total_tokens == 16


@pytest.mark.parametrize("given", [{"include_usage": True}, {"include_usage": False}])
def test_the_callers_include_usage_is_kept(given, api):
    client = api.client(stream_usage=True)
    chunks = list(client.chat.completions.create(**STREAM, **asking(given)))
    assert api.server.requests[-1].body["stream_options"] == given
    assert len(chunks) == 15 + given["include_usage"]


def test_the_callers_other_stream_options_are_kept(api):
    given = {"include_obfuscation": False}
    client = api.client(stream_usage=True)
    assert len(list(client.chat.completions.create(**STREAM, **asking(given)))) == 15
    assert api.server.requests[-1].body["stream_options"] == {**given, "include_usage": True}
    assert given == {"include_obfuscation": False}


def test_stream_options_in_the_extra_body_are_kept(api):
    extra = {"stream_options": {"include_usage": True}}
    assert len(list(api.client(stream_usage=True).chat.completions.create(**STREAM, extra_body=extra))) == 16


def test_usage_is_requested_only_for_chat_and_text_streams(api):
    client = api.client(stream_usage=True)
    client.chat.completions.create(**CHAT)
    client.embeddings.create(model="text-embedding-3-small", input="one")
    if hasattr(client, "responses"):
        list(client.responses.create(model="gpt-4o-mini", input="one", stream=True))
    assert not any("stream_options" in request.body for request in api.server.requests)
    list(client.completions.create(model="gpt-3.5-turbo-instruct", prompt="one", stream=True))
    assert api.server.requests[-1].body["stream_options"] == {"include_usage": True}
    assert api.collector.calls()[-1].usage.total_tokens == 14


def test_the_callers_options_are_not_modified(api):
    """A caller of `client.request()` may reuse its options."""
    seen = []
    client = api.bare()
    request = client.request

    def keep(cast_to, options, **kwargs):
        seen.append((options, copy.deepcopy(options.json_data)))
        return request(cast_to, options, **kwargs)

    client.request = keep
    list(client.chat.completions.create(**STREAM))
    (options, body) = seen[0]
    client = api.client(stream_usage=True)
    of_chunks = openai.types.chat.ChatCompletionChunk
    stream = client.request(of_chunks, options, stream=True, stream_cls=openai.Stream[of_chunks])  # type: ignore[valid-type]
    assert len(list(stream)) == 15
    assert options.json_data == body


def test_streams_are_one_point_each_through_the_whole_stack(api, datakit):
    client = monitor(api.bare(), stream_usage=True)
    for end in (list, next, lambda stream: None):
        end(client.chat.completions.create(**STREAM))
        # Collect each stream now: one collected inside httpcore deadlocks, even with the bare SDK.
        gc.collect()
    assert len(points(datakit)) == 3

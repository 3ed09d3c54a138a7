"""What one instrumentation adds, measured in one process, in an environment of its own.

    python bench/workload.py ours calls         the import, a call and a chunk, bare and instrumented
    python bench/workload.py ours background    the processor time that no call waits for
    python bench/workload.py ours memory        the memory of the process

Prints one line of JSON. The API is an in-process transport with a canned answer, so that what is measured
is the SDK and the instrumentation, and nothing of a network. What the instrumentation sends goes to $SINK,
on loopback.

Bare and instrumented calls alternate within one process, in random order, since two processes of the same
program differ by tens of microseconds a call already by where the system has put their memory.
"""

import asyncio
import gc
import json
import os
import random
import resource
import statistics
import sys
import time
import types
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple

import openai
import requests  # noqa: F401 - its import is not ours to pay

try:
    import httpx2 as httpx  # openai 3.x
except ImportError:
    import httpx  # type: ignore[no-redef]

SINK = os.environ.get("SINK", "http://127.0.0.1:9")
CHUNKS = 500
WARM_UP = 200
AT_ONCE = 50
AT_ONCE_WARM_UP = 4
PAIRS = {"sync": 800, "at_once": 20 * AT_ONCE, "stream": 6}
CPU_CALLS = 500
CPU_BATCHES = 15
MEMORY_CALLS = 1000

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
HEADERS = {
    "x-request-id": "req_1",
    "openai-processing-ms": "420",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "199985",
}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}
        ],
        "usage": USAGE,
    }
).encode()


def _chunk(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


STREAM = _chunk(role="assistant", content="") + _chunk(content="word ") * CHUNKS + b"data: [DONE]\n\n"
ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


def _respond(request: httpx.Request) -> httpx.Response:
    if b'"stream":true' in request.content.replace(b" ", b""):
        return httpx.Response(200, headers={"content-type": "text/event-stream", **HEADERS}, content=STREAM)
    return httpx.Response(200, headers={"content-type": "application/json", **HEADERS}, content=ANSWER)


async def _respond_async(request: httpx.Request) -> httpx.Response:
    # As a network would, it lets the others go on.
    await asyncio.sleep(0)
    return _respond(request)


def sync_options() -> dict:
    return {"api_key": "sk-bench", "http_client": httpx.Client(transport=httpx.MockTransport(_respond))}


def async_options() -> dict:
    transport = httpx.MockTransport(_respond_async)
    return {"api_key": "sk-bench", "http_client": httpx.AsyncClient(transport=transport)}


# ---- the instrumentations: each gives how to make a client, and how to flush ----


class Instrumented(NamedTuple):
    sync_class: Any
    async_class: Any
    flush: Callable[[], object]


def bare() -> Instrumented:
    return Instrumented(openai.OpenAI, openai.AsyncOpenAI, lambda: None)


def ours() -> Instrumented:
    import guance_chatgpt_monitor as monitor

    os.environ["CHATGPT_MONITOR_DATAKIT_URL"] = SINK
    monitor.instrument(service_name="bench")
    return Instrumented(openai.OpenAI, openai.AsyncOpenAI, lambda: monitor.flush(30))


def otel() -> Instrumented:
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracing = TracerProvider()
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{SINK}/v1/traces")))
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{SINK}/v1/metrics"))
    metering = MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(metering)
    OpenAIInstrumentor().instrument()
    flush = lambda: (tracing.force_flush(), metering.force_flush())  # noqa: E731
    return Instrumented(openai.OpenAI, openai.AsyncOpenAI, flush)


def langfuse() -> Instrumented:
    os.environ.update(LANGFUSE_PUBLIC_KEY="pk-bench", LANGFUSE_SECRET_KEY="sk-bench", LANGFUSE_HOST=SINK)
    from langfuse import get_client
    from langfuse.openai import AsyncOpenAI, OpenAI

    return Instrumented(OpenAI, AsyncOpenAI, lambda: get_client().flush())


def openlit() -> Instrumented:
    import openlit as library

    library.init(otlp_endpoint=SINK, disable_metrics=False)
    from opentelemetry import trace

    flush = lambda: trace.get_tracer_provider().force_flush()  # noqa: E731
    return Instrumented(openai.OpenAI, openai.AsyncOpenAI, flush)


# ---- a call with the instrumentation, and the same one without it ----


def _methods(client_class: Any, options: dict, name: str) -> tuple[Any, Any]:
    """`create` of a client, bare and instrumented."""
    create = client_class(**options).chat.completions.create
    if name == "bare":
        return create, create
    if name == "ours":
        originals = {
            method: getattr(client_class, method).__wrapped__
            for method in ("request", "_build_request", "_process_response")
        }
        return type("Bare", (client_class,), originals)(**options).chat.completions.create, create
    original = create
    # The peers put a wrapper of wrapt's on the method.
    while "FunctionWrapper" in type(original).__name__:
        original = original.__wrapped__
    assert original is not create, f"{name} is not instrumented in a way that can be taken off"
    return original, create


# ---- what is measured ----


def _added_ns(methods: tuple[Any, Any]) -> dict:
    """The difference that the instrumentation makes, measured in pairs."""
    for create in methods * WARM_UP:
        create(**ASKED)
    took_ns: tuple[list[float], list[float]] = ([], [])
    with _no_old_garbage():
        for _ in range(PAIRS["sync"]):
            for side in random.sample((0, 1), 2):
                create = methods[side]
                started_ns = time.perf_counter_ns()
                create(**ASKED)
                took_ns[side].append(time.perf_counter_ns() - started_ns)
    return _difference(took_ns)


async def _added_at_once_ns(methods: tuple[Any, Any]) -> dict:
    """Likewise; of the calls under way at once, half are instrumented, and each one's own steps are timed.

    Fifty of one kind against fifty of the other are too far apart in time: what else the machine does then
    makes a hundred times as much as the difference.
    """
    sides = [0, 1] * (AT_ONCE // 2)
    took_ns: tuple[list[float], list[float]] = ([], [])
    for _ in range(AT_ONCE_WARM_UP):
        await asyncio.gather(*(_steps_ns(methods[side]) for side in sides))
    with _no_old_garbage():
        while len(took_ns[0]) < PAIRS["at_once"]:
            random.shuffle(sides)
            took = await asyncio.gather(*(_steps_ns(methods[side]) for side in sides))
            for side, call_ns in zip(sides, took):
                took_ns[side].append(call_ns)
    return _difference(took_ns)


@types.coroutine
def _steps_ns(create: Any) -> Generator[Any, None, float]:
    """What a call takes in its own steps, without those of others in between."""
    step = None
    took_ns = 0
    while True:
        started_ns = time.perf_counter_ns()
        try:
            if step is None:
                step = create(**ASKED).__await__().send
            waits_for = step(None)
        except StopIteration:
            return took_ns + time.perf_counter_ns() - started_ns
        took_ns += time.perf_counter_ns() - started_ns
        yield waits_for


def _added_to_chunks_ns(methods: tuple[Any, Any]) -> dict:
    """Likewise; two streams are read side by side, chunk by chunk, since a chunk is much less than a call."""
    took_ns: tuple[list[float], list[float]] = ([], [])
    with _no_old_garbage():
        for _ in range(PAIRS["stream"]):
            streams = [iter(create(stream=True, **ASKED)) for create in methods]
            # Bound to a name, as by whoever reads it: the one before lives until this one is made.
            chunks = [next(stream) for stream in streams]
            for _ in range(CHUNKS):
                for side in random.sample((0, 1), 2):
                    stream = streams[side]
                    started_ns = time.perf_counter_ns()
                    chunks[side] = next(stream)
                    took_ns[side].append(time.perf_counter_ns() - started_ns)
            for stream in streams:
                assert not list(stream)
    return _difference(took_ns)


async def _added_to_async_chunks_ns(methods: tuple[Any, Any]) -> dict:
    took_ns: tuple[list[float], list[float]] = ([], [])
    with _no_old_garbage():
        for _ in range(PAIRS["stream"]):
            streams = [(await create(stream=True, **ASKED)).__aiter__() for create in methods]
            chunks = [await stream.__anext__() for stream in streams]
            for _ in range(CHUNKS):
                for side in random.sample((0, 1), 2):
                    stream = streams[side]
                    started_ns = time.perf_counter_ns()
                    chunks[side] = await stream.__anext__()
                    took_ns[side].append(time.perf_counter_ns() - started_ns)
            for stream in streams:
                assert not [chunk async for chunk in stream]
    return _difference(took_ns)


@contextmanager
def _no_old_garbage() -> Iterator[None]:
    """What was made before is not gone through by the collector while the calls are timed."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _difference(took_ns: tuple[list[float], list[float]]) -> dict:
    """What a pair's instrumented side took more: the mean of the middle half of the fastest third of pairs.

    A pair is measured side by side, so that what slows both is no difference; and the slower two thirds are
    those that something else on the machine has held up. Of two sides that are the same, it comes half as far
    from 0 as a difference of percentiles.
    """
    pairs = sorted(zip(*took_ns), key=sum)
    fastest = pairs[: max(4, len(pairs) // 3)]
    added = sorted(instrumented - without for without, instrumented in fastest)
    middle = added[len(added) // 4 : -(len(added) // 4)]
    return {"added": statistics.fmean(middle), "bare": statistics.median(each[0] for each in fastest)}


def _background_us(create: Any, flush: Callable[[], object]) -> float:
    """Processor time for a call that no call waits for: of other threads, and of flushing.

    Of the batches, too, the slower two thirds are those that something else on the machine has held up.
    """
    flush()  # what the calls before have left
    took_s = []
    for _ in range(CPU_BATCHES):
        process_s, thread_s = time.process_time(), time.thread_time()
        for _ in range(CPU_CALLS):
            create(**ASKED)
        in_calls_s = time.thread_time() - thread_s
        flush()
        took_s.append(time.process_time() - process_s - in_calls_s)
    fastest = sorted(took_s)[: CPU_BATCHES // 3]
    return statistics.median(fastest) / CPU_CALLS * 1e6


def measure_calls(name: str) -> dict:
    started_s = time.perf_counter()
    instrumented = globals()[name]()
    import_ms = (time.perf_counter() - started_s) * 1e3
    methods = _methods(instrumented.sync_class, sync_options(), name)
    methods_async = _methods(instrumented.async_class, async_options(), name)
    return {
        "import_ms": import_ms,
        "sync_ns": _added_ns(methods),
        "async_ns": asyncio.run(_added_at_once_ns(methods_async)),
        "chunk_ns": _added_to_chunks_ns(methods),
        "async_chunk_ns": asyncio.run(_added_to_async_chunks_ns(methods_async)),
    }


def measure_background(name: str) -> dict:
    instrumented = globals()[name]()
    create = instrumented.sync_class(**sync_options()).chat.completions.create
    for _ in range(WARM_UP):
        create(**ASKED)
    return {"background_us": _background_us(create, instrumented.flush)}


def measure_memory(name: str) -> dict:
    instrumented = globals()[name]()
    create = instrumented.sync_class(**sync_options()).chat.completions.create
    for _ in range(MEMORY_CALLS):
        create(**ASKED)
    instrumented.flush()
    return {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    measure = globals()[f"measure_{sys.argv[2]}"]
    print(json.dumps(measure(sys.argv[1])), flush=True)
    os._exit(0)  # some peers wait at the end for what cannot be sent

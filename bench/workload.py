"""One measurement of one instrumentation, in a process and an environment of its own.

    echo "sync 50" | python bench/workload.py ours     answers each line with a line of JSON

The API is an in-process transport with a canned answer, so that what is measured is the SDK and the
instrumentation, and nothing of a network. What the instrumentation sends goes to $SINK, on loopback.
"""

import asyncio
import gc
import json
import os
import resource
import sys
import time

import openai
import requests  # noqa: F401 - its import is not ours to pay

try:
    import httpx2 as httpx  # openai 3.x
except ImportError:
    import httpx  # type: ignore[no-redef]

SINK = os.environ.get("SINK", "http://127.0.0.1:9")
CHUNKS = 500
WARM_UP = 200

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
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
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


def _respond(request: httpx.Request) -> httpx.Response:
    if b'"stream":true' in request.content.replace(b" ", b""):
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=STREAM)
    return httpx.Response(200, headers={"content-type": "application/json"}, content=ANSWER)


async def _respond_async(request: httpx.Request) -> httpx.Response:
    # As a network would, it lets the others go on.
    await asyncio.sleep(0)
    return _respond(request)


def _sync_options() -> dict:
    return {"api_key": "sk-bench", "http_client": httpx.Client(transport=httpx.MockTransport(_respond))}


def _async_options() -> dict:
    transport = httpx.MockTransport(_respond_async)
    return {"api_key": "sk-bench", "http_client": httpx.AsyncClient(transport=transport)}


# ---- the instrumentations: each returns how to make a client, and how to flush ----


def bare():
    return openai.OpenAI, openai.AsyncOpenAI, lambda: None


def ours():
    import guance_chatgpt_monitor as monitor

    os.environ["CHATGPT_MONITOR_DATAKIT_URL"] = SINK
    monitor.instrument(service_name="bench")
    return openai.OpenAI, openai.AsyncOpenAI, lambda: monitor.flush(30)


def otel():
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
    return openai.OpenAI, openai.AsyncOpenAI, lambda: (tracing.force_flush(), metering.force_flush())


def langfuse():
    os.environ.update(LANGFUSE_PUBLIC_KEY="pk-bench", LANGFUSE_SECRET_KEY="sk-bench", LANGFUSE_HOST=SINK)
    from langfuse import get_client
    from langfuse.openai import AsyncOpenAI, OpenAI

    return OpenAI, AsyncOpenAI, lambda: get_client().flush()


def openlit():
    import openlit as library

    library.init(otlp_endpoint=SINK, disable_metrics=False)
    from opentelemetry import trace

    return openai.OpenAI, openai.AsyncOpenAI, lambda: trace.get_tracer_provider().force_flush()


# ---- what is measured: one batch at a time, as the other side of the comparison does ----


class Batches:
    """Runs batches of calls; each method returns nanoseconds for one call, or one chunk."""

    def __init__(self, openai_class, async_class) -> None:
        self._create = openai_class(**_sync_options()).chat.completions.create
        self._loop = asyncio.new_event_loop()
        self._create_async = async_class(**_async_options()).chat.completions.create

    def sync(self, calls: int) -> float:
        started_ns = time.perf_counter_ns()
        for _ in range(calls):
            self._create(**ASKED)
        return (time.perf_counter_ns() - started_ns) / calls

    def concurrent(self, calls: int) -> float:
        async def together() -> None:
            await asyncio.gather(*(self._create_async(**ASKED) for _ in range(calls)))

        started_ns = time.perf_counter_ns()
        self._loop.run_until_complete(together())
        return (time.perf_counter_ns() - started_ns) / calls

    def stream(self, streams: int) -> float:
        chunks = spent_ns = 0
        for _ in range(streams):
            stream = self._create(stream=True, **ASKED)
            started_ns = time.perf_counter_ns()
            chunks += sum(1 for _ in stream)
            spent_ns += time.perf_counter_ns() - started_ns
        return spent_ns / chunks


def main() -> None:
    name = sys.argv[1]
    started_s = time.perf_counter()
    *classes, flush = globals()[name]()
    import_ms = (time.perf_counter() - started_s) * 1e3
    batches = Batches(*classes)
    batches.sync(WARM_UP)
    gc.collect()
    gc.freeze()
    print(json.dumps({"import_ms": import_ms}), flush=True)
    for line in sys.stdin:
        kind, _, count = line.strip().partition(" ")
        if kind == "flush":
            flush()
            memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"cpu_s": time.process_time(), "memory_mb": memory_mb}), flush=True)
        else:
            print(json.dumps({"ns": getattr(batches, kind)(int(count))}), flush=True)


if __name__ == "__main__":
    main()

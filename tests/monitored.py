"""Monitored clients of the OpenAI stand-in, and the collector of their calls.

Runs on Python 3.8 and with the first openai 1.x, like the code it tests.
"""

import importlib
import inspect
import json
import os
import sys
import threading
import time
from pathlib import Path

import openai
import pytest

import guance_chatgpt_monitor
from guance_chatgpt_monitor.app.environment import Settings
from guance_chatgpt_monitor.app.exporter import get_exporter
from guance_chatgpt_monitor.app.routing import Scope

# By name, because the package has a function of the same name.
instrumenting = importlib.import_module("guance_chatgpt_monitor.app.instrument")

# The HTTP package that this SDK is built on, 2 since openai 3.0.
httpx = sys.modules.get("httpx2") or sys.modules["httpx"]

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "zebra quagga okapi"}]}
WAIT_S = 20.0  # far more than it takes, even on a busy machine
KEY = "sk-local"


class Collector:
    """Replaces the exporter in tests of calls and not of their delivery."""

    def __init__(self):
        self.observations = []
        self._arrived = threading.Condition()

    def submit(self, observation):
        with self._arrived:
            self.observations.append(observation)
            self._arrived.notify_all()

    def calls(self):
        """The calls since the previous `calls()` or `call()`."""
        with self._arrived:
            taken, self.observations = self.observations, []
        return [observation.to_call() for observation in taken]

    def call(self):
        """The only call since then."""
        calls = self.calls()
        assert len(calls) == 1
        return calls[0]

    def wait_for(self, n_calls):
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.observations) >= n_calls, WAIT_S)


class Api:
    """The stand-in and its clients: bare ones, and monitored ones whose calls go to `collector`."""

    # Shared, because each would take a tenth of a second to load certificates that are not needed.
    http_client = httpx.Client(verify=False, trust_env=False)

    def __init__(self, server):
        self.server = server
        self.collector = Collector()
        self.clock = time.perf_counter

    def options(self, **options):
        return {
            "api_key": KEY,
            "base_url": self.server.base_url,
            "max_retries": 0,
            "timeout": WAIT_S,
            **options,
        }

    def bare(self, **options):
        return openai.OpenAI(**self.options(**{"http_client": self.http_client, **options}))

    def bare_async(self, **options):
        http_client = options.pop("http_client", None) or httpx.AsyncClient(verify=False, trust_env=False)
        return openai.AsyncOpenAI(**self.options(http_client=http_client, **options))

    def client(self, stream_usage=False, **options):
        return self.watch(self.bare(**options), stream_usage)

    def async_client(self, stream_usage=False, **options):
        return self.watch(self.bare_async(**options), stream_usage)

    def scope(self, stream_usage=False, log_content=False):
        return Scope(self.collector, stream_usage, log_content, clock=self.clock)

    def watch(self, client, stream_usage=False):
        instrumenting.monitor_client(client, self.scope(stream_usage))
        return client

    def instrument(self, stream_usage=False):
        classes = openai.OpenAI, openai.AsyncOpenAI
        instrumenting.instrument_classes(classes, self.scope(stream_usage))


def restart():
    """Start over with the environment's settings, as in a new process."""
    guance_chatgpt_monitor.shutdown()
    get_exporter(Settings.read())


def points(datakit):
    """All points, once everything is delivered."""
    assert guance_chatgpt_monitor.flush(WAIT_S)
    return datakit.points("openai")


def point(datakit):
    found = points(datakit)
    assert len(found) == 1
    return found[0]


def monitor_environment(datakit, **further):
    """The environment of a separate process, which finds this project and no proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("CHATGPT_MONITOR_")
    }
    settings = {
        "CHATGPT_MONITOR_DATAKIT_URL": datakit.url,
        "CHATGPT_MONITOR_BACKLOG": "off",
        "PYTHONPATH": str(Path(guance_chatgpt_monitor.__file__).resolve().parent.parent),
    }
    return {**kept, **settings, **further}


def faults(*words):
    """Arguments of a call that makes its attempts meet these faults."""
    return {"extra_headers": {"X-Local-Faults": ",".join(words)}}


def needs(client, *names):
    """Return this attribute of `client`, or skip the test if the SDK lacks it."""
    found = client
    for name in names:
        if not hasattr(found, name):
            pytest.skip("openai " + openai.__version__ + " has no " + ".".join(names))
        found = getattr(found, name)
    return found


def needs_parameter(method, name):
    """Return `method`, or skip the test if the SDK's lacks this parameter."""
    if name not in inspect.signature(method).parameters:
        pytest.skip("openai " + openai.__version__ + " has no " + name + " in " + method.__qualname__)
    return method


class Canned(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """An HTTP transport for answers the stand-in cannot give."""

    def __init__(self, body=None, events=None, content_type="application/json"):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.events = events
        self.content_type = content_type if events is None else "text/event-stream"

    def pieces(self):
        events = [json.dumps(event) for event in self.events]
        return [f"data: {event}\n\n".encode() for event in [*events, "[DONE]"]]

    def respond(self):
        content = self.body if self.events is None else b"".join(self.pieces())
        return httpx.Response(200, headers={"content-type": self.content_type}, content=content)

    def handle_request(self, request):
        return self.respond()

    async def handle_async_request(self, request):
        return self.respond()


def canned(**options):
    """Arguments of a client that gets the same answer to everything."""
    return {"http_client": httpx.Client(transport=Canned(**options))}


def chunk(usage=None, choices=None, model="gpt-4o-mini", **delta):
    """A chunk of a chat stream."""
    if choices is None:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
    return {**head, "choices": choices, "usage": usage}


USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}

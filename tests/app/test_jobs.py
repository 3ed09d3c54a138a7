"""Calls that go on after their request: one point each, when their end is seen."""

import json
import subprocess
import sys

import openai
import pytest
from monitored import httpx, monitor_environment, needs, points

pytest_plugins = ["monitored_fixtures"]

USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
RUN_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def response(status, **more):
    head = {"id": "resp_1", "object": "response", "created_at": 1000, "model": "gpt-5-2026", "output": []}
    return {**head, "background": True, "status": status, "parallel_tool_calls": True, "tools": [], **more}


def run(status, **more):
    head = {"id": "run_1", "object": "thread.run", "created_at": 1000, "thread_id": "t", "assistant_id": "a"}
    return {**head, "model": "gpt-4o", "status": status, "instructions": "", "tools": [], **more}


def batch(status, **more):
    head = {"id": "batch_1", "object": "batch", "created_at": 1000, "endpoint": "/v1/responses"}
    return {**head, "completion_window": "24h", "input_file_id": "f", "status": status, **more}


class Script(httpx.BaseTransport):
    """Answers one request after the other."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)

    def handle_request(self, request):
        body = self.bodies.pop(0)
        if isinstance(body, list):
            content = "".join(f"data: {json.dumps(event)}\n\n" for event in body).encode()
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)
        return httpx.Response(200, json=body)


def client_of(api, *bodies):
    return api.client(http_client=httpx.Client(transport=Script(*bodies)))


def begin(client):
    return needs(client, "responses").create(model="gpt-5", input="Hi", background=True)


def test_a_background_response_is_one_call_that_ends_when_its_end_is_seen(api):
    done = response("completed", completed_at=1042, usage=USAGE)
    client = client_of(api, response("queued"), response("in_progress"), done, done)
    begin(client)
    client.responses.retrieve("resp_1")
    assert not api.collector.calls()
    client.responses.retrieve("resp_1")
    call = api.collector.call()
    assert (call.operation_name, call.request_model) == ("responses", "gpt-5")
    assert call.usage.total_tokens == 7
    assert call.response_time_s == 42
    assert call.error_type is None
    client.responses.retrieve("resp_1")
    assert not api.collector.calls()


@pytest.mark.parametrize(
    ("end", "error_type"),
    [
        (response("cancelled"), "cancelled"),
        (response("failed", error={"code": "rate_limit_exceeded", "message": "x"}), "rate_limit"),
    ],
)
def test_one_that_was_cancelled_or_failed_is_an_error(api, end, error_type):
    client = client_of(api, response("queued"), end)
    begin(client)
    client.responses.cancel("resp_1")
    assert api.collector.call().error_type == error_type


def test_a_stream_that_is_resumed_shows_the_end(api):
    events = [
        {"type": "response.in_progress", "response": response("in_progress"), "sequence_number": 1},
        {"type": "response.completed", "response": response("completed", usage=USAGE), "sequence_number": 2},
    ]
    client = client_of(api, response("queued"), events[:1], events)
    begin(client)
    try:
        assert len(list(client.responses.retrieve("resp_1", stream=True))) == 1
    except TypeError:
        pytest.skip("openai " + openai.__version__ + " resumes no streams")
    assert not api.collector.calls()
    assert len(list(client.responses.retrieve("resp_1", stream=True))) == 2
    assert api.collector.call().usage.total_tokens == 7


def test_one_whose_answer_is_there_at_once_is_not_waited_for(api):
    client = client_of(api, response("completed", usage=USAGE))
    begin(client)
    assert api.collector.call().usage.total_tokens == 7


def test_one_that_another_process_began_is_not_ours(api):
    client = client_of(api, response("completed", usage=USAGE))
    needs(client, "responses").retrieve("resp_of_another")
    assert not api.collector.calls()


def test_a_run_is_one_call_with_the_polling_helper(api):
    done = run("completed", completed_at=1005, usage=RUN_USAGE)
    client = client_of(api, run("queued"), run("in_progress"), done)
    runs = needs(client, "beta", "threads", "runs")
    needs(runs, "create_and_poll")(thread_id="t", assistant_id="a", poll_interval_ms=1)
    call = api.collector.call()
    assert (call.operation_name, call.response_model) == ("assistant_run", "gpt-4o")
    assert call.usage.total_tokens == 7
    assert call.response_time_s == 5


def test_a_run_that_expires_is_an_error(api):
    client = client_of(api, run("queued"), run("expired"))
    runs = needs(client, "beta", "threads", "runs")
    runs.create(thread_id="t", assistant_id="a")
    runs.retrieve("run_1", thread_id="t")
    assert api.collector.call().error_type == "timeout"


def test_a_run_that_is_streamed_is_one_call_with_its_usage(api):
    def stream():
        for event, data in (("created", run("queued")), ("completed", run("completed", usage=RUN_USAGE))):
            yield f"event: thread.run.{event}\ndata: {json.dumps(data)}\n\n".encode()

    class Streaming(httpx.BaseTransport):
        def handle_request(self, request):
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=b"".join(stream()))

    client = api.client(http_client=httpx.Client(transport=Streaming()))
    runs = needs(client, "beta", "threads", "runs")
    assert len(list(runs.create(thread_id="t", assistant_id="a", stream=True))) == 2
    assert api.collector.call().usage.total_tokens == 7


def test_a_batch_is_one_call_when_it_is_first_seen_completed(api):
    done = batch("completed", completed_at=4600, usage=USAGE, model="gpt-5")
    client = client_of(api, batch("in_progress"), done, done)
    for _ in range(3):
        needs(client, "batches").retrieve("batch_1")
    call = api.collector.call()
    assert (call.operation_name, call.response_time_s, call.usage.total_tokens) == ("batch", 3600, 7)


def test_one_that_is_never_seen_to_end_is_written_when_the_process_ends(datakit):
    needs(openai.OpenAI(api_key="k"), "responses")
    code = """
import {httpx} as httpx, json, openai, sys
from guance_chatgpt_monitor import monitor
body = json.loads(sys.argv[1])
transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
client = monitor(openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport)))
client.responses.create(model="gpt-5", input="Hi", background=True)
"""
    code = code.format(httpx=httpx.__name__)
    command = [sys.executable, "-c", code, json.dumps(response("queued"))]
    subprocess.run(command, env=monitor_environment(datakit), check=True, timeout=60)
    (found,) = points(datakit)
    assert found.tags["status"] == "ok"
    assert "total_tokens" not in found.fields

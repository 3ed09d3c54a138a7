"""Calls that outlast their request: one point each, when their end is seen."""

import asyncio
import json

import openai
import pytest
from monitored import httpx, monitor_environment, needs, points
from preloaded import with_sdk

pytest_plugins = ["monitored_fixtures"]

USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
RUN_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def response(status, **more):
    head = {"id": "resp_1", "object": "response", "created_at": 1000, "model": "gpt-5-2026", "output": []}
    return {**head, "background": True, "status": status, "parallel_tool_calls": True, "tools": [], **more}


def run(status, **more):
    head = {"id": "run_1", "object": "thread.run", "created_at": 1000, "thread_id": "t", "assistant_id": "a"}
    return {**head, "model": "gpt-4o", "status": status, "instructions": "", "tools": [], **more}


def run_event(status, **more):
    return ("thread.run." + status, run(status, **more))


def batch(status, **more):
    head = {"id": "batch_1", "object": "batch", "created_at": 1000, "endpoint": "/v1/responses"}
    return {**head, "completion_window": "24h", "input_file_id": "f", "status": status, **more}


STREAM = [
    {"type": "response.in_progress", "response": response("in_progress"), "sequence_number": 1},
    {"type": "response.completed", "response": response("completed", usage=USAGE), "sequence_number": 2},
]


class Events(list):
    """Server-sent events, each a dict or a pair of name and dict; with `breaks`, cut off before the end."""

    breaks = False

    def pieces(self):
        for event in self:
            name, data = event if isinstance(event, tuple) else ("", event)
            yield f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        if self.breaks:
            raise httpx.ReadError("cut")


class Script(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers each request with the next of these bodies."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)

    def handle_request(self, request):
        body = self.bodies.pop(0)
        if isinstance(body, Events):
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=body.pieces(), request=request
            )
        return httpx.Response(200, json=body)

    async def handle_async_request(self, request):
        return self.handle_request(request)


def client_of(api, *bodies):
    return api.client(http_client=httpx.Client(transport=Script(*bodies)))


def begin(client):
    return needs(client, "responses").create(model="gpt-5", input="Hi", background=True)


def test_a_background_response_is_one_call_once_its_end_is_seen(api):
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
def test_a_cancelled_or_failed_background_response_is_an_error(api, end, error_type):
    client = client_of(api, response("queued"), end)
    begin(client)
    client.responses.cancel("resp_1")
    assert api.collector.call().error_type == error_type


def test_a_resumed_stream_ends_the_call(api):
    client = client_of(api, response("queued"), Events(STREAM[:1]), Events(STREAM))
    begin(client)
    try:
        assert len(list(client.responses.retrieve("resp_1", stream=True))) == 1
    except TypeError:
        pytest.skip("openai " + openai.__version__ + " resumes no streams")
    assert not api.collector.calls()
    assert len(list(client.responses.retrieve("resp_1", stream=True))) == 2
    assert api.collector.call().usage.total_tokens == 7


def test_a_raw_background_response_is_one_call_once_its_end_is_seen(api):
    done = response("completed", usage=USAGE)
    client = client_of(api, response("queued"), response("in_progress"), done)
    needs(client, "responses").with_raw_response.create(model="gpt-5", input="Hi", background=True)
    client.responses.with_raw_response.retrieve("resp_1")
    assert not api.collector.calls()
    with client.responses.with_streaming_response.retrieve("resp_1") as raw:
        raw.read()
    assert api.collector.call().usage.total_tokens == 7


def begin_streaming(client):
    responses = needs(client, "responses")
    return responses.create(model="gpt-5", input="Hi", background=True, stream=True)


def give_up(stream):
    next(stream)
    stream.close()


def break_off(stream):
    with pytest.raises((httpx.ReadError, openai.APIConnectionError)):
        list(stream)


def resume(client):
    try:
        return list(client.responses.retrieve("resp_1", stream=True))
    except TypeError:
        pytest.skip("openai " + openai.__version__ + " resumes no streams")


@pytest.mark.parametrize("leave", [give_up, break_off, next])
@pytest.mark.parametrize(
    ("end", "see"),
    [
        (response("completed", usage=USAGE), lambda client: client.responses.retrieve("resp_1")),
        (response("cancelled", usage=USAGE), lambda client: client.responses.cancel("resp_1")),
        (Events(STREAM), resume),
    ],
    ids=["retrieve", "cancel", "resume"],
)
def test_a_background_stream_left_early_is_one_call_once_its_end_is_seen(api, leave, end, see):
    events = Events(STREAM[:1])
    events.breaks = True
    client = client_of(api, events, end)
    stream = begin_streaming(client)
    leave(stream)
    assert not api.collector.calls()
    see(client)
    call = api.collector.call()
    expected = "cancelled" if isinstance(end, dict) and end["status"] == "cancelled" else None
    assert (call.error_type, call.usage.total_tokens) == (expected, 7)
    stream.close()
    assert not api.collector.calls()


def test_a_background_stream_read_to_its_end_is_one_call(api):
    client = client_of(api, Events(STREAM), response("completed", usage=USAGE))
    list(begin_streaming(client))
    assert api.collector.call().usage.total_tokens == 7
    client.responses.retrieve("resp_1")
    assert not api.collector.calls()


def test_a_background_response_completed_at_once_is_recorded_at_once(api):
    client = client_of(api, response("completed", usage=USAGE))
    begin(client)
    assert api.collector.call().usage.total_tokens == 7


def test_a_background_response_of_another_process_is_not_counted(api):
    client = client_of(api, response("completed", usage=USAGE))
    needs(client, "responses").retrieve("resp_of_another")
    assert not api.collector.calls()


def test_a_run_of_the_polling_helper_is_one_call(api):
    done = run("completed", completed_at=1005, usage=RUN_USAGE)
    client = client_of(api, run("queued"), run("in_progress"), done)
    runs = needs(client, "beta", "threads", "runs")
    needs(runs, "create_and_poll")(thread_id="t", assistant_id="a", poll_interval_ms=1)
    call = api.collector.call()
    assert (call.operation_name, call.response_model) == ("assistant_run", "gpt-4o")
    assert call.usage.total_tokens == 7
    assert call.response_time_s == 5


def test_an_expired_run_is_a_timeout(api):
    client = client_of(api, run("queued"), run("expired"))
    runs = needs(client, "beta", "threads", "runs")
    runs.create(thread_id="t", assistant_id="a")
    runs.retrieve("run_1", thread_id="t")
    assert api.collector.call().error_type == "timeout"


def test_a_streamed_run_is_one_call_with_its_usage(api):
    events = Events([run_event("queued"), run_event("completed", usage=RUN_USAGE)])
    client = client_of(api, events)
    runs = needs(client, "beta", "threads", "runs")
    assert len(list(runs.create(thread_id="t", assistant_id="a", stream=True))) == 2
    assert api.collector.call().usage.total_tokens == 7


def stops_for_tools():
    return Events([run_event("queued"), run_event("requires_action")])


def goes_on_to_its_end():
    return Events([run_event("in_progress"), run_event("completed", usage=RUN_USAGE)])


def stream_a_run(client):
    runs = needs(client, "beta", "threads", "runs")
    needs(runs, "stream")
    return runs.create(thread_id="t", assistant_id="a", stream=True)


OUTPUTS = {"run_id": "run_1", "thread_id": "t", "tool_outputs": []}


def test_a_streamed_run_that_stops_for_tools_is_one_call_with_its_usage(api):
    client = client_of(api, stops_for_tools(), goes_on_to_its_end())
    list(stream_a_run(client))
    assert not api.collector.calls()
    with client.beta.threads.runs.submit_tool_outputs_stream(**OUTPUTS) as stream:
        stream.until_done()
    call = api.collector.call()
    assert (call.operation_name, call.error_type, call.usage.total_tokens) == ("assistant_run", None, 7)


def test_a_run_resumed_while_its_first_stream_is_open_is_one_call(api):
    client = client_of(api, stops_for_tools(), goes_on_to_its_end())
    for event in stream_a_run(client):  # as event handlers do
        if event.event == "thread.run.requires_action":
            with client.beta.threads.runs.submit_tool_outputs_stream(**OUTPUTS) as stream:
                stream.until_done()
            assert api.collector.call().usage.total_tokens == 7
    assert not api.collector.calls()


def test_a_run_resumed_without_a_stream_is_one_call(api):
    done = run("completed", usage=RUN_USAGE)
    client = client_of(api, stops_for_tools(), run("in_progress"), done)
    list(stream_a_run(client))
    client.beta.threads.runs.submit_tool_outputs_and_poll(**OUTPUTS, poll_interval_ms=1)
    assert api.collector.call().usage.total_tokens == 7


def test_a_completed_step_does_not_end_its_run(api):
    step = {"id": "step_1", "object": "thread.run.step", "status": "in_progress"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    steps = [
        ("thread.run.step.created", step),
        ("thread.run.step.completed", {**step, "status": "completed", "usage": usage}),
    ]
    client = client_of(api, Events([run_event("in_progress"), *steps]), run("completed", usage=RUN_USAGE))
    list(stream_a_run(client))
    assert not api.collector.calls()
    client.beta.threads.runs.retrieve("run_1", thread_id="t")
    assert api.collector.call().usage.total_tokens == 7


def test_a_batch_is_one_call_when_first_seen_completed(api):
    done = batch("completed", completed_at=4600, usage=USAGE, model="gpt-5")
    client = client_of(api, batch("in_progress"), done, done)
    for _ in range(3):
        needs(client, "batches").retrieve("batch_1")
    call = api.collector.call()
    assert (call.operation_name, call.response_time_s, call.usage.total_tokens) == ("batch", 3600, 7)


def page(*batches):
    return {"object": "list", "data": list(batches), "has_more": False}


def test_a_batch_listed_as_completed_is_one_call(api):
    done = batch("completed", id="batch_listed", usage=USAGE)
    other = batch("completed", id="batch_listed_too", usage=USAGE)
    client = client_of(api, page({**done, "status": "in_progress"}, other), page(done, other), done)
    needs(client, "batches")
    assert len(list(client.batches.list())) == 2
    assert api.collector.call().usage.total_tokens == 7
    assert len(list(client.batches.list(limit=2))) == 2
    assert api.collector.call().operation_name == "batch"
    client.batches.retrieve("batch_listed")
    assert not api.collector.calls()


def test_each_completed_batch_of_an_asynchronous_list_is_one_call(api):
    ended = [{**batch("completed", usage=USAGE), "id": f"batch_of_page_{n}"} for n in range(2)]
    pages = {**page(ended[0]), "has_more": True}, page(ended[1])

    async def read_all():
        client = api.async_client(http_client=httpx.AsyncClient(transport=Script(*pages)))
        needs(client, "batches")
        return [each.id async for each in client.batches.list()]

    assert len(asyncio.run(read_all())) == 2
    assert [call.usage.total_tokens for call in api.collector.calls()] == [7, 7]


@pytest.mark.slow
def test_a_call_never_seen_to_end_is_written_at_exit(datakit):
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
    done = with_sdk().run(code, monitor_environment(datakit), arguments=[json.dumps(response("queued"))])
    assert done.returncode == 0, done.stderr
    (found,) = points(datakit)
    assert found.tags["status"] == "ok"
    assert "total_tokens" not in found.fields

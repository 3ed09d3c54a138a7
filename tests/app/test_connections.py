"""The SDK's websockets: each response is one call."""

import asyncio
import gc
import inspect

import pytest
from monitored import monitor_environment, needs
from preloaded import with_sdk

pytest.importorskip("websockets.sync.server")
from websockets.sync.connection import Connection

pytest_plugins = ["monitored_fixtures", "websocket_server"]

# The SDK's blocking connection passes `decode`; its asynchronous one does not.
blocking = pytest.mark.skipif(
    "decode" not in inspect.signature(Connection.recv).parameters,
    reason="the SDK's blocking connection needs websockets 14, for Python 3.9 or later",
)


def connect_realtime(client):
    return needs(client, "realtime", "connect")(model="gpt-realtime")


def read_until(connection, *ends):
    for event in connection:
        if event.type in ends:
            return event
    raise AssertionError("closed")


@blocking
def test_each_response_is_one_call_with_its_usage_and_status(api, server):
    server.kinds = ["completed", "failed", "cancelled"]
    client = api.client(websocket_base_url=server.url)
    with connect_realtime(client) as connection:
        connection.session.update(session={"type": "realtime"})
        for _ in range(3):
            connection.response.create()
            read_until(connection, "response.done")
    api.collector.wait_for(3)
    completed, failed, cancelled = api.collector.calls()
    assert completed.operation_name == "realtime"
    assert completed.request_model == "gpt-realtime"
    assert completed.stream
    assert completed.requests_sent == 1
    assert completed.error_type is None
    assert completed.usage.total_tokens == 30
    assert completed.usage.completion_audio_tokens == 15
    assert 0 < completed.time_to_first_token_s <= completed.response_time_s
    assert failed.error_type == "server_error"
    assert cancelled.error_type is None


def test_on_an_asynchronous_connection_each_response_is_one_call(api, server):
    server.kinds = ["completed", "completed"]

    async def talk():
        client = api.async_client(websocket_base_url=server.url)
        async with connect_realtime(client) as connection:
            for _ in range(2):
                await connection.response.create()
                async for event in connection:
                    if event.type == "response.done":
                        break

    asyncio.run(talk())
    api.collector.wait_for(2)
    assert [call.usage.total_tokens for call in api.collector.calls()] == [30, 30]


@blocking
def test_each_response_of_the_responses_api_is_one_call(api, server):
    server.kinds = ["completed", "failed"]
    client = api.client(websocket_base_url=server.url)
    with needs(client, "responses", "connect")() as connection:
        for _ in range(2):
            connection.response.create(model="gpt-5", input="Hi")
            read_until(connection, "response.completed", "response.failed")
    api.collector.wait_for(2)
    completed, failed = api.collector.calls()
    assert (completed.operation_name, completed.request_model) == ("responses", "gpt-5")
    assert completed.response_model == "gpt-5-2026"
    assert completed.usage.total_tokens == 7
    assert failed.error_type == "rate_limit"


@blocking
def test_a_refused_request_is_an_error(api, server):
    server.kinds = ["refused"]
    client = api.client(websocket_base_url=server.url)
    with connect_realtime(client) as connection:
        connection.response.create()
        read_until(connection, "error")
    assert api.collector.call().error_type == "bad_request"


@blocking
def test_a_broken_connection_ends_the_call_under_way(api, server):
    server.kinds = ["hang up"]
    client = api.client(websocket_base_url=server.url)
    with connect_realtime(client) as connection:
        connection.response.create()
        list(connection)
    call = api.collector.call()
    assert call.error_type in ("cancelled", "connection")
    assert call.usage.total_tokens is None


def test_an_abandoned_connection_ends_the_call_under_way(api, server):
    server.kinds = ["hang"]

    async def talk():
        client = api.async_client(websocket_base_url=server.url)
        connection = await connect_realtime(client).enter()
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break

    asyncio.run(talk())
    gc.collect()
    assert api.collector.call().error_type == "cancelled"


@blocking
def test_a_bare_client_is_left_alone(api, server):
    server.kinds = ["completed"]
    with connect_realtime(api.bare(websocket_base_url=server.url)) as connection:
        connection.response.create()
        assert read_until(connection, "response.done").response.usage.total_tokens == 30
    assert not api.collector.calls()


@pytest.mark.slow
def test_uninstrument_restores_the_properties(api, datakit):
    needs(api.bare(), "realtime")
    # In a process of its own: once any client was given to monitor(), the patches stay.
    code = """
import openai
from guance_chatgpt_monitor import instrument, uninstrument
before = openai.OpenAI.__dict__["realtime"]
instrument()
assert openai.OpenAI.__dict__["realtime"] is not before
uninstrument()
assert openai.OpenAI.__dict__["realtime"] is before
"""
    done = with_sdk().run(code, monitor_environment(datakit))
    assert done.returncode == 0, done.stderr

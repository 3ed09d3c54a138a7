"""openai-agents: each response on the websockets that it opens itself is one call."""

import asyncio
import gc
import subprocess
import sys

import pytest
from monitored import monitor_environment

agents = pytest.importorskip("agents")
realtime = pytest.importorskip("agents.realtime")

pytest_plugins = ["monitored_fixtures", "websocket_server"]

agents.set_tracing_disabled(True)
WITHOUT_TRACE = agents.RunConfig(tracing_disabled=True)


def model_of(api, server):
    client = api.bare_async(websocket_base_url=server.url)
    return agents.OpenAIResponsesWSModel("gpt-5", client)


def run(model, n_runs, use=None):
    async def talk():
        agent = agents.Agent(name="a", model=model)
        for _ in range(n_runs):
            await (use or agents.Runner.run)(agent, "Hi", run_config=WITHOUT_TRACE)
        await model.close()

    asyncio.run(talk())


def test_each_response_is_one_call_with_its_usage(api, server):
    server.kinds = ["completed", "completed"]
    api.instrument()
    run(model_of(api, server), 2)
    first, second = api.collector.calls()
    assert (first.operation_name, first.request_model) == ("responses", "gpt-5")
    assert first.response_model == "gpt-5-2026"
    assert [call.usage.total_tokens for call in (first, second)] == [7, 7]
    assert first.requests_sent == 1
    assert first.error_type is None


def test_a_monitored_client_counts_each_response_too(api, server):
    server.kinds = ["completed"]
    model = model_of(api, server)
    api.watch(model._client)
    run(model, 1)
    assert api.collector.call().usage.total_tokens == 7


def test_a_response_of_two_megabytes_is_read(api, server):
    server.kinds = ["large"]
    api.instrument()
    run(model_of(api, server), 1)
    call = api.collector.call()
    assert (call.error_type, call.usage.total_tokens) == (None, 7)


def test_a_failed_response_is_an_error(api, server):
    server.kinds = ["failed"]
    api.instrument()
    with pytest.raises(Exception, match="failed"):
        run(model_of(api, server), 1)
    assert api.collector.call().error_type == "rate_limit"


def test_a_cancelled_run_is_a_cancelled_call(api, server):
    server.kinds = ["hang"]
    api.instrument()

    async def give_up(agent, text, run_config):
        task = asyncio.ensure_future(agents.Runner.run(agent, text, run_config=run_config))
        while not server.n_asked:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    run(model_of(api, server), 1, give_up)
    gc.collect()
    assert api.collector.call().error_type == "cancelled"


def test_a_response_of_a_realtime_session_is_one_call(api, server):
    server.kinds = ["completed"]
    api.instrument()

    async def talk():
        model = realtime.OpenAIRealtimeWebSocketModel()
        settings = {"model_name": "gpt-realtime"}
        url = server.url + "/v1/realtime?model=gpt-realtime"
        await model.connect({"api_key": "k", "url": url, "initial_model_settings": settings})
        await model.send_event(realtime.RealtimeModelSendUserInput("Hi"))
        while not api.collector.observations:
            await asyncio.sleep(0.01)  # its reader runs on this loop
        await model.close()

    asyncio.run(asyncio.wait_for(talk(), 60))
    call = api.collector.call()
    assert (call.operation_name, call.request_model) == ("realtime", "gpt-realtime")
    assert call.usage.total_tokens == 30


def test_the_run_command_monitors_its_websockets_too(datakit):
    code = "from agents import OpenAIResponsesWSModel as m; print(vars(m._open_websocket_connection))"
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "run", sys.executable, "-c", code]
    environment = monitor_environment(datakit)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "'of_monitor': True" in result.stdout

"""LiteLLM: what it asks by its own HTTP client is a call, and what it asks through the SDK is one call."""

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from monitored import monitor_environment

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the network for its prices otherwise
litellm = pytest.importorskip("litellm")

pytest_plugins = ["monitored_fixtures"]

MESSAGES = [{"role": "user", "content": "Hi"}]
CLAUDE = "anthropic/claude-3-5-sonnet-20241022"
OF_ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-5-sonnet-20241022",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 4},
}
OF_OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class Providers(http.server.BaseHTTPRequestHandler):
    """Anthropic's API, and OpenAI's."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(OF_OPENAI if "chat" in self.path else OF_ANTHROPIC).encode()
        self.send_response(401 if self.headers.get("x-api-key") == "wrong" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Providers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def instrumented(api):
    from guance_chatgpt_monitor import uninstrument
    from guance_chatgpt_monitor.app.litellm_calls import watch_litellm

    api.instrument()
    watch_litellm(api.scope())
    yield
    uninstrument()
    assert not [each for each in litellm.callbacks if hasattr(each, "of_monitor")]


def one(api):
    api.collector.wait_for(1)
    return api.collector.call()


def test_what_it_asks_by_itself_is_a_call_with_its_tokens(api, url):
    litellm.completion(CLAUDE, MESSAGES, api_key="k", api_base=url)
    call = one(api)
    assert (call.operation_name, call.provider_name) == ("chat", "anthropic")
    assert call.request_model == "claude-3-5-sonnet-20241022"
    assert call.usage.total_tokens == 13
    assert call.finish_reason == "stop"
    assert call.error_type is None
    assert call.response_time_s > 0


def test_what_it_asks_through_the_sdk_is_one_call(api, url):
    litellm.completion("openai/gpt-4o-mini", MESSAGES, api_key="k", api_base=url + "/v1")
    # Its callbacks come later, and in order: when the second call is there, so would be one of the first.
    litellm.completion(CLAUDE, MESSAGES, api_key="k", api_base=url)
    api.collector.wait_for(2)
    assert [call.usage.total_tokens for call in api.collector.calls()] == [5, 13]


def test_asynchronous_calls_likewise(api, url):
    async def ask():
        await litellm.acompletion("openai/gpt-4o-mini", MESSAGES, api_key="k", api_base=url + "/v1")
        await litellm.acompletion(CLAUDE, MESSAGES, api_key="k", api_base=url)
        while len(api.collector.observations) < 2:
            await asyncio.sleep(0.01)  # its callbacks run on this loop

    asyncio.run(asyncio.wait_for(ask(), 60))
    assert [call.usage.total_tokens for call in api.collector.calls()] == [5, 13]


def test_run_monitors_it_too(datakit):
    code = "import litellm; print([type(each).__module__ for each in litellm.callbacks])"
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "run", sys.executable, "-c", code]
    env = monitor_environment(datakit, LITELLM_LOCAL_MODEL_COST_MAP="True")
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "guance_chatgpt_monitor.app.litellm_calls" in result.stdout


def test_an_error_is_a_call_with_its_kind(api, url):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(CLAUDE, MESSAGES, api_key="wrong", api_base=url, num_retries=0)
    call = one(api)
    assert (call.error_type, call.status_code) == ("authentication", 401)

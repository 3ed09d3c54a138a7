"""Bodies and answers that no well-behaved caller or API sends: each yields a clear error and one point."""

import gzip
import json
from typing import Any

import pytest
import requests
from stack import STARTUP, Stack

from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

pytestmark = pytest.mark.slow

HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


class Gateway(LocalServer):
    """Replaces OpenAI: gives every request the same answer, and keeps the requests."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer
        self.received: list[Request] = []

    def respond(self, request: Request) -> Response:
        self.received.append(request)
        return self.answer


def ask_at(stack: Stack, server: LocalServer, body: Any = None) -> requests.Response:
    code = stack.func.script(STARTUP).replace(stack.openai.base_url, server.url + "/v1")
    stack.func.edit(STARTUP, code)
    return stack.post(body or {"question": "Hi"})


def message_of(answer: requests.Response) -> str:
    return str(answer.json()["error"]["message"])


# ---- bodies ----


@pytest.mark.parametrize(
    "body",
    [
        {"question": "half \ud800 an emoji"},
        {"question": "Hi", "system": "\udfff"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud83d"}]}]},
        {"input": "\ud800"},
        {"question": "Hi", "metadata": {"\ud800": "x"}},
        {"question": "Hi", "model": "gpt-\ud800"},
        {"question": "Hi", "tags": {"team": "\ud800"}},
    ],
)
def test_half_a_surrogate_pair_is_refused_and_not_sent(stack: Stack, body: dict[str, Any]) -> None:
    answer = stack.post(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert stack.openai.requests == []
    assert stack.point().tags["error_type"] == "validation"


@pytest.mark.parametrize("depth", [900, 960])
def test_a_deeply_nested_body_is_one_point(stack: Stack, depth: int) -> None:
    """960 is as deep as Func accepts."""
    body = json.dumps({"messages": HELLO, "metadata": "?"}).replace('"?"', "[" * depth + "]" * depth)
    headers = {"Content-Type": "application/json"}
    answer = requests.post(stack.link, body.encode(), headers=headers, timeout=60)
    assert answer.status_code in (200, 400)
    assert len(stack.points()) == 1


def test_nothing_is_sent_after_the_deadline(stack: Stack) -> None:
    stack.ask()
    stack.openai.requests.clear()
    stack.datakit.clear()
    stack.configure(deadline_s=0.01)
    answer = stack.post({"messages": [{"role": "user", "content": "x" * 20_000_000}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    point = stack.point()
    assert (point.tags["error_type"], point.fields["create_time"]) == ("timeout", 0.0)
    stack.configure()
    assert stack.ask("And then?").status_code == 200
    assert [len(request.body["messages"][-1]["content"]) for request in stack.openai.requests] == [9]


# ---- answers ----


def test_an_answer_with_a_bom_is_read(stack: Stack) -> None:
    text = b"\xef\xbb\xbf" + json.dumps(ANSWER).encode()
    with Gateway(Response(200, text, "application/json")) as server:
        answer = ask_at(stack, server)
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert stack.point().fields["total_tokens"] == 3.0


@pytest.mark.parametrize("status_code", [200, 400])
@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_deeply_nested_answer_is_one_point(stack: Stack, status_code: int, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    text = json.dumps({**ANSWER, "extra": "?"}).replace('"?"', deep)
    with Gateway(Response(status_code, text, "application/json")) as server:
        answer = ask_at(stack, server)
    assert answer.status_code in (200, 400, 502)
    if depth == 900:
        assert answer.status_code == status_code
    assert len(stack.points()) == 1


@pytest.mark.parametrize("status_code", [200, 400])
def test_an_answer_of_more_than_64_mib_decompressed_is_a_502(stack: Stack, status_code: int) -> None:
    packed = gzip.compress(b'{"id": "' + b" " * (65 * 2**20))
    headers = {"Content-Encoding": "gzip"}
    with Gateway(Response(status_code, packed, "application/json", headers)) as server:
        answer = ask_at(stack, server)
        assert (answer.status_code, len(server.received)) == (502, 1)
    assert message_of(answer) == f"{server.url}/v1 answered with more than 64 MiB: not read on"
    point = stack.point()
    assert (point.tags["error_type"], point.fields["create_time"]) == ("other", 1.0)


def test_a_compressed_answer_arrives_decompressed(stack: Stack) -> None:
    packed = gzip.compress(json.dumps(ANSWER).encode())
    headers = {"Content-Encoding": "gzip", "X-Request-Id": "req_1"}
    with Gateway(Response(200, packed, "application/json", headers)) as server:
        assert ask_at(stack, server).json() == ANSWER
    assert stack.point().fields["total_tokens"] == 3.0


@pytest.mark.parametrize("status_code", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(stack: Stack, status_code: int) -> None:
    with Gateway(Response(200, ANSWER)) as elsewhere:
        headers = {"Location": elsewhere.url + "/v1/chat/completions"}
        with Gateway(Response(status_code, b"", headers=headers)) as server:
            answer = ask_at(stack, server)
        assert elsewhere.received == []
    assert answer.status_code == 502
    assert "redirects to another host" in message_of(answer)
    assert stack.point().tags["status"] == "error"


def test_a_redirect_on_the_same_host_is_followed(stack: Stack) -> None:
    class Moved(Gateway):
        def respond(self, request: Request) -> Response:
            self.received.append(request)
            if request.path.startswith("/v1/"):
                return Response(307, b"", headers={"Location": "/v2/chat/completions"})
            return Response(200, ANSWER)

    with Moved(Response()) as server:
        assert ask_at(stack, server).json() == ANSWER
        assert [request.path for request in server.received] == [
            "/v1/chat/completions",
            "/v2/chat/completions",
        ]
        assert server.received[0].body == server.received[1].body
    assert stack.point().fields["create_time"] == 2.0


# ---- printed lines ----

HOSTILE = "gpt\n2026-01-01 forged\r\x1b[31m\u2028\u2029\u202e\u2066\u200b\x85"


def test_collect_prints_hostile_values_as_single_printable_lines(stack: Stack) -> None:
    stack.datakit.mode = "500"
    stack.ask(model=HOSTILE)
    stack.datakit.mode = "400"  # the error quotes the line
    stack.datakit.version = "1.84.1\x1b[31m"
    result = stack.collect()
    assert result.status == "success"
    assert any("forged" in line for line in result.log), result.log
    assert all(line.isprintable() for line in result.log)

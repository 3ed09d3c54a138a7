"""The probe of collect(): whether OpenAI's API is up, in words and as a point."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import KEY, STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.core.metrics import PROBE_FIELDS, PROBE_TAGS
from guance_chatgpt_monitor.local.datakit.server import Point
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

pytestmark = pytest.mark.slow


def probed(stack: Stack) -> Point:
    """The only probe there was."""
    (point,) = stack.points("openai_probe")
    assert set(point.fields) == set(PROBE_FIELDS)
    assert set(point.tags) <= {*PROBE_TAGS, "host"}
    assert all(isinstance(value, float) for value in point.fields.values())
    return point


def test_an_api_that_is_up(stack: Stack) -> None:
    result = stack.collect()
    assert (result.status, result.data["openai_up"], result.data["problem"]) == ("success", True, "")
    assert f"OpenAI at {stack.openai.base_url} is up, it answered in " in "\n".join(result.log)
    point = probed(stack)
    assert point.fields["up"] == 1.0
    assert 0 < point.fields["response_time"] < 5
    assert point.tags == {
        "status_code": "200",
        "service_name": "dataflux-func",
        "provider_name": "127.0.0.1",
        "host": "local",
    }
    (request,) = stack.openai.requests
    assert (request.method, request.url) == ("GET", "/v1/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert stack.collect().data["delivered"] == 0  # a probe is not a call


def test_the_probe_uses_the_connection_of_the_calls(stack: Stack) -> None:
    stack.ask()
    connections = stack.openai.connections
    assert stack.collect().data["openai_up"] is True
    stack.ask()
    assert stack.openai.connections == connections


@pytest.mark.parametrize(
    ("fault", "status_code", "error_type"),
    [
        ("401", "401", "authentication"),
        ("403", "403", "permission"),
        ("404", "404", "not_found"),
        ("429", "429", "rate_limit"),
        ("insufficient_quota", "429", "insufficient_quota"),
        ("500", "500", "server_error"),
        ("html502", "502", "server_error"),
        ("error200", "200", "server_error"),
        ("html200", "200", "other"),
        ("empty200", "200", "other"),
        ("reset", None, "connection"),
        ("cut", None, "connection"),
        ("hang", None, "timeout"),
        ("drip:0.1", None, "timeout"),
    ],
)
def test_an_api_that_is_not_up(stack: Stack, fault: str, status_code: str | None, error_type: str) -> None:
    stack.configure(probe_timeout_s=0.5)
    stack.ask()  # a worker's first call imports the SDK
    stack.openai.clear()
    stack.openai.faults.append(fault)
    result = stack.collect()
    assert (result.status, result.data["openai_up"]) == ("success", False)
    assert result.data["datakit_up"] is True
    point = probed(stack)
    assert point.fields["up"] == 0.0
    assert (point.tags.get("status_code"), point.tags["error_type"]) == (status_code, error_type)
    assert len(stack.openai.requests) == 1
    words = next(line for line in result.log if line.startswith("OpenAI at "))
    assert error_type in words
    assert (status_code or "no answer") in words


class SomethingElse(LocalServer):
    """Answers everything with the same JSON."""

    def respond(self, _: Request) -> Response:
        return Response(200, {"status": "healthy"})


def test_something_else_answers(stack: Stack) -> None:
    with SomethingElse() as server:
        code = stack.func.script(STARTUP).replace(stack.openai.base_url, server.url + "/v1")
        stack.func.edit(STARTUP, code)
        result = stack.collect()
    assert result.data["openai_up"] is False
    point = probed(stack)
    assert (point.tags["status_code"], point.tags["error_type"]) == ("200", "other")


def test_nothing_listens(stack: Stack) -> None:
    port = stack.openai.port
    stack.openai.stop()
    try:
        result = stack.collect()
    finally:
        stack.openai.start()
    assert stack.openai.port == port
    assert (result.status, result.data["openai_up"]) == ("success", False)
    assert probed(stack).tags["error_type"] == "connection"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "OpenAI is not probed: no OpenAI key is set"),
        ("sk-密钥", "OpenAI is not probed: the OpenAI key contains characters that no key has"),
    ],
)
def test_without_a_key_nothing_is_asked(stack: Stack, key: str, said: str) -> None:
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace(KEY, key))
    result = stack.collect()
    assert (result.status, result.data["openai_up"]) == ("success", None)
    assert result.log.count(said) == 1
    assert stack.points("openai_probe") == []
    assert stack.openai.requests == []
    assert len(stack.points("openai_monitor")) == 1


@pytest.fixture
def stack_with(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Stack]]:
    """Starts a Func where the package `openai` consists of this code."""
    with contextlib.ExitStack() as running:

        def start(code: str) -> Stack:
            (tmp_path / "openai.py").write_text(code)
            monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
            return running.enter_context(Stack(built))

        yield start


def test_without_the_package_nothing_is_asked(stack_with: Callable[[str], Stack]) -> None:
    stack = stack_with("import no_such_dependency")
    result = stack.collect()
    assert (result.status, result.data["openai_up"]) == ("success", None)
    said = "OpenAI is not probed: the Python package no_such_dependency is not installed in this Func"
    assert said in result.log
    assert stack.openai.requests == []


@pytest.fixture
def stack_with_proxy(stack: Stack) -> Iterator[Stack]:
    """Its worker reaches the world through a SOCKS proxy."""
    proxies = {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    stack.configure(tags={"team": "behind a proxy"})  # a client of its own
    code = f"import os\nos.kept_aside = dict(os.environ)\nos.environ.update({proxies!r})\n"
    stack.func.edit("startup__proxy", code)
    assert stack.func.run("startup__proxy").status == "success"
    yield stack
    code = "import os\nos.environ.clear()\nos.environ.update(os.kept_aside)\n"
    stack.func.edit("startup__proxy", code)
    assert stack.func.run("startup__proxy").status == "success"


def test_without_the_package_for_its_proxy_nothing_is_asked(stack_with_proxy: Stack) -> None:
    stack = stack_with_proxy
    said = "the Python package socksio is not installed in this Func"
    assert f"OpenAI is not probed: {said}" in stack.collect().log
    answer = stack.ask()
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == said


def test_switched_off(stack: Stack) -> None:
    stack.configure(probe=False)
    result = stack.collect()
    assert result.data["openai_up"] is None
    assert not [line for line in result.log if "OpenAI" in line]
    assert stack.points("openai_probe") == []
    assert stack.openai.requests == []


def test_what_waits_is_delivered_before_the_probe(stack: Stack) -> None:
    stack.configure(probe_timeout_s=0.5)
    stack.datakit.mode = "500"
    stack.ask()
    stack.datakit.mode = None
    stack.openai.faults.append("hang")
    result = stack.collect()
    assert (result.data["replayed"], result.data["openai_up"]) == (1, False)
    replayed, probe = stack.point(), probed(stack)
    assert replayed.received_at_ns < probe.timestamp_ns - 0.4e9


def test_the_point_of_a_probe_waits_for_datakit_too(stack: Stack) -> None:
    stack.datakit.stop()
    assert stack.collect().data["openai_up"] is True
    stack.datakit.start()
    stack.configure(probe=False)
    stack.collect()
    assert [point.fields["up"] for point in stack.points("openai_probe")] == [1.0]


def test_a_refused_key_is_not_quoted(stack: Stack) -> None:
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace(KEY, "sk-refused"))
    result = stack.collect()
    assert probed(stack).tags["error_type"] == "authentication"
    assert "sk-refused" not in f"{result} {stack.points('openai_probe')}"


def test_a_probe_that_fails_does_not_stop_collect(stack_with: Callable[[str], Stack]) -> None:
    stack = stack_with("raise RuntimeError('a broken package')")
    result = stack.collect()
    assert (result.status, result.data["openai_up"], result.data["problem"]) == ("success", None, "")
    assert "the probe failed (RuntimeError)" in result.log
    assert len(stack.points("openai_monitor")) == 1


@pytest.mark.parametrize("timeout_s", [0, -1, 10.1, float("nan")])
def test_a_wrong_timeout_is_reported_when_deploying(stack: Stack, timeout_s: float) -> None:
    setting = f"    probe_timeout_s=float('{timeout_s}'),\n"
    stack.func.edit(STARTUP, stack.func.script(STARTUP).replace("    DFF,\n", "    DFF,\n" + setting))
    result = stack.func.run(STARTUP)
    assert result.exception == "ValueError: probe_timeout_s must be a number of seconds above 0, at most 10"

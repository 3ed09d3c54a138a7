"""Each example, run as its first lines say, against the stand-ins."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from stack import KEY, Stack

from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture
def openai() -> Iterator[LocalOpenAI]:
    with LocalOpenAI() as openai:
        yield openai


@pytest.fixture
def datakit() -> Iterator[LocalDataKit]:
    with LocalDataKit() as datakit:
        yield datakit


def environment(openai: LocalOpenAI, datakit: LocalDataKit) -> dict[str, str]:
    own = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": openai.base_url,
        "CHATGPT_MONITOR_DATAKIT_URL": datakit.url,
        "CHATGPT_MONITOR_BACKLOG": "off",
    }
    return {**os.environ, **own}


def test_a_stream_is_one_point_with_its_tokens(openai: LocalOpenAI, datakit: LocalDataKit) -> None:
    command = [sys.executable, str(EXAMPLES / "stream.py"), "What", "is", "Guance?"]
    env = environment(openai, datakit)
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip()
    (point,) = [point for point in datakit.points() if point.measurement == "openai"]
    assert point.tags["stream"] == "true"
    assert point.fields["total_tokens"] > 0


def test_the_application_answers_and_delivers_when_stopped(
    openai: LocalOpenAI, datakit: LocalDataKit
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port)]
    with subprocess.Popen(command, cwd=EXAMPLES, env=environment(openai, datakit)) as process:
        try:
            answer = _ask_when_up(f"http://127.0.0.1:{port}/ask?question=Hi", process)
        finally:
            process.terminate()
    assert answer["answer"]
    (point,) = [point for point in datakit.points() if point.measurement == "openai"]
    assert point.tags["team"] == "shop"


def _ask_when_up(url: str, process: "subprocess.Popen[bytes]") -> dict[str, str]:
    while process.poll() is None:
        try:
            answer: dict[str, str] = requests.get(url, timeout=60).json()
            return answer
        except requests.ConnectionError:
            time.sleep(0.05)  # until it listens
    raise AssertionError(f"the application ended with {process.returncode}")


@pytest.mark.parametrize(
    ("program", "arguments"), [("node", ["link.mjs", "What is Guance?"]), ("java", ["Link.java"])]
)
def test_the_link_is_called_from_other_languages(stack: Stack, program: str, arguments: list[str]) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"skipped: no {program} on this machine")
    env = {**os.environ, "LINK": stack.link}
    command = [program, *arguments]
    result = subprocess.run(command, cwd=EXAMPLES, env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip()
    assert len([point for point in stack.datakit.points() if point.measurement == "openai"]) == 1


def test_the_compose_file_is_well_formed() -> None:
    compose = yaml.safe_load((EXAMPLES / "docker-compose.yaml").read_text("utf-8"))
    for service in compose["services"].values():
        assert service["image"]
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        named = [item.split(":")[0] for item in service.get("volumes", ()) if not item.startswith(".")]
        assert set(named) <= set(compose["volumes"])

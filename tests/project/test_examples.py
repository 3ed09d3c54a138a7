"""Each example, run as its first lines say, against the stand-ins."""

import os
import re
import shutil
import subprocess
import sys
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
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", "0"]
    env = environment(openai, datakit)
    with subprocess.Popen(command, cwd=EXAMPLES, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            answer = requests.get(f"{_url_of(process)}/ask?question=Hi", timeout=60).json()
        finally:
            process.terminate()
            process.communicate()
    assert answer["answer"]
    (point,) = [point for point in datakit.points() if point.measurement == "openai"]
    assert point.tags["team"] == "shop"


def _url_of(process: "subprocess.Popen[str]") -> str:
    """Where it listens, as it says when it does."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"running on (http://\S+)", line):
            return found[1]
    raise AssertionError("".join(said))


@pytest.mark.parametrize(
    ("program", "arguments"), [("node", ["link.mjs", "What is Guance?"]), ("java", ["Link.java"])]
)
def test_the_link_is_called_from_other_languages(stack: Stack, program: str, arguments: list[str]) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"skipped: no {program} on this machine")
    # Without the second compiler, which pays only in programs that run for longer.
    env = {**os.environ, "LINK": stack.link, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
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

"""demo --real and demo --open; see test_cli for the rest."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests

from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

REAL_KEY = "sk-real-0123456789abcdef"
TIMEOUT_S = 60.0


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "guance_chatgpt_monitor", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, **environment},
    )


@pytest.fixture
def openai():
    """Stands in for the real OpenAI."""
    with LocalOpenAI() as openai:
        yield openai


def test_demo_announces_its_few_calls_to_the_real_openai(openai):
    result = run("--real", OPENAI_API_KEY=REAL_KEY, OPENAI_BASE_URL=openai.base_url)
    assert result.returncode == 0, result.stderr
    first, *_ = result.stdout.splitlines()
    assert "the real OpenAI" in first
    assert openai.base_url in first
    asked = [request for request in openai.requests if request.method == "POST"]
    assert len(asked) == int(re.match(r"(\d+) calls", first)[1]) == 3  # type: ignore[index]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {REAL_KEY}"}
    assert REAL_KEY not in result.stdout + result.stderr


def test_the_real_openai_needs_a_key():
    result = run("--real", OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert result.returncode == 1
    assert re.fullmatch(r"error: .*OPENAI_API_KEY.*\nnext: .*\n", result.stderr)


@pytest.mark.parametrize("other", [["--datakit", "http://127.0.0.1:9"], ["--real"]])
def test_options_that_conflict_with_open_are_refused(other):
    result = run("--open", *other, OPENAI_API_KEY=REAL_KEY)
    assert result.returncode == 2
    assert "--open" in result.stderr


def test_an_open_demo_makes_calls_until_ctrl_c(tmp_path):
    opened = tmp_path / "opened"
    process = subprocess.Popen(
        [sys.executable, "-m", "guance_chatgpt_monitor", "demo", "--open"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": f"{sys.executable} -c \"open('{opened}', 'w').write('%s')\""},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        url = ""
        while not url:
            found = re.search(r"look at it: (http://127\.0\.0\.1:\d+)", process.stdout.readline())
            url = found[1] if found else ""
        assert requests.get(url, timeout=TIMEOUT_S).text.startswith("<!doctype html>")
        for _ in range(3):  # a line for each call
            assert re.match(r" +\d{3} ", process.stdout.readline())
        points = requests.get(f"{url}/_local/points?measurement=openai", timeout=TIMEOUT_S).json()
        assert len(points) >= 3
        assert {point["tags"]["team"] for point in points} <= {"web", "growth", "support"}
        logs = requests.get(f"{url}/_local/points?category=logging", timeout=TIMEOUT_S).json()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        assert "calls were made" in out.splitlines()[-1]
        assert isinstance(logs, list)
        assert opened.read_text() == url
    finally:
        process.kill()
        process.communicate()

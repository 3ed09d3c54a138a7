"""demo --real and demo --open; see test_cli for the rest."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests
from command_line import CommandLine

from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

REAL_KEY = "sk-real-0123456789abcdef"
TIMEOUT_S = 60.0


@pytest.fixture
def run(capsys):
    return CommandLine(capsys)


@pytest.fixture
def openai():
    """Stands in for the real OpenAI."""
    with LocalOpenAI() as openai:
        yield openai


def test_demo_announces_its_few_calls_to_the_real_openai(run, openai, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", REAL_KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
    said = run("demo", "--real")
    assert said.code == 0, said.err
    first, *_, last_but_one, last = said.out.splitlines()
    assert "the real OpenAI" in first
    assert openai.base_url in first
    asked = [request for request in openai.requests if request.method == "POST"]
    assert len(asked) == int(re.match(r"(\d+) calls", first)[1]) == 3  # type: ignore[index]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {REAL_KEY}"}
    assert REAL_KEY not in said.everything
    for line in ("totals", "probe", "rate limit", "cost"):
        assert re.search(rf"^{line}: ", said.out, re.MULTILINE), line
    assert last_but_one == "every point arrived"
    assert "demo --open" in last  # where to look


def test_the_real_openai_needs_a_key(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    said = run("demo", "--real")
    assert said.code == 1
    assert re.fullmatch(r"error: .*OPENAI_API_KEY.*\nnext: .*\n", said.err)


@pytest.mark.parametrize("other", [["--datakit", "http://127.0.0.1:9"], ["--real"]])
def test_options_that_conflict_with_open_are_refused(run, other, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", REAL_KEY)
    said = run("demo", "--open", *other)
    assert said.code == 2
    assert "--open" in said.err


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

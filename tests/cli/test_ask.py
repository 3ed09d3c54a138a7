"""ask, completion, and what every command has: help with examples, and no traceback."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from stack import Stack

from guance_chatgpt_monitor.cli.build import Built

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:9/api/v1/al/none"


@pytest.fixture(scope="module")
def running_stack(built: Built) -> Iterator[Stack]:
    with Stack(built) as stack:
        yield stack


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CHATGPT_MONITOR_LINK", raising=False)
    monkeypatch.delenv("CHATGPT_MONITOR_LINK_SECRET", raising=False)
    return CommandLine(capsys)


def test_ask_prints_the_answer_the_model_the_tokens_and_the_seconds(run: CommandLine, stack: Stack) -> None:
    said = run("ask", "What is Guance?", "--link", stack.link)
    assert said.code == 0
    assert said.out.startswith("This is the local answer")
    assert re.fullmatch(r"-- gpt-4o-mini-2024-07-18, \d+ tokens, \d+\.\d\d s", said.err.splitlines()[-1])
    assert stack.point().fields["question"] == 1.0


def test_ask_sends_model_and_system_and_prints_json(
    run: CommandLine, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATGPT_MONITOR_LINK", stack.link)
    said = run("ask", "Hi", "--model", "gpt-4o", "--system", "Be brief.", "--json")
    reply = json.loads(said.out)
    assert reply["model"].startswith("gpt-4o-2")
    assert reply["total_tokens"] > 0
    assert stack.openai.requests[-1].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_answer_without_usage_has_unknown_tokens(run: CommandLine, stack: Stack) -> None:
    stack.openai.faults.append("no_usage")
    assert ", tokens unknown, " in run("ask", "Hi", "--link", stack.link).err


def test_an_error_from_openai_is_reported(run: CommandLine, stack: Stack) -> None:
    stack.openai.faults.append("401")
    said = run("ask", "Hi", "--link", stack.link)
    assert said.code == 1
    assert said.err.startswith("error: 401: Incorrect API key provided: sk-***")
    assert "next: run guance-chatgpt-monitor check" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--link", NOBODY], "connection refused: nothing listens at 127.0.0.1:9"),
        (["--link", "http://host/"], "this is not an authorization link"),
        (["--link", "nonsense"], "the link is not an HTTP address"),
        (["--link", "http://two..dots/api/v1/al/x"], "the host name two..dots cannot be resolved"),
        (["--link", NOBODY, "--link-secret", "a b"], "the secret of the link has spaces"),
        ([], "no link was given\nnext: give --link, or export CHATGPT_MONITOR_LINK=…"),
    ],
)
def test_a_wrong_link_is_reported_in_two_lines(run: CommandLine, arguments: list[str], said: str) -> None:
    result = run("ask", "Hi", *arguments)
    assert (result.code, result.out) == (1, "")
    assert said in result.err
    lines = result.err.splitlines()
    assert len(lines) == 2 + ("--link-secret" in arguments)  # and a warning: others can read the secret


@pytest.mark.parametrize("command", ["install", "uninstall", "check", "ask", "completion"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str], run: CommandLine) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code == 0
    assert f"example:\n  guance-chatgpt-monitor {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--calls-per-minute", "0", "'0' is not a whole number of at least 1"),
        ("--calls-per-minute", "x", "'x' is not a whole number of at least 1"),
        ("--calls-per-minute", "１２", "'１２' is not a whole number of at least 1"),
        ("--calls-per-minute", "99999999999", "99999999999 is above the limit of 1000000000"),
        ("--task-records", "-1", "'-1' is not a whole number of at least 0"),
        ("--task-records", "10001", "10001 is above the limit of 10000"),
    ],
)
def test_an_invalid_number_is_refused(run: CommandLine, option: str, value: str, said: str) -> None:
    result = run("install", f"{option}={value}")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {said}\nnext: ")


# ---- completion ----


def complete(script: str, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    quoted = " ".join(f"'{word}'" for word in words)
    lines = [script, f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}"]
    lines += ["_shtab_guance_chatgpt_monitor", 'echo "${COMPREPLY[@]}"']
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices(run: CommandLine, tmp_path: Path) -> None:
    script = run("completion", "bash").out
    program = "guance-chatgpt-monitor"
    assert complete(script, program, "inst") == ["install"]
    assert complete(script, program, "install", "--data") == ["--datakit"]
    assert complete(script, program, "local", "da") == ["datakit"]
    assert complete(script, program, "local", "func", "--emp") == ["--empty"]
    assert complete(script, program, "assets", "--lang", "") == ["zh", "en"]
    assert "--dry-run" in complete(script, program, "uninstall", "--")
    (tmp_path / "manifest.yaml").touch()
    found = complete(script, program, "build", "--manifest", f"{tmp_path}/m")
    assert found == [f"{tmp_path}/manifest.yaml"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_accepts_the_completion_script(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(run("completion", "zsh").out)
    script = f'autoload -U compinit && compinit -u -D\neval "$(cat {tmp_path}/script)"\n'
    script += "print -- $_comps[guance-chatgpt-monitor]"
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=True)
    assert "guance_chatgpt_monitor" in done.stdout


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_commands(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(run("completion", "fish").out)
    script = f"source {tmp_path}/script; complete -C 'guance-chatgpt-monitor inst'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("install")


def test_without_shtab_completion_names_the_next_step(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    said = run("completion", "bash")
    assert said.code == 1
    assert "next: pip install 'guance-chatgpt-monitor[completion]'" in said.err


def test_a_failed_command_shows_no_traceback() -> None:
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "ask", "Hi", "--link", NOBODY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr

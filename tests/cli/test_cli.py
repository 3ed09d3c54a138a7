"""The command line: help, exit codes, one clear line for each error, JSON for scripts."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from command_line import CommandLine, Said, local

from guance_chatgpt_monitor.cli.demo import Result, points_table, summary
from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.mark.parametrize("command", [[], ["build"], ["demo"], ["local"], ["assets"]])
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert re.search(r"examples?:\n  guance-chatgpt-monitor ", capsys.readouterr().out)


def test_build_says_what_to_do_with_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "script market: serve the folder" in said
    assert (tmp_path / "guance_chatgpt_monitor.zip").is_file()


def test_build_reports_its_files_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--out", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["set_id"] == "guance_chatgpt_monitor"
    assert Path(facts["zip_path"]).is_file()


def test_a_refused_build_names_file_line_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("id: [\n", "utf-8")
    assert main(["build", "--out", str(tmp_path / "dist"), "--manifest", str(manifest)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert re.match(rf"{re.escape(str(manifest))}:\d+: ", said[0])
    assert said[1:] == [
        "error: 1 problem(s): nothing was built",
        "next: correct the problems above, then build again",
    ]


def test_a_missing_manifest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--out", str(tmp_path), "--manifest", "no-such-file"]) == 1
    assert capsys.readouterr().err.startswith("no-such-file:1: cannot be read: No such file or directory\n")


def manifest(**changes: str) -> bytes:
    """A manifest of one script, as one line of YAML, with `changes`."""
    keys = ("title", "description", "released", "publisher", "note")
    parts = {"id": "x", **dict.fromkeys(keys, "x"), "requirements": "[a]", "scripts": "[]", **changes}
    return ("{" + ", ".join(f"{key}: {value}" for key, value in parts.items()) + "}").encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\xff", "not UTF-8 text"),
        (b"just a line", "the manifest lacks id, title"),
        (b"a: [", "not valid YAML"),
        (manifest(scripts="[1]"), "must be a list of entries with `name` and `title`"),
        (manifest(scripts="[{name: 1, title: x}]"), "must be a list of entries with `name` and `title`"),
        (manifest(scripts="[{name: ../x, title: x}]"), "must be a list of entries with `name` and `title`"),
        (manifest(scripts="[{name: a, title: a}]", requirements="[1]"), "must be a list of strings"),
        (manifest(scripts="[{name: a, title: a}]", id="../x"), "letters, digits and _ only"),
        (manifest(scripts="[{name: a, title: a}]", note="[x]"), "these must be strings: note"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused(
    tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main(["build", "--out", str(tmp_path / "dist"), "--manifest", str(tmp_path / "file")]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "next: correct the problems above" in error


@pytest.fixture
def small_manifest(tmp_path: Path) -> Path:
    """Of a clone with one empty script: the whole set takes a third of a second to build."""
    package = tmp_path / "clone" / "guance_chatgpt_monitor"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "a.py").touch()
    path = package.parent / "manifest.yaml"
    path.write_bytes(manifest(scripts="[{name: a, title: x}]"))
    return path


@pytest.fixture(scope="module")
def demo() -> Any:
    """The demo as run by someone with a key, whose OpenAI it must not ask."""
    out, errors = io.StringIO(), io.StringIO()
    with LocalOpenAI() as openai, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-real-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = main(["demo", "--json"])
        assert openai.requests == []
    said = Said(code, out.getvalue(), errors.getvalue())
    assert said.code == 0, said.err
    assert "Traceback" not in said.everything
    assert "the auto-trigger fires" in said.err  # it takes some seconds, so it says what it does
    assert "(stand-in)" in next(line for line in said.err.splitlines() if line.startswith("OpenAI"))
    return json.loads(said.out)


@pytest.mark.slow
def test_demo_is_complete_without_the_real_openai(demo: Any) -> None:
    assert demo["complete"] is True
    assert len(demo["points"]) == len(demo["calls"]) >= 17
    assert demo["totals"]["question"] == len(demo["calls"])
    # The calls of the outage and, again, what DataKit took in the seconds before it was stopped.
    assert demo["collected"]["replayed"] >= 5
    assert {call["status_code"] for call in demo["calls"]} == {200, 400, 401, 404, 429, 502, 504}
    assert sum("delay" in point["fields"] for point in demo["points"]) >= 5
    assert [point["fields"]["up"] for point in demo["probe"]] == [1, 1]


@pytest.mark.slow
def test_demo_shows_what_openai_booked_beyond_the_answers(demo: Any) -> None:
    answered = [point for point in demo["points"] if point["tags"]["status"] == "ok"]
    booked = sum(point["fields"].get("requests", 0) for point in demo["usage"])
    # One answer missed our deadline; one was generated three times because the connection was reset.
    assert booked == len(answered) + 4


@pytest.mark.slow
def test_the_demos_results_are_summarized(demo: Any) -> None:
    """What is printed around it is tested with `--real`, which makes fewer calls."""
    result = Result(**{name: demo[name] for name in Result._fields})
    lines = "\n".join(summary(result))
    for line in ("totals", "probe", "rate limit", "cost", "OpenAI's own books"):
        assert re.search(rf"^{line}: ", lines, re.MULTILINE), line
    header, *rows = points_table(demo["points"])
    assert header.startswith("operation_name")
    assert len(rows) == len(demo["calls"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "Hi", "--link", "http://127.0.0.1:9/api/v1/al/x"],
        ["install", "--func", "nonsense", "--ak-id", "x", "--ak-secret", "y"],
        ["build", "--manifest", "no-such-file"],
    ],
)
def test_with_json_an_error_is_printed_as_json(run: CommandLine, arguments: list[str]) -> None:
    said = run(*arguments, "--json")
    assert said.code == 1
    assert json.loads(said.out)["error"]
    assert said.err


def test_an_error_is_two_lines_and_no_traceback(tmp_path: Path, small_manifest: Path) -> None:
    """In a process of its own, whose end belongs to it."""
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "build", "--out", str(tmp_path / "file")]
    command += ["--manifest", str(small_manifest)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"error: .*\nnext: .*\n", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--datakit", "nonsense://x"],
        ["local", "func", "--openai", "nonsense"],
        ["local", "func", "--datakit", "http://host:port"],
        ["local", "func", "--redis", "nonsense"],
        ["local", "func", "--redis", "redis://127.0.0.1:9"],
        ["local", "datakit", "--host", "192.0.2.1"],
        ["top", "--datakit", "http://two..dots"],
    ],
)
def test_an_unusable_address_is_reported_before_anything_starts(
    run: CommandLine, arguments: list[str]
) -> None:
    said = run(*arguments)
    assert said.code == 1
    assert re.fullmatch(r"error: .*\nnext: .*\n", said.err)
    assert "unexpected" not in said.err


@pytest.mark.parametrize("command", ["run --help", "install --help"])
def test_an_ascii_only_terminal_gets_escapes(command: str) -> None:
    arguments = [sys.executable, "-m", "guance_chatgpt_monitor", *command.split()]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(arguments, capture_output=True, text=True, env=env, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(tmp_path: Path, small_manifest: Path) -> None:
    build = f"build --out {tmp_path} --manifest {small_manifest}"
    command = f"{sys.executable} -m guance_chatgpt_monitor {build} --json | head -c 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.returncode in (0, 141)  # as much as fits in a pipe may be written before


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--version", "--help", "build --out OUT --manifest SMALL"])
@pytest.mark.parametrize(
    ("where", "codes"), [("| true", (0, 141)), (">&-", (0,)), ("2>&-", (0,)), (">&- 2>&-", (0,))]
)
def test_a_closed_output_is_not_an_error(
    command: str, where: str, codes: tuple[int, ...], tmp_path: Path, small_manifest: Path
) -> None:
    command = command.replace("OUT", str(tmp_path)).replace("SMALL", str(small_manifest))
    line = f"{sys.executable} -m guance_chatgpt_monitor {command} {where}"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.returncode in codes


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["--version", "build --out OUT --manifest SMALL --json", "build --out OUT --manifest SMALL"]
)
def test_output_to_a_full_disk_is_a_two_line_error(
    command: str, tmp_path: Path, small_manifest: Path
) -> None:
    command = command.replace("OUT", str(tmp_path)).replace("SMALL", str(small_manifest))
    line = f"{sys.executable} -m guance_chatgpt_monitor {command} > /dev/full"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"error: No space left on device\nnext: .*\n", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "path"), [("datakit", "/v1/ping"), ("openai", "/_local/faults"), ("func", "/nothing")]
)
def test_a_stand_in_runs_alone_until_it_is_stopped(part: str, path: str) -> None:
    with local(part) as said:
        url = re.search(r"http://127\.0\.0\.1:\d+", said.readline())
        assert url is not None
        assert requests.get(url.group() + path, timeout=10).status_code in (200, 404)


@pytest.mark.parametrize(
    ("arguments", "said", "next_step"),
    [
        (["run"], "there is no program to run", "run --help"),
    ],
)
def test_an_error_names_the_next_step(
    arguments: list[str], said: str, next_step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error, following = capsys.readouterr().err.splitlines()
    assert said in error
    assert following.startswith("next: ")
    assert next_step in following


def test_a_port_in_use_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalDataKit() as taken:
        assert main(["local", "datakit", "--port", str(taken.port)]) == 1
    error, following = capsys.readouterr().err.splitlines()
    assert f"port {taken.port}" in error
    assert following == "next: choose another with --port, or leave it out for a free one"

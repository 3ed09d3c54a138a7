"""The assets command: its files, its sites and its output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from guance_site import KEY, Workspace

from guance_chatgpt_monitor.assets import SITES
from guance_chatgpt_monitor.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def guance(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "DF_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with Workspace() as server:
        yield server


@pytest.mark.parametrize("language", ["zh", "en"])
def test_assets_writes_the_committed_files(language, tmp_path, capsys):
    assert main(["assets", "--lang", language, "--out", str(tmp_path)]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(paths) == 3
    for path in paths:
        assert path.read_bytes() == (ROOT / path.relative_to(tmp_path)).read_bytes()


def test_apply_imports_the_assets_once_and_reports_them(guance, capsys, monkeypatch):
    monkeypatch.setenv("DF_API_KEY", KEY)
    assert main(["assets", "--lang", "en", "--apply", "--endpoint", guance.url]) == 0
    head, *items, total = capsys.readouterr().out.splitlines()
    assert head.endswith(f"at {guance.url}")
    assert items[0].split() == ["created", "dashboard", "OpenAI", "Monitoring", "View"]
    assert len(items) == 16
    assert total.startswith("16 created, 0 skipped")
    assert main(["assets", "--lang", "en", "--apply", "--endpoint", guance.url]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 created, 16 skipped")


def test_json_output_lists_what_was_created(guance, capsys):
    assert main(["assets", "--apply", "--endpoint", guance.url, "--api-key", KEY, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["endpoint"] == guance.url
    assert [item["action"] for item in said["done"]] == ["created"] * 16


def test_an_import_cut_short_reports_what_it_created(guance, capsys):
    guance.requests_allowed = 4
    assert main(["assets", "--apply", "--endpoint", guance.url, "--api-key", KEY]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("2 created, 0 skipped")
    assert "error: Guance limits the rate" in said.err


def test_the_sites_are_those_that_the_documentation_lists():
    assert SITES["cn1"] == "https://openapi.guance.com"
    assert SITES["cn2"] == "https://aws-openapi.guance.com"
    assert SITES["us1"] == "https://us1-openapi.truewatch.com"
    assert all(address.startswith("https://") for address in SITES.values())


def test_help_names_every_site(capsys):
    with pytest.raises(SystemExit):
        main(["assets", "--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in SITES)
    assert "TrueWatch" in said


def test_a_failed_import_does_not_show_the_key():
    command = [sys.executable, "-m", "guance_chatgpt_monitor"]
    command += ["assets", "--apply", "--endpoint", "http://127.0.0.1:9"]
    environment = {**os.environ, "DF_API_KEY": "secret-key"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "secret-key" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("arguments", "said", "next_step"),
    [
        (["--apply", "--api-key", "k"], "no site was given", "cn1, cn2"),
        (["--apply", "--api-key", "k", "--site", "mars"], "no site mars", "us1, "),
        (
            ["--apply", "--api-key", "k", "--site", "cn1", "--endpoint", "https://a.b"],
            "both name an address",
            "one of them",
        ),
        (
            ["--apply", "--api-key", "k", "--endpoint", "openapi.guance.com"],
            "not an HTTP address",
            "https://",
        ),
        (["--apply", "--api-key", "k", "--endpoint", "http://openapi.guance.com"], "API key", "https://"),
        (["--apply", "--api-key", "k", "--endpoint", "http://10.0.0.7:80"], "API key", "https://"),
        (["--apply", "--api-key", "k", "--endpoint", "http://127.0.0.1.evil.example"], "API key", "https://"),
        (["--apply", "--api-key", "k", "--endpoint", "http://127.0.0.1:9"], "reached", "--site"),
        (["--apply", "--site", "cn1"], "no API key", "DF_API_KEY"),
        (["--apply", "--site", "cn1", "--api-key", "k\u201d"], "non-ASCII", "copy it again"),
        (["--site", "cn1"], "need --apply", "add --apply"),
    ],
)
def test_an_error_names_the_next_step(arguments, said, next_step, capsys, monkeypatch):
    monkeypatch.delenv("DF_API_KEY", raising=False)
    assert main(["assets", *arguments]) in (1, 2)
    error, following = capsys.readouterr().err.splitlines()[-2:]
    assert said in error
    assert following.startswith("next: ")
    assert next_step in following

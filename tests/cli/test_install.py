"""install, install again and uninstall: against Func's management API, with real calls through the link."""

import contextlib
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from command_line import CommandLine, Said, local

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.cli.check.func import check_func
from guance_chatgpt_monitor.cli.func_client import AccessKey, FuncClient
from guance_chatgpt_monitor.cli.install.func_contents import FuncContents, read_func_contents
from guance_chatgpt_monitor.cli.install.installer import Installed, Installer
from guance_chatgpt_monitor.cli.install.startup_template import check_parameter
from guance_chatgpt_monitor.cli.install.steps import InstallOptions, Step, run_steps
from guance_chatgpt_monitor.cli.install.uninstall import plan_removal
from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.cli.user_error import UserError
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.server import AccessKey as LocalKey
from guance_chatgpt_monitor.local.func.server import LocalFunc
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"
STARTUP = f"startup__{SET}"
KEY = "sk-secretkey-0123456789abcdef"
AK_SECRET = "ak-secret-0123456789"
TOKEN = "localhost-token-0123456789"
HEADER = "X-ChatGPT-Monitor-Secret"
SERVICE = '"shop" 50% & more'


class Clock:
    """The time, of which waiting takes none."""

    def __init__(self) -> None:
        self._waited_s = 0.0

    def __call__(self) -> float:
        return time.time() + self._waited_s

    def sleep(self, seconds: float) -> None:
        self._waited_s += seconds


class Parts:
    """An empty Func, OpenAI and DataKit. `env` is what a user would have exported."""

    def __init__(self, **of_func: Any) -> None:
        keys = [LocalKey("ak-1", AK_SECRET)]
        self.clock = Clock()
        self.func = LocalFunc(workers=1, access_keys=keys, localhost_token=TOKEN, clock=self.clock, **of_func)
        self.openai = LocalOpenAI()
        self.datakit = LocalDataKit()

    def clear(self) -> None:
        self.func.clear()
        self.func.packages.builtin = {"requests": "2.32.3", "openai": "2.2.0"}
        self.openai.clear()
        self.openai.faults.clear()
        self.datakit.clear()

    @property
    def env(self) -> dict[str, str]:
        return {
            "FUNC_URL": self.func.url,
            "FUNC_AK_ID": "ak-1",
            "FUNC_AK_SECRET": AK_SECRET,
            "OPENAI_API_KEY": KEY,
        }

    @property
    def servers(self) -> list[str]:
        return ["--openai-base-url", self.openai.base_url, "--datakit", self.datakit.url]

    @property
    def parameters(self) -> dict[str, str]:
        return {"OpenAI base URL": self.openai.base_url, "DataKit URL": self.datakit.url}

    @property
    def client(self) -> FuncClient:
        return FuncClient(self.func.url, AccessKey("ak-1", AK_SECRET), self.clock)

    def link(self) -> dict[str, Any]:
        (link,) = self.client.list("sync-apis")
        return link


class Installation:
    """What install and uninstall do, without the command line around it, which builds the set each time.

    `shown` is what was said on the way.
    """

    def __init__(self, parts: Parts, built: Built) -> None:
        self._parts = parts
        self._built = built
        self.shown: list[str] = []

    def found(self) -> FuncContents:
        return read_func_contents(self._parts.client, self._built.scripts[f"{SET}__example"])

    def installer(self, **options: Any) -> Installer:
        clock, wanted = self._parts.clock, InstallOptions(**{"parameters": {}, **options})
        client, found, say = self._parts.client, self.found(), self.shown.append
        return Installer(client, found, wanted, self._built, say, clock.sleep, clock)

    def install(self, **options: Any) -> Installed:
        return self.installer(**options).install()

    def install_anew(self, **options: Any) -> Installed:
        """With the servers and the key, which an empty Func needs."""
        return self.install(parameters=self._parts.parameters, openai_key=KEY, **options)

    def uninstall(self) -> dict[str, Step]:
        """The steps by their titles."""
        steps = run_steps(plan_removal(self._parts.client, self.found()), lambda step: None)
        return {step.title: step for step in steps}


@pytest.fixture(scope="module")
def shared() -> Iterator[Parts]:
    parts = Parts()
    with parts.func, parts.openai, parts.datakit:
        yield parts


@pytest.fixture
def parts(shared: Parts, monkeypatch: pytest.MonkeyPatch) -> Parts:
    shared.clear()
    for name, value in shared.env.items():
        monkeypatch.setenv(name, value)
    return shared


@pytest.fixture
def installation(parts: Parts, built: Built) -> Installation:
    return Installation(parts, built)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_a_closed_pipe_does_not_stop_the_work_halfway(parts: Parts) -> None:
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "install", *parts.servers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `head` does
        _, errors = process.communicate(timeout=60)
    assert b"Broken pipe" not in errors
    assert parts.link()
    assert parts.func.cron_jobs


class First(NamedTuple):
    """A first install: what it said, what is in Func after it, and the tags of its test call's point."""

    said: Said
    contents: dict[str, Any]
    tags: dict[str, str]


def install_first(parts: Parts, *arguments: str) -> First:
    parts.clear()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in parts.env.items():
            monkeypatch.setenv(name, value)
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = main(["install", *parts.servers, *arguments])
    said = Said(code, out.getvalue(), errors.getvalue())
    assert said.code == 0, said.everything
    (point,) = parts.datakit.points("openai")
    return First(said, parts.func.recovery_point(), point.tags)


@pytest.fixture(scope="module")
def installed_once(shared: Parts) -> First:
    return install_first(shared)


@pytest.fixture(scope="module")
def installed_open_once(shared: Parts) -> First:
    """With an open link, limits, a service name that has to be quoted, and no packages."""
    limits = ["--calls-per-minute", "7", "--task-records", "3"]
    return install_first(shared, "--open", *limits, "--service", SERVICE, "--no-packages")


@pytest.fixture
def installed(installed_once: First, parts: Parts) -> Said:
    parts.func.recover(installed_once.contents)
    return installed_once.said


@pytest.fixture
def installed_open(installed_open_once: First, parts: Parts) -> First:
    parts.func.recover(installed_open_once.contents)
    return installed_open_once


def snapshot(parts: Parts) -> dict[str, Any]:
    """All that is in Func, as its API shows it."""
    names = ("scripts", "sync-apis", "api-auth", "env-variables", "cron-jobs")
    sets = parts.client.list("script-sets", _withScripts="true")
    # Func's own, made with the first startup script of any set.
    others = [row for row in sets if row["id"] != "startup"]
    return {"script-sets": others, **{name: parts.client.list(name) for name in names}}


def actions(steps: list[Step]) -> dict[str, str]:
    return {step.title: step.action for step in steps}


def actions_in(said: Said) -> dict[str, str]:
    """Of the output as JSON."""
    return {step["name"]: step["action"] for step in json.loads(said.out)["steps"]}


# ---- the first time ----


def test_dry_run_prints_the_steps_and_changes_nothing(parts: Parts, run: CommandLine) -> None:
    before = snapshot(parts)
    said = run("install", "--dry-run", *parts.servers)
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[:-1]] == [
        "make", "keep", "make", "make", "make", "make", "test",
    ]  # fmt: skip
    assert said.out.endswith("nothing was changed: --dry-run\n")
    assert snapshot(parts) == before
    assert parts.openai.requests == []


def test_install_creates_everything_a_call_needs(parts: Parts, run: CommandLine, installed: Said) -> None:
    assert "test call            answered by gpt-4o-mini" in installed.out
    assert 'OPENAI_KEY = "" # OpenAI key' in parts.func.script(STARTUP)
    assert parts.func.cron_jobs == {f"cron-starup-{SET}": (f"{STARTUP}.collect", "* * * * *")}
    link = parts.link()
    assert (link["throttlingJSON"], link["taskRecordLimit"]) == ({"byMinute": 60}, 0)
    (env,) = parts.client.list("env-variables")
    assert (env["id"], env["autoTypeCasting"]) == ("OPENAI_API_KEY", "password")


def test_the_link_requires_the_printed_secret(parts: Parts, installed: Said) -> None:
    url, secret = re.findall(r"export CHATGPT_MONITOR_LINK(?:_SECRET)?=(\S+)", installed.out)
    assert requests.post(url, json={"question": "Hi"}, timeout=60).status_code == 401
    answer = requests.post(url, json={"question": "Hi"}, headers={HEADER: secret}, timeout=60)
    assert answer.status_code == 200


def test_the_printed_examples_run_as_they_are(parts: Parts, installed: Said) -> None:
    exports = "\n".join(re.findall(r"^export .*$", installed.out, re.MULTILINE))
    curl = re.search(r"^curl [^\n]*\\\n[^\n]*$", installed.out, re.MULTILINE)
    assert curl is not None
    python = installed.out[installed.out.index("import os, requests") :]
    for command in (f"{exports}\n{curl.group()} -s", f"{exports}\n{sys.executable} - <<'END'\n{python}END"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert "local answer" in done.stdout


def test_no_secret_but_the_links_own_is_ever_shown(parts: Parts, run: CommandLine) -> None:
    first = run("install", *parts.servers, "--openai-key", KEY, "--json")
    assert "warning: other users of this host can read --openai-key on the command line" in first.err
    access = ["--func", parts.func.url, "--ak-id", "ak-1", "--ak-secret", AK_SECRET]
    later = [run("check", *access, "--json"), run("uninstall", "--json")]
    assert "warning: other users of this host can read --ak-secret on the command line" in later[0].err
    secret = json.loads(first.out)["secret"]
    assert len(secret) >= 32
    for said in (first, *later):
        assert KEY not in said.everything
        assert AK_SECRET not in said.everything
    for said in later:
        assert secret not in said.everything


def test_missing_packages_are_installed_with_funcs_installer(
    parts: Parts, installation: Installation
) -> None:
    parts.func.packages.builtin = {"requests": "2.32.3"}
    installed = installation.install_anew()
    assert "packages             openai installing" in installation.shown
    (step,) = [step for step in installed.steps if step.name == "packages"]
    assert step.text.startswith("installed openai (")


def test_a_failing_package_stops_install_with_pips_last_lines(
    parts: Parts, installation: Installation
) -> None:
    parts.func.packages.builtin = {"requests": "2.32.3"}
    parts.func.packages.broken["openai"] = "Looking in indexes\nERROR: No matching distribution found\n"
    with pytest.raises(UserError) as caught:
        installation.install_anew()
    said = "pip in Func could not install openai: ERROR: No matching distribution found"
    assert caught.value.message == said
    assert "--pip-index" in caught.value.next_step
    assert installation.install_anew(packages=False).problem == ""


def test_open_omits_the_authentication_and_warns(parts: Parts, installed_open: First) -> None:
    said = installed_open.said
    assert "warning: the link is open" in said.out
    assert HEADER not in said.out
    assert parts.client.list("api-auth") == []
    (url,) = re.findall(r"export CHATGPT_MONITOR_LINK=(\S+)", said.out)
    assert requests.post(url, json={"question": "Hi"}, timeout=60).status_code == 200


def test_no_packages_leaves_the_packages_out(installed: Said, installed_open: First) -> None:
    assert "packages" in installed.out
    assert "packages" not in installed_open.said.out


def test_the_limits_of_the_link_can_be_set_by_options(parts: Parts, installed_open: First) -> None:
    link = parts.link()
    assert (link["throttlingJSON"], link["taskRecordLimit"]) == ({"byMinute": 7}, 3)


def test_install_waits_until_func_notices_the_link(built: Built) -> None:
    parts = Parts(visible_after_s=5.0)
    installation = Installation(parts, built)
    with parts.func, parts.openai, parts.datakit:
        assert installation.install_anew(packages=False).problem == ""
        assert (
            "test call            waiting until Func notices the changes, some seconds" in installation.shown
        )
        assert len([r for r in parts.openai.requests if r.path.endswith("/completions")]) == 1


def test_a_key_rejected_by_openai_is_reported_immediately(parts: Parts, run: CommandLine) -> None:
    parts.openai.faults.append("401")
    said = run("install", *parts.servers)
    assert said.code == 1
    assert "installed, but OpenAI did not answer: Incorrect API key provided" in said.err
    assert "export CHATGPT_MONITOR_LINK_SECRET=" in said.out


# ---- what it refuses ----


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--service", "a\\b"], "contains \\, which Func would alter"),
        (["--datakit", "ftp://host"], "the DataKit URL must look like"),
        (["--openai-base-url", "api.openai.com"], "the OpenAI base URL is not an HTTP address"),
        (["--func", "func:8088"], "the address of Func is not an HTTP address"),
        (["--openai-key", "sk-a b"], "the OpenAI key has spaces"),
        (["--openai-key", "sk-é"], "the OpenAI key has spaces, line breaks or non-ASCII characters"),
        (["--openai-key-env", "NO_SUCH_VARIABLE"], "no OpenAI key was given"),
        (["--ak-secret", "wrong"], "Func answered 401.14 EUserAuth"),
        (["--func", "http://127.0.0.1:9"], "connection refused: nothing listens at 127.0.0.1:9"),
    ],
)
def test_a_wrong_setting_changes_nothing(
    parts: Parts, run: CommandLine, arguments: list[str], said: str
) -> None:
    result = run("install", *parts.servers, *arguments)
    assert result.code == 1
    assert f"error: {said}" in result.err or said in result.err
    assert "next: " in result.err
    assert not any(snapshot(parts).values())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\nb", "contains a line break or control character"),
        ("$&x", "contains $&, which"),
        ("a$1", "contains $1, which"),
        ("a$$", "contains $$, which"),
        ("a$`", "contains $`, which"),
        ("<me>", "contains <…> around it"),
    ],
)
def test_a_value_that_func_would_alter_is_refused(value: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_parameter("Default model", value)
    assert said in caught.value.message
    assert caught.value.next_step


def test_a_quoted_value_arrives_unchanged(installed_open: First) -> None:
    assert installed_open.tags["service_name"] == SERVICE


# install accepts this address, but the script of the set refuses it.
REFUSED_BY_THE_SCRIPT = "HTTP://127.0.0.1:9/v1"


def test_a_failed_deployment_removes_its_script(parts: Parts, installation: Installation) -> None:
    with pytest.raises(
        UserError, match="the startup script fails: ValueError: openai_base_url must look like"
    ):
        installation.install(parameters={"OpenAI base URL": REFUSED_BY_THE_SCRIPT}, openai_key=KEY)
    assert STARTUP not in {row["id"] for row in parts.client.list("scripts")}
    assert installation.install_anew().problem == ""


def test_install_asks_for_missing_secrets_without_echoing_them(parts: Parts) -> None:
    env = {**os.environ, **parts.env, "OPENAI_API_KEY": "", "FUNC_AK_SECRET": ""}
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "install", *parts.servers]
    terminal, terminal_of_child = pty.openpty()
    process = subprocess.Popen(
        command,
        env=env,
        stdin=terminal_of_child,
        stdout=terminal_of_child,
        stderr=terminal_of_child,
        start_new_session=True,
    )
    os.close(terminal_of_child)
    shown = b""
    for prompt, secret in ((b"secret of the access key", AK_SECRET), (b"OpenAI key", KEY)):
        while prompt + b" (not shown as you type): " not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, secret.encode() + b"\n")
    try:
        while True:
            shown += os.read(terminal, 1000)
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert process.wait(timeout=30) == 0, shown.decode()
    assert KEY.encode() not in shown
    assert AK_SECRET.encode() not in shown
    assert parts.openai.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_without_a_terminal_install_names_the_variable_to_export(
    parts: Parts, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    said = run("install", *parts.servers)
    assert said.code == 1
    assert "next: give --openai-key-env NAME, or export OPENAI_API_KEY=…" in said.err
    monkeypatch.delenv("FUNC_AK_SECRET")
    assert "export FUNC_AK_SECRET=…" in run("install").err


# ---- again ----


def test_a_second_run_changes_nothing(parts: Parts, run: CommandLine, installed: Said) -> None:
    before = snapshot(parts)
    said = run("install", "--json")
    assert set(actions_in(said).values()) == {"keep", "test"}
    assert "secret" not in json.loads(said.out)
    after = snapshot(parts)
    for rows in (before, after):
        for link in rows["sync-apis"]:
            del link["lastTaskStatus"]
    assert after == before


def test_only_a_key_that_is_named_replaces_the_one_in_func(
    parts: Parts, run: CommandLine, installed: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-my-own-for-something-else")
    monkeypatch.setenv("NEW_KEY", "sk-the-new-key")
    run("install")
    assert parts.openai.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    said = run("install", "--openai-key-env", "NEW_KEY", "--json")
    assert actions_in(said)["OPENAI_API_KEY"] == "change"
    assert parts.openai.requests[-1].headers["authorization"] == "Bearer sk-the-new-key"


def test_a_lost_key_is_restored_from_the_environment(
    parts: Parts, run: CommandLine, installed: Said, installation: Installation
) -> None:
    parts.client.get("env-variables/OPENAI_API_KEY/do/delete")
    assert actions(installation.installer().plan())["OPENAI_API_KEY"] == "make"
    assert run("install").code == 0
    assert parts.openai.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_in_a_script_deployed_by_hand_is_replaced_only_by_a_named_one(
    parts: Parts, built: Built, installation: Installation
) -> None:
    parts.func.install(str(built.zip_path))
    parts.func.deploy(SET, {"OpenAI key": "sk-in-the-script", **parts.parameters})
    before = parts.func.script(STARTUP)
    assert actions(installation.install().steps)["OPENAI_API_KEY"] == "keep"
    assert parts.func.script(STARTUP) == before
    assert parts.openai.requests[-1].headers["authorization"] == "Bearer sk-in-the-script"
    assert installation.install(openai_key="sk-the-new-key").problem == ""
    assert "sk-in-the-script" not in parts.func.script(STARTUP)
    assert parts.openai.requests[-1].headers["authorization"] == "Bearer sk-the-new-key"


def test_other_parameters_renew_an_unedited_startup_script(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    steps = installation.install(parameters={"Service name": "shop"}).steps
    assert actions(steps)["startup script"] == "change"
    assert 'SERVICE_NAME = "shop"' in parts.func.script(STARTUP)
    assert f'DATAKIT_URL = "{parts.datakit.url}"' in parts.func.script(STARTUP)
    assert parts.datakit.points("openai")[-1].tags["service_name"] == "shop"


def test_an_older_version_is_upgraded(parts: Parts, installed: Said, installation: Installation) -> None:
    template = parts.func.script(f"{SET}__example")
    old_template = template.replace(
        "monitor = ChatGPTMonitor(", "# of an older version\nmonitor = ChatGPTMonitor("
    )
    old_startup = parts.func.script(STARTUP).replace(
        "monitor = Chat", "# of an older version\nmonitor = Chat", 1
    )
    parts.func.edit(f"{SET}__example", old_template)
    parts.func.edit(STARTUP, old_startup)
    steps = installation.install().steps
    assert actions(steps)["script set"] == "change"
    assert actions(steps)["startup script"] == "change"
    assert parts.func.script(f"{SET}__example") == template
    assert "older version" not in parts.func.script(STARTUP)
    assert f'DATAKIT_URL = "{parts.datakit.url}"' in parts.func.script(STARTUP)


@pytest.mark.parametrize(
    ("line", "instead"),
    [("    DFF,\n", '    DFF,\n    tags={"mine": "1"},\n'), ("timeout=180", "timeout=99")],
)
def test_an_edited_startup_script_is_never_touched(
    parts: Parts, installed: Said, installation: Installation, line: str, instead: str
) -> None:
    edited = parts.func.script(STARTUP).replace(line, instead)
    assert edited != parts.func.script(STARTUP)
    parts.func.edit(STARTUP, edited)
    parts.func.edit(f"{SET}__call", parts.func.script(f"{SET}__call") + "\n# changed\n")
    again = installation.install(parameters={"Service name": "other"})
    assert again.problem == ""
    assert parts.func.script(STARTUP) == edited
    (startup,) = [step for step in again.steps if step.name == "startup_script"]
    assert startup.text.startswith("kept; it runs with the present scripts")
    (warning,) = again.warnings
    assert "copy your edits, delete the script in Func, run install again" in warning


def test_an_unpublished_edit_is_not_touched(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    parts.client.post(f"scripts/{STARTUP}/do/modify", {"data": {"codeDraft": "# half done"}})
    before = snapshot(parts)["scripts"]
    steps = installation.install(parameters={"Service name": "other"}).steps
    assert actions(steps)["startup script"] == "keep"
    assert snapshot(parts)["scripts"] == before


def test_a_failed_renewal_leaves_the_running_script(parts: Parts, run: CommandLine, installed: Said) -> None:
    before = snapshot(parts)["scripts"]
    said = run("install", "--openai-base-url", REFUSED_BY_THE_SCRIPT)
    assert said.code == 1
    assert "error: the startup script fails: ValueError: openai_base_url must look like" in said.err
    assert snapshot(parts)["scripts"] == before  # including its draft


def test_the_settings_of_a_link_stay_unless_others_are_given(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    link = parts.link()
    settings = {"throttlingJSON": {"byHour": 5}, "taskRecordLimit": 50}
    parts.client.post(f"sync-apis/{link['id']}/do/modify", {"data": settings})
    installation.install()
    assert {name: parts.link()[name] for name in settings} == settings
    installation.install(task_records=20)
    assert parts.link()["throttlingJSON"] == {"byHour": 5}
    assert parts.link()["taskRecordLimit"] == 20


def test_an_open_link_stays_open_for_its_callers(
    parts: Parts, installed_open: First, installation: Installation
) -> None:
    again = installation.install()
    assert parts.link().get("apiAuthId") is None
    (warning,) = [said for said in again.warnings if said.startswith("the link is open")]
    assert "delete it in Func and run install again" in warning


def test_open_given_later_removes_the_authentication(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    steps = installation.install(open_link=True).steps
    assert actions(steps)["API authentication"] == "change"
    assert parts.link()["apiAuthId"] is None
    assert parts.client.list("api-auth") == []


def test_a_link_with_the_users_own_authentication_is_left_alone(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    user = {"username": "u", "password": "p"}
    auth = {"data": {"type": "httpBasic", "configJSON": {"users": [user]}}}
    auth_id = parts.client.post("api-auth/do/add", auth)["id"]
    parts.client.post(f"sync-apis/{parts.link()['id']}/do/modify", {"data": {"apiAuthId": auth_id}})
    *_, test_call = installation.install().steps
    assert test_call.text.startswith("skipped: the link's authentication was not made by install")
    assert parts.link()["apiAuthId"] == auth_id


def test_a_lost_auto_trigger_is_recreated(parts: Parts, installed: Said, installation: Installation) -> None:
    parts.client.get(f"cron-jobs/cron-starup-{SET}/do/delete")
    assert installation.install().problem == ""
    assert list(parts.func.cron_jobs) == [f"cron-starup-{SET}"]


def test_what_the_user_disabled_stays_disabled_and_is_reported(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    parts.client.post(f"cron-jobs/cron-starup-{SET}/do/modify", {"data": {"isDisabled": True}})
    again = installation.install()
    assert again.problem == ""
    (warning,) = again.warnings
    assert warning.startswith("the auto-trigger is disabled")
    assert parts.func.cron_jobs == {}


# ---- uninstall ----


def test_uninstall_removes_everything_that_install_made(
    parts: Parts, run: CommandLine, installation: Installation
) -> None:
    parts.func.set_env("OTHER", "x")
    before = snapshot(parts)
    installation.install_anew()
    assert run("uninstall", "--dry-run").out.endswith("nothing was changed: --dry-run\n")
    assert snapshot(parts) != before
    assert "packages             left: other scripts may use openai and requests" in run("uninstall").out
    assert snapshot(parts) == before
    assert "there is nothing of the monitor in this Func" in run("uninstall").out


def test_uninstall_leaves_what_others_made(parts: Parts, built: Built, installation: Installation) -> None:
    parts.func.set_env("OPENAI_API_KEY", KEY)
    parts.func.install(str(built.market_dir))
    parts.func.deploy(SET, parts.parameters)
    parts.func.add_link(f"{STARTUP}.chat")
    before = snapshot(parts)
    assert installation.install().problem == ""
    left = installation.uninstall()
    assert snapshot(parts) == before
    assert left["OPENAI_API_KEY"].text == "left: not made by install"


def test_upgrading_a_set_imported_by_others_leaves_it_theirs(
    parts: Parts, built: Built, installation: Installation
) -> None:
    parts.func.install(str(built.zip_path))
    parts.func.edit(f"{SET}__call", "# of another version")
    assert actions(installation.install_anew().steps)["script set"] == "change"
    assert installation.uninstall()["script set"].text == "left: not imported by install"
    assert set(built.scripts) == {row["id"] for row in parts.client.list("scripts")}


def test_uninstall_leaves_an_edited_startup_script_and_what_it_needs(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    parts.func.edit(STARTUP, parts.func.script(STARTUP) + "\n# mine\n")
    said = [step.text for step in installation.uninstall().values()]
    reason = f"left, with all that it needs: {STARTUP} was edited"
    assert len([text for text in said if text.startswith(reason)]) == 3
    assert STARTUP in {row["id"] for row in parts.client.list("scripts")}
    assert parts.func.cron_jobs
    # What is left runs.
    assert parts.func.fire_cron()[0].status == "success"


def test_uninstall_after_a_deployment_by_hand_leaves_all_that_runs(
    parts: Parts, run: CommandLine, installed: Said, installation: Installation
) -> None:
    parts.client.get(f"scripts/{STARTUP}/do/delete")
    parts.func.deploy(SET, parts.parameters)
    said = run("uninstall", "--json")
    rows = {row["name"]: row for row in json.loads(said.out)["steps"]}
    for name in ("startup script", "auto-trigger", "script set"):
        assert rows[name]["removed"] is False
        assert "was deployed by hand" in rows[name]["text"]
    assert parts.func.fire_cron()[0].status == "success"
    parts.client.get(f"scripts/{STARTUP}/do/delete")
    installation.uninstall()
    assert parts.client.list("scripts") == []


def test_task_records_of_an_earlier_install_are_reported(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    said = "Func keeps the link's questions and answers in clear text"

    def warnings() -> list[str]:
        installer = installation.installer()
        installer.plan()
        return installer.warnings

    assert warnings() == []
    parts.client.post(f"sync-apis/{parts.link()['id']}/do/modify", {"data": {"taskRecordLimit": 10}})
    assert [warning[: len(said)] for warning in warnings()] == [said]
    assert installation.install(task_records=0).problem == ""
    assert parts.link()["taskRecordLimit"] == 0
    parts.func.records.clear()
    installation.install()  # its test call goes through the link
    assert [record for record in parts.func.records if record["origin"] != "cronJob"] == []


def test_another_products_set_with_this_id_is_reported(
    parts: Parts, built: Built, tmp_path: Path, installation: Installation
) -> None:
    market = tmp_path / "market"
    shutil.copytree(built.market_dir, market)
    for path in (market / "script-sets" / SET).glob("*.py"):
        path.write_text("# the official market's\n")
    meta = (market / "META.yaml").read_text("utf-8")
    (market / "META.yaml").write_text(re.sub(r"\n *codeMD5: \w+", "", meta), "utf-8")
    parts.func.install(str(market))
    assert any("another product" in finding.what for finding in check_func(parts.client, built))
    installed = installation.install_anew()
    assert installed.problem == ""
    (warning,) = installed.warnings
    assert warning.startswith("the set of this ID in Func belongs to another product")


def test_uninstall_never_opens_another_link(
    parts: Parts, installed: Said, installation: Installation
) -> None:
    (auth,) = parts.client.list("api-auth")
    parts.func.add_link(f"{SET}__example.chat", apiAuthId=auth["id"])
    assert installation.uninstall()["API authentication"].text.startswith("left: another link uses it")
    assert [row["id"] for row in parts.client.list("api-auth")] == [auth["id"]]


def test_funcs_localhost_token_works_instead_of_an_access_key(
    parts: Parts, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FUNC_AK_ID")
    monkeypatch.setenv("FUNC_LOCALHOST_TOKEN", TOKEN)
    assert run("uninstall").code == 0
    monkeypatch.setenv("FUNC_LOCALHOST_TOKEN", "wrong")
    said = run("uninstall")
    assert said.code == 1
    assert "next: read the token again, in Func's container" in said.err
    assert "wrong" not in said.everything


def test_the_stand_in_says_how_to_try_install(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with local("func", "--empty") as stand_in:
        lines = [stand_in.readline() for _ in range(3)]
        for name, value in re.findall(r"(FUNC_\w+)=(\S+)", lines[1]):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("FUNC_LOCALHOST_TOKEN", raising=False)
        assert run("install", "--dry-run").code == 0


def test_ctrl_c_says_what_was_done_and_what_was_not(parts: Parts) -> None:
    """While the test call waits for OpenAI. Must stay last: it leaves Func's worker busy."""
    parts.openai.faults.append("hang")
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "install", *parts.servers]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **parts.env, "LC_ALL": "C.UTF-8"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    # It says so when it waits for more than two seconds.
    assert process.stderr.readline().startswith(b"test call: ask one question through the link")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    parts.openai.faults.clear()
    assert process.returncode == 130
    said = errors.decode()
    assert "done: script set, OPENAI_API_KEY, startup script, API authentication, link;" in said
    assert "not done (the first may be half done): test call. Run it again to continue from there" in said

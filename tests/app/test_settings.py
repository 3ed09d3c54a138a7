"""Settings: from arguments, the environment or defaults; a wrong one is an error at once."""

import dataclasses
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guance_chatgpt_monitor.app.environment import Settings
from guance_chatgpt_monitor.core.metrics import RESERVED_NAMES
from guance_chatgpt_monitor.core.settings import settings_of
from guance_chatgpt_monitor.core.settings_table import APP, FUNC
from guance_chatgpt_monitor.func.main import ChatGPTMonitor

PREFIX = "CHATGPT_MONITOR_"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return monkeypatch


def test_the_defaults(tmp_path: Path) -> None:
    settings = Settings.read(service_name="shop")
    assert settings.datakit_url == "http://localhost:9529"
    assert settings.tags == {}
    assert settings.enabled is True
    assert settings.stream_usage is False
    assert settings.measurement == "openai"
    assert settings.max_queue == 10_000
    assert settings.log_content is False
    assert settings.redact_patterns == ()
    assert (settings.backlog_max_lines, settings.backlog_max_bytes) == (1_000_000, 256 * 1024 * 1024)
    backlog = Path(settings.backlog)
    assert backlog.parent == tmp_path / "guance_chatgpt_monitor"
    assert backlog.name.startswith("shop-")
    assert backlog.suffix == ".sqlite3"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("datakit_url", "datakit:9529/", "http://datakit:9529"),
        ("service_name", " shop ", "shop"),
        ("tags", "team=web, region = eu,", {"team": "web", "region": "eu"}),
        ("tags", "formula=a=b", {"formula": "a=b"}),
        ("enabled", "no", False),
        ("enabled", "0", False),
        ("enabled", "On", True),
        ("stream_usage", "true", True),
        ("backlog", "/var/lib/app/points.sqlite3", "/var/lib/app/points.sqlite3"),
        ("backlog", "off", ""),
        ("backlog", "OFF", ""),
        ("backlog", "", ""),
        ("backlog_max_lines", "500", 500),
        ("backlog_max_bytes", "1048576", 1048576),
        ("measurement", "chatgpt.calls-2", "chatgpt.calls-2"),
        ("price_provider", "openai", "openai"),
        ("price_provider", "api.deepseek.com", "api.deepseek.com"),
        ("max_queue", "100", 100),
        ("log_content", "true", True),
        ("log_content_max_chars", "1000", 1000),
        ("log_content_rate", "0.05", 0.05),
        ("log_errors", "true", True),
        ("redact_patterns", r'["CUST-\\d{6}", "[\"\u4e2d]x"]', (r"CUST-\d{6}", '["中]x')),
    ],
)
def test_a_setting_is_read_from_the_environment_or_an_argument(
    environment: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    assert getattr(Settings.read(**{name: text}), name) == value
    environment.setenv(PREFIX + name.upper(), text)
    assert getattr(Settings.read(), name) == value


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("datakit_url", "ftp://datakit"),
        ("datakit_url", "http://datakit:9529/v1/write"),
        ("datakit_url", "http://datakit:port"),
        ("datakit_url", "http://datakit:9529#here"),
        ("datakit_url", "http://data kit:9529"),
        ("datakit_url", "sk-proj-0123456789"),
        ("service_name", "n" * 1025),
        ("price_provider", "https://api.openai.com/v1"),
        ("tags", "team"),
        ("tags", "=web"),
        ("tags", "team="),
        ("tags", "status=mine"),
        ("tags", ",".join(f"tag{n}=x" for n in range(56))),
        ("enabled", "perhaps"),
        ("backlog", "/"),
        ("backlog", "a\0b"),
        ("backlog_max_lines", "0"),
        ("backlog_max_lines", "many"),
        ("backlog_max_lines", "1.5"),
        ("backlog_max_bytes", "-1"),
        ("measurement", "two words"),
        ("measurement", "n" * 129),
        ("stream_usage", "2"),
        ("max_queue", "1"),
        ("max_queue", "1000001"),
        ("log_content", "sometimes"),
        ("log_content_max_chars", "0"),
        ("log_content_max_chars", "131073"),
        ("log_content_rate", "1.1"),
        ("log_content_rate", "nan"),
        ("log_content_rate", "all"),
        ("redact_patterns", "CUST-[0-9]+"),
        ("redact_patterns", '{"a": "b"}'),
        ("redact_patterns", '["(unclosed"]'),
        ("redact_patterns", "[1]"),
    ],
)
def test_an_invalid_value_is_an_error_that_names_the_setting(
    environment: pytest.MonkeyPatch, name: str, wrong: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must "):
        Settings.read(**{name: wrong})
    if "\0" not in wrong:
        environment.setenv(PREFIX + name.upper(), wrong)
        with pytest.raises(ValueError, match=rf"^{PREFIX}{name.upper()} must "):
            Settings.read()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("datakit_url", 9529),
        ("service_name", 1),
        ("tags", ["team"]),
        ("tags", {"team": 1}),
        ("enabled", 1),
        ("backlog", 1),
        ("backlog_max_lines", True),
        ("backlog_max_lines", 10.0),
        ("measurement", b"openai"),
        ("log_content", 1),
        ("log_content_max_chars", 1.5),
        ("log_content_rate", True),
        ("redact_patterns", {"CUST": 1}),
    ],
)
def test_an_argument_of_the_wrong_type_is_an_error(name: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must "):
        Settings.read(**{name: wrong})


def test_an_error_never_quotes_the_value() -> None:
    with pytest.raises(ValueError) as caught:
        Settings.read(datakit_url="sk-secretkey://host/path")
    assert "secret" not in str(caught.value)


def test_an_unknown_setting_is_an_error_that_lists_the_settings() -> None:
    with pytest.raises(TypeError, match=r"there is no setting datakit: .*datakit_url"):
        Settings.read(datakit="http://localhost")


def test_an_argument_overrides_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PREFIX + "SERVICE_NAME", "of the environment")
    assert Settings.read().service_name == "of the environment"
    assert Settings.read(service_name="of the argument").service_name == "of the argument"
    assert Settings.read(service_name=None).service_name == "of the environment"


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    for name in ("DATAKIT_URL", "ENABLED", "MAX_QUEUE", "TAGS", "MEASUREMENT"):
        environment.setenv(PREFIX + name, "")
    assert Settings.read(service_name="shop") == Settings.read(service_name="shop", max_queue=10_000)


def test_a_users_tag_cannot_have_a_reserved_name() -> None:
    for name in RESERVED_NAMES:
        with pytest.raises(ValueError, match=name):
            Settings.read(tags={name: "mine"})


def test_each_service_and_datakit_has_its_own_backlog_by_default() -> None:
    one = Settings.read(service_name="shop")
    assert Settings.read(service_name="shop").backlog == one.backlog
    assert Settings.read(service_name="search").backlog != one.backlog
    assert Settings.read(service_name="shop", datakit_url="http://other:9529").backlog != one.backlog


def test_a_relative_backlog_path_survives_a_change_of_folder(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.chdir(tmp_path)
    backlog = Settings.read(backlog="points.sqlite3").backlog
    environment.chdir("/")
    assert backlog == str(tmp_path / "points.sqlite3")


def test_a_relative_state_home_is_not_used(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("XDG_STATE_HOME", "state")
    assert Path(Settings.read().backlog).is_absolute()


def test_without_a_home_the_backlog_is_in_memory(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("XDG_STATE_HOME")
    environment.setenv("HOME", "nowhere")
    environment.setenv("USERPROFILE", "nowhere")
    environment.delenv("LOCALAPPDATA", raising=False)
    assert Settings.read().backlog == ""


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/srv/shop/worker.py"], "worker"),
        (["/srv/shop/__main__.py"], "shop"),
        (["/usr/bin/gunicorn"], "gunicorn"),
        (["/srv/v1.2"], "v1.2"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_the_service_is_named_after_its_program(
    environment: pytest.MonkeyPatch, argv: "list[str]", name: str
) -> None:
    environment.setattr(sys, "argv", argv)
    assert Settings.read().service_name == name


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.read().enabled = False  # type: ignore[misc]


def test_the_table_has_every_application_setting_with_default_and_help() -> None:
    table = settings_of(APP)
    assert [setting.name for setting in table] == [field.name for field in dataclasses.fields(Settings)]
    for setting in table:
        assert getattr(Settings(), setting.name) == setting.default_in(APP)
        assert setting.help
        assert setting.help_zh


def test_the_table_has_every_func_setting() -> None:
    arguments = list(inspect.signature(ChatGPTMonitor).parameters)
    assert arguments[0] == "dff"
    assert sorted(arguments[1:]) == sorted(setting.name for setting in settings_of(FUNC))


def test_reading_settings_does_not_import_the_sdk() -> None:
    code = "import sys, guance_chatgpt_monitor.app.exporter; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"openai", "httpx", "httpx2"} & set(result.stdout.split())

"""Installing and deploying in Func: the form, the fallback of the key, the auto-trigger, upgrades."""

import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import requests
from stack import KEY, STARTUP

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.server import DeployError, LocalFunc
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"


@pytest.fixture(scope="module")
def shared_func(built: Built) -> Iterator[LocalFunc]:
    """One for all, whose worker imports the SDK once."""
    with LocalFunc(workers=1) as func:
        yield func


@pytest.fixture
def func(shared_func: LocalFunc, built: Built) -> LocalFunc:
    """With the script set installed, and nothing deployed."""
    shared_func.clear()
    shared_func.install(str(built.market_dir))
    return shared_func


def test_deploying_succeeds_with_nothing_filled_in_and_nothing_reachable(func: LocalFunc) -> None:
    assert func.deploy(SET) == STARTUP
    assert 'OPENAI_KEY = "" # OpenAI key' in func.script(STARTUP)
    assert func.cron_jobs == {f"cron-starup-{SET}": (f"{STARTUP}.collect", "* * * * *")}


def test_both_functions_answer_when_nothing_is_reachable(func: LocalFunc) -> None:
    func.deploy(SET, {"DataKit URL": "http://127.0.0.1:9"})
    link = func.add_link(f"{STARTUP}.chat")
    assert requests.post(f"{link}/simplified", json={"question": "Hi"}, timeout=60).status_code == 401
    result = func.fire_cron()[0]
    assert result.status == "success"
    assert "DataKit at http://127.0.0.1:9 cannot be reached" in result.data["problem"]


def test_func_installs_the_set_from_a_market_over_http(built: Built, func: LocalFunc) -> None:
    func.clear()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(built.market_dir))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as market:
        threading.Thread(target=market.serve_forever, daemon=True).start()
        assert func.install(f"http://127.0.0.1:{market.server_address[1]}") == SET
        assert func.deploy(SET) == STARTUP
        market.shutdown()


def test_an_empty_key_falls_back_to_the_environment_variable(func: LocalFunc) -> None:
    with LocalOpenAI() as openai, LocalDataKit() as datakit:
        func.set_env("OPENAI_API_KEY", KEY)
        func.deploy(SET, {"OpenAI base URL": openai.base_url, "DataKit URL": datakit.url})
        link = func.add_link(f"{STARTUP}.chat")
        assert requests.post(f"{link}/simplified", json={"question": "Hi"}, timeout=60).ok
        assert openai.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_func_masks_the_environment_variable_in_the_log(func: LocalFunc) -> None:
    func.set_env("OPENAI_API_KEY", KEY)
    func.deploy(SET)
    func.edit(STARTUP, func.script(STARTUP) + '\nprint(DFF.ENV("OPENAI_API_KEY"))\n')
    assert func.run(STARTUP).log == ("*****",)


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("DataKit URL", "http://", "datakit_url must look like http://localhost:9529"),
        ("DataKit URL", "ftp://host", "datakit_url must look like"),
        ("DataKit URL", "http://host:port", "datakit_url must look like"),
        ("DataKit URL", "sk-proj-0123456789", "datakit_url must look like"),
        ("OpenAI base URL", "api.openai.com", "openai_base_url must look like https://api.openai.com/v1"),
    ],
)
def test_a_wrong_parameter_is_reported_on_deployment(
    func: LocalFunc, label: str, value: str, said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        func.deploy(SET, {label: value})


@pytest.mark.parametrize(
    "setting",
    [
        "measurement='#x'",
        "measurement=5",
        "deadline_s=0",
        "deadline_s=181",
        "deadline_s=float('inf')",
        "deadline_s=True",
        "deadline_s='long'",
        "backlog_max_lines=0",
        "backlog_max_lines=1.5",
        "backlog_max_bytes=True",
        "probe_timeout_s='soon'",
        "probe='perhaps'",
        "tags={'a': 1}",
        "tags={'status': 'mine'}",
        "log_content='perhaps'",
        "redact_patterns=['(']",
        "price_provider='https://api.openai.com/v1'",
        "log_content=True, log_content_max_chars=0",
        "log_content=True, log_content_rate=2",
        "log_content=True, redact_patterns=['(a+)+']",
    ],
)
def test_a_wrong_setting_is_reported_on_deployment(func: LocalFunc, setting: str) -> None:
    func.deploy(SET)
    func.edit(STARTUP, func.script(STARTUP).replace("    DFF,\n", f"    DFF,\n    {setting},\n"))
    result = func.run(STARTUP)
    assert result.status == "failure"
    name = re.findall(r"(\w+)=", setting)[-1]
    assert result.exception.startswith(f"ValueError: {name} must ")


def test_an_upgrade_keeps_the_startup_script(func: LocalFunc, built: Built) -> None:
    func.deploy(SET, {"Service name": "mine"})
    before = func.script(STARTUP)
    func.install(str(built.zip_path))
    func.deploy(SET, {"Service name": "another"})
    assert func.script(STARTUP) == before


def test_settings_of_the_startup_script_reach_the_point(func: LocalFunc) -> None:
    with LocalOpenAI() as openai, LocalDataKit() as datakit:
        servers = {"OpenAI key": KEY, "OpenAI base URL": openai.base_url, "DataKit URL": datakit.url}
        func.deploy(SET, {**servers, "Service name": "shop", "Default model": "gpt-4o"})
        settings = "    DFF,\n    measurement='chatgpt',\n    tags={'env': 'prod'},\n"
        func.edit(STARTUP, func.script(STARTUP).replace("    DFF,\n", settings))
        link = func.add_link(f"{STARTUP}.chat")
        assert requests.post(f"{link}/simplified", json={"question": "Hi"}, timeout=60).ok
        (point,) = datakit.points("chatgpt")
    assert (point.tags["service_name"], point.tags["env"]) == ("shop", "prod")
    assert point.tags["request_model"] == "gpt-4o"


def test_credentials_in_a_url_are_never_shown(func: LocalFunc) -> None:
    parameters = {
        "OpenAI key": KEY,
        "DataKit URL": "http://me:pa55@127.0.0.1:9",
        "OpenAI base URL": "http://me:pa55@127.0.0.1:9/v1",
    }
    func.deploy(SET, parameters)
    link = func.add_link(f"{STARTUP}.chat")
    answer = requests.post(f"{link}/simplified", json={"question": "Hi"}, timeout=60)
    (collected,) = func.fire_cron()
    assert answer.status_code == 502
    assert "http://127.0.0.1:9/v1" in answer.text
    log = [line for record in func.records for line in record["log"]]
    assert "pa55" not in f"{answer.text} {collected.data} {log}"

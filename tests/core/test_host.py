"""The tag `host`: a name that lasts, or none."""

import os
import socket

import pytest

from guance_chatgpt_monitor.core.host import NODE_VARIABLES, own_host


@pytest.fixture
def on_a_host(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pretends to be an ordinary machine, even in a container."""
    for name in (*NODE_VARIABLES, "KUBERNETES_SERVICE_HOST", "container"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    return monkeypatch


def test_a_machine_is_tagged_with_its_name(on_a_host: pytest.MonkeyPatch) -> None:
    assert own_host() == socket.gethostname()


def test_a_container_has_no_host(on_a_host: pytest.MonkeyPatch) -> None:
    on_a_host.setattr(os.path, "exists", lambda path: path == "/.dockerenv")
    assert own_host() == ""


def test_a_pod_is_tagged_with_its_node_if_known(on_a_host: pytest.MonkeyPatch) -> None:
    on_a_host.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert own_host() == ""
    on_a_host.setenv("NODE_NAME", "node-7")
    assert own_host() == "node-7"


@pytest.mark.parametrize(("setting", "host"), [("web-1", "web-1"), ("none", ""), ("off", "")])
def test_the_setting_overrides_the_detected_host(
    on_a_host: pytest.MonkeyPatch, setting: str, host: str
) -> None:
    on_a_host.setenv("NODE_NAME", "node-7")
    assert own_host(setting) == host

"""Fixtures for tests of monitored clients: a pytest plugin."""

import gc

import pytest
from monitored import Api, restart

import guance_chatgpt_monitor
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI


@pytest.fixture(scope="session")
def running_openai():
    with LocalOpenAI() as server:
        yield server


@pytest.fixture
def api(running_openai):
    running_openai.clear()
    running_openai.faults.clear()
    yield Api(running_openai)
    guance_chatgpt_monitor.uninstrument()


@pytest.fixture
def datakit(monkeypatch):
    """A DataKit named in the environment's settings; calls reach it through the exporter."""
    with LocalDataKit(global_tags={}) as datakit:
        monkeypatch.setenv("CHATGPT_MONITOR_DATAKIT_URL", datakit.url)
        monkeypatch.setenv("CHATGPT_MONITOR_BACKLOG", "off")
        monkeypatch.setenv("CHATGPT_MONITOR_SERVICE_NAME", "shop")
        monkeypatch.setenv("CHATGPT_MONITOR_HOST", "web-1")
        restart()
        yield datakit
        guance_chatgpt_monitor.uninstrument()
        gc.collect()  # ends open streams
        guance_chatgpt_monitor.shutdown()

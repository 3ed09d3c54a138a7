"""Fixtures for the whole suite: real servers on loopback, real worker processes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from stack import Stack

from guance_chatgpt_monitor.cli.build import Built, build, default_manifest
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis

pytest_plugins = ["frozen_heap"]

# The tests start hundreds of processes, which share compiled files.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Without deadlines, because they depend on the machine. For `thorough`, see CONTRIBUTING.md.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep backlog files out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        monkeypatch.setenv("NODE_NAME", "local")  # the tag `host` on any machine
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"), default_manifest())


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[LocalRedis | None]:
    """One Redis for all tests, or None if it is not installed; DFF.CACHE is then in memory."""
    redis = LocalRedis().start() if LocalRedis.is_available() else None
    yield redis
    if redis is not None:
        redis.remove()


@pytest.fixture(scope="session")
def running_stack(built: Built, shared_redis: LocalRedis | None) -> Iterator[Stack]:
    with Stack(built, redis_url=shared_redis.url if shared_redis else "") as stack:
        yield stack


@pytest.fixture
def stack(running_stack: Stack) -> Stack:
    """Func with the set deployed, OpenAI and DataKit; fresh for each test, except that workers stay warm."""
    running_stack.reset()
    return running_stack


@pytest.fixture
def package_dir() -> Path:
    import guance_chatgpt_monitor

    return Path(guance_chatgpt_monitor.__file__).parent

"""The first tasks of a Func worker: a failed load leaves nothing behind, and little is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"


@pytest.fixture
def new_stack(built: Built, shared_redis: LocalRedis | None) -> Iterator[Stack]:
    """A Func with one new worker, which has not yet imported the SDK."""
    with Stack(built, redis_url=shared_redis.url if shared_redis else "") as stack:
        stack.func.clear_cache()
        yield stack


def ask_ok(stack: Stack) -> None:
    answer = stack.ask()
    assert answer.status_code == 200, answer.text


# ---- settings that are new to the worker: it loads the set for them ----


def test_a_failed_first_load_leaves_nothing_behind(stack: Stack) -> None:
    stack.configure(tags={"team": "fails at first"})
    script_id = f"{SET}__metrics"
    code = stack.func.script(script_id)
    stack.func.edit(script_id, code + "\nraise RuntimeError('half')\n")
    assert stack.ask().status_code == 599
    stack.func.edit(script_id, code)
    ask_ok(stack)
    assert len(stack.points()) == 1


def test_a_package_installed_after_the_first_task_is_found(stack: Stack) -> None:
    stack.configure(tags={"team": "installs late"})
    code = stack.func.script(STARTUP)
    missing = "import sys\nsys.kept_aside = sys.modules.pop('openai', None)\nsys.modules['openai'] = None\n"
    stack.func.edit(STARTUP, missing + code)
    answer = stack.ask()
    assert answer.status_code == 500
    assert "openai is not installed" in answer.json()["error"]["message"]
    there = (
        "import sys\ndel sys.modules['openai']\nif sys.kept_aside: sys.modules['openai'] = sys.kept_aside\n"
    )
    stack.func.edit(STARTUP, there + code)
    ask_ok(stack)


def kill_by_time_limit(stack: Stack) -> None:
    """What is called must take longer."""
    timeout_s = stack.func.set_timeout(f"{STARTUP}.chat", 2)
    try:
        answer = stack.ask()
    finally:
        stack.func.set_timeout(f"{STARTUP}.chat", timeout_s)
    assert (answer.status_code, answer.json()["error"]) == (599, 599.2)
    stack.datakit.clear()


def endless(begun: Path) -> str:
    """Code that tells that it has begun."""
    return f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(60)\n"


def test_a_task_killed_in_the_middle_of_the_first_load_leaves_nothing_behind(
    stack: Stack, tmp_path: Path
) -> None:
    stack.configure(tags={"team": "killed at first"})
    script_id = f"{SET}__metrics"
    code = stack.func.script(script_id)
    stack.func.edit(script_id, code + "\n" + endless(tmp_path / "begun"))
    try:
        kill_by_time_limit(stack)
    finally:
        stack.func.edit(script_id, code)
    assert (tmp_path / "begun").exists()
    ask_ok(stack)
    assert stack.point().tags["status"] == "ok"


# ---- a new process ----


def test_a_task_killed_during_the_import_of_the_sdk_leaves_nothing_behind(
    new_stack: Stack, tmp_path: Path
) -> None:
    stack = new_stack
    code = stack.func.script(STARTUP)
    (tmp_path / "openai.py").write_text(endless(tmp_path / "begun"))
    stack.func.edit(STARTUP, f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n" + code)
    kill_by_time_limit(stack)
    assert (tmp_path / "begun").exists()
    (tmp_path / "openai.py").unlink()

    # The next call imports the SDK, for longer than its deadline, which counts that time.
    stack.configure(deadline_s=0.05)
    stack.func.edit(
        STARTUP,
        f"import sys\nsys.path[:] = [p for p in sys.path if p != {str(tmp_path)!r}]\n"
        + stack.func.script(STARTUP),
    )
    stack.openai.faults.append("hang")
    assert stack.ask().status_code == 504
    assert stack.point().fields["response_time"] >= 0.05

    stack.configure()
    stack.openai.faults.clear()
    ask_ok(stack)
    assert stack.points()[-1].tags["status"] == "ok"


def test_a_first_call_imports_no_further_part_of_the_sdk(new_stack: Stack) -> None:
    """On Python 3.8, they would take half a second of it."""
    names = "print(*sorted(name for name in sys.modules if name.startswith('openai.')))"
    stack = new_stack
    stack.func.edit("loaded__main", f"import sys\n{names}\n")
    assert stack.func.run("loaded__main").log == ("",)
    stack.func.edit("loaded__main", f"import sys\nimport openai\n{names}\n")
    bare = stack.func.run("loaded__main").log
    ask_ok(stack)
    stack.func.edit("loaded__main", f"import sys\n{names}\n")
    assert stack.func.run("loaded__main").log == bare
    assert "openai._client" in bare[0]


def test_only_a_handful_of_versions_and_settings_is_kept(new_stack: Stack) -> None:
    stack = new_stack
    for n in range(12):
        stack.configure(tags={"team": f"team-{n}"})
        assert stack.post({"no": "question"}).status_code == 400
    main = stack.func.script(f"{SET}__main")
    for n in range(6):
        stack.func.edit(f"{SET}__main", main.replace('SET_VERSION = "', f'SET_VERSION = "{n}'))
        assert stack.post({"no": "question"}).status_code == 400
        if n == 0:
            count = stack.func.script(STARTUP) + (
                "\nimport sys\n"
                "versions = sys.modules['guance_chatgpt_monitor_process'].versions\n"
                "print(len(versions), max(len(kept['monitors']) for kept in versions.values()))\n"
            )
            log = _log_of(stack, count)
            assert log == "2 8"
    assert _log_of(stack, count) == "3 1"


def _log_of(stack: Stack, code: str) -> str:
    stack.func.edit("startup__count", code)
    return stack.func.run("startup__count").log[-1]

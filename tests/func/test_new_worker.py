"""The first tasks of a new Func worker: a failed load leaves nothing behind, and little is kept."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.func.redis_server import LocalRedis

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"


@pytest.fixture
def stack(built: Built, shared_redis: LocalRedis | None) -> Iterator[Stack]:
    """A Func with one new worker."""
    with Stack(built, redis_url=shared_redis.url if shared_redis else "") as stack:
        stack.func.clear_cache()
        yield stack


def ask_ok(stack: Stack) -> None:
    answer = stack.ask()
    assert answer.status_code == 200, answer.text


def test_a_failed_first_load_leaves_nothing_behind(stack: Stack) -> None:
    stack.configure(tags={"team": "another"})
    script_id = f"{SET}__metrics"
    code = stack.func.script(script_id)
    stack.func.edit(script_id, code + "\nraise RuntimeError('half')\n")
    assert stack.ask().status_code == 599
    stack.func.edit(script_id, code)
    ask_ok(stack)
    assert len(stack.points()) == 1


def test_a_package_installed_after_the_first_task_is_found(stack: Stack) -> None:
    code = stack.func.script(STARTUP)
    missing = "import sys\nsys.modules['openai'] = None\n"
    stack.func.edit(STARTUP, missing + code)
    answer = stack.ask()
    assert answer.status_code == 500
    assert "openai is not installed" in answer.json()["error"]["message"]
    there = "import sys\nif sys.modules.get('openai', 1) is None: del sys.modules['openai']\n"
    stack.func.edit(STARTUP, there + code)
    ask_ok(stack)


@pytest.mark.parametrize("where", ["script", "package"])
def test_a_task_killed_in_the_middle_of_the_first_load_leaves_nothing_behind(
    stack: Stack, tmp_path: Path, where: str
) -> None:
    begun = tmp_path / "begun"
    wait = f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(60)\n"
    stack.configure(tags={"team": "another"})
    startup, script_id = stack.func.script(STARTUP), f"{SET}__metrics"
    script = stack.func.script(script_id)
    if where == "script":
        stack.func.edit(script_id, script + "\n" + wait)
    else:
        (tmp_path / "openai.py").write_text(wait)
        stack.func.edit(STARTUP, f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n" + startup)
    timeout_s = stack.func.set_timeout(f"{STARTUP}.chat", 2)
    answer = stack.ask()
    assert (answer.status_code, answer.json()["error"]) == (599, 599.2)
    assert begun.exists()
    stack.func.set_timeout(f"{STARTUP}.chat", timeout_s)
    stack.func.edit(script_id, script)
    stack.func.edit(
        STARTUP, f"import sys\nsys.path[:] = [p for p in sys.path if p != {str(tmp_path)!r}]\n" + startup
    )
    (tmp_path / "openai.py").unlink(missing_ok=True)
    stack.datakit.clear()
    ask_ok(stack)
    assert stack.point().tags["status"] == "ok"


def test_only_a_handful_of_versions_and_settings_is_kept(stack: Stack) -> None:
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


def test_a_first_call_imports_no_further_part_of_the_sdk(stack: Stack) -> None:
    """On Python 3.8, they would take half a second of it."""
    code = "import sys; print(*sorted(name for name in sys.modules if name.startswith('openai.')))"
    bare = subprocess.run(
        [sys.executable, "-c", f"import openai; {code}"], capture_output=True, text=True, check=True
    )
    ask_ok(stack)
    stack.func.edit("loaded__main", f"@DFF.API('loaded')\ndef loaded():\n    {code}\n")
    assert stack.func.run("loaded__main.loaded").log == (bare.stdout.strip(),)

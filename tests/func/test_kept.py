"""What a worker of Func keeps between tasks, and what it must not: the built set in one worker."""

import shutil
from pathlib import Path

import pytest
from stack import KEY, STARTUP, Stack

from guance_chatgpt_monitor.cli.build import Built, build, default_manifest

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"
OTHER_STARTUP = "startup__other"


def loaded(stack: Stack) -> list[str]:
    """What the last task loaded, without the name of the set."""
    return [name.removeprefix(f"{SET}__") for name in stack.func.records[-1]["loaded"]]


def ask_ok(stack: Stack) -> None:
    answer = stack.ask()
    assert answer.status_code == 200, answer.text


# ---- what a task loads ----


def test_a_warm_task_loads_the_startup_script_and_main(stack: Stack) -> None:
    ask_ok(stack)
    ask_ok(stack)
    assert loaded(stack) == [STARTUP, "main"]
    stack.collect()
    assert loaded(stack) == [STARTUP, "main"]


def test_only_what_the_settings_ask_for_is_loaded(stack: Stack) -> None:
    stack.configure(tags={"team": "plain"})
    stack.collect()
    assert "monitor" in loaded(stack)
    for name in ("redaction", "log_line", "transcript", "reconciliation"):
        assert name not in loaded(stack)
    stack.configure(log_content=True)
    code = stack.func.script(STARTUP)
    stack.func.edit(STARTUP, code.replace('OPENAI_ADMIN_KEY = ""', 'OPENAI_ADMIN_KEY = "sk-admin"'))
    stack.collect()
    assert {"redaction", "log_line", "transcript", "reconciliation"} <= set(loaded(stack))


# ---- what is kept belongs to its version and its settings ----


def changed_set(folder: Path, package_dir: Path, name: str, old: str, new: str) -> str:
    """The import zip of a set with one module changed."""
    package = folder / "package" / package_dir.name
    shutil.copytree(package_dir, package)
    path = package / name
    source = path.read_text("utf-8")
    assert old in source
    path.write_text(source.replace(old, new), "utf-8")
    return str(build(folder / "dist", default_manifest(), package).zip_path)


def test_an_upgrade_between_two_tasks_of_a_worker(
    stack: Stack, built: Built, package_dir: Path, tmp_path: Path
) -> None:
    old, new = "question must be a string, not empty", "question must be a string with words"
    upgraded = changed_set(tmp_path, package_dir, "func/request.py", old, new)
    pids = stack.func.worker_pids()
    said = []
    for zip_path in (built.zip_path, upgraded, built.zip_path):
        stack.func.install(str(zip_path))
        said.append(stack.post({"question": 1}).json()["error"]["message"])
    assert said == [old, new, old]
    assert stack.func.worker_pids() == pids


def test_two_startup_scripts_side_by_side(stack: Stack) -> None:
    code = stack.func.script(STARTUP)
    code = code.replace(KEY, "sk-other").replace("    DFF,\n", "    DFF,\n    tags={'side': 'other'},\n")
    stack.func.edit(OTHER_STARTUP, code)
    stack.func.register(OTHER_STARTUP, "chat")
    for _ in range(3):
        assert stack.func.run(f"{STARTUP}.chat", {"question": "Hi"}).status == "success"
        assert stack.func.run(f"{OTHER_STARTUP}.chat", {"question": "Hi"}).status == "success"
        assert loaded(stack)[:2] == [OTHER_STARTUP, "main"]
    assert loaded(stack) == [OTHER_STARTUP, "main"]
    keys = [request.headers["authorization"] for request in stack.openai.requests]
    assert keys == [f"Bearer {KEY}", "Bearer sk-other"] * 3
    assert [point.tags.get("side", "") for point in stack.points()] == ["", "other"] * 3
    stamps = [point.timestamp_ns for point in stack.points()]
    assert stamps == sorted(set(stamps))


def test_the_key_of_an_old_setting_is_not_used_after_it_changes(stack: Stack) -> None:
    code = stack.func.script(STARTUP)
    keys = [KEY, "sk-new", KEY, "sk-newest"]
    for key in keys:
        stack.func.edit(STARTUP, code.replace(KEY, key))
        stack.ask()
    sent = [request.headers["authorization"] for request in stack.openai.requests]
    assert sent == [f"Bearer {key}" for key in keys]


# ---- what belongs to a task ----


def test_lines_are_printed_in_the_task_that_made_the_call(stack: Stack) -> None:
    ask_ok(stack)
    stack.datakit.mode = "403"
    logs = []
    for _ in range(2):
        stack.func.clear_cache()  # forget that DataKit is down
        ask_ok(stack)
        logs.append(stack.func.records[-1]["log"])
    assert logs[0] == logs[1]
    assert "403 publicAccessDisabled" in logs[0][0]


def test_nothing_of_an_ended_task_is_used(stack: Stack) -> None:
    """Each task gets a DFF that refuses to serve once its task has ended."""
    guard = (
        "import types\n"
        "ended = []\n"
        "class Guarded:\n"
        "    def __init__(self, part):\n        self._part = part\n"
        "    def __getattr__(self, name):\n"
        "        if ended:\n            raise RuntimeError('of a task that has ended')\n"
        "        return getattr(self._part, name)\n"
        "real = DFF\n"
        "guarded = types.SimpleNamespace(\n"
        "    CACHE=Guarded(DFF.CACHE), STORE=Guarded(DFF.STORE), RESP=DFF.RESP, ENV=DFF.ENV, API=DFF.API)\n"
    )
    code = guard + stack.func.script(STARTUP).replace("    DFF,\n", "    guarded,\n")
    for name in ("chat(body)", "collect()"):
        code = code.replace(
            f"    return monitor.{name}",
            f"    try:\n        return monitor.{name}\n    finally:\n        ended.append(1)",
        )
    stack.func.edit(STARTUP, code)
    for _ in range(3):
        ask_ok(stack)
        assert stack.func.records[-1]["log"] == ()
        result = stack.collect()
        assert (result.status, result.data["problem"]) == ("success", ""), result
    assert len(stack.points()) == 3

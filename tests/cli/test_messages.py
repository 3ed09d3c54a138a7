"""What the command line says: the same in each language, and with a next step where something is wrong."""

import ast
import importlib
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guance_chatgpt_monitor.cli import messages
from guance_chatgpt_monitor.cli.check.finding import PARTS
from guance_chatgpt_monitor.cli.parser import COMMANDS

FOLDER = Path(messages.__file__).parent
FILES = sorted(path.stem for path in (FOLDER / "en").glob("[a-z]*.py"))
KEY = re.compile(rf"(?:{'|'.join(FILES)})\.\w+")
# Keys that are put together when the program runs: by their beginning.
MADE_UP = ("help.local_", "check.part_", "check.name_", "install.step_", "install.action_", "install.func_")
MADE_UP += ("check.key_", "check.openai_", "check.datakit_", "tools.top_")  # type: ignore[assignment]


def texts(language: str) -> dict[str, Any]:
    found = {}
    for file in FILES:
        module = importlib.import_module(f"{messages.__name__}.{language}.{file}")
        found.update({f"{file}.{name}": text for name, text in module.TEXTS.items()})
    return found


def fields(text: Any) -> list[set[str]]:
    """The names in braces, of a text or of each part of a problem."""
    parts = [text] if isinstance(text, str) else list(text)
    return [{name for _, name, _, _ in string.Formatter().parse(part) if name} for part in parts]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in FOLDER.parent.rglob("*.py"):
        if FOLDER not in path.parents:
            yield path, ast.parse(path.read_text("utf-8"))


def keys_in_code() -> set[str]:
    found = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                found.add(node.value)
    return {key for key in found if not key.endswith("_")}


def test_each_language_has_the_same_messages() -> None:
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert type(text) is type(chinese[key]), key
        # What stands in the one may stand in either part of the other.
        assert set().union(*fields(text)) == set().union(*fields(chinese[key])), key


def test_chinese_is_chinese() -> None:
    """But for what has no words: an address, a number, a command."""
    for key, text in texts("zh").items():
        whole = text if isinstance(text, str) else "".join(text)
        words = re.sub(r"\{\w+(?:!r)?\}|https?://\S+|[\w.-]+=\S*", "", whole)
        if key.endswith("_example") or key in ("check.name_func", "install.step_openai_key"):
            continue
        if re.search(r"[A-Za-z]{3,}.* [a-z]{3,}", words) or not re.search(r"[A-Za-z]", words):
            assert re.search(r"[\u4e00-\u9fff]", whole) or not re.search(r"[A-Za-z]{2}", words), key


def test_a_problem_has_a_next_step_in_each_language() -> None:
    for language in messages.LANGUAGES:
        for key, text in texts(language).items():
            if not isinstance(text, str):
                what, next_step = text
                assert what.strip(), key
                assert len(next_step.strip()) >= 4, key


def test_what_the_code_says_is_there_and_nothing_else() -> None:
    used, there = keys_in_code(), set(texts("en"))
    near = {"common.unknown_command", "common.unknown_option", "common.unknown_word", "common.not_a_choice"}
    used |= {f"{key}_near" for key in near} | {"common.error", "common.next"}
    used |= {f"help.{name}" for name in COMMANDS} | {f"help.{name}_example" for name in COMMANDS}
    used |= {f"check.name_{name}" for name in PARTS} | {f"check.part_{part}" for part in PARTS.values()}
    used |= {f"check.{status}" for status in ("ok", "warn", "fail")}
    assert used - there == set()
    left = {key for key in there - used if not key.startswith(MADE_UP)}
    assert left == set()


def test_each_message_gets_the_values_that_it_names() -> None:
    """Where its key stands in the call."""
    there = texts("en")
    for path, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or any(keyword.arg is None for keyword in node.keywords):
                continue
            keys = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value in there]
            for key in keys:
                named = set().union(*fields(there[key]))
                given = {keyword.arg for keyword in node.keywords}
                added = {
                    "status",
                    "reason",
                    "program",
                    "word",
                }  # by LinkError, FuncError, _RefusedError, refuse()
                assert named <= given | added, (path.name, node.lineno, key)


@pytest.mark.parametrize(
    ("environment", "encoding", "language"),
    [
        ({}, "utf-8", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.GBK"}, "gbk", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "ascii", "en"),  # it could not be read
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "utf-8", "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.UTF-8", "CHATGPT_MONITOR_LANG": "en"}, "utf-8", "en"),
        ({"CHATGPT_MONITOR_LANG": "zh"}, "ascii", "zh"),
        ({"CHATGPT_MONITOR_LANG": "klingon", "LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
    ],
)
def test_the_language_is_that_of_the_locale(
    environment: dict[str, str], encoding: str, language: str
) -> None:
    assert messages.language_of(environment, encoding) == language

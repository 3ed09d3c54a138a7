"""What the command line says: the same in each language, and with a next step for each problem."""

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
from guance_chatgpt_monitor.cli.messages.zh import quoted
from guance_chatgpt_monitor.cli.parser import COMMANDS
from guance_chatgpt_monitor.core.settings import read_settings, settings_of
from guance_chatgpt_monitor.core.settings_table import APP, FUNC

FOLDER = Path(messages.__file__).parent
FILES = sorted(path.stem for path in (FOLDER / "en").glob("[a-z]*.py"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
KEY = re.compile(rf"(?:{'|'.join(FILES)})\.\w+")


def texts(language: str) -> dict[str, Any]:
    found = {}
    for file in FILES:
        module = importlib.import_module(f"{messages.__name__}.{language}.{file}")
        found.update({f"{file}.{name}": text for name, text in module.TEXTS.items()})
    return found


def fields(text: Any) -> list[set[str]]:
    """The names in braces, of a string or of each part of a problem."""
    parts = [text] if isinstance(text, str) else list(text)
    return [{name for _, name, _, _ in string.Formatter().parse(part) if name} for part in parts]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in FOLDER.parent.rglob("*.py"):
        if FOLDER not in path.parents:
            yield path, ast.parse(path.read_text("utf-8"))


def keys_in_code() -> set[str]:
    """Whole keys, and the beginning, up to a `_`, of those that are put together."""
    found = set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                found.add(node.value)
    return found


def test_each_language_has_the_same_messages() -> None:
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert type(text) is type(chinese[key]), key
        # A value may be in another part of the translation.
        assert set().union(*fields(text)) == set().union(*fields(chinese[key])), key


def test_each_chinese_message_is_in_chinese() -> None:
    """Except what has no words: an address, a number, a command."""
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


def test_each_used_message_exists_and_each_message_is_used() -> None:
    used, there = keys_in_code(), set(texts("en"))
    used |= {"common.error", "common.next", "common.warning"}
    used |= {f"help.{name}" for name in COMMANDS} | {f"help.{name}_example" for name in COMMANDS}
    used |= {f"check.name_{name}" for name in PARTS} | {f"check.part_{part}" for part in PARTS.values()}
    used |= {f"check.{status}" for status in ("ok", "warn", "fail")}
    beginnings = tuple(key for key in used if key.endswith("_"))
    assert used - there - set(beginnings) == set()
    assert {key for key in there - used if not key.startswith(beginnings)} == set()


def test_each_message_gets_the_values_that_it_names() -> None:
    """If the call contains its key."""
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


# ---- what other parts of the package say, in English only ----

ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")
# The modules whose messages users see, and the calls that get these messages.
SPEAKERS = {
    "core/validators.py": "ValueError",
    "core/metrics.py": "ValueError",
    "core/prices.py": "ValueError",
    "core/content/redaction_patterns.py": "ValueError",
    "core/datakit.py": "ValueError DataKitError",
    "core/delivery.py": "DataKitError",
    "app/run.py": "ValueError warn",
    "assets/guance_openapi.py": "GuanceError",
    "func/request.py": "BadRequestError",
    "func/guard_rails.py": "",
    "func/chatgpt.py": "error_body",
    "func/probe.py": "_not_probed",
}


@pytest.fixture
def chinese() -> Iterator[None]:
    messages.use_language("zh")
    yield
    messages.use_language("en")


def said_in(path: Path, names: str) -> Iterator[str]:
    """What is passed to calls of `names`, assigned to a `message` or in a table; values become `x1`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        said: list[ast.expr] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names.split():
            said = node.args[:1]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "message":
            said = [node.value]
        for expression in said:
            if isinstance(expression, (ast.Constant, ast.JoinedStr)):
                yield in_words(expression)
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Dict, ast.Constant)):
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield re.sub(r"\{\w+\}", "x1", value.value.lstrip(": "))


def in_words(expression: "ast.Constant | ast.JoinedStr") -> str:
    parts = expression.values if isinstance(expression, ast.JoinedStr) else [expression]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x1" for part in parts)


@pytest.mark.parametrize("name", SPEAKERS)
def test_messages_outside_the_command_line_are_translated(name: str, chinese: None) -> None:
    originals = list(said_in(FOLDER.parent.parent / name, SPEAKERS[name]))
    assert originals
    for message in originals:
        whole = f"CHATGPT_MONITOR_X {message}" if message.startswith("must ") else message
        if ENGLISH.search(whole):
            assert CHINESE.search(messages.translated(whole)), whole
            said = messages.translated(whole).replace("guance-chatgpt-monitor run python app.py", "")
            assert not ENGLISH.search(said), said


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    ["", "no such value", "x" * 5000, -1, None, [], ["x"] * 200, {"question": "1"}, {"": ""}, ["("], [""]],
)
def test_a_wrong_setting_is_reported_in_chinese(value: Any, chinese: None) -> None:
    assert_reported_in_chinese(value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "value", [["(a+)+b"], ["x" * 600], {str(n): "x" for n in range(300)}, "/", "\0", float("nan"), b"x"]
)
def test_an_almost_valid_setting_is_reported_in_chinese(value: Any, chinese: None) -> None:
    assert_reported_in_chinese(value)


def assert_reported_in_chinese(value: Any) -> None:
    """For every setting that refuses `value`."""
    for world in (APP, FUNC):
        for setting in settings_of(world):
            said = fault(world, setting.name, value)
            assert CHINESE.search(said) or not said, said
            assert not ENGLISH.search(said), said


def fault(world: str, name: str, value: Any) -> str:
    """What the command line says about the value; "" if it is accepted."""
    try:
        read_settings(world, {name: (f"CHATGPT_MONITOR_{name.upper()}", value)})
    except ValueError as error:
        return messages.translated(str(error))
    return ""


def test_a_translation_names_only_values_of_its_original() -> None:
    for original, translation in quoted.TEXTS.items():
        assert fields(translation)[0] <= fields(original)[0], original


def test_a_third_partys_message_is_not_translated(chinese: None) -> None:
    said = "Incorrect API key provided: sk-1. You can find your API key at https://platform.openai.com."
    assert messages.translated(said) == said


@pytest.mark.parametrize(
    ("environment", "encoding", "language"),
    [
        ({}, "utf-8", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.GBK"}, "gbk", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "ascii", "en"),  # ASCII cannot show Chinese
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

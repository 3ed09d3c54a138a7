"""The documentation is true: its links lead somewhere, its commands exist, its snippets run."""

import ast
import io
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from preloaded import with_sdk
from stack import KEY, Stack

from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/*/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "openai.md"  # the integration pages have the format of Guance's site: see tests/assets
)
_LINK = re.compile(r"\[[^\[\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# Not our commands, so not checked.
_OTHER_PROGRAMS = {
    "cd",
    "pytest",
    "curl",
    "export",
    "git",
    "pip",
    "python",
    "source",
    "uvicorn",
    "docker",
    "opentelemetry-instrument",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> list[str]:
    found = _FENCE.findall(path.read_text("utf-8"))
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, kind, code in found
        if kind in languages
    ]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text("utf-8"))
    for target in _LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def test_the_modules_named_in_architecture_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`((?:core|func|app|cli|assets|local)/[a-z_/]+(?:\.py)?)`", text))
    package = ROOT / "guance_chatgpt_monitor"
    missing = {
        path for path in named if not (package / path).exists() and not (package / f"{path}.py").exists()
    }
    assert len(named) >= 10
    assert not missing


def test_every_page_exists_in_both_languages() -> None:
    english = {path.name for path in (ROOT / "docs" / "en").glob("*.md")}
    assert english == {path.name for path in (ROOT / "docs" / "zh").glob("*.md")}


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES if path.parent.name == "en"))
def test_both_languages_show_the_same_code(name: str) -> None:
    kinds = ("bash", "shell", "python")
    english, chinese = (blocks(ROOT / "docs" / language / name, *kinds) for language in ("en", "zh"))

    def bare(code: str) -> str:
        return re.sub(r"\s*#.*", "", code)

    assert [bare(code) for code in english] == [bare(code) for code in chinese]


def commands(page: Path) -> list[str]:
    """The command lines of a page, in code blocks and in prose."""
    text = "\n".join(blocks(page, "bash", "shell")).replace("\\\n", " ")
    prose = _FENCE.sub("", page.read_text("utf-8"))
    inline = [
        code
        for code in re.findall(r"`([^`]+)`", prose)
        if re.match(r"(guance-chatgpt-monitor|make) \w", code)
    ]
    return [line for line in [*text.splitlines(), *inline] if line.strip() and not line.startswith("#")]


@lru_cache(maxsize=None)
def help_of(*command: str) -> str:
    with redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return printed.getvalue()


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_exist_with_the_options_shown(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for line in commands(page):
        words = shlex.split(line.replace("<(", " ").replace(")", " "), comments=True)
        while words and ("=" in words[0] or words[0] in ("opentelemetry-instrument", "source")):
            words.pop(0)
        if words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word} <= targets, line
        elif words[:1] == ["guance-chatgpt-monitor"]:
            _check_options(words[1:], line)
        else:
            assert not words or words[0] in _OTHER_PROGRAMS, line


def _check_options(words: list[str], line: str) -> None:
    command = []
    for word in words:
        if word.startswith("-") or "|" in word or not re.fullmatch(r"[a-z]+", word):
            break
        command.append(word)
        if command[0] != "local":
            break
    printed = help_of(*command)
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    if command[:1] == ["run"]:
        options = options[: words.index("python") - 1] if "python" in words else []
    for option in options:
        assert option in printed, line


class Messages(LocalServer):
    """Anthropic's Messages API, reduced to one answer."""

    def respond(self, _: Request) -> Response:
        usage = {"input_tokens": 9, "output_tokens": 4}
        content = [{"type": "text", "text": "Hello"}]
        answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
        return Response(200, {**answer, "content": content, "stop_reason": "end_turn", "usage": usage})


@pytest.fixture
def anthropic_url() -> Iterator[str]:
    with Messages() as server:
        yield server.url


# What the pages take as given: the reader's client, and names that the snippet before has imported.
_GIVEN = {
    "OpenAI": "from openai import OpenAI",
    "monitor": "from guance_chatgpt_monitor import monitor",
    "observe": "from guance_chatgpt_monitor import observe",
    "messages": 'messages = [{"role": "user", "content": "Hi"}]',
    "ask_some_other_way": (
        "def ask_some_other_way():\n"
        '    choices = [{"finish_reason": "stop"}]\n'
        '    return {"model": "my-model", "usage": {"total_tokens": 3}, "choices": choices}'
    ),
}


def snippets() -> Iterator[tuple[str, str]]:
    """Each Python snippet once, with its first place: the languages differ only in comments."""
    seen = set()
    for page in PAGES:
        for number, code in enumerate(blocks(page, "python"), 1):
            what_runs = ast.dump(ast.parse(code))
            if what_runs not in seen:
                seen.add(what_runs)
                yield f"{name_of(page)}-{number}", code


def given_to(code: str) -> str:
    """The lines that define what a snippet uses and does not import itself."""
    nodes = list(ast.walk(ast.parse(code)))
    imported = {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return "".join(f"{line}\n" for name, line in _GIVEN.items() if name in used - imported)


SNIPPETS = dict(snippets())


def test_the_chinese_pages_have_no_snippet_of_their_own() -> None:
    """So `test_snippets_run`, which runs each once, runs those of both languages."""
    assert not [place for place in SNIPPETS if ".zh." in place or "/zh/" in place]


@pytest.mark.parametrize("code", SNIPPETS.values(), ids=SNIPPETS)
def test_snippets_run(code: str, stack: Stack, anthropic_url: str, tmp_path: Path) -> None:
    code = given_to(code) + code.replace("http://FUNC:8088/api/v1/al/LINK/simplified", stack.link)
    for package in re.findall(r"^(?:import|from) ([\w.]+)", code, re.MULTILINE):
        if not is_installed(package):
            pytest.skip(f"{package} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)
        compile(code, "<snippet>", "exec")
    environment = {
        **os.environ,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": stack.openai.base_url,
        "ANTHROPIC_API_KEY": "sk-ant-none",
        "ANTHROPIC_BASE_URL": anthropic_url,
        "CHATGPT_MONITOR_DATAKIT_URL": stack.datakit.url,
        "CHATGPT_MONITOR_BACKLOG": "off",
    }
    done = with_sdk().run(code, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:  # not even what contains it is
        return False


def test_the_tables_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr

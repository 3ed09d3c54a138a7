"""The command line in a terminal, in a pipe, at 60 columns, in a Chinese locale, with GBK, without colour."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import pytest
from command_line import Said

from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.cli.messages import use_language
from guance_chatgpt_monitor.cli.terminal import display_width, printable, use_color, wrap
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "guance_chatgpt_monitor"]
NOBODY = "http://127.0.0.1:9"
COLOR = re.compile(r"\x1b\[[0-9;]*m")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def environment(**env: str) -> dict[str, str]:
    """A shell's environment, in English unless `env` says otherwise."""
    names = ("NO_COLOR", "CHATGPT_MONITOR_LANG", "LC_MESSAGES", "OPENAI_API_KEY", "FUNC_URL", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", **env}


class Terminal:
    """A command in a pseudo-terminal; `shown` is all that it wrote."""

    def __init__(self, *arguments: str, columns: int = 80, **env: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**env),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(slave)
        self._bytes = b""

    def read_until(self, wanted: str = "") -> str:
        """What was shown once `wanted` appeared; without it, at the end."""
        while not wanted or wanted not in self.shown:
            ready, _, _ = select.select([self._master], [], [], 60)
            assert ready, f"nothing more after: {self.shown}"
            try:
                read = os.read(self._master, 4096)
            except OSError:  # the other end is closed
                read = b""
            if not read:
                assert not wanted, self.shown
                break
            self._bytes += read
        return self.shown

    @property
    def shown(self) -> str:
        return self._bytes.decode("utf-8", "replace")

    def end(self) -> int:
        self.read_until()
        os.close(self._master)
        return self.process.wait(timeout=30)


def piped(*arguments: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, check=False, env=environment(**env))


class Here:
    """Runs commands in this process, which has all imported, with the environment of a shell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def piped(self, *arguments: str, encoding: str = "utf-8", **env: str) -> Said:
        """With its output in pipes, as far as it can tell."""
        out, errors = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
        code = self._run(out, errors, arguments, env)
        for pipe in (out, errors):
            pipe.seek(0)
        return Said(code, out.read(), errors.read())

    def shown(self, *arguments: str, columns: int = 80, **env: str) -> Said:
        """On a pseudo-terminal; all of it is `out`."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        shown = bytearray()
        reader = threading.Thread(target=_read_all, args=(master, shown))
        reader.start()
        with os.fdopen(slave, "w", encoding="utf-8") as terminal, self._monkeypatch.context() as patch:
            patch.setattr(sys, "__stdout__", terminal)  # where Python looks for the width
            code = self._run(terminal, terminal, arguments, env)
        reader.join()
        os.close(master)
        return Said(code, shown.decode("utf-8"), "")

    def _run(self, out: TextIO, errors: TextIO, arguments: tuple[str, ...], env: dict[str, str]) -> int:
        wanted = environment(**env)
        for name in set(os.environ) - set(wanted):
            self._monkeypatch.delenv(name)
        for name, value in wanted.items():
            self._monkeypatch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code: Any = main(list(arguments))
            except SystemExit as ended:  # after --help
                code = ended.code
            out.flush()
            errors.flush()
        return int(code)


def _read_all(terminal: int, read: bytearray) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 4096):
            read += piece


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    yield Here(monkeypatch)
    use_language("en")
    use_color(True)


class Link(LocalServer):
    """An authorization link that answers with these strings, once `released`."""

    def __init__(self, content: str = "hello", model: str = "m") -> None:
        super().__init__()
        self._answer = {"model": model, "choices": [{"message": {"role": "assistant", "content": content}}]}
        self.released = threading.Event()
        self.released.set()

    def respond(self, _: Request) -> Response:
        self.released.wait(60)
        return Response(200, self._answer)

    @property
    def link(self) -> str:
        return f"{self.url}/api/v1/al/abc"


class Ping(LocalServer):
    """Answers every request as a DataKit of this version and host."""

    def __init__(self, version: str, host: str) -> None:
        super().__init__()
        self._answer = {"content": {"version": version, "host": host}}

    def respond(self, _: Request) -> Response:
        return Response(200, self._answer, headers={"X-Datakit": "1.84.1/kit"})


@pytest.fixture
def datakit() -> Iterator[LocalDataKit]:
    with LocalDataKit() as server:
        yield server


# ---- colour ----


def test_a_terminal_gets_colour_and_a_pipe_does_not(here: Here, datakit: LocalDataKit) -> None:
    terminal = Terminal("check", "--datakit", datakit.url)
    assert terminal.end() == 0
    assert "\x1b[32mok" in terminal.shown
    assert "\x1b" not in here.piped("check", "--datakit", datakit.url).out


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--no-color", "check"], {}),
        (["check", "--no-color"], {}),
        (["check"], {"NO_COLOR": "1"}),
        (["check"], {"TERM": "dumb"}),
    ],
)
def test_colour_can_be_switched_off(
    here: Here, datakit: LocalDataKit, arguments: list[str], env: dict[str, str]
) -> None:
    said = here.shown(*arguments, "--datakit", datakit.url, **env)  # type: ignore[arg-type]
    assert said.code == 0
    assert "ok" in said.out
    assert not COLOR.search(said.out)


# ---- width ----


@pytest.mark.parametrize("language", ["en", "zh"])
def test_check_fits_in_60_columns(here: Here, datakit: LocalDataKit, language: str) -> None:
    datakit.counters.upload_status = "Forbidden"
    said = here.shown("check", "--datakit", datakit.url, "--lang", language, columns=60)
    assert said.code == 2
    lines = COLOR.sub("", said.out).splitlines()
    assert len(lines) > 15
    assert [line for line in lines if display_width(line) > 60] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_fits_in_60_columns(language: str) -> None:
    terminal = Terminal("--help", "--lang", language, columns=60)
    assert terminal.end() == 0
    head = re.split(r"^(?:examples:|示例：)", terminal.shown, flags=re.MULTILINE)[0]
    assert [line for line in head.splitlines() if display_width(line) > 60] == []


def test_lines_break_at_spaces_and_between_chinese_characters() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("数据点的时间会被改写", 8) == ["数据点的", "时间会被", "改写"]
    assert wrap("时间，改写", 4) == ["时", "间，", "改写"]
    assert wrap("http://host:9529/too/long", 8) == ["http://host:9529/too/long"]


def test_in_a_pipe_a_finding_is_one_line(here: Here, datakit: LocalDataKit) -> None:
    lines = here.piped("check", "--datakit", datakit.url, COLUMNS="60").out.splitlines()
    assert any(len(line) > 80 for line in lines)


# ---- language and encoding ----


def test_a_chinese_locale_gets_chinese(here: Here, datakit: LocalDataKit) -> None:
    said = here.shown("check", "--datakit", datakit.url, LC_ALL="zh_CN.UTF-8")
    assert said.code == 0
    assert "正常" in said.out
    assert "DataKit -> 工作空间" in said.out


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["instal"], ["check", "--opnai"]])
def test_help_and_errors_are_in_chinese_too(here: Here, arguments: list[str]) -> None:
    said = here.piped(*arguments, CHATGPT_MONITOR_LANG="zh").everything
    assert CHINESE.search(said)
    assert not re.search(r"usage|error:|next:|options:", said)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "no-such-program"], 127, "错误：找不到程序 no-such-program\n"),
        (["run", "--strict", "true"], 1, "错误：CHATGPT_MONITOR_TAGS 应形如 team=web,region=eu\n"),
        (["run", "true"], 0, "程序照常启动，但未被监控：CHATGPT_MONITOR_TAGS 应形如 team=web,region=eu\n"),
    ],
)
def test_messages_of_run_are_in_chinese(arguments: list[str], code: int, said: str) -> None:
    done = piped(*arguments, CHATGPT_MONITOR_LANG="zh", CHATGPT_MONITOR_TAGS="web")
    assert done.returncode == code
    assert said in done.stderr.decode()


def test_a_socket_error_is_in_chinese(here: Here) -> None:
    said = here.piped("check", "--datakit", "unix:///no/such.sock", CHATGPT_MONITOR_LANG="zh")
    assert "无法连接 DataKit（unix:///no/such.sock）：FileNotFoundError" in said.out


def test_output_can_be_gbk(here: Here, datakit: LocalDataKit) -> None:
    said = here.piped("check", "--datakit", datakit.url, LC_ALL="zh_CN.GBK", encoding="gbk")
    assert said.code == 0
    assert "正常" in said.out
    done = piped("--help", LC_ALL="zh_CN.GBK", PYTHONIOENCODING="gbk")
    assert "用法：" in done.stdout.decode("gbk")


def test_characters_that_gbk_lacks_are_shown_as_escapes() -> None:
    with Link("hi \U0001f600") as link:
        done = piped("ask", "Hi", "--link", link.link, PYTHONIOENCODING="gbk")
    assert (done.returncode, done.stdout) == (0, b"hi \\U0001f600\n")


def test_json_has_english_names_in_every_language(here: Here, datakit: LocalDataKit) -> None:
    command = ("check", "--datakit", datakit.url, "--json")
    english, chinese = (
        json.loads(here.piped(*command).out),
        json.loads(here.piped(*command, "--lang", "zh").out),
    )
    names = [[row["name"] for row in said["findings"]] for said in (english, chinese)]
    assert names[0] == names[1]
    assert set(english["findings"][0]) == {"name", "status", "what", "next_step"}
    assert CHINESE.search(json.dumps(chinese, ensure_ascii=False))


def test_lang_after_assets_chooses_only_the_language_of_the_assets(here: Here, tmp_path: Any) -> None:
    said = here.piped("assets", "--lang", "zh", "--out", str(tmp_path), "--apply", "--site", "nowhere")
    assert said.err.startswith("error: ")
    said = here.piped("--lang", "zh", "assets", "--lang", "en", "--out", str(tmp_path))
    assert "/en/" in said.out


def test_run_passes_on_the_options_of_its_program() -> None:
    done = piped("run", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--lang", "zh", "--no-color")
    assert done.stdout.decode() == "['--lang', 'zh', '--no-color']\n"


# ---- waiting ----


def test_ask_says_that_it_waits_and_then_clears_the_line() -> None:
    with Link() as link:
        link.released.clear()
        terminal = Terminal("ask", "Hi", "--link", link.link)
        terminal.read_until("waiting for ChatGPT's answer")
        link.released.set()
        assert terminal.end() == 0
    *_, last = terminal.shown.split("\r\x1b[K")
    assert last.startswith("hello")


def test_in_a_pipe_ask_says_once_that_it_waits() -> None:
    with Link() as link:
        link.released.clear()
        process = subprocess.Popen(
            [*COMMAND, "ask", "Hi", "--link", link.link],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting for ChatGPT's answer …\n".encode()
        link.released.set()
        out, errors = process.communicate(timeout=30)
    assert out == b"hello\n"
    assert b"waiting" not in errors


def test_ctrl_c_ends_ask_with_a_message() -> None:
    with Link() as link:
        link.released.clear()
        terminal = Terminal("ask", "Hi", "--link", link.link)
        terminal.read_until("waiting for ChatGPT's answer")
        terminal.process.send_signal(signal.SIGINT)
        code = terminal.end()
        link.released.set()
    assert code == 130
    assert COLOR.sub("", terminal.shown).rstrip().endswith("stopped by Ctrl-C")
    assert "Traceback" not in terminal.shown


# ---- what comes from outside ----

ESCAPES = "\x1b]0;mine\x07\x1b[2Jhello\x9b31m\u202e!"


def test_a_models_answer_cannot_move_the_cursor() -> None:
    with Link(ESCAPES + "\n\ttwo", model="m\x1b[31m\nforged: line") as link:
        terminal = Terminal("ask", "Hi", "--link", link.link, NO_COLOR="1")
        assert terminal.end() == 0
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", terminal.shown)
    assert "\\x1b]0;mine\\x07\\x1b[2Jhello" in terminal.shown
    assert "\n\ttwo" in terminal.shown.replace("\r\n", "\n")
    assert not re.search(r"^forged", terminal.shown, re.MULTILINE)


def test_what_a_datakit_says_is_one_printable_line(here: Here) -> None:
    with Ping("1.84.1\x1b[31m", "kit\x07\nok    all is well") as datakit:
        said = here.piped("check", "--datakit", datakit.url).out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "version 1.84.1\\x1b[31m, host kit\\x07 ok    all is well" in said


def test_json_has_no_control_characters(here: Here) -> None:
    with Link(ESCAPES) as link:
        said = here.piped("ask", "Hi", "--link", link.link, "--json")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.out)
    assert json.loads(said.out)["text"] == ESCAPES


def test_printable_returns_a_printable_string_unchanged() -> None:
    text = "Ein Wort, 一个词, \U0001f600\n\tend"
    assert printable(text) == text


# ---- imports ----


def test_help_imports_nothing_slow() -> None:
    """Slow to import: the SDK and HTTP, YAML, the stand-ins."""
    code = """import sys
from guance_chatgpt_monitor.cli.main import main
heavy = {"openai", "httpx", "requests", "yaml", "sqlite3", "asyncio", "urllib3", "ssl", "dataclasses"}
for words in ("--version", "--help", "check --help", "install --help", "instal"):
    try:
        main(words.split())
    except SystemExit:
        pass
    print(words, sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    imported = [line for line in done.stderr.splitlines() if line.endswith("]")]
    assert imported == [
        "--version []",
        "--help []",
        "check --help []",
        "install --help []",
        "instal []",
    ]


def test_the_package_exports_its_names_without_importing_openai() -> None:
    code = (
        "import guance_chatgpt_monitor as m, sys; assert 'openai' not in sys.modules\n"
        "from guance_chatgpt_monitor import *\n"
        "assert set(m.__all__) <= set(dir(m)); assert m.observe is observe\n"
        "try: m.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'guance_chatgpt_monitor' has no attribute 'nothing'\n"

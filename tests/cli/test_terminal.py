"""The command line in a terminal, in a pipe, at 60 columns, in a Chinese locale, with GBK, without colour."""

import fcntl
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
from typing import Any

import pytest

from guance_chatgpt_monitor.cli.terminal import display_width, printable, wrap
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


def test_a_terminal_gets_colour_and_a_pipe_does_not(datakit: LocalDataKit) -> None:
    terminal = Terminal("check", "--datakit", datakit.url)
    assert terminal.end() == 0
    assert "\x1b[32mok" in terminal.shown
    assert b"\x1b" not in piped("check", "--datakit", datakit.url).stdout


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--no-color", "check"], {}),
        (["check", "--no-color"], {}),
        (["check"], {"NO_COLOR": "1"}),
        (["check"], {"TERM": "dumb"}),
    ],
)
def test_colour_can_be_switched_off(datakit: LocalDataKit, arguments: list[str], env: dict[str, str]) -> None:
    terminal = Terminal(*arguments, "--datakit", datakit.url, **env)  # type: ignore[arg-type]
    assert terminal.end() == 0
    assert "ok" in terminal.shown
    assert not COLOR.search(terminal.shown)


# ---- width ----


@pytest.mark.parametrize("language", ["en", "zh"])
def test_check_fits_in_60_columns(datakit: LocalDataKit, language: str) -> None:
    datakit.counters.upload_status = "Forbidden"
    terminal = Terminal("check", "--datakit", datakit.url, "--lang", language, columns=60)
    assert terminal.end() == 2
    lines = COLOR.sub("", terminal.shown).splitlines()
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


def test_in_a_pipe_a_finding_is_one_line(datakit: LocalDataKit) -> None:
    lines = piped("check", "--datakit", datakit.url, COLUMNS="60").stdout.decode().splitlines()
    assert any(len(line) > 80 for line in lines)


# ---- language and encoding ----


def test_a_chinese_locale_gets_chinese(datakit: LocalDataKit) -> None:
    terminal = Terminal("check", "--datakit", datakit.url, LC_ALL="zh_CN.UTF-8", PYTHONUTF8="1")
    assert terminal.end() == 0
    assert "正常" in terminal.shown
    assert "DataKit -> 工作空间" in terminal.shown


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["instal"], ["check", "--opnai"]])
def test_help_and_errors_are_in_chinese_too(arguments: list[str]) -> None:
    done = piped(*arguments, CHATGPT_MONITOR_LANG="zh")
    said = (done.stdout + done.stderr).decode()
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


def test_a_socket_error_is_in_chinese() -> None:
    done = piped("check", "--datakit", "unix:///no/such.sock", CHATGPT_MONITOR_LANG="zh")
    assert "无法连接 DataKit（unix:///no/such.sock）：FileNotFoundError" in done.stdout.decode()


def test_output_can_be_gbk(datakit: LocalDataKit) -> None:
    done = piped("check", "--datakit", datakit.url, LC_ALL="zh_CN.GBK", PYTHONIOENCODING="gbk")
    assert done.returncode == 0
    assert "正常" in done.stdout.decode("gbk")
    done = piped("--help", LC_ALL="zh_CN.GBK", PYTHONIOENCODING="gbk")
    assert "用法：" in done.stdout.decode("gbk")


def test_characters_that_gbk_lacks_are_shown_as_escapes() -> None:
    with Link("hi \U0001f600") as link:
        done = piped("ask", "Hi", "--link", link.link, PYTHONIOENCODING="gbk")
    assert (done.returncode, done.stdout) == (0, b"hi \\U0001f600\n")


def test_json_has_english_names_in_every_language(datakit: LocalDataKit) -> None:
    english = json.loads(piped("check", "--datakit", datakit.url, "--json").stdout)
    chinese = json.loads(piped("check", "--datakit", datakit.url, "--json", "--lang", "zh").stdout)
    names = [[row["name"] for row in said["findings"]] for said in (english, chinese)]
    assert names[0] == names[1]
    assert set(english["findings"][0]) == {"name", "status", "what", "next_step"}
    assert CHINESE.search(json.dumps(chinese, ensure_ascii=False))


def test_lang_after_assets_chooses_only_the_language_of_the_assets(tmp_path: Any) -> None:
    done = piped("assets", "--lang", "zh", "--out", str(tmp_path), "--apply", "--site", "nowhere")
    assert done.stderr.startswith(b"error: ")
    done = piped("--lang", "zh", "assets", "--lang", "en", "--out", str(tmp_path))
    assert b"/en/" in done.stdout


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


def test_what_a_datakit_says_is_one_printable_line() -> None:
    with Ping("1.84.1\x1b[31m", "kit\x07\nok    all is well") as datakit:
        done = piped("check", "--datakit", datakit.url)
    assert b"\x1b" not in done.stdout
    assert b"\x07" not in done.stdout
    assert "version 1.84.1\\x1b[31m, host kit\\x07 ok    all is well" in done.stdout.decode()


def test_json_has_no_control_characters() -> None:
    with Link(ESCAPES) as link:
        done = piped("ask", "Hi", "--link", link.link, "--json")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout.decode())
    assert json.loads(done.stdout)["text"] == ESCAPES


def test_printable_returns_a_printable_string_unchanged() -> None:
    text = "Ein Wort, 一个词, \U0001f600\n\tend"
    assert printable(text) == text


# ---- imports ----


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["check", "--help"], ["install", "--help"], ["instal"]]
)
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    """Slow to import: the SDK and HTTP, YAML, the stand-ins."""
    code = f"""import sys
from guance_chatgpt_monitor.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = {{"openai", "httpx", "requests", "yaml", "sqlite3", "asyncio", "urllib3", "ssl", "dataclasses"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stderr.splitlines()[-1] == "[]"


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

"""Terminal output: colour, width, a moving line while waiting; control characters are written out."""

import json
import os
import re
import shutil
import sys
import threading
import time
import unicodedata
from typing import Any, Callable, List, Optional, TextIO

from .messages import text

WAIT_SHOWN_AFTER_S = 2.0
_FRAME_S = 0.2
_FRAMES = "|/-\\"
_ERASE_LINE = "\r\x1b[K"
_COLORS = {"ok": "32", "warn": "33", "fail": "31", "dim": "2", "bold": "1"}
# C0 except tab and line feed, DEL, C1, and characters that change the writing direction.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# Where a line may be broken: at spaces, and after a Chinese character, but not before its punctuation.
_CHINESE = "\u2e80-\u9fff\uff00-\uffef"
_PARTS = re.compile(rf"\s+|[^\s{_CHINESE}]+|[{_CHINESE}][，。；：、）」]?")

_lock = threading.RLock()
_waiting: Optional["Waiting"] = None
_color_wanted = True


def use_color(wanted: bool) -> None:
    """Allow colour on terminals, or not."""
    global _color_wanted
    _color_wanted = wanted


def printable(value: object) -> str:
    """`value` as a string with control characters written out, as in `\\x1b`; tabs and line breaks stay."""
    return _CONTROL.sub(_written_out, str(value))


def one_line(value: object) -> str:
    """`value` as one printable line."""
    return printable(str(value).replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def _written_out(found: "re.Match[str]") -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def to_json(value: Any, indent: Optional[int] = 2) -> str:
    """`value` as JSON for a script, safe to be shown: its control characters are escaped, of C1 as well."""
    dumped = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", dumped)


def prepare_output() -> None:
    """Keep characters that the encoding lacks, and closed outputs, from raising."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as after `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(line: str, file: Optional[TextIO] = None) -> None:
    """Print a line at once. A reader who is gone, as in `| head -1`, does not end the command."""
    with _lock:
        if _waiting is not None:
            _waiting.erase()
        try:
            print(line, file=file, flush=True)
        except BrokenPipeError:
            discard_output()


def report(label: str, message: str, file: Optional[TextIO] = None) -> None:
    """Print `message` as one line after the label `error`, `warning` or `next`."""
    color = {"error": "fail", "warning": "warn", "next": "bold"}[label]
    say(paint(text(f"common.{label}"), color, file) + one_line(message).strip(), file)


def progress(as_json: bool) -> Callable[[str], None]:
    """Prints progress line by line; on standard error if the result is JSON."""
    return lambda line: say(one_line(line), sys.stderr if as_json else sys.stdout)


def discard_output() -> None:
    """Send whatever is printed from now on, also while Python exits, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


# ---- colour and width ----


def paint(line: str, color: str, file: Optional[TextIO] = None) -> str:
    """`line` in a colour (ok, warn, fail, dim, bold), if `file` is a terminal with colour."""
    if not has_color(file or sys.stdout):
        return line
    return f"\x1b[{_COLORS[color]}m{line}\x1b[0m"


def has_color(file: TextIO) -> bool:
    """Whether `file` gets colour: see https://no-color.org; a dumb terminal gets none."""
    wanted = _color_wanted and not os.environ.get("NO_COLOR")
    return wanted and is_terminal(file) and os.environ.get("TERM") != "dumb"


def is_terminal(file: TextIO) -> bool:
    try:
        return file.isatty()
    except ValueError:  # it is closed
        return False


def line_width(file: Optional[TextIO] = None) -> Optional[int]:
    """The width of the terminal in columns; None without one, where lines are not wrapped."""
    return shutil.get_terminal_size().columns if is_terminal(file or sys.stdout) else None


def display_width(line: str) -> int:
    """The columns that `line` takes: a Chinese character takes two."""
    return sum(_columns(character) for character in line)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(line: str, columns: int) -> str:
    """`line`, filled up with spaces."""
    return line + " " * (columns - display_width(line))


def shorten(line: str, columns: int) -> str:
    """`line`, cut to `columns`."""
    if display_width(line) <= columns:
        return line
    kept, used = "", 0
    for character in line:
        used += _columns(character)
        if used > columns - 1:
            break
        kept += character
    return kept + "~"


def wrap(line: str, columns: int) -> List[str]:
    """`line`, wrapped to `columns` at spaces and between Chinese characters."""
    lines, current = [], ""
    for part in _PARTS.findall(line):
        if current and display_width(current + part.rstrip()) > columns:
            lines.append(current.rstrip())
            current = ""
        if current or not part.isspace():
            current += part
    return [*lines, current.rstrip()] if current.strip() or not lines else lines


# ---- waiting ----


class Waiting:
    """Says what the block waits for once it runs longer than two seconds: a moving line on a terminal.

    Without a terminal, one line. On standard error, so that standard output can be piped.
    """

    def __init__(self, what: str, after_s: float = WAIT_SHOWN_AFTER_S, file: Optional[TextIO] = None) -> None:
        self._what = one_line(what)
        self._after_s = after_s
        self._file: TextIO = file or sys.stderr
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._shown = False
        self._outer: Optional[Waiting] = None

    def __enter__(self) -> "Waiting":
        global _waiting
        self._outer, _waiting = _waiting, self
        self._started_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        global _waiting
        self._ended.set()
        self._thread.join()
        with _lock:
            self.erase()
            _waiting = self._outer

    def erase(self) -> None:
        """Erase the line if it is shown. Needs the lock."""
        if self._shown:
            self._write(_ERASE_LINE)
            self._shown = False

    def _show(self) -> None:
        if self._ended.wait(self._after_s):
            return
        if not is_terminal(self._file) or os.environ.get("TERM") == "dumb":
            say(f"{self._what} …", self._file)
            return
        n_frame = 0
        while not self._ended.is_set():
            with _lock:
                if _waiting is self:
                    self._draw(_FRAMES[n_frame % len(_FRAMES)])
            n_frame += 1
            self._ended.wait(_FRAME_S)

    def _draw(self, frame: str) -> None:
        seconds = f" {time.monotonic() - self._started_s:.0f} s"
        columns = shutil.get_terminal_size().columns - 1 - len(seconds) - 2
        self._write(f"{_ERASE_LINE}{frame} {shorten(self._what, columns)}{seconds}")
        self._shown = True

    def _write(self, characters: str) -> None:
        try:
            self._file.write(characters)
            self._file.flush()
        except (OSError, ValueError):
            self._ended.set()

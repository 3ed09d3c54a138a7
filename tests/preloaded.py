"""Programs in processes of their own that do not import everything again.

To import openai takes a second, and our exporter a quarter. So a process that has imported what the programs
need, and has done nothing else, forks one for each of them. A program runs there as `__main__`, on the main
thread, with the environment, the folder and the arguments it was given; it can be killed, and at its end the
interpreter is finalized. Only a test of the start itself needs a Python of its own.

Runs on Python 3.8, and in any Python: this file is also the program of the process that forks.
"""

import array
import atexit
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Sequence

TESTS = Path(__file__).resolve().parent
TIMEOUT_S = 60.0


class Done(NamedTuple):
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """A program that is running; like a Popen whose output is text."""

    def __init__(self, reports: socket.socket, stdout: IO[str], stderr: IO[str]) -> None:
        self._reports = reports.makefile()
        reports.close()
        self.stdout = stdout
        self._stderr = stderr
        self.pid = int(self._reports.readline())
        self.returncode = 0

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        try:
            self.send_signal(signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait(self) -> int:
        """Wait for the end; return the exit code, or the negated number of the signal that killed it."""
        said = self._reports.readline()
        if said:
            self.returncode = int(said)
        return self.returncode

    def communicate(self) -> Done:
        """Wait for the end, but kill the program if it has not come after a minute."""
        alarm = threading.Timer(TIMEOUT_S, self.kill)
        alarm.start()
        try:
            stdout = self.stdout.read()
            self.wait()
        finally:
            alarm.cancel()
        self.stdout.close()
        self._reports.close()
        with self._stderr:
            self._stderr.seek(0)
            return Done(self.returncode, stdout, self._stderr.read())


class Preloaded:
    """A Python that has executed `imports`, and can start programs."""

    def __init__(self, python: str, imports: str) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CHATGPT_MONITOR_")
        }
        folders = [str(TESTS.parent), str(TESTS)]
        self._process = subprocess.Popen(
            [python, __file__, imports],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,  # as its programs have, so that `sys.stdout` does not try to seek
            env={**environment, "PYTHONPATH": os.pathsep.join(folders)},
        )
        theirs.close()
        atexit.register(self._end)

    def start(
        self, code: str, environment: Dict[str, str], folder: Any = ".", arguments: Sequence[str] = ()
    ) -> Program:
        reports, theirs = socket.socketpair()
        read, write = os.pipe()
        errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the program is its owner
        asked = {
            "code": code,
            "environment": environment,
            "folder": str(folder),
            "arguments": ["-c", *arguments],
        }
        passed = array.array("i", [theirs.fileno(), write, errors.fileno()])
        message = json.dumps(asked).encode() + b"\n"
        n_sent = self._socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        self._socket.sendall(message[n_sent:])
        theirs.close()
        os.close(write)
        return Program(reports, os.fdopen(read), errors)

    def run(
        self, code: str, environment: Dict[str, str], folder: Any = ".", arguments: Sequence[str] = ()
    ) -> Done:
        return self.start(code, environment, folder, arguments).communicate()

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.lru_cache(maxsize=None)
def preloaded(imports: str, python: str = sys.executable) -> Preloaded:
    """The process with these imports, started on first use and kept for all tests."""
    return Preloaded(python, imports)


# The SDK, its HTTP package and prices, which cost most; and what of ours a monitored call needs.
SDK = """
import json, openai
import guance_chatgpt_monitor.app.exporter, guance_chatgpt_monitor.app.observe
from guance_chatgpt_monitor import instrument, monitor
try:
    import genai_prices
except ImportError:
    pass
"""


def with_sdk() -> Preloaded:
    return preloaded(SDK)


# ---- the process that forks ----


def _receive(control: socket.socket) -> "tuple[Dict[str, Any], List[int]]":
    passed = array.array("i")
    message, ancillary, _, _ = control.recvmsg(1 << 16, socket.CMSG_SPACE(3 * passed.itemsize))
    for _, _, data in ancillary:
        passed.frombytes(data)
    while message and not message.endswith(b"\n"):
        message += control.recv(1 << 16)
    return (json.loads(message) if message else {}), list(passed)


def _next_program() -> str:
    """Fork a program each time one is asked for; returns its code, and that only in its own process."""
    control = socket.socket(fileno=os.dup(0))
    while True:
        asked, passed = _receive(control)
        if not asked:
            os._exit(0)  # the tests are over
        if os.fork() == 0:
            break
        for descriptor in passed:
            os.close(descriptor)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
    # This process is the parent of the program, and reports how it ends.
    control.close()
    reports, stdout, stderr = passed
    program = os.fork()
    if program:
        os.close(stdout)
        os.write(reports, b"%d\n" % program)
        status = os.waitpid(program, 0)[1]
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        os.write(reports, b"%d\n" % code)
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, number)
    for descriptor in (nothing, *passed):
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv[:] = asked["arguments"]
    sys.path[0] = ""  # as for `python -c`
    code = asked["code"]
    assert isinstance(code, str)
    return code


if __name__ == "__main__":
    exec(sys.argv[1], {})
    gc.collect()
    gc.freeze()  # the end of a program then takes a quarter of the time
    _code = compile(_next_program(), "<string>", "exec")
    # Not frozen, and nothing frozen refers to it: what a program leaves in it is collected first, as usual.
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(_code, vars(sys.modules["__main__"]))

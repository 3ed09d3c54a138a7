"""A real Redis of our own on loopback, where the machine has `redis-server`: what Func keeps DFF.CACHE in."""

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Optional

START_TIMEOUT_S = 10.0
_POLL_S = 0.01


class LocalRedis:
    """`start()`, `stop()` and `start()` again: the data is kept, as Func runs it."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="local-redis-")
        self._port = _free_port()
        self._process: Optional[subprocess.Popen[bytes]] = None

    @staticmethod
    def is_available() -> bool:
        """Whether both the server and Python's `redis` package are here."""
        return bool(shutil.which("redis-server") and importlib.util.find_spec("redis"))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> "LocalRedis":
        """Start the server and wait until it answers. Raises TimeoutError."""
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--dir", self._directory]
        command += ["--appendonly", "yes", "--save", "", "--loglevel", "warning"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
        until_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > until_s or self._process.poll() is not None:
                raise TimeoutError("redis-server did not start")
            time.sleep(_POLL_S)
        return self

    def stop(self) -> None:
        """Stop the server; its data stays until `remove()`."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop, and delete the data."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port

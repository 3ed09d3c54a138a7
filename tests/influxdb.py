"""A real InfluxDB 1.x, if installed, with its data in the test's folder."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

STARTUP_S = 20.0
DATABASE = "guance"


@contextmanager
def running_influxdb(folder: Path) -> Iterator["InfluxDB"]:
    """An InfluxDB with an empty database; skips the test if there is no influxd."""
    binary = shutil.which("influxd")
    if binary is None:
        pytest.skip("influxd is not installed (Debian: apt-get install influxdb)")
    influxdb = InfluxDB(binary, folder)
    try:
        influxdb.wait()
        influxdb.execute(f'CREATE DATABASE "{DATABASE}"')
        yield influxdb
    finally:
        influxdb.stop()


class InfluxDB:
    """A real influxd on free ports of loopback, with its data under `folder`."""

    def __init__(self, binary: str, folder: Path) -> None:
        http_port, backup_port = free_ports(2)
        self.url = f"http://127.0.0.1:{http_port}"
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy
        config = folder / "influxdb.conf"
        config.write_text(
            f"""
            reporting-disabled = true
            bind-address = "127.0.0.1:{backup_port}"
            [meta]
              dir = "{folder}/meta"
            [data]
              dir = "{folder}/data"
              wal-dir = "{folder}/wal"
              query-log-enabled = false
            [monitor]
              store-enabled = false
            [http]
              bind-address = "127.0.0.1:{http_port}"
              log-enabled = false
            """
        )
        self.log = folder / "influxd.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([binary, "-config", str(config)], stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until it answers /ping. Raises RuntimeError if it ended, TimeoutError if it takes too long."""
        deadline_s = time.monotonic() + STARTUP_S
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"influxd ended:\n{self.log.read_text()[-2000:]}")
            try:
                if self.session.get(f"{self.url}/ping", timeout=1).status_code == 204:
                    return
            except requests.ConnectionError:
                time.sleep(0.02)
        raise TimeoutError(f"influxd did not answer within {STARTUP_S} s:\n{self.log.read_text()[-2000:]}")

    def write(self, lines: list[str]) -> None:
        answer = self.session.post(
            f"{self.url}/write", params={"db": DATABASE, "precision": "n"}, data="\n".join(lines).encode()
        )
        assert answer.status_code == 204, answer.text

    def execute(self, statement: str) -> list[dict[str, Any]]:
        answer = self.session.post(f"{self.url}/query", params={"db": DATABASE}, data={"q": statement})
        [result] = answer.json()["results"]
        assert "error" not in result, (statement, result)
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def ask(self, statement: str) -> dict[Any, Any]:
        """The values of one aggregate, by group and interval."""
        by_time = "time(" in statement
        return {
            (tuple(sorted(series.get("tags", {}).items())), row[0] if by_time else None): row[1]
            for series in self.execute(statement)
            for row in series["values"]
            if row[1] is not None
        }

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports

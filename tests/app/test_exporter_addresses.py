"""How the exporter reaches DataKit: over TLS with a private CA, a unix socket, or through a Dataway."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from exporting import WAIT_S, WatchedDataKit, known_by, settings, stamps_in, submit

from guance_chatgpt_monitor.app.exporter import Exporter
from guance_chatgpt_monitor.local.datakit.dataway import LocalDataway


@pytest.fixture
def datakit() -> Iterator[WatchedDataKit]:
    with WatchedDataKit() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backlog.sqlite3"


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    target.close()


class Relay:
    """Passes each connection to `listening` on to a DataKit; with `context`, after a TLS handshake."""

    def __init__(self, listening: socket.socket, port: int, context: ssl.SSLContext | None = None) -> None:
        self._listening, self._port, self._context = listening, port, context
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue  # refused by the client
            except OSError:
                return
            datakit = socket.create_connection(("127.0.0.1", self._port))
            for ends in ((connection, datakit), (datakit, connection)):
                threading.Thread(target=pump, args=ends, daemon=True).start()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1; its key is beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("making the certificate needs openssl")
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *options.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem"


@pytest.fixture
def tls_url(certificate: Path, datakit: WatchedDataKit) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Relay(listening, datakit.port, context)
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"


def test_points_arrive_over_tls_with_the_given_ca(
    datakit: WatchedDataKit, path: Path, tls_url: str, certificate: Path
) -> None:
    exporter = Exporter(settings(tls_url, path, datakit_ca=str(certificate)))
    stamps = submit(exporter, 3)
    assert exporter.flush(WAIT_S)
    exporter.shutdown()
    assert datakit.stamps() == stamps
    assert stamps_in(path) == []


def test_points_wait_while_the_certificate_is_untrusted(
    datakit: WatchedDataKit, path: Path, tls_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Exporter(settings(tls_url, path))
    stamps = submit(exporter, 3)
    exporter.shutdown()
    assert datakit.count("openai") == 0
    assert stamps_in(path) == stamps
    assert "wait in the backlog" in caplog.text


def test_points_arrive_through_a_unix_socket(datakit: WatchedDataKit, path: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "datakit.sock"))
        listening.listen()
        Relay(listening, datakit.port)
        exporter = Exporter(settings(f"unix://{tmp_path}/datakit.sock", path))
        stamps = submit(exporter, 3)
        assert exporter.flush(WAIT_S)
        exporter.shutdown()
    assert datakit.stamps() == stamps


@pytest.mark.parametrize("token", ["tkn_right", "tkn_wrong"])
def test_a_dataway_takes_points_only_with_its_token(
    path: Path, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    with LocalDataway("tkn_right") as dataway:
        exporter = Exporter(settings(f"{dataway.url}?token={token}", path))
        stamps = submit(exporter, 3)
        assert exporter.flush(WAIT_S)
        exporter.shutdown()
        arrived = [known_by(point.timestamp_ns) for point in dataway.points("openai")]
    if token == "tkn_right":
        assert arrived == stamps
        assert caplog.text == ""
    else:
        assert arrived == []
        assert "tokenNotFound" in caplog.text
        assert stamps_in(path) == stamps  # they wait for the right token
    assert token not in caplog.text

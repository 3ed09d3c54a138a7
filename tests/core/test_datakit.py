"""Our client for DataKit's write API, against the stand-in."""

import gzip
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guance_chatgpt_monitor.core.datakit import DataKit, DataKitError, check_url
from guance_chatgpt_monitor.core.datakit_connection import MAX_ANSWER_BYTES
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

NOW_NS = 1_700_000_000 * 10**9


@pytest.fixture
def server() -> Iterator[LocalDataKit]:
    with LocalDataKit(clock_ns=lambda: NOW_NS) as server:
        yield server


@pytest.fixture
def datakit(server: LocalDataKit) -> DataKit:
    return DataKit(server.url)


def lines(count: int) -> list[str]:
    return [f"openai,n={n} question=1.0 {NOW_NS + n}" for n in range(count)]


def test_only_a_large_body_is_compressed(server: LocalDataKit, datakit: DataKit) -> None:
    datakit.write(lines(1))
    datakit.write(lines(500))
    assert [request.encoding for request in server.requests_received] == ["", "gzip"]
    assert server.count() == 500


def test_one_connection_serves_all_writes(server: LocalDataKit, datakit: DataKit) -> None:
    for _ in range(20):
        datakit.write(lines(1))
    assert server.connections == 1


def test_a_restart_of_datakit_loses_no_write(server: LocalDataKit, datakit: DataKit) -> None:
    datakit.write(lines(1))
    server.stop()
    server.start()
    datakit.write(lines(2))
    assert server.count() == 2


def test_proxies_from_the_environment_are_ignored(
    server: LocalDataKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    DataKit(server.url).write(lines(1))
    assert server.count() == 1


@pytest.mark.parametrize(
    ("category", "apis"),
    [
        ("metric", '["/v1/write/metric", "/v1/ping"]'),
        ("logging", '["/v1/write/metric", "/v1/write/logging", "/v1/ping"]'),
    ],
)
def test_a_403_names_the_apis_to_make_public(server: LocalDataKit, category: str, apis: str) -> None:
    server.mode = "403"
    with pytest.raises(DataKitError) as caught:
        DataKit(server.url).write(lines(1), category)
    assert str(caught.value).endswith(f"in datakit.conf [http_api] public_apis = {apis}")


@pytest.mark.parametrize(
    ("mode", "reason", "status_code", "lines_refused"),
    [
        ("400", "invalidLinePoint", 400, True),
        ("403", "publicAccessDisabled", 403, False),
        ("408", "408", 408, False),
        ("413", "413", 413, True),
        ("426", "426", 426, False),
        ("429", "reachMaxAPILimit", 429, False),
        ("500", "500", 500, False),
        ("503", "503", 503, False),
        ("reset", "connection", None, False),
        ("hang", "timeout", None, False),
    ],
)
def test_each_failure_has_its_reason(
    server: LocalDataKit, mode: str, reason: str, status_code: int | None, lines_refused: bool
) -> None:
    server.mode = mode
    with pytest.raises(DataKitError) as caught:
        DataKit(server.url, read_timeout_s=0.2).write(lines(1))
    error = caught.value
    assert (error.reason, error.status_code, error.lines_refused) == (reason, status_code, lines_refused)
    assert server.url in str(error)


def test_a_refused_body_is_not_quoted(datakit: DataKit) -> None:
    secret = "very-private"
    with pytest.raises(DataKitError) as caught:
        datakit.write([f"openai,tag={secret} question=oops{'x' * MAX_ANSWER_BYTES} 1"])
    assert caught.value.reason == "invalidLinePoint"
    assert secret not in str(caught.value)


def test_write_returns_whether_datakit_named_itself(server: LocalDataKit, datakit: DataKit) -> None:
    assert datakit.write(lines(1)) is True
    server.mode = "no_header200"
    assert datakit.write(lines(1)) is False


def test_ping_returns_version_and_host(datakit: DataKit) -> None:
    info = datakit.ping()
    assert (info.version, info.host) == ("1.84.1", "local")


PAGE = "<!doctype html><title>Sign in</title>"


class Page(LocalServer):
    """Any web server: gives every request the same answer."""

    def __init__(self, *answer: Any) -> None:
        super().__init__()
        self._answer = answer

    def respond(self, request: Request) -> Response:
        return Response(*self._answer)


@pytest.mark.parametrize(
    "answer",
    [
        (200, PAGE, "text/html"),
        (200, "", "text/html; charset=utf-8"),
        (200, PAGE, ""),
        (200, gzip.compress(PAGE.encode()), "", {"Content-Encoding": "gzip"}),
        (200, '{"ok": true}', "application/json"),
        (200, '{"login": "https://portal.example.org"}', ""),
        (204, ""),
        (302, "", "", {"Location": "https://portal.example.org"}),
    ],
)
def test_an_answer_from_another_server_is_not_a_delivery(answer: tuple[Any, ...]) -> None:
    with Page(*answer) as page, pytest.raises(DataKitError, match="check the DataKit URL") as caught:
        DataKit(page.url).write(lines(1))
    assert not caught.value.lines_refused


@pytest.mark.parametrize("answer", [(200, PAGE, "text/html"), (200, "\ufeff\n" + PAGE, "")])
def test_a_page_in_place_of_a_dataway_is_not_a_delivery(answer: tuple[Any, ...]) -> None:
    with Page(*answer) as page, pytest.raises(DataKitError, match="is not a Dataway") as caught:
        DataKit(page.url + "?token=tkn_1").write(lines(1))
    assert not caught.value.lines_refused


class Dripping(LocalServer):
    """Sends a header byte by byte, forever."""

    def respond(self, request: Request) -> None:
        try:
            request.send_raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.stopping.wait(0.02):
                request.send_raw(b".")
        except OSError:
            pass


@pytest.mark.parametrize("asks", ["write", "ping"])
def test_an_answer_sent_byte_by_byte_times_out(asks: str) -> None:
    with Dripping() as server:
        datakit = DataKit(server.url, read_timeout_s=0.3)
        started_s = time.monotonic()
        with pytest.raises(DataKitError, match="does not answer in time"):
            datakit.write(lines(1)) if asks == "write" else datakit.ping()
        assert time.monotonic() - started_s < 10  # the server never stops


def test_a_body_that_nobody_reads_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        datakit = DataKit(f"http://127.0.0.1:{listening.getsockname()[1]}", read_timeout_s=0.3)
        incompressible = [f"m f={random.random()}" * 100 for _ in range(20_000)]
        with pytest.raises(DataKitError, match="does not answer in time"):
            datakit.write(incompressible)


@pytest.mark.parametrize(
    ("uptime", "uptime_s"),
    [
        ("532.1ms", 0.5321),
        ("12.3s", 12.3),
        ("1h2m3.456s", 3723.456),
        ("100h0m0s", 360_000.0),
        ("5\u00b5s", 5e-6),
        ("soon", None),
        ("", None),
        ("5", None),
    ],
)
def test_uptime_is_read_in_gos_format(uptime: str, uptime_s: float | None) -> None:
    class Pinged(LocalServer):
        def respond(self, request: Request) -> Response:
            return Response(200, {"content": {"version": "1", "host": "h", "uptime": uptime}})

    with Pinged() as server:
        assert DataKit(server.url).ping().uptime_s == (None if uptime_s is None else pytest.approx(uptime_s))


def test_a_unix_socket_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "datakit.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        received: list[bytes] = []

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Datakit: 1/h\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert DataKit(f"unix://{path}").write(lines(1))
        thread.join(10)
    assert received[0].startswith(b"POST /v1/write/metric?input=")


def test_a_dataways_token_is_sent_but_never_shown(server: LocalDataKit) -> None:
    datakit = DataKit(server.url + "?token=tkn_secret")
    assert datakit.write(lines(1))
    (request,) = server.requests_received
    assert (request.path, request.query["token"]) == ("/v1/write/metric", "tkn_secret")
    assert datakit.ping().uptime_s is None
    server.mode = "500"
    with pytest.raises(DataKitError) as caught:
        datakit.write(lines(1))
    assert "tkn" not in str(caught.value) + datakit.url


def test_datakit_can_be_told_to_add_no_host(server: LocalDataKit) -> None:
    DataKit(server.url, adds_host=False).write(lines(1))
    assert server.points()[0].tags == {"n": "0"}


def test_a_ping_answered_by_another_server_is_an_error() -> None:
    with Page(200, PAGE) as page, pytest.raises(
        DataKitError, match="not as a DataKit: check the DataKit URL"
    ):
        DataKit(page.url).ping()


class WantsTLS(LocalServer):
    """Answers plain HTTP the way Go's net/http does."""

    def respond(self, request: Request) -> Response:
        return Response(400, "Client sent an HTTP request to an HTTPS server.\n", "text/plain")


def test_a_400_from_another_server_does_not_refuse_the_lines() -> None:
    with WantsTLS() as server, pytest.raises(DataKitError, match="does it want https") as caught:
        DataKit(server.url).write(lines(1))
    assert not caught.value.lines_refused


class Rewriting(LocalServer):
    """A gateway that replaces the body and keeps the headers of the DataKit behind it."""

    def respond(self, request: Request) -> Response:
        return Response(400, "bad request", "text/plain", {"X-Datakit": "1.84.1/local"})


def test_a_400_with_datakits_header_refuses_the_lines() -> None:
    with Rewriting() as server, pytest.raises(DataKitError) as caught:
        DataKit(server.url).write(lines(1))
    assert caught.value.lines_refused


def test_nothing_listening_is_reported_at_once() -> None:
    with pytest.raises(DataKitError, match="cannot be reached"):
        DataKit("http://127.0.0.1:9").ping()


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("http://localhost:9529", "http://localhost:9529"),
        (" https://datakit.example.org/ ", "https://datakit.example.org"),
        ("10.0.0.1:9529", "http://10.0.0.1:9529"),
        ("http://[::1]:9529", "http://[::1]:9529"),
        ("unix:///var/run/datakit.sock", "unix:///var/run/datakit.sock"),
        ("https://openway.guance.com/?token=tkn_1", "https://openway.guance.com?token=tkn_1"),
    ],
)
def test_urls_are_normalized(url: str, checked: str) -> None:
    assert check_url(url) == checked


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://h",
        "http://h:p",
        "http://h:0",
        "http://h/v1/write",
        "http://h?a=b",
        "unix://h/p",
        "unix:///",
    ],
)
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the DataKit URL must look like"):
        check_url(url)

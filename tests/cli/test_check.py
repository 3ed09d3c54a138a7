"""check: whatever is wrong is named, with its cause and the next step; the exit code is that of the worst."""

import importlib.metadata
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine, Said

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.cli.check.finding import Finding
from guance_chatgpt_monitor.cli.check.func import check_func
from guance_chatgpt_monitor.cli.func_client import AccessKey, FuncClient
from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.cli.messages import text
from guance_chatgpt_monitor.local.datakit.dataway import LocalDataway
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.server import AccessKey as LocalKey
from guance_chatgpt_monitor.local.func.server import LocalFunc
from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"
STARTUP = f"startup__{SET}"
KEY = "sk-secretkey-0123456789abcdef"
AK_SECRET = "ak-secret-0123456789"
NOBODY = "http://127.0.0.1:9"
HOUR_NS = 3600 * 10**9


class FixedServer(LocalServer):
    """Gives every request the same answer."""

    def __init__(self, status_code: int, body: Any, content_type: str = "text/html") -> None:
        super().__init__()
        self._response = (status_code, body, content_type)

    def respond(self, _: Request) -> Response:
        return Response(*self._response)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    for name in ("LINK", "LINK_SECRET", "DATAKIT_URL", "LOG_CONTENT"):
        monkeypatch.delenv("CHATGPT_MONITOR_" + name, raising=False)
    for name in ("FUNC_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return CommandLine(capsys)


def findings(said: Said) -> dict[str, tuple[str, str]]:
    """The printed findings: name -> status, and what was found with its next step."""
    found: dict[str, tuple[str, str]] = {}
    name = ""
    for line in said.out.splitlines()[:-1]:
        if line.startswith("        next: "):
            found[name] = (found[name][0], f"{found[name][1]} {line.strip()}")
        elif line.startswith("  "):
            name = line[8:28].strip()
            found[name] = (line[2:7].strip(), line[29:])
    return found


# ---- OpenAI ----


@pytest.fixture(scope="module")
def openai_server() -> Iterator[LocalOpenAI]:
    with LocalOpenAI() as server:
        yield server


@pytest.fixture
def openai(openai_server: LocalOpenAI) -> LocalOpenAI:
    openai_server.clear()
    openai_server.faults.clear()
    return openai_server


def test_openai_is_asked_at_the_address_the_sdk_uses(
    run: CommandLine, openai: LocalOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
    assert findings(run("check", "--openai"))["OpenAI reachable"] == ("ok", openai.base_url)


def test_checking_a_working_openai_uses_no_tokens(run: CommandLine, openai: LocalOpenAI) -> None:
    said = run("check", "--openai", "--openai-base-url", openai.base_url)
    assert said.code == 0
    assert findings(said)["OpenAI key"] == ("ok", "accepted (from $OPENAI_API_KEY)")
    assert findings(said)["default model"] == ("ok", "gpt-4o-mini is allowed")
    assert [(r.method, r.path) for r in openai.requests] == [("GET", "/v1/models")]


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        ("401", "OpenAI key", "refused (401): wrong or revoked next: make a new key at"),
        (
            "403",
            "OpenAI key",
            "not allowed (403): the key is restricted, or OpenAI does not serve this region",
        ),
        ("429", "OpenAI key", "rate limited (429) next: wait a minute"),
        (
            "500",
            "OpenAI reachable",
            "answers 500, but without a list of models next: wait, and see https://status.openai.com",
        ),
        ("html200", "OpenAI reachable", "answers 200, but without a list of models next: check the base URL"),
        ("404", "OpenAI reachable", "answers 404, but without a list of models next: check the base URL"),
        ("reset", "OpenAI reachable", "broke before an answer came"),
    ],
)
def test_each_fault_of_openai_is_a_failure_with_its_cause(
    run: CommandLine, openai: LocalOpenAI, fault: str, name: str, said: str
) -> None:
    openai.faults.append(fault)
    result = run("check", "--openai", "--openai-base-url", openai.base_url)
    assert result.code == 2
    status, what = findings(result)[name]
    assert status == "fail"
    assert said in what


def test_a_model_the_key_does_not_allow_is_a_failure(run: CommandLine, openai: LocalOpenAI) -> None:
    said = run("check", "--openai", "--openai-base-url", openai.base_url, "--model", "gpt-none")
    status, what = findings(said)["default model"]
    assert (said.code, status) == (2, "fail")
    assert "the key does not allow gpt-none next: allow it for the key's project, or choose one of" in what
    assert "gpt-4o-mini" in what


def test_a_missing_key_is_a_failure(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    said = run("check", "--openai")
    assert findings(said)["OpenAI key"] == (
        "fail",
        "$OPENAI_API_KEY holds no key next: export OPENAI_API_KEY=…",
    )


def test_a_key_that_cannot_be_sent_is_reported_but_not_shown(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-broken\nkey")
    said = run("check", "--openai", "--openai-base-url", NOBODY)
    assert said.code == 2
    assert "the OpenAI key has spaces, line breaks" in said.out
    assert "sk-broken" not in said.everything


# ---- in between: refusals, proxies, TLS ----


def test_a_refused_connection_is_explained(run: CommandLine) -> None:
    said = run("check", "--openai", "--openai-base-url", NOBODY)
    assert findings(said)["OpenAI reachable"] == (
        "fail",
        "connection refused: nothing listens at 127.0.0.1:9 next: check host and port, and that it runs",
    )


def test_a_login_page_is_not_a_refusal_of_the_key(run: CommandLine) -> None:
    with FixedServer(401, "<html>Sign in") as server:
        found = findings(run("check", "--openai", "--openai-base-url", server.url))
    assert "answers 401, but without a list of models" in found["OpenAI reachable"][1]
    assert "OpenAI key" not in found


@pytest.mark.parametrize(
    ("part", "option", "path"),
    [
        ("OpenAI reachable", "--openai-base-url", "/v1"),
        ("link", "--link", "/api/v1/al/x"),
        ("DataKit reachable", "--datakit", ""),
    ],
)
def test_a_redirect_is_reported_with_its_target(run: CommandLine, part: str, option: str, path: str) -> None:
    with Instead(Response(302, headers={"Location": "https://u:p@login.example/in?next=x"})) as server:
        status, what = findings(run("check", option, server.url + path))[part]
    assert status == "fail"
    assert "answers 302, a redirect to https://login.example" in what
    assert "u:p" not in what


@pytest.mark.parametrize("option", ["--openai-base-url", "--datakit"])
def test_a_password_in_an_address_is_not_shown(run: CommandLine, option: str) -> None:
    assert "hunter2" not in run("check", option, "http://me:hunter2@127.0.0.1:9").everything


@pytest.mark.parametrize("option", ["--openai-base-url", "--datakit"])
def test_an_impossible_host_name_is_reported(run: CommandLine, option: str) -> None:
    assert "cannot be resolved" in run("check", option, f"http://{'x' * 70}:9").out


def test_a_missing_certificate_file_is_refused(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "no.pem"))
    _, what = findings(run("check", "--openai-base-url", "https://127.0.0.1:9"))["OpenAI reachable"]
    assert "are missing, or not a PEM file next: correct the path in REQUESTS_CA_BUNDLE" in what


def test_a_wrong_setting_in_the_environment_is_a_failure(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATGPT_MONITOR_MAX_QUEUE", "many")
    status, what = findings(run("check"))["settings"]
    assert status == "fail"
    assert what.startswith("CHATGPT_MONITOR_MAX_QUEUE must be a whole number from 2 to")


def test_logs_that_are_switched_off_are_not_tried(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATGPT_MONITOR_LOG_CONTENT", "false")
    with LocalDataKit() as datakit:
        assert "DataKit logs" not in findings(run("check", "--datakit", datakit.url))


def test_an_unreachable_proxy_is_explained(
    run: CommandLine, openai: LocalOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", NOBODY)
    said = run("check", "--openai", "--openai-base-url", openai.base_url)
    _, what = findings(said)["OpenAI reachable"]
    assert f"the proxy does not let requests through to {openai.url}/v1/models" in what
    assert "export NO_PROXY=127.0.0.1" in what


@pytest.mark.parametrize(
    "proxy", [NOBODY.replace("http", "socks5"), "ftp://127.0.0.1:9", "http://", "socks9://x"]
)
def test_an_unusable_proxy_is_explained(
    run: CommandLine, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    _, what = findings(run("check", "--openai", "--openai-base-url", "https://openai.example/v1"))[
        "OpenAI reachable"
    ]
    assert "the proxy does not let requests through to https://openai.example/v1/models" in what


def test_a_socks_proxy_without_its_package_is_explained() -> None:
    code = (
        "import sys; sys.modules['socks'] = None\n"
        "from guance_chatgpt_monitor.cli.main import main\n"
        "main(['check', '--openai', '--openai-base-url', 'https://openai.example/v1'])"
    )
    environment = {**os.environ, "all_proxy": "socks5://127.0.0.1:9", "OPENAI_API_KEY": KEY}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (
        "sets a SOCKS proxy for https://openai.example/v1/models, and this Python has no package"
        in said.stdout
    )
    assert "pip install PySocks" in said.stdout


def test_a_proxy_that_wants_a_password_is_reported(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with FixedServer(407, "proxy") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        said = run("check", "--openai", "--openai-base-url", "http://127.0.0.1:1/v1")
    assert "the proxy wants a user name and password" in findings(said)["OpenAI reachable"][1]


def test_datakit_is_asked_directly_despite_a_proxy(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", NOBODY)
    with LocalDataKit() as datakit:
        assert run("check", "--datakit", datakit.url).code == 0


class Models(BaseHTTPRequestHandler):
    """Lists one model."""

    def do_GET(self) -> None:
        body = b'{"data": [{"id": "gpt-4o-mini"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server with a self-signed certificate for 127.0.0.1: its port and the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make the certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made.split(), *names], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with HTTPServer(("127.0.0.1", 0), Models) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], folder / "cert.pem"
        server.shutdown()


def test_an_untrusted_certificate_is_explained(
    run: CommandLine, tls: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = tls
    command = ("check", "--openai", "--openai-base-url", f"https://127.0.0.1:{port}/v1")
    _, what = findings(run(*command))["OpenAI reachable"]
    assert "is not trusted here next: name the file of the authority" in what
    assert "export REQUESTS_CA_BUNDLE=/path/to/ca.pem" in what
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert run(*command).code == 0
    _, what = findings(run("check", "--openai", "--openai-base-url", f"https://localhost:{port}/v1"))[
        "OpenAI reachable"
    ]
    assert "is not for localhost" in what


def test_https_to_a_plain_http_port_is_explained(run: CommandLine, openai: LocalOpenAI) -> None:
    url = openai.base_url.replace("http://", "https://")
    _, what = findings(run("check", "--openai", "--openai-base-url", url))["OpenAI reachable"]
    assert "if it speaks plain HTTP, start the address with http://" in what


# ---- DataKit ----


def test_a_working_datakit_gets_one_point(run: CommandLine) -> None:
    with LocalDataKit(hostname="kit-1") as datakit:
        said = run("check", "--datakit", datakit.url)
        assert said.code == 0
        assert findings(said)["DataKit reachable"][1] == f"{datakit.url}, version 1.84.1, host kit-1"
        (point,) = datakit.points()
    assert (point.measurement, point.fields) == ("openai_monitor", {"check": 1.0})


@pytest.mark.parametrize(
    ("settings", "name", "status", "said"),
    [
        (
            {"known_public": False},
            "DataKit write",
            "fail",
            'public_apis = ["/v1/write/metric", "/v1/write/logging", "/v1/ping"]',
        ),
        (
            {"rate_limit": 6},
            "rate limit",
            "warn",
            "near: 10 more requests at once were too many for this host",
        ),
        ({"clock_ns": lambda: time.time_ns() + 3 * HOUR_NS}, "clock", "fail", "DataKit overwrites the times"),
        ({"clock_ns": lambda: time.time_ns() - HOUR_NS}, "clock", "warn", "differs by -3"),
    ],
)
def test_a_misconfigured_datakit_is_reported(
    run: CommandLine, settings: Any, name: str, status: str, said: str
) -> None:
    with LocalDataKit(**settings) as datakit:
        result = run("check", "--datakit", datakit.url)
    assert result.code == {"warn": 1, "fail": 2}[status]
    found = findings(result)[name]
    assert found[0] == status
    assert said in found[1]


@pytest.mark.parametrize(
    ("mode", "name", "said"),
    [
        ("crash200", "DataKit write", "answered 200 without the header X-Datakit: points may be lost"),
        ("500", "DataKit write", "answered 500 next: look at DataKit's log"),
        ("429", "DataKit write", "the rate limit is reached: raise the request rate limit"),
        ("400", "DataKit write", "answered 400 invalidLinePoint"),
        ("reset", "DataKit reachable", "broke before an answer came"),
    ],
)
def test_a_failing_datakit_is_reported(run: CommandLine, mode: str, name: str, said: str) -> None:
    with LocalDataKit() as datakit:
        datakit.mode = mode
        result = run("check", "--datakit", datakit.url)
    assert result.code >= 1
    assert said in findings(result)[name][1]


def test_a_datakit_that_is_not_running_is_explained(run: CommandLine) -> None:
    _, what = findings(run("check", "--datakit", "127.0.0.1:9"))["DataKit reachable"]
    assert "start DataKit: datakit service -S. In a container, localhost is the container" in what
    assert '[http_api] listen = "0.0.0.0:9529"' in what
    assert "ENV_HTTP_LISTEN=0.0.0.0:9529" in what
    assert "http://datakit-service.datakit:9529" in what
    assert "http_listen" not in what


def test_something_else_at_datakits_address_is_reported(run: CommandLine) -> None:
    with FixedServer(404, "<html>") as server:
        said = run("check", "--datakit", server.url)
    assert "check the address: something else listens there" in findings(said)["DataKit reachable"][1]
    with FixedServer(200, "<html>") as server:
        said = run("check", "--datakit", server.url)
    assert "answers, but not as DataKit" in findings(said)["DataKit reachable"][1]


def test_a_malformed_address_is_refused(run: CommandLine) -> None:
    said = run("check", "--datakit", "ftp://host")
    assert said.code == 2
    assert "the DataKit URL must look like http://localhost:9529" in said.out


# ---- what answers in DataKit's place ----


class Instead(LocalServer):
    """Answers every request with `response`; with `pings`, a ping as DataKit does."""

    def __init__(self, response: Response, pings: bool = False) -> None:
        super().__init__()
        self._response = response
        self._pings = pings

    def respond(self, request: Request) -> Response:
        if self._pings and request.path == "/v1/ping":
            return Response(200, {"content": {"version": "1.84.1", "host": "kit"}})
        return self._response


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response(302, headers={"Location": "https://login.example/?next=x"}),
         "a redirect to https://login.example next: give the address of DataKit itself"),
        (Response(401, "<html>"), "wants a password; DataKit itself never does next: give DataKit's own"),
        (Response(502, "<html>"), "a gateway or proxy that gets no answer from DataKit next:"),
        (Response(503, ""), "a gateway or proxy that gets no answer from DataKit next:"),
        (Response(400, "Client sent an HTTP request to an HTTPS server.\n"),
         "it expects TLS next: start the address with https://"),
    ],
)  # fmt: skip
def test_whatever_answers_in_place_of_datakit_gets_its_own_advice(
    run: CommandLine, response: Response, said: str
) -> None:
    with Instead(response) as server:
        status, what = findings(run("check", "--datakit", server.url))["DataKit reachable"]
    assert status == "fail"
    assert said in what


def test_a_page_that_accepts_writes_is_not_a_datakit(run: CommandLine) -> None:
    with Instead(Response(200, "<!doctype html><title>Welcome</title>", "text/html"), pings=True) as server:
        status, what = findings(run("check", "--datakit", server.url))["DataKit write"]
    assert status == "fail"
    assert "answers a write with a web page: it is not DataKit" in what


def test_plain_http_to_a_tls_port_is_explained(run: CommandLine, tls: tuple[int, Path]) -> None:
    _, what = findings(run("check", "--datakit", f"http://127.0.0.1:{tls[0]}"))["DataKit reachable"]
    assert "expects TLS" in what
    assert "start the address with https://" in what


def test_an_outdated_datakit_causes_a_warning(run: CommandLine) -> None:
    with LocalDataKit(version="1.4.6") as datakit:
        status, what = findings(run("check", "--datakit", datakit.url))["DataKit version"]
    assert status == "warn"
    assert "version 1.4.6 is older than 1.30.0, the oldest supported next: upgrade DataKit" in what


def test_a_dataway_is_checked_without_a_datakit(run: CommandLine) -> None:
    with LocalDataway("tkn_right") as dataway:
        said = run("check", "--datakit", f"{dataway.url}?token=tkn_right")
        assert said.code == 0, said.out
        assert findings(said)["uploads"] == ("ok", "Dataway writes points straight to the workspace")
        assert [request.path for request in dataway.requests_received] == ["/v1/write/metric"]
        assert [point.measurement for point in dataway.points()] == ["openai_monitor"]
        wrong = run("check", "--datakit", f"{dataway.url}?token=tkn_wrong")
    assert wrong.code == 2
    assert "next: check the address and its token" in findings(wrong)["DataKit write"][1]
    assert "tkn_" not in said.everything + wrong.everything


def test_a_missing_socket_is_a_failure(run: CommandLine, tmp_path: Path) -> None:
    status, what = findings(run("check", "--datakit", f"unix://{tmp_path}/no.sock"))["DataKit reachable"]
    assert status == "fail"
    assert "listens on this socket (listen_socket in [http_api])" in what


def test_datakit_over_https_is_trusted_with_its_own_ca(
    run: CommandLine, tls: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, certificate = tls
    url = f"https://127.0.0.1:{port}"
    assert "is not trusted here" in findings(run("check", "--datakit", url))["DataKit reachable"][1]
    monkeypatch.setenv("CHATGPT_MONITOR_DATAKIT_CA", str(certificate))
    assert "not trusted" not in findings(run("check", "--datakit", url))["DataKit reachable"][1]


def test_logs_are_tried_only_on_request(run: CommandLine) -> None:
    with LocalDataKit() as datakit:
        said = run("check", "--datakit", datakit.url, "--logs")
        assert findings(said)["DataKit logs"] == ("ok", "would be accepted (dry run)")
        assert "/v1/write/logging" in {request.path for request in datakit.requests_received}
        assert datakit.points(category="logging") == []
        assert "DataKit logs" not in findings(run("check", "--datakit", datakit.url))


def test_the_rate_limit_that_datakit_sends_is_reported(run: CommandLine) -> None:
    limited = Response(200, headers={"X-Datakit": "1.84.1/kit", "X-Rate-Limit-Limit": "250.00"})
    with Instead(limited, pings=True) as server:
        _, what = findings(run("check", "--datakit", server.url))["rate limit"]
    assert what.endswith("the limit is 250.00 a second")


# ---- the clock and the uploads, by DataKit's own counters ----


def test_without_datakits_metrics_delivery_is_not_called_ok(run: CommandLine) -> None:
    with LocalDataKit(metrics_public=False) as datakit:
        said = run("check", "--datakit", datakit.url)
    assert said.code == 1
    for name in ("clock", "uploads"):
        status, what = findings(said)[name]
        assert status == "warn"
        assert "is unknown" in what
        assert "next: run check on DataKit's host" in what


def test_a_differing_clock_is_only_a_warning_if_datakit_keeps_our_times(run: CommandLine) -> None:
    """DataKit's "now" is its Dataway's; its host's clock alone says nothing about our points."""
    clock = {"clock_ns": lambda: time.time_ns() + 3 * HOUR_NS}
    with LocalDataKit(auto_timestamp_correction=False, **clock) as datakit:  # type: ignore[arg-type]
        status, what = findings(run("check", "--datakit", datakit.url))["clock"]
    assert status == "warn"
    assert "compare the clocks of both hosts (date -u)" in what


def test_times_overwritten_earlier_cause_a_warning(run: CommandLine) -> None:
    with LocalDataKit() as datakit:
        datakit.counters.count_points("metric", SET, [True, True])
        status, what = findings(run("check", "--datakit", datakit.url))["clock"]
    assert status == "warn"
    assert "DataKit has overwritten the times of 2 of ours" in what


@pytest.mark.parametrize(
    ("upload_status", "said"),
    [
        (
            "Forbidden",
            "Dataway refuses DataKit's token: 1 metric point(s) Forbidden, 0 OK next: correct",
        ),
        ("unknown", "(unknown); it took 0 next: check that DataKit's host reaches"),
    ],
)
def test_points_that_do_not_reach_the_workspace_are_a_failure(
    run: CommandLine, upload_status: str, said: str
) -> None:
    with LocalDataKit() as datakit:
        datakit.counters.upload_status = upload_status
        result = run("check", "--datakit", datakit.url)
    assert result.code == 2
    status, what = findings(result)["uploads"]
    assert status == "fail"
    assert said in what


def test_points_that_datakit_skipped_or_dropped_are_reported(run: CommandLine) -> None:
    with LocalDataKit() as datakit:
        datakit.counters.count("datakit_io_dataway_skipped_point_total", 3, category="logging")
        assert (
            "DataKit skipped 3 logging point(s)"
            in findings(run("check", "--datakit", datakit.url))["uploads"][1]
        )
        datakit.counters.count("datakit_io_wal_point_total", 5, category="M", status="drop")
        status, what = findings(run("check", "--datakit", datakit.url))["uploads"]
    assert status == "fail"
    assert "DataKit dropped 5 metric point(s): its queue is full" in what


# ---- the price table ----


def test_the_installed_price_table_is_reported_with_its_date(run: CommandLine) -> None:
    status, what = findings(run("check", "--datakit", NOBODY))["prices"]
    assert status == "ok"
    version = importlib.metadata.version("genai-prices")
    latest = re.fullmatch(re.escape(f"genai-prices {version}, latest price of ") + r"(\S+)", what)
    assert latest is not None, what
    assert date(2026, 1, 1) < date.fromisoformat(latest[1]) <= datetime.now(timezone.utc).date()


def test_a_missing_price_table_is_not_a_failure(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with LocalDataKit() as datakit:
        said = run("check", "--datakit", datakit.url, "--json")
    assert said.code == 0
    (finding,) = [row for row in json.loads(said.out)["findings"] if row["name"] == "prices"]
    assert finding["status"] == "ok"
    assert finding["what"] == "genai-prices is not installed: points have no cost"
    assert "pip install 'guance-chatgpt-monitor[cost]'" in finding["next_step"]


def test_a_broken_price_table_causes_a_warning(tmp_path: Path) -> None:
    (tmp_path / "genai_prices.py").write_text("import no_such_dependency")
    command = [sys.executable, "-m", "guance_chatgpt_monitor", "check", "--datakit", NOBODY]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout
    assert "warn  prices               genai-prices is installed but cannot be imported" in said


# ---- the link, and Func ----


class Installed:
    """Func with the script set installed, DataKit and OpenAI."""

    def __init__(self) -> None:
        self.clock_offset_s = 0.0
        self.openai, self.datakit = LocalOpenAI(), LocalDataKit()
        keys = [LocalKey("ak-1", AK_SECRET)]
        self.func = LocalFunc(workers=1, access_keys=keys, clock=self._clock)
        self.func.packages.builtin = {"requests": "2.32.3", "openai": "2.2.0"}
        self.link = ""
        self.secret = ""
        self.point: dict[str, Any] = {}

    def _clock(self) -> float:
        return time.time() + self.clock_offset_s

    @property
    def client(self) -> FuncClient:
        return FuncClient(self.func.url, AccessKey("ak-1", AK_SECRET))

    @property
    def access(self) -> list[str]:
        return ["--func", self.func.url, "--ak-id", "ak-1", "--ak-secret", AK_SECRET]

    def modify(self, name: str, **data: Any) -> None:
        """Change the only row there is."""
        (row,) = self.client.list(name)
        self.client.post(f"{name}/{row['id']}/do/modify", {"data": data})


@pytest.fixture(scope="module")
def installed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    parts = Installed()
    with parts.openai, parts.datakit, parts.func, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        servers = ["--openai-base-url", parts.openai.base_url, "--datakit", parts.datakit.url]
        parts.clock_offset_s = -800.0  # as if some time ago; the clocks may differ by 900 s
        assert main(["install", *parts.access, *servers]) == 0
        parts.clock_offset_s = 0.0
        (link,), (auth,) = parts.client.list("sync-apis"), parts.client.list("api-auth")
        parts.link = f"{parts.func.url}/api/v1/al/{link['id']}"
        parts.secret = auth["configJSON"]["fields"][0]["value"]
        parts.point = parts.func.recovery_point()
        yield parts


@pytest.fixture
def parts(installed_once: Installed, monkeypatch: pytest.MonkeyPatch, run: CommandLine) -> Installed:
    installed_once.func.recover(installed_once.point)
    installed_once.datakit.clear()
    installed_once.datakit.mode = None
    installed_once.openai.clear()
    installed_once.openai.faults.clear()
    installed_once.clock_offset_s = 0.0
    monkeypatch.setenv("CHATGPT_MONITOR_LINK_SECRET", installed_once.secret)
    return installed_once


def test_a_working_link_uses_no_tokens(run: CommandLine, parts: Installed) -> None:
    said = run("check", "--link", parts.link)
    assert said.code == 0
    assert findings(said)["link"][1].startswith("answers in ")
    assert findings(said)["link authentication"] == ("ok", "asks for its secret")
    assert parts.openai.requests == []
    assert parts.datakit.points("openai") == []


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_a_missing_or_wrong_secret_of_the_link_is_explained(
    run: CommandLine, parts: Installed, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATGPT_MONITOR_LINK_SECRET", secret)
    said = run("check", "--link", parts.link)
    assert said.code == 2
    _, what = findings(said)["link"]
    assert what.startswith("the link refuses this secret" if secret else "the link asks for its secret")
    assert "CHATGPT_MONITOR_LINK_SECRET (header X-ChatGPT-Monitor-Secret)" in what


def test_an_open_link_causes_a_warning(run: CommandLine, parts: Installed) -> None:
    parts.modify("sync-apis", apiAuthId=None)
    said = run("check", "--link", parts.link)
    assert said.code == 1
    assert findings(said)["link authentication"][0] == "warn"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"isDisabled": True}, "the link is disabled next: enable it in Func"),
        ({"expireTime": "2020-01-01T00:00:00Z"}, "the link has expired next: extend it"),
        ({"throttlingJSON": {"byYear": None}}, "the link's throttling limit is reached next: wait "),
    ],
)
def test_a_disabled_expired_or_throttled_link_is_explained(
    run: CommandLine, parts: Installed, settings: Any, said: str
) -> None:
    parts.modify("sync-apis", **settings)
    assert said in findings(run("check", "--link", parts.link))["link"][1]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            None,
            "the link's function does not exist next: run guance-chatgpt-monitor install again",
        ),
        ("import none_such", "Func's workers lack the Python package none_such next: install it"),
        ("1 / 0", "the startup script fails: ZeroDivisionError"),
        (
            "def chat(**body):\n    return {'a': 1}",
            "answers 200, but not as the script next: check that the link",
        ),
        ("def chat(**body):\n    return ''", "answers 200, but neither as Func nor as the script"),
    ],
)
def test_a_link_without_a_working_script_is_a_failure(
    run: CommandLine, parts: Installed, code: str | None, said: str
) -> None:
    if code is None:
        parts.client.get(f"scripts/{STARTUP}/do/delete")
    else:
        parts.func.edit(STARTUP, code)
    result = run("check", "--link", parts.link)
    assert result.code == 2
    assert said in findings(result)["link"][1]


def test_an_unknown_or_malformed_link_is_reported(run: CommandLine, parts: Installed) -> None:
    _, what = findings(run("check", "--link", f"{parts.func.url}/api/v1/al/nothing"))["link"]
    assert what == "Func knows no such link next: check the link, or run guance-chatgpt-monitor install again"
    _, what = findings(run("check", "--link", "http://host/something"))["link"]
    assert "this is not an authorization link" in what


class FuncFindings:
    """What check finds in Func, as (status, what was found and its next step) by name.

    Without the command line, which builds the script set each time to compare it with Func's.
    """

    def __init__(self, parts: Installed, built: Built) -> None:
        self._parts = parts
        self._built = built

    def __call__(self) -> dict[str, tuple[str, str]]:
        return {text(f"check.name_{each.name}"): _in_words(each) for each in self.findings()}

    def findings(self) -> list[Finding]:
        return list(check_func(self._parts.client, self._built))

    def worst(self) -> int:
        return max(finding.severity for finding in self.findings())


def _in_words(finding: Finding) -> tuple[str, str]:
    next_step = f" next: {finding.next_step}" if finding.next_step else ""
    return finding.status, finding.what + next_step


@pytest.fixture
def in_func(parts: Installed, built: Built) -> FuncFindings:
    return FuncFindings(parts, built)


def test_func_reports_its_auto_trigger_and_delivery(run: CommandLine, parts: Installed) -> None:
    said = run("check", *parts.access)
    assert findings(said)["auto-trigger"] == (
        "warn",
        "has not run yet since it was deployed next: it runs every minute: wait two, then check again",
    )
    assert said.code == 1
    parts.func.fire_cron()
    said = run("check", *parts.access)
    assert said.code == 0, said.out
    found = findings(said)
    assert found["auto-trigger"][1].startswith("ran ")
    assert found["delivery from Func"] == ("ok", "DataKit is up, nothing waits, nothing was dropped")
    assert f"DataKit URL {parts.datakit.url}" in found["startup script"][1]
    assert found["links"] == ("ok", "1, with API authentication")


def test_a_stopped_auto_trigger_is_a_failure(parts: Installed, in_func: FuncFindings) -> None:
    parts.clock_offset_s = -600.0
    parts.func.fire_cron()
    parts.clock_offset_s = 0.0
    status, what = in_func()["auto-trigger"]
    assert status == "fail"
    assert what.startswith("last ran 10 min ago next: check that Func's beat and workers run")


def test_a_failing_disabled_or_missing_auto_trigger_is_reported(
    parts: Installed, in_func: FuncFindings
) -> None:
    code = parts.func.script(STARTUP)
    parts.func.edit(STARTUP, "1 / 0")
    parts.func.fire_cron()
    parts.func.edit(STARTUP, code)
    assert in_func()["auto-trigger"][1].startswith("failed ")
    parts.modify("cron-jobs", isDisabled=True)
    assert in_func()["auto-trigger"] == (
        "fail",
        "disabled next: enable it in Func",
    )
    parts.client.get(f"cron-jobs/cron-starup-{SET}/do/delete")
    assert "none calls startup__" in in_func()["auto-trigger"][1]


def test_a_datakit_unreachable_from_func_is_a_failure(parts: Installed, in_func: FuncFindings) -> None:
    parts.datakit.stop()
    try:
        parts.func.fire_cron()
        status, what = in_func()["delivery from Func"]
    finally:
        parts.datakit.start()
    assert status == "fail"
    assert f"DataKit at {parts.datakit.url} cannot be reached" in what


def test_missing_parts_in_func_are_reported(parts: Installed, in_func: FuncFindings) -> None:
    parts.modify("sync-apis", apiAuthId="deleted")
    parts.func.edit(STARTUP, parts.func.script(STARTUP) + "# mine\n")
    found = in_func()
    assert found["links"][0] == "warn"
    assert found["startup script"][1] == "edited, or from an earlier version"
    parts.func.clear()
    found = in_func()
    assert in_func.worst() == 2
    assert found["script set"][1].endswith("is missing next: run guance-chatgpt-monitor install")
    assert found["startup script"][0] == "fail"


def test_the_price_table_in_func_is_reported(
    parts: Installed, in_func: FuncFindings, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.func.fire_cron()
    found = in_func()
    assert (in_func.worst(), found["prices in Func"][0]) == (0, "ok")
    assert "genai-prices is not installed: points have no cost" in found["prices in Func"][1]
    assert "install genai-prices with Func's PIP tool" in found["prices in Func"][1]
    monkeypatch.setitem(parts.func.packages.builtin, "genai_prices", "0.2.3")
    assert in_func()["prices in Func"] == ("ok", "genai-prices 0.2.3")


def test_a_rejected_access_key_is_reported(run: CommandLine, parts: Installed) -> None:
    said = run("check", "--func", parts.func.url, "--ak-id", "ak-1", "--ak-secret", "wrong")
    assert said.code == 2
    assert "check the access key's ID and secret" in findings(said)["Func"][1]


# ---- what collect() reports ----


def test_a_func_that_cannot_use_openai_is_a_failure(parts: Installed, in_func: FuncFindings) -> None:
    parts.openai.faults.append("401")
    parts.func.fire_cron()
    found = in_func()
    assert in_func.worst() == 2
    status, what = found["OpenAI from Func"]
    assert status == "fail"
    assert "Func cannot use OpenAI: OpenAI at " in what
    assert "answered 401" in what
    assert "next: check the key in Func's environment variable OPENAI_API_KEY" in what


def test_a_func_without_the_openai_package_is_a_failure(parts: Installed, in_func: FuncFindings) -> None:
    record = {"openai_up": None, "datakit_up": True, "dropped": {}, "backlog_lines": 0, "problem": ""}  # type: ignore[var-annotated]
    log = "[00:00] OpenAI is not probed: the Python package openai is not installed in this Func"
    parts.func.edit(STARTUP, f"@DFF.API('c')\ndef collect():\n    print({log!r})\n    return {record!r}\n")
    parts.func.fire_cron()
    status, what = in_func()["OpenAI from Func"]
    assert status == "fail"
    assert "every call fails: OpenAI is not probed: the Python package openai is not installed" in what
    assert "install again, which adds the packages" in what


def test_a_growing_backlog_is_a_failure(parts: Installed, in_func: FuncFindings) -> None:
    for lines in (10, 40):
        record = {"openai_up": True, "datakit_up": True, "dropped": {}, "backlog_lines": lines, "problem": ""}
        parts.func.edit(STARTUP, f"@DFF.API('c')\ndef collect():\n    return {record!r}\n")
        parts.func.fire_cron()
    status, what = in_func()["delivery from Func"]
    assert status == "fail"
    assert "the backlog grows: 40 point(s) wait, 10 did before" in what


def test_a_report_older_than_the_last_deployment_is_not_a_failure(
    run: CommandLine, parts: Installed, in_func: FuncFindings, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.openai.faults.append("401")
    parts.func.fire_cron()
    assert in_func.worst() == 2
    parts.clock_offset_s = 5.0  # it is deployed after that
    assert run("install", *parts.access, "--service", "renewed").code == 0
    found = in_func()
    assert in_func.worst() == 1
    assert "has not run yet since it was deployed" in found["auto-trigger"][1]
    assert "OpenAI from Func" not in found


def test_the_addresses_are_those_of_the_installed_startup_script(
    run: CommandLine, parts: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNC_URL", parts.func.url)
    monkeypatch.setenv("FUNC_AK_ID", "ak-1")
    monkeypatch.setenv("FUNC_AK_SECRET", AK_SECRET)
    parts.func.fire_cron()
    said = run("check")
    assert said.code == 0, said.out
    found = findings(said)
    assert found["OpenAI reachable"] == ("ok", parts.openai.base_url)
    assert parts.datakit.url in found["DataKit reachable"][1]
    assert "DataKit: the startup script" in found["settings"][1]
    edited = parts.func.script(STARTUP).replace("    DFF,\n", "    DFF,\n    log_content=True,\n")
    parts.func.edit(STARTUP, edited)
    assert findings(run("check"))["DataKit logs"][0] == "ok"


def test_a_link_that_keeps_records_causes_a_warning(parts: Installed, in_func: FuncFindings) -> None:
    parts.func.fire_cron()
    assert in_func()["task records"][0] == "ok"
    parts.modify("sync-apis", taskRecordLimit=None)
    status, what = in_func()["task records"]
    assert status == "warn"
    assert "Func keeps questions and answers in clear text" in what
    assert "install --task-records 0" in what


# ---- the order of the findings ----


def test_the_worst_findings_come_last(run: CommandLine, openai: LocalOpenAI) -> None:
    with LocalDataKit(metrics_public=False) as datakit:
        said = run("check", "--datakit", datakit.url, "--openai", "--openai-base-url", NOBODY)
    heads = [line for line in said.out.splitlines()[:-1] if not line.startswith(" ")]
    assert heads[0] == "ok    settings"
    assert heads[-1] == "fail  -> OpenAI"
    assert heads[1:-1] == ["warn  -> DataKit", "warn  DataKit -> workspace"]
    statuses = [line[:5].strip() for line in heads]
    assert statuses == sorted(statuses, key=["ok", "warn", "fail"].index)
    assert said.out.splitlines()[-1].endswith("2 warning(s), 1 failure(s); the worst come last")


# ---- as a whole ----


def test_without_arguments_the_environments_addresses_are_checked(
    run: CommandLine, parts: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATGPT_MONITOR_DATAKIT_URL", parts.datakit.url)
    monkeypatch.setenv("CHATGPT_MONITOR_LINK", parts.link)
    monkeypatch.setenv("FUNC_URL", parts.func.url)
    monkeypatch.setenv("FUNC_AK_ID", "ak-1")
    monkeypatch.setenv("FUNC_AK_SECRET", AK_SECRET)
    parts.func.fire_cron()
    said = run("check", "--openai-base-url", parts.openai.base_url, "--json")
    assert said.code == 0, said.out
    whole = json.loads(said.out)
    assert whole["worst"] == "ok"
    assert {finding["name"] for finding in whole["findings"]} == {
        "settings", "prices", "OpenAI reachable", "OpenAI key", "default model",
        "DataKit reachable", "DataKit write", "test point", "clock", "rate limit", "uploads",
        "link", "link authentication",
        "Func", "script set", "startup script", "auto-trigger", "delivery from Func", "links",
        "OpenAI from Func", "task records",
        "prices in Func",
    }  # fmt: skip
    for secret in (KEY, AK_SECRET, parts.secret):
        assert secret not in said.everything


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--model", "OpenAI key"),
        ("--openai-base-url", "OpenAI key"),
        ("--openai-key-env", "OpenAI key"),
        ("--link-secret", "no link was given"),
        ("--ak-id", "no address of Func was given"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    option: str, said: str, run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "CHATGPT_MONITOR_LINK", "FUNC_URL"):
        monkeypatch.delenv(variable, raising=False)
    result = run("check", "--datakit", NOBODY, option, NOBODY)
    assert result.code == 2
    assert said in result.out


def test_a_missing_access_key_id_is_a_failure(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run("check", "--func", "func:8088", "--json")
    assert said.code == 2
    (finding,) = json.loads(said.out)["findings"]
    assert (finding["name"], finding["status"]) == ("settings", "fail")
    assert finding["next_step"] == "give --ak-id, or export FUNC_AK_ID=…"

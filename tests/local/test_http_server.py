"""Only programs on this machine may talk to a stand-in, not the pages open in its browser."""

import re
import socket
import time

import pytest
import requests
from command_line import local

from guance_chatgpt_monitor.local import http_server
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.func.memory_cache import MemoryCache
from guance_chatgpt_monitor.local.func.server import LocalFunc
from guance_chatgpt_monitor.local.openai.server import LocalOpenAI

TIMEOUT_S = 10.0
LINE = "openai question=1"
RAW_HEAD = b"POST /v1/write/metric HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5"


@pytest.fixture(scope="module")
def func():
    with LocalFunc(workers=1) as func:
        yield func


@pytest.fixture
def datakit():
    with LocalDataKit() as datakit:
        yield datakit


@pytest.fixture(params=["datakit", "openai", "func"])
def server(request):
    if request.param == "func":
        yield request.getfixturevalue("func")
        return
    with {"datakit": LocalDataKit, "openai": LocalOpenAI}[request.param]() as server:
        yield server


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


# --- DNS rebinding


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "["]
)
def test_a_host_that_is_not_this_machine_is_refused(server, session, host):
    answer = session.get(f"{server.url}/v1/ping", headers={"Host": host}, timeout=TIMEOUT_S)
    assert answer.status_code == 403
    assert "Host" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "127.8.8.8", "[::1]:80", "app.localhost"]
)
def test_all_names_of_this_machine_are_accepted(datakit, session, host):
    headers = {"Host": host}
    assert session.get(f"{datakit.url}/v1/ping", headers=headers, timeout=TIMEOUT_S).status_code == 200


def test_a_server_open_to_the_network_accepts_addresses_but_no_names(session):
    with LocalDataKit(host="0.0.0.0") as datakit:
        url = f"http://127.0.0.1:{datakit.port}/v1/ping"
        by_host = {
            host: session.get(url, headers={"Host": host}, timeout=TIMEOUT_S).status_code
            for host in ("192.168.1.20:9529", "evil.example")
        }
    assert by_host == {"192.168.1.20:9529": 200, "evil.example": 403}


# --- pages of other origins


def from_page(origin):
    return {"Origin": origin, "Content-Type": "text/plain"}


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "null"])
def test_a_write_from_another_origin_is_refused(datakit, session, origin):
    url = f"{datakit.url}/v1/write/metric"
    answer = session.post(url, LINE, headers=from_page(origin), timeout=TIMEOUT_S)
    assert answer.status_code == 403
    assert datakit.count() == 0


def test_the_stand_ins_own_page_may_write(datakit, session):
    url = f"{datakit.url}/v1/write/metric"
    assert session.post(url, LINE, headers=from_page(datakit.url), timeout=TIMEOUT_S).status_code == 200
    assert datakit.count() == 1


def test_openai_and_func_refuse_every_page(server, session):
    for path in ("/v1/chat/completions", "/api/v1/al/auln-1/simplified", "/api/v1/scripts/do/list"):
        headers = from_page("https://evil.example")
        answer = session.post(server.url + path, "{}", headers=headers, timeout=TIMEOUT_S)
        assert answer.status_code == 403


def test_a_cross_site_get_is_refused_but_a_followed_link_is_not(datakit, session):
    def status_code(mode):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
        return session.get(f"{datakit.url}/_local/points", headers=headers, timeout=TIMEOUT_S).status_code

    assert status_code("no-cors") == 403
    assert status_code("navigate") == 200


# --- control paths


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_faults_can_only_be_set_with_json(datakit, session, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = session.post(
        f"{datakit.url}/_local/mode", b'{"mode": "500"}', headers=headers, timeout=TIMEOUT_S
    )
    assert answer.status_code == 415
    assert datakit.mode is None


def test_unknown_control_paths_are_404(server, session):
    for path in ("/_local/", "/_local/../mode", "/_local/cache/x", "/_local/__class__"):
        answer = session.post(server.url + path, json=[], timeout=TIMEOUT_S)
        assert answer.status_code == 404, path


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("cache", ["_init__", "k"]),
        ("cache", ["_class__", "k"]),
        ("cache", ["list", "k"]),
        ("cache", ["lock", "k"]),
        ("store", ["__class__", "scope", "k"]),
        ("cache", {}),
    ],
)
def test_unknown_commands_of_the_workers_cache_are_errors(func, session, path, content):
    answer = session.post(f"{func.url}/_local/{path}", json=content, timeout=TIMEOUT_S)
    assert "error" in answer.json()


def test_the_cache_in_memory_runs_known_commands_only():
    cache = MemoryCache()
    assert cache.run("SET", "k", "v") == "OK"
    assert cache.run("get", "k") == "v"
    with pytest.raises(ValueError, match="no command"):
        cache.run("_init__", "k")


# --- malformed requests


def raw(server, head, body=b""):
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode()


@pytest.mark.parametrize(
    "length", ["-1", "-9223372036854775808", "5x", "0x5", "+5", "５", "5\nContent-Length: 6"]
)
def test_an_invalid_content_length_is_refused(server, length):
    answer = raw(
        server, f"POST /v1/write/metric HTTP/1.1\nHost: localhost\nContent-Length: {length}", b"m f=1"
    )
    assert answer.startswith("HTTP/1.1 400 ")
    assert answer.count("HTTP/1.1") == 1  # the rest is not read as a second request


def test_a_body_too_large_for_memory_is_refused(server):
    answer = raw(server, "POST /v1/write/metric HTTP/1.1\nHost: localhost\nContent-Length: 99999999999999")
    assert answer.startswith("HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_refused(server):
    head = "POST /v1/write/metric HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked"
    assert raw(server, head, b"5\r\nm f=1\r\n0\r\n\r\n").startswith("HTTP/1.1 411 ")


@pytest.mark.parametrize(
    "header", ["Content-Length : 5", "Host: evil.example", "no colon", "\x0bOrigin: null"]
)
def test_ambiguous_headers_are_refused(server, header):
    head = f"POST /v1/write/metric HTTP/1.1\nHost: localhost\n{header}\nContent-Length: 5"
    answer = raw(server, head, b"m f=1")
    assert answer.startswith("HTTP/1.1 400 ")
    assert answer.count("HTTP/1.1") == 1


@pytest.mark.parametrize(
    "url",
    [
        *("//_local/faults", "//localhost/_local/faults", "/%5flocal/faults", "/_local/./faults"),
        *("*", "/_LOCAL/faults", "/_local/faults/", "/_local//faults"),
    ],
)
def test_no_other_spelling_reaches_a_control_path(server, url):
    body = b'{"faults": ["500"]}'
    head = f"POST {url} HTTP/1.1\nHost: localhost\nConnection: close\nContent-Type: application/json"
    assert raw(server, f"{head}\nContent-Length: {len(body)}", body).startswith("HTTP/1.1 404 ")
    assert not getattr(server, "faults", None)


def test_the_host_in_an_absolute_url_counts(server):
    head = "GET http://evil.example/_local/points HTTP/1.1\nHost: localhost"
    assert raw(server, head).startswith("HTTP/1.1 403 ")


def test_an_incomplete_body_is_discarded(datakit):
    with socket.create_connection(("127.0.0.1", datakit.port), TIMEOUT_S) as connection:
        connection.sendall(
            b"POST /v1/write/metric HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nm f=1"
        )
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096) == b""
    assert datakit.count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", RAW_HEAD, RAW_HEAD + b"\r\n\r\nm f"], ids=["no", "head", "body"])
def test_slow_senders_are_disconnected_and_block_nobody(server, session, monkeypatch, sent):
    before = server.connections
    with monkeypatch.context() as patch:
        patch.setattr(http_server, "READ_TIMEOUT_S", 0.2)
        slow = [socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) for _ in range(50)]
        for connection in slow:
            connection.sendall(sent)
        while server.connections < before + len(slow):
            time.sleep(0.001)  # spinning would keep the server's threads from accepting
    assert session.get(f"{server.url}/v1/nothing", timeout=TIMEOUT_S).status_code == 404
    for connection in slow:
        with connection:
            assert connection.recv(4096) == b""


def test_a_request_slow_to_answer_is_not_disconnected(datakit, session, monkeypatch):
    monkeypatch.setattr(http_server, "READ_TIMEOUT_S", 1.0)
    datakit.faults.append("slow:1.2")
    assert session.post(f"{datakit.url}/v1/write/metric", LINE, timeout=TIMEOUT_S).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_the_viewer_refuses_other_hosts_and_origins_too(datakit, session, headers):
    for path in ("/", "/_local/view/calls", "/_local/view/page.js"):
        assert session.get(datakit.url + path, headers=headers, timeout=TIMEOUT_S).status_code == 403


# --- the key of the local Func


@pytest.mark.slow
def test_the_local_func_has_a_new_key_at_each_start():
    secrets = []
    for _ in range(2):
        with local("func", "--empty") as printed:
            text = "".join(iter(printed.readline, "Ctrl-C stops it\n"))
        secrets.append(re.search(r"FUNC_AK_SECRET=(\S+)", text)[1])  # type: ignore[index]
    assert secrets[0] != secrets[1]
    assert all(len(secret) >= 20 for secret in secrets)

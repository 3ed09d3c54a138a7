"""The DataKit stand-in behaves as DataKit 1.84.1 was observed to."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

import line_protocol_parser
import pytest
import requests
from command_line import local

from guance_chatgpt_monitor.cli.main import main
from guance_chatgpt_monitor.local.datakit.dataway import LocalDataway
from guance_chatgpt_monitor.local.datakit.line_parser import LineError, parse_lines
from guance_chatgpt_monitor.local.datakit.server import CATEGORIES, MAX_REQUESTS_KEPT, LocalDataKit

NOW_NS = 1_700_000_000_123_456_789
HOUR_NS = 3600 * 10**9
TIMEOUT_S = 10


class Clock:
    def __init__(self, now_ns=NOW_NS):
        self.now_ns = now_ns

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    """Starts a stand-in, which is stopped after the test."""
    started = []

    def make(**settings):
        server = LocalDataKit(**{"clock_ns": clock, **settings})
        server.start()
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def server(make):
    return make()


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def write(server, session):
    """Writes a body to `server`; keyword arguments are query parameters."""

    def write(body, category="metric", headers=None, **query):
        data = body.encode() if isinstance(body, str) else body
        url = f"{server.url}/v1/write/{category}"
        return session.post(
            url, params={"precision": "n", **query}, data=data, headers=headers, timeout=TIMEOUT_S
        )

    return write


def error_of(response):
    return response.status_code, response.json()["error_code"]


INVALID_LINE = (400, "datakit.invalidLinePoint")


# -- request ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_is_accepted_and_kept_separately(server, write, category):
    assert write("m f=1", category).status_code == 200
    assert [point.category for point in server.points(category=category)] == [category]
    assert sum(server.count(category=other) for other in CATEGORIES) == 1


def test_an_unknown_category_is_refused(write):
    response = write("m f=1", "metrics")
    assert error_of(response) == (400, "datakit.invalidCategory")
    assert "/v1/write/metrics" in response.json()["message"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "text/plain; charset=utf-8"])
def test_no_content_type_or_plain_text_means_line_protocol(server, write, content_type):
    assert write("m f=1", headers={"Content-Type": content_type}).status_code == 200
    assert server.count() == 1


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("form", ["json", "pbjson"])
def test_json_points_are_accepted_in_both_forms_that_echo_returns(server, write, session, form):
    echoed = write(f'm,t=a f=1.5,b=t,s="x" {NOW_NS}', "tracing", echo=form, dry="1").text
    assert write(echoed, "tracing", headers=JSON).status_code == 200
    (point,) = server.points(category="tracing")
    assert (point.measurement, point.tags["t"], point.timestamp_ns) == ("m", "a", NOW_NS)
    assert point.fields == {"f": 1.5, "b": True, "s": "x"}


def test_json_points_are_checked_like_lines(server, write):
    points = [{"measurement": "m", "fields": {"n": 1, "s": "x"}, "time": 1_700_000_000}]
    assert write(json.dumps(points), headers=JSON, precision="s").status_code == 200
    (point,) = server.points()
    assert (point.fields, point.timestamp_ns) == ({"n": 1.0}, 1_700_000_000 * 10**9)
    for body in ("{", "{}", "[1]", '[{"measurement": "m"}]', '[{"measurement": "m", "fields": {"f": null}}]'):
        answer = write(body, headers=JSON)
        assert error_of(answer)[0] == 400, body


def test_protobuf_is_refused_with_501(write):
    assert write(b"\n", headers={"Content-Type": "application/protobuf"}).status_code == 501


def test_a_gzip_body_is_accepted(server, write):
    response = write(gzip.compress(b"m f=1"), headers={"Content-Encoding": "gzip"})
    assert response.status_code == 200
    assert server.count("m") == 1


def test_a_plain_body_with_a_gzip_header_is_answered_200_but_lost(server, write):
    response = write("m f=1", headers={"Content-Encoding": "gzip"})
    assert (response.status_code, response.content) == (200, b"")
    assert "X-Datakit" not in response.headers
    assert server.count() == 0


@pytest.mark.parametrize(
    ("precision", "timestamp", "timestamp_ns"),
    [
        ("n", NOW_NS, NOW_NS),
        ("u", NOW_NS // 10**3, NOW_NS // 10**3 * 10**3),
        ("ms", NOW_NS // 10**6, NOW_NS // 10**6 * 10**6),
        ("s", NOW_NS // 10**9, NOW_NS // 10**9 * 10**9),
        ("m", NOW_NS // (60 * 10**9), NOW_NS // (60 * 10**9) * 60 * 10**9),
        ("h", NOW_NS // HOUR_NS, NOW_NS // HOUR_NS * HOUR_NS),
        # Guessed from the magnitude.
        (None, NOW_NS, NOW_NS),
        (None, NOW_NS // 10**3, NOW_NS // 10**3 * 10**3),
        (None, NOW_NS // 10**6, NOW_NS // 10**6 * 10**6),
        (None, NOW_NS // 10**9, NOW_NS // 10**9 * 10**9),
    ],
)
def test_timestamps_follow_the_precision(server, write, precision, timestamp, timestamp_ns):
    write(f"m f=1 {timestamp}", precision=precision)
    (point,) = server.points()
    assert (point.timestamp_ns, "__orig_time" in point.fields) == (timestamp_ns, False)


@pytest.mark.parametrize("precision", ["us", "ns", "S"])
def test_an_unknown_precision_is_read_as_nanoseconds(server, write, precision):
    write(f"m f=1 {NOW_NS - 5}", precision=precision)
    assert server.points()[0].timestamp_ns == NOW_NS - 5
    write("n f=1 1700000000", precision=precision)
    assert server.points("n")[0].fields["__orig_time"] == 1700000000


def test_the_input_parameter_is_recorded(server, write):
    write("m f=1", input="guance_chatgpt_monitor")
    assert server.points()[0].input == "guance_chatgpt_monitor"


@pytest.mark.parametrize("value", ["1", "0", "false"])
def test_any_nonempty_strict_refuses_instead_of_dropping(server, write, value):
    assert write('m f=1,s="x"', strict=value).status_code == 400
    assert server.count() == 0
    assert write('m f=1,s="x"', strict="").status_code == 200
    assert write("n f=1", strict=value).status_code == 200
    assert server.count() == 2


@pytest.mark.parametrize("value", ["1", "0"])
def test_dry_parses_but_does_not_store(server, write, value):
    assert write("m f=1", dry=value).status_code == 200
    assert error_of(write("m f=", dry=value)) == INVALID_LINE
    assert server.count() == 0
    write("m f=1", dry="")
    assert server.count() == 1


ECHOED = r'm\,x,t=a\ b f=1.5,g=1e21,i=-2i,u=3u,b=t,s="dropped" 1699999999000000000'


def test_echo_returns_line_protocol(write):
    expected = r"m\,x,t=a\ b b=true,f=1.5,g=1000000000000000000000,i=-2i,u=3u 1699999999000000000"
    assert write(ECHOED, echo="lp").text == expected


def test_echo_shows_strings_only_where_they_are_kept(write):
    line = r'm s="a\"b\\c" 1699999999000000000'
    assert write(line, "tracing", echo="lp").text == line


def test_echo_returns_json(write):
    (point,) = json.loads(write(ECHOED, echo="json").text)
    assert point == {
        "measurement": "m,x",
        "tags": {"t": "a b"},
        "fields": {"f": 1.5, "g": 1e21, "i": -2, "u": 3, "b": True},
        "time": 1699999999000000000,
    }


def test_echo_returns_protobuf_json(write):
    (point,) = json.loads(write(ECHOED, echo="pbjson").text)
    assert (point["name"], point["time"]) == ("m,x", "1699999999000000000")
    assert {"key": "t", "s": "a b", "is_tag": True} in point["fields"]
    assert {"key": "f", "f": 1.5} in point["fields"]
    assert {"key": "i", "i": "-2"} in point["fields"]
    assert {"key": "u", "u": "3"} in point["fields"]


def test_echoed_points_are_stored_unless_dry(server, write):
    write("m f=1", echo="json", dry="1")
    assert server.count() == 0
    write("m f=1", echo="json")
    assert server.count() == 1


def test_ping_returns_version_host_and_uptime(server, session, clock):
    clock.now_ns += 1_500_000_000
    response = session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S)
    content = {"version": "1.84.1", "uptime": "1.5s", "host": "local", "commit": "local"}
    assert (response.status_code, response.json()) == (200, {"content": content})


# -- answers ---------------------------------------------------------------------------------------


def test_an_accepted_write_is_an_empty_200_with_version_and_host(make, session):
    server = make(version="1.2.3", hostname="agent")
    response = session.post(f"{server.url}/v1/write/metric", data=b"m f=1", timeout=TIMEOUT_S)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["X-Datakit"] == "1.2.3/agent"


def test_an_empty_body_is_refused(write):
    assert error_of(write("")) == (400, "datakit.emptyBody")


@pytest.mark.parametrize("body", ["\n", " \t\n\n  ", "# m f=1", "#\n  # m f=1\n"])
def test_a_body_of_only_spaces_or_comments_is_refused(write, body):
    assert error_of(write(body)) == (400, "datakit.noPoints")


def test_one_bad_line_refuses_the_whole_batch_and_is_quoted_in_full(server, write):
    body = "m f=1\n" * 500 + "m,t= f=2\n" + "m f=3\n" * 500
    response = write(body)
    assert error_of(response) == INVALID_LINE
    assert server.count() == 0
    assert len(response.json()["message"]) > len(body)
    assert "m,t= f=2" in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"m f=1")[:-6], "gzip"),
        (gzip.compress(b"m f=1"), "GZIP"),
        (b"m f=1", "zip"),
    ],
    # Not derived from the bytes: gzip's header contains the time, which differs between test workers.
    ids=["cut short", "capitals", "unknown"],
)
def test_a_body_that_contradicts_its_encoding_is_refused(server, write, body, encoding):
    response = write(body, headers={"Content-Encoding": encoding})
    assert error_of(response) == (400, "datakit.decodeBodyFailed")
    assert server.count() == 0


def test_the_rate_limit_is_per_client_and_path_without_retry_after(make, session, clock):
    server = make(rate_limit=100)

    def status_codes(path, n):
        url = server.url + path
        answers = [session.post(url, data=b"m f=1", timeout=TIMEOUT_S) for _ in range(n)]
        assert all("Retry-After" not in answer.headers for answer in answers)
        refused = [error_of(answer) for answer in answers if not answer.ok]
        assert set(refused) <= {(429, "datakit.reachMaxAPILimit")}
        return n - len(refused)

    assert status_codes("/v1/write/metric", 110) == 100
    assert status_codes("/v1/write/logging", 3) == 3
    assert session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S).ok
    clock.now_ns += 50_000_000
    assert status_codes("/v1/write/metric", 7) == 5
    clock.now_ns += 10**12
    assert status_codes("/v1/write/metric", 110) == 100


def test_there_is_no_rate_limit_by_default(write):
    assert all(write("m f=1").ok for _ in range(150))


def test_a_rate_limit_of_zero_is_an_error():
    with pytest.raises(ValueError, match="rate_limit"):
        LocalDataKit(rate_limit=0)


def test_a_datakit_that_is_not_public_refuses_writes_but_not_pings(make, session):
    server = make(known_public=False)
    response = session.post(f"{server.url}/v1/write/metric", data=b"m f=1", timeout=TIMEOUT_S)
    assert error_of(response) == (403, "datakit.publicAccessDisabled")
    assert server.count() == 0
    assert session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S).ok


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1"), ("POST", "/v2/write"), ("GET", "/v1/write/metric"), ("POST", "/v1/write/a/b")],
)
def test_an_unknown_path_is_404(server, session, method, path):
    response = session.request(method, server.url + path, data=b"m f=1", timeout=TIMEOUT_S)
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert "<html" in response.text


# -- line protocol ---------------------------------------------------------------------------------


def test_metrics_lose_their_strings_even_if_no_field_remains(server, write):
    assert write('m,t=a f=1,s="x"\nonly s="x"').status_code == 200
    assert {point.measurement: point.fields for point in server.points()} == {
        "m": {"f": 1.0},
        "only": {},
    }


def test_logs_keep_strings_with_quotes_and_line_breaks(server, write):
    assert write('m,t=a"b f=1,s="x, \\"y\\" = \\\\ \nz" 5\nm g=2 6', "logging").status_code == 200
    points = server.points(category="logging")
    assert [point.fields.get("s") for point in points] == ['x, "y" = \\ \nz', None]
    assert points[0].tags["t"] == 'a"b'


def test_logs_lose_dots_source_and_date_and_always_have_a_status(server, write):
    write('m,a.b=1,source=s,b_c=2,b.c=3 date=1,f.g=1,x="y"\nm,status=ok f=1\nm status="odd"', "logging")
    first, second, third = server.points(category="logging")
    assert first.tags == {"a_b": "1", "b_c": "2", "host": "local"}
    assert first.fields == {"f_g": 1.0, "x": "y", "status": "info"}
    assert (second.tags["status"], second.fields) == ("ok", {"f": 1.0})
    assert third.fields == {"status": "odd"}


def test_two_logs_at_the_same_time_are_two_logs(server, write):
    for category in ("logging", "metric"):
        write(f"m,t=a f=1 {NOW_NS}\nm,t=a f=2 {NOW_NS}", category)
    assert (server.count(category="logging"), server.count()) == (2, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("-.5E+2", -50.0),
        ("1i", 1),
        ("-9223372036854775808i", -(2**63)),
        ("1u", 1),
        ("18446744073709551615u", 2**64 - 1),
        ("t", True),
        ("FALSE", False),
    ],
)
def test_each_type_of_field_is_read(server, write, text, value):
    assert write(f"m f={text}").status_code == 200
    stored = server.points()[0].fields["f"]
    assert (stored, type(stored)) == (value, type(value))


@pytest.mark.parametrize(
    "line",
    [
        "m f=NaN",
        "m f=nan",
        "m f=Inf",
        "m f=-Inf",
        "m f=+1",
        "m f=1e400",
        "m f=9223372036854775808i",
        "m f=-9223372036854775809i",
        "m f=18446744073709551616u",
        "m f=" + "9" * 5000 + "i",
        "m f=-1u",
        "m f=1.5i",
        "m f=0x10",
        "m f=tRUE",
        "m,t= f=1",
        "m,t f=1",
        "m,=a f=1",
        "m,t=a,t=a f=1",
        "m,t=a,s=b,t=c f=1",
        "m,t=a=b f=1",
        "m f=1\r\nm f=2\r\n",
        "m f=1 5\r\n",
        "m,t=a\\ f=1",
        "m,t=a\\\\ f=1",
        "m,t=a\\,s=b f=1",
        "m,t=a\nb f=1",
        "m",
        "m ",
        "m f",
        "m f=",
        "m =1",
        "m f=1,",
        "m f=1,g",
        'm f="a',
        'm f="a"b',
        'm f="a"5',
        "m f=1 5 6",
        "m f=1 5.0",
        "m f=1 99999999999999999999",
        ",t=a f=1",
        "m," + ",".join(f"t{i}={'v' * 1000}" for i in range(70)) + " f=1",
    ],
)
def test_a_malformed_line_is_refused(server, write, line):
    assert error_of(write("ok f=1\n" + line)) == INVALID_LINE
    assert server.count() == 0


def test_a_tag_wins_over_a_field_of_the_same_name(server, write):
    write("m,t=a t=1,f=2")
    (point,) = server.points()
    assert (point.tags["t"], point.fields) == ("a", {"f": 2.0})


def test_the_last_of_repeated_fields_wins(server, write):
    write("m f=1,g=2,f=3i")
    assert server.points()[0].fields == {"f": 3, "g": 2.0}


def test_comments_and_blank_lines_are_skipped(server, write):
    assert write("# one\n\n  # two\nm f=1\n#m f=2\n").status_code == 200
    assert server.count() == 1


def test_whatever_exceeds_a_byte_limit_is_cut_or_dropped(server, write):
    value = "好" * 342  # 1026 bytes
    tags = ",".join(f"t{i:03}=v" for i in range(300))
    fields = ",".join(f"f{i:04}=1" for i in range(1100))
    lines = [
        "m" * 1025 + " f=1",
        "a," + "k" * 257 + "=v f=1",
        "a " + "k" * 257 + "=1",
        f"a,t={value} f=1",
        f"a,{tags} f=1",
        f"a {fields}",
    ]
    body = "\n".join(f"{line} {NOW_NS + i}" for i, line in enumerate(lines))
    response = write(body, ignore_global_host_tags="1")
    assert (response.status_code, server.count()) == (200, 6)
    points = server.points()
    assert points[0].measurement == "m" * 1024
    assert list(points[1].tags) == ["k" * 256]
    assert "k" * 256 in points[2].fields
    assert points[3].tags["t"] == "好" * 341 + "\N{REPLACEMENT CHARACTER}"
    assert len(points[4].tags) == 256
    assert len(points[5].fields) == 1024


def test_whatever_just_meets_a_limit_is_kept(server, write):
    line = f"{'m' * 1024},{'k' * 256}={'好' * 341}x {'f' * 256}=1"
    write(line, ignore_global_host_tags="1")
    (point,) = server.points()
    assert (point.measurement, point.tags) == ("m" * 1024, {"k" * 256: "好" * 341 + "x"})
    assert point.fields == {"f" * 256: 1.0}


def test_keys_that_are_equal_when_cut_are_one(server, write):
    write("m " + "k" * 256 + "=1," + "k" * 257 + "=2")
    assert server.points()[0].fields == {"k" * 256: 1.0}


def test_delimiters_are_unescaped_but_other_backslashes_stay(server, write):
    write(r"m\,\ \=x,a\,\ \=b=c\,\ \=d,e\f=\g f\,\ \=g=1", ignore_global_host_tags="1")
    (point,) = server.points()
    assert point.measurement == "m, =x"
    assert point.tags == {"a, =b": "c, =d", "e\\f": "\\g"}
    assert point.fields == {"f, =g": 1.0}


def test_chinese_and_emoji_are_unchanged(server, write):
    write("模型,服务=问答😀 用量=1", ignore_global_host_tags="1")
    (point,) = server.points("模型")
    assert (point.tags, point.fields) == ({"服务": "问答😀"}, {"用量": 1.0})


def test_the_host_tag_is_added_unless_the_point_has_its_own(server, write):
    write("a f=1\nb,host=mine f=1\nc host=1")
    assert [point.tags for point in server.points()] == [{"host": "local"}, {"host": "mine"}, {}]


def test_global_tags_are_configurable_and_can_be_ignored(make, session):
    server = make(global_tags={"zone": "z1"})
    url = f"{server.url}/v1/write/metric"
    session.post(url, data=b"a f=1", timeout=TIMEOUT_S)
    session.post(f"{url}?ignore_global_host_tags=0", data=b"b f=1", timeout=TIMEOUT_S)
    session.post(f"{url}?ignore_global_host_tags=", data=b"c f=1", timeout=TIMEOUT_S)
    assert [point.tags for point in server.points()] == [{"zone": "z1"}, {}, {"zone": "z1"}]


WELL_FORMED = [
    "m f=1.5 1700000000000000000",
    "m,t=a,s=b f=1.5,g=2i,h=true,k=-1e-3 1700000000000000000",
    r"m\,\ x,t\ t=a\=b f\,f=1.0 1",
    '中文,标签=值😀 f=1.0,s="x, y =z" 1700000000000000000',
]


@pytest.mark.parametrize("line", WELL_FORMED)
def test_an_independent_parser_reads_the_same(line):
    (point,) = parse_lines(line.encode(), "tracing")
    expected = line_protocol_parser.parse_line(line)
    assert point.measurement == expected["measurement"]
    assert point.tags == expected["tags"]
    assert point.fields == expected["fields"]
    assert point.timestamp_ns == expected["time"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"m,t=a,t=b f=1", "duplicate tags"), (b'm f="a', "unbalanced quotes"), (b"m", "missing fields")],
)
def test_the_parser_reports_the_reason(line, reason):
    with pytest.raises(LineError) as raised:
        parse_lines(b"m f=1\n" + line)
    assert raised.value.reason == reason


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", ["", " 0", " -5"])
def test_a_missing_zero_or_negative_time_becomes_the_time_of_receipt(server, write, timestamp):
    write("m f=1" + timestamp)
    (point,) = server.points()
    assert (point.timestamp_ns, point.fields) == (NOW_NS, {"f": 1.0})


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_time_more_than_two_hours_off_becomes_now(server, write, sign):
    near_ns, far_ns = NOW_NS + sign * 2 * HOUR_NS, NOW_NS + sign * (2 * HOUR_NS + 1)
    assert write(f"near f=1 {near_ns}\nfar f=1 {far_ns}").status_code == 200
    (near,), (far,) = server.points("near"), server.points("far")
    assert (near.timestamp_ns, near.fields) == (near_ns, {"f": 1.0})
    assert (far.timestamp_ns, far.fields) == (NOW_NS, {"f": 1.0, "__orig_time": far_ns})
    assert type(far.fields["__orig_time"]) is int


def test_late_points_of_a_series_in_a_batch_overwrite_each_other(server, write):
    write("m f=1 1\nm f=2 2\nm,t=other f=3 3")
    assert [point.fields["f"] for point in server.points()] == [2.0, 3.0]


def test_timestamp_correction_can_be_disabled(make, session):
    server = make(auto_timestamp_correction=False)
    url = f"{server.url}/v1/write/metric?precision=n"
    session.post(url, data=b"m f=1 5", timeout=TIMEOUT_S)
    (point,) = server.points()
    assert (point.timestamp_ns, point.fields) == (5, {"f": 1.0})


def test_a_later_point_of_the_same_series_and_time_overwrites(server, write):
    write(f"m,a=1,b=2 f=1,g=1 {NOW_NS}\nm,b=2,a=1 f=2 {NOW_NS}")
    write(f"m,a=1,b=2 f=3 {NOW_NS}\nm,a=1,b=3 f=4 {NOW_NS}\nm,a=1,b=2 f=5 {NOW_NS + 1}")
    assert [point.fields for point in server.points()] == [{"f": 3.0}, {"f": 4.0}, {"f": 5.0}]


def test_the_added_host_is_part_of_the_series(server, write):
    write(f"m,host=local,z=1 f=1 {NOW_NS}\nm,z=1 f=2 {NOW_NS}")
    assert [point.fields for point in server.points()] == [{"f": 2.0}]


# -- storage ---------------------------------------------------------------------------------------


def test_points_are_sorted_by_time_and_can_be_selected_and_cleared(server, write, clock):
    write(f"b f=2 {NOW_NS + 2}\na f=3 {NOW_NS + 3}\na f=1 {NOW_NS + 1}")
    write("log f=1", "logging")
    assert [point.fields["f"] for point in server.points()] == [1.0, 2.0, 3.0]
    assert [point.fields["f"] for point in server.points("a")] == [1.0, 3.0]
    assert (server.count(), server.count("a"), server.count(category="logging")) == (3, 2, 1)
    assert server.points()[0].received_at_ns == NOW_NS
    assert server.clear() == 4
    assert (server.points(), server.count(category="logging")) == ([], 0)


def test_points_can_be_read_over_http(server, session, write):
    write("a,t=中 f=1\nb f=2")
    write("a f=3", "tracing")
    url = f"{server.url}/_local/points"
    (point,) = session.get(url, params={"measurement": "a"}, timeout=TIMEOUT_S).json()
    assert point["tags"] == {"t": "中", "host": "local"}
    assert (point["fields"], point["timestamp_ns"]) == ({"f": 1.0}, NOW_NS)
    assert len(session.get(url, timeout=TIMEOUT_S).json()) == 2
    (traced,) = session.get(url, params={"category": "tracing"}, timeout=TIMEOUT_S).json()
    assert traced["fields"] == {"f": 3.0}
    assert session.delete(url, timeout=TIMEOUT_S).json() == {"deleted": 3}
    assert session.get(url, timeout=TIMEOUT_S).json() == []


def test_requests_are_recorded(server, session, write):
    body = gzip.compress(b"m f=1")
    write(body, headers={"Content-Encoding": "gzip", "User-Agent": "tester/1"}, input="i")
    session.get(f"{server.url}/_local/points", timeout=TIMEOUT_S)
    (request,) = server.requests_received
    assert (request.method, request.path) == ("POST", "/v1/write/metric")
    assert request.query == {"precision": "n", "input": "i"}
    assert (request.n_bytes, request.encoding) == (len(body), "gzip")
    assert request.headers["user-agent"] == "tester/1"
    assert server.requests_total == 1


def test_connections_are_kept_alive(server, write):
    for _ in range(5):
        write("m f=1")
    assert (server.connections, server.requests_total) == (1, 5)


def test_the_record_of_requests_is_bounded(server, session):
    n = MAX_REQUESTS_KEPT + 5
    request = b"GET /v1/ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
        connection.sendall(request * (n - 1) + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        while connection.recv(65536):
            pass
    assert (len(server.requests_received), server.requests_total) == (MAX_REQUESTS_KEPT, n)


@pytest.mark.slow
def test_every_point_of_large_batches_is_stored(make, session):
    server = make(clock_ns=time.time_ns)
    start_ns = time.time_ns()
    series = "openai,operation_name=chat,provider_name=openai,request_model=gpt-4o,status=ok"
    fields = "question=1.0,response_time=1.234567,create_time=1.0,res_status=0.0,total_tokens=123.0"
    n, n_batch = 10_000, 500
    lines = [f"{series} {fields} {start_ns + i}" for i in range(n)]
    for i in range(0, n, n_batch):
        body = "\n".join(lines[i : i + n_batch]).encode()
        assert session.post(f"{server.url}/v1/write/metric?precision=n", data=body, timeout=TIMEOUT_S).ok
    assert server.count("openai") == n


def test_concurrent_writers_lose_nothing(server):
    n_writers, n_writes = 8, 20

    def write_own(writer):
        with requests.Session() as session:
            session.trust_env = False
            for i in range(n_writes):
                data = f"m,writer={writer} f={i} {NOW_NS + i}\nm,writer={writer},x=1 f={i} {NOW_NS + i}"
                url = f"{server.url}/v1/write/metric?precision=n"
                session.post(url, data=data.encode(), timeout=TIMEOUT_S)

    writers = [threading.Thread(target=write_own, args=(i,)) for i in range(n_writers)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(TIMEOUT_S)
    assert server.count() == 2 * n_writers * n_writes
    assert server.requests_total == n_writers * n_writes


def test_points_and_port_survive_a_restart(server, write):
    write("m f=1")
    port = server.port
    server.stop()
    assert server.count() == 1
    with pytest.raises(requests.ConnectionError):
        write("m f=1")
    server.start()
    assert server.port == port
    assert write("n f=2").ok
    assert server.count() == 2


ALONE = """
import sys, threading
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
server = LocalDataKit(port=int(sys.argv[1]), database=sys.argv[2])
server.start()
print(server.port, flush=True)
threading.Event().wait()
"""


def test_points_in_a_file_survive_a_killed_process(tmp_path, session):
    database = str(tmp_path / "points.sqlite")

    def start(port):
        process = subprocess.Popen(
            [sys.executable, "-c", ALONE, str(port), database], stdout=subprocess.PIPE, text=True
        )
        return process, int(process.stdout.readline())

    process, port = start(0)
    try:
        url = f"http://127.0.0.1:{port}"
        for i in range(20):
            assert session.post(f"{url}/v1/write/metric", data=f"m,i={i} f=1", timeout=TIMEOUT_S).ok
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
        process, _ = start(port)
        assert len(session.get(f"{url}/_local/points", timeout=TIMEOUT_S).json()) == 20
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


# -- faults ----------------------------------------------------------------------------------------


def test_each_write_uses_up_one_fault(server, session, write):
    server.faults.extend(["500", "ok", 503])
    assert write("m f=1").status_code == 500
    assert session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S).ok
    assert [write("m f=1").status_code for _ in range(3)] == [200, 503, 200]


def test_a_mode_lasts_until_it_is_reset(server, write):
    server.mode = "503"
    assert [write("m f=1").status_code for _ in range(3)] == [503] * 3
    server.faults.append("ok")
    assert [write("m f=1").status_code for _ in range(2)] == [200, 503]
    server.mode = None
    assert write("m f=1").status_code == 200
    server.mode = "ok"
    assert server.mode is None


@pytest.mark.parametrize(
    ("word", "error_code"),
    [
        ("400", "datakit.invalidLinePoint"),
        ("403", "datakit.publicAccessDisabled"),
        ("429", "datakit.reachMaxAPILimit"),
        ("408", None),
        ("500", None),
        ("503", None),
    ],
)
def test_a_fault_can_be_a_status(server, session, write, word, error_code):
    server.mode = word
    response = write("m f=1")
    assert response.status_code == int(word)
    assert "Retry-After" not in response.headers
    if error_code:
        assert response.json()["error_code"] == error_code
    else:
        assert response.headers["Content-Type"].startswith("text/plain")
    assert server.count() == 0
    assert session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S).ok


def test_a_handler_over_30_s_is_a_plain_text_408(server, write):
    server.mode = "408"
    assert write("m f=1").text == "timeout(30s)"


def test_crash200_has_no_header_and_loses_the_points(server, write):
    server.mode = "crash200"
    response = write("m f=1")
    assert (response.status_code, response.content) == (200, b"")
    assert "X-Datakit" not in response.headers
    assert server.count() == 0


def test_no_header200_keeps_the_points(server, write):
    server.mode = "no_header200"
    response = write("m f=1")
    assert response.status_code == 200
    assert "X-Datakit" not in response.headers
    assert server.count() == 1


@pytest.mark.parametrize(("word", "n_kept"), [("reset", 0), ("reset_after", 1)])
def test_reset_comes_before_or_after_the_points_are_stored(server, write, word, n_kept):
    server.faults.append(word)
    with pytest.raises(requests.ConnectionError, match="ConnectionResetError"):
        write(f"m f=1 {NOW_NS}")
    assert server.count() == n_kept
    assert write(f"m f=1 {NOW_NS}").status_code == 200
    assert server.count() == 1


def test_slow_answers_late_but_keeps_the_points(server, session, write):
    server.faults.append("slow:0.2")
    with pytest.raises(requests.ReadTimeout):
        session.post(f"{server.url}/v1/write/metric", data=b"m f=1", timeout=0.05)
    server.faults.append("slow:0.1")
    started_s = time.perf_counter()
    assert write("n f=1").status_code == 200
    assert time.perf_counter() - started_s >= 0.1
    assert server.count("n") == 1


RAW_WRITE = b"POST /v1/write/metric HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nm f=1"
RAW_PING = b"GET /v1/ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hang(server, request):
    """Return a connection on which `request` was sent but not answered."""
    connection = socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)
    connection.sendall(request)
    connection.settimeout(0.1)
    with pytest.raises(socket.timeout):
        connection.recv(1)
    connection.settimeout(TIMEOUT_S)
    return connection


@pytest.mark.parametrize("how", ["mode", "faults"])
def test_hang_lasts_until_the_mode_is_set(server, how):
    if how == "mode":
        server.mode = "hang"
    else:
        server.faults.append("hang")
    with hang(server, RAW_WRITE) as connection:
        assert server.count() == 0
        server.mode = None
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert server.count() == 1


def test_a_new_mode_applies_to_hanging_requests(server):
    server.mode = "hang"
    with hang(server, RAW_WRITE) as connection:
        server.mode = "hang"
        server.mode = "500"
        assert connection.recv(4096).startswith(b"HTTP/1.1 500 ")
    assert server.count() == 0


def test_stop_ends_a_hang_without_an_answer(server):
    server.mode = "hang"
    with hang(server, RAW_WRITE) as connection:
        server.stop()
        try:
            assert connection.recv(4096) == b""
        except ConnectionResetError:
            pass
    server.mode = None
    server.start()
    assert server.count() == 0


def test_hang_and_reset_apply_to_pings_too(server, session):
    server.mode = "hang"
    with hang(server, RAW_PING) as connection:
        server.mode = None
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    server.mode = "reset"
    with pytest.raises(requests.ConnectionError):
        session.get(f"{server.url}/v1/ping", timeout=TIMEOUT_S)


def test_faults_can_be_set_over_http(server, session, write):
    mode, faults = f"{server.url}/_local/mode", f"{server.url}/_local/faults"
    assert session.post(mode, json={"mode": "503"}, timeout=TIMEOUT_S).json() == {"mode": "503"}
    session.post(faults, json={"faults": ["ok", 500]}, timeout=TIMEOUT_S)
    assert [write("m f=1").status_code for _ in range(3)] == [200, 500, 503]
    assert session.post(mode, json={"mode": None}, timeout=TIMEOUT_S).json() == {"mode": None}
    assert write("m f=1").status_code == 200


@pytest.mark.parametrize("word", ["crash", "200", "slow:", "slow:-1", "slow:nan", "slow:601", ""])
def test_an_unknown_fault_is_refused_at_once(server, session, write, word):
    with pytest.raises(ValueError, match=r"slow|float"):
        server.mode = word
    for name, value in (("mode", word), ("faults", ["500", word])):
        url = f"{server.url}/_local/{name}"
        response = session.post(url, json={name: value}, timeout=TIMEOUT_S)
        assert (response.status_code, "error" in response.json()) == (400, True)
    assert write("m f=1").status_code == 200
    server.faults.append(word)
    assert write("m f=1").status_code == 501


def test_a_bad_control_request_is_refused(server, session):
    url = f"{server.url}/_local"
    headers = {"Content-Type": "application/json"}
    assert session.post(f"{url}/mode", data=b"{", headers=headers, timeout=TIMEOUT_S).status_code == 400
    assert session.post(f"{url}/mode", json=["mode"], timeout=TIMEOUT_S).status_code == 400
    assert session.post(f"{url}/faults", json={}, timeout=TIMEOUT_S).status_code == 400
    assert session.get(f"{url}/nothing", timeout=TIMEOUT_S).status_code == 404


# -- other behaviour of the real one ---------------------------------------------------------------


def test_the_errors_of_empty_bodies_have_no_message(server, session):
    for body in (b"", b"# comment"):
        answer = session.post(f"{server.url}/v1/write/metric", data=body, timeout=TIMEOUT_S)
        assert list(answer.json()) == ["error_code"]


def test_raw_deflate_is_accepted_but_zlib_is_not(server, session):
    url, headers = f"{server.url}/v1/write/metric", {"Content-Encoding": "deflate"}
    with_zlib_header = zlib.compress(b"m f=1")
    raw = with_zlib_header[2:-4]
    assert session.post(url, data=raw, headers=headers, timeout=TIMEOUT_S).ok
    assert server.count() == 1
    assert error_of(session.post(url, data=with_zlib_header, headers=headers, timeout=TIMEOUT_S)) == (
        400,
        "datakit.decodeBodyFailed",
    )


def test_a_plain_body_with_an_encoding_in_the_query_is_answered_200_but_lost(server, session):
    url = f"{server.url}/v1/write/metric?encoding=gzip"
    assert session.post(url, data=b"m f=1", timeout=TIMEOUT_S).status_code == 200
    assert server.count() == 0
    assert session.post(url, data=gzip.compress(b"m f=1"), timeout=TIMEOUT_S).ok
    assert server.count() == 1


def test_a_bracket_in_a_field_key_refuses_the_batch(write):
    for line in ("a]=1", 'a]=1,s="x"'):
        assert error_of(write(f"m f=1\nm {line}")) == (400, "datakit.invalidLinePoint")


def test_a_bracket_and_a_quote_in_field_keys_affect_the_next_line(server, write):
    lines = 'm a[=t,b"=t\nm c=3\nm d=4'
    assert error_of(write(lines)) == (400, "datakit.invalidLinePoint")
    assert write(lines.replace("a[", "a")).status_code == 200
    assert server.count() == 1  # the same series and time


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1,2.5]", [1.0, 2.5]),
        ("[1i,-2i]", [1, -2]),
        ("[true,false]", [True, False]),
        ('["a,b","]"]', ["a,b", "]"]),
    ],
)
def test_arrays_are_fields(server, write, text, value):
    assert write(f"m f={text},g=1").status_code == 200
    (point,) = server.points()
    assert point.fields == {"f": value, "g": 1.0}
    assert write(f"m f={text}", echo="lp", dry="1").text.split()[1] == f"f={text}"


@pytest.mark.parametrize("text", ["[1,2", "[]", "[1,x]", "[1]2"])
def test_a_malformed_array_is_refused(write, text):
    assert error_of(write(f"m f={text}")) == INVALID_LINE


def test_a_tag_value_may_only_begin_with_an_equals_sign(server, write):
    assert write("m,t==b f=1", ignore_global_host_tags="1").status_code == 200
    assert server.points()[0].tags == {"t": "=b"}
    assert error_of(write("m,t==b=c f=1")) == INVALID_LINE


def test_a_log_above_1_mib_is_answered_200_but_skipped(server, session, write):
    logs = [f'm,n={n} message="{"x" * size}"' for n, size in enumerate((10, 1024 * 1024, 1024 * 1000))]
    assert write("\n".join(logs), "logging").status_code == 200
    assert [point.tags["n"] for point in server.points(category="logging")] == ["0", "2"]
    metrics = session.get(f"{server.url}/metrics", timeout=TIMEOUT_S).text
    assert 'datakit_io_dataway_skipped_point_total{category="logging"} 1' in metrics


def test_a_log_without_status_is_a_warning(server, write):
    answer = write('m message="x"', "logging", strict="1")
    assert error_of(answer) == (400, "datakit.pointGotWarning")
    assert write('m,status=ok message="x"', "logging", strict="1").status_code == 200


def test_answers_have_the_real_ones_headers(make, session):
    server = make(rate_limit=100)
    answer = session.post(f"{server.url}/v1/write/metric", data=b"m f=1", timeout=TIMEOUT_S)
    assert answer.headers["Content-Type"] == ""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Rate-Limit-Limit"] == "100.00"
    assert answer.headers["X-Rate-Limit-Duration"] == "1"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    url = f"{server.url}/v1/write/metric"
    assert session.options(url, timeout=TIMEOUT_S).status_code == 204


def test_head_and_double_slashes_are_404(server, session):
    assert session.head(f"{server.url}/v1/ping", timeout=TIMEOUT_S).status_code == 404
    for path in ("//v1/ping", "//localhost/v1/ping", "/v1//ping"):
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 404 "), path


def test_a_trailing_slash_is_redirected(server, session):
    options = {"timeout": TIMEOUT_S, "allow_redirects": False}
    assert session.post(f"{server.url}/v1/write/metric/", data=b"m f=1", **options).status_code == 307
    assert session.get(f"{server.url}/v1/ping/", **options).status_code == 301


def test_ntp_returns_the_time(server, session, clock):
    answer = session.get(f"{server.url}/v1/ntp", timeout=TIMEOUT_S)
    assert answer.json() == {"timestamp_sec": clock.now_ns // 10**9}


def test_a_forgetful_one_loses_its_last_ten_seconds_when_restarted(make, clock):
    server = make(forgetful=True)
    for n in range(15):
        requests.post(f"{server.url}/v1/write/metric", data=f"m n={n}".encode(), timeout=TIMEOUT_S)
        clock.now_ns += 10**9
    server.stop()
    server.start()
    assert [point.fields["n"] for point in server.points()] == [0, 1, 2, 3, 4, 5]


FORGETFUL = """
import sys, threading, time
from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
began_ns, speed = time.time_ns(), int(sys.argv[2])
clock_ns = lambda: began_ns + (time.time_ns() - began_ns) * speed
server = LocalDataKit(database=sys.argv[1], forgetful=True, clock_ns=clock_ns).start()
print(server.url, flush=True)
threading.Event().wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "kept"), [(1, 0), (100, 1)])
def test_a_forgetful_one_loses_its_last_ten_seconds_when_killed(tmp_path, session, speed, kept):
    database = str(tmp_path / "points.sqlite")
    command = [sys.executable, "-c", FORGETFUL, database, str(speed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert session.post(f"{url}/v1/write/metric", data=b"m f=1", timeout=TIMEOUT_S).ok
        while kept and "m" not in uptime(session, url).replace("ms", ""):
            pass  # until its clock has advanced by a minute
        process.kill()
    with LocalDataKit(database=database, forgetful=True) as started:
        assert started.count() == kept


@pytest.mark.slow
def test_the_command_can_keep_its_points_in_a_file(tmp_path, session, capsys):
    database = str(tmp_path / "points.sqlite")
    counts = []
    for _ in range(2):
        with local("datakit", "--database", database) as printed:
            url = re.findall(r"http://[\d.:]+", printed.readline())[0]
            counts.append(len(session.get(f"{url}/_local/points", timeout=TIMEOUT_S).json()))
            assert session.post(f"{url}/v1/write/metric", data=b"m f=1", timeout=TIMEOUT_S).ok
    assert counts == [0, 1]
    assert main(["local", "datakit", "--database", str(tmp_path)]) == 1
    assert "cannot be used as a database" in capsys.readouterr().err


def uptime(session, url):
    return session.get(f"{url}/v1/ping", timeout=TIMEOUT_S).json()["content"]["uptime"]


# -- Dataway ---------------------------------------------------------------------------------------


def test_a_dataway_takes_points_only_with_its_token(session):
    with LocalDataway("tkn_right") as dataway:
        url = f"{dataway.url}/v1/write/metric"
        answer = session.post(url, params={"token": "tkn_right"}, data=b"m f=1", timeout=TIMEOUT_S)
        assert answer.status_code == 200
        assert "X-Datakit" not in answer.headers
        assert [point.tags for point in dataway.points()] == [{}]
        for query in ({"token": "tkn_wrong"}, {"token": ""}, {}):
            refused = session.post(url, params=query, data=b"m f=1", timeout=TIMEOUT_S)
            assert error_of(refused) == (403, "kodo.tokenNotFound")
        assert session.get(f"{dataway.url}/v1/ping", timeout=TIMEOUT_S).status_code == 404
        assert dataway.count() == 1

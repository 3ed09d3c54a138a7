"""What the local DataKit serves to its page: files, the charts' numbers, calls, and the monitors' states."""

import builtins
import json
from pathlib import Path

import pytest
import requests
from viewing import COST, ERROR_RATE, P95, REQUESTS, chart_of

from guance_chatgpt_monitor.local.datakit.server import LocalDataKit
from guance_chatgpt_monitor.local.viewer import shipped

TIMEOUT_S = 20.0
SECOND_NS = 10**9
# A full hour and a minute, so that no monitor's check happens to fall between two points.
NOW_NS = 1_700_006_460 * SECOND_NS
DASHBOARDS = ("openai", "openai_monitor")
TAGS = {
    "service_name": "shop",
    "request_model": "gpt-4o",
    "operation_name": "chat",
    "provider_name": "openai",
}


class Page:
    """A DataKit whose clock the test sets, and the requests of its page."""

    def __init__(self):
        self.now_ns = NOW_NS
        self.datakit = LocalDataKit(clock_ns=lambda: self.now_ns, forgetful=True)
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path):
        return self.session.get(self.datakit.url + path, timeout=TIMEOUT_S)

    def ask(self, what, **parameters):
        answer = self.session.get(
            f"{self.datakit.url}/_local/view/{what}", params=parameters, timeout=TIMEOUT_S
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def write(self, seconds_ago, measurement="openai", category="metric", tags=TAGS, **fields):
        values = {
            name: f'"{value}"' if isinstance(value, str) else float(value) for name, value in fields.items()
        }
        line_tags = "".join(f",{name}={value}" for name, value in tags.items())
        line_fields = ",".join(f"{name}={value}" for name, value in values.items())
        line = f"{measurement}{line_tags} {line_fields} {self.now_ns - int(seconds_ago * SECOND_NS)}"
        self.write_lines(category, line)

    def write_lines(self, category, *lines):
        url = f"{self.datakit.url}/v1/write/{category}?precision=n"
        answer = self.session.post(url, "\n".join(lines).encode(), timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text

    def call(self, seconds_ago, error_type="", **fields):
        tags = {**TAGS, "status": "error" if error_type else "ok"}
        if error_type:
            tags["error_type"] = error_type
        values = {
            "question": 1,
            "response_time": 1,
            "create_time": 1,
            "res_status": bool(error_type),
            **fields,
        }
        self.write(seconds_ago, tags=tags, **values)

    def number(self, dql, **parameters):
        """The number in the single-value chart whose query begins with `dql`; None if it has no value."""
        answers = self.ask("data", dashboard="openai", **parameters)
        values = answers[chart_of(shipped.dashboards("en")["openai"], dql)]["columns"][0]["values"]
        return values[0][2] if values else None

    def states(self, dql):
        """The states of the monitor whose query begins with `dql`."""
        [monitor] = [each for each in self.ask("monitors") if each["dql"].startswith(dql)]
        return monitor["states"]


@pytest.fixture
def page():
    page = Page()
    with page.datakit, page.session:
        yield page


# --- the page


def test_the_page_loads_nothing_from_elsewhere_and_no_inline_scripts(page):
    answer = page.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    for part in ("texts.js", "charts.js", "page.js", "page.css"):
        assert page.get(f"/_local/view/{part}").status_code == 200
    assert "http" not in answer.text


def test_plotly_is_served_from_its_package_and_cached(page):
    pytest.importorskip("plotly")
    answer = page.get("/_local/view/plotly.js")
    assert len(answer.content) > 1_000_000
    again = page.session.get(
        page.datakit.url + "/_local/view/plotly.js", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_without_plotly_the_answer_names_the_extra(page, monkeypatch):
    real = builtins.__import__

    def without_plotly(name, *rest):
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    answer = page.get("/_local/view/plotly.js")
    assert answer.status_code == 404
    assert 'pip install "guance-chatgpt-monitor[viewer]"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        *("nothing", "../server.py", "server.py", "page.html", "dashboards?lang=fr"),
        *("data", "data?dashboard=no", "data?dashboard=openai&from=x", "data?dashboard=openai&from=9&to=8"),
        "data?dashboard=openai&from=-1&to=99999999999999999999",
    ],
)
def test_other_paths_and_parameters_are_refused(page, path):
    assert page.get(f"/_local/view/{path}").status_code in (400, 404)


def test_the_pages_requests_are_not_recorded(page):
    page.get("/")
    page.ask("dashboards")
    assert page.datakit.requests_total == 0


# --- dashboards


@pytest.mark.parametrize("language", shipped.LANGUAGES)
def test_every_query_of_the_shipped_dashboards_and_monitors_is_supported(page, language):
    assert set(shipped.dashboards(language)) == set(DASHBOARDS)
    for name in DASHBOARDS:
        answers = page.ask("data", dashboard=name, lang=language)
        assert [answer["error"] for answer in answers if "error" in answer] == []
    assert [monitor["error"] for monitor in page.ask("monitors", lang=language) if monitor["error"]] == []


def test_the_layout_matches_the_shipped_dashboard(page):
    layout = page.ask("dashboards", lang="zh")["openai"]
    shipped_one = shipped.dashboards("zh")["openai"]
    assert layout["title"] == shipped_one["title"]
    assert [c["position"] for c in layout["charts"]] == [c["pos"] for c in shipped_one["main"]["charts"]]
    assert [v["code"] for v in layout["variables"]] == [v["code"] for v in shipped_one["main"]["vars"]]


@pytest.mark.parametrize("language", shipped.LANGUAGES)
def test_the_charts_links_lead_to_tabs_of_this_page(page, language):
    layouts = page.ask("dashboards", lang=language)
    calls = {"tab": "calls", "name": ""}
    health = {"tab": "openai_monitor", "name": layouts["openai_monitor"]["title"]}
    back = {"tab": "openai", "name": layouts["openai"]["title"]}
    links = [link for layout in layouts.values() for chart in layout["charts"] for link in chart["links"]]
    assert {tuple(link.items()) for link in links} == {tuple(each.items()) for each in (calls, health, back)}
    assert layouts["openai"]["charts"][0]["links"] == [calls, health]


def test_charts_show_the_numbers_of_the_points(page):
    page.call(30, cost=0.5, response_time=2)
    page.call(20, cost=0.25, response_time=4)
    page.call(10, "timeout", response_time=60)
    page.call(3000, cost=1)
    last_minute = {"from": (NOW_NS - 60 * SECOND_NS) // 10**6, "to": NOW_NS // 10**6}
    assert page.number(REQUESTS, **last_minute) == 3
    assert page.number(ERROR_RATE, **last_minute) == pytest.approx(100 / 3)
    assert page.number(COST, **last_minute) == 0.75
    assert page.number(P95, **last_minute) == 60
    assert page.number(REQUESTS) == 4  # the last hour, by default
    assert page.number(REQUESTS, **{"v.service_name": "another"}) is None
    assert page.number(REQUESTS, **{"v.service_name": "*"}) == 4


def test_new_points_appear_and_cleared_ones_disappear_at_once(page):
    page.call(1)
    assert page.number(REQUESTS) == 1
    page.call(0.5)
    page.call(0.5, question=1)  # the same point
    assert page.number(REQUESTS) == 2
    page.datakit.clear()
    assert page.number(REQUESTS) is None
    page.call(0.25)
    assert page.number(REQUESTS) == 1
    variables = page.ask("dashboards")["openai"]["variables"]
    assert variables[0]["values"] == ["shop"]


def test_points_lost_by_a_stopped_datakit_disappear(page):
    page.call(100)
    page.now_ns += 60 * SECOND_NS
    page.call(1)
    assert page.number(REQUESTS) == 2
    page.datakit.stop()
    page.datakit.start()
    assert page.number(REQUESTS) == 1


@pytest.mark.slow
def test_many_points_are_all_read(page):
    lines = [f"openai,service_name=shop question=1 {NOW_NS - n * 10**6}" for n in range(1, 12_001)]
    page.write_lines("metric", *lines)
    assert page.number(REQUESTS) == 12_000


def test_an_unsupported_query_is_reported_on_its_chart(page, monkeypatch):
    broken = json.loads(json.dumps(shipped.dashboards("en")["openai"]))
    broken["main"]["charts"][0]["queries"][0]["query"]["q"] = "M::`openai`:(magic(`question`))"
    monkeypatch.setattr(shipped, "dashboards", lambda language: {"openai": broken})
    answers = page.ask("data", dashboard="openai")
    assert "magic" in answers[0]["error"]
    assert not any("error" in answer for answer in answers[1:])


# --- calls


def test_the_last_calls_come_with_their_content(page):
    tags = {**TAGS, "status": "ok"}
    page.call(2)
    page.write(1, tags=tags, question=1, response_time=3)
    page.write(1, category="logging", tags=tags, message="<script>", finish_reason="stop")
    calls = page.ask("calls")["calls"]
    assert [call["fields"]["response_time"] for call in calls] == [3, 1]
    assert [(call["said"] or {}).get("message") for call in calls] == ["<script>", None]


def test_calls_can_be_filtered(page):
    page.call(2, "timeout")
    page.call(1)
    assert len(page.ask("calls", **{"v.status": "error"})["calls"]) == 1
    assert page.ask("calls", **{"v.request_model": "o3"})["calls"] == []
    assert page.ask("calls")["filters"]["status"] == ["error", "ok"]


# --- monitors


def test_a_monitor_fires_stays_and_recovers(page):
    name = "M::`openai`:(sum(`res_status`) AS `Result`) { `error_type` = 'insufficient_quota' }"
    assert page.states(name) == []
    page.call(10)
    page.call(5, "insufficient_quota")
    [fired] = page.states(name)
    assert (fired["group"], fired["status"], fired["value"]) == ({"service_name": "shop"}, "critical", 1)
    assert fired["since"] == page.now_ns // 10**6
    fired_at_ms = fired["since"]
    page.now_ns += 120 * SECOND_NS
    [still] = page.states(name)
    assert (still["status"], still["since"]) == ("critical", fired_at_ms)
    # It takes two checks without a failure: five minutes of range, and one more minute.
    page.now_ns += 180 * SECOND_NS
    assert page.states(name)[0]["status"] == "critical"
    page.now_ns += 120 * SECOND_NS
    assert page.states(name)[0]["status"] == "ok"


def test_a_monitor_has_the_level_of_its_value(page):
    for second in range(100):
        page.call((second + 1) / 2, "server_error" if second < 12 else "")
    [state] = page.states(ERROR_RATE)
    assert (state["status"], state["value"]) == ("error", 12)


def test_without_data_a_level_recovers_but_a_heartbeat_does_not(page):
    page.call(1, response_time=100)
    page.write(1, "openai_monitor", tags={"service_name": "shop"}, datakit_up=1, backlog_lines=0)
    assert page.states(P95)[0]["status"] == "critical"
    assert page.states("M::`openai_monitor`:(min(`datakit_up`)")[0]["status"] == "ok"
    page.now_ns += 1700 * SECOND_NS
    assert page.states(P95)[0]["status"] == "ok"
    assert page.states("M::`openai_monitor`:(min(`datakit_up`)")[0]["status"] == "nodata"


# --- installed


def test_the_dashboards_are_found_in_an_installed_package(tmp_path, monkeypatch):
    root = Path(shipped.__file__).parents[3]
    # In a wheel, they are inside the package.
    for kind in ("dashboard", "monitor"):
        (tmp_path / "guance_chatgpt_monitor").mkdir(exist_ok=True)
        (tmp_path / "guance_chatgpt_monitor" / kind).symlink_to(root / kind)
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "guance_chatgpt_monitor")
    assert set(shipped.dashboards("en")) == set(DASHBOARDS)
    assert len(shipped.checkers("zh")) == len(shipped.checkers("en")) > 10

"""Importing the assets, against a server that takes what Guance's OpenAPI documentation describes."""

import json

import pytest
import requests

from guance_chatgpt_monitor.assets import GuanceError, apply_assets, render_assets
from guance_chatgpt_monitor.local.http_server import LocalServer, Response

KEY = "wsak_the-key-of-the-workspace"
IMPORT = "/api/v1/monitor/check/import"
LATER_IMPORT = "/api/v1/checker/import"


class Workspace(LocalServer):
    """A Guance site with one workspace. Refuses what the documentation does not allow."""

    def __init__(self):
        super().__init__()
        self.import_path = IMPORT
        self.requests_allowed = 20
        self.requests = []
        self.dashboards = {}
        self.monitors = {}

    def respond(self, request):
        self.requests.append(request)
        if request.headers.get("DF-API-KEY") != KEY:
            return refusal(403, "ft.InvalidAPIKey", "Invalid API Key")
        if len(self.requests) > self.requests_allowed:
            return refusal(401, "ft.TriggerApiAkCurrentLimiting", "too many requests")
        if (request.method, request.path) == ("GET", "/api/v1/dashboards/list"):
            assert 1 <= int(request.query["pageSize"]) <= 100
            found = [name for name in self.dashboards if request.query["search"] in name]
            return accepted([{"name": name, "uuid": "dsbd_1"} for name in found])
        if request.method == "POST":
            assert request.headers["Content-Type"].startswith("application/json")
            if request.path == "/api/v1/dashboards/create":
                return self._create(request.json())
            if request.path == self.import_path:
                return self._import(request.json())
        return refusal(404, "", "not found")

    def _create(self, body):
        assert set(body) <= {"name", "desc", "tagNames", "templateInfo"}
        assert 0 < len(body["name"]) <= 128
        assert len(body["desc"]) <= 2048
        self.dashboards[body["name"]] = body["templateInfo"]
        return accepted({"name": body["name"], "uuid": "dsbd_1"})

    def _import(self, body):
        assert set(body) == {"checkers", "skipRepeatNameCheck", "skipRepeatNameCreate"}
        given = {checker["jsonScript"]["name"]: checker for checker in body["checkers"]}
        taken = [name for name in given if name in self.monitors]
        if taken and not body["skipRepeatNameCheck"]:
            return accepted({"repeat_name": taken})
        assert not taken, "would be created twice"
        assert all(len(checker["jsonScript"]["title"]) <= 256 for checker in given.values())
        self.monitors.update(given)
        return accepted({"rule": list(given.values())})


def accepted(content):
    return Response(200, {"code": 200, "content": content, "errorCode": "", "message": "", "success": True})


def refusal(status_code, error_code, message):
    body = {"code": status_code, "content": "", "errorCode": error_code, "message": message, "success": False}
    return Response(status_code, body)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def guance():
    with Workspace() as server:
        yield server


@pytest.fixture(params=["zh", "en"])
def language(request):
    return request.param


def shipped(language):
    dashboard, monitors = render_assets(language).values()
    return dashboard, {checker["jsonScript"]["name"]: checker for checker in monitors["checkers"]}


def test_an_empty_workspace_gets_all_of_it(guance, language):
    applied = apply_assets(language, guance.url, KEY)
    dashboard, monitors = shipped(language)
    assert guance.dashboards == {dashboard["title"]: dashboard}
    assert guance.monitors == monitors
    assert [tuple(item) for item in applied] == [
        ("created", "dashboard", dashboard["title"]),
        *(("created", "monitor", name) for name in monitors),
    ]


def test_the_second_time_everything_is_skipped(guance):
    apply_assets("en", guance.url, KEY)
    dashboard, monitors = shipped("en")
    guance.requests.clear()
    applied = apply_assets("en", guance.url, KEY)
    assert {item.action for item in applied} == {"skipped"}
    assert [item.name for item in applied] == [dashboard["title"], *monitors]
    assert [request.path for request in guance.requests] == ["/api/v1/dashboards/list", IMPORT]


def test_a_monitor_that_is_there_stays_as_it_is(guance):
    _, monitors = shipped("en")
    mine, *others = monitors
    guance.monitors[mine] = "with my own thresholds"
    applied = apply_assets("en", guance.url, KEY)
    assert guance.monitors == {**monitors, mine: "with my own thresholds"}
    assert [item.name for item in applied if item.action == "skipped"] == [mine]
    assert [item.name for item in applied if item.kind == "monitor" and item.action == "created"] == others


def test_a_dashboard_with_a_longer_name_is_another(guance):
    dashboard, _ = shipped("en")
    guance.dashboards[dashboard["title"] + " of my team"] = "mine"
    applied = apply_assets("en", guance.url, KEY)
    assert applied[0].action == "created"
    assert len(guance.dashboards) == 2


def test_the_later_name_of_the_import_is_found(guance):
    guance.import_path = LATER_IMPORT
    applied = apply_assets("en", guance.url, KEY)
    assert {item.action for item in applied} == {"created"}
    assert guance.monitors == shipped("en")[1]


def test_an_endpoint_may_end_in_a_slash(guance):
    assert apply_assets("en", guance.url + "/", KEY)
    assert all(not request.path.startswith("//") for request in guance.requests)


def test_a_wrong_key_is_explained_and_not_repeated(guance):
    with pytest.raises(GuanceError, match=r"refused the API key \(ft\.InvalidAPIKey") as caught:
        apply_assets("en", guance.url, "wsak_wrong")
    assert caught.value.status_code == 403
    assert caught.value.done == []
    assert "wsak_wrong" not in str(caught.value)
    assert len(guance.requests) == 1


def test_what_was_done_before_an_error_is_told(guance):
    guance.requests_allowed = 2
    with pytest.raises(GuanceError, match="20 requests a minute") as caught:
        apply_assets("en", guance.url, KEY)
    dashboard, _ = shipped("en")
    assert [tuple(item) for item in caught.value.done] == [("created", "dashboard", dashboard["title"])]


def test_a_guance_that_is_away(guance):
    guance.stop()
    with pytest.raises(GuanceError, match=f"cannot be reached at {guance.url}") as caught:
        apply_assets("en", guance.url, KEY)
    assert caught.value.status_code is None


def test_the_key_follows_no_redirect(guance):
    class Redirect(Workspace):
        def respond(self, request):
            return Response(302, b"", headers={"Location": guance.url + request.path})

    with Redirect() as elsewhere, pytest.raises(GuanceError, match="HTTP 302"):
        apply_assets("en", elsewhere.url, KEY)
    assert guance.requests == []


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", json.dumps({"success": False}).encode()])
def test_a_page_that_is_not_guances_answer(body):
    class Page(Workspace):
        def respond(self, request):
            return Response(200, body)

    with Page() as server, pytest.raises(GuanceError, match="HTTP 200"):
        apply_assets("en", server.url, KEY)


def test_an_endpoint_that_is_not_guances():
    class Elsewhere(Workspace):
        def respond(self, request):
            return Response(404, b"<html>nothing here</html>")

    with Elsewhere() as server, pytest.raises(GuanceError, match="check the endpoint"):
        apply_assets("en", server.url, KEY)


@pytest.mark.parametrize("endpoint", ["", "openapi.guance.com", "ftp://openapi.guance.com", "https://"])
def test_an_endpoint_must_be_a_url(endpoint):
    with pytest.raises(ValueError, match=r"https://openapi\.guance\.com"):
        apply_assets("en", endpoint, KEY)


@pytest.mark.parametrize("key", ["", " ", "wsak_\u201ccopied\u201d", "wsak_1\nX-Other: 1"])
def test_a_key_must_be_one(guance, key):
    with pytest.raises(ValueError, match="API key") as caught:
        apply_assets("en", guance.url, key)
    assert not key.strip() or key not in str(caught.value)
    assert guance.requests == []


def test_a_language_must_be_one(guance):
    with pytest.raises(ValueError, match="fr"):
        apply_assets("fr", guance.url, KEY)
    assert guance.requests == []


def test_the_servers_own_rules_hold(guance):
    """So that the tests above mean something."""
    answer = requests.get(guance.url + "/api/v1/dashboards/list", timeout=5)
    assert answer.status_code == 403

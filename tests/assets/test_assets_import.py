"""Importing the assets into a server that accepts what Guance's OpenAPI documentation describes."""

import json

import pytest
import requests
from guance_site import IMPORT, KEY, LATER_IMPORT, Workspace

from guance_chatgpt_monitor.assets import GuanceError, apply_assets, render_assets
from guance_chatgpt_monitor.local.http_server import Response


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
    """Both dashboards and all monitors, by their names."""
    *dashboards, monitors = render_assets(language).values()
    return (
        {dashboard["title"]: dashboard for dashboard in dashboards},
        {checker["jsonScript"]["name"]: checker for checker in monitors["checkers"]},
    )


def test_an_empty_workspace_gets_everything(guance, language):
    applied = apply_assets(language, guance.url, KEY)
    dashboards, monitors = shipped(language)
    assert guance.dashboards == dashboards
    assert guance.monitors == monitors
    assert [tuple(item) for item in applied] == [
        *(("created", "dashboard", name) for name in dashboards),
        *(("created", "monitor", name) for name in monitors),
    ]


def test_the_second_time_everything_is_skipped(guance):
    apply_assets("en", guance.url, KEY)
    dashboards, monitors = shipped("en")
    guance.requests.clear()
    applied = apply_assets("en", guance.url, KEY)
    assert {item.action for item in applied} == {"skipped"}
    assert [item.name for item in applied] == [*dashboards, *monitors]
    paths = [request.path for request in guance.requests]
    assert paths == ["/api/v1/dashboards/list", "/api/v1/dashboards/list", IMPORT]


def test_an_existing_monitor_is_left_alone(guance):
    _, monitors = shipped("en")
    mine, *others = monitors
    guance.monitors[mine] = "with my own thresholds"
    applied = apply_assets("en", guance.url, KEY)
    assert guance.monitors == {**monitors, mine: "with my own thresholds"}
    assert [item.name for item in applied if item.action == "skipped"] == [mine]
    assert [item.name for item in applied if item.kind == "monitor" and item.action == "created"] == others


def test_a_dashboard_with_a_longer_name_is_another(guance):
    dashboards, _ = shipped("en")
    guance.dashboards[next(iter(dashboards)) + " of my team"] = "mine"
    applied = apply_assets("en", guance.url, KEY)
    assert applied[0].action == "created"
    assert guance.dashboards.keys() > dashboards.keys()


def test_the_newer_path_of_the_import_is_found(guance):
    guance.import_path = LATER_IMPORT
    applied = apply_assets("en", guance.url, KEY)
    assert {item.action for item in applied} == {"created"}
    assert guance.monitors == shipped("en")[1]


def test_an_endpoint_may_end_in_a_slash(guance):
    assert apply_assets("en", guance.url + "/", KEY)
    assert all(not request.path.startswith("//") for request in guance.requests)


def test_a_wrong_key_is_explained_but_not_shown(guance):
    with pytest.raises(GuanceError, match=r"refused the API key \(ft\.InvalidAPIKey") as caught:
        apply_assets("en", guance.url, "wsak_wrong")
    assert caught.value.status_code == 403
    assert caught.value.done == []
    assert "wsak_wrong" not in str(caught.value)
    assert len(guance.requests) == 1


def test_work_done_before_an_error_is_reported(guance):
    guance.requests_allowed = 2
    with pytest.raises(GuanceError, match="20 requests a minute") as caught:
        apply_assets("en", guance.url, KEY)
    first, *_ = shipped("en")[0]
    assert [tuple(item) for item in caught.value.done] == [("created", "dashboard", first)]


def test_each_import_is_reported_as_it_happens(guance):
    told = []  # type: ignore[var-annotated]
    assert apply_assets("en", guance.url, KEY, told.append) == told
    assert len(told) == 16


def test_an_unreachable_guance_is_one_clear_error(guance):
    guance.stop()
    with pytest.raises(GuanceError, match=f"cannot be reached at {guance.url}") as caught:
        apply_assets("en", guance.url, KEY)
    assert caught.value.status_code is None


def test_the_key_follows_no_redirect(guance):
    class Redirect(Workspace):
        def respond(self, request):
            return Response(302, b"", headers={"Location": guance.url + request.path})

    with Redirect() as elsewhere, pytest.raises(GuanceError, match="answers 302"):
        apply_assets("en", elsewhere.url, KEY)
    assert guance.requests == []


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", json.dumps({"success": False}).encode()])
def test_a_page_in_place_of_guance_is_reported(body):
    class Page(Workspace):
        def respond(self, request):
            return Response(200, body)

    with Page() as server, pytest.raises(GuanceError, match=r"answers 200, but not as Guance|HTTP 200"):
        apply_assets("en", server.url, KEY)


def test_an_endpoint_that_is_not_guances_is_reported():
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
def test_an_impossible_key_is_refused(guance, key):
    with pytest.raises(ValueError, match="API key") as caught:
        apply_assets("en", guance.url, key)
    assert not key.strip() or key not in str(caught.value)
    assert guance.requests == []


def test_an_unknown_language_is_refused(guance):
    with pytest.raises(ValueError, match="fr"):
        apply_assets("fr", guance.url, KEY)
    assert guance.requests == []


def test_the_server_refuses_what_guance_refuses(guance):
    """Otherwise, the tests above prove nothing."""
    answer = requests.get(guance.url + "/api/v1/dashboards/list", timeout=5)
    assert answer.status_code == 403

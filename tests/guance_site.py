"""A server that accepts what Guance's OpenAPI documentation describes."""

from typing import Any

from guance_chatgpt_monitor.local.http_server import LocalServer, Request, Response

KEY = "wsak_the-key-of-the-workspace"
IMPORT = "/api/v1/monitor/check/import"
LATER_IMPORT = "/api/v1/checker/import"


class Workspace(LocalServer):
    """A Guance site with one workspace, which refuses what the documentation does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.import_path = IMPORT
        self.requests_allowed = 20
        self.requests: list[Request] = []
        self.dashboards: dict[str, Any] = {}
        self.monitors: dict[str, Any] = {}

    def respond(self, request: Request) -> Response:
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

    def _create(self, body: Any) -> Response:
        assert set(body) <= {"name", "desc", "tagNames", "templateInfo"}
        assert 0 < len(body["name"]) <= 128
        assert len(body["desc"]) <= 2048
        self.dashboards[body["name"]] = body["templateInfo"]
        return accepted({"name": body["name"], "uuid": "dsbd_1"})

    def _import(self, body: Any) -> Response:
        assert set(body) == {"checkers", "skipRepeatNameCheck", "skipRepeatNameCreate"}
        given = {checker["jsonScript"]["name"]: checker for checker in body["checkers"]}
        taken = [name for name in given if name in self.monitors]
        if taken and not body["skipRepeatNameCheck"]:
            return accepted({"repeat_name": taken})
        assert not taken, "would be created twice"
        assert all(len(checker["jsonScript"]["title"]) <= 256 for checker in given.values())
        self.monitors.update(given)
        return accepted({"rule": list(given.values())})


def accepted(content: Any) -> Response:
    return Response(200, {"code": 200, "content": content, "errorCode": "", "message": "", "success": True})


def refusal(status_code: int, error_code: str, message: str) -> Response:
    body = {"code": status_code, "content": "", "errorCode": error_code, "message": message, "success": False}
    return Response(status_code, body)

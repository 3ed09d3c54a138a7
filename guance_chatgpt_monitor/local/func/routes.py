"""The paths of Func's management API: who may ask, what each takes, and which part of `func_api` answers."""

import re
from typing import Any, Callable, Dict, NamedTuple, Tuple

from ..http_server import Request, Response
from .access import AccessChecker
from .api import Call, ManagementAPI
from .errors import ApiError
from .rows import Page
from .schema import NOTE, Field, ListOf, Schema, check_body, check_query, data
from .state import Row

_SYSTEM_ERROR = "A System error occured. Please report this response to the administrator"

_TEXT = Field(required=True)
_FIELDS = ListOf(
    {"location": Field(required=True, choices=("header", "query", "body")), "name": _TEXT, "value": _TEXT}
)
_AUTH_CONFIG = {
    "fields": _FIELDS,
    "users": ListOf({"username": _TEXT, "password": Field()}),
    "funcId": Field(nullable=True),
}
_AUTH_TYPES = ("fixedField", "httpBasic", "httpDigest", "func")
_ENV_TYPES = ("string", "password", "integer", "float", "boolean", "json", "commaArray")
_LIMIT = Field("int", nullable=True, limits=(1, 10**12))
_THROTTLING = dict.fromkeys(("bySecond", "byMinute", "byHour", "byDay", "byMonth", "byYear"), _LIMIT)
_ON_LINK = {
    "apiAuthId": Field(nullable=True),
    "expireTime": Field(nullable=True),
    "throttlingJSON": _THROTTLING,
    "showInDoc": Field("bool"),
    "taskRecordLimit": Field("int", nullable=True, limits=(0, 10000)),
    "isDisabled": Field("bool"),
    "note": NOTE,
}
_ON_CRON_JOB = {
    "cronExpr": Field(nullable=True),
    "taskRecordLimit": Field("int", nullable=True, limits=(0, 10000)),
    "isDisabled": Field("bool"),
    "note": NOTE,
}
_KWARGS = Field("json", required=True)
_ON_ENV = {"title": NOTE, "description": NOTE, "valueTEXT": Field(), "isPinned": Field("bool", nullable=True)}
_PAGING = ("pageSize", "pageNumber")


class _Route(NamedTuple):
    method: str
    path: str  # `:id` stands for one
    handle: Callable[[ManagementAPI, Call], Any]
    body: Schema = {}  # noqa: RUF012 - never changed
    query: Tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        return not self.path.endswith(("/list", "/get"))


_API = ManagementAPI
_ROUTES = [
    _Route("GET", "script-sets/do/list", _API.list_sets, {}, ("id", "_withScripts", "_withScriptCode")),
    _Route("GET", "script-sets/:id/do/delete", _API.delete_set),
    _Route("POST", "script-sets/do/import", _API.import_set, {"checkOnly": Field(), "setBuiltin": Field()}),
    _Route("POST", "script-sets/do/confirm-import", _API.confirm_import, {"confirmId": _TEXT}),
    _Route(
        "POST",
        "script-sets/:id/do/deploy",
        _API.deploy,
        {
            "withCronJob": Field("bool"),
            "withCrontabConfig": Field("bool"),
            "startupScriptTitle": Field(nullable=True),
            "configReplacer": Field("json"),
        },
    ),
    _Route(
        "GET",
        "scripts/do/list",
        _API.list_scripts,
        {},
        ("id", "scriptSetId", "_withCode", "_withCodeDraft"),
    ),
    _Route(
        "POST",
        "scripts/:id/do/modify",
        _API.modify_script,
        {
            "prevCodeDraftMD5": Field(),
            "data": {"title": NOTE, "description": NOTE, "codeDraft": Field(), "codeDraftBase64": Field()},
        },
    ),
    _Route("POST", "scripts/:id/do/publish", _API.publish_script, data(note=Field())),
    _Route("GET", "scripts/:id/do/delete", _API.delete_script),
    _Route("GET", "funcs/do/list", _API.list_funcs, {}, ("id", "scriptId", "scriptSetId")),
    _Route("GET", "sync-apis/do/list", _API.list_links, {}, ("id", "funcId")),
    _Route(
        "POST",
        "sync-apis/do/add",
        _API.add_link,
        data(id=Field(nullable=True), funcId=_TEXT, funcCallKwargsJSON=_KWARGS, **_ON_LINK),
    ),
    _Route(
        "POST",
        "sync-apis/:id/do/modify",
        _API.modify_link,
        data(funcId=Field(), funcCallKwargsJSON=Field("json"), **_ON_LINK),
    ),
    _Route("GET", "sync-apis/:id/do/delete", _API.delete_link),
    _Route("GET", "async-apis/do/list", _API.list_async_apis, {}, ("id", "funcId")),
    _Route("GET", "api-auth/do/list", _API.list_auths, {}, ("id", "type", "title")),
    _Route(
        "POST",
        "api-auth/do/add",
        _API.add_auth,
        data(title=NOTE, type=Field(required=True, choices=_AUTH_TYPES), configJSON=_AUTH_CONFIG, note=NOTE),
    ),
    _Route(
        "POST",
        "api-auth/:id/do/modify",
        _API.modify_auth,
        data(title=NOTE, configJSON=_AUTH_CONFIG, note=NOTE),
    ),
    _Route("GET", "api-auth/:id/do/delete", _API.delete_auth),
    _Route("GET", "env-variables/do/list", _API.list_env, {}, ("id",)),
    _Route(
        "POST",
        "env-variables/do/add",
        _API.add_env,
        data(
            id=Field(required=True, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$"),
            autoTypeCasting=Field(required=True, choices=_ENV_TYPES),
            **_ON_ENV,
        ),
    ),
    _Route(
        "POST",
        "env-variables/:id/do/modify",
        _API.modify_env,
        data(autoTypeCasting=Field(choices=_ENV_TYPES), **_ON_ENV),
    ),
    _Route("GET", "env-variables/:id/do/delete", _API.delete_env),
    _Route("GET", "cron-jobs/do/list", _API.list_cron_jobs, {}, ("id", "funcId")),
    _Route(
        "POST",
        "cron-jobs/do/add",
        _API.add_cron_job,
        data(id=Field(nullable=True), funcId=_TEXT, funcCallKwargsJSON=_KWARGS, **_ON_CRON_JOB),
    ),
    _Route(
        "POST",
        "cron-jobs/:id/do/modify",
        _API.modify_cron_job,
        data(funcId=Field(), funcCallKwargsJSON=Field("json"), **_ON_CRON_JOB),
    ),
    _Route("GET", "cron-jobs/:id/do/delete", _API.delete_cron_job),
    _Route(
        "GET",
        "task-records/func/do/list",
        _API.list_records,
        {},
        ("funcId", "originId", "origin", "status"),
    ),
    _Route("GET", "python-packages/installed/do/list", _API.list_packages),
    _Route("GET", "python-packages/install-status/do/get", _API.package_status),
    _Route(
        "POST",
        "python-packages/do/install",
        _API.install_packages,
        {"packages": Field(required=True, pattern="."), "pipIndexURL": Field(), "upgrade": Field("bool")},
    ),
]


class Router:
    """Answers the requests of the management API."""

    def __init__(self, api: ManagementAPI, access: AccessChecker) -> None:
        self._api = api
        self._access = access

    def respond(self, request: Request) -> Response:
        """Raises ApiError."""
        route, ids = _find(request)
        body, file = _read_body(request)
        self._access.check(request, body, route.writes)
        check_query(request.query, route.query)
        check_body(body, route.body)
        try:
            answer = route.handle(self._api, Call(ids, request.query, body, file))
        except ApiError:
            raise
        except Exception:
            raise ApiError("ESys", _SYSTEM_ERROR) from None
        return Response(200, {"ok": True, "error": 200, "message": "", **_as_answer(answer)})


def _find(request: Request) -> Tuple[_Route, Tuple[str, ...]]:
    for route in _ROUTES:
        pattern = "/api/v1/" + route.path.replace(":id", "([^/]+)")
        found = re.fullmatch(pattern, request.path)
        if found and route.method == request.method:
            paging = _PAGING if route.path.endswith("do/list") else ()
            return route._replace(query=route.query + paging), found.groups()
    message = "No such router. Please make sure that the METHOD is correct and no spelling missing in the URL"
    raise ApiError("EClientNotFound", message, {"method": request.method, "url": request.url})


def _read_body(request: Request) -> Tuple[Dict[str, Any], bytes]:
    """The JSON body, or the texts of a form and its file. Raises ApiError."""
    content_type = request.headers.get("Content-Type", "")
    if content_type.startswith("multipart/form-data"):
        return _read_form(request.body, content_type)
    if not request.body:
        return {}, b""
    try:
        body = request.json()
    except ValueError:
        raise ApiError("EClientBadRequest", "Invalid request body") from None
    return body, b""


def _read_form(body: bytes, content_type: str) -> Tuple[Dict[str, Any], bytes]:
    boundary = content_type.partition("boundary=")[2].strip('"').encode("latin-1")
    texts: Dict[str, Any] = {}
    file = b""
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        content = content[: -len(b"\r\n")]
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if b"filename=" in head:
            file = content
        elif name:
            texts[name.group(1).decode("utf-8")] = content.decode("utf-8")
    return texts, file


def _as_answer(answer: Any) -> Row:
    """`data`; of a page of rows, also where it stands."""
    if isinstance(answer, Page):
        return {"data": list(answer), "pageInfo": {"pageSize": answer.size, "totalCount": answer.total}}
    return {} if answer is None else {"data": answer}

"""Func's errors: the numbers, and the body they come in."""

import json
from typing import Any, Dict

from ..http_server import Request, Response

MAX_DUMP_CHARACTERS = 1000

# The whole part is the HTTP status.
_CODES = {
    "EUserAuth": 401.14,
    "EUserPrivilege": 401.15,
    "EBizCondition": 403.21,
    "EBizRequestConflict": 409.25,
    "EClientNotFound": 404.41,
    "EClientDuplicated": 409.42,
    "EClientBadRequest": 400.43,
    "EClientRateLimit": 429.46,
    "ESys": 500.5,
    "EAPIAuth": 401.99,
    "EScriptPublishFailed": 400.9,
    "EStartupScriptDeployFailed": 400.91,
    "EFuncFailed": 599.1,
    "EFuncTimeout": 599.2,
    "EWorkerNoResponse": 599.99,
}


class ApiError(Exception):
    """A refusal by Func. `reason` may name a case of its kind: `EBizCondition.SyncAPIDisabled`."""

    def __init__(self, reason: str, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.detail = detail

    def response(self, request: Request) -> Response:
        code = _CODES[self.reason.split(".")[0]]
        body = {
            "ok": False,
            "error": code,
            "reason": self.reason,
            "message": self.message,
            "detail": self.detail,
            "status": int(code),
            "reqDump": _dump(request),
        }
        return Response(int(code), body)


def _dump(request: Request) -> Dict[str, Any]:
    """The real one repeats the request: whoever shows its errors in full shows the secrets in it, too."""
    dump: Dict[str, Any] = {"method": request.method, "url": request.url}
    try:
        dump["bodyDump"] = json.dumps(request.json(), indent=2)[:MAX_DUMP_CHARACTERS]
    except ValueError:
        pass
    return dump

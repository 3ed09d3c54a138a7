"""A stand-in for Dataway, Guance's gateway: what takes points from those who have no DataKit.

Line protocol as DataKit takes it, with the workspace's token in the URL. It has no ping, adds no tag, and its
answers carry no `X-Datakit`. Any other token is refused as Guance's public documentation says.
"""

from typing import Optional

from ..http_server import CONTROL_PATH, Request, Response
from .server import WRITE_PATH, LocalDataKit


class LocalDataway(LocalDataKit):
    """The stand-in. `token` is the workspace's."""

    def __init__(self, token: str) -> None:
        super().__init__(global_tags={}, auto_timestamp_correction=False, metrics_public=False)
        self._token = token

    def respond(self, request: Request) -> Optional[Response]:
        if request.path.startswith(CONTROL_PATH):
            return super().respond(request)
        if not request.path.startswith(WRITE_PATH):
            return Response(404)
        if request.query.get("token") != self._token:
            return Response(403, {"error_code": "kodo.tokenNotFound", "message": "token not found"})
        response = super().respond(request)
        if response is not None:
            response.headers.pop("X-Datakit", None)
        return response

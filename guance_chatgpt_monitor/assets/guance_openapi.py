"""Imports the dashboards and the monitors through Guance's OpenAPI.

From its public documentation: the header `DF-API-KEY`, 20 requests a minute for each key; an import takes
eight at most. The key goes nowhere else: no redirect is followed, and no error quotes it.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional
from urllib.parse import urlsplit

import requests

TIMEOUT_S = (5.0, 30.0)  # connect, read
PAGE_SIZE = 100  # the largest that the documentation allows

# The documentation names it both ways: the second is the later one. A site has one of them.
_IMPORT_PATH = "/api/v1/monitor/check/import"
_LATER_IMPORT_PATH = "/api/v1/checker/import"


class Applied(NamedTuple):
    """What became of one dashboard or monitor."""

    action: str  # "created" or "skipped": there is one of that name
    kind: str  # "dashboard" or "monitor"
    name: str


class GuanceError(Exception):
    """Guance is unreachable, or refused. `done` lists what was created or skipped before."""

    def __init__(self, message: str, status_code: Optional[int] = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.done: List[Applied] = []


class GuanceOpenAPI:
    """The OpenAPI calls needed here, for the API key's workspace.

    `endpoint` is the site's, such as https://openapi.guance.com. Raises ValueError if it is not a URL, or
    the key is not one.
    """

    def __init__(self, endpoint: str, api_key: str) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("the endpoint must be a URL such as https://openapi.guance.com")
        api_key = api_key.strip()
        if not api_key:
            raise ValueError("no API key: make one in Guance under Manage / API Key Management")
        if not api_key.isascii() or not api_key.isprintable():
            raise ValueError("the API key has characters that no key has: copy it again")
        self._endpoint = endpoint.rstrip("/")
        self._session = requests.Session()
        self._session.headers["DF-API-KEY"] = api_key

    def import_dashboard(self, dashboard: Dict[str, Any]) -> Applied:
        """Create the dashboard, unless its title is taken."""
        name = dashboard["title"]
        if name in self._dashboard_names(search=name):
            return Applied("skipped", "dashboard", name)
        body = {
            "name": name,
            "desc": dashboard["summary"],
            "tagNames": [tag["name"] for tag in dashboard["tagInfo"]],
            "templateInfo": dashboard,
        }
        self._call("POST", "/api/v1/dashboards/create", json=body)
        return Applied("created", "dashboard", name)

    def import_monitors(self, checkers: List[Dict[str, Any]]) -> List[Applied]:
        """Create the monitors whose name is not taken."""
        content = self._import(checkers, skip_name_check=False)
        # If any name is taken, nothing is imported: the answer lists the taken names.
        taken = set(content.get("repeat_name") or []) if isinstance(content, dict) else set()
        fresh = [checker for checker in checkers if checker["jsonScript"]["name"] not in taken]
        if taken and fresh:
            self._import(fresh, skip_name_check=True)
        names = (checker["jsonScript"]["name"] for checker in checkers)
        return [Applied("skipped" if name in taken else "created", "monitor", name) for name in names]

    def _dashboard_names(self, search: str) -> List[str]:
        query = {"search": search, "pageIndex": "1", "pageSize": str(PAGE_SIZE)}
        content = self._call("GET", "/api/v1/dashboards/list", params=query)
        listed = content if isinstance(content, list) else []
        return [item.get("name", "") for item in listed if isinstance(item, dict)]

    def _import(self, checkers: List[Dict[str, Any]], skip_name_check: bool) -> Any:
        body = {
            "checkers": checkers,
            "skipRepeatNameCheck": skip_name_check,
            "skipRepeatNameCreate": True,
        }
        try:
            return self._call("POST", _IMPORT_PATH, json=body)
        except GuanceError as error:
            if error.status_code != 404:
                raise
        return self._call("POST", _LATER_IMPORT_PATH, json=body)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        """The `content` of the answer."""
        try:
            response = self._session.request(
                method, self._endpoint + path, timeout=TIMEOUT_S, allow_redirects=False, **arguments
            )
        except requests.RequestException as error:
            # The error's own text may be long; its class says what happened.
            raise GuanceError(
                f"Guance cannot be reached at {self._endpoint}: {type(error).__name__}"
            ) from None
        answer = _read_answer(response)
        if "success" not in answer and response.status_code != 404:
            raise GuanceError(
                f"{self._endpoint} answers {response.status_code}, but not as Guance's OpenAPI",
                response.status_code,
            )
        if response.status_code != 200 or not answer.get("success"):
            raise GuanceError(_explain(response.status_code, answer, path), response.status_code)
        return answer.get("content")


def apply(
    endpoint: str,
    api_key: str,
    dashboards: List[Dict[str, Any]],
    monitors: Dict[str, Any],
    told: Callable[[Applied], Any],
) -> List[Applied]:
    """Import all of them, passing each to `told`. Raises GuanceError, whose `done` lists what came before."""
    guance = GuanceOpenAPI(endpoint, api_key)
    done: List[Applied] = []

    def add(*items: Applied) -> None:
        for item in items:
            done.append(item)
            told(item)

    try:
        for dashboard in dashboards:
            add(guance.import_dashboard(dashboard))
        add(*guance.import_monitors(monitors["checkers"]))
    except GuanceError as error:
        error.done = done
        raise
    return done


def _read_answer(response: requests.Response) -> Dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _explain(status_code: int, answer: Dict[str, Any], path: str) -> str:
    code, message = _text(answer.get("errorCode")), _text(answer.get("message"))
    said = ": ".join(part for part in (code, message) if part) or f"HTTP {status_code}"
    if status_code == 403:
        return (
            f"Guance refused the API key ({said}): check the key, that it belongs to the workspace, "
            "and that the endpoint is the one of its site"
        )
    if "CurrentLimiting" in code:
        return f"Guance limits the rate ({said}): 20 requests a minute for each key; try again in a minute"
    if status_code == 404:
        return f"Guance knows no {path} at this endpoint ({said}): check the endpoint"
    return f"Guance refused {path} with HTTP {status_code} ({said})"


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""

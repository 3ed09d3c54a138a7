"""Calls the authorization link, and explains what Func answers in place of the script."""

import json
import re
import time
from typing import Any, Callable, Dict, NamedTuple

from .http_client import HTTPAnswer, call
from .messages import text, translated
from .user_error import UserError, check_http_url

SECRET_HEADER = "X-ChatGPT-Monitor-Secret"  # noqa: S105 - a header's name
# Func waits up to about 180 s for a synchronous answer.
READ_TIMEOUT_S = 190.0
MAX_SHOWN_CHARACTERS = 300

_LINK = re.compile(r".+/api/v1/(?:al|sync)/[\w-]+")


class LinkError(UserError):
    """Func answered in place of the script. `reason` is Func's code, such as `EAPIAuth`, or ours."""

    def __init__(self, key: str, reason: str, **values: Any) -> None:
        super().__init__(key, reason=reason, **values)
        self.reason = reason


class LinkAnswer(NamedTuple):
    """The script's answer: OpenAI's JSON, or an error of the same form. `duration_s` includes the network."""

    status_code: int
    body: Dict[str, Any]
    duration_s: float

    @property
    def error(self) -> str:
        """The message of an error; "" for an answer."""
        error = self.body.get("error")
        return translated(str(error.get("message"))[:MAX_SHOWN_CHARACTERS]) if isinstance(error, dict) else ""


class Link:
    """An authorization link, with or without `/simplified`; `secret` is that of its API authentication."""

    def __init__(self, url: str, secret: str = "", clock: Callable[[], float] = time.perf_counter) -> None:
        url = check_http_url(url, text("common.link"), "http://HOST:8088/api/v1/al/ID")
        url = url[: -len("/simplified")] if url.endswith("/simplified") else url
        if not _LINK.fullmatch(url):
            raise UserError("install.no_link")
        self.url = url + "/simplified"
        self._secret = secret
        self._clock = clock

    def post(self, body: Dict[str, Any]) -> LinkAnswer:
        """Post one request. Raises LinkError, or UserError when no answer comes."""
        headers = {SECRET_HEADER: self._secret} if self._secret else {}
        started_s = self._clock()
        answer = call("POST", self.url, READ_TIMEOUT_S, json=body, headers=headers)
        duration_s = self._clock() - started_s
        answer.refuse_redirect(self.url)
        content = _read(answer)
        if content.get("ok") is False and "reason" in content:
            raise _refusal(content, bool(self._secret))
        return LinkAnswer(answer.status_code, content, duration_s)


def _read(answer: HTTPAnswer) -> Dict[str, Any]:
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise LinkError("install.link_not_func", "not_func", status=answer.status_code)
    return content


def _refusal(content: Dict[str, Any], secret_given: bool) -> LinkError:
    reason, said = str(content["reason"]), str(content.get("message"))[:MAX_SHOWN_CHARACTERS]
    detail = content["detail"] if isinstance(content.get("detail"), dict) else {}
    if reason == "EFuncFailed":
        return _failure(str(detail.get("exception") or ""))
    if reason.startswith("EClientRateLimit"):
        return LinkError("install.link_throttled", reason, seconds=detail.get("waitSeconds"))
    if reason == "EAPIAuth":
        key = "install.link_wrong_secret" if secret_given else "install.link_wants_secret"
        return LinkError(key, reason, header=SECRET_HEADER)
    key = _REFUSALS.get(said) or _REFUSALS.get(reason) or "install.link_refuses"
    return LinkError(key, reason, said=said)


def _failure(exception: str) -> LinkError:
    missing = re.search(r"No module named '([\w.]+)'", exception)
    if missing:
        return LinkError("install.link_package", "EFuncFailed", name=missing.group(1))
    return LinkError(
        "install.link_script_fails", "EFuncFailed", said=translated(exception[:MAX_SHOWN_CHARACTERS])
    )


_REFUSALS = {
    "No such Sync API": "install.link_unknown",
    "No such Func": "install.link_no_function",
    "EBizCondition.SyncAPIDisabled": "install.link_is_disabled",
    "EBizCondition.SyncAPIExpired": "install.link_expired",
    "EFuncTimeout": "install.link_timeout",
    "EWorkerNoResponse": "install.link_no_worker",
}

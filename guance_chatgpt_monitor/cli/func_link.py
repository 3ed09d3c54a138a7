"""Calling the authorization link, and what Func says in place of an answer."""

import json
import re
import time
from typing import Any, Callable, Dict, NamedTuple

from .http_client import HTTPAnswer, call
from .user_error import UserError, check_http_url

SECRET_HEADER = "X-ChatGPT-Monitor-Secret"  # noqa: S105 - a header's name
# Func waits up to about 180 s for a synchronous answer.
READ_TIMEOUT_S = 190.0
MAX_SHOWN_CHARACTERS = 300

_LINK = re.compile(r".+/api/v1/(?:al|sync)/[\w-]+")


class LinkError(UserError):
    """Func answered in place of the script. `reason` is its word, such as `EAPIAuth`, or ours."""

    def __init__(self, message: str, next_step: str, reason: str) -> None:
        super().__init__(message, next_step)
        self.reason = reason


class LinkAnswer(NamedTuple):
    """What the script answered: OpenAI's JSON, or an error in its form. `duration_s` as seen from here."""

    status_code: int
    body: Dict[str, Any]
    duration_s: float

    @property
    def error(self) -> str:
        """The message of an error; "" for an answer."""
        error = self.body.get("error")
        return str(error.get("message"))[:MAX_SHOWN_CHARACTERS] if isinstance(error, dict) else ""


class Link:
    """An authorization link, with or without `/simplified`; `secret` is that of its API authentication."""

    def __init__(self, url: str, secret: str = "", clock: Callable[[], float] = time.perf_counter) -> None:
        url = check_http_url(url, "link", "http://HOST:8088/api/v1/al/ID")
        url = url[: -len("/simplified")] if url.endswith("/simplified") else url
        if not _LINK.fullmatch(url):
            raise UserError(
                "the link is no authorization link", "give it whole: http://HOST:8088/api/v1/al/ID"
            )
        self.url = url + "/simplified"
        self._secret = secret
        self._clock = clock

    def post(self, body: Dict[str, Any]) -> LinkAnswer:
        """Post one request. Raises LinkError, or UserError when no answer comes."""
        headers = {SECRET_HEADER: self._secret} if self._secret else {}
        started_s = self._clock()
        answer = call("POST", self.url, READ_TIMEOUT_S, json=body, headers=headers)
        duration_s = self._clock() - started_s
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
        raise LinkError(
            f"the link answers {answer.status_code}, but neither as Func nor as the script",
            "check the address; a proxy or another server may stand in the way",
            "not_func",
        )
    return content


def _refusal(content: Dict[str, Any], secret_given: bool) -> LinkError:
    reason, message = str(content["reason"]), str(content.get("message"))
    detail = content["detail"] if isinstance(content.get("detail"), dict) else {}
    if reason == "EFuncFailed":
        return _failure(str(detail.get("exception") or ""))
    if reason.startswith("EClientRateLimit"):
        wait_s = detail.get("waitSeconds")
        return LinkError("the link's throttling is reached", f"wait {wait_s} s, or raise it in Func", reason)
    if reason == "EAPIAuth":
        what = "refuses this secret" if secret_given else "asks for its secret"
        step = f"put what install printed into CHATGPT_MONITOR_LINK_SECRET (header {SECRET_HEADER})"
        return LinkError(f"the link {what}", step, reason)
    if message in _REFUSALS:
        return LinkError(*_REFUSALS[message], reason)
    if reason in _REFUSALS:
        return LinkError(*_REFUSALS[reason], reason)
    return LinkError(f"Func answered {reason}: {message}", "look at Func's log", reason)


def _failure(exception: str) -> LinkError:
    missing = re.search(r"No module named '([\w.]+)'", exception)
    if missing:
        step = "install it: guance-chatgpt-monitor install, or Func's PIP tool"
        return LinkError(
            f"the workers of Func lack the Python package {missing.group(1)}", step, "EFuncFailed"
        )
    return LinkError(
        f"the startup script fails: {exception[:MAX_SHOWN_CHARACTERS]}",
        "look at it in Func, or run install again",
        "EFuncFailed",
    )


_AGAIN = "run guance-chatgpt-monitor install again"
_REFUSALS = {
    "No such Sync API": ("Func knows no such link", f"check the link, or {_AGAIN}"),
    "No such Func": ("the link leads to a function that is not there", _AGAIN),
    "EBizCondition.SyncAPIDisabled": ("the link is disabled", "enable it in Func"),
    "EBizCondition.SyncAPIExpired": ("the link has expired", "give it another time limit in Func"),
    "EFuncTimeout": ("the script ran past its time limit", "look at the task's record in Func"),
    "EWorkerNoResponse": ("no worker of Func took the call in time", "look whether Func's workers run"),
}

"""The authorization link: limited, authenticated unless the user wants it open, and tested."""

import secrets
from typing import Optional

from ..func_client import FuncClient, Row, path_part
from ..func_link import SECRET_HEADER, Link, LinkAnswer, LinkError
from ..messages import text
from .func_contents import CHAT_ID, MADE_BY, FuncContents, is_ours, read_link_secret
from .steps import InstallOptions, Progress, Step

# How many calls Func keeps in clear text, arguments and answers; its own default is 100.
TASK_RECORDS = 0
CALLS_PER_MINUTE = 60
# What was changed is noticed by Func's server and workers some 5 s later (observed).
VISIBLE_WITHIN_S = 60.0
POLL_S = 0.5
TEST_QUESTION = "Reply with the one word: ready"

_AUTH = "api_auth"
_NOT_YET_VISIBLE = ("EClientNotFound", "EAPIAuth")


class LinkSetup:
    """`url`, `new_secret` (made now), `protected` and `problem` (of the test call) are known afterwards."""

    def __init__(
        self, client: FuncClient, found: FuncContents, options: InstallOptions, progress: Progress
    ) -> None:
        self._client = client
        self._found = found
        self._options = options
        self._progress = progress
        self._auth_id = ""
        self._secret = ""
        self._answer: Optional[LinkAnswer] = None
        self.url = ""
        self.new_secret = ""

    @property
    def protected(self) -> bool:
        return bool(self._auth_id)

    @property
    def problem(self) -> str:
        return self._answer.error if self._answer else ""

    # ---- its authentication ----

    def auth_step(self) -> Step:
        """What is to be done about the authentication; before the link."""
        link = self._found.own_link
        if link is None:
            return self._new_auth_step()
        auth = self._found.auths.get(link.get("apiAuthId") or "")
        if auth is None:  # (read) a link whose authentication was deleted is open, too
            self._progress.warn(text("install.link_open"))
            return Step(_AUTH, "keep", text("install.auth_none"))
        if self._options.open_link:
            self._progress.warn(text("install.link_open"))
            return Step(_AUTH, "change", text("install.take_auth_off"), lambda: self._open(link, auth))
        self._auth_id, self._secret = auth["id"], read_link_secret(auth, SECRET_HEADER)
        return Step(_AUTH, "keep", text("install.auth_there"))

    def _new_auth_step(self) -> Step:
        if self._options.open_link:
            self._progress.warn(text("install.link_open"))
            return Step(_AUTH, "keep", text("install.auth_open"))
        for row in filter(is_ours, self._found.auths.values()):
            secret = read_link_secret(row, SECRET_HEADER)
            if secret:
                self._auth_id, self._secret, self.new_secret = row["id"], secret, secret
                return Step(_AUTH, "keep", text("install.auth_of_earlier"))
        return Step(_AUTH, "make", text("install.make_secret", header=SECRET_HEADER), self._add_auth)

    def _add_auth(self) -> str:
        secret = secrets.token_urlsafe(32)
        field = {"location": "header", "name": SECRET_HEADER, "value": secret}
        data = {
            "title": "ChatGPT link",
            "type": "fixedField",
            "configJSON": {"fields": [field]},
            "note": MADE_BY,
        }
        self._auth_id = str(self._client.post("api-auth/do/add", {"data": data})["id"])
        self._secret = self.new_secret = secret
        return text("install.made_secret", header=SECRET_HEADER)

    def _open(self, link: Row, auth: Row) -> str:
        self._modify(link, {"apiAuthId": None})
        if is_ours(auth):
            self._client.get(f"api-auth/{path_part(auth['id'])}/do/delete")
        return text("install.auth_off")

    # ---- the link ----

    def link_step(self) -> Step:
        """What is to be done about the link."""
        link = self._found.own_link
        if link is None:
            return Step("link", "make", text("install.add_link", chat=CHAT_ID), self._add_link)
        self.url = self._link_url(link["id"])
        if link.get("isDisabled"):
            self._progress.warn(text("install.link_disabled"))
        if link.get("taskRecordLimit") != TASK_RECORDS and self._options.task_records is None:
            self._progress.warn(text("install.records_kept"))
        changed = {name: value for name, value in self._asked_for().items() if link.get(name) != value}
        if not changed:
            return Step("link", "keep", link["id"])
        what = text("install.set_link", names=", ".join(sorted(changed)))
        return Step("link", "change", what, lambda: self._modify(link, changed))

    def _asked_for(self) -> Row:
        wanted: Row = {}
        if self._options.calls_per_minute is not None:
            wanted["throttlingJSON"] = {"byMinute": self._options.calls_per_minute}
        if self._options.task_records is not None:
            wanted["taskRecordLimit"] = self._options.task_records
        return wanted

    def _add_link(self) -> str:
        # Random, because the address of an open link is its only secret.
        link_id = "chatgpt-monitor-" + secrets.token_hex(12)
        data = {
            "id": link_id,
            "funcId": CHAT_ID,
            "funcCallKwargsJSON": {},
            "throttlingJSON": {"byMinute": CALLS_PER_MINUTE},
            "taskRecordLimit": TASK_RECORDS,
            "note": MADE_BY,
            **self._asked_for(),
            **({"apiAuthId": self._auth_id} if self._auth_id else {}),
        }
        self._client.post("sync-apis/do/add", {"data": data})
        self.url = self._link_url(link_id)
        limit, kept = data["throttlingJSON"]["byMinute"], data["taskRecordLimit"]
        return text("install.link_added", limit=limit, kept=kept)

    def _modify(self, link: Row, data: Row) -> str:
        self._client.post(f"sync-apis/{path_part(link['id'])}/do/modify", {"data": data})
        return text("install.set_link", names=", ".join(sorted(data)))

    def _link_url(self, link_id: str) -> str:
        return f"{self._client.url}/api/v1/al/{link_id}/simplified"

    # ---- the test call ----

    def test(self) -> str:
        """Ask one question, until Func has noticed what was changed. Raises UserError."""
        if self._auth_id and not self._secret:
            return text("install.not_tried")
        link, started_s = Link(self.url, self._secret), self._progress.clock()
        attempt = self._try(link)
        if attempt is None:
            self._progress.tell("test_call", text("install.waiting_for_func"))
        while attempt is None:
            self._progress.sleep(POLL_S)
            attempt = self._try(link, last=self._progress.clock() - started_s > VISIBLE_WITHIN_S)
        self._answer = attempt
        if attempt.error:
            return text("install.answered_error", status=attempt.status_code, error=attempt.error)
        model, seconds = attempt.body.get("model"), f"{attempt.duration_s:.1f}"
        return text("install.answered", model=model, seconds=seconds)

    def _try(self, link: Link, last: bool = False) -> Optional[LinkAnswer]:
        try:
            return link.post({"question": TEST_QUESTION})
        except LinkError as error:
            if last or error.reason not in _NOT_YET_VISIBLE:
                raise
            return None

"""The authorization link: limited, authenticated unless the user wants it open, and tried."""

import secrets
from typing import Optional

from ..func_client import FuncClient, Row, path_part
from ..func_link import SECRET_HEADER, Link, LinkAnswer, LinkError
from .func_contents import CHAT_ID, MADE_BY, FuncContents, is_ours, read_link_secret
from .steps import Progress, Settings, Step

# Func keeps the arguments and answers of this many calls in clear text; 0 would mean its default, 100.
TASK_RECORDS = 10
CALLS_PER_MINUTE = 60
# What was changed is noticed by Func's server and workers some 5 s later (observed).
VISIBLE_WITHIN_S = 60.0
POLL_S = 0.5
TEST_QUESTION = "Reply with the one word: ready"

_AUTH = "API authentication"
_NOT_YET_VISIBLE = ("EClientNotFound", "EAPIAuth")
_OPEN = "the link is open: whoever has its address spends the money of your OpenAI key; "
_PROTECT = "to protect it, delete it in Func and run install again: that makes another"


class LinkSetup:
    """`url`, `new_secret` (made now), `protected` and `problem` (of the test call) are known afterwards."""

    def __init__(
        self, client: FuncClient, found: FuncContents, settings: Settings, progress: Progress
    ) -> None:
        self._client = client
        self._found = found
        self._settings = settings
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
            self._progress.warn(_OPEN + _PROTECT)
            return Step(_AUTH, "keep", "none: the link is open")
        if self._settings.open_link:
            self._progress.warn(_OPEN + _PROTECT)
            return Step(_AUTH, "change", "take it off the link: --open", lambda: self._open(link, auth))
        self._auth_id, self._secret = auth["id"], read_link_secret(auth, SECRET_HEADER)
        return Step(_AUTH, "keep", "is there; Func shows its secret under API authentication")

    def _new_auth_step(self) -> Step:
        if self._settings.open_link:
            self._progress.warn(_OPEN + _PROTECT)
            return Step(_AUTH, "keep", "none: --open")
        for row in filter(is_ours, self._found.auths.values()):
            secret = read_link_secret(row, SECRET_HEADER)
            if secret:
                self._auth_id, self._secret, self.new_secret = row["id"], secret, secret
                return Step(_AUTH, "keep", "is there, of an install that did not come to its end")
        return Step(_AUTH, "make", f"make a secret for the header {SECRET_HEADER}", self._add_auth)

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
        return f"made a secret for the header {SECRET_HEADER}"

    def _open(self, link: Row, auth: Row) -> str:
        self._modify(link, {"apiAuthId": None})
        if is_ours(auth):
            self._client.get(f"api-auth/{path_part(auth['id'])}/do/delete")
        return "taken off the link"

    # ---- the link ----

    def link_step(self) -> Step:
        """What is to be done about the link."""
        link = self._found.own_link
        if link is None:
            return Step("link", "make", f"add one to {CHAT_ID}", self._add_link)
        self.url = self._link_url(link["id"])
        if link.get("isDisabled"):
            self._progress.warn("the link is disabled: enable it in Func")
        changed = {name: value for name, value in self._asked_for().items() if link.get(name) != value}
        if not changed:
            return Step("link", "keep", link["id"])
        text = f"set {', '.join(sorted(changed))}"
        return Step("link", "change", text, lambda: self._modify(link, changed))

    def _asked_for(self) -> Row:
        wanted: Row = {}
        if self._settings.calls_per_minute is not None:
            wanted["throttlingJSON"] = {"byMinute": self._settings.calls_per_minute}
        if self._settings.task_records is not None:
            wanted["taskRecordLimit"] = self._settings.task_records
        return wanted

    def _add_link(self) -> str:
        # By chance, as the address of an open link is all that it has of a secret.
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
        return f"added: {limit} calls a minute, {kept} task records kept"

    def _modify(self, link: Row, data: Row) -> str:
        self._client.post(f"sync-apis/{path_part(link['id'])}/do/modify", {"data": data})
        return f"set {', '.join(sorted(data))}"

    def _link_url(self, link_id: str) -> str:
        return f"{self._client.url}/api/v1/al/{link_id}/simplified"

    # ---- the test call ----

    def test(self) -> str:
        """Ask one question, until Func has noticed what was changed. Raises UserError."""
        if self._auth_id and not self._secret:
            return "not made: the link's authentication is not one that install made"
        link, started_s = Link(self.url, self._secret), self._progress.clock()
        attempt = self._try(link)
        if attempt is None:
            self._progress.tell("test call", "waiting until Func notices the changes, some seconds")
        while attempt is None:
            self._progress.sleep(POLL_S)
            attempt = self._try(link, last=self._progress.clock() - started_s > VISIBLE_WITHIN_S)
        self._answer = attempt
        if attempt.error:
            return f"answered {attempt.status_code}: {attempt.error}"
        return f"answered by {attempt.body.get('model')} in {attempt.duration_s:.1f} s"

    def _try(self, link: Link, last: bool = False) -> Optional[LinkAnswer]:
        try:
            return link.post({"question": TEST_QUESTION})
        except LinkError as error:
            if last or error.reason not in _NOT_YET_VISIBLE:
                raise
            return None

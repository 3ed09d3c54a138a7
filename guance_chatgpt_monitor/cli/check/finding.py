"""What a check found, one line each."""

from typing import Dict, NamedTuple

from ..messages import problem, text
from ..user_error import UserError

OK, WARN, FAIL = "ok", "warn", "fail"
_SEVERITY = {OK: 0, WARN: 1, FAIL: 2}

# The links of the chain, and what is checked of each: a name's text is its name in `--json`, too.
PARTS: Dict[str, str] = {
    "settings": "setup",
    "prices": "setup",
    "func": "func",
    "script_set": "func",
    "startup_script": "func",
    "auto_trigger": "func",
    "links": "func",
    "task_records": "func",
    "prices_in_func": "func",
    "link": "func",
    "link_authentication": "func",
    "openai_reachable": "openai",
    "openai_key": "openai",
    "default_model": "openai",
    "openai_from_func": "openai",
    "datakit_reachable": "datakit",
    "datakit_version": "datakit",
    "datakit_write": "datakit",
    "test_point": "datakit",
    "datakit_logs": "datakit",
    "clock": "datakit",
    "rate_limit": "datakit",
    "delivery_from_func": "datakit",
    "uploads": "workspace",
}


class Finding(NamedTuple):
    """`name` is a key of PARTS, `status` ok, warn or fail; `next_step` says what to do about it."""

    name: str
    status: str
    what: str
    next_step: str = ""

    @property
    def severity(self) -> int:
        """0, 1 or 2: the exit code of the worst."""
        return _SEVERITY[self.status]


def good(name: str, key: str, **values: object) -> Finding:
    """All is well."""
    return Finding(name, OK, text(key, **values))


def doubtful(name: str, key: str, **values: object) -> Finding:
    """It works, and might not for long."""
    return Finding(name, WARN, *problem(key, **values))


def bad(name: str, key: str, **values: object) -> Finding:
    """It does not work."""
    return Finding(name, FAIL, *problem(key, **values))


def from_error(name: str, error: UserError) -> Finding:
    """What could not be done, as a finding."""
    return Finding(name, FAIL, error.message.strip(), error.next_step)

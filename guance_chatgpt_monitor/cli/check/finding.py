"""What a check found, one line each."""

from typing import NamedTuple

from ..user_error import UserError

OK, WARN, FAIL = "ok", "warn", "fail"
_SEVERITY = {OK: 0, WARN: 1, FAIL: 2}


class Finding(NamedTuple):
    """`status` is ok, warn or fail; `next_step` says what to do about it."""

    name: str
    status: str
    what: str
    next_step: str = ""

    @property
    def severity(self) -> int:
        """0, 1 or 2: the exit code of the worst."""
        return _SEVERITY[self.status]


def good(name: str, what: str) -> Finding:
    """All is well."""
    return Finding(name, OK, what)


def doubtful(name: str, what: str, next_step: str) -> Finding:
    """It works, and might not for long."""
    return Finding(name, WARN, what, next_step)


def bad(name: str, what: str, next_step: str) -> Finding:
    """It does not work."""
    return Finding(name, FAIL, what, next_step)


def from_problem(name: str, problem: UserError) -> Finding:
    """What could not be done, as a finding."""
    return bad(name, str(problem), problem.next_step)

"""An upper bound for the cost of a regular expression, from its parsed form, so that none explodes.

Python tries one way to match after another. We count these ways: a repeat has one for each possible length,
unless what follows cannot begin with what is repeated; alternatives add up, unless their first characters
tell them apart; sequences and repeats multiply. Whatever cannot be counted is endless.
"""

import re
from typing import Any, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

try:
    from re import _parser as sre  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_parse as sre

ENDLESS = float("inf")
_MAX_WAYS = 1e12

# Characters that represent the sets: all of the first scripts, some of others, and the ends of each range of
# the pattern.
_SOME = (
    *range(0x250),
    0x3B1,
    0x430,
    0x5D0,
    *range(0x660, 0x66A),
    0x6F0,
    0x2003,
    0x2028,
    0x3000,
    0x4E2D,
    0xAC00,
    0xFF10,
    0xFF21,
    0x1F600,
)

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
# These look at characters again.
_NOT_ONLY_ONCE = ("ASSERT", "ASSERT_NOT", "GROUPREF", "GROUPREF_EXISTS")

_Chars = FrozenSet[str]


class _Cost(NamedTuple):
    ways: float  # to match at one position
    work: float  # steps to try them all
    least: int  # length of the shortest match
    first: Optional[_Chars]  # characters that a match may begin with; None if unknown


def steps_per_character(pattern: "re.Pattern[str]", n_chars: int) -> float:
    """The most steps that a search takes per character of a string of `n_chars`; ENDLESS if unbounded."""
    parsed = sre.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    universe = sorted({*map(chr, _SOME), *_mentioned(parsed)})
    return _Reader(universe, pattern.flags, n_chars).sequence(parsed, frozenset(), is_last=True).work


def _mentioned(items: Any) -> Set[str]:
    found: Set[str] = set()
    stack: List[Any] = [items]
    while stack:
        item = stack.pop()
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 0x10FFFF:
            found.update(chr(code) for code in (item - 1, item, item + 1) if code >= 0)
        elif isinstance(item, (list, tuple, sre.SubPattern)):
            stack.extend(item)
    return found


class _Reader:
    def __init__(self, universe: Sequence[str], flags: int, n_chars: int) -> None:
        self._universe = universe
        self._flags = flags
        self._n_chars = n_chars

    def sequence(self, items: Any, follow: Optional[_Chars], is_last: bool) -> _Cost:
        """`follow`: characters that may come next, None if unknown. `is_last`: nothing that can fail does."""
        costs: List[Tuple[_Cost, bool]] = []
        for item in reversed(list(items)):
            cost = self._item(item, follow, is_last)
            costs.append((cost, is_last and cost.ways == 1))
            if cost.least:
                follow = cost.first
            else:
                follow = None if follow is None or cost.first is None else follow | cost.first
            is_last = is_last and str(item[0]) in _REPEATS and item[1][0] == 0  # never fails
        ways, work, least = 1.0, 0.0, 0
        first: Optional[_Chars] = frozenset()
        for cost, is_once in reversed(costs):
            # What ends the match runs once; anything before fails as often as it is tried.
            work += cost.work + ways * max(cost.least, 1) if is_once else ways * cost.work
            ways *= cost.ways
            if not least:
                first = None if first is None or cost.first is None else first | cost.first
            least += cost.least
        return _bounded(_Cost(ways, max(work, 1.0), least, first))

    def _item(self, item: Any, follow: Optional[_Chars], is_last: bool) -> _Cost:
        op, arg = item
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return _Cost(1, 1, 1, self._set(name, arg))
        if name == "AT":
            return _Cost(1, 1, 0, None)
        if name in _REPEATS:
            return self._repeat(name, arg, follow, is_last)
        if name == "SUBPATTERN":
            return self._with_flags(arg, follow, is_last)
        if name == "BRANCH":
            costs = [self.sequence(branch, follow, is_last) for branch in arg[1]]
            return self._branch(costs, _are_apart(arg[1]))
        if name in ("ASSERT", "ASSERT_NOT"):
            return _Cost(1, self.sequence(arg[1], frozenset(), True).work, 0, None)
        if name == "ATOMIC_GROUP":
            inner = self.sequence(arg, None, False)
            return inner._replace(ways=1)
        if name == "GROUPREF":
            return _Cost(1, self._n_chars, 0, None)
        if name == "GROUPREF_EXISTS":
            branches = [self.sequence(branch, follow, is_last) for branch in arg[1:] if branch]
            return self._branch([*branches, _Cost(1, 1, 0, None)])
        return _Cost(ENDLESS, ENDLESS, 0, None)

    def _with_flags(self, arg: Any, follow: Optional[_Chars], is_last: bool) -> _Cost:
        _, added, removed, inner = arg
        flags, self._flags = self._flags, (self._flags | added) & ~removed
        try:
            return self.sequence(inner, follow, is_last)
        finally:
            self._flags = flags

    def _branch(self, branches: List[_Cost], is_told_apart: bool = False) -> _Cost:
        work = sum(branch.work for branch in branches)
        least = min(branch.least for branch in branches)
        firsts = [branch.first for branch in branches if branch.first is not None]
        if len(firsts) < len(branches):
            return _bounded(_Cost(sum(branch.ways for branch in branches), work, least, None))
        first = frozenset().union(*firsts)
        is_told_apart = is_told_apart or (least > 0 and len(first) == sum(map(len, firsts)))
        ways = (
            max(branch.ways for branch in branches)
            if is_told_apart
            else sum(branch.ways for branch in branches)
        )
        return _bounded(_Cost(ways, work, least, first))

    def _repeat(self, name: str, arg: Any, follow: Optional[_Chars], is_last: bool) -> _Cost:
        least, most, items = arg
        once = self.sequence(items, None, False)
        after = None if follow is None or once.first is None else follow | once.first
        inner = self.sequence(items, after, False)
        most = int(most) if most is not sre.MAXREPEAT else self._n_chars
        n_times = min(most, self._n_chars // max(inner.least, 1))
        ways: float = n_times - min(int(least), n_times) + 1
        if inner.ways > 1:
            if not inner.least and n_times > 1:
                return _Cost(ENDLESS, ENDLESS, 0, None)
            ways = _power_sum(inner.ways, int(least), n_times)
        work = max(ways, n_times) * inner.work if inner.ways > 1 else n_times * inner.work
        if inner.ways == 1 and inner.least and not _names(items).intersection(_NOT_ONLY_ONCE):
            work = min(work, 2 * self._n_chars + inner.work)  # each character is looked at once
        is_told_apart = (
            follow is not None and inner.first is not None and inner.least and not (follow & inner.first)
        )
        if inner.ways == 1 and (is_last or is_told_apart or name == "POSSESSIVE_REPEAT"):
            ways = 1
        return _bounded(_Cost(ways, max(work, 1.0), int(least) * inner.least, inner.first))

    def _set(self, name: str, arg: Any) -> _Chars:
        return frozenset(char for char in self._universe if self._contains(name, arg, char))

    def _contains(self, name: str, arg: Any, char: str) -> bool:
        if name == "ANY":
            return True
        if name == "NOT_LITERAL":
            return True  # all but one character: close enough
        forms = {char, char.lower(), char.upper(), char.swapcase()} if self._flags & re.IGNORECASE else {char}
        codes = [ord(form) for form in forms if len(form) == 1]
        if name == "LITERAL":
            return arg in codes
        is_negated = bool(arg) and str(arg[0][0]) == "NEGATE"
        if is_negated and self._flags & re.IGNORECASE:
            codes = [ord(char)]
        return any(self._is_in(part, code) for part in arg for code in codes) != is_negated

    def _is_in(self, part: Any, code: int) -> bool:
        name, value = str(part[0]), part[1]
        if name == "LITERAL":
            return bool(code == value)
        if name == "RANGE":
            return bool(value[0] <= code <= value[1])
        if name == "CATEGORY":
            return _category(str(value)).match(chr(code)) is not None
        return False  # NEGATE


def _names(items: Any) -> Set[str]:
    """The names of all operations."""
    found: Set[str] = set()
    stack: List[Any] = [items]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple, sre.SubPattern)):
            stack.extend(item)
        else:
            found.add(str(item))
    return found


def _are_apart(branches: Any) -> bool:
    """Whether they are literal strings, none of which begins with another."""
    texts = []
    for branch in branches:
        if any(str(op) != "LITERAL" for op, _ in branch):
            return False
        texts.append("".join(chr(arg) for _, arg in branch).lower())  # as with IGNORECASE
    texts.sort()
    return all(texts) and not any(after.startswith(text) for text, after in zip(texts, texts[1:]))


_CATEGORIES = {name: re.compile(name) for name in (r"\d", r"\D", r"\s", r"\S", r"\w", r"\W")}


def _category(name: str) -> "re.Pattern[str]":
    letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.rsplit("_", 1)[-1]]
    return _CATEGORIES["\\" + (letter.upper() if "_NOT_" in name else letter)]


def _power_sum(ways: float, least: int, most: int) -> float:
    total, power = 0.0, ways ** min(least, 64)
    for _ in range(least, most + 1):
        total += power
        power *= ways
        if total > _MAX_WAYS:
            return ENDLESS
    return total


def _bounded(cost: _Cost) -> _Cost:
    return (
        cost
        if cost.ways <= _MAX_WAYS and cost.work <= _MAX_WAYS
        else cost._replace(ways=ENDLESS, work=ENDLESS)
    )

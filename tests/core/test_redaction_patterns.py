"""The user's own patterns: harmless ones are accepted, and none stalls the process, whatever the string."""

import re
import sys
import time
from functools import lru_cache

import pytest

from guance_chatgpt_monitor.core.content import redaction_patterns
from guance_chatgpt_monitor.core.content.redaction import CUT_MARK, Redactor
from guance_chatgpt_monitor.core.content.redaction_patterns import (
    MAX_PATTERN_CHARS,
    MAX_PATTERNS,
    MIN_WINDOW_CHARS,
    Checked,
    compile_patterns,
)

LONG = 131_072

HARMLESS = [
    "CUST-[0-9]+", "(ab)+c", "(a{2})+", "[(]a+[)]+", r"\(a+\)+", "a{2,3}b", r"员工编号：\d+", "(?i)project (alpha|beta)",
    r"\w+@corp\.example", r"[\w.+-]+@[\w-]+\.[\w.-]+", r"\b[A-Z]{2}\d{6,8}\b", r"\d{3,4}[- ]?\d{7,8}", r"姓名[:：]\s*\S+",
    r"(?P<year>\d{4})-(?:0[1-9]|1[0-2])", r"#[0-9a-f]{6}(?![0-9a-f])", r'"[^"]*"', r"<[^>]+>", r"(?<=id=)\w+", r"project\s+\w+\s+secret",
    r"(?x) CUST - [0-9]+  # a customer", r"(foo|bar|baz)+-\d", r"(\w+,)+end", r"(['\"])secret\1", ".*secret.*", "(?s)BEGIN.*",
    r"(?:\w|-)+@", r"(?P<w>\w+)\s+(?P=w)", r"(?=.*a)(?=.*b)x", r"(?i)(?:k|\u212a)+x", r"[a-z]{1,500}[0-9]{1,500}[a-z]{1,500}!", "(.+)\\1",
    *([r"a++a+b", r"(\w++\s?)++!", r"(?>x|xx)+y"] if sys.version_info >= (3, 11) else []),
]  # fmt: skip
EXPLODING = [
    "(a+)+b", "(?:a|ab){2,}c", "x(?P<n>(a?)a)*b", "(?x)(a+) +b", "x?" * 30 + "x" * 30, "(a|a)" * 30 + "b", "a*a*a*b",
    ".*.*.*x", r"(\w+\s?)+!", r"x(.*)(.*)(.*)\1", "(a|b|ab)*c", r"^(\d+|\d+a)+$", r"(x+x+)+y", r"(?:a?){20}a{20}", "(?i)(A+a+)+b", "(?i)(Ax|ax)+b",
    r"([a-z]+)*1", r"(\s*\w*)*;", r"(?=(a+)+b)", r".+@.+\..+x",
    "(?:a|a?)+b", r"(\w+)\1+x", r"(?<=a)(?:b|bb)+c", r"(?!.*(a+)+b)x", "(?i)(?:ß|ss|S)+x", "(a)?(?(1)b|c)+d", "(?:a{0,100}){0,100}b",
    "[01]*0[01]{50}2", r"[一-龥]+\w+。", r"(?a)\w+[é-ü]*\w+!", r"(?m)(^\s*)+x", r"(?:(?:\d+)[.,]?)+€", "(?x) ( a | b # c\n | ab )+ d",
    *([r"(?>(?:a+)+)b", r"(?:(?>\w+)\W?)+!"] if sys.version_info >= (3, 11) else []),
]  # fmt: skip


@lru_cache(maxsize=None)
def compiled(pattern: str) -> Checked:
    return compile_patterns([pattern])[0]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", HARMLESS)
def test_a_harmless_pattern_is_accepted(pattern: str) -> None:
    assert compiled(pattern).pattern == re.compile(pattern)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", EXPLODING)
def test_a_pattern_that_may_explode_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="must have patterns that provably take little time") as caught:
        compile_patterns(["ok", pattern])
    assert "number 2" in str(caught.value)
    assert pattern not in str(caught.value)


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ("CUST", "must be a list of regular expressions"),
        ([1], "must be a list of regular expressions"),
        (None, "must be a list of regular expressions"),
        (
            ["ok", "(secret"],
            "must be regular expressions: number 2 is not (missing ), unterminated subpattern)",
        ),
        (["x*"], "must not match an empty string: number 1 does"),
        (["a" * (MAX_PATTERN_CHARS + 1)], f"must have patterns of at most {MAX_PATTERN_CHARS} characters"),
        (["a"] * (MAX_PATTERNS + 1), f"must have at most {MAX_PATTERNS} patterns"),
    ],
)
def test_an_invalid_pattern_is_refused(patterns: list[str], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_patterns(patterns)
    assert str(caught.value).startswith(said)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", HARMLESS)
@pytest.mark.parametrize("piece", ["a", "a@", "project ", "secret", "a1"])
def test_an_accepted_pattern_stays_within_its_budget(
    monkeypatch: pytest.MonkeyPatch, pattern: str, piece: str
) -> None:
    """Without a budget, these took 30 seconds or forever. A tenth of it is soon spent, and a window still short."""
    monkeypatch.setattr(redaction_patterns, "BUDGET_S", redaction_patterns.BUDGET_S / 10)
    text = piece * (LONG // len(piece))
    budget = redaction_patterns.PatternBudget([compiled(pattern)])
    started_s = time.thread_time()
    list(budget.find(redaction_patterns.View(text)))
    assert time.thread_time() - started_s < 2.5


def test_a_string_is_cut_where_the_budget_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction_patterns, "BUDGET_S", -1.0)
    assert Redactor(["CUST-[0-9]+"]).redact("CUST-1 and more", 100) == CUT_MARK
    assert Redactor().redact("CUST-1 and more", 100) == "CUST-1 and more"


def test_matches_across_windows_are_found() -> None:
    redactor = Redactor([r"CUST-\d+", r"\w+@corp\.example", r"(?<=id=)[a-z]+;"])
    for n_before in range(0, 3 * MIN_WINDOW_CHARS, 37):
        text = (
            " " * n_before + "CUST-" + "1" * 200 + " " + "x" * 200 + "@corp.example id=" + "s" * 100 + "; end"
        )
        assert redactor.redact(text, LONG) == " " * n_before + "[redacted] [redacted] id=[redacted] end"
    digits = "CUST-" + "1" * 5000
    assert "1" not in redactor.redact(f"x {digits} y", LONG)

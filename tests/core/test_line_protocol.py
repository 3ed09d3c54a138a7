"""Our lines, read back by the independent package line-protocol-parser."""

import math
import string
from fractions import Fraction

import line_protocol_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guance_chatgpt_monitor.core.line_protocol import Point, encode
from guance_chatgpt_monitor.local.datakit.line_parser import parse_lines

ANY_TEXT = st.text(max_size=60)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
NUMBERS = FLOATS | st.integers(-(2**53), 2**53)
# What a parser could misread: delimiters, escapes, quotes, Chinese, emoji.
AWKWARD = st.text(alphabet=string.ascii_letters + " ,=\\\"'#/上海🙂\n\t\x00", max_size=30)


def points(text: st.SearchStrategy[str]) -> st.SearchStrategy[Point]:
    return st.builds(
        Point,
        measurement=text,
        tags=st.dictionaries(text, text, max_size=5),
        fields=st.dictionaries(text, NUMBERS, min_size=1, max_size=5),
        timestamp_ns=st.integers(1, 2**62),
    )


@given(points(ANY_TEXT | AWKWARD))
def test_any_point_is_one_line_that_datakit_accepts(point: Point) -> None:
    line = encode(point)
    assert "\n" not in line
    assert "\r" not in line
    (parsed,) = parse_lines(line.encode())
    assert len(parsed.fields) <= len(point.fields)
    assert all(isinstance(value, float) for value in parsed.fields.values())


@pytest.mark.parametrize(
    ("name", "written"),
    [("f[0]", "f(0)"), ("]", ")"), ("[", "("), ('say "x"', "say\\ 'x'"), ("a,b=c", "a\\,b\\=c")],
)
def test_brackets_and_quotes_in_field_names_are_replaced(name: str, written: str) -> None:
    assert encode(Point("openai", {}, {name: 1.0, "after": 2.0}, 1)) == f"openai {written}=1.0,after=2.0 1"
    assert encode(Point("openai", {}, {"n": 1.0}, 1), {name: "x"}) == f'openai n=1.0,{written}="x" 1'


NAMES = st.text(alphabet=string.ascii_letters + string.digits + "_ ,=上海🙂", min_size=1, max_size=30).filter(
    lambda text: text.strip() == text
)


@given(points(NAMES))
def test_names_and_values_are_read_back_unchanged(point: Point) -> None:
    parsed = line_protocol_parser.parse_line(encode(point))
    assert parsed["measurement"] == point.measurement
    assert parsed["fields"] == point.fields
    assert parsed["tags"] == {name: value for name, value in point.tags.items() if name not in point.fields}
    assert parsed["time"] == point.timestamp_ns


def one(tags: dict[str, str] | None = None, **fields: float) -> str:
    return encode(Point("openai", tags or {}, fields or {"question": 1.0}, 1))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b,c=d", r"a\ b\,c\=d"),
        ("domain\\user", "domain\\user"),
        ("ends in\\", "ends\\ in/"),
        ("a\\,b", "a/\\,b"),
        ("two\nlines\r\n", "two\\ lines"),
        ("上海🙂", "上海🙂"),
        ('"quoted"', '"quoted"'),
    ],
)
def test_tag_values_are_escaped(value: str, written: str) -> None:
    assert one({"a": value}) == f"openai,a={written} question=1.0 1"


@pytest.mark.parametrize("value", ["", " ", "\n", "\udc00"[:0]])
def test_an_empty_tag_is_left_out(value: str) -> None:
    assert one({"a": value}) == "openai question=1.0 1"


def test_a_tag_never_replaces_a_field() -> None:
    assert one({"question": "x"}) == "openai question=1.0 1"


def test_names_that_become_equal_are_one_tag() -> None:
    assert one({"a": "x", "a\n": "y"}) == "openai,a=x question=1.0 1"


def test_a_series_stays_below_datakits_limit() -> None:
    line = one({f"tag{n}": "x" * 1000 for n in range(200)})
    assert 50_000 < len(line) < 65_535


def test_a_long_value_is_cut_between_characters() -> None:
    line = one({"a": "上" * 1000})
    value = line.split("a=")[1].split(" ")[0]
    assert len(value.encode()) == 1023
    assert set(value) == {"上"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, "1.0"),
        (-7, "-7.0"),
        (True, "1.0"),
        (Fraction(1, 4), "0.25"),
        (10**15 + 1, "1000000000000001.0"),
        (10**30, "1e30"),
        (0.1, "0.1"),
        (1e300, "1e300"),
        (1e-7, "1e-07"),
        (-2.5, "-2.5"),
    ],
)
def test_fields_are_floats_without_a_plus(value: float, written: str) -> None:
    assert one(question=value) == f"openai question={written} 1"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_field_that_is_not_finite_is_left_out(value: float) -> None:
    assert one(question=1.0, bad=value) == "openai question=1.0 1"
    with pytest.raises(ValueError, match="no finite field"):
        one(bad=value)


def test_a_measurement_is_never_a_comment() -> None:
    assert encode(Point("# a", {}, {"b": 1.0}, 1)) == r"_\ a b=1.0 1"

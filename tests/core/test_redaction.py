"""Secrets and personal data are replaced wherever they occur; everything else stays."""

import json
import random
import string
import time
from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guance_chatgpt_monitor.core.content.redaction import CUT_MARK, LOOKAHEAD_CHARS, Redactor

LONG = 16_384

REDACTOR = Redactor()


def redact(text: str) -> str:
    return REDACTOR.redact(text, LONG)


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


# -- what is replaced ------------------------------------------------------------------------------

KEYS = [
    "sk-abcdefghijklmnopqrstuvwx",
    "sk-proj-AbC_12-xyzAbC_12-xyzAbC_12-xyz",
    "sk-ant-api03-AbCdEfGhIjKl",
    "sk-abcd****************wxyz",
    "AKIAIOSFODNN7EXAMPLE",
    "LTAI5tAbCdEfGhIjKlMnOpQr",
    "AKIDz8krbsJ5yKBZQpn74WFkmLPx3",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "ya29.a0AfH6SMBx-abcdefghijk",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "sk_live_abcdefghijklmnop",
    "hf_abcdefghijklmnopqrstuvwxyzABCD",
    "tkn_0123456789abcdef0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4",
]
PHONES = [
    "13800138000",
    "138 0013 8000",
    "138-0013-8000",
    "+8613800138000",
    "+86 138 0013 8000",
    "86-13800138000",
    "008613800138000",
    "(+86)13800138000",
    "010-12345678",
    "(010) 12345678",
    "0755 8888 8888",
    "02112345678",
    "+44 20 7946 0958",
    "+1 (212) 555-0123",
    "212-555-0123",
    "(212) 555-0123",
    "1-800-555-0199",
]
CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "378282246310005",
    "3782 822463 10005",
    "6222021234567890128",
    "6222 0212 3456 7890 128",
    "4222222222222",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
]
IDS = [
    "11010519491231002X",
    "11010519491231002x",
    "110105 19491231 002X",
    "440524188001010014",
    "130503670401001",
    "123-45-6789",
]
EMAILS = ["zhang@example.com", "a.b+c@mail.example.co.uk", "josé@example.fr", "张三@example.com"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "around", ["{}", "my key is {} ok", "密钥{}请保管", r"line\n{}", "x=%20{}&y", '"{}"']
)
def test_a_key_is_replaced(key: str, around: str) -> None:
    assert redact(around.format(key)) == around.format("[key]")


PERSONAL = [
    *((text, "[phone]") for text in PHONES),
    *((text, "[card]") for text in CARDS),
    *((text, "[id-card]") for text in IDS),
    *((text, "[email]") for text in EMAILS[:2]),
]


@pytest.mark.parametrize(("text", "mark"), PERSONAL)
@pytest.mark.parametrize("around", ["{}", "it is {}.", "号码是{}，谢谢", "（{}）", r"\u4e00\n{}", "a%20{}"])
def test_a_number_or_address_is_replaced(text: str, mark: str, around: str) -> None:
    assert redact(around.format(text)) == around.format(mark)


@pytest.mark.parametrize(("text", "mark"), PERSONAL)
def test_full_width_characters_hide_nothing(text: str, mark: str) -> None:
    assert redact(f"是{full_width(text).replace(' ', chr(0x3000))}吗") == f"是{mark}吗"


@pytest.mark.parametrize("email", EMAILS)
def test_an_email_address_is_replaced(email: str) -> None:
    assert redact(f"to: <{email}>, now") == "to: <[email]>, now"
    assert email.partition("@")[2] not in redact(f"请发到{email}，谢谢")
    assert "example" not in redact(email.replace("@", "%40"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2", "password=[key]"),
        ("password: hunter2 and more", "password: [key] and more"),
        ("password: hunter2 user=bob", "password: [key] user=bob"),
        ("账号/密码：bob/hunter2", "账号/密码：bob/[key]"),
        ('{"password": ["a1b2"], "next": "stays"}', '{"password": ["[key]"], "next": "stays"}'),
        (r'"{\"token\": \"a1b2c3d4\", \"n\": \"x\"}"', r'"{\"token\": \"[key]\", \"n\": \"x\"}"'),
        ('{"password": "correct horse battery"}', '{"password": "[key]"}'),
        (r"{\"password\": \"correct horse\"}", r"{\"password\": \"[key]\"}"),
        ("DB_PASSWORD='p4ss'; PORT=1", "DB_PASSWORD='[key]'; PORT=1"),
        ("url?api_key=abcdefgh1234&x=1", "url?api_key=[key]&x=1"),
        ("X-Api-Key: abcdefgh1234", "X-Api-Key: [key]"),
        ("aws_secret_access_key = abc/def+ghi=jkl", "aws_secret_access_key = [key]"),
        ("client_secret => 'abcdefgh1234'", "client_secret => '[key]'"),
        ("<password>hunter2</password>", "<password>[key]</password>"),
        ("密码：abc123，谢谢", "密码：[key]，谢谢"),
        ("密码是abc123。", "密码是[key]。"),
        ("口令为 Tr0ub4dor 吗", "口令为 [key] 吗"),
        ("the password is hunter2 now", "the password is [key] now"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: [key]"),
        ("with Bearer abcdefghijklmnop.qrst-uv", "with Bearer [key]"),
        ('"Authorization": "Basic dXNlcjpwYXNz"', '"Authorization": "[key]"'),
        ("Cookie: session=abc; id=2\nnext", "Cookie: [key]\nnext"),
        ("postgres://app:s3cret@db:5432/x", "postgres://app:[key]@db:5432/x"),
        ("data:image/png;base64,iVBORw0KGgo=", "[base64]"),
    ],
)
def test_only_the_value_of_a_label_is_replaced(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("line_break", ["\n", "\\n"])
def test_a_private_key_is_replaced_as_a_whole(line_break: str) -> None:
    body = line_break.join(["MIIEpAIBAAKCAQEA7", "Proc-Type: 4,ENCRYPTED", "abc/def+ghi=="])
    key = f"-----BEGIN RSA PRIVATE KEY-----{line_break}{body}{line_break}-----END RSA PRIVATE KEY-----"
    assert redact(f"this: {key} that") == "this: [key] that"
    assert redact(f"this: {key[:60]}") == "this: [key]"


@pytest.mark.parametrize(
    "text",
    [
        "In 2024, revenue grew by 12.5 percent to 1,234,567 from 1,097,392.",
        "at 2026-11-23 20:38:00.123456, after 1732358400000 ms",
        "Prices: 12 15 18 22 34 55 67 89 90 100, and 100 200 300 400 500",
        " ".join(map(str, range(200, 900, 7))),
        "0.4111111111111111 or 3.141592653589793",
        "4111111111111112, 110105194912310021, 11010519491331002X",
        "550e8400-e29b-41d4-a716-446655440000",
        "192.168.100.200:8080, version 10.0.19045",
        "password is required. The token: yes; max_tokens: 4096, total_tokens=12345678",
        "a task-management-and-long-names tool; the bearer of news; AKIA; sk-learn",
        "请总结第三季度的销售情况，数字精确到万元，例如1234万元，同比增长12%。",
        "see https://docs.guance.com/datakit/apis/#api-v1-write or a@b or @user",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_known_key_is_replaced_anywhere() -> None:
    redactor = Redactor(secrets=[" 0123456789abcdef ", "", "short"])
    assert redactor.redact("x0123456789abcdefx short", LONG) == "x[key]x short"
    assert redactor.redact(full_width("0123456789abcdef"), LONG) == "[key]"


def test_the_users_patterns_are_replaced() -> None:
    redactor = Redactor([r"CUST-\d{6}", "员工编号：[0-9]+", "(?i)project (alpha|beta)"])
    text = "cust CUST-123456, 员工编号：42, ＣＵＳＴ－１２３４５６, Project Alpha"
    assert redactor.redact(text, LONG) == "cust [redacted], [redacted], [redacted], [redacted]"


DIGITS = st.text(string.digits, min_size=16, max_size=16)
SOMETHING = st.text(max_size=40).filter(lambda text: not any(char.isdigit() for char in text))


def luhn(digits: str) -> str:
    """The check digit."""
    doubled = [int(char) * (2 - n % 2) for n, char in enumerate(reversed(digits))]
    return str(-sum(n // 10 + n % 10 for n in doubled) % 10)


ISSUED = ["4{15}", "51{14}", "2221{12}", "37{13}", "6011{12}", "62{14}", "62{17}", "3528{12}", "36{12}"]


@settings(derandomize=True)
@given(
    digits=st.text(string.digits, min_size=18, max_size=18),
    issued=st.sampled_from(ISSUED),
    before=SOMETHING,
    after=SOMETHING,
)
def test_any_valid_card_number_is_replaced(digits: str, issued: str, before: str, after: str) -> None:
    begins, _, n_digits = issued.rstrip("}").partition("{")
    number = begins + digits[: int(n_digits) - 1]
    card = number + luhn(number)
    assert card not in redact(f"{before} {card} {after}")


@settings(derandomize=True)
@given(
    region=st.integers(110000, 659999),
    days=st.integers(0, 45_000),
    sequence=st.integers(0, 999),
    before=SOMETHING,
    after=SOMETHING,
)
def test_any_valid_identity_card_number_is_replaced(
    region: int, days: int, sequence: int, before: str, after: str
) -> None:
    born = date(1900, 1, 1) + timedelta(days=days)
    body = f"{region}{born:%Y%m%d}{sequence:03d}"
    weights = [2 ** (17 - n) % 11 for n in range(17)]  # as GB 11643 defines them
    rest = sum(weight * int(digit) for weight, digit in zip(weights, body, strict=True)) % 11
    number = body + "10X98765432"[rest]
    assert number not in redact(f"{before}{number}{after}")


@settings(derandomize=True)
@given(prefix=st.sampled_from(["", "+86", "+86 ", "86-"]), rest=st.integers(0, 10**9 - 1), before=SOMETHING)
def test_any_mobile_number_is_replaced(prefix: str, rest: int, before: str) -> None:
    number = f"1{(30, 39, 50, 59, 78, 86, 91)[rest % 7]}{rest % 10**8:08d}"
    assert number not in redact(f"{before}{prefix}{number}，")


@settings(derandomize=True)
@given(st.text(max_size=300))
@example("İ password=x")
@example("[key] [email] [phone] password: [key]")
def test_redaction_is_idempotent(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


# -- the length ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", ["sk-abcdefghijklmnopqrstuvwx", "13800138000", "zhang@example.com", "4111 1111 1111 1111"]
)
def test_no_part_of_a_secret_is_left_at_the_cut(secret: str) -> None:
    for offset in range(len(secret) + 1):
        shown = REDACTOR.redact("." * (100 - offset) + " " + secret + " " + "." * 5000, 100)
        assert set(shown.removesuffix(CUT_MARK)) <= set(". [key][phone][email][card]")
        assert len(shown) <= 100 + len(CUT_MARK)


def test_short_marks_pull_in_no_unredacted_characters() -> None:
    mails = ("someone" * 30 + "@example.com ") * 20
    secret = "sk-" + "a" * 60
    for n_chars in range(0, 60, 7):
        text = mails[: LOOKAHEAD_CHARS + 100 - n_chars] + secret
        assert "aaa" not in REDACTOR.redact(text, 100)


def test_only_a_longer_string_is_marked_as_cut() -> None:
    assert REDACTOR.redact("x" * 100, 100) == "x" * 100
    assert REDACTOR.redact("x" * 101, 100) == "x" * 100 + CUT_MARK
    assert Redactor(["[0-9]"]).redact("1" * 100, 100) == ("[redacted]" * 10) + CUT_MARK


# Make every rule run.
NEEDLES = "@ sk- eyJ ghp_ xox AKIA password token bearer cookie :// ;base64, PRIVATE KEY "
# Pieces that make a pattern backtrack.
AWKWARD = [
    "a",
    "1",
    "1 ",
    "123-",
    "4111 ",
    "+1",
    "1(",
    "a@",
    "a.",
    "@",
    "中@",
    "sk-",
    "eyJ.",
    "token_",
    "token   ",
    "password is a",
    'password"',
    "密码是",
    "://a:",
    "-----BEGIN PRIVATE KEY-----",
    "data:a;base64,",
    "\\",
    "\\u00001",
    "%20",
    "bearer ",
    "cookie: ",
    "<tr><td>          ",
    "<th>password</th><th>",
    "insert into t (password) values ('",
    "password(",
    "password, 'a1",
    "password.equals('",
    "tokens:\n",
    "tokens:\n a: abcdef1A\n",
    '"-p","a1',
    "echo a | sudo ",
    "a:b@tcp",
    "h:5432:d:u",
    "password\n{ a =",
    "passphrase: a bc",
]


@pytest.mark.slow
@pytest.mark.parametrize("piece", AWKWARD)
def test_no_string_takes_long(piece: str) -> None:
    """A nonlinear pattern would take many seconds instead of milliseconds."""
    text = NEEDLES + (piece * (2**20 // len(piece))) + "x"
    started_s = time.thread_time()
    REDACTOR.redact(text, 2 * LONG)
    assert time.thread_time() - started_s < 2.0


@pytest.mark.slow
def test_no_random_mix_takes_longer() -> None:
    chooser = random.Random(1)
    for _ in range(8):
        text = NEEDLES + "".join(chooser.choice(AWKWARD) for _ in range(LONG // 4))
        assert len(text) > LONG + LOOKAHEAD_CHARS
        started_s = time.thread_time()
        REDACTOR.redact(text, LONG)
        assert time.thread_time() - started_s < 1.0


# -- JSON ------------------------------------------------------------------------------------------


def test_json_keeps_its_structure() -> None:
    given = {
        "to": "zhang@example.com",
        "phone": 13800138000,
        "n": 42,
        "ratio": 0.5,
        "ok": True,
        "none": None,
        "password": 'with "quotes" and \\',
        "list": ["\n13800138000", {"api_key": "anything at all"}],
        "max_tokens": "many",
        "13800138000": 1,
    }
    assert json.loads(redact(json.dumps(given))) == {
        "to": "[email]",
        "phone": "[phone]",
        "n": 42,
        "ratio": 0.5,
        "ok": True,
        "none": None,
        "password": "[key]",
        "list": ["\n[phone]", {"api_key": "[key]"}],
        "max_tokens": "many",
        "[phone]": 1,
    }
    assert "1380" not in redact(json.dumps({"escaped": "中13800138000"}))

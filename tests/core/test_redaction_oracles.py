"""Checked against other tools: `detect-secrets` and `phonenumbers` find nothing left; other text stays."""

import hashlib
import pydoc_data.topics
import random
import re
import tokenize
import uuid
from pathlib import Path

import phonenumbers
import pytest
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings
from test_redaction_kinds import ALNUM, FORMS, made_of

from guance_chatgpt_monitor.core.content.redaction import Redactor

LONG = 1_000_000
REDACTOR = Redactor()
MARK = re.compile(r"\[(?:key|phone|card|id-card|email|base64)\]")
# Those that know a format. (The others measure entropy, which hashes have too.)
DETECTORS = [
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector", "NpmDetector",
    "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector",
    "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
]  # fmt: skip


def found_by_detect_secrets(line: str) -> list[str]:
    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS]}):
        return [secret.secret_value or "" for secret in scan_line(line)]


@pytest.mark.parametrize(("prefix", "alphabet", "length"), FORMS, ids=[form[0] for form in FORMS])
def test_detect_secrets_finds_nothing_after_redaction(prefix: str, alphabet: str, length: int) -> None:
    for around in (
        "x = '{}'",
        'api_key = "{}"',
        "password: {}",
        "https://u:{}@host/",
        '"secret": "{}"',
        "token={}",
    ):
        line = around.format(prefix + made_of(alphabet, length - 2) + ("7a" if alphabet is ALNUM else "99"))
        assert not [
            found for found in found_by_detect_secrets(REDACTOR.redact(line, LONG)) if not MARK.search(found)
        ]


def test_detect_secrets_finds_a_key_before_redaction() -> None:
    assert found_by_detect_secrets("api_key = '" + "sk_live_" + made_of(ALNUM, 24) + "'")


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize("region", REGIONS)
def test_a_phone_number_of_any_country_is_replaced(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is None:
        pytest.skip("phonenumbers has no example for this region")
    for form in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        written = phonenumbers.format_number(number, form)
        if len(re.sub(r"\D", "", written)) >= 8:
            assert REDACTOR.redact(f"It is {written}, or so.", LONG) == "It is [phone], or so."
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    if len(re.sub(r"\D", "", national)) >= 8:
        assert national not in REDACTOR.redact(f"Phone: {national}", LONG)


# -- neither a secret nor personal -----------------------------------------------------------------


def n_marks(text: str, *marks: str) -> int:
    pieces = [text[start : start + 16_000] for start in range(0, len(text), 16_000)]
    return sum(
        REDACTOR.redact(piece, LONG).count(mark) - piece.count(mark) for piece in pieces for mark in marks
    )


def ean13(chooser: random.Random) -> str:
    digits = f"{chooser.randrange(2, 10)}{chooser.randrange(10**11):011d}"
    total = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(digits))
    return digits + str(-total % 10)


def test_order_numbers_and_hashes_stay() -> None:
    chooser = random.Random(5)
    orders = "\n".join(
        f"{chooser.randrange(10**9, 10**10)} {ean13(chooser)} {chooser.randrange(1, 99)} pcs 2026-11-{n % 28 + 1:02d}"
        for n in range(400)
    )
    hashes = "\n".join(
        f"{hashlib.sha256(str(n).encode()).hexdigest()} {hashlib.md5(str(n).encode()).hexdigest()} "
        f"{uuid.UUID(int=chooser.getrandbits(128))} image{n}@2x.png"
        for n in range(200)
    )
    assert n_marks(orders, "[phone]", "[card]", "[id-card]", "[key]") == 0
    assert n_marks(hashes, "[phone]", "[card]", "[id-card]", "[key]", "[email]") == 0


@pytest.mark.slow
def test_documentation_and_code_stay() -> None:
    """Python's documentation, and its modules that deal with passwords and tokens."""
    assert n_marks("".join(pydoc_data.topics.topics.values()), "[phone]", "[card]", "[id-card]", "[key]") <= 2
    library = Path(tokenize.__file__).parent
    names = (
        "tokenize",
        "token",
        "getpass",
        "secrets",
        "netrc",
        "shlex",
        "ast",
        "configparser",
        "hmac",
        "smtplib",
        "ftplib",
    )
    code = "".join((library / f"{name}.py").read_text(encoding="utf-8") for name in names)
    assert n_marks(code, "[phone]", "[card]", "[id-card]", "[key]") <= len(code) // 10_000
    for line in (
        "token = group(1)", "password: required", "password: str = None", "def login(user, password=None):",
        "password = getpass.getpass('Password: ')", "token = tokens.pop()", "self.password = password",
        "if not password:", "password=os.environ['PASSWORD']", "api_key=settings.API_KEY", "password: ${DB_PASSWORD}",
        "Your password must be at least 8 characters.", "密码长度为8到16位", "请输入密码", "The password is required.",
        "The password is case-sensitive.", "max_tokens: 4096, total_tokens=12345678", "key: value", "auth: basic",
        "see the secret garden: chapter 3", "Authorization: required", "pass: 12, fail: 3", "primary key: id",
        "const password = useRef<HTMLInputElement>(null);", "password: { type: String, required: true, minlength: 8 },",
        "pub fn verify(password: &str, hash: &str) -> bool {", "class InputTokens(Base):", 'tokenHeader = "X-Auth-Token";',
        'SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256")', "API_KEY=your-api-key-here", '"password": "密码",', "tokens: 1,234,567",
        '"eos_token": "<|endoftext|>"', "mysql -u root -p shop", "WHERE password = :password", "if key != token:", "pin: GPIO13",
        "valueFrom: {secretKeyRef: {name: db-secret, key: password}}", "ssh://git@gitlab.example.com:2222/team/app.git",
        'WWW-Authenticate: Basic realm="Access to staging"', "INSERT INTO users (name, password) VALUES (?, crypt(?, gen_salt('bf')))",
        '{"type": "object", "properties": {"password": {"type": "string"}}}', "chatcmpl-AbCdEfGh1234567890IjKlMnOp",
    ):  # fmt: skip
        assert REDACTOR.redact(line, LONG) == line

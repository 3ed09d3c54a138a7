"""Is the value of a label a secret, or a word of the sentence or program around it?"""

import re

from .redaction_keys import is_random
from .redaction_labels import CODE, PASSWORD, SECRET, TOKEN

MIN_KEY_CHARS = 8
_MIN_PASSWORD_CHARS = 4
_MIN_RANDOM_CHARS = 16
_MIN_RANDOM_DIGITS = 3
_MIN_MIXED_CHARS = 12

# Words that describe a secret, and names that programs give to a value or its type.
_WORDS = frozenset(
    "required optional mandatory none null nil true false yes no on off str string text bytes byte int integer number "
    "float bool boolean any object array list dict map set tuple undefined unknown empty blank default example sample "
    "hidden invalid incorrect wrong correct valid missing expired unset set used reset changed updated generated "
    "stored encrypted hashed redacted masked removed disabled enabled protected secured sent shown visible needed "
    "the an your my our his her their this that these those you we they it must should shall may might can will "
    "would at and or is are was be not for from with without if when then else while of on in to as by "
    "field input output value values varchar char nvarchar self cls args kwargs arg params param opts options option "
    "data key keys name names user username line lines word words item items result response request req res resp "
    "config settings setting env environment prompt here there above below see enter please type types choose pick "
    "path file url uri host port email login admin_password pw pwd psw pass passwd password passphrase secret "
    "token tokens tok credential credentials auth authorization bearer basic plain plaintext cleartext raw "
    "secretstr textfield charfield passwordfield callable optional union sequence iterable buffer node model "
    "readonly writeonly new old current confirm confirmation same different match matches mismatch short long weak "
    "strong simple complex secure insecure again twice once only also n/a na tbd todo fixme private public static "
    "const let var def return yield await async import export function class lambda "
    "begin end start stop next previous first last left right index count length size max min total prompt_tokens "
    "configuration connection context instance session completion_tokens unlimited limited identifier keyword operator literal comment newline indent dedent".split()
)
_PLACEHOLDER = re.compile(
    r"\$\{|\{\{|\$\(|<%|%\(|%[sdr]\b|\{[\w.\[\]]{0,60}(?:![rs])?(?::[^{}]{0,9})?\}|<[A-Za-z_][\w -]{0,40}>|\$[A-Z_]{2,}(?![a-z0-9])|:[A-Za-z_]\w*(?=[\s,;)\"']|\Z)"
    r"|<\|\w+\|>|\[(?:key|email|phone|card|id-card|base64|redacted)\]|\.\.\.|…"
)
_MASKED = re.compile(
    r"[*•●#.…·_?-]+\Z|\S{0,12}(?:\.\.\.|…|x{4,})\Z|(?:\\[x0nrt]\w{0,2})+\Z|[xX]{3,}\Z|\S?\*{3,}\S?\Z|(?:your|insert|enter)[-_][a-z_-]+\Z|change[-_]?(?:me|it)\Z",
    re.IGNORECASE,
)
# A call or a subscript in a program.
_EXPRESSION = re.compile(
    r"[(&*!]{0,3}[A-Za-z_][A-Za-z0-9_]*(?:(?:\?\.|\.|::|->)[A-Za-z_][A-Za-z0-9_]*)*[(\[]"
)
_GENERIC_CALL = re.compile(r"<[A-Za-z][^<>\n]{0,60}>\(")
_CLOSED = re.compile(r"[^\n]{0,200}?(?:[)\]]|[,(\[%+*/|&-][ \t]*(?:\n|\Z))|[ \t]*(?:\n|\Z)")
_DOTTED = re.compile(
    r"[A-Za-z_]+(?:\.[A-Za-z_]+)+\Z|(?:self|this|cls|os|sys|args|config|settings|request|req|env)\.[\w.]+\Z"
)
_LETTERS = re.compile(r"[^\W\d_]+\Z")
_NAME = re.compile(r"[A-Za-z_]+\Z")
_HEADER = re.compile(r"(?:[A-Z][A-Za-z]*-)+[A-Z][A-Za-z]*\Z")
_PATH = re.compile(r"[*.@]{0,3}[^\W\d]+(?:[._]+(?:[0-9]{1,3}[._]+)?[^\W\d]+)*\Z")
_STEM = re.compile(r"pass|pwd|secret|token|key|cred|密码|口令|密钥|令牌", re.IGNORECASE)
_ORDINARY = re.compile(
    r"[A-Za-z]+(?:[-'/.][A-Za-z]+)*[.!?,;:]*\Z|[0-9]+-?(?:bit|byte|char|digit|day|hour|minute|second|st|nd|rd|th)s?\b"
)
_STRONG = re.compile(r"(?=[A-Za-z]*(?:[0-9]|[!-/:-@\[-`{-~][A-Za-z0-9]))\S{4,}")
_SENTENCE = re.compile(
    r"\b(?:must|should|please|required|enter|characters?|chars|contain|your|用于|请|必须|输入|不能|至少|长度)\b|[请输入必须至少位]"
)
_MEASURE = re.compile(r"[ \t]*(?:characters?|chars?|digits|bits?|bytes|letters|位|个字|字符|次|天|分钟|小时)")
_SENTENCE_GOES_ON = re.compile(r"[ \t]+[A-Za-z]")
_UNLIKE_WORDS = re.compile(
    r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^/=\\]*?[A-Za-z0-9][!@#$%^&*~][A-Za-z0-9][^/=\\]*\Z"
)
_RUN = re.compile(r"[A-Za-z0-9+/=]+")
_TERM = re.compile(
    r"(?:sha|md|hmac|aes|rsa|pbkdf|argon|utf|iso|base|oauth|ipv|http|rfc)[-_]?[0-9]|\A[0-9]?[a-z]{1,3}[-_]?[0-9]\Z",
    re.IGNORECASE,
)
_CODE = re.compile(r"[0-9]{3,4}[ -]?[0-9]{0,4}\Z|(?=[A-Z]*[0-9])(?=[0-9]*[A-Z])[A-Z0-9]{4,10}\Z")


def is_placeholder(text: str, position: int) -> bool:
    """Whether a variable, a template field or a mark begins there."""
    return _PLACEHOLDER.match(text, position) is not None


def is_ordinary(word: str) -> bool:
    """Whether it is one of the words that describe a secret."""
    return word in _WORDS


def is_strong(value: str) -> bool:
    """Whether it is more than a word or a measurement: it has a digit, or a symbol inside."""
    return _STRONG.match(value) is not None and _ORDINARY.match(value) is None


def is_plausible(value: str, kind: str, is_quoted: bool) -> bool:
    """Whether `value` can be a secret, judged by itself; `kind` is that of its label."""
    if not value or value.lower().lstrip("&*") in _WORDS or _MASKED.match(value) or is_placeholder(value, 0):
        return False
    if kind == CODE:
        return _CODE.match(value) is not None
    if kind == PASSWORD:
        return not (is_quoted and _is_about(value))
    if kind == SECRET:
        return (is_quoted or len(value) >= MIN_KEY_CHARS) and not _is_about(value)
    if kind == TOKEN:
        return (
            len(value) >= MIN_KEY_CHARS
            and not _NAME.match(value)
            and not _HEADER.match(value)
            and not _is_about(value)
            and _has_mix(value)
        )
    return _looks_random(value)


def _is_about(value: str) -> bool:
    """Whether it is a sentence about the secret, or a name for it."""
    if _names_secret(value):
        return True
    return " " in value and not any(map(str.isdigit, value)) and _SENTENCE.search(value.lower()) is not None


def _names_secret(value: str) -> bool:
    """Such as `db_password`, `**secrets`, `.admin.api_keys`, `tokens_per_1_minute`, `登录密码`."""
    is_path = _PATH.match(value) is not None and ("." not in value or "_" in value)
    return is_path and _STEM.search(value) is not None


def _has_mix(value: str) -> bool:
    return any(map(str.isdigit, value)) or not _LETTERS.match(value.replace(" ", ""))


def _looks_random(value: str) -> bool:
    longest = max((run.group() for run in _RUN.finditer(value)), key=len, default="")
    n_digits = sum(map(str.isdigit, longest))
    if len(longest) >= _MIN_MIXED_CHARS and is_random(longest):
        return True
    return len(longest) >= _MIN_RANDOM_CHARS and _MIN_RANDOM_DIGITS <= n_digits < len(longest)


def is_in_program(value: str, text: str, end: int, kind: str, is_constant: bool, is_equated: bool) -> bool:
    """Whether an unquoted `value` that ends at `end` in `text` is code or prose rather than a secret.

    `is_constant`: the label is in capitals, as in an environment, where values are no variables. `is_equated`:
    the value follows an equals sign, not a colon, after which a sentence may go on.
    """
    if _MEASURE.match(text, end):
        return True
    expression = _EXPRESSION.match(value)
    if expression is not None and (
        value[-1] in ")]" or _CLOSED.match(text, end - len(value) + expression.end())
    ):
        return True
    if _DOTTED.match(value) or _names_secret(value):
        return True
    if _GENERIC_CALL.match(text, end):
        return True
    if not _NAME.match(value.lstrip("@&*").replace("'", "")):
        return False
    if len(value) < _MIN_PASSWORD_CHARS or ("_" in value and not is_constant):
        return True
    if kind == TOKEN or (kind == SECRET and not is_equated):
        return True
    return not is_equated and _SENTENCE_GOES_ON.match(text, end) is not None


def is_loose(value: str) -> bool:
    """Whether it looks like a password, even after a label such as `pass`, which may mean anything."""
    return (
        is_strong(value)
        and any(map(str.isalpha, value))
        and any(map(str.isdigit, value))
        and "/" not in value
    )


def is_mixed(value: str) -> bool:
    """Whether it looks like a password in a program rather than a name: it has capitals or symbols."""
    return not value.islower() or not value.isalnum()


def is_term(value: str) -> bool:
    """Whether it names an algorithm or an encoding, such as `HmacSHA256`."""
    return _TERM.search(value) is not None


def is_password_like(value: str) -> bool:
    """Whether it can hardly be anything else, so that a label nearby is enough."""
    if is_term(value):
        return False
    if len(value) >= _MIN_MIXED_CHARS and value.isalnum():
        return is_random(value)
    is_address = "@" in value and "." in value.rpartition("@")[2]
    return len(value) >= MIN_KEY_CHARS and not is_address and _UNLIKE_WORDS.match(value) is not None


def is_random_enough(value: str) -> bool:
    return is_random(value) or _looks_random(value)

"""The words that announce a secret: `password`, `api_key`, `密码`, `CVV`.

In many languages, in upper and lower case, in the plural, numbered, or as part of a name (`DB_PASSWORD`,
`userPassword`, `password-2`).
"""

import re
from functools import lru_cache
from typing import Iterator, NamedTuple, Pattern, Tuple

# The kinds of labels: what their values must look like.
PASSWORD = "password"  # noqa: S105 - anything
SECRET = "secret"  # noqa: S105 - eight characters or more
TOKEN = "token"  # noqa: S105 - as SECRET, but no word: to a programmer, a token is many things
CODE = "code"  # three to eight digits
WEAK = "weak"  # often no label at all: only values that look random


class Label(NamedTuple):
    """A label in a string: where it is, its kind, and the word that made it one."""

    start: int
    end: int
    kind: str
    is_plural: bool
    word: str


_NOT_BEFORE_LETTER = r"(?![a-z])"

_KEY_OF = re.compile(
    r"(?:api|app|access|secret|private|account|auth|encrypt(?:ion)?|decrypt(?:ion)?|licen[cs]e|shared|sign(?:ing)?"
    r"|master|service|subscription|storage|client|consumer|webhook|session|bot|admin|server|deploy|project|ssh|aes"
    r"|hmac|jwt|user|team|product|activation|recovery|backup|openai|azure|aws|aliyun)[_ -]?\Z"
)
_CODE_OF = re.compile(
    r"(?:security|verification|confirmation|one[ -]time|auth(?:entication)?|2fa|mfa|sms|login)[_ -]\Z"
)
_BEFORE = {r"keys?(?:[_-]?id)?": _KEY_OF, r"codes?": _CODE_OF}
_MAX_BEFORE_CHARS = 20

# (A substring of everything that the pattern matches, the kind, the pattern), in lower case.
_WORDS: Tuple[Tuple[str, str, Pattern[str]], ...] = tuple(
    (needle, kind, re.compile(pattern))
    for needle, kind, pattern in (
        ("pass", PASSWORD, r"pass(?:word|wd|phrase|code|wort|wörter|w|ord)s?"),
        ("pass", WEAK, r"pass(?<![a-z]pass)" + _NOT_BEFORE_LETTER),
        ("pwd", PASSWORD, r"pwds?"),
        ("psw", PASSWORD, r"psw(?:d|ord)?"),
        ("pw", WEAK, r"pw(?<![a-z]pw)" + _NOT_BEFORE_LETTER),
        ("kennw", PASSWORD, r"kennw(?:ort|örter)"),
        ("zugangs", PASSWORD, r"zugangs(?:code|daten|schlüssel)"),
        ("contrase", PASSWORD, r"contrase(?:ñ|n|ny)as?"),
        ("senha", PASSWORD, r"senhas?"),
        ("mot", PASSWORD, r"mots?[ _-]de[ _-]passe"),
        ("parol", PASSWORD, r"parol(?:a|e|ă)(?: d'ordine| segreta)?|parool"),
        ("wachtwoord", PASSWORD, r"wachtwoord(?:en)?"),
        ("sen", PASSWORD, r"lösenord(?:et)?"),
        ("eslo", PASSWORD, r"(?:h|g)eslo"),
        ("kodeord", PASSWORD, r"kodeord(?:et)?"),
        ("lozinka", PASSWORD, r"lozinka"),
        ("slapta", PASSWORD, r"slaptažodis"),
        ("psk", PASSWORD, r"psk(?<![a-z]psk)" + _NOT_BEFORE_LETTER),
        ("masterauth", PASSWORD, r"masterauth"),
        ("basic", WEAK, r"basic_?auth"),
        ("has", PASSWORD, r"hasł[oa]"),
        ("salasana", PASSWORD, r"salasanat?"),
        ("jelsz", PASSWORD, r"jelsz(?:ó|avak)"),
        ("ifre", PASSWORD, r"(?:ş|s)ifre(?:si|niz|m|ler)?(?![a-z])"),
        ("sandi", PASSWORD, r"kata sandi"),
        ("adgangskode", PASSWORD, r"adgangskoder?"),
        ("p/w", PASSWORD, r"p/w" + _NOT_BEFORE_LETTER),
        ("requirepass", PASSWORD, r"requirepass"),
        ("secret", SECRET, r"secrets?(?:[_ -]?(?:key|id|access[_ -]?key)s?)?"),
        ("cred", SECRET, r"cred(?:ential)?s?"),
        ("key", SECRET, r"keys?(?:[_-]?id)?"),  # after one of _KEY_OF
        ("key", WEAK, r"key(?<![a-z]key)s?" + _NOT_BEFORE_LETTER),
        ("token", TOKEN, r"tokens?"),
        ("jeton", TOKEN, r"jetons?"),
        ("schl", SECRET, r"schlüssel"),
        ("phrase", PASSWORD, r"(?:seed|recovery|mnemonic)[_ -]?phrases?"),
        ("clave", PASSWORD, r"clave(?<![a-z]clave)s?" + _NOT_BEFORE_LETTER),
        ("chave", SECRET, r"chave(?<![a-z]chave)s?" + _NOT_BEFORE_LETTER),
        ("cl", SECRET, r"clés? (?:(?:d['\u2019 ]?)?api|secr[èe]te|priv[ée]e)"),
        ("sign", WEAK, r"sign(?<![a-z]sign)(?:ature)?s?" + _NOT_BEFORE_LETTER),
        ("sig", WEAK, r"sig(?<![a-z]sig)" + _NOT_BEFORE_LETTER),
        ("session", WEAK, r"session[_ -]?(?:id|key)?s?" + _NOT_BEFORE_LETTER),
        ("auth", WEAK, r"auth(?<![a-z]auth)(?:[_ -]?code)?" + _NOT_BEFORE_LETTER),
        ("ak", WEAK, r"ak(?<![a-z]ak)" + _NOT_BEFORE_LETTER),
        ("sk", WEAK, r"sk(?<![a-z]sk)" + _NOT_BEFORE_LETTER),
        ("webhook", WEAK, r"webhooks?(?:[_ -]?url)?"),
        ("connection", WEAK, r"connection[_ -]?strings?"),
        ("cv", CODE, r"cv(?<![a-z]cv)[vcn]2?" + _NOT_BEFORE_LETTER),
        ("csc", CODE, r"csc(?<![a-z]csc)" + _NOT_BEFORE_LETTER),
        ("pin", CODE, r"pin(?<![a-z]pin)s?(?:[_ -]?(?:code|number|no\.?|码))?" + _NOT_BEFORE_LETTER),
        ("otp", CODE, r"otp(?<![a-su-z]otp)(?:[_ -]?code)?" + _NOT_BEFORE_LETTER),
        ("code", CODE, r"codes?"),  # after one of _CODE_OF
    )
)
# Each alternative begins with a literal character, which lets Python's search skip ahead.
_FOREIGN_WORDS: Tuple[Tuple[str, Pattern[str]], ...] = (
    (
        PASSWORD,
        re.compile(
            r"密码|密碼|口令|助记词|暗证|パスワード|暗証番号|비밀번호|패스워드|암호|парол[ьияею]|гасло|รหัสผ่าน|كلمة (?:المرور|السر)|पासवर्ड"
            r"|κωδικός|סיסמ[הא]|mật khẩu|รหัส|暗号(?=[:=は])"
        ),
    ),
    (
        SECRET,
        re.compile(
            r"密钥|秘钥|密鑰|金鑰|密匙|令牌|凭证|凭据|授权码|激活码|私钥|api\s?키|secret\s?키|access\s?키|시크릿|토큰"
            r"|キー(?=[:=は])|トークン|シークレット|ключ(?:и|а)?|токен(?:ы|а)?|секрет|мандат"
        ),
    ),
    (
        CODE,
        re.compile(
            r"安全码|验证码|驗證碼|校验码|动态码|动态口令|识别码|取款密码|支付密码|提款密码|認証コード|인증번호|код(?: подтверждения)?"
        ),
    ),
)
# The rest of a name, and a number after a word.
_REST_OF_NAME = re.compile(
    r"(?:[A-Z_-][A-Za-z0-9_-]{0,40}|[0-9]{1,3}(?![A-Za-z0-9]))?(?:[ ]?[#№]?[0-9]{1,3}(?=[ ]?[:=)]))?"
)
_NUMBER = re.compile(r"(?:[ ]?[#№]?[0-9]{1,3}(?=[ ]?[:=)]))?")
# With such an ending, the value describes the secret.
_NOT_SECRET = frozenset(
    "type types count counts url uri endpoint field fields length len limit limits policy usage name names file path "
    "min max budget size format strength required rule rules prompt label placeholder regex pattern validator "
    "manager provider error form page window index idx pos kind class cls expires expiry expiration ttl lifetime age "
    "rotation enabled in at ref refs".split()
)
_WORD_OF_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def find_labels(text: str, lowered: str) -> Iterator[Label]:
    """All labels, also those that overlap. `lowered` is `text` in lower case."""
    for needle, kind, pattern in _WORDS:
        if needle in lowered:
            yield from _found(text, lowered, kind, pattern, _REST_OF_NAME)
    if not text.isascii():
        for kind, pattern in _FOREIGN_WORDS:
            yield from _found(text, lowered, kind, pattern, _NUMBER)


def _found(
    text: str, lowered: str, kind: str, pattern: Pattern[str], rest_of_name: Pattern[str]
) -> Iterator[Label]:
    needed = _BEFORE.get(pattern.pattern)
    for match in pattern.finditer(lowered):
        start = match.start()
        if needed is not None:
            before = needed.search(lowered[max(0, start - _MAX_BEFORE_CHARS) : start])
            if before is None:
                continue
            start -= len(before.group())
        rest = rest_of_name.match(text, match.end())
        end = match.end() if rest is None else rest.end()
        if text[end - 1] == "-" and end > match.end():
            end -= 1  # a dash, as in `token->value`
        if (
            end == match.end()
            and rest_of_name is _REST_OF_NAME
            and text[end : end + 1].isalpha()
            and text[end].isascii()
        ):
            continue  # another word, such as `secretary`
        word = match.group()
        rest_words = _WORD_OF_NAME.findall(text, match.end(), end) if end > match.end() else ()
        if not rest_words or rest_words[-1].lower() not in _NOT_SECRET:
            yield Label(start, end, kind, word.endswith("s"), word)


@lru_cache(maxsize=512)
def label_of_name(name: str) -> str:
    """The kind of label that a name in JSON, XML or a table is, by its last part; empty if it is none."""
    lowered = name.lower()
    if len(lowered) != len(name):
        lowered = name
    kinds = [
        label.kind
        for label in find_labels(name, lowered)
        if name[label.end :].strip(" _-:：*0123456789") == ""
    ]
    return kinds[0] if kinds else ""

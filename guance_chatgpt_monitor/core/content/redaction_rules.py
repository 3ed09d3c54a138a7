"""What keys, tokens, passwords and e-mail addresses look like.

Keys by the forms that their providers document: OpenAI, AWS, Alibaba Cloud, Tencent Cloud, Google, GitHub,
GitLab, Slack, Stripe, Hugging Face, npm, PyPI, Guance, JSON Web Tokens; private keys in PEM; the credentials
in HTTP headers and URLs; and what is assigned to a name such as `password`, `api_key` or `密码`.

No rule asks for a word boundary: to Python, Chinese characters are letters, and a word ends nowhere.
"""

import re
from typing import NamedTuple, Pattern, Tuple

KEY = "[key]"
EMAIL = "[email]"
BASE64 = "[base64]"


class Rule(NamedTuple):
    """`pattern`, or the one of its groups that took part, is replaced by `mark`.

    It can match only where one of `needles` is in the lower-case text, which takes a fraction of the time to
    find out.
    """

    mark: str
    needles: Tuple[str, ...]
    pattern: Pattern[str]


def _rule(mark: str, needles: str, pattern: str) -> Rule:
    return Rule(mark, tuple(needles.split()), re.compile(pattern))


def _key(needles: str, pattern: str) -> Rule:
    return _rule(KEY, needles, f"(?<![A-Za-z0-9])(?:{pattern})")


# ---- keys that are known by how they begin, and addresses; looked for without what is escaped ----

# Of what may stand in an address. Not CJK characters, which are rather the sentence around it.
_LOCAL = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u00c0-\u1fff-"
_LABEL = r"A-Za-z0-9\u00c0-\u1fff-"

UNESCAPED_RULES = (
    _key("sk-", r"sk-[A-Za-z0-9_*-]{16,}"),  # the API repeats a refused key with asterisks
    _key("sess-", r"sess-[A-Za-z0-9]{20,}"),
    _key("akia asia", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    _key("ltai akid", r"LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{13,}"),
    _key("aiza ya29. gocspx-", r"AIza[A-Za-z0-9_-]{30,}|(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{16,}"),
    _key("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}"),
    _key("glpat-", r"glpat-[A-Za-z0-9_-]{16,}"),
    _key("xox xapp-", r"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"),
    _key("hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]+"),
    _key("k_live_ k_test_ whsec_", r"(?:[rsp]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    _key("hf_ npm_ pypi- tkn_", r"(?:hf_|npm_|pypi-|tkn_)[A-Za-z0-9_-]{24,}"),
    # The base64 of how a JSON object begins. Of the three parts of a token, not all may be there.
    _key("eyj", r"eyJ[A-Za-z0-9_-]{16,}={0,2}(?:\.[A-Za-z0-9_-]+)*"),
    _rule(
        EMAIL,
        "@ %40",
        rf"(?:(?<![{_LOCAL}])[{_LOCAL}]+|[\u2e80-\u9fff]{{1,16}})(?:@|%40)"
        rf"(?:[{_LABEL}]+\.)+[A-Za-z\u00c0-\u1fff]{{2,}}",
    ),
)

# ---- what is assigned to a name; looked for in lower case ----

_QUOTES = "\"'`"
_PASSWORD_NAME = r"(?:passw(?:or)?d|passphrase|passcode|pwd|密码|口令)"  # noqa: S105
_KEY_NAME = (
    r"(?:secret|token|credentials?|密钥|秘钥"
    r"|(?:api|app|access|secret|private|account|auth|encryption|license)[_ -]?key)"
)
_SUFFIX = r"(?:[_-][a-z0-9_-]{0,40})?"
# The name may stand in quotes, which in JSON within JSON are escaped.
_ASSIGNED = rf"[\\\]{_QUOTES}]{{0,8}}(?:[ \t]*(?::=|=>|[:=])[ \t]*|>)"
_QUOTED = rf"\\{{0,3}}[{_QUOTES}]((?:[^\\\n{_QUOTES}]|\\(?![{_QUOTES}]))+)"
# ASCII up to a blank or a delimiter.
_BARE = rf"[^\s\\,;&<>\x7f-\U0010ffff{_QUOTES}]"
_WORD = rf"[^\s,;\x7f-\U0010ffff{_QUOTES}]"

_PASSWORD_NEEDLES = "passw passphrase passcode pwd 密码 口令"  # noqa: S105

ANY_CASE_RULES = (
    _rule(KEY, _PASSWORD_NEEDLES, rf"{_PASSWORD_NAME}{_SUFFIX}{_ASSIGNED}(?:{_QUOTED}|({_BARE}+))"),
    # In a sentence. In English, where the next word may be any, only what has more than letters in it.
    _rule(KEY, _PASSWORD_NEEDLES, rf"{_PASSWORD_NAME}[ \t]*[是为][ \t]*({_WORD}{{4,}})"),
    _rule(
        KEY,
        _PASSWORD_NEEDLES,
        rf"{_PASSWORD_NAME}[ \t]*is[ \t]+(?=[a-z]*(?:[0-9]|[!-/:-@\[-`{{-~][a-z0-9]))({_WORD}{{4,}})",
    ),
    _rule(
        KEY,
        "secret token credential key 密钥 秘钥",
        rf"{_KEY_NAME}{_SUFFIX}{_ASSIGNED}(?:{_QUOTED}|({_BARE}{{8,}}))",
    ),
    _rule(KEY, "bearer", r"bearer[ \t]+([a-z0-9._~+/=*-]{16,})"),
    _rule(
        KEY,
        "authorization cookie",
        rf"(?:authorization|cookie)[\\{_QUOTES}]{{0,8}}[ \t]*[:=][ \t]*[\\{_QUOTES}]{{0,4}}"
        rf"([^\n\\{_QUOTES}]+)",
    ),
)
# The last part of a name in a JSON object, in lower case.
SECRET_NAME = re.compile(rf"(?:{_PASSWORD_NAME}|{_KEY_NAME}){_SUFFIX}\Z")

# ---- looked for as written ----

WRITTEN_RULES = (
    # Without its end, the rest of the text is the key.
    Rule(
        KEY,
        ("private key",),
        re.compile(
            r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----[\s\S]*?"
            r"(?:-----END[A-Z0-9 ]{0,60}-----|\Z)"
        ),
    ),
    _rule(KEY, "://", rf"://[^\s/:@{_QUOTES}]*:([^\s/@{_QUOTES}]+)@"),
    _rule(BASE64, ";base64,", r"data:[\w/+.=;-]{0,100};base64,[A-Za-z0-9+/=_-]*"),
)

"""Keys, tokens and e-mail addresses by their form: how they begin, or where they are in a URL.

The forms are those that providers document or secret scanners publish; and, whatever the provider, a short
prefix before a long mix of upper case, lower case and digits. Hashes, UUIDs and ids look different.
"""

import base64
import binascii
import re
from typing import Iterator, Tuple

KEY = "[key]"
EMAIL = "[email]"
BASE64 = "[base64]"

_Span = Tuple[int, int, str]  # start, end, mark

# Long enough for a key: searching only these runs takes a fraction of the time.
_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:~+/=*$-]{15,}")
_NO_LETTER_BEFORE = r"(?<![A-Za-z0-9])"

# No pattern uses a word boundary: Python takes Chinese characters for letters.
_BY_PREFIX = (
    # Models: OpenAI and those with its form (the API repeats a refused key with asterisks), Anthropic, ...
    r"sk-[A-Za-z0-9_*-]{16,}|pk-lf-[A-Za-z0-9-]{16,}|sess-[A-Za-z0-9]{20,}",
    r"(?:gsk_|xai-|pplx-|r8_|nvapi-|fw_|tgp_v1_|csk-|pcsk_|tvly-|fc-|jina_|e2b_|lsv2_[a-z]{2}_|ls__|pa-|vapi_|"
    r"api_org_|hf_|wandb_v1_|ABSK)[A-Za-z0-9_*-]{16,}",
    # Clouds: AWS, Alibaba, Tencent, Volcengine, Baidu, JD, Google, Azure, DigitalOcean, Yandex, Scaleway, ...
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{13,}|AKLT[A-Za-z0-9_-]{16,}",
    r"(?:bce-v3/)?ALTAK-?[A-Za-z0-9/-]{16,}|JDC_[A-Z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_.-]{16,}",
    r"GOCSPX-[A-Za-z0-9_-]{16,}|1//0[A-Za-z0-9_-]{20,}|AQ\.[A-Za-z0-9_-]{30,}|AccountKey=[A-Za-z0-9+/=]{20,}",
    r"[A-Za-z0-9]{40,60}(?:JQQJ99|AAAA?C|AzFu|AzSe|AIoT|\+ASt)[A-Za-z0-9+/]{6,40}={0,2}",
    r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,}|do[opr]_v1_[a-f0-9]{32,}|(?:AQVN|t1\.|y0_)[A-Za-z0-9_-]{30,}",
    r"HRKU-[A-Za-z0-9_-]{20,}|f[mo][12]_[A-Za-z0-9+/=_-]{20,}|vercel_blob_rw_[A-Za-z0-9_]{30,}|(?:nfp|vcp|vck|vca|sbp|napi|pul|rpa|bkua|cfut)[_-]"
    r"[A-Za-z0-9_]{20,}|sb_(?:secret|publishable)_[A-Za-z0-9_-]{16,}|dapi[a-f0-9]{30,}|SCW[A-Z0-9]{17}",
    # Code and packages: GitHub, GitLab, Bitbucket, Atlassian, npm, PyPI, RubyGems, NuGet, crates.io, Docker, ...
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_.-]{16,}|GR1348941[\w-]{20}",
    r"(?:ATBB|ATATT3|ATCTT3|AKCp)[A-Za-z0-9_=+/-]{16,}|(?:npm|pypi|tkn|rubygems)[_-][A-Za-z0-9_-]{24,}",
    r"oy2[a-z0-9]{43}|cio[A-Za-z0-9]{32}|dckr_[a-z]{3}_[A-Za-z0-9_-]{20,}|CCIP(?:AT|RJ)_[A-Za-z0-9_]{20,}",
    r"hv[sbr]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}|dp\.[a-z]{2,5}\.[A-Za-z0-9_-]{20,}",
    r"(?:pnu|sgp|figd|waka|rdme|tskey|PMAK|CFPAT|CLOJARS|ops|phc|phx|ico)[_-][A-Za-z0-9_.-]{20,}"
    r"|pscale_[a-z]+_[A-Za-z0-9_.-]{20,}|lin_(?:api|oauth)_[A-Za-z0-9]{20,}|(?:ntn|secret)_[A-Za-z0-9]{30,}",
    # Messages: Slack, Discord, Telegram, Twilio, SendGrid, Mailgun, Mailchimp, Brevo, Resend, HubSpot, Airtable.
    r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{10,}|[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
    r"[0-9]{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9])|(?:SK|AC)[a-f0-9]{32}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,}",
    r"key-[a-f0-9]{32}|[a-f0-9]{32}-us[0-9]{1,2}|x(?:key|smtp)sib-[A-Za-z0-9-]{30,}|re_[A-Za-z0-9]{6,}_[A-Za-z0-9]{16,}",
    r"pat-(?:na|eu)[0-9]-[a-f0-9-]{30,}|pat[A-Za-z0-9]{14}\.[a-f0-9]{64}|SCT[0-9]{4,8}T[A-Za-z0-9]{10,}",
    # Money and shops: Stripe, Square, Shopify, PayPal, Razorpay, EasyPost, Flutterwave, Duffel, Plaid.
    r"(?:[rsp]k_(?:live|test)|whsec|[a-z]{3,10}_(?:live|test))_[A-Za-z0-9+/=]{10,}|sq0[a-z]{3}-[\w-]{20,}",
    r"EAAA[A-Za-z0-9_-]{50,}|shp[a-z]{2}_[A-Fa-f0-9]{32}|E[ZT][AK]K[A-Za-z0-9]{50,}|FLW(?:SEC|PUB)K[_-][A-Za-z0-9-]{16,}",
    r"access_token\$production\$[a-z0-9$]{20,}|access-(?:sandbox|development|production)-[a-f0-9-]{30,}",
    # Monitors: Guance, Grafana, New Relic, Sentry, Dynatrace, Honeycomb; Meta, Twitter, Dropbox, Mapbox.
    r"gl(?:c|sa)_[A-Za-z0-9_=+/-]{20,}|NR(?:AK|JS|II|RA)-[A-Za-z0-9_-]{19,}|sntry[su]_[A-Za-z0-9_=+/-]{20,}",
    r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{40,}|hca[a-z]{2}_[A-Za-z0-9]{30,}|EAA[A-Za-z0-9]{60,}",
    r"A{20,}[A-Za-z0-9%+/=]{30,}|sl\.[A-Za-z0-9_-]{60,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|FlyV1",
    # Zhipu; JSON Web Tokens, also incomplete ones.
    r"[a-f0-9]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])|[sp]k\.eyJ[\w.-]{20,}|eyJ[A-Za-z0-9_-]{16,}={0,2}(?:\.[A-Za-z0-9_-]+)*",
)
_KNOWN = re.compile(f"{_NO_LETTER_BEFORE}(?:{'|'.join(_BY_PREFIX)})")
# After these, lower-case letters are enough; after others they may be a name, such as `ops-deployment-manual`.
_CERTAIN = ("sk-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "AKIA", "eyJ")
# Prefix and rest; _ID_PREFIX lists prefixes of ids, which are no secrets.
_UNKNOWN = re.compile(
    _NO_LETTER_BEFORE + r"([A-Za-z][A-Za-z0-9]{1,11}[-_](?:[a-z0-9]{1,8}[-_]){0,2})([A-Za-z0-9]{24,})"
)
_ID_PREFIX = re.compile(
    r"(?:chatcmpl|cmpl|call|msg|resp|rs|fc|ws|run|step|asst|thread|file|req|batch|vs|vsfb|ft|ftjob|gen|toolu|tool"
    r"|cus|pi|pm|ch|in|sub|price|prod|evt|acct|txn|seti|cs|si|org|proj|user|usr|id|img|image|video|doc|node"
    r"|item|obj|session|trace|span|chunk|commit|build|sha[0-9]*|md5|hash|digest|etag|integrity)[-_]"
)
_MIN_DIGITS = 3
_NO_NAME = re.compile("[0-9A-Z*]")
_MAX_PREFIX_CHARS = 5

# ---- in URLs ----

_HOOKS = (
    "hooks.slack", "discord", "/bot", "webhook", "logic.azure", "hooks.zapier", "make.com", "ifttt", "day.app", "sctapi",
    "celonis", "chat.googleapis", "pushcut", "ntfy.sh", "pagerduty",
)  # fmt: skip
_URL_SECRETS = (
    re.compile(
        r"//(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks"
        r"|(?:open\.feishu\.cn|open\.larksuite\.com)/open-apis/bot/(?:v2/)?hook|[a-z0-9.-]{1,60}webhook\.office\.com"
        r"|[a-z0-9.-]{1,60}\.logic\.azure\.com(?::[0-9]+)?|hooks\.zapier\.com/hooks|hook\.[a-z0-9]{1,8}\.make\.(?:celonis\.)?com"
        r"|maker\.ifttt\.com/trigger|api\.day\.app|sctapi\.ftqq\.com|api\.telegram\.org|chat\.googleapis\.com/v1"
        r"|outlook\.office\.com/webhook|push\.ding[a-z]*\.com|api\.pushcut\.io|ntfy\.sh|webhook\.site|events\.pagerduty\.com/integration"
        r")/([^\s\"'`<>|\\)\]}]{4,})",
        re.IGNORECASE,
    ),
    # On any host.
    re.compile(
        r"/(?:incoming-?)?(?:web)?hooks?(?:b2)?/(?=[^\s\"'`<>|\\]{0,200}[0-9])([A-Za-z0-9][^\s\"'`<>|\\)\]}]{11,})",
        re.IGNORECASE,
    ),
    re.compile(
        r"[?&;](?:amp;)?(?:x-[a-z]{3,4}-(?:signature|credential|security-token)|sig|sign|signature|[a-z_-]{0,20}token"
        r"|[a-z_-]{0,20}secret|[a-z_-]{0,20}key|[a-z]{0,12}accesskeyid|auth|authorization|authkey|code|ticket|jwt"
        r"|session(?:_?id)?|sid|passw(?:or)?d|pass|pwd|otp|nonce_str|assertion|samlresponse|state_token|credentials?)"
        r"=(?!\[)([^\s&#\"'`<>|\\]{4,})",
        re.IGNORECASE,
    ),
    re.compile(r"://[^\s/:@\"'`]*:([^\s/\"'`<>]+)@"),
    re.compile(r"://([A-Za-z0-9_-]{16,}(?::x-oauth-basic)?)@"),
)
_URL_NEEDLES = ("://", "?", "&", "hook", ".com/", ".cn/")

# ---- blocks ----

# Without its last line, everything that follows is the key.
_PRIVATE_KEY = re.compile(
    r"-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----[\s\S]*?(?:-----END[A-Z0-9 ]{0,60}-----|\Z)"
    r"|PuTTY-User-Key-File-[23][\s\S]*?(?:Private-MAC:[^\n]*|\Z)"
)
_PASSWORD_HASH = re.compile(
    r"\$(?:1|2[abxy]?|5|6|7|y|apr1|argon2(?:id|i|d)|pbkdf2[a-z0-9-]*|scrypt)\$[A-Za-z0-9./$=,+-]{16,}"
)
_DATA_URL = re.compile(r"data:[\w/+.=;-]{0,100};base64,[A-Za-z0-9+/=_-]*")

# ---- e-mail addresses ----

# The characters of an address; no CJK characters, which rather belong to the sentence around it.
_LOCAL = r"A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u00c0-\u1fff-"
_LABEL = r"A-Za-z0-9\u00c0-\u1fff-"
# Each alternative begins with a literal character, which lets Python's search skip ahead.
_AT = re.compile(r"@|%40|\((?:at|AT|@)\)[ ]?|\[(?:at|AT|@)\][ ]?| \((?:at|AT|@)\)[ ]?| \[(?:at|AT|@)\][ ]?")
_LOCAL_BACKWARDS = re.compile(rf"[{_LOCAL}]+|[\u2e80-\u9fff]{{1,16}}|\"[^\"\n]{{1,64}}\"")
_DOMAIN = re.compile(
    rf"(?:[{_LABEL}]+(?:\.| ?[(\[](?:dot|DOT)[)\]] ?))+[A-Za-z\u00c0-\u1fff]{{2,}}|\[[0-9a-fA-F:.]{{7,40}}\]"
)
_MAX_LOCAL_CHARS = 1024
_SPELLED_ADDRESS = re.compile(
    r"[a-z0-9][a-z0-9._-]{1,40} at [a-z0-9-]{2,40} dot (?:com|org|net|edu|gov|io|co|cn|de|uk|fr|jp)(?![a-z])"
)
# No domains, but names of files, packages and pictures.
_NO_DOMAIN = re.compile(
    r"[0-9.]+x\.|.*\.(?:png|jpe?g|gif|svg|webp|bmp|ico|css|js|mjs|ts|tsx|jsx|json|ya?ml|html?|pyc?|whl|tgz|gz|exe|dll)\Z",
    re.IGNORECASE,
)
_NOT_PERSONAL = re.compile(r"\b(?:git|hg|svn)@")


def find_keys(text: str, lowered: str) -> Iterator[_Span]:
    """Everything that has one of these forms. `lowered` is `text` in lower case."""
    for run in _RUN.finditer(text):
        for match in _KNOWN.finditer(text, run.start(), run.end()):
            if match.group().startswith(_CERTAIN) or _NO_NAME.search(match.group(), _MAX_PREFIX_CHARS):
                yield (*match.span(), KEY)
        for match in _UNKNOWN.finditer(text, run.start(), run.end()):
            if is_random(match.group(2)) and not _ID_PREFIX.match(match.group(1)):
                yield (*match.span(), KEY)
    if any(needle in lowered for needle in _URL_NEEDLES):
        first = 0 if any(hook in lowered for hook in _HOOKS) else 1
        for pattern in _URL_SECRETS[first:]:
            for match in pattern.finditer(text):
                yield (*match.span(1), KEY)
    if "private key" in lowered or "putty-user" in lowered:
        for match in _PRIVATE_KEY.finditer(text):
            yield (*match.span(), KEY)
    if "$" in text:
        for match in _PASSWORD_HASH.finditer(text):
            yield (*match.span(), KEY)
    if ";base64," in lowered:
        for match in _DATA_URL.finditer(text):
            yield (*match.span(), BASE64)


def find_addresses(text: str, lowered: str) -> Iterator[_Span]:
    """E-mail addresses, also with `[at]` for the @."""
    if "@" in text or "%40" in text or "at]" in lowered or "at)" in lowered:
        read_to = 0
        for at in _AT.finditer(text):
            domain = _DOMAIN.match(text, at.end())
            before = text[max(read_to, at.start() - _MAX_LOCAL_CHARS) : at.start()]
            local = _LOCAL_BACKWARDS.match(before[::-1])
            if domain is None or local is None or _NO_DOMAIN.match(domain.group()):
                continue
            start, read_to = at.start() - local.end(), domain.end()
            if not _NOT_PERSONAL.search(text, start, read_to):
                yield start, read_to, EMAIL
    if " dot " in lowered and " at " in lowered:
        for match in _SPELLED_ADDRESS.finditer(lowered):
            yield (*match.span(), EMAIL)


def is_random(text: str) -> bool:
    """Whether it mixes upper case, lower case and digits as neither words nor numbers do."""
    return _is_mixed(text) and sum(map(str.isdigit, text)) >= _MIN_DIGITS


def _is_mixed(text: str) -> bool:
    return any(map(str.isupper, text)) and any(map(str.islower, text))


def is_basic_credentials(text: str) -> bool:
    """Whether it is `user:password` in base64."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return False
    return b":" in decoded and all(32 <= byte < 127 for byte in decoded)

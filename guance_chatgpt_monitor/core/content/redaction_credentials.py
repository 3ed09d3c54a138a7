"""Credentials of protocols and commands: headers, cookies, options, `.netrc`, SQL.

The value of a header ends with its line, or with the string that the header is in.
"""

import re
from typing import Iterator, Tuple

from .redaction_keys import is_basic_credentials, is_random
from .redaction_plausible import is_in_program, is_loose, is_placeholder, is_plausible, is_random_enough

_Extent = Tuple[int, int]

# A substring of the header's name, and its pattern.
_HEADERS = (
    ("authorization", re.compile(r"authorization")),
    ("cookie", re.compile(r"cookie2?")),
    ("authentication", re.compile(r"authentication")),
    ("x-", re.compile(r"x-(?:[a-z]{1,20}-){0,3}(?:key|token|secret|signature|auth|session)")),
    ("-key", re.compile(r"-key(?<=api-key)|-key(?<=subscription-key)")),
)
_COLON = re.compile(
    r"(\\*)([\"'`]?)[ \t]*(?:(?:\]|\*\*)[ \t]*)?(?:=>|[:=](?!=)|(?<=[\"'`]),)[ \t]*(?:\*\*[ \t]*)?(?:[fbruFBRU]{1,2}(?=[\"'`]))?(\\*)([\"'`]?)"
)
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|api-?key|key|hmac|ntlm|negotiate|signature|oauth|aws4-hmac-sha256)[ \t]+",
    re.IGNORECASE,
)
_JOINED = re.compile(r"[\"'`]\s{0,20}[+.&]\s{0,20}([\"'`])([^\s\"'`]{3,})\1")
_PROSE = re.compile(r"[A-Za-z ,.'()/-]*\Z")
_BEARER = re.compile(r"bearer(?<![a-z]bearer)[ \t]+([a-z0-9._~+/=*-]{16,})")
_BASIC = re.compile(r"basic(?<![a-z]basic)[ \t]+([a-z0-9+/_-]{6,}={0,2})")
_DIGEST = re.compile(r"digest(?<![a-z]digest)[ \t]+((?:\w{2,12}=[^\n]{1,200}?,[ \t]*){2}[^\n]+)")
_WORD = re.compile(r"[^\s,;{}]+")
_MIN_CHARS = 3
_LINE = re.compile(r"[^\n]*")
_NETRC = re.compile(r"\blogin\s+\S+\s+password\s+(\S+)")
_SQL = re.compile(
    r"(?:identified\s+(?:with\s+\S+\s+)?by|password(?:\s+for\s+\S+)?)\s+(['\"])((?:[^'\"\\\n]|\\.){1,200})\1",
    re.IGNORECASE,
)
# Commands, and the options that take a password, with or without a space, or `user:password`.
_COMMAND = re.compile(
    r"(?:mysql\w*|mariadb|sshpass|docker[ ]login|(?:podman|oc|az|helm)[ ]\S{0,20}[ ]?login|mongo\w*|redis-cli|ldap\w+|mosquitto_\w+|curl|wget|http|smbclient"
    r"|unzip|zip|7za?|rar|psql|sqlcmd|isql|xfreerdp|rdesktop|ftp|lftp|openssl|htpasswd|sqlplus|kinit|user(?:add|mod))(?=[ ])([^\n|;]{1,400})"
)
_OPTION = re.compile(
    r"(?<=\s)(?:-[pPaw][ ]?|-(?:-user|u)[ =]?[^\s:\"']{1,60}:|(?:-pass(?:in|out)?|--pass)[ =](?:pass:)?|-(?:-user|u)[ =]?[\"'][^\s:\"']{1,60}:)"
    r"(\"[^\"\n]+\"|'[^'\n]+'|[^\s\"']+)"
)
_ANY_OPTION = re.compile(r"(?<=\s)-p[ ]?([^\s\"'|;/:]{6,})")
_OPTIONS = (" -p", " -P", " -u", " -a", " -w", " --user", "-pass")
_PORTS = re.compile(r"[\d:/.]*\Z|(?:tcp|udp)\b")
# Passwords at other positions of commands, `user/password@host` of Oracle, `user:password@tcp(` of Go, a line of
# `.pgpass`, the QR code of a wireless network: a substring in lower case, and the pattern.
_ELSEWHERE = tuple(
    (needle, re.compile(pattern))
    for needle, pattern in (
        (
            "echo",
            r"echo[ ]+(?:-n[ ]+)?[\"']?(?:\w{1,32}:(?=[^\n|]*chpasswd))?([^\s\"'|]+)[\"']?[ ]*\|[ ]*(?:sudo[ ]+-S|[^\n|]{0,80}(?:--password-stdin|passwd))",
        ),
        ("openssl", r"openssl[ ][^\n|]{0,200}?[ ]-k[ ]+[\"']?([^\s\"'-][^\s\"']*)"),
        ("net use", r"(?i:net[ ]+use)[ ]+(?:\S:[ ]+)?\\\\\S+[ ]+([^\s/]\S*)"),
        ("net user", r"(?i:net[ ]+user)[ ]+\S+[ ]+([^\s/]\S*)"),
        ("sqlplus", r"sqlplus[ ]+(?:-\S+[ ]+)*[\w.-]{1,40}/([^\s@/]+)@"),
        ("oracle:", r"oracle:\w+:[\w.-]{1,40}/([^\s@/]+)@"),
        ("@tcp(", r"(?<![\w.-])[\w.-]{1,40}:([^\s@/:]+)@tcp\("),
        ("@unix(", r"(?<![\w.-])[\w.-]{1,40}:([^\s@/:]+)@unix\("),
        (":543", r"(?<![\w.-])[\w.*-]{1,80}:543[0-9]:[\w*.-]{1,60}:[\w*.-]{1,60}:([^\s:]+)"),
        ("wifi:", r"WIFI:[^\n]{0,120}?P:((?:[^;\\\n]|\\.)+);"),
        ("securestring", r"(?i:ConvertTo-SecureString)[ ]+(?:-String[ ]+)?[\"']?([^\s\"'$-][^\s\"']*)"),
        ("rabbitmqctl", r"rabbitmqctl[ ]+(?:add_user|change_password)[ ]+\S+[ ]+[\"']?([^\s\"']+)"),
        ("wpa_passphrase", r"wpa_passphrase[ ]+\S+[ ]+[\"']?([^\s\"']+)"),
        ("vault login", r"vault login[ ]+([^\s-]\S+)"),
        (" -u", r"[ ]-U[ ]?[\"']?[\w.\\-]{1,60}%([^\s\"']+)"),
        (
            '"-',
            r"\"--?(?:[pPaw]|u|user)\\*\",\s*\\*\"(?:[^\s:\"\\]{1,60}:)?((?=[^\s\"]*[0-9])(?=[^\s\"]*[A-Za-z])[^\s\"\\/.]{6,})\\*\"",
        ),
        ("storepass", r"-(?:src|dest)?(?:store|key)pass[ ]+(?:env:|file:)?([^\s-]\S*)"),
    )
)


def find_credentials(text: str, lowered: str) -> Iterator[_Extent]:
    """All of them. `lowered` is `text` in lower case."""
    for name, header in _HEADERS:
        if name in lowered:
            for match in header.finditer(lowered):
                yield from _header(text, match.start(), match.end())
    for name, scheme in (("bearer", _BEARER), ("basic", _BASIC), ("digest", _DIGEST)):
        if name in lowered:
            for match in scheme.finditer(lowered):
                if scheme is not _BASIC or is_basic_credentials(text[match.start(1) : match.end(1)]):
                    yield match.span(1)
    if "login" in lowered and "password" in lowered:
        for match in _NETRC.finditer(text):
            yield match.span(1)
    if "identified" in lowered or "password" in lowered:
        for match in _SQL.finditer(text):
            if is_plausible(match.group(2), "password", True):
                yield match.span(2)
    if any(option in text for option in _OPTIONS):
        yield from _options(text)
    for needle, pattern in _ELSEWHERE:
        if needle in lowered:
            for match in pattern.finditer(text):
                if not is_placeholder(text, match.start(1)):
                    yield match.span(1)


def _header(text: str, start: int, end: int) -> Iterator[_Extent]:
    colon = _COLON.match(text, end)
    if colon is None or is_placeholder(text, colon.end()):
        return
    before = text[start - 1 : start]
    own_quote = before if before in ('"', "'", "`") and not colon.group(2) else ""
    quote = colon.group(4) or own_quote
    line = _LINE.match(text, colon.end())
    limit = line.end() if line else len(text)
    if quote:
        n_backslashes = len(colon.group(3)) if colon.group(4) else _n_backslashes_before(text, start - 1)
        limit = _unescaped(text, quote, n_backslashes, colon.end(), limit)
    scheme = _SCHEME.match(text[colon.end() : limit])
    value = text[colon.end() : limit].rstrip()
    rest = value[scheme.end() :] if scheme else value
    is_pair = "," in colon.group()
    if is_pair and not scheme and not is_random_enough(rest):
        return
    joined = _JOINED.match(text, limit) if scheme and not rest else None
    if joined is not None:
        yield joined.span(2)
    if rest and not is_placeholder(rest, 0) and not (_PROSE.match(rest) and not scheme):
        word = _WORD.match(rest)
        chars = word.group() if word else ""
        end = colon.end() + len(value) - len(rest) + len(chars)
        is_code = not quote and not scheme and is_in_program(chars, text, end, "password", False, True)
        if len(chars) >= _MIN_CHARS and not is_code and (scheme or is_plausible(chars, "password", False)):
            yield colon.end(), colon.end() + len(value)


def _n_backslashes_before(text: str, position: int) -> int:
    return position - len(text[max(0, position - 64) : position].rstrip("\\")) - max(0, position - 64)


def _unescaped(text: str, quote: str, n_backslashes: int, start: int, limit: int) -> int:
    """The position of the next quote that has at most `n_backslashes`."""
    for match in re.finditer(r"\\*" + quote, text[start:limit]):
        if len(match.group()) - 1 <= n_backslashes:
            return start + match.start()
    return limit


def _options(text: str) -> Iterator[_Extent]:
    for command in _COMMAND.finditer(text):
        for match in _OPTION.finditer(text, command.start(1), command.end(1)):
            value = match.group(1).strip("\"'")
            if match.group()[:3] == "-p " and command.group()[:2] in ("my", "ma") and not is_loose(value):
                continue  # a database: mysql prompts for the password
            if not _PORTS.match(value) and not is_placeholder(value, 0) and not value.startswith("-"):
                start = match.start(1) + (match.group(1)[0] in "\"'")
                yield start, start + len(value)
    for match in _ANY_OPTION.finditer(text):
        value = match.group(1)
        if is_random(value) or (
            is_loose(value) and any(not char.isalnum() and char not in "-_." for char in value)
        ):
            yield match.span(1)

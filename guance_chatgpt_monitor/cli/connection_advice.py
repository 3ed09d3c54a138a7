"""Explains why a server does not answer, and what to do about it."""

import re
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

import requests

from ..core.call import without_credentials
from .user_error import UserError

TLS_TRIAL_TIMEOUT_S = 2.0


def explain_unreachable(error: Exception, url: str) -> UserError:
    """The reason why no answer came from `url`, with its next step."""
    parts, shown = urlsplit(url), without_credentials(url)
    host, address = parts.hostname or "", parts.netloc.rpartition("@")[2]
    said = str(error)
    if isinstance(error, requests.exceptions.InvalidSchema):  # all addresses are HTTP: it is the proxy's
        return UserError("common.no_socks", shown=shown, host=host)
    if isinstance(error, requests.exceptions.ProxyError) or re.search("SOCKS|proxy URL", said, re.IGNORECASE):
        return UserError("common.proxy", shown=shown, host=host)
    if isinstance(error, ValueError):  # not a host name: a label is empty or too long
        return UserError("common.no_such_host", host=host)
    if not isinstance(error, requests.RequestException) or "NO_CERTIFICATE_OR_CRL_FOUND" in said:
        return UserError("common.no_ca_file", shown=shown)
    if isinstance(error, requests.exceptions.SSLError):
        return UserError(_explain_tls(said), shown=shown, host=host)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UserError("common.connect_timeout", address=address)
    if isinstance(error, requests.Timeout):
        return UserError("common.read_timeout", shown=shown)
    if "NameResolution" in said or "getaddrinfo" in said or "resolve" in said:
        return UserError("common.no_such_host", host=host)
    if "refused" in said:
        return UserError("common.refused", address=address)
    if parts.scheme == "http" and _speaks_tls(parts):
        return UserError("common.wants_tls", address=address)
    return UserError("common.broken", address=address)


def _explain_tls(said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in said:
        return "common.no_tls"
    if "mismatch" in said or "not valid for" in said or "doesn't match" in said:
        return "common.certificate_name"
    return "common.certificate_expired" if "has expired" in said else "common.certificate_untrusted"


def _speaks_tls(parts: SplitResult) -> bool:
    """Found out by trying: servers answer plain HTTP on a TLS port in different ways."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(
            (parts.hostname, parts.port or 80), TLS_TRIAL_TIMEOUT_S
        ) as connection, context.wrap_socket(connection, server_hostname=parts.hostname):
            return True
    except (OSError, ValueError):
        return False

"""Why no answer comes from a server, and what to do about it."""

from urllib.parse import urlsplit

import requests

from ..core.call import without_credentials
from .user_error import UserError


def explain_unreachable(error: requests.RequestException, url: str) -> UserError:
    """Why no answer came from `url`."""
    parts, shown = urlsplit(url), without_credentials(url)
    host, address = parts.hostname or "", parts.netloc.rpartition("@")[2]
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return UserError(
            f"a proxy stands in the way of {shown}, and does not let it pass",
            f"correct HTTP_PROXY and HTTPS_PROXY, or add the host to NO_PROXY: export NO_PROXY={host}",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return _explain_tls(text, shown, host)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UserError(
            f"no connection to {address} within the time limit", "check the address, and any firewall between"
        )
    if isinstance(error, requests.Timeout):
        return UserError(f"{shown} took the connection and does not answer", "look at the server's log")
    if "NameResolution" in text or "getaddrinfo" in text or "resolve" in text:
        return UserError(f"the host name {host} cannot be resolved", "check the address, or this host's DNS")
    if "refused" in text:
        return UserError(
            f"connection refused: nothing listens at {address}", "check host and port, and that it runs"
        )
    return UserError(
        f"the connection to {address} broke before an answer came",
        "check that it speaks HTTP, then look at the server's log",
    )


def _explain_tls(text: str, shown: str, host: str) -> UserError:
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return UserError(f"no TLS with {shown}", "if it speaks plain HTTP, begin the address with http://")
    if "mismatch" in text or "not valid for" in text or "doesn't match" in text:
        return UserError(
            f"the TLS certificate of {shown} is for another name than {host}",
            "use the name in the certificate as the address",
        )
    if "has expired" in text:
        return UserError(f"the TLS certificate of {shown} has expired", "renew it, or correct the clock")
    return UserError(
        f"the TLS certificate of {shown} is not trusted here",
        "name the file of the authority that signed it: export REQUESTS_CA_BUNDLE=/path/to/ca.pem",
    )

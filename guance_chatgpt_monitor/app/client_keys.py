"""The keys that a call is made with: none is ever logged, even if an error message repeats it."""

from typing import Any, Iterator, Mapping, Tuple

# Where OpenAI's and Azure's clients have them.
_ATTRIBUTES = ("api_key", "admin_api_key", "webhook_secret", "_azure_ad_token")
_HEADERS = ("_custom_headers", "auth_headers")
_SECRET_HEADERS = ("authorization", "key", "token", "secret", "cookie", "signature", "password", "auth")


def keys_of(client: Any, options: Any) -> Tuple[str, ...]:
    """The keys of the client, and those in the headers that it and this call send."""
    found = [getattr(client, name, None) for name in _ATTRIBUTES]
    for source in (*(getattr(client, name, None) for name in _HEADERS), getattr(options, "headers", None)):
        if isinstance(source, Mapping):
            found += _in_headers(source)
    return tuple(dict.fromkeys(key for key in found if isinstance(key, str) and key))


def _in_headers(headers: Mapping[str, Any]) -> Iterator[str]:
    for name, value in headers.items():
        if isinstance(value, str) and any(word in str(name).lower() for word in _SECRET_HEADERS):
            yield value.rpartition(" ")[2]  # after the scheme, if there is one

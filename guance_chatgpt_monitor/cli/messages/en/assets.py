"""assets."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "importing": "importing into the workspace of the API key, at {endpoint}",
    "total": "{created} created, {skipped} skipped; what has such a name already is left as it is",
    "apply_step": "check --site (or --endpoint) and the API key (DF_API_KEY): Management / API Key Management",
    "api_key": "API key",
    "endpoint": "OpenAPI address",
    "only_with_apply": (
        "--site, --endpoint and --api-key are for an import",
        "add --apply, or leave them out to write files",
    ),
    "two_addresses": ("--site and --endpoint name two addresses", "give one of them"),
    "unknown_site": (
        "there is no site {site}",
        "choose {sites}; or give the address of another with --endpoint",
    ),
    "no_site": (
        "no site was given",
        "give --site, one of {sites}; or the address of another with --endpoint",
    ),
    "plain_http": (
        "the OpenAPI address is http://, which would send the API key readable over the network",
        "give it with https://",
    ),
}

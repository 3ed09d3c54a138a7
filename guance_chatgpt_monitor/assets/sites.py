"""The public sites of Guance and TrueWatch, and the addresses of their OpenAPI.

From the two products' documentation of their OpenAPI ("Supported Endpoints"), as of 2026.
"""

from typing import NamedTuple


class Site(NamedTuple):
    """One of the public sites: a workspace, and its API keys, belong to one of them."""

    brand: str
    place: str
    endpoint: str


_GUANCE, _TRUEWATCH = "Guance", "TrueWatch"

SITES = {
    "cn1": Site(_GUANCE, "China 1, Hangzhou", "https://openapi.guance.com"),
    "cn2": Site(_GUANCE, "China 2, Ningxia", "https://aws-openapi.guance.com"),
    "cn4": Site(_GUANCE, "China 4, Guangzhou", "https://cn4-openapi.guance.com"),
    "cn6": Site(_GUANCE, "China 6, Hong Kong", "https://cn6-openapi.guance.one"),
    "me1": Site(_GUANCE, "Middle East 1, UAE", "https://me1-openapi.guance.com"),
    "us1": Site(_TRUEWATCH, "Americas 1, Oregon", "https://us1-openapi.truewatch.com"),
    "eu1": Site(_TRUEWATCH, "Europe 1, Frankfurt", "https://eu1-openapi.truewatch.com"),
    "ap1": Site(_TRUEWATCH, "Asia Pacific 1, Singapore", "https://ap1-openapi.truewatch.com"),
    "za1": Site(_TRUEWATCH, "Africa 1, South Africa", "https://za1-openapi.truewatch.com"),
    "id1": Site(_TRUEWATCH, "Indonesia 1, Jakarta", "https://id1-openapi.truewatch.com"),
}


def endpoint_of(site: str) -> str:
    """The OpenAPI address of `site`, such as "cn1" or "us1". Raises ValueError, which names them all."""
    found = SITES.get(site.strip().lower())
    if found is None:
        listed = "; ".join(f"{name} ({known.brand}, {known.place})" for name, known in SITES.items())
        raise ValueError(f"no such site: {site[:20]!r}; the public ones are {listed}")
    return found.endpoint

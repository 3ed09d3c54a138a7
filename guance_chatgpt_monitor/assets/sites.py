"""The public sites of Guance and TrueWatch, and the addresses of their OpenAPI.

A workspace, and its API keys, belong to one site. From the two products' documentation of their OpenAPI
("Supported Endpoints"), as of 2026.
"""

SITES = {
    # Guance: Hangzhou, Ningxia, Guangzhou, Hong Kong, UAE
    "cn1": "https://openapi.guance.com",
    "cn2": "https://aws-openapi.guance.com",
    "cn4": "https://cn4-openapi.guance.com",
    "cn6": "https://cn6-openapi.guance.one",
    "me1": "https://me1-openapi.guance.com",
    # TrueWatch: Oregon, Frankfurt, Singapore, South Africa, Jakarta
    "us1": "https://us1-openapi.truewatch.com",
    "eu1": "https://eu1-openapi.truewatch.com",
    "ap1": "https://ap1-openapi.truewatch.com",
    "za1": "https://za1-openapi.truewatch.com",
    "id1": "https://id1-openapi.truewatch.com",
}

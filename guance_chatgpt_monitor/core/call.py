"""What was observed of one ChatGPT call."""

import re
import time
from dataclasses import dataclass, field
from typing import Dict, Optional
from urllib.parse import urlsplit

from .usage import NO_USAGE, Usage


@dataclass
class Call:
    """One call, from the caller's point of view: retries are inside it."""

    operation_name: str
    request_model: str = ""
    provider_name: str = "openai"
    response_model: str = ""
    stream: bool = False
    requests_sent: int = 0
    status_code: Optional[int] = None
    error_type: Optional[str] = None
    usage: Usage = NO_USAGE
    tags: Dict[str, str] = field(default_factory=dict)
    started_s: float = field(default_factory=time.perf_counter)
    response_time_s: float = 0.0
    time_to_first_token_s: Optional[float] = None
    ended_at_ns: int = 0
    # From the last answer, which may be an error.
    rate_limit: Dict[str, float] = field(default_factory=dict)
    processing_time_s: Optional[float] = None
    request_id: str = ""  # unique: never a tag. Nor are those of the span around the call:
    trace_id: str = ""
    span_id: str = ""
    service_tier: str = ""  # as answered: it decides the price
    finish_reason: str = ""  # one of answers.FINISH_REASONS, if the answer gave one

    def end(self, error_type: Optional[str] = None) -> None:
        """End the call, with its error if there is one. Only the first end counts."""
        if self.ended_at_ns:
            return
        self.response_time_s = time.perf_counter() - self.started_s
        self.ended_at_ns = time.time_ns()
        self.error_type = error_type


AZURE_OPENAI = "azure_openai"
# Azure's public cloud, the US government's and China's.
_AZURE_HOST = re.compile(r".+\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)\.?")
_AZURE_API_MANAGEMENT = re.compile(r".+\.azure-api\.(net|us|cn)\.?")


def provider_name(base_url: str) -> str:
    """`openai`, `azure_openai`, or the host of another base URL."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if not host or host == "api.openai.com" or host.endswith(".api.openai.com"):
        return "openai"
    # A host of the user's own in front of Azure keeps Azure's paths.
    is_azure_path = "/openai/deployments/" in parts.path or (
        _AZURE_API_MANAGEMENT.fullmatch(host) and "/openai" in parts.path
    )
    return AZURE_OPENAI if is_azure_path or _AZURE_HOST.fullmatch(host) else host


def without_credentials(url: str) -> str:
    """`url` fit to be shown: without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

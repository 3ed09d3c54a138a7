"""Goes through the chain from OpenAI to the workspace, and says of each link what is wrong."""

import tempfile
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

from ..build import build, default_manifest
from ..func_client import FuncClient
from ..messages import text
from ..terminal import Waiting
from .datakit import check_datakit
from .finding import Finding, good
from .func import check_func
from .link import check_link
from .openai import OpenAITarget, check_openai
from .prices import check_prices


class Targets(NamedTuple):
    """What is checked; None or "" leaves it out. `sources` says where each setting came from."""

    sources: List[str]
    openai: Optional[OpenAITarget] = None
    datakit_url: str = ""
    datakit_ca: str = ""
    logs: bool = False  # whether DataKit is to take logs, too
    link: str = ""
    link_secret: str = ""
    func: Optional[FuncClient] = None


def check(targets: Targets) -> List[Finding]:
    """All findings, as they were made. The longest of them says what it waits for."""
    findings: List[Finding] = []
    with Waiting(text("check.waiting")):
        findings += _findings(targets)
    return findings


def _findings(targets: Targets) -> Iterator[Finding]:
    yield good("settings", "check.settings", sources=text("check.separator").join(targets.sources))
    yield check_prices()
    if targets.func is not None:
        with tempfile.TemporaryDirectory() as folder:
            yield from check_func(targets.func, build(Path(folder), default_manifest()))
    if targets.link:
        yield from check_link(targets.link, targets.link_secret)
    if targets.openai is not None:
        yield from check_openai(targets.openai)
    if targets.datakit_url:
        yield from check_datakit(targets.datakit_url, targets.logs, targets.datakit_ca)

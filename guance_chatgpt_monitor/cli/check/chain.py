"""Goes through the chain from OpenAI to DataKit, and says of each link what is wrong and what to do."""

import json
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional

from ..build import build, default_manifest
from ..func_client import FuncClient
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
    link: str = ""
    link_secret: str = ""
    func: Optional[FuncClient] = None


def check(targets: Targets, show: Callable[[Finding], None]) -> int:
    """Show each finding as it is made; the severity of the worst."""
    worst = 0
    for finding in _findings(targets):
        show(finding)
        worst = max(worst, finding.severity)
    return worst


def _findings(targets: Targets) -> Iterator[Finding]:
    yield good("settings", "; ".join(targets.sources))
    yield check_prices()
    if targets.openai is not None:
        yield from check_openai(targets.openai)
    if targets.datakit_url:
        yield from check_datakit(targets.datakit_url)
    if targets.link:
        yield from check_link(targets.link, targets.link_secret)
    if targets.func is not None:
        with tempfile.TemporaryDirectory() as folder:
            yield from check_func(targets.func, build(Path(folder), default_manifest()))


def as_text(finding: Finding) -> str:
    """One line, and the next step below it."""
    line = f"{finding.status:5} {finding.name:20} {finding.what}"
    return f"{line}\n{'':6}next: {finding.next_step}" if finding.next_step else line


def as_json(findings: List[Finding]) -> str:
    """For a machine."""
    worst = max(findings, key=lambda finding: finding.severity).status
    rows = [finding._asdict() for finding in findings]
    return json.dumps({"worst": worst, "findings": rows}, ensure_ascii=False, indent=2)

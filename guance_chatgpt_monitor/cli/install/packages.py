"""Python packages in Func, through Func's own installer."""

import re
from typing import List

from ..func_client import FuncClient
from ..messages import text
from ..user_error import UserError
from .steps import Progress

INSTALL_TIMEOUT_S = 600.0
POLL_S = 0.5
MAX_ERROR_CHARACTERS = 300


def missing_packages(client: FuncClient, wanted: List[str]) -> List[str]:
    """Those of `wanted` that Func has not. Raises UserError."""
    rows = client.get("python-packages/installed/do/list")
    present = {_normal(row["name"]) for row in rows}
    return [name for name in wanted if _normal(name) not in present]


def install_packages(client: FuncClient, packages: List[str], index_url: str, progress: Progress) -> str:
    """Install, and wait until it is done; what was done. Raises UserError."""
    index = {"pipIndexURL": index_url} if index_url else {}
    started_s = progress.clock()
    client.post("python-packages/do/install", {"packages": " ".join(packages), **index})
    shown = ""
    while True:
        rows = client.get("python-packages/install-status/do/get")
        status = ", ".join(f"{row['package']} {row['status']}" for row in rows)
        failed = [row for row in rows if row["status"] == "failure"]
        if failed:
            raise _failure(failed[0]["package"], str(failed[0].get("error") or ""))
        if all(row["status"] == "success" for row in rows):
            return text(
                "install.packages_added",
                packages=", ".join(packages),
                seconds=f"{progress.clock() - started_s:.0f}",
            )
        if progress.clock() - started_s > INSTALL_TIMEOUT_S:
            raise UserError("install.packages_late", seconds=f"{INSTALL_TIMEOUT_S:.0f}", status=status)
        if status != shown:
            progress.tell("packages", status)
            shown = status
        progress.sleep(POLL_S)


def _failure(package: str, error: str) -> UserError:
    # The last line says it; those before are pip's progress.
    lines = [line for line in error.splitlines() if line.strip()]
    said = lines[-1].strip()[:MAX_ERROR_CHARACTERS] if lines else text("install.no_reason")
    return UserError("install.packages_failed", package=package, said=said)


def _normal(name: str) -> str:
    # A wheel that was uploaded is listed as `openai @ file:///…`.
    return re.sub(r"[-_.]+", "-", name.partition(" @ ")[0]).lower()

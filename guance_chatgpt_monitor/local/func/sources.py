"""Where a script set is installed from: a market folder, a market's URL, or an import zip."""

import zipfile
from pathlib import Path
from typing import Callable

import requests


def reader(source: str) -> Callable[[str], bytes]:
    """Reads a file of a market by its name: over HTTP, out of a zip, or from a folder."""
    if source.startswith(("http://", "https://")):

        def read_url(name: str) -> bytes:
            answer = requests.get(f"{source.rstrip('/')}/{name}", timeout=10)
            answer.raise_for_status()
            return answer.content

        return read_url
    if source.endswith(".zip"):
        archive = zipfile.ZipFile(source)
        return archive.read
    return lambda name: (Path(source) / name).read_bytes()

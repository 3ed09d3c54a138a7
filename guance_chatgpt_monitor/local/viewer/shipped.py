"""The dashboards and monitors that the package ships: beside it in a clone, inside it when installed."""

import json
from pathlib import Path
from typing import Any, Dict, List

LANGUAGES = ("en", "zh")

_PACKAGE = Path(__file__).resolve().parent.parent.parent


def dashboards(language: str) -> Dict[str, Dict[str, Any]]:
    """The dashboards of a language, by name; none where they are not to be found."""
    return {path.stem: _load(path) for path in _files("dashboard", language)}


def checkers(language: str) -> List[Dict[str, Any]]:
    """The monitors of a language."""
    return [checker for path in _files("monitor", language) for checker in _load(path)["checkers"]]


def _files(kind: str, language: str) -> List[Path]:
    if language not in LANGUAGES:
        raise ValueError(f"language {language}: {' and '.join(LANGUAGES)} are there")
    for parent in (_PACKAGE, _PACKAGE.parent):
        found = sorted((parent / kind / language).glob("*/*.json"))
        if found:
            return found
    return []


def _load(path: Path) -> Dict[str, Any]:
    content: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content

"""The dashboard and the monitors that Guance shows the data with, in Chinese and English.

Made from the YAML beside this module, in a clone and in an installed package alike:

    write_assets("en", ".")                                   # dashboard/en/…, monitor/en/…
    apply_assets("en", "https://openapi.guance.com", api_key)  # into the key's workspace
"""

import json
from pathlib import Path
from typing import Any, Dict, List, Union

from . import dashboard, guance_openapi, monitors
from .guance_openapi import Applied, GuanceError
from .source import LANGUAGES

__all__ = ["LANGUAGES", "Applied", "GuanceError", "apply_assets", "render_assets", "write_assets"]


def render_assets(language: str) -> Dict[str, Dict[str, Any]]:
    """Relative path -> content, for `language` ("zh" or "en"). Raises ValueError for another."""
    return {
        f"dashboard/{language}/openai/openai.json": dashboard.build(language),
        f"monitor/{language}/openai/openai.json": monitors.build(language),
    }


def write_assets(language: str, directory: Union[str, Path]) -> List[Path]:
    """Write them under `directory`, over what is there. Returns their paths.

    Raises ValueError for a language that there is not, and OSError.
    """
    paths = []
    for relative, content in render_assets(language).items():
        path = Path(directory) / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        path.write_bytes(text.encode("utf-8"))
        paths.append(path)
    return paths


def apply_assets(language: str, endpoint: str, api_key: str) -> List[Applied]:
    """Import them through Guance's OpenAPI; what has a name that is there is skipped.

    Raises ValueError for bad arguments, and GuanceError (`done` tells what came before it).
    """
    return guance_openapi.apply(endpoint, api_key, dashboard.build(language), monitors.build(language))

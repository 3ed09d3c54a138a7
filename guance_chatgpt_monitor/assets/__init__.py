"""The dashboards and the monitors that Guance shows the data with, in Chinese and English.

Made from the YAML in `sources/`, in a clone and in an installed package alike:

    write_assets("en", ".")                                   # dashboard/en/…, monitor/en/…
    apply_assets("en", "https://openapi.guance.com", api_key)  # into the key's workspace

The command line imports it; it imports core only.
"""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Union

from . import dashboard, guance_openapi, monitors
from .guance_openapi import Applied, GuanceError
from .sites import SITES
from .source import LANGUAGES

__all__ = [
    "LANGUAGES",
    "SITES",
    "Applied",
    "GuanceError",
    "apply_assets",
    "render_assets",
    "write_assets",
]


def render_assets(language: str) -> Dict[str, Dict[str, Any]]:
    """Relative path -> content, for `language` ("zh" or "en"). Raises ValueError for another."""
    return {
        **{
            f"dashboard/{language}/{name}/{name}.json": dashboard.build(name, language)
            for name in dashboard.DASHBOARDS
        },
        f"monitor/{language}/openai/openai.json": monitors.build(language),
    }


def write_assets(language: str, directory: Union[str, Path]) -> List[Path]:
    """Write them under `directory`, over what is there. Returns their paths.

    Raises ValueError for an unknown language, and OSError.
    """
    paths = []
    for relative, content in render_assets(language).items():
        path = Path(directory) / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        path.write_bytes(text.encode("utf-8"))
        paths.append(path)
    return paths


def apply_assets(
    language: str, endpoint: str, api_key: str, told: Callable[[Applied], Any] = lambda _: None
) -> List[Applied]:
    """Import them through Guance's OpenAPI; those whose name is taken are skipped. `told` gets each one.

    Raises ValueError for bad arguments, and GuanceError (`done` lists what was imported before it).
    """
    dashboards = [dashboard.build(name, language) for name in dashboard.DASHBOARDS]
    return guance_openapi.apply(endpoint, api_key, dashboards, monitors.build(language), told)

"""The committed dashboards, monitors and pages, and the fields and tags the code writes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from guance_chatgpt_monitor.assets import LANGUAGES
from guance_chatgpt_monitor.core.metrics import (
    FIELDS,
    MEASUREMENT,
    MONITOR_FIELDS,
    MONITOR_MEASUREMENT,
    MONITOR_TAGS,
    PROBE_FIELDS,
    PROBE_MEASUREMENT,
    PROBE_TAGS,
    TAGS,
    USAGE_FIELDS,
    USAGE_MEASUREMENT,
    USAGE_TAGS,
)

ROOT = Path(__file__).resolve().parent.parent
WRITTEN: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    MEASUREMENT: (FIELDS, TAGS),
    MONITOR_MEASUREMENT: (MONITOR_FIELDS, MONITOR_TAGS),
    PROBE_MEASUREMENT: (PROBE_FIELDS, PROBE_TAGS),
    USAGE_MEASUREMENT: (USAGE_FIELDS, USAGE_TAGS),
}
# A user's own tag.
USERS_TAG = "team"
# Levels although their unit is "count": their sum over time is meaningless.
LEVELS_OF_COUNTS = {
    "backlog_lines",
    "remaining_requests",
    "remaining_tokens",
    "limit_requests",
    "limit_tokens",
}
# Few users send audio or images, so these are in the cost and on the pages, but in no chart.
NOT_SHOWN = {
    "prompt_audio_tokens",
    "completion_audio_tokens",
    "prompt_image_tokens",
    "completion_image_tokens",
    "audio_duration",
}
COUNTS = {
    name
    for fields, _ in WRITTEN.values()
    for name, unit in fields.items()
    if unit == "count" and name not in LEVELS_OF_COUNTS | NOT_SHOWN
}
DASHBOARDS = ("openai", "openai_monitor")

CHINESE = re.compile(r"[\u4e00-\u9fff]")

both_languages = pytest.mark.parametrize("language", LANGUAGES)
both_dashboards = pytest.mark.parametrize("name", DASHBOARDS)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def dashboard(name: str, language: str) -> Any:
    return json.loads(read(f"dashboard/{language}/{name}/{name}.json"))


def charts(name: str, language: str) -> Any:
    return dashboard(name, language)["main"]["charts"]


def all_charts(language: str) -> list[Any]:
    return [chart for name in DASHBOARDS for chart in charts(name, language)]


def number_charts(language: str) -> list[Any]:
    """The charts of numbers, not of logs."""
    return [chart for chart in all_charts(language) if chart["type"] != "log"]


def checkers(language: str) -> Any:
    return json.loads(read(f"monitor/{language}/openai/openai.json"))["checkers"]


def inner_queries(language: str) -> list[Any]:
    """Every numeric query with its structured twin: of charts, of monitors, and inside expressions."""
    outer = [query["query"] for chart in number_charts(language) for query in chart["queries"]]
    outer += [item["query"] for checker in checkers(language) for item in checker["extend"]["querylist"]]
    return outer + [child for query in outer for child in query.get("children", [])]


def all_dql(language: str) -> list[str]:
    return [query["q"] for query in inner_queries(language)]

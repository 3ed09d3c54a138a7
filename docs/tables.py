"""Makes the tables of the documentation from the code: `make docs`. With --check, says what is out of date.

In a page, a table stands between `<!-- table: NAME -->` and `<!-- end -->`. The words for fields, tags and
errors are in descriptions.yaml; a name of the code without words, or the reverse, is an error.
"""

import re
import sys
from pathlib import Path
from typing import Callable

import yaml

from guance_chatgpt_monitor.app.operations import OPERATIONS
from guance_chatgpt_monitor.core import errors, metrics
from guance_chatgpt_monitor.core.settings import settings_of
from guance_chatgpt_monitor.core.settings_table import APP, FUNC, Setting

DOCS = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")
_TABLE = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WORDS = yaml.safe_load((DOCS / "descriptions.yaml").read_text("utf-8"))
_HEADS: "dict[str, dict[str, tuple[str, ...]]]" = {
    "settings": {"en": ("setting", "default", ""), "zh": ("设置", "默认值", "")},
    "fields": {"en": ("field", "description", "unit"), "zh": ("字段", "说明", "单位")},
    "tags": {"en": ("tag", "values"), "zh": ("标签", "取值")},
    "errors": {"en": ("`error_type`", "when"), "zh": ("`error_type`", "含义")},
    "operations": {
        "en": ("`operation_name`", "methods"),
        "zh": ("`operation_name`", "方法"),
    },
    "health": {"en": ("field", "description", "unit"), "zh": ("字段", "说明", "单位")},
}


def table(name: str, language: str) -> str:
    """The Markdown of one table, in one language."""
    kind, _, world = name.partition(" ")
    if kind == "settings":
        rows = [_setting_row(setting, language) for setting in settings_of({"func": FUNC, "app": APP}[world])]
    else:
        rows = _described_rows(kind, language)
    head = _HEADS[kind][language]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _setting_row(setting: Setting, language: str) -> "list[str]":
    default = setting.shown_default
    if default and language == "zh":
        default = _WORDS["defaults_zh"].get(default, default if default.startswith("`") else "")
        if not default:
            raise SystemExit(f"descriptions.yaml, defaults_zh: without words {setting.shown_default}")
    if not default:
        default = f"{setting.default:,g}" if _is_number(setting.default) else f"`{_shown(setting.default)}`"
    return [f"`{setting.name}`", default, setting.help if language == "en" else setting.help_zh]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described_rows(kind: str, language: str) -> "list[list[str]]":
    words = _WORDS[kind]
    _agree(kind, list(words), _NAMES[kind]())
    rows = []
    for name, described in words.items():
        row = [f"`{name}`", described[language]]
        rows.append([*row, described["unit"]] if "unit" in described else row)
    return rows


_NAMES: "dict[str, Callable[[], list[str]]]" = {
    "fields": lambda: list(metrics.FIELDS),
    "tags": lambda: list(metrics.TAGS),
    "errors": lambda: list(errors.ERROR_TYPES),
    "operations": lambda: list(OPERATIONS),
    "health": lambda: list(metrics.MONITOR_FIELDS),
}


def _agree(kind: str, described: "list[str]", names: "list[str]") -> None:
    missing, surplus = sorted(set(names) - set(described)), sorted(set(described) - set(names))
    if missing or surplus:
        raise SystemExit(f"descriptions.yaml, {kind}: without words {missing}, not in the code {surplus}")


def filled(text: str, language: str) -> str:
    """A page with each of its tables made anew."""
    return _TABLE.sub(lambda found: found[1] + "\n" + table(found[2], language) + "\n" + found[3], text)


def main() -> int:
    check, stale = "--check" in sys.argv[1:], []
    for language in LANGUAGES:
        for page in sorted((DOCS / language).glob("*.md")):
            text = page.read_text("utf-8")
            new = filled(text, language)
            if new != text:
                stale.append(f"docs/{language}/{page.name}")
                if not check:
                    page.write_text(new, "utf-8")
    for name in stale:
        print(f"{name} {'is not up to date: run `make docs`' if check else 'made anew'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())

"""Writes Guance's dashboards and monitors as files, or imports them into a workspace."""

import json
import os
from pathlib import Path
from typing import Any, Optional

from ..messages import text
from ..options import add_json
from ..user_error import UserError


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--lang", choices=("zh", "en"), default="zh", help=text("help.assets_lang"))
    add("--out", type=Path, default=Path(), metavar="DIR", help=text("help.assets_out"))
    add("--apply", action="store_true", help=text("help.apply"))
    add("--endpoint", default="", metavar="URL", help=text("help.endpoint"))
    add("--api-key", default="", metavar="KEY", help=text("help.api_key"))
    add("--no-color", action="store_true", help=text("help.no_color"))
    add_json(parser)


def run(options: Any) -> int:
    from ...assets import write_assets

    if options.apply:
        return _apply(options)
    paths = [str(path) for path in write_assets(options.lang, options.out)]
    print(json.dumps(paths) if options.json else "\n".join(paths))
    return 0


def _apply(options: Any) -> int:
    from ...assets import GuanceError, apply_assets

    error: Optional[GuanceError] = None
    step = text("tools.assets_step")
    try:
        done = apply_assets(
            options.lang, options.endpoint, options.api_key or os.environ.get("DF_API_KEY", "")
        )
    except ValueError as wrong:
        raise UserError(str(wrong), step) from None
    except GuanceError as failure:
        done, error = failure.done, failure
    if options.json:
        failed = {"error": str(error)} if error else {}
        print(json.dumps({"done": [item._asdict() for item in done], **failed}, ensure_ascii=False))
    else:
        for item in done:
            print(f"{item.action:8} {item.kind:10} {item.name}")
    if error is not None and not options.json:
        raise UserError(str(error), step)
    return 1 if error else 0

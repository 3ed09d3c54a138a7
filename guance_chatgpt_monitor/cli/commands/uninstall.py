"""Takes out of Func what install made, and only that."""

import json
import tempfile
from pathlib import Path
from typing import Any

from ..messages import text
from ..options import add_func_options, add_json, make_client
from ..terminal import progress


def add_arguments(parser: Any) -> None:
    add_func_options(parser)
    parser.add_argument("--dry-run", action="store_true", help=text("help.dry_run"))
    add_json(parser)


def run(options: Any) -> int:
    from ..build import build, default_manifest
    from ..install.func_contents import SET_ID, read_func_contents
    from ..install.uninstall import plan_removal, remove

    client = make_client(options)
    with tempfile.TemporaryDirectory() as folder:
        template = build(Path(folder), default_manifest()).scripts[f"{SET_ID}__example"]
    plan = plan_removal(client, read_func_contents(client, template))
    tell = progress(options.json)
    if not options.dry_run:
        remove(client, plan, tell)
    if options.json:
        rows = [{"name": row.name, "text": row.text, "removed": bool(row.path)} for row in plan]
        print(json.dumps({"dry_run": options.dry_run, "steps": rows}, ensure_ascii=False, indent=2))
    elif options.dry_run:
        for row in plan:
            print(f"{'remove' if row.path else 'keep':7} {row.name:20} {row.text}")
        print("nothing was changed: --dry-run")
    if not plan:
        tell("there is nothing of the monitor in this Func")
    return 0

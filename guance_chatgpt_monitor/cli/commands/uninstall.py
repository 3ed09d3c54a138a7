"""Takes out of Func what install made, and only that."""

from pathlib import Path
from typing import Any

from ..messages import text
from ..options import add_func_options, add_json, make_client
from ..terminal import pad, progress, to_json
from .install import show_plan


def add_arguments(parser: Any) -> None:
    add_func_options(parser)
    parser.add_argument("--dry-run", action="store_true", help=text("help.dry_run"))
    add_json(parser)


def run(options: Any) -> int:
    import tempfile

    from ..build import build, default_manifest
    from ..install.func_contents import SET_ID, read_func_contents
    from ..install.steps import run_steps
    from ..install.uninstall import plan_removal
    from ..terminal import Waiting

    client = make_client(options)
    with tempfile.TemporaryDirectory() as folder:
        template = build(Path(folder), default_manifest()).scripts[f"{SET_ID}__example"]
    with Waiting(text("install.reading")):
        plan = plan_removal(client, read_func_contents(client, template))
    tell = progress(options.json)
    if not plan:
        tell(text("install.nothing_there"))
    if options.dry_run and not options.json:
        show_plan(plan, False, [])
        return 0
    steps = plan if options.dry_run else run_steps(plan, lambda s: tell(f"{pad(s.title, 20)} {s.text}"))
    if options.json:
        rows = [{**step.facts(), "removed": step.action == "remove"} for step in steps]
        print(to_json({"dry_run": options.dry_run, "steps": rows}))
    return 0

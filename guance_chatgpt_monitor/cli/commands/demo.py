"""Shows the whole path run, with stand-ins."""

import json
from typing import Any

from ..messages import text
from ..options import add_json, check_urls
from ..terminal import progress


def add_arguments(parser: Any) -> None:
    parser.add_argument("--datakit", default="", metavar="URL", help=text("help.demo_datakit"))
    add_json(parser)


def run(options: Any) -> int:
    from ..demo import Demo, points_table, summary

    check_urls("", options.datakit)
    result = Demo(progress(options.json), options.datakit).run()
    if options.json:
        calls = [call._asdict() for call in result.calls]
        whole = {**result._asdict(), "calls": calls, "totals": result.totals, "complete": result.complete}
        print(json.dumps(whole, ensure_ascii=False, indent=2))
        return 0 if result.complete else 1
    if result.points is not None:
        print(f"\nDataKit received {len(result.points)} points of {len(result.calls)} calls:\n")
        print("\n".join(points_table(result.points)))
        print("", *summary(result), sep="\n")
    else:
        print(f"\nDataKit took {result.delivered} points of {len(result.calls)} calls")
    print("every point arrived" if result.complete else "NOT every point arrived", flush=True)
    return 0 if result.complete else 1

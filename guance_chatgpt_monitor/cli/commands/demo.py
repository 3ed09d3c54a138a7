"""Shows the whole path run, with stand-ins; or keeps it running, for the local page to draw."""

import os
import sys
import threading
from typing import Any

from ..messages import text
from ..options import add_json, check_urls
from ..terminal import Waiting, line_width, paint, progress, say, shorten, to_json
from ..user_error import UsageError


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--open", action="store_true", help=text("help.demo_open"))
    add("--real", action="store_true", help=text("help.demo_real"))
    add("--datakit", default="", metavar="URL", help=text("help.demo_datakit"))
    add_json(parser)


def run(options: Any) -> int:
    check_urls("", options.datakit)
    if options.open:
        if options.datakit or options.json or options.real:
            raise UsageError("demo.open_alone")
        return _keep_open()
    return _run_once(options)


def _keep_open() -> int:
    from ..demo import Demo
    from ..demo_traffic import Traffic

    with Demo(say, log_content=True) as demo:
        assert demo.datakit is not None
        say(text("demo.page", url=demo.datakit.url))
        if _has_screen():
            import webbrowser

            webbrowser.open(demo.datakit.url)
        traffic = Traffic(demo)
        try:
            traffic.run(threading.Event())
        except KeyboardInterrupt:
            say(text("demo.ended", calls=traffic.calls, failed=traffic.failed))
    return 0


def _has_screen() -> bool:
    """Whether a browser would have a window of its own, rather than this terminal."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in names)


def _run_once(options: Any) -> int:
    from ..demo import Demo, points_table, summary

    running = Waiting(text("demo.running"))
    with running, Demo(progress(options.json), options.datakit, options.real) as demo:
        result = demo.run()
    if options.json:
        calls = [call._asdict() for call in result.calls]
        whole = {**result._asdict(), "calls": calls, "totals": result.totals, "complete": result.complete}
        print(to_json(whole))
        return 0 if result.complete else 1
    if result.points is not None:
        say("\n" + text("demo.received", n=len(result.points), n_calls=len(result.calls)) + "\n")
        width = line_width()
        for line in points_table(result.points):
            say(line if width is None else shorten(line, width))
        say("\n".join(["", *summary(result)]))
    else:
        say("\n" + text("demo.took", n=result.delivered, n_calls=len(result.calls)))
    color = "ok" if result.complete else "fail"
    say(paint(text("demo.complete" if result.complete else "demo.incomplete"), color))
    say(text("demo.look"))
    return 0 if result.complete else 1

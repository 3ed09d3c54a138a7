"""A live view of the calls that this machine has recorded: plain ANSI, so that it works over ssh."""

import sys
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from ..messages import text
from ..options import add_json, application_settings, count
from ..terminal import display_width, is_terminal, line_width, one_line, pad, paint, say, shorten, to_json
from ..user_error import UserError, check_http_url

REFRESH_S = 2.0
MAX_LINES_READ = 100_000  # of a file, the newest
_CLEAR = "\x1b[H\x1b[J"
_COLUMNS = ("model", "calls", "errors", "p95", "tokens", "cost")


class Call(NamedTuple):
    """One recorded call, as in its point."""

    tags: Dict[str, str]
    fields: Dict[str, Any]
    timestamp_ns: int


class Seen(NamedTuple):
    """The recorded calls, and how many lines wait for DataKit; -1 if unknown."""

    calls: List[Call]
    waiting: int


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--datakit", default="", metavar="URL", help=text("help.top_datakit"))
    add("--minutes", type=count, default=15, metavar="N", help=text("help.top_minutes"))
    add("--once", action="store_true", help=text("help.top_once"))
    add_json(parser)


def run(options: Any) -> int:
    while True:
        seen, now_ns = _read(options.datakit), time.time_ns()
        since_ns = now_ns - options.minutes * 60 * 10**9
        rows = rows_by_model([call for call in seen.calls if call.timestamp_ns >= since_ns])
        if options.json:
            print(to_json({"minutes": options.minutes, "waiting": seen.waiting, "models": rows}))
            return 0
        lines = _draw(rows, seen.waiting, options.minutes)
        if options.once or not is_terminal(sys.stdout):
            say("\n".join(lines))
            return 0
        say(_CLEAR + "\n".join([*lines, "", paint(text("tools.top_ctrl_c"), "dim")]))
        try:
            time.sleep(REFRESH_S)
        except KeyboardInterrupt:
            say("")
            return 0


def rows_by_model(calls: List[Call]) -> List[Dict[str, Any]]:
    """Calls, errors, p95 in seconds, tokens and cost in US dollars by model, the busiest first; all last."""
    by_model: Dict[str, List[Call]] = {}
    for call in calls:
        by_model.setdefault(call.tags.get("request_model") or "?", []).append(call)
    rows = [_row(model, some) for model, some in by_model.items()]
    rows.sort(key=lambda row: (-row["calls"], row["model"]))
    return [*rows, _row("", calls)]


def _row(model: str, calls: List[Call]) -> Dict[str, Any]:
    times = sorted(float(call.fields.get("response_time") or 0.0) for call in calls)
    costs = [float(call.fields["cost"]) for call in calls if "cost" in call.fields]
    return {
        "model": model,
        "calls": len(calls),
        "errors": int(sum(call.fields.get("res_status") or 0 for call in calls)),
        # The nearest rank: the smallest that 95 of 100 do not exceed.
        "p95": times[max(0, -(-len(times) * 95 // 100) - 1)] if times else None,
        "tokens": int(sum(call.fields.get("total_tokens") or 0 for call in calls)),
        "cost": sum(costs) if costs else None,
    }


def _draw(rows: List[Dict[str, Any]], waiting: int, minutes: int) -> List[str]:
    heads = [text(f"tools.top_{name}") for name in _COLUMNS]
    cells = [[_cell(name, row[name]) for name in _COLUMNS] for row in rows]
    cells[-1][0] = text("tools.top_all")
    width = (line_width() or 100) - 50
    lines = [text("tools.top_title", minutes=minutes, time=time.strftime("%H:%M:%S")), ""]
    for n_line, row in enumerate([heads, *cells]):
        model = pad(shorten(one_line(row[0]), max(10, width)), max(10, width))
        line = model + "".join(" " * max(1, 10 - display_width(cell)) + cell for cell in row[1:])
        failed = n_line and rows[n_line - 1]["errors"]
        lines.append(paint(line, "fail") if failed else paint(line, "bold") if not n_line else line)
    if waiting >= 0:
        lines += ["", paint(text("tools.top_waiting", n=waiting), "warn" if waiting else "ok")]
    return lines


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return {"p95": "{:.2f} s", "cost": "${:.4f}"}.get(name, "{}").format(value)


# ---- where it is read ----


def _read(datakit_url: str) -> Seen:
    return _read_datakit(datakit_url) if datakit_url else _read_backlog()


def _read_datakit(url: str) -> Seen:
    """The points of a local DataKit. A real one cannot be asked for them."""
    import json

    from ..http_client import call

    url = check_http_url(url, "DataKit", "http://127.0.0.1:9529")
    answer = call("GET", f"{url}/_local/points?measurement=openai", 10.0)
    try:
        points: List[Dict[str, Any]] = json.loads(answer.body)
        calls = [Call(point["tags"], point["fields"], point["timestamp_ns"]) for point in points]
    except (ValueError, KeyError, TypeError):
        raise UserError("tools.top_no_points", url=url) from None
    return Seen(calls, -1)


def _read_backlog() -> Seen:
    """What waits in the backlog files of this user's applications, which are only read."""
    import os
    from pathlib import Path

    backlog = application_settings().backlog
    if not backlog:
        raise UserError("tools.top_no_home")
    path, named = Path(backlog), bool(os.environ.get("CHATGPT_MONITOR_BACKLOG"))
    paths = [path] if named else sorted(path.parent.glob("*.sqlite3"))
    if not any(map(Path.is_file, paths)):
        raise UserError("tools.top_no_backlog", path=path if named else path.parent)
    calls, waiting = [], 0
    for found in paths:
        lines, n_lines = _read_file(found)
        calls += [call for line in lines for call in _calls_in(line)]
        waiting += n_lines
    return Seen(calls, waiting)


def _read_file(path: Any) -> Tuple[List[str], int]:
    import sqlite3
    from contextlib import closing

    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as database:
            rows = database.execute("SELECT line FROM lines ORDER BY id DESC LIMIT ?", (MAX_LINES_READ,))
            return [row[0] for row in rows], database.execute("SELECT n_lines FROM size").fetchone()[0]
    except sqlite3.Error as error:
        raise UserError("tools.top_backlog_unreadable", path=path, said=type(error).__name__) from None


def _calls_in(line: str) -> List[Call]:
    from ...local.datakit.line_parser import LineError, parse_lines

    try:
        points = parse_lines(line.encode("utf-8"), "metric", "n", 0)
    except LineError:
        return []
    return [Call(p.tags, p.fields, p.timestamp_ns) for p in points if "question" in p.fields]

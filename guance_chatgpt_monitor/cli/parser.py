"""guance-chatgpt-monitor: build the script set, see it run, run a stand-in alone."""

import argparse
import errno
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional

from .. import __version__
from .build import BuildError, build, default_manifest
from .check.command import add_ask, add_check
from .install.command import add_install
from .options import add_command, check_urls, discard_output, progress
from .user_error import ProblemError

_EXAMPLES = """examples:
  guance-chatgpt-monitor build                    make dist/ for Func: a script market and an import zip
  guance-chatgpt-monitor demo                     see the whole path run, with stand-ins, in seconds
  guance-chatgpt-monitor install --func http://HOST:8088
  guance-chatgpt-monitor check                    say what is wrong, and what to do
  guance-chatgpt-monitor ask "What is Guance?" --link http://HOST:8088/api/v1/al/ID
  guance-chatgpt-monitor local datakit --port 9529
  guance-chatgpt-monitor assets --lang en --out . write the dashboard and the monitors
  guance-chatgpt-monitor run python app.py        monitor a program without changing it
"""


_DATAKIT_STEP = "give --datakit http://localhost:9529, or where yours is"


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; returns its exit code. Errors are one line and a next step, never a traceback.

    With `--json`, they are an object on standard output, too.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal may not have all characters
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except BuildError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        print(f"{len(error.problems)} problem(s): nothing was built", file=sys.stderr)
        _tell_script(options, {"error": "nothing was built", "problems": list(map(str, error.problems))})
        return 1
    except ProblemError as problem:
        print(f"error: {problem}", file=sys.stderr)
        print(f"next: {problem.next_step}", file=sys.stderr)
        _tell_script(options, {"error": str(problem), "next": problem.next_step})
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads any more
        discard_output()
        return 141
    except Exception as error:
        if os.environ.get("CHATGPT_MONITOR_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)
        print("next: run it again with CHATGPT_MONITOR_DEBUG=1 to see where it failed", file=sys.stderr)
        return 1


def _tell_script(options: Any, error: Dict[str, Any]) -> None:
    if getattr(options, "json", False):
        print(json.dumps(error, ensure_ascii=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guance-chatgpt-monitor",
        description="Monitors ChatGPT calls with Guance.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_build(commands)
    _add_demo(commands)
    _add_local(commands)
    _add_assets(commands)
    _add_run(commands)
    add_install(commands)
    add_check(commands)
    add_ask(commands)
    _add_completion(commands)
    return parser


# ---- run ----


def _add_run(commands: Any) -> None:
    command = add_command(
        commands,
        "run",
        _run,
        "start a Python program whose OpenAI calls are monitored",
        "run python app.py\n  CHATGPT_MONITOR_SERVICE_NAME=shop guance-chatgpt-monitor run gunicorn shop:app",
    )
    command.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM …", help="as you start it now")


def _run(options: Any) -> int:
    from ..app.run import run

    try:
        return run(options.program)
    except ValueError as error:
        step = "set it right, or unset it" if options.program else "run --help shows an example"
        raise ProblemError(str(error), step) from None


# ---- build ----


def _add_build(commands: Any) -> None:
    command = add_command(
        commands, "build", _build, "build the script set for Func's market and import", "build --out dist"
    )
    command.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="default: dist")
    command.add_argument(
        "--manifest", type=Path, metavar="FILE", help="default: manifest.yaml of the package"
    )
    command.add_argument("--json", action="store_true", help="print what was built as JSON")


def _build(options: Any) -> int:
    manifest = options.manifest or default_manifest()
    package = {} if options.manifest is None else {"package_dir": _package_beside(options.manifest)}
    built = build(options.out, manifest, **package)
    if options.json:
        facts: Dict[str, Any] = {**built._asdict(), "scripts": sorted(built.scripts)}
        print(json.dumps(facts, default=str, indent=2))
        return 0
    print(f"{built.market_dir}/  script market: serve the folder over HTTP, or push it to a git repository")
    print(f"{built.zip_path}  Func: Management / Script Set Import")
    print(f"{len(built.scripts)} scripts, originMD5 {built.origin_md5}")
    return 0


def _package_beside(manifest: Path) -> Path:
    """The package of a clone whose manifest was named."""
    package = manifest.resolve().parent / "guance_chatgpt_monitor"
    return package if package.is_dir() else manifest.resolve().parent


# ---- demo ----


def _add_demo(commands: Any) -> None:
    command = add_command(
        commands, "demo", _demo, "call ChatGPT through a local Func and show the points", "demo --json"
    )
    command.add_argument(
        "--datakit", default="", metavar="URL", help="a real DataKit; default: a stand-in on loopback"
    )
    command.add_argument(
        "--json", action="store_true", help="print the result as JSON; progress goes to standard error"
    )


def _demo(options: Any) -> int:
    from .demo import Demo, points_table, summary

    check_urls("", options.datakit, _DATAKIT_STEP)
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


# ---- assets ----


def _add_assets(commands: Any) -> None:
    command = add_command(
        commands,
        "assets",
        _assets,
        "write Guance's dashboard and monitors as files, or import them into a workspace",
        "assets --lang en --out .\n"
        "  DF_API_KEY=… guance-chatgpt-monitor assets --lang zh --apply --endpoint https://openapi.guance.com",
    )
    command.add_argument("--lang", choices=("zh", "en"), default="zh", help="default: zh")
    command.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    command.add_argument("--apply", action="store_true", help="import through Guance's OpenAPI instead")
    command.add_argument("--endpoint", default="", metavar="URL", help="OpenAPI address of your Guance site")
    command.add_argument("--api-key", default="", metavar="KEY", help="default: $DF_API_KEY")
    command.add_argument("--json", action="store_true", help="print what was done as JSON")


def _assets(options: Any) -> int:
    from ..assets import write_assets

    if options.apply:
        return _apply_assets(options)
    paths = [str(path) for path in write_assets(options.lang, options.out)]
    print(json.dumps(paths) if options.json else "\n".join(paths))
    return 0


def _apply_assets(options: Any) -> int:
    from ..assets import GuanceError, apply_assets

    error: Optional[GuanceError] = None
    try:
        done = apply_assets(
            options.lang, options.endpoint, options.api_key or os.environ.get("DF_API_KEY", "")
        )
    except ValueError as wrong:
        raise ProblemError(str(wrong), _ASSETS_NEXT) from None
    except GuanceError as failure:
        done, error = failure.done, failure
    if options.json:
        failed = {"error": str(error)} if error else {}
        print(json.dumps({"done": [item._asdict() for item in done], **failed}, ensure_ascii=False))
    else:
        for item in done:
            print(f"{item.action:8} {item.kind:10} {item.name}")
    if error is not None and not options.json:
        raise ProblemError(str(error), _ASSETS_NEXT)
    return 1 if error else 0


_ASSETS_NEXT = "check --endpoint and the API key (--api-key or DF_API_KEY): Guance, Management / API Key"


# ---- completion ----


def _add_completion(commands: Any) -> None:
    about = "print a completion script for bash or zsh"
    example = "completion bash >> ~/.bashrc\n  source <(guance-chatgpt-monitor completion zsh)"
    command = add_command(commands, "completion", _completion, about, example)
    command.add_argument("shell", choices=("bash", "zsh"))


def _completion(options: Any) -> int:
    from .completion import completion

    print(completion(_parser(), options.shell), end="")
    return 0


# ---- local ----


def _add_local(commands: Any) -> None:
    command = add_command(
        commands,
        "local",
        _local,
        "run a stand-in for Func, DataKit or OpenAI alone",
        "local openai --port 9000",
    )
    command.add_argument("part", choices=("func", "datakit", "openai"))
    command.add_argument("--port", type=int, default=0, metavar="N", help="default: a free one")
    command.add_argument("--openai", default="", metavar="URL", help="func: OpenAI base URL to deploy with")
    command.add_argument("--datakit", default="", metavar="URL", help="func: DataKit URL to deploy with")
    command.add_argument("--redis", default="", metavar="URL", help="func: a Redis for DFF.CACHE")
    command.add_argument("--empty", action="store_true", help="func: without the script set, to try install")


def _local(options: Any) -> int:
    part = {"func": _local_func, "datakit": _local_datakit, "openai": _local_openai}[options.part]
    try:
        server = part(options)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ProblemError(
            f"port {options.port} is taken", "choose another with --port, or leave it out for a free one"
        ) from None
    print("Ctrl-C stops it", flush=True)
    try:
        threading.Event().wait()
    finally:
        server.stop()
    return 0


def _local_datakit(options: Any) -> Any:
    from ..local.datakit.server import LocalDataKit

    server = LocalDataKit(port=options.port).start()
    print(f"DataKit stand-in on {server.url}; what it received: GET {server.url}/_local/points")
    return server


def _local_openai(options: Any) -> Any:
    from ..local.openai.server import LocalOpenAI

    server = LocalOpenAI(port=options.port)
    server.start()
    print(f"OpenAI stand-in, base URL {server.base_url}; faults: POST {server.url}/_local/faults")
    return server


def _local_func(options: Any) -> Any:
    import tempfile

    from ..local.func.server import AccessKey, LocalFunc

    check_urls(options.openai, options.datakit, _DATAKIT_STEP)
    key = AccessKey("ak-local", "local-secret")
    visible_after_s = 5.0 if options.empty else 0.0  # as late as the real one
    server = LocalFunc(
        options.port, redis_url=options.redis, cron=True, visible_after_s=visible_after_s, access_keys=[key]
    ).start()
    if options.empty:
        print(f"Func stand-in on {server.url}, empty. Try:")
        print(f"  export FUNC_URL={server.url} FUNC_AK_ID={key.key_id} FUNC_AK_SECRET={key.secret}")
        print("  guance-chatgpt-monitor install")
        return server
    with tempfile.TemporaryDirectory() as folder:
        set_id = server.install(str(build(Path(folder), default_manifest()).zip_path))
    server.set_env("OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY", ""))
    parameters = {"OpenAI base URL": options.openai, "DataKit URL": options.datakit}
    script_id = server.deploy(set_id, parameters)
    link = server.add_link(f"{script_id}.chat")
    print(f"Func stand-in on {server.url}, {script_id} deployed; its OpenAI key is $OPENAI_API_KEY. Try:")
    print(f"  curl -H 'Content-Type: application/json' -d '{{\"question\": \"Hello\"}}' {link}/simplified")
    return server

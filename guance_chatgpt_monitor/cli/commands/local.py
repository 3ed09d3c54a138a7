"""Runs a stand-in for Func, DataKit or OpenAI alone, until Ctrl-C."""

import errno
import os
from typing import Any, Callable, Dict

from ..messages import text
from ..options import check_urls, port
from ..terminal import say
from ..user_error import UserError


def add_arguments(parser: Any) -> None:
    parts = parser.add_subparsers(dest="part", metavar="PART", parser_class=type(parser))
    for name, add in (("func", _add_func), ("datakit", _add_datakit), ("openai", _nothing)):
        part = parts.add_parser(name, help=text(f"help.local_{name}"), description=text(f"help.local_{name}"))
        part.add_argument("--port", type=port, default=0, metavar="N", help=text("help.port"))
        add(part)
        part.add_argument("--no-color", action="store_true", help=text("help.no_color"))
    parser.set_defaults(print_help=parser.print_help)


def _nothing(_: Any) -> None:
    pass


def _add_datakit(parser: Any) -> None:
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=text("help.local_host"))
    parser.add_argument("--database", default=":memory:", metavar="FILE", help=text("help.database"))
    parser.add_argument("--forgetful", action="store_true", help=text("help.forgetful"))


def _add_func(parser: Any) -> None:
    add = parser.add_argument
    add("--openai", default="", metavar="URL", help=text("help.local_openai_url"))
    add("--datakit", default="", metavar="URL", help=text("help.local_datakit_url"))
    add("--redis", default="", metavar="URL", help=text("help.redis"))
    add("--empty", action="store_true", help=text("help.empty"))


_OS_ERRORS = {errno.EADDRINUSE: "tools.port_taken", errno.EACCES: "tools.port_not_allowed"}


def run(options: Any) -> int:
    starts: Dict[str, Callable[[Any], Any]] = {"func": _func, "datakit": _datakit, "openai": _openai}
    if options.part is None:
        options.print_help()
        return 0
    try:
        server = starts[options.part](options)
    except OSError as error:
        key = _OS_ERRORS.get(error.errno or 0, "tools.host_not_here")
        raise UserError(key, port=options.port) from None
    say(text("tools.ctrl_c_stops"))
    try:
        server.stopping.wait()  # the local Func ends with its Redis
    finally:
        server.stop()
    return 0


def _datakit(options: Any) -> Any:
    import sqlite3

    from ...local.datakit.server import LocalDataKit

    try:
        server = LocalDataKit(
            options.port, options.database, host=options.host, forgetful=options.forgetful
        ).start()
    except sqlite3.DatabaseError as error:
        raise UserError("tools.no_database", path=options.database, reason=error) from None
    say(text("tools.local_datakit", url=server.url))
    return server


def _openai(options: Any) -> Any:
    from ...local.openai.server import LocalOpenAI

    server = LocalOpenAI(port=options.port)
    server.start()
    say(text("tools.local_openai", base_url=server.base_url, url=server.url))
    return server


def _func(options: Any) -> Any:
    import secrets
    import tempfile
    from pathlib import Path

    from ...local.func.server import AccessKey, LocalFunc
    from ..build import build, default_manifest

    check_urls(options.openai, options.datakit)
    if options.redis:
        _check_redis(options.redis)
    # Anyone who has it can run code here: no other process or page may guess it.
    key = AccessKey("ak-local", secrets.token_urlsafe(16))
    visible_after_s = 5.0 if options.empty else 0.0  # as late as the real one
    server = LocalFunc(
        options.port, redis_url=options.redis, cron=True, visible_after_s=visible_after_s, access_keys=[key]
    ).start()
    access = f"FUNC_URL={server.url} FUNC_AK_ID={key.key_id} FUNC_AK_SECRET={key.secret}"
    if options.empty:
        say(text("tools.local_func_empty", url=server.url))
        say(f"  export {access}")
        say("  guance-chatgpt-monitor install")
        return server
    with tempfile.TemporaryDirectory() as folder:
        set_id = server.install(str(build(Path(folder), default_manifest()).zip_path))
    server.set_env("OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY", ""))
    parameters = {"OpenAI base URL": options.openai, "DataKit URL": options.datakit}
    script_id = server.deploy(set_id, parameters)
    link = server.add_link(f"{script_id}.chat")
    say(text("tools.local_func", url=server.url, script=script_id))
    say(f"  curl -H 'Content-Type: application/json' -d '{{\"question\": \"Hello\"}}' {link}/simplified")
    say(text("tools.local_func_key", access=access))
    return server


def _check_redis(url: str) -> None:
    """Raises UserError: without Redis, Func's workers would only crash."""
    try:
        import redis
    except ImportError:
        raise UserError("tools.no_redis") from None
    try:
        redis.Redis.from_url(url, socket_connect_timeout=5).ping()
    except (ValueError, redis.RedisError):
        raise UserError("tools.redis_unusable") from None

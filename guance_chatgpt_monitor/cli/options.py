"""Options and secrets that several commands share."""

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from .messages import text, translated
from .terminal import report
from .user_error import UsageError, UserError, check_http_url, check_secret

if TYPE_CHECKING:
    from ..app.environment import Settings
    from .func_client import FuncClient


MAX_PORT = 65_535
MAX_COUNT = 10**9
MAX_DIGITS = 100  # of thousands of them, Python makes no number


def add_json(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", help=text("help.json"))


def add_func_options(parser: Any) -> None:
    """Options for the Func and its access key."""
    add = parser.add_argument
    add("--func", default="", metavar="URL", help=text("help.func_url"))
    add("--ak-id", default="", metavar="ID", help=text("help.ak_id"))
    add("--ak-secret", default="", metavar="SECRET", help=text("help.ak_secret"))


def add_link_options(parser: Any) -> None:
    """Options for the authorization link and its secret."""
    add = parser.add_argument
    add("--link", default="", metavar="URL", help=text("help.link"))
    add("--link-secret", default="", metavar="SECRET", help=text("help.link_secret"))


def make_client(options: Any) -> "FuncClient":
    """A client for the Func that the options or the environment name. Raises UserError."""
    from .func_client import AccessKey, Credentials, FuncClient, LocalhostToken

    url = options.func or os.environ.get("FUNC_URL", "")
    url = required(url, text("common.func_address"), "FUNC_URL", "--func")
    key_id = options.ak_id or os.environ.get("FUNC_AK_ID", "")
    token = read_secret(text("common.func_token"), "FUNC_LOCALHOST_TOKEN")
    credentials: Credentials = LocalhostToken(token)
    if key_id or not token:
        name, secret_name = text("common.access_key"), text("common.access_secret")
        key_id = check_secret(required(key_id, name, "FUNC_AK_ID", "--ak-id"), name)
        secret = read_secret(secret_name, "FUNC_AK_SECRET", "--ak-secret", options.ak_secret, ask=True)
        credentials = AccessKey(key_id, required(secret, secret_name, "FUNC_AK_SECRET", "--ak-secret"))
    return FuncClient(url, credentials)


def application_settings() -> "Settings":
    """The settings of an application in this environment. Raises UserError."""
    from ..app.environment import Settings

    try:
        return Settings.read()
    except ValueError as error:
        raise UserError(translated(str(error)), text("common.setting_step")) from None


def link_secret(options: Any) -> str:
    name = text("common.link_secret")
    return read_secret(name, "CHATGPT_MONITOR_LINK_SECRET", "--link-secret", options.link_secret)


def read_secret(name: str, variable: str, option: str = "", given: str = "", ask: bool = False) -> str:
    """The secret `given` with `option`, else that of an environment variable, else asked for, else "".

    Warns of one on the command line, where every user of the host can read it. Raises UserError for one that
    no header can hold.
    """
    if given:
        said = text("common.key_on_command_line", option=option, variable=variable)
        report("warning", said, sys.stderr)
    secret = given or os.environ.get(variable, "")
    if not secret and ask and sys.stdin.isatty():
        try:
            secret = getpass.getpass(text("common.ask_secret", name=name))
        except EOFError:  # nobody answers
            pass
    return check_secret(secret, name)


def check_urls(openai: str, datakit: str) -> None:
    """Check the addresses that are given. Raises UserError."""
    if openai:
        check_http_url(openai, text("common.openai_base_url"), "https://api.openai.com/v1")
    if datakit:
        from ..core.datakit import check_url

        try:
            check_url(datakit)
        except ValueError:
            raise UserError("common.no_datakit_address") from None


def required(value: str, name: str, variable: str, option: str) -> str:
    """`value`, unless it is empty. Raises UserError."""
    if not value:
        raise UserError("common.missing", name=name, option=option, variable=variable)
    return value


def port(value: str) -> int:
    """A TCP port, 0 for a free one."""
    if not _is_number(value) or int(value) > MAX_PORT:
        raise UsageError("common.no_port", value=value)
    return int(value)


def count(value: str, most: int = MAX_COUNT, least: int = 1) -> int:
    """A whole number. Raises UsageError."""
    if not _is_number(value) or int(value) < least:
        raise UsageError("common.no_count", value=value[:MAX_DIGITS], least=least)
    if int(value) > most:
        raise UsageError("common.count_too_large", value=value[:MAX_DIGITS], most=most)
    return int(value)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS

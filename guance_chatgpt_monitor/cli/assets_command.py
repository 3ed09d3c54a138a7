"""The command assets: the dashboards and monitors as files, or into a workspace."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit

from .options import add_command, progress
from .user_error import ProblemError, check_http_url

_EXAMPLE = """assets --lang en --out .
  DF_API_KEY=… guance-chatgpt-monitor assets --lang zh --apply --site cn1
  DF_API_KEY=… guance-chatgpt-monitor assets --lang en --apply --endpoint https://openapi.your-site.example

The sites are those of Guance (cn1 Hangzhou, cn2 Ningxia, cn4 Guangzhou, cn6 Hong Kong, me1 UAE) and of
TrueWatch (us1 Oregon, eu1 Frankfurt, ap1 Singapore, za1 South Africa, id1 Jakarta). What has a name that is
there is left as it is: rename or delete it to have the new one."""
_KEY_STEP = "make an API key in the console, Management / API Key Management, and export DF_API_KEY=…"
_APPLY_STEP = "check --site (or --endpoint) and the API key (DF_API_KEY): Management / API Key Management"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_assets(commands: Any) -> None:
    """The command assets."""
    command = add_command(
        commands,
        "assets",
        _assets,
        "write the dashboards and monitors as files, or import them into a Guance or TrueWatch workspace",
        _EXAMPLE,
    )
    add = command.add_argument
    add("--lang", choices=("zh", "en"), default="zh", help="default: zh")
    add("--out", type=Path, default=Path(), metavar="DIR", help="default: this folder")
    add("--apply", action="store_true", help="import through the OpenAPI of your site instead")
    add("--site", default="", metavar="NAME", help="your site, such as cn1 or us1")
    add("--endpoint", default="", metavar="URL", help="OpenAPI address of another site, such as your own")
    add("--api-key", default="", metavar="KEY", help="better: $DF_API_KEY, which no list of processes shows")
    add("--json", action="store_true", help="print what was done as JSON")


def _assets(options: Any) -> int:
    from ..assets import write_assets

    if options.apply:
        return _apply(options)
    if options.site or options.endpoint or options.api_key:
        raise ProblemError(
            "--site, --endpoint and --api-key are for --apply", "add --apply, or leave them out"
        )
    paths = [str(path) for path in write_assets(options.lang, options.out)]
    print(json.dumps(paths) if options.json else "\n".join(paths))
    return 0


def _apply(options: Any) -> int:
    from ..assets import Applied, GuanceError, apply_assets

    endpoint = _endpoint(options.site, options.endpoint)
    api_key = options.api_key or os.environ.get("DF_API_KEY", "")
    if not api_key.strip():
        raise ProblemError("no API key was given", _KEY_STEP)
    tell = progress(options.json)

    def told(item: Applied) -> None:
        if not options.json:
            tell(f"{item.action:8} {item.kind:10} {item.name}")

    tell(f"importing into the workspace of the key, at {endpoint}")
    error: Optional[GuanceError] = None
    try:
        done = apply_assets(options.lang, endpoint, api_key, told)
    except ValueError as wrong:
        raise ProblemError(str(wrong), _APPLY_STEP) from None
    except GuanceError as failure:
        done, error = failure.done, failure
    if options.json:
        failed = {"error": str(error), "next": _APPLY_STEP} if error else {}
        result = {"endpoint": endpoint, "done": [item._asdict() for item in done], **failed}
        print(json.dumps(result, ensure_ascii=False))
        return 1 if error else 0
    counts = Counter(item.action for item in done)
    tell(f"{counts['created']} created, {counts['skipped']} skipped: what has such a name is left as it is")
    if error is not None:
        raise ProblemError(str(error), _APPLY_STEP)
    return 0


def _endpoint(site: str, endpoint: str) -> str:
    """The address that the options name. Raises ProblemError."""
    from ..assets import SITES, endpoint_of

    if site and endpoint:
        raise ProblemError("--site and --endpoint name two addresses", "give one of them")
    if site:
        try:
            return endpoint_of(site)
        except ValueError as error:
            raise ProblemError(str(error), "give one of them, or --endpoint URL") from None
    if not endpoint:
        raise ProblemError(
            "it is not said which site", f"give --site, one of {', '.join(SITES)}, or --endpoint"
        )
    url = check_http_url(endpoint, "OpenAPI address", "https://openapi.guance.com")
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        # The key would pass all hosts in between, readable.
        raise ProblemError(
            "the OpenAPI address is http://, and would show the API key to the network",
            "give it with https://",
        )
    return url

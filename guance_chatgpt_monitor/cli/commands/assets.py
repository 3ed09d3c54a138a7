"""Writes Guance's dashboards and monitors as files, or imports them into a workspace."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from ..messages import text, translated
from ..options import add_json, read_secret, required
from ..terminal import pad, progress, to_json
from ..user_error import UsageError, UserError, check_http_url

if TYPE_CHECKING:
    from ...assets import Applied


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--lang", choices=("zh", "en"), default="zh", help=text("help.assets_lang"))
    add("--out", type=Path, default=Path(), metavar="DIR", help=text("help.assets_out"))
    add("--apply", action="store_true", help=text("help.apply"))
    add("--site", default="", metavar="NAME", help=text("help.site"))
    add("--endpoint", default="", metavar="URL", help=text("help.endpoint"))
    add("--api-key", default="", metavar="KEY", help=text("help.api_key"))
    add("--no-color", action="store_true", help=text("help.no_color"))
    add_json(parser)


def run(options: Any) -> int:
    from ...assets import write_assets

    if options.apply:
        return _apply(options)
    if options.site or options.endpoint or options.api_key:
        raise UsageError("tools.only_with_apply")
    paths = [str(path) for path in write_assets(options.lang, options.out)]
    print(to_json(paths, indent=None) if options.json else "\n".join(paths))
    return 0


def _apply(options: Any) -> int:
    from ...assets import GuanceError, apply_assets

    endpoint = _endpoint(options.site, options.endpoint)
    name = text("tools.api_key")
    api_key = read_secret(name, "DF_API_KEY", "--api-key", options.api_key)
    api_key = required(api_key, name, "DF_API_KEY", "--api-key")
    tell = progress(options.json)

    def told(item: "Applied") -> None:
        action, kind = text(f"tools.item_{item.action}"), text(f"tools.item_{item.kind}")
        tell(f"{pad(action, 8)} {pad(kind, 10)} {item.name}")

    tell(text("tools.importing", endpoint=endpoint))
    error: Optional[GuanceError] = None
    try:
        done = apply_assets(options.lang, endpoint, api_key, told)
    except GuanceError as failure:
        done, error = failure.done, failure
    counts = Counter(item.action for item in done)
    tell(text("tools.imported", created=counts["created"], skipped=counts["skipped"]))
    step = text("tools.apply_step")
    if options.json:
        failed = {"error": translated(str(error)), "next": step} if error else {}
        result = {"endpoint": endpoint, "done": [item._asdict() for item in done], **failed}
        print(to_json(result, indent=None))
        return 1 if error else 0
    if error is not None:
        raise UserError(translated(str(error)), step)
    return 0


def _endpoint(site: str, endpoint: str) -> str:
    """The address that the options name. Raises UserError."""
    from urllib.parse import urlsplit

    from ...assets import SITES

    if site and endpoint:
        raise UsageError("tools.two_addresses")
    if site:
        found = SITES.get(site.strip().lower())
        if found is None:
            raise UsageError("tools.unknown_site", site=site, sites=", ".join(SITES))
        return found
    if not endpoint:
        raise UsageError("tools.no_site", sites=", ".join(SITES))
    url = check_http_url(endpoint, text("tools.endpoint"), "https://openapi.guance.com")
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise UserError("tools.plain_http")
    return url


def _is_this_machine(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

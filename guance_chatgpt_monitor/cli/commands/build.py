"""Builds the script set for Func's market and its import."""

from pathlib import Path
from typing import Any, Dict

from ..messages import text, translated
from ..options import add_json
from ..terminal import paint, say, to_json
from ..user_error import UserError


def add_arguments(parser: Any) -> None:
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help=text("help.out"))
    parser.add_argument("--manifest", type=Path, metavar="FILE", help=text("help.manifest"))
    add_json(parser)


def run(options: Any) -> int:
    from ..build import build, default_manifest

    manifest = options.manifest or default_manifest()
    package = {} if options.manifest is None else {"package_dir": _package_beside(options.manifest)}
    try:
        built = build(options.out, manifest, **package)
    except OSError as error:
        reason = translated(error.strerror or type(error).__name__)
        raise UserError("build.out_not_writable", folder=options.out, reason=reason) from None
    if options.json:
        facts: Dict[str, Any] = {**built._asdict(), "scripts": sorted(built.scripts)}
        print(to_json(facts))
        return 0
    say(f"{paint(f'{built.market_dir}/', 'bold')}  {text('build.market')}")
    say(f"{paint(str(built.zip_path), 'bold')}  {text('build.zip')}")
    say(text("build.built", n=len(built.scripts), md5=built.origin_md5))
    return 0


def _package_beside(manifest: Path) -> Path:
    """The package of a clone whose manifest was named."""
    package = manifest.resolve().parent / "guance_chatgpt_monitor"
    return package if package.is_dir() else manifest.resolve().parent

"""What the release workflow does besides testing and uploading. Each step can also be run by hand.

release.py check TAG             check that version, changelog and manifest agree with the tag
release.py notes TAG             print the changelog section of this release
release.py links URL TAG         make the README's relative links absolute, as PyPI has only the README, and
                                 add the repository's pages to the project's links there
release.py market TAG REMOTE     push dist/script-market to the branch `script-market` of a git remote
"""

import datetime
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "script-market"
SET = "guance_chatgpt_monitor"


class ReleaseError(Exception):
    """Why this tag cannot be released, and what to do about it."""


def version_of(tag: str) -> str:
    if not re.fullmatch(r"v\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", tag):
        raise ReleaseError(f"{tag} is not a release tag: those look like v1.2.3")
    return tag[1:]


def check(tag: str, root: Path = ROOT) -> None:
    version = version_of(tag)
    text = (root / SET / "__init__.py").read_text("utf-8")
    if f'__version__ = "{version}"' not in text:
        raise ReleaseError(f"{SET}/__init__.py has a different version: set __version__ to {version}")
    day = _day(version, (root / "CHANGELOG.md").read_text("utf-8"))
    if f'released: "{day}T' not in (root / "manifest.yaml").read_text("utf-8"):
        raise ReleaseError(f"manifest.yaml has a different date: set released to {day}T00:00:00Z")


def _day(version: str, changelog: str) -> str:
    found = re.search(rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)$", changelog, re.MULTILINE)
    if not found:
        raise ReleaseError(f"CHANGELOG.md has no section: write `## [{version}] - {datetime.date.today()}`")
    return found[1]


def notes(tag: str, root: Path = ROOT) -> str:
    version = version_of(tag)
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    _day(version, changelog)
    section = changelog.split(f"## [{version}] - ", 1)[1].split("\n## [", 1)[0]
    return section.split("\n", 1)[1].strip() + "\n"


def links(url: str, tag: str, root: Path = ROOT) -> None:
    for name in ("README.md", "README.zh.md"):
        path = root / name
        text = path.read_text("utf-8")
        text = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:|#)", rf"\1{url}/raw/{tag}/", text)
        text = re.sub(r"((?<!!)\[[^\[\]]*\]\()(?![a-z]+:|#)", rf"\1{url}/blob/{tag}/", text)
        path.write_text(text, "utf-8")
    pages = {"Source": url, "Issues": f"{url}/issues", "Changelog": f"{url}/blob/{tag}/CHANGELOG.md"}
    lines = "".join(f'{name} = "{page}"\n' for name, page in pages.items())
    path = root / "pyproject.toml"
    text = path.read_text("utf-8").replace("[project.urls]\n", f"[project.urls]\n{lines}", 1)
    path.write_text(text, "utf-8")


def market(tag: str, remote: str, root: Path = ROOT) -> None:
    """Push a commit with the built market, and the pages Func shows with it, on top of the branch."""
    import yaml

    source = root / "dist" / BRANCH
    if not (source / "META.yaml").is_file():
        raise ReleaseError("there is no dist/script-market: run `make build` first")
    address = _git(root, "remote", "get-url", remote).strip() if remote == "origin" else remote
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "market"
        exists = _git(root, "ls-remote", "--heads", address, BRANCH)
        if exists:
            _git(root, "clone", "--quiet", "--branch", BRANCH, "--single-branch", address, str(work))
        else:
            _git(root, "init", "--quiet", "--initial-branch", BRANCH, str(work))
        info_path = work / "script-sets" / SET / "CHANGELOG-info.yaml"
        info = yaml.safe_load(info_path.read_text("utf-8")) if info_path.is_file() else {}
        _git(work, "rm", "-r", "--quiet", "--ignore-unmatch", ".")
        for path in sorted(source.rglob("*")):
            if path.is_file():
                target = work / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        for name, text in _texts(tag, info or {}, root).items():
            (work / name).write_text(text, "utf-8")
        _git(work, "add", "--all")
        if not _git(work, "status", "--porcelain"):
            print(f"the branch {BRANCH} has this set already")
            return
        _git(work, *_author(root), "commit", "--quiet", "-m", f"Publish {tag}")
        _git(work, "push", "--quiet", address, f"HEAD:{BRANCH}")
        print(f"{tag} is on the branch {BRANCH} of {address}")


def _texts(tag: str, info: dict, root: Path) -> "dict[str, str]":
    """The same files that Func writes, and shows, for a market it publishes itself."""
    import yaml

    meta = yaml.safe_load((root / "dist" / BRANCH / "META.yaml").read_text("utf-8"))
    (script_set,) = meta["scriptSets"]
    extra = script_set["_extra"]
    news = notes(tag, root)
    entry = {"time": extra["exportTime"], "by": extra["exportUser"], "note": f"{tag}\n\n{news}"}
    entries = [item for item in info.get("changelogs", []) if not item["note"].startswith(f"{tag}\n")]
    entries.append(entry)
    info = {"title": "变更日志 / Changelog", "changelogs": entries}
    newest_first = reversed([f"## {item['time'][:10]}\n\n{item['note'].rstrip()}\n" for item in entries])
    about = f"# {script_set['title']}\n\nID: `{SET}` · {tag}\n\n{script_set['description'].strip()}\n"
    needs = "\n".join(f"- `{name}`" for name in script_set["requirements"].split("\n"))
    folder = f"script-sets/{SET}"
    return {
        "README.md": f"{about}\n[{folder}]({folder}) · [变更日志 / Changelog]({folder}/CHANGELOG.md)\n",
        f"{folder}/README.md": f"{about}\n## 依赖包 / Requirements\n\n{needs}\n",
        f"{folder}/CHANGELOG.md": "\n".join([f"# {info['title']}\n", *newest_first]),
        f"{folder}/CHANGELOG-info.yaml": yaml.safe_dump(info, allow_unicode=True, sort_keys=False),
    }


def _author(root: Path) -> "list[str]":
    """The author of the released commit: the machine running this may have no Git identity."""
    name, _, mail = _git(root, "log", "-1", "--format=%an%x00%ae").strip().partition("\0")
    return ["-c", f"user.name={name}", "-c", f"user.email={mail}"]


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ReleaseError(f"git {' '.join(arguments[:2])}: {result.stderr.strip()}")
    return result.stdout


def main(arguments: "list[str]") -> int:
    steps = {"check": check, "notes": notes, "links": links, "market": market}
    if not arguments or arguments[0] not in steps:
        print(__doc__)
        return 2
    try:
        printed = steps[arguments[0]](*arguments[1:])
    except (ReleaseError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if printed:
        print(printed, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

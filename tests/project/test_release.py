"""The release workflow's script, run as far as possible without the services it uploads to."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from guance_chatgpt_monitor.cli.build import Built
from guance_chatgpt_monitor.local.func.server import LocalFunc

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
SET = "guance_chatgpt_monitor"
CHANGELOG = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-11-27

### Added

- A house with rooms.

## [0.1.0] - 2026-11-23

- The first.
"""


@pytest.fixture
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / ".github" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A Tester", "-c", "user.email=tester@example.com", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path: Path, built: Built) -> Path:
    """A repository ready for release, with the output of `make build`."""
    root = tmp_path / "clone"
    (root / SET).mkdir(parents=True)
    (root / SET / "__init__.py").write_text('__version__ = "0.2.0"\n')
    (root / "manifest.yaml").write_text('released: "2026-11-27T00:00:00Z"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    for name in ("README.md", "README.zh.md"):
        (root / name).write_text(
            "![all](docs/images/a.png) [more](docs/func.md) [site](https://x.example) [up](#up)\n"
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copytree(built.market_dir, root / "dist" / "script-market")
    git(tmp_path, "init", "--quiet", str(root))
    git(root, "add", "CHANGELOG.md")
    git(root, "commit", "--quiet", "-m", "All")
    return root


def test_a_consistent_tag_passes(release: ModuleType, clone: Path) -> None:
    release.check("v0.2.0", clone)
    assert release.notes("v0.2.0", clone) == "### Added\n\n- A house with rooms.\n"


@pytest.mark.parametrize(
    ("tag", "name", "old", "new", "reason"),
    [
        ("0.2.0", "manifest.yaml", "", "", "is not a release tag"),
        ("v0.2.1", "manifest.yaml", "", "", "different version: set __version__ to 0.2.1"),
        ("v0.2.0", "CHANGELOG.md", "[0.2.0]", "[0.3.0]", r"no section: write `## \[0.2.0\]"),
        ("v0.2.0", "manifest.yaml", "11-27", "11-23", "set released to 2026-11-27"),
    ],
)
def test_an_inconsistent_tag_is_refused(
    release: ModuleType, clone: Path, tag: str, name: str, old: str, new: str, reason: str
) -> None:
    path = clone / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(release.ReleaseError, match=reason):
        release.check(tag, clone)


def test_pypi_gets_absolute_links_to_the_repository(release: ModuleType, clone: Path) -> None:
    release.links("https://git.example/ours", "v0.2.0", clone)
    assert (clone / "README.md").read_text() == (
        "![all](https://git.example/ours/raw/v0.2.0/docs/images/a.png) "
        "[more](https://git.example/ours/blob/v0.2.0/docs/func.md) [site](https://x.example) [up](#up)\n"
    )
    urls = (clone / "pyproject.toml").read_text().split("[project.urls]\n")[1].split("\n\n")[0]
    assert urls.splitlines() == [
        'Source = "https://git.example/ours"',
        'Issues = "https://git.example/ours/issues"',
        'Changelog = "https://git.example/ours/blob/v0.2.0/CHANGELOG.md"',
        'Documentation = "https://docs.guance.com/integrations/openai/"',
    ]


def test_the_market_is_pushed_to_its_branch_and_installed_from_there(
    release: ModuleType, clone: Path, tmp_path: Path, built: Built
) -> None:
    bare = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    release.market("v0.2.0", str(bare), clone)
    release.market("v0.2.0", str(bare), clone)  # has no effect a second time
    assert git(bare, "log", "--format=%s", "script-market").split("\n")[:-1] == ["Publish v0.2.0"]

    market = tmp_path / "market"
    git(tmp_path, "clone", "--quiet", "--branch", "script-market", str(bare), str(market))
    with LocalFunc(workers=1) as func:
        assert func.install(str(market)) == SET
        assert func.script(f"{SET}__main") == built.scripts[f"{SET}__main"]
    info = yaml.safe_load((market / "script-sets" / SET / "CHANGELOG-info.yaml").read_text("utf-8"))
    assert [item["note"] for item in info["changelogs"]] == ["v0.2.0\n\n### Added\n\n- A house with rooms.\n"]
    assert "A house with rooms" in (market / "script-sets" / SET / "CHANGELOG.md").read_text("utf-8")
    assert SET in (market / "README.md").read_text("utf-8")


def test_the_next_release_keeps_the_history_and_drops_removed_scripts(
    release: ModuleType, clone: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    gone = clone / "dist" / "script-market" / "script-sets" / SET / "gone.py"
    gone.write_text("# gone with the next release\n")
    release.market("v0.1.0", str(bare), clone)
    gone.unlink()
    release.market("v0.2.0", str(bare), clone)
    files = git(bare, "ls-tree", "-r", "--name-only", "script-market")
    assert "gone.py" not in files
    info = yaml.safe_load(git(bare, "show", f"script-market:script-sets/{SET}/CHANGELOG-info.yaml"))
    assert [item["note"].split("\n")[0] for item in info["changelogs"]] == ["v0.1.0", "v0.2.0"]


def test_a_missing_market_is_reported(release: ModuleType, clone: Path, tmp_path: Path) -> None:
    shutil.rmtree(clone / "dist")
    with pytest.raises(release.ReleaseError, match="run `make build` first"):
        release.market("v0.2.0", str(tmp_path), clone)

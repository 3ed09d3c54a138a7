"""What Func installs: the market folder, the import zip, and what the build refuses."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest
import yaml

from guance_chatgpt_monitor.cli.build import BuildError, Built, build, default_manifest

pytestmark = pytest.mark.slow

SET = "guance_chatgpt_monitor"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_market_and_zip_hold_the_same_files(built: Built) -> None:
    market = tree(built.market_dir)
    names = {f"script-sets/{SET}/{script_id.split('__', 1)[1]}.py" for script_id in built.scripts}
    assert set(market) == {"META.yaml"} | names
    with zipfile.ZipFile(built.zip_path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == market


def test_meta_lists_what_func_needs(built: Built) -> None:
    meta = yaml.safe_load((built.market_dir / "META.yaml").read_text("utf-8"))
    assert meta["version"] == 2
    assert set(meta["extra"]) == {"exportUser", "exportTime", "note"}
    (script_set,) = meta["scriptSets"]
    assert script_set["id"] == SET
    assert script_set["requirements"] == "openai\nrequests"
    for script in script_set["scripts"]:
        code = built.scripts[script["id"]]
        assert script["type"] == "python"
        assert script["codeMD5"] == hashlib.md5(code.encode()).hexdigest()
        assert script["title"]
    functions = {function["id"]: function for script in script_set["scripts"] for function in script["funcs"]}
    assert set(functions) == {f"{SET}__example.chat", f"{SET}__example.collect"}
    chat = functions[f"{SET}__example.chat"]
    assert (chat["definition"], chat["argsJSON"], chat["kwargsJSON"]) == (
        "chat(**body)",
        ["**body"],
        {"**body": {}},
    )
    assert chat["extraConfigJSON"] == {"timeout": 180}
    collect = functions[f"{SET}__example.collect"]
    assert collect["extraConfigJSON"] == {"timeout": 60, "fixedCronExpr": "* * * * *"}
    assert (chat["defOrder"], collect["defOrder"]) == (0, 1)


def test_the_form_asks_for_keys_addresses_model_and_service_name(built: Built) -> None:
    code = built.scripts[f"{SET}__example"]
    assert re.findall(r'"<(.+)>"', code) == [
        "OpenAI key",
        "OpenAI base URL",
        "Default model",
        "DataKit URL",
        "Service name",
        "OpenAI admin key",
    ]


def test_the_same_source_gives_the_same_bytes(built: Built, tmp_path: Path) -> None:
    again = build(tmp_path, default_manifest())
    assert again.origin_md5 == built.origin_md5
    assert again.zip_path.read_bytes() == built.zip_path.read_bytes()
    assert tree(again.market_dir) == tree(built.market_dir)


def script_file(package_dir: Path, name: str) -> Path:
    (path,) = [*package_dir.glob(f"core/**/{name}.py"), *package_dir.glob(f"func/{name}.py")]
    return path


def test_a_built_script_differs_from_its_source_only_in_its_imports(built: Built, package_dir: Path) -> None:
    for script_id, code in built.scripts.items():
        source = script_file(package_dir, script_id.split("__", 1)[1]).read_text("utf-8")
        changed = [
            (before, after)
            for before, after in zip(source.splitlines(), code.splitlines(), strict=True)
            if before != after and before != 'SET_VERSION = "not built"'
        ]
        for before, after in changed:
            assert before.lstrip().startswith("from .")
            assert after == re.sub(r"from \.+(?:\w+\.)*", f"from {SET}__", before, count=1)


# A set as small as the rules allow: building the whole one takes a third of a second.
SMALL_SET = {
    "core/call.py": "class Call: ...\n",
    "core/health.py": "from .call import Call\n",
    "core/metrics.py": 'from .call import Call\n\nMEASUREMENT = "openai"\nTAGS = ("status",)\n',
    "core/settings.py": "from .metrics import MEASUREMENT\n",
    "func/example.py": 'from .main import Monitor\n\nOPENAI_KEY = "<OpenAI key>"\n',
    "func/main.py": 'from ..core.settings import MEASUREMENT\nSET_VERSION = "not built"\nMonitor = dict\n',
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The folder of a small package and its manifest, for a test to break."""
    for name, code in SMALL_SET.items():
        path = tmp_path / SET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
    entries = "".join(f"  - {{name: {Path(name).stem}, title: a title}}\n" for name in SMALL_SET)
    whole = default_manifest().read_text("utf-8")
    (tmp_path / "manifest.yaml").write_text(whole[: whole.index("  - {name: ")] + entries, "utf-8")
    return tmp_path


def rebuild(small: Path) -> Built:
    return build(small / "dist", small / "manifest.yaml", small / SET)


def version_in_main(built: Built) -> str:
    (line,) = re.findall(r"^SET_VERSION = .*", built.scripts[f"{SET}__main"], re.MULTILINE)
    return str(line)


def test_the_set_carries_its_version(built: Built) -> None:
    assert re.fullmatch(r'SET_VERSION = "[0-9a-f]{32}"', version_in_main(built))


def test_the_version_in_main_and_origin_md5_change_with_any_script(small: Path) -> None:
    before, again = rebuild(small), rebuild(small)
    assert (again.origin_md5, version_in_main(again)) == (before.origin_md5, version_in_main(before))
    for name in SMALL_SET:
        path = small / SET / name
        path.write_text(path.read_text("utf-8") + "\n# changed\n", "utf-8")
        changed = rebuild(small)
        assert changed.origin_md5 != before.origin_md5
        assert version_in_main(changed) != version_in_main(before) != 'SET_VERSION = "not built"'
        before = changed


DATACLASS = "from dataclasses import dataclass\n\n\n@dataclass\nclass A:\n    x: int = 1\n"


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (1, "from .call import *\n", "import *"),
        (1, "from .call import Call as C\n", "bind both names"),
        (1, "from . import call\n", "Func cannot import a module itself"),
        (1, "from ..local.func.server import LocalFunc\n", "missing from the manifest"),
        (1, "import guance_chatgpt_monitor.core.call\n", "Func has no packages"),
        (1, "from guance_chatgpt_monitor.core.call import Call\n", "Func has no packages"),
        (1, "import importlib\n", "importlib"),
        (2, "\nmodule = __import__('json')\n", "__import__"),
        (1, "from .market import build\n", "missing from the manifest"),
        (1, "from .call import Nothing\n", "does not define Nothing"),
        (1, "from __future__ import annotations\n" + DATACLASS, "beside a dataclass"),
        (
            1,
            "from __future__ import annotations\nfrom typing import NamedTuple\n\n\n"
            "class A(NamedTuple):\n    x: int\n",
            "beside a dataclass or NamedTuple",
        ),
        (6, DATACLASS.replace("int = 1", "'int' = 1"), "quoted annotation"),
        (3, "try:\n    pass\nexcept:\n    pass\n", "bare `except:`"),
        (3, "try:\n    pass\nexcept BaseException:\n    pass\n", "BaseException"),
        (2, "import sys\nsys.exit()\n", "kills Func's worker"),
        (1, "def broken(:\n", "not Python 3.8"),
    ],
)
def test_scripts_that_func_could_not_run_are_refused(small: Path, line: int, code: str, reason: str) -> None:
    path = small / SET / "core" / "health.py"
    path.write_text(code, "utf-8")
    with pytest.raises(BuildError) as caught:
        rebuild(small)
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [(path, line)]
    assert reason in caught.value.problems[0].reason
    assert str(caught.value.problems[0]).startswith(f"{path}:{line}: ")
    assert not (small / "dist").exists()


def test_a_circular_import_is_refused(small: Path) -> None:
    path = small / SET / "core" / "call.py"
    path.write_text(path.read_text("utf-8") + "\nfrom .metrics import TAGS\n")
    with pytest.raises(BuildError, match=r"circular import: (call -> metrics|metrics -> call)"):
        rebuild(small)


def test_a_name_with_a_falsy_value_is_refused(small: Path) -> None:
    path = small / SET / "core" / "metrics.py"
    path.write_text(path.read_text("utf-8").replace('MEASUREMENT = "openai"', 'MEASUREMENT = ""'))
    with pytest.raises(BuildError, match=r"settings\w*.py:\d+: MEASUREMENT is ''"):
        rebuild(small)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ('A = ("<OpenAI key>", "<Second>")', "two placeholders on one line"),
        ('OPENAI_KEY = "<OpenAI key>"\nA = "<OpenAI key>"', "occurs twice"),
    ],
)
def test_placeholders_that_func_would_garble_are_refused(small: Path, new: str, reason: str) -> None:
    path = small / SET / "func" / "example.py"
    path.write_text(path.read_text("utf-8").replace('OPENAI_KEY = "<OpenAI key>"', new))
    with pytest.raises(BuildError, match=rf"example.py:\d+: .*{reason}"):
        rebuild(small)


def test_a_missing_module_is_refused(small: Path) -> None:
    manifest = small / "manifest.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "  - {name: nothing, title: none}\n", "utf-8")
    n_lines = len(manifest.read_text("utf-8").splitlines())
    with pytest.raises(BuildError, match=rf"manifest.yaml:{n_lines}: there is no module nothing"):
        rebuild(small)


@pytest.mark.parametrize("text", ["id: [", "title: only\n", "- a list\n"])
def test_a_broken_manifest_is_refused(small: Path, text: str) -> None:
    (small / "manifest.yaml").write_text(text, "utf-8")
    with pytest.raises(BuildError, match=r"manifest.yaml:\d+: "):
        rebuild(small)

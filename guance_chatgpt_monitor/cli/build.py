"""Builds a Func script market and an import zip from manifest.yaml and the modules, reproducibly."""

import ast
import hashlib
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import yaml

from .messages import text, translated
from .script_check import Problem, Script, check_set, sibling_imports
from .user_error import UserError

MARKET_DIR = "script-market"
SETS_DIR = "script-sets"
META_FILE = "META.yaml"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold

_PACKAGE_DIR = Path(__file__).resolve().parent.parent
# Func has no folders: scripts are found here by name, so each name is unique across them.
_FOLDERS = ("func", "core", "core/content", ".")


class BuildError(UserError):
    """The set cannot be built; each problem names file, line and reason."""

    def __init__(self, problems: List[Problem]) -> None:
        super().__init__("build.not_built", n=len(problems))
        self.problems = problems
        self.details = list(map(str, problems))

    def __str__(self) -> str:
        return "\n".join([*self.details, self.message])


class Built(NamedTuple):
    """What was made."""

    set_id: str
    origin_md5: str
    market_dir: Path
    zip_path: Path
    scripts: Dict[str, str]  # script id -> code


def default_manifest() -> Path:
    """manifest.yaml beside the package (a clone) or in it (installed)."""
    beside = _PACKAGE_DIR.parent / "manifest.yaml"
    return beside if beside.is_file() else _PACKAGE_DIR / "manifest.yaml"


def build(out_dir: Path, manifest_path: Path, package_dir: Path = _PACKAGE_DIR) -> Built:
    """Build the set into `out_dir`. Raises BuildError; then nothing is written."""
    manifest = _read_manifest(manifest_path)
    set_id = manifest["id"]
    sources = [_read_script(entry["name"], package_dir, manifest_path) for entry in manifest["scripts"]]
    problems = check_set(package_dir.name, sources)
    if problems:
        raise BuildError(problems)
    scripts = _with_version(
        {f"{set_id}__{source.name}": _func_source(set_id, source) for source in sources}, f"{set_id}__main"
    )
    meta = _meta(manifest, sources, scripts)
    files = {META_FILE: yaml.safe_dump(meta, allow_unicode=True, sort_keys=False)}
    for source in sources:
        files[f"{SETS_DIR}/{set_id}/{source.name}.py"] = scripts[f"{set_id}__{source.name}"]
    market_dir, zip_path = out_dir / MARKET_DIR, out_dir / f"{set_id}.zip"
    shutil.rmtree(market_dir, ignore_errors=True)
    for name, content in files.items():
        path = market_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))
    zip_path.write_bytes(_zip(files))
    return Built(set_id, meta["scriptSets"][0]["originMD5"], market_dir, zip_path, scripts)


def _read_manifest(path: Path) -> Dict[str, Any]:
    line, said = 1, ""
    try:
        manifest = yaml.safe_load(path.read_text("utf-8"))
        said = _fault_of(manifest)
    except OSError as error:
        said = text("build.manifest_unreadable", said=translated(error.strerror or type(error).__name__))
    except UnicodeError:
        said = text("build.manifest_no_text")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, said = mark.line + 1 if mark else 1, text("build.manifest_no_yaml")
    if said:
        raise BuildError([Problem(path, line, said)])
    result: Dict[str, Any] = manifest
    return result


def _fault_of(manifest: Any) -> str:
    """What is wrong with its structure; "" if nothing is."""
    strings = ("id", "title", "description", "released", "publisher", "note")
    wanted = (*strings, "requirements", "scripts")
    missing = [key for key in wanted if not isinstance(manifest, dict) or not manifest.get(key)]
    if missing:
        return text("build.manifest_lacks", names=", ".join(missing))
    wrong = [key for key in strings if not isinstance(manifest[key], str)]
    if wrong:
        return text("build.manifest_strings", names=", ".join(wrong))
    if not manifest["id"].isidentifier():  # it is part of file names
        return text("build.manifest_id")
    requirements, entries = manifest["requirements"], manifest["scripts"]
    if not isinstance(requirements, list) or not all(isinstance(name, str) for name in requirements):
        return text("build.manifest_requirements")
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        return text("build.manifest_scripts")
    return ""


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    name, title = entry.get("name"), entry.get("title")
    return isinstance(name, str) and name.isidentifier() and isinstance(title, str)


def _read_script(name: str, package_dir: Path, manifest_path: Path) -> Script:
    paths = [package_dir / folder / f"{name}.py" for folder in _FOLDERS]
    path = next(filter(Path.is_file, paths), paths[0])
    try:
        source = path.read_text("utf-8")
    except OSError:
        line = _line_of(manifest_path, name)
        raise BuildError(
            [Problem(manifest_path, line, text("build.no_module", name=name, folder=package_dir))]
        ) from None
    try:
        # Func's last public image has Python 3.8.
        tree = ast.parse(source, feature_version=(3, 8))
        return Script(name, path, source, tree, list(ast.walk(tree)))
    except SyntaxError as error:
        raise BuildError(
            [Problem(path, error.lineno or 1, text("build.not_python", said=error.msg))]
        ) from None


def _line_of(path: Path, word: str) -> int:
    lines = path.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if word in line), 1)


def _func_source(set_id: str, script: Script) -> str:
    """The source with `from ..folder.name import` turned into `from SET__name import`, and nothing else."""
    lines = script.source.splitlines(keepends=True)
    for node in sibling_imports(script):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = re.sub(r"\bfrom\s+\.+(?:\w+\.)*(\w+)", rf"from {set_id}__\1", line, count=1)
    return "".join(lines)


def _with_version(scripts: Dict[str, str], main_id: str) -> Dict[str, str]:
    """`scripts`, with a version in `main` that identifies this set: workers cache the scripts by it."""
    if main_id not in scripts:
        return scripts
    version = _md5(json.dumps(scripts, sort_keys=True))
    main = scripts[main_id].replace(_NO_VERSION, f'SET_VERSION = "{version}"', 1)
    return {**scripts, main_id: main}


_NO_VERSION = 'SET_VERSION = "not built"'


def _meta(manifest: Dict[str, Any], sources: List[Script], scripts: Dict[str, str]) -> Dict[str, Any]:
    extra = {
        "exportUser": manifest["publisher"],
        "exportTime": manifest["released"],
        "note": manifest["note"],
    }
    set_id = manifest["id"]
    script_set: Dict[str, Any] = {
        "id": set_id,
        "title": manifest["title"],
        "description": manifest["description"],
        "requirements": "\n".join(manifest["requirements"]),
        "_extra": dict(extra),
        "scripts": [
            _script_meta(f"{set_id}__{source.name}", entry, source, scripts[f"{set_id}__{source.name}"])
            for entry, source in zip(manifest["scripts"], sources)
        ],
    }
    script_set["originMD5"] = _md5(json.dumps(script_set, sort_keys=True))
    return {"version": 2, "extra": extra, "scriptSets": [script_set]}


def _script_meta(script_id: str, entry: Dict[str, Any], script: Script, code: str) -> Dict[str, Any]:
    return {
        "id": script_id,
        "title": entry["title"],
        "description": ast.get_docstring(script.tree),
        "publishVersion": 1,
        "type": "python",  # without it, Func leaves the code empty
        "codeMD5": _md5(code),
        "funcs": _functions(script_id, script.tree),
    }


def _functions(script_id: str, tree: ast.Module) -> List[Dict[str, Any]]:
    """Func installs without running the code: a function exists as far as it is listed here."""
    functions: List[Dict[str, Any]] = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.dump(decorator.func) == _DFF_API:
                functions.append(_function_meta(script_id, node, decorator, len(functions)))
    return functions


_DFF_API = ast.dump(ast.parse("DFF.API", mode="eval").body)


def _function_meta(script_id: str, node: ast.FunctionDef, api: ast.Call, order: int) -> Dict[str, Any]:
    options = {option.arg: ast.literal_eval(option.value) for option in api.keywords if option.arg}
    arguments = _arguments(node)
    config = {"timeout": options.get("timeout"), "fixedCronExpr": options.get("fixed_cron_expr")}
    return {
        "id": f"{script_id}.{node.name}",
        "name": node.name,
        "title": ast.literal_eval(api.args[0]),
        "description": ast.get_docstring(node),
        "definition": f"{node.name}({', '.join(_written(*item) for item in arguments.items())})",
        "argsJSON": list(arguments),
        "kwargsJSON": arguments,
        "extraConfigJSON": {key: value for key, value in config.items() if value is not None},
        "category": options.get("category", "general"),
        "integration": None,
        "tagsJSON": sorted(set(options.get("tags", ()))),
        "defOrder": order,
    }


def _arguments(node: ast.FunctionDef) -> Dict[str, Dict[str, Any]]:
    names: Dict[str, Dict[str, Any]] = {argument.arg: {} for argument in node.args.args}
    with_default = list(names)[len(names) - len(node.args.defaults) :]
    for name, default in zip(with_default, node.args.defaults):
        names[name] = {"default": ast.literal_eval(default)}
    if node.args.vararg:
        names["*" + node.args.vararg.arg] = {}
    if node.args.kwarg:
        names["**" + node.args.kwarg.arg] = {}
    return names


def _written(name: str, info: Dict[str, Any]) -> str:
    return f"{name}={info['default']!r}" if "default" in info else name


def _zip(files: Dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in sorted(files.items()):
            # Stored, not deflated: zlib's output differs between its versions.
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content.encode("utf-8"))
    return data.getvalue()


def _md5(content: str) -> str:
    return hashlib.md5(content.encode("utf-8")).hexdigest()  # noqa: S324 - Func's update marker, no secret

"""What a module must not do to run as a script in Func, which is not quite Python.

Each rule was observed on a real Func; the one on falsy names was read in its source: it looks an
imported name up with `if value:`.
"""

import ast
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set

from .messages import text

PLACEHOLDER = re.compile(r'"<([^">]+)>"')


class Problem(NamedTuple):
    """One thing that Func could not run, and where."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


class Script(NamedTuple):
    """One module of the set, before it is built."""

    name: str
    path: Path
    source: str
    tree: ast.Module
    nodes: List[ast.AST]  # of the tree, which takes long to walk


def sibling_imports(script: Script) -> List[ast.ImportFrom]:
    """The imports `from .name import A` and `from ..folder.name import A`, wherever they stand."""
    found = [node for node in script.nodes if isinstance(node, ast.ImportFrom)]
    return [node for node in found if node.level and node.module]


def script_name(node: ast.ImportFrom) -> str:
    """`call` of `from .call import …` and of `from ..core.call import …`."""
    return (node.module or "").rpartition(".")[2]


def check_set(package: str, scripts: List[Script]) -> List[Problem]:
    """All problems of the scripts, in order of file and line."""
    by_name = {script.name: script for script in scripts}
    problems: List[Problem] = []
    for script in scripts:
        found = [*_imports(package, script, by_name), *_annotations(script), *_control_flow(script)]
        if script.name == "example":
            found += _placeholders(script)
        problems += sorted(found, key=lambda problem: problem.line)
    return problems + _circles(by_name)


def _imports(package: str, script: Script, by_name: Dict[str, Script]) -> Iterator[Problem]:
    for node in script.nodes:
        reason: Optional[str] = None
        if isinstance(node, ast.ImportFrom):
            reason = _import_from(package, node, by_name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                reason = reason or _module(package, alias.name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            reason = text("build.dunder_import")
        if reason:
            yield Problem(script.path, node.lineno, reason)  # type: ignore[attr-defined]


def _module(package: str, name: str) -> Optional[str]:
    if name.split(".")[0] == package:
        return text("build.no_packages", name=name.rsplit(".", 1)[-1])
    if name.split(".")[0] == "importlib":
        return text("build.importlib")
    return None


def _import_from(package: str, node: ast.ImportFrom, by_name: Dict[str, Script]) -> Optional[str]:
    names = [alias.name for alias in node.names]
    if "*" in names:
        return text("build.star")
    if node.level == 0:
        return _module(package, node.module or "")
    name_of_module = script_name(node)
    if not name_of_module:
        return text("build.no_modules")
    if name_of_module not in by_name:
        return text("build.not_in_manifest", name=name_of_module)
    if any(alias.asname for alias in node.names):
        return text("build.as_name")
    defined = _defined(by_name[name_of_module].tree)
    for name in names:
        if name not in defined:
            return text("build.not_defined", module=name_of_module, name=name)
        if defined[name]:
            return text("build.false_value", name=name, value=defined[name])
    return None


def _defined(tree: ast.Module) -> Dict[str, str]:
    """Top-level names; the value is the source of a constant that is false, else empty."""
    defined: Dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            defined[node.name] = ""
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            defined.update((alias.asname or alias.name, "") for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            false = isinstance(node.value, ast.Constant) and not node.value.value
            source = repr(node.value.value) if false and isinstance(node.value, ast.Constant) else ""
            defined.update((target.id, source) for target in targets if isinstance(target, ast.Name))
    return defined


def _annotations(script: Script) -> Iterator[Problem]:
    classes = [node for node in script.nodes if isinstance(node, ast.ClassDef)]
    affected = [node for node in classes if _reads_annotations(node)]
    for node in script.nodes:
        if not isinstance(node, ast.ImportFrom) or node.module != "__future__":
            continue
        if affected and any(alias.name == "annotations" for alias in node.names):
            yield Problem(script.path, node.lineno, text("build.future_annotations"))
    for cls in affected:
        for field in cls.body:
            if isinstance(field, ast.AnnAssign) and _has_text(field.annotation):
                yield Problem(script.path, field.lineno, text("build.quoted_annotation", name=cls.name))


def _reads_annotations(node: ast.ClassDef) -> bool:
    decorators = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
    return any(
        (isinstance(item, ast.Name) and item.id in ("dataclass", "NamedTuple"))
        or (isinstance(item, ast.Attribute) and item.attr in ("dataclass", "NamedTuple"))
        for item in [*decorators, *node.bases]
    )


def _has_text(annotation: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) for part in ast.walk(annotation)
    )


def _control_flow(script: Script) -> Iterator[Problem]:
    for node in script.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Problem(script.path, node.lineno, text("build.bare_except"))
        elif isinstance(node, ast.Name) and node.id == "BaseException":
            yield Problem(script.path, node.lineno, text("build.base_exception"))
        elif (
            isinstance(node, ast.Attribute)
            and node.attr == "exit"
            and isinstance(node.value, ast.Name)
            and node.value.id == "sys"
        ):
            yield Problem(script.path, node.lineno, text("build.sys_exit"))


def _placeholders(script: Script) -> Iterator[Problem]:
    seen: Set[str] = set()
    for number, line in enumerate(script.source.splitlines(), 1):
        labels = PLACEHOLDER.findall(line)
        if len(labels) > 1:
            yield Problem(script.path, number, text("build.two_placeholders"))
        for label in labels:
            if label in seen:
                yield Problem(script.path, number, text("build.placeholder_twice", label=label))
            seen.add(label)


def _circles(by_name: Dict[str, Script]) -> List[Problem]:
    imports = {name: sibling_imports(script) for name, script in by_name.items()}
    problems: List[Problem] = []
    done: Set[str] = set()

    def visit(name: str, chain: List[str]) -> None:
        for node in imports[name]:
            module = script_name(node)
            if module in chain:
                circle = " -> ".join([*chain[chain.index(module) :], module])
                problems.append(Problem(by_name[name].path, node.lineno, text("build.circle", circle=circle)))
            elif module in by_name and module not in done:
                visit(module, [*chain, module])
        done.add(name)

    for name in by_name:
        if name not in done:
            visit(name, [name])
    return problems

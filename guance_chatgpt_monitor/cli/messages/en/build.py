"""build: what it made, and what it refuses because Func could not run it."""

from .. import Texts

TEXTS: Texts = {
    "market": "script market: serve the folder over HTTP, or push it to a git repository",
    "zip": "Func: Management / Script Set Import",
    "built": "{n} scripts, originMD5 {md5}",
    "not_built": ("{n} problem(s): nothing was built", "correct the problems above, then build again"),
    "out_not_writable": ("cannot write to {folder}: {reason}", "choose another folder with --out"),
    # ---- the manifest ----
    "manifest_unreadable": "cannot be read: {said}",
    "manifest_no_yaml": "not valid YAML",
    "manifest_no_text": "not UTF-8 text",
    "manifest_lacks": "the manifest lacks {names}",
    "manifest_strings": "these must be strings: {names}",
    "manifest_id": "the manifest's `id` may have letters, digits and _ only",
    "manifest_requirements": "the manifest's `requirements` must be a list of strings",
    "manifest_scripts": "the manifest's `scripts` must be a list of entries with `name` and `title`",
    # ---- the scripts ----
    "no_module": "there is no module {name} in {folder}",
    "not_python": "not Python 3.8: {said}",
    "dunder_import": "__import__() does not work in Func",
    "no_packages": "Func has no packages: write `from .{name} import …`",
    "importlib": "importlib does not find scripts in Func",
    "star": "`import *` does not work in Func: list the names",
    "no_modules": "Func cannot import a module itself: write `from .name import A, B`",
    "not_in_manifest": "module {name} is missing from the manifest",
    "as_name": "`from .name import A as B` is not supported: Func would bind both names",
    "not_defined": "{module} does not define {name}",
    "false_value": "{name} is {value}: Func cannot import a name whose value is false",
    "future_annotations": "`from __future__ import annotations` beside a dataclass or NamedTuple fails in Func",
    "quoted_annotation": "{name} has a quoted annotation, which fails in Func",
    "bare_except": "a bare `except:` swallows Func's time limit",
    "base_exception": "BaseException does not exist in Func: use finally",
    "sys_exit": "sys.exit() kills Func's worker",
    "two_placeholders": "two placeholders on one line: Func takes them for one",
    "placeholder_twice": '"<{label}>" occurs twice: Func fills in the first only',
    "circle": "circular import: {circle}",
}

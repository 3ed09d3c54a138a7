"""What `build` refuses: what Func could not run."""

from typing import Dict

from .. import Text

TEXTS: Dict[str, Text] = {
    "manifest_unreadable": "it cannot be read: {said}",
    "manifest_no_yaml": "it is no YAML",
    "manifest_no_text": "it is no text in UTF-8",
    "manifest_lacks": "the manifest lacks {names}",
    "manifest_lists": "the manifest's `requirements` and `scripts` must be lists",
    "manifest_scripts": "the manifest's `scripts` must be a list of entries with `name` and `title`",
    "no_module": "there is no module {name} in {folder}",
    "not_python": "not Python 3.8: {said}",
    "dunder_import": "__import__() does not work in Func",
    "no_packages": "Func knows no packages: write `from .{name} import …`",
    "importlib": "importlib does not find scripts in Func",
    "star": "`import *` does not work in Func: name what is imported",
    "no_modules": "Func imports no modules as such: write `from .name import A, B`",
    "not_in_manifest": "module {name} is missing from the manifest",
    "as_name": "`as` is not supported beside `from .name import`: Func would bind both names",
    "not_defined": "{module} does not define {name}",
    "false_value": "{name} is {value}: Func cannot import a name whose value is false",
    "future_annotations": "`from __future__ import annotations` beside a dataclass or NamedTuple fails in Func",
    "quoted_annotation": "{name} has an annotation in quotes: Func fails",
    "bare_except": "a bare `except:` swallows Func's time limit",
    "base_exception": "BaseException does not exist in Func: use finally",
    "sys_exit": "sys.exit() kills Func's worker",
    "two_placeholders": "two placeholders on one line: Func takes them for one",
    "placeholder_twice": '"<{label}>" stands twice: Func fills in the first only',
    "circle": "circular import: {circle}",
}

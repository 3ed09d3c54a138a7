"""A pytest plugin: collections of garbage leave out what modules keep, and take 2 ms in place of 100."""

import gc
from typing import Optional

import pytest

_path: Optional[object] = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the first test of each file, for what was imported since the last."""
    global _path
    if item.path != _path:
        _path = item.path
        gc.collect()
        gc.freeze()

"""A pytest plugin: garbage collection skips what modules keep alive, and takes 2 ms instead of 100."""

import gc
from typing import Optional

import pytest

_path: Optional[object] = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Freeze before the first test of each file, to include what was imported since the last."""
    global _path
    if item.path != _path:
        _path = item.path
        gc.collect()
        gc.freeze()

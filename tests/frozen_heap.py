"""A pytest plugin: collections of garbage leave out what imports made, and take 2 ms in place of 100."""

import gc


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()

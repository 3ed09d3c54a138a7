"""A DataKit at a unix socket, and a Dataway: what of them can be checked is whether they take a point."""

import time
from typing import Callable, Iterator

from ...core.datakit import DataKit, DataKitError
from ...core.metrics import MONITOR_MEASUREMENT
from ..messages import translated
from .finding import Finding, bad, good
from .point_of_check import line_of_check

READ_TIMEOUT_S = 5.0


def check_other_address(url: str, clock_ns: Callable[[], int] = time.time_ns) -> Iterator[Finding]:
    """The chain, up to the first thing that is wrong. `url` is one that `core.datakit` takes."""
    datakit = DataKit(url, READ_TIMEOUT_S)
    key = "check.dataway_refuses" if datakit.is_dataway else "check.socket_refuses"
    try:
        info = datakit.ping()
        if datakit.is_dataway:
            yield good("datakit_reachable", "check.dataway_reachable", url=datakit.url)
        else:
            values = {"url": datakit.url, "version": info.version, "host": info.host}
            yield good("datakit_reachable", "check.datakit_reachable", **values)
    except DataKitError as error:
        yield bad("datakit_reachable", key, said=translated(str(error)))
        if error.status_code != 403:  # it may close ping to us, and take our points
            return
    try:
        datakit.write([line_of_check(clock_ns())])
        yield good("test_point", "check.test_point", measurement=MONITOR_MEASUREMENT)
        if datakit.is_dataway:
            yield good("uploads", "check.dataway_takes")
    except DataKitError as error:
        yield bad("datakit_write", key, said=translated(str(error)))
    finally:
        datakit.close()

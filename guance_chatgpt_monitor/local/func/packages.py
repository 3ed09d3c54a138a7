"""Func's installer of Python packages, as its API shows it. It installs nothing: the workers' Python must
have what the scripts import."""

import threading
import time
from typing import Any, Callable, Dict, List

from .errors import ApiError

INSTALL_TIME_S = 0.2


class Packages:
    """Installing takes `install_time_s` a package, one after the other; a package in `broken` fails."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.builtin = {"requests": "2.32.3"}
        self.broken: Dict[str, str] = {}  # name -> pip's error
        self.install_time_s = INSTALL_TIME_S
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: List[str] = []
        self._started_s = 0.0
        self._installed: Dict[str, str] = {}

    def clear(self) -> None:
        """Forget what was installed, and what is broken."""
        with self._lock:
            self._wanted = []
            self._installed.clear()
            self.broken.clear()

    def listing(self) -> List[Dict[str, str]]:
        """What is installed, as `pip freeze` knows it."""
        self.status()
        rows = [{"name": name, "builtinVersion": version} for name, version in self.builtin.items()]
        rows += [{"name": name, "userInstalledVersion": version} for name, version in self._installed.items()]
        return rows

    def install(self, packages: str) -> None:
        """Start to install. Raises ApiError while an earlier one waits."""
        if any(row["status"] == "waiting" for row in self.status()):
            raise ApiError("EBizRequestConflict", "Previous Python package installing is not finished.")
        with self._lock:
            self._wanted, self._started_s = packages.split(), self._clock()

    def status(self) -> List[Dict[str, Any]]:
        """How far each package is: waiting, installing, success or failure."""
        with self._lock:
            begun = (self._clock() - self._started_s) / self.install_time_s if self._wanted else 0.0
            return [self._row(order, package, begun - order) for order, package in enumerate(self._wanted)]

    def _row(self, order: int, package: str, begun: float) -> Dict[str, Any]:
        name, _, version = package.partition("==")
        error = self.broken.get(name)
        status = "waiting" if begun < 0 else "installing"
        if begun >= 1:
            status = "failure" if error else "success"
            if not error:
                self._installed.setdefault(name, version or "1.0.0")
        return {
            "order": order,
            "package": package,
            "status": status,
            "error": error if status == "failure" else None,
        }

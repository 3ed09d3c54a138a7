"""Whether a file, and those that SQLite keeps beside it, belong to this user alone."""

import os
import stat
from pathlib import Path

# SQLite creates "-shm" with the mode of the file itself, and "-journal" before there is a "-wal".
_BESIDE = ("", "-wal", "-shm", "-journal")


def check_is_ours(path: Path) -> None:
    """Raise PermissionError if another user could change or replace what is written there.

    A file that others can only read is closed to them.
    """
    for suffix in _BESIDE:
        beside = Path(f"{path}{suffix}")
        try:
            status = beside.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise PermissionError(f"{beside.name} is a link, or no file")
        if os.name != "nt":
            _check_owner(beside, status)
            if stat.S_IMODE(status.st_mode) & 0o077:
                beside.chmod(0o600)
    if os.name != "nt":
        folder = path.parent.stat()
        sticky_or_closed = folder.st_mode & stat.S_ISVTX or not folder.st_mode & 0o022
        if folder.st_uid not in (os.geteuid(), 0) or not sticky_or_closed:
            raise PermissionError("other users can replace the files of its folder")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise PermissionError(f"another user owns {path.name}")
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise PermissionError(f"other users can write {path.name}")

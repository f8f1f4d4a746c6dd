"""A folder for raw frames on their way: private, gone at the end, and after a kill gone with the next command."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "acta-private-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder (mode 0700) where the system keeps temporary files (``$TMPDIR``), removed at the end.

    A lock of the operating system, which ends with the process however that ends, tells others that it is in use.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        handle = _opened(folder)
        if handle is None:
            raise OSError(
                f"another user has put something in the place of {folder}; set TMPDIR to a folder of your own"
            )
        try:
            _lock(handle)
            if not folder.exists():  # another command took it for a leftover before it was locked
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return
        finally:
            os.close(handle)


def remove_abandoned() -> None:
    """Remove such folders of this user's processes that were killed; those that are in use stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        handle = _opened(folder)
        if handle is None:
            continue
        try:
            if _lock(handle):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _opened(folder: Path) -> int | None:
    """A descriptor of a folder that is this user's and nobody else's; None: it is not, or is gone."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        found = os.fstat(handle)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
            return handle
        os.close(handle)
    return None


def _lock(handle: int) -> bool:
    """Whether this process has the folder now; never so where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False

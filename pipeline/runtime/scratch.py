"""Frame shards on a node's own disk: copied when first read, shared by the node's processes, removed after the last.

``ACTA_SCRATCH`` names the disk (a folder that every user may write to, as /tmp is); without it, or if
somebody else has taken the place of the user's folder there, shards are read where they are. What killed processes left
is removed by the user's next training on the node. Trainings read clips in random order, which a shared file system
serves slowly; each process copies only the shards that it reads, its own part of the dataset.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.runtime.errors import is_storage_failure
from pipeline.runtime.files import atomic
from pipeline.runtime.temporary import empty


def _folder() -> Path | None:
    place = os.environ.get("ACTA_SCRATCH")
    return Path(place, f"acta-{os.getuid()}") if place else None


@contextmanager
def scratch() -> Iterator[None]:
    """Hold the node's copies while the block runs; the last process to leave removes them."""
    folder = _folder()
    if folder is None:
        yield
        return
    try:
        held = _held(folder)
    except OSError as error:
        print(f"{folder} is not used, so frames are read where they are: {error.strerror}", file=sys.stderr)
        with suppress(OSError):
            folder.rmdir()  # so that no process copies into what none holds
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            if _empty_unless_held(held):
                folder.rmdir()
        os.close(held)


def _held(folder: Path) -> int:
    """A descriptor of the user's folder, made if there is none, with a lock that others of the user share.

    The folder is its own lock: nobody else can open it. What is left in it, which nobody holds, is removed.

    Raises:
        OSError: the folder cannot be made or locked, or is not the user's alone.
    """
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        with suppress(FileNotFoundError):
            file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if not _is_ours(os.fstat(file)):
                    raise PermissionError(0, "it is another user's, or open to others")
                _empty_unless_held(file)
                fcntl.flock(file, fcntl.LOCK_SH)
                if os.path.samestat(os.fstat(file), folder.lstat()):  # else its last process has just removed it
                    return os.dup(file)  # which has the same lock
            finally:
                os.close(file)


def _is_ours(status: os.stat_result) -> bool:
    """Whether a folder is the user's alone."""
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _empty_unless_held(folder: int) -> bool:
    """Remove what is in the open folder if no other process holds it; returns whether this one then does."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    empty(folder)
    return True


def near(path: Path) -> Path:
    """The copy of a file on the node's own disk, made now if there is none; the file itself where there is no room."""
    folder = _folder()
    try:
        if folder is None or not _is_ours(folder.lstat()):
            return path
    except OSError:
        return path
    status = path.stat()
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    copy = folder / (hashlib.sha256(key.encode()).hexdigest()[:32] + path.suffix)
    with copy.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not copy.exists():
            try:
                with atomic(copy) as temporary:
                    shutil.copyfile(path, temporary)
            except OSError as error:
                if not is_storage_failure(error):
                    raise
                print(f"no room for {path} in {folder}, so it is read where it is: {error}", file=sys.stderr)
                return path
    return copy

"""Frame shards on a node's own disk: copied when first read, shared by the node's processes, removed after the last.

``ACTA_SCRATCH`` names the disk (a folder that every user may write to); without it shards are read where they are.
What killed processes left there is removed by the user's next training on the node. Trainings read clips in random
order, which a shared file system serves slowly; each process copies only the shards that it reads, its own part of the
dataset.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import is_storage_failure
from pipeline.files import atomic, make_private


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
    lock = folder.with_suffix(".lock")
    with lock.open("a") as file:
        _remove_unless_held(folder, file)
        fcntl.flock(file, fcntl.LOCK_SH)
        make_private(folder)
        try:
            yield
        finally:
            _remove_unless_held(folder, file)


def _remove_unless_held(folder: Path, lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # another process still reads them


def near(path: Path) -> Path:
    """The copy of a file on the node's own disk, made now if there is none; the file itself where there is no room."""
    folder = _folder()
    if folder is None or not folder.is_dir():
        return path
    there = path.stat()
    key = f"{path.resolve()} {there.st_size} {there.st_mtime_ns}"
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

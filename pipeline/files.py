"""Writing files so that what has its final name is whole, and what is private stays so."""

import glob
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends without an error.

    The data is flushed to disk first, so a file with its final name is whole. What a killed process on this host left
    behind for the same output is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{_host()}.{os.getpid()}.tmp{path.suffix}"
    _remove_leftovers(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def spool(output: Path) -> Iterator[Path]:
    """A private temporary folder (mode 0700) beside ``output``, removed at the end."""
    output.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(output)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.{_host()}.{os.getpid()}.tmp", dir=output.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reserve(path: Path, size: int) -> None:
    """Make sure that ``path`` can grow to ``size`` bytes; for libraries that do not survive a full disk themselves.

    Raises:
        OSError: there is no room (disk, quota or limit).
    """
    with path.open("wb") as file:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(0)


def check_room(folder: Path, needed: float, what: str) -> None:
    """Refuse to begin what will not fit on the disk.

    Args:
        folder: Where it would be written; it need not be there yet.
        needed: Bytes, as estimated.
        what: What the estimate is of, for the message.

    Raises:
        ActaError: there is less room than that.
    """
    there = next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ActaError(
            f"{folder} has room for {free / 1e9:.2f} GB, but about {needed / 1e9:.2f} GB are needed for {what}; "
            "nothing was begun"
        )


def make_private(folder: Path) -> None:
    """Create ``folder`` and take away everybody else's access (mode 0700): raw frames live there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{_host()}.*.tmp*"):
        pid = leftover.name.removeprefix(f".{path.name}.{_host()}.").split(".")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON atomically, keys in the order given."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")

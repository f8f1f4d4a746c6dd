"""Temporary folders next to outputs: private, with random names, found again if their process was killed."""

import glob
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path

from pipeline.runtime.destination import is_stream
from pipeline.runtime.errors import ActaError

# Bytes of an output's name and of its suffix that temporary names keep. With the host (64 at most), the namespace, the
# process and a random part they stay below the 255 that file systems allow.
_LONGEST_NAME, _LONGEST_SUFFIX = 80, 16
_TEMPORARY = re.compile(r"\..*\.([^.]*\.[0-9a-f]{12}\.)(\d+)\.tmp\w*", re.DOTALL)


@contextmanager
def next_to(path: Path) -> Iterator[Path]:
    """A new folder with a random name and mode 0700, on the file system of ``path``; for a stream, in ``$TMPDIR``.

    It is reached through this process's descriptor of it, not by its name: where others may write to the folder around
    it, they could put another one in its place.
    """
    if is_stream(path):
        path = _in_tmpdir()
    remove_temporaries(path)
    made = Path(tempfile.mkdtemp(prefix=f"{stem(path)}{_process(os.getpid())}.tmp", dir=path.parent))
    try:
        file = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if not _is_made_here(file):
                raise ActaError(f"another user has put a folder in the place of {made}; choose another output")
            try:
                yield Path(f"/proc/{os.getpid()}/fd/{file}")
            finally:
                empty(file)
        finally:
            os.close(file)
    finally:
        with suppress(OSError):
            made.rmdir()


def private_folder() -> AbstractContextManager[Path]:
    """A new private folder for raw frames in ``$TMPDIR``, as `next_to`; after a kill the next command removes it."""
    return next_to(_in_tmpdir())


def remove_abandoned() -> None:
    """Remove what this user's processes that were killed have left in ``$TMPDIR``; it never stops a command."""
    with suppress(OSError):
        remove_temporaries(_in_tmpdir())


def _in_tmpdir() -> Path:
    return Path(tempfile.gettempdir(), "acta-private")


def _is_made_here(folder: int) -> bool:
    """Whether an open folder is this user's, and not one that somebody has put in its place.

    File systems that give all files one owner (CIFS, FAT, NFS that squashes) are known by what is new in the folder.
    """
    owner = os.fstat(folder).st_uid
    if owner == os.geteuid():
        return True
    try:
        file = os.open("owner", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    except OSError:
        return False
    try:
        return os.fstat(file).st_uid == owner
    finally:
        os.close(file)
        os.unlink("owner", dir_fd=folder)


def empty(folder: int) -> None:
    """Remove what is in an open folder."""
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)


def _process(pid: int | str) -> str:
    """What names a process in the names of temporary files: the host, the process's namespace, its number.

    Containers can have one host name, and the same numbers, so the namespace is told by the start of the machine that
    it belongs to and its number there.
    """
    return f"{socket.gethostname().split('.')[0]}.{_namespace()}.{pid}"


@cache
def _namespace() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256(f"{boot}{Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:12]


def stem(path: Path) -> str:
    """What the names of an output's temporary files begin with."""
    name = os.fsencode(path.name)
    if len(name) <= _LONGEST_NAME:
        return f".{path.name}."
    beginning = name[: _LONGEST_NAME - 17].decode("utf-8", "ignore")
    return f".{beginning}~{hashlib.sha256(name).hexdigest()[:16]}."


def short_suffix(path: Path) -> str:
    """The suffix, by which libraries know the format; what is longer than any format's is left out."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""


def remove_temporaries(path: Path) -> None:
    """Remove what processes that have ended left next to an output."""
    beginning = f"{stem(path)}{_process('')}"
    for leftover in path.parent.glob(f"{glob.escape(beginning)}*.tmp*"):
        if _has_ended(leftover):
            remove_own(leftover)


def find_leftovers(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The user's temporary folders below a folder, and whether their process has surely ended."""
    for path in folder.rglob(".*.tmp*"):
        if _TEMPORARY.fullmatch(path.name) and is_own(path):
            yield path, _has_ended(path)


def _has_ended(temporary: Path) -> bool:
    """Whether a temporary folder is of a process of this machine and namespace that is no more."""
    named = _TEMPORARY.fullmatch(temporary.name)
    return named is not None and named[1] == _process("") and not Path(f"/proc/{named[2]}").exists()


def is_own(path: Path) -> bool:
    """Whether a file, link or folder belongs to the user."""
    try:
        return path.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def remove_own(path: Path) -> bool:
    """Remove a file, link or folder if it is the user's own; returns whether it is gone."""
    with suppress(OSError):
        if is_own(path):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            return True
    return False

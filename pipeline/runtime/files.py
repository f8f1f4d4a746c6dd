"""Writing files so that what has its final name is whole, and what is private stays so."""

import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.runtime.destination import destination, is_stream, links_are_trusted, opened_stream
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed
from pipeline.runtime.temporary import next_to, remove_temporaries, short_suffix, stem

Output: TypeAlias = Path  # of a task's function: what it writes

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


@contextmanager
def atomic(path: Path | str, *, overwrite: bool | None = None) -> Iterator[Path]:
    """A temporary path that takes the name ``path`` when the block ends without an error.

    It lies in a private folder next to ``path``, which nobody else can put anything into. The data is flushed to disk
    first, so a file with its final name is whole. What a killed process of this machine left behind for the same output
    is removed. A device or pipe is not replaced: it gets the bytes when the block ends.

    Args:
        path: The output.
        overwrite: None for the output of a task, which is rebuilt when needed. Otherwise the output belongs to
            somebody: no other run can write it as long as the block runs, and what is there already is replaced if
            true; if false, it stays, even where it came while the block ran.

    Raises:
        ActaError: something is at ``path`` that is never replaced; a pipe that nobody reads; or ``overwrite`` is given,
            and something is at ``path`` or another run is writing it.
    """
    asked = Path(path)
    path = destination(asked)
    if is_stream(path):
        with opened_stream(path) as stream, next_to(path) as folder:
            temporary = folder / f"stream{short_suffix(path)}"
            yield temporary
            with temporary.open("rb") as file, os.fdopen(stream, "wb", closefd=False) as out:
                shutil.copyfileobj(file, out)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext() if overwrite is None else _claimed(path):
        if overwrite is not None:
            check_free(asked, overwrite=overwrite)
        with next_to(path) as folder:
            temporary = folder / f"new{short_suffix(path)}"
            try:
                yield temporary
            except OSError as error:
                if error.filename in (temporary, str(temporary)):  # PyAV's errors let nobody change it
                    raise OSError(error.errno, error.strerror, str(path)) from None  # the name that people know
                raise
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            if overwrite is False:
                _publish(temporary, path)
            else:
                temporary.replace(path)


@contextmanager
def spool(output: Path) -> Iterator[Path]:
    """A private temporary folder (mode 0700) next to ``output``, removed at the end."""
    output = destination(output)
    if not is_stream(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with next_to(output) as folder:
        yield folder


def identities(paths: Iterable[Path]) -> set[Path | tuple[int, int]]:
    """What identifies the files of paths: the path without links, and the file's number on its device.

    Two paths are the same file, by a link, a hard link, a relative path or another case, if these sets overlap.
    """
    known: set[Path | tuple[int, int]] = set()
    for path in paths:
        known.add(Path(os.path.realpath(path)))  # which, unlike `resolve`, puts up with links in a circle
        with suppress(OSError):
            status = path.stat()
            known.add((status.st_dev, status.st_ino))
    return known


def check_no_input(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse an output that is an input, under whatever name.

    Raises:
        ActaError: one is.
    """
    read = identities(inputs)
    for output in outputs:
        if identities([output]) & read:
            raise ActaError(f"the output {output} is an input; choose another output")


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], *, overwrite: bool | None) -> None:
    """Refuse, before anything is begun, outputs that would replace something.

    Args:
        outputs: Every file that will be written.
        inputs: Every file that will be read; none of them is ever replaced.
        overwrite: Whether other files may be; None for the outputs of a task, which are rebuilt when needed.

    Raises:
        ActaError: an output is an input, under whatever name; or it is there; or two outputs are the same file.
    """
    outputs = list(outputs)
    check_no_input(outputs, inputs)
    written: set[Path | tuple[int, int]] = set()
    for output in outputs:
        own = identities([output])
        if own & written and not is_stream(output):
            raise ActaError(f"two outputs are the same file, {output}; choose another for one of them")
        written |= own
        if overwrite is not None:
            check_free(output, overwrite=overwrite)
        elif not output.is_dir():  # which some tasks fill
            destination(output)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse an output where something is: a file, a folder, a link even if it leads nowhere.

    With ``overwrite``, a file may be replaced, and so may the user's own file that a link leads to; nothing else ever.

    Raises:
        ActaError: what is there, and what to do.
    """
    target = destination(path)
    if not overwrite and target.exists() and not is_stream(target):
        raise ActaError(f"{path} exists; --overwrite replaces it")


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left next to an output, unless another run is writing it."""
    with suppress(ActaError):
        path = destination(path)
        if is_stream(path):
            return
    with suppress(ActaError), _claimed(path):
        remove_temporaries(path)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Keep an output from other runs as long as the block runs.

    A lock of the operating system ends with its process, however that ends. Where the file system has none, runs do not
    see each other here, and `_publish` alone keeps them apart.
    """
    lock = path.parent / f"{stem(path)}lock"
    while True:
        file = _opened_lock(lock)
        try:
            _lock(file, path)
            if _is_at(file, lock):  # else its last owner has just removed it
                try:
                    yield
                finally:
                    with suppress(FileNotFoundError, PermissionError):  # another user's, in a folder as /tmp is
                        lock.unlink()
                return
        finally:
            os.close(file)


def _opened_lock(lock: Path) -> int:
    """A descriptor of a lock's file, whoever made it, or of a new one; a link or a pipe is refused."""
    while True:
        with suppress(FileExistsError):
            file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            with suppress(OSError):
                os.fchmod(file, 0o666)  # what a killed run leaves must not stop another user
            return file
        try:
            file = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
        else:
            if stat.S_ISREG(os.fstat(file).st_mode):
                return file
            os.close(file)
        raise ActaError(f"{lock} is no regular file, but stands where a lock would; remove it")


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ActaError(f"{path} is being written by another run") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its final name unless something has it: a hard link, unlike a rename, replaces nothing."""
    try:
        os.link(temporary, path)
        return
    except FileExistsError:
        if path.exists() and path.samefile(temporary):
            return  # a network file system did it and lost its answer
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            temporary.replace(path)
            return
    raise ActaError(
        f"{path} was created by another process during the run and was left as it is; --overwrite replaces it"
    )


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
    """Refuse to begin what will not fit on the disk: ``needed`` bytes for ``what``, in a folder that may not exist yet.

    Raises:
        ActaError: there is less room than that.
    """
    nearest = next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
    free = shutil.disk_usage(nearest).free
    if needed > free:
        raise ActaError(
            f"{folder} has room for {free / 1e9:.2f} GB, but about {needed / 1e9:.2f} GB are needed for {what}; "
            "nothing was begun"
        )


def make_private(folder: Path) -> None:
    """Create ``folder`` and take away everybody else's access (mode 0700): raw frames live there.

    Raises:
        ActaError: the folder is not the user's alone to close: another's, a shared one as /tmp is, a whole file system,
            or behind a link that somebody else has made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        status = os.fstat(file)
        shared = status.st_mode & stat.S_ISVTX or os.path.ismount(folder)
        if not links_are_trusted(folder) or status.st_uid != os.geteuid() or (status.st_mode & 0o077 and shared):
            raise ActaError(
                f"original frames would lie in {folder}, which cannot be made private (mode 0700), as it is not yours "
                f"alone (of user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):o}); name an output in a folder "
                "of its own"
            )
        os.fchmod(file, 0o700)
    finally:
        os.close(file)


@contextmanager
def private_files() -> Iterator[None]:
    """Whatever this process creates while the block runs is its owner's alone (mode 0600) from its first byte."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def write_json(path: Path | str, content: Any, *, seal: bool = True) -> None:
    """Write JSON atomically, keys in the order given.

    With ``seal``, an object carries its digest (`pipeline.runtime.seals`), which other programs' formats do not know.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(sealed(content) if seal else content, indent=1) + "\n")

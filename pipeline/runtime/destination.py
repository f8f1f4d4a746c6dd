"""Where an output really goes: along trusted links, into devices and pipes, never over anything but a regular file."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.errors import ActaError

_MOST_LINKS = 40  # as many as the kernel follows
_SYSTEM = 0  # the user who owns what belongs to the machine, as /dev/stdout


def destination(output: Path) -> Path:
    """The path at which an output is written.

    It is the output's own where there is nothing, a regular file, or what `is_stream` says yes to; otherwise the path
    to which a link leads, if that is a regular file of the user's.

    Raises:
        ActaError: there is something that is never replaced, a link that leads to no regular file of the user's, or
            a link that somebody else has made.
    """
    try:
        status = output.stat()
    except OSError as error:
        if error.errno == errno.ELOOP or output.is_symlink():
            raise _led_astray(output, "nothing") from None
        return output  # free, or an error of its own as soon as it is written
    linked = output.is_symlink()
    if linked and not links_are_trusted(output):
        raise ActaError(f"{output} is a link that another user has made; remove it, or choose another output")
    if _takes_a_stream(status) or (linked and _is_descriptor(output)):
        return output
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise ActaError(f"{output} is {kind}, which is never replaced; choose another output")
    if not linked:
        return output
    if status.st_uid != os.geteuid():
        raise _led_astray(output, "a file of another user")
    return Path(os.path.realpath(output))


def is_stream(output: Path) -> bool:
    """Whether an output is written to, not replaced: a terminal, /dev/null, a pipe of the user's."""
    try:
        return _takes_a_stream(output.stat()) or (output.is_symlink() and _is_descriptor(output))
    except OSError:
        return False


@contextmanager
def opened_stream(output: Path) -> Iterator[int]:
    """A descriptor of a device or pipe, open for writing as long as the block runs.

    Raises:
        ActaError: it is a pipe that nobody reads.
    """
    try:
        file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise ActaError(f"{output} is a pipe that nobody reads; start its reader first, or choose a file") from None
    try:
        os.set_blocking(file, True)
        yield file
    finally:
        os.close(file)


def links_are_trusted(path: Path) -> bool:
    """Whether every link that a path leads along was made by the user or belongs to the machine.

    In a folder that others may write to, a link can be anybody's, and lead to any of the user's own files.
    """
    for _ in range(_MOST_LINKS):
        try:
            status = path.lstat()
        except OSError:
            return True  # where a link of /proc leads: a pipe, which has no name
        if not stat.S_ISLNK(status.st_mode):
            return True
        if status.st_uid not in (_SYSTEM, os.geteuid()):
            return False
        path = path.parent / path.readlink()
    return False


def _is_descriptor(link: Path) -> bool:
    """Whether a link is a process's open file, as /dev/stdout is: what is in that file already must stay."""
    for _ in range(_MOST_LINKS):
        if link.parts[1:2] == ("proc",):
            return True
        if not link.is_symlink():
            return False
        link = link.parent.resolve() / link.readlink()
    return False


def _takes_a_stream(status: os.stat_result) -> bool:
    own = status.st_uid == os.geteuid()
    return stat.S_ISCHR(status.st_mode) or (stat.S_ISFIFO(status.st_mode) and own)


def _led_astray(output: Path, where: str) -> ActaError:
    return ActaError(
        f"{output} is a link to {where}; only links to regular files of your own are followed: "
        "remove it, or choose another output"
    )

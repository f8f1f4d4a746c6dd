"""The digest of a video's file, which shows whether results made at different times come from the same file."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.errors import VideoError

# The time of the last change of anything (ctime) shows a changed content even if its own time was set back.
_SAME = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


@contextmanager
def unchanged(path: Path) -> Iterator[str]:
    """The sha256, in hex, of a file that stays the same as long as the block runs.

    Raises:
        VideoError: it was replaced or changed meanwhile, is missing, or cannot be read.
    """
    with _told(), path.open("rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    yield digest
    with _told():
        after = path.stat()
    if any(getattr(before, field) != getattr(after, field) for field in _SAME):
        raise VideoError("was replaced or changed while it was read")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise VideoError("missing") from None
    except IsADirectoryError:
        raise VideoError("not a file") from None
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror}") from None

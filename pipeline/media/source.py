"""The digest of a video's file, by which what is made of it at different times is known to be of the same one."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import VideoError


@contextmanager
def unchanged(path: Path) -> Iterator[str]:
    """The sha256, in hex, of a file that stays the same as long as the block runs.

    Raises:
        VideoError: it was replaced or changed meanwhile, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield digest
        after = path.stat()
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror}") from None
    if any(getattr(before, field) != getattr(after, field) for field in ("st_dev", "st_ino", "st_size", "st_mtime_ns")):
        raise VideoError("was replaced or changed while it was read")

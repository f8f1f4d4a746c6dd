"""Files of weights, read once: what is hashed is what is loaded."""

import hashlib
from functools import cached_property
from pathlib import Path

from pipeline.errors import ActaError


class Opened:
    """A file's bytes.

    Args:
        path: The file.
        what: What it is to the user, for the message.
        note: What a provenance must say of its hash beside the hash itself.

    Raises:
        ActaError: it is missing, is no regular file, or cannot be read.
    """

    def __init__(self, path: Path, what: str = "the checkpoint", note: str | None = None):
        self.path, self._note = path, note
        try:
            if path.exists() and not path.is_file():  # a pipe would be waited for
                raise ActaError(f"cannot read {what} {path}: it is no regular file")
            self.content = path.read_bytes()
        except OSError as error:
            raise ActaError(f"cannot read {what} {path}: {error.strerror}") from None

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def stated(self) -> str:
        """The sha256 as a provenance states it."""
        return self.sha256 if self._note is None else f"{self.sha256} ({self._note})"


def opened(source: Path | Opened, what: str = "the checkpoint") -> Opened:
    """The file itself, opened now unless it is already."""
    return source if isinstance(source, Opened) else Opened(source, what)

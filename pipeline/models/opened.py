"""Files of weights, read once: what is hashed is what is loaded."""

import hashlib
import io
import tarfile
from functools import cached_property
from pathlib import Path

from pipeline.runtime.errors import ActaError

_KNOWN: dict[bytes, str] = {
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS, not the file itself; `git lfs pull` brings it",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ\x00": "an xz archive; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\x89HDF": "an HDF5 file, such as Keras writes; the weights of PyTorch's version of the network are needed",
    b"\x93NUMPY": "one array of NumPy, without names of weights",
}


class Opened:
    """A file's bytes.

    Args:
        path: The file.
        what: What to call it in a message.
        note: What a provenance must say of its hash besides the hash itself.

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
        """The hash of the bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def stated(self) -> str:
        """The sha256 as a provenance states it."""
        return self.sha256 if self._note is None else f"{self.sha256} ({self._note})"


def opened(source: Path | Opened, what: str = "the checkpoint") -> Opened:
    """The file itself, opened now unless it is already."""
    return source if isinstance(source, Opened) else Opened(source, what)


def refuse_known(content: bytes) -> None:
    """Refuse what is plainly no weights, by an `ActaError` that says what it is and what to do, without its path."""
    if not content:
        raise ActaError("it is empty; copy or fetch it again")
    for start, what in _KNOWN.items():
        if content.startswith(start):
            raise ActaError(f"it is {what}")
    if content[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise ActaError(
            "it is a web page, such as a login or an error, not the file behind the link; open the link in a browser"
        )
    if content[257:262] == b"ustar" and tarfile.is_tarfile(io.BytesIO(content)):
        raise ActaError("it is a tar archive; unpack it first")

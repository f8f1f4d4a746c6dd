"""HDF5 files that end with a seal: checksums of their bytes, and where each array lies, so that damage is found.

Behind HDF5's own bytes, which any program reads as ever, stand::

    uint32 (blocks,)   CRC-32 of each 32 KiB of HDF5's bytes: finds every flipped bit
    JSON               sha256 of HDF5's bytes; attributes of the root; dtype, shape and place of each array
    48 bytes           sha256 of the two above, the number of HDF5's bytes, a mark

Reading checks the blocks that it touches, and goes by the seal alone: the HDF5 library, which damaged files can hang or
crash, never sees them, and no lock is asked of the file system.
"""

import hashlib
import json
import math
import os
import struct
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, reserve
from pipeline.runtime.seals import make_again

BLOCK = 1 << 15
_END = struct.Struct("<32sQ8s")
_MARK = b"ACTASEAL"
_READ = 8 << 20
_OVERHEAD = 1 << 17  # bytes of HDF5's own structures, the provenance, and the columns of texts


@contextmanager
def create_sealed(path: Path, size: int) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing; it gets its seal and its final name when the block ends.

    Datasets must be contiguous and written whole, attributes texts of the root.

    Args:
        path: The file.
        size: Bytes that its content will take. Room for them is made sure of first: HDF5 can crash on a full disk.

    Raises:
        ActaError: there is no room, or HDF5 failed to write.
    """
    try:
        with atomic(path) as temporary:
            reserve(temporary, size + size // 4096 + _OVERHEAD)
            with open_hdf5(temporary, "w", libver="v110") as file:
                yield file
            _seal(temporary)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        other = getattr(error, "filename", None)
        if other is not None and str(other) != str(path):
            reason = f"{other}: {reason}"
        raise ActaError(f"{path} could not be written: {reason}") from None


def open_hdf5(path: Path, mode: str, **options: Any) -> h5py.File:
    """Open a file through the HDF5 library without a lock.

    What is written has a name of its own until it is whole, so a lock protects nothing; and some network file systems
    have none.

    Raises:
        ActaError: the environment asks for locks, and the file system has none.
    """
    try:
        return h5py.File(path, mode, locking=False, **options)
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        raise ActaError(
            f"the file system of {path.parent} has no locks ({os.strerror(error.errno or 0)}), and "
            f"HDF5_USE_FILE_LOCKING = {os.environ.get('HDF5_USE_FILE_LOCKING')} asks for one: "
            "unset HDF5_USE_FILE_LOCKING"
        ) from None


def _seal(path: Path) -> None:
    arrays: dict[str, tuple[str, tuple[int, ...], int]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            place = item.id.get_offset()
            if item.size and place is None:
                raise RuntimeError(f"{name} was not written, or is not contiguous")
            arrays[name] = item.dtype.str, item.shape, place or 0

    with open_hdf5(path, "r") as file:
        file.visititems(note)
        attributes = {name: str(value) for name, value in file.attrs.items()}
    with path.open("r+b") as file:
        checksums: list[int] = []
        sha256 = hashlib.sha256()
        while block := file.read(_READ):
            sha256.update(block)
            checksums += [zlib.crc32(block[start : start + BLOCK]) for start in range(0, len(block), BLOCK)]
        size = file.tell()
        content = {"sha256": sha256.hexdigest(), "attributes": attributes, "arrays": arrays}
        sealed = np.array(checksums, "<u4").tobytes() + json.dumps(content, sort_keys=True).encode()
        file.write(sealed + _END.pack(hashlib.sha256(sealed).digest(), size, _MARK))


class Sealed:
    """A sealed file, open for reading.

    Attributes:
        attributes: Those of the root.
        digest: sha256 of the seal, and thus of all that the file holds.

    Raises:
        ActaError: it is missing, has no seal, or its seal is damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ActaError(f"cannot read {path}: {error.strerror}") from None
        self._closed = weakref.finalize(self, os.close, self._file)
        self._size, self.digest, sealed = self._read_seal()
        try:
            content = json.loads(sealed[4 * -(-self._size // BLOCK) :])
            self.attributes: dict[str, str] = dict(content["attributes"])
            self._arrays = {name: self._checked(*about) for name, about in content["arrays"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            raise self._damaged("its seal makes no sense") from None

    def _read_seal(self) -> tuple[int, str, bytes]:
        """The number of HDF5's bytes, the digest, and what it is the digest of."""
        whole = os.fstat(self._file).st_size
        last = whole - _END.size
        end = self._bytes(last, _END.size).tobytes() if last >= 0 else b""
        if not end.endswith(_MARK):
            if self._bytes(0, min(whole, 4)).tobytes() != b"\x89HDF":
                raise ActaError(f"cannot read {self.path}: it is no HDF5 file")
            raise self._damaged("its end has no seal, so it was cut short, changed, or made by another program")
        digest, size, _ = _END.unpack(end)
        sealed = self._bytes(size, last - size).tobytes() if size < last else b""
        if hashlib.sha256(sealed).digest() != digest:
            raise self._damaged("its seal is not the one that was written")
        return size, digest.hex(), sealed

    def _checked(self, kind: str, shape: list[int], place: int) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        dtype = np.dtype(kind)
        bad = dtype.kind not in "biufS" or not shape or min([*shape, place]) < 0
        if bad or place + dtype.itemsize * math.prod(shape) > self._size:
            raise ValueError(kind)
        return dtype, tuple(shape), place

    def array(self, name: str) -> "Array":
        """An array by its name, such as ``frames/time``.

        Raises:
            ActaError: there is none.
        """
        if name not in self._arrays:
            raise ActaError(f"{self.path} has no {name}; {make_again(self.path)}")
        return Array(self, *self._arrays[name])

    def attribute(self, name: str) -> str:
        """An attribute of the root.

        Raises:
            ActaError: there is none.
        """
        if name not in self.attributes:
            raise ActaError(f"{self.path} has no attribute {name}; {make_again(self.path)}")
        return self.attributes[name]

    def read(self, start: int, stop: int) -> np.ndarray:
        """HDF5's bytes ``start:stop``, uint8, after their blocks were checked.

        Raises:
            ActaError: a block is not as it was written.
        """
        first, last = start // BLOCK, -(-stop // BLOCK)
        low = first * BLOCK
        blocks = self._bytes(low, min(last * BLOCK, self._size) - low)
        checksums = self._bytes(self._size + 4 * first, 4 * (last - first)).view("<u4").tolist()
        for number, checksum in enumerate(checksums):
            if zlib.crc32(blocks.data[number * BLOCK : (number + 1) * BLOCK]) != checksum:
                place = low + number * BLOCK
                raise self._damaged(f"its bytes {place} to {min(place + BLOCK, self._size) - 1} are not those written")
        content = blocks[start - low : stop - low]
        # A copy lets go of the blocks around a few rows; and no array may begin between two words of memory.
        return content.copy() if 2 * len(content) < len(blocks) or (start - low) % 8 else content

    def _bytes(self, start: int, count: int) -> np.ndarray:
        content = np.empty(max(0, count), np.uint8)
        done = 0
        while done < count:
            try:
                got = os.preadv(self._file, [content.data[done:]], start + done)
            except OSError as error:
                raise ActaError(f"cannot read {self.path}: {error.strerror}") from None
            if not got:
                raise self._damaged("it was cut short while it was read")
            done += got
        return content

    def _damaged(self, why: str) -> ActaError:
        return ActaError(f"{self.path} is damaged: {why}; {make_again(self.path)}")

    def close(self) -> None:
        self._closed()


@dataclass(frozen=True)
class Array:
    """An array in a sealed file, which is read by slices of its first axis, ``array[a:b]``."""

    file: Sealed
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    place: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, step = rows.indices(len(self))
        assert step == 1, "rows in a row only"
        stop = max(start, stop)
        width = self.dtype.itemsize * math.prod(self.shape[1:])
        content = self.file.read(self.place + start * width, self.place + stop * width)
        return content.view(self.dtype).reshape(stop - start, *self.shape[1:])

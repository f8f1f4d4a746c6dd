"""Arrays of numbers from MATLAB's files of version 5, in bounded memory; scipy's reader crashes on damaged files.

After a header of 128 bytes come elements: a type, a number of bytes, and the bytes, padded to eight. An array is an
element of four others: flags with its class, dimensions, name, numbers. It may be packed with zlib in an element.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.runtime.errors import ActaError

_MOST_BYTES = 2**28  # of a file's unpacked content; J-HMDB's masks have 3 MB, or 25 MB as doubles
_ARRAY, _PACKED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_COMPLEX = 0x800
_NUMBERS = range(6, 16)  # classes of arrays, from double to uint64
_FILES = {b"\0\1IM": "<", b"\1\0MI": ">"}  # version and byte order at the end of the header


def read_array(path: Path, name: str) -> np.ndarray:
    """The array of numbers with this name in a file; like all of MATLAB's it has two dimensions or more.

    Raises:
        ActaError: the file is missing, damaged, of another version or too large, or has no such array.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ActaError(f"cannot read {path}: {error.strerror}") from None
    order = _FILES.get(content[124:128])
    if order is None:
        raise ActaError(f"cannot read {path}: it is not a MATLAB file of version 5; in MATLAB, save it with -v7")
    try:
        for kind, data in _elements(memoryview(content)[128:], order):
            array = _array(data if kind == _ARRAY else _unpacked(data, path, order), order, name, path)
            if array is not None:
                return array
    except (struct.error, zlib.error, ValueError) as error:
        raise ActaError(f"cannot read {path}: it is damaged: {error}") from None
    raise ActaError(f"{path} holds no {name!r}")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Types and bytes of successive elements."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # up to four bytes are stored right after their number
            kind, size, begin, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            begin = place + 8
            end = begin + size + (0 if kind == _PACKED else -size % 8)
        if begin + size > len(data) or begin + size > end:
            raise ValueError("an element does not end")
        yield kind, data[begin : begin + size]
        place = end


def _unpacked(data: memoryview, path: Path, order: str) -> memoryview:
    """The bytes of the array in a packed element."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, _MOST_BYTES)
    if unpacker.unconsumed_tail:
        raise ActaError(f"{path} unpacks to more than {_MOST_BYTES // 2**20} MB, which no mask has")
    kind, array = next(_elements(memoryview(content), order), (0, memoryview(b"")))
    if kind != _ARRAY:
        raise ValueError("a packed element holds no array")
    return array


def _array(data: memoryview, order: str, name: str, path: Path) -> np.ndarray | None:
    """The array of an element, if it has this name."""
    parts = _elements(data, order)
    flags, dimensions, called = (next(parts, (0, memoryview(b"")))[1] for _ in range(3))
    if bytes(called) != name.encode():
        return None
    flag = struct.unpack_from(f"{order}I", flags)[0]
    number, content = next(parts, (0, memoryview(b"")))
    if flag & _COMPLEX or flag & 0xFF not in _NUMBERS or number not in _TYPES:
        raise ActaError(f"{path}: {name} holds no numbers")
    shape = np.frombuffer(dimensions, f"{order}i4").tolist()
    values = np.frombuffer(content, f"{order}{_TYPES[number]}")
    if min(shape, default=0) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"{name} has {len(values)} numbers for the shape {shape}")
    return values.reshape(shape, order="F")

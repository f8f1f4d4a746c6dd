"""How long a file must be by what its outermost elements say: a truncated one ends earlier."""

from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # RFC 8794, RFC 9559
_MAX_BOXES = 1_000_000


def announced_size(path: Path | str) -> int | None:
    """Bytes that a Matroska, WebM or MP4 file announces; None where it is another or does not say.

    A live recording does not say; MP4 boxes (ISO/IEC 14496-12) are followed to the end of the file.
    """
    with Path(path).open("rb") as file:
        head = file.read(12)
        if head.startswith(_EBML):
            return _matroska(file)
        return _boxes(file) if head[4:8] == b"ftyp" else None


def _matroska(file: BinaryIO) -> int | None:
    file.seek(len(_EBML))
    header = _element_size(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return None
    size = _element_size(file)
    return None if size is None else file.tell() + size


def _element_size(file: BinaryIO) -> int | None:
    """A variable-length size: as many leading zero bits as bytes follow; all ones: unknown."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 9
    rest = file.read(length - 1)
    if length > 8 or len(rest) < length - 1:
        return None
    bits = 7 * length
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _boxes(file: BinaryIO) -> int | None:
    end = file.seek(0, 2)
    place = 0
    for _ in range(_MAX_BOXES):
        file.seek(place)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or not head[4:8].isalnum():
            return None  # to the end of the file, or no box
        place += size
        if place >= end:
            return place
    return None

"""What is missing from a video file by its outer structure: FFmpeg steps over gaps and stops early without a word.

Each container has a walker that goes from element to element and looks at no picture. None refuses a doubtful file.
"""

import mmap
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

_MAX_BOXES = 1_000_000
_ZEROS = re.compile(rb"\0*")

_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"  # RFC 8794, RFC 9559
_GLOBAL = {b"\xec", b"\xbf", b"\x1b\x53\x86\x67"}  # Void, CRC-32, signatures
_LEVEL_1 = {
    *_GLOBAL,
    _CLUSTER,
    b"\x11\x4d\x9b\x74",  # SeekHead
    b"\x15\x49\xa9\x66",  # Info
    b"\x16\x54\xae\x6b",  # Tracks
    b"\x1c\x53\xbb\x6b",  # Cues
    b"\x19\x41\xa4\x69",  # Attachments
    b"\x10\x43\xa7\x70",  # Chapters
    b"\x12\x54\xc3\x67",  # Tags
}
# Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock
_IN_CLUSTER = {*_GLOBAL, b"\xe7", b"\x58\x54", b"\xa7", b"\xab", b"\xa3", b"\xa0", b"\xaf"}

_CHUNK = re.compile(rb"[0-9A-Za-z_ ]{4}")
UNFINISHED = 1 << 30  # frames; what FFmpeg announces in an AVI file in which it cannot go back
_TABLES = (b"hdrl", b"strl", b"movi", b"rec ")
_UNSAID = (0, 0xFFFFFFFF)  # sizes of a RIFF file that was never finished

_OGG_PAGE = struct.Struct("<4sBBqIIIB")  # RFC 3533
_OGG_SUM = slice(22, 26)
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_OGG_FIRST, _OGG_LAST = 2, 4

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")

_SYNC = 0x47
_TRANSPORT = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and its mark's place: broadcast, Blu-ray, with parity
_MARKS = 5  # that make a file MPEG-TS
_AT_ONCE = 65536  # packets


def damage(path: Path | str) -> str | None:
    """Why a file is not whole, such as "truncated: 11563 of 19273 bytes are there"; None where nothing says so.

    Matroska (RFC 9559), MP4 (ISO/IEC 14496-12), AVI with OpenDML, Ogg (RFC 3533), GIF89a, FLV 10, ASF and MPEG-TS
    (ISO/IEC 13818-1) are followed; of any other file nothing is known. Trailing zeros are padding where no size
    contradicts, and so is whatever follows the announced end.
    """
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walker(data)(data)
    except (OSError, ValueError):  # it cannot be read, or is empty
        return None


def _walker(data: mmap.mmap) -> Callable[[mmap.mmap], str | None]:
    head = data[:16]
    if head.startswith(_EBML):
        return _matroska
    if head[4:8] == b"ftyp":
        return _mp4
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi
    begins = {b"OggS": _ogg, b"GIF8": _gif, b"FLV\1": _flv, _ASF: _asf}
    return next((walker for mark, walker in begins.items() if head.startswith(mark)), _transport)


def _truncated(stored: int, announced: int, said: str = "") -> str:
    return f"truncated: {stored} of {said}{announced} bytes are there"


def _padded(data: mmap.mmap, place: int) -> bool:
    """Only zeros follow."""
    return _past_zeros(data, place) == len(data)


def _past_zeros(data: mmap.mmap, place: int) -> int:
    zeros = _ZEROS.match(data, place)
    assert zeros is not None
    return zeros.end()


def _element(data: mmap.mmap, place: int) -> tuple[bytes, int, int | None] | None:
    """ID of an EBML element, where its content begins, and that one's size (None: unknown); None: there is none."""
    head = data[place : place + 12]
    width = 9 - head[0].bit_length() if head else 9
    if width > 4 or len(head) <= width:
        return None
    # As many leading zero bits as bytes follow; all ones: unknown.
    length = 9 - head[width].bit_length()
    if length > 8 or len(head) < width + length:
        return None
    unknown = (1 << 7 * length) - 1
    size = int.from_bytes(head[width : width + length], "big") & unknown
    return head[:width], place + width + length, None if size == unknown else size


def _matroska(data: mmap.mmap) -> str | None:
    header = _element(data, 0)
    if header is None or header[2] is None:
        return None
    segment = _element(data, header[1] + header[2])
    if segment is None or segment[0] != _SEGMENT:
        return None
    _, place, size = segment
    if size is None:
        return _elements(data, place, None)
    if place + size > len(data):
        return _truncated(len(data), place + size)
    return _elements(data, place, place + size)


def _elements(data: mmap.mmap, place: int, announced: int | None) -> str | None:
    """Follow the elements of a Segment and the children of its Clusters; a live recording announces no end."""
    end = len(data) if announced is None else announced
    outer = _LEVEL_1 if announced is not None else {*_LEVEL_1, _EBML, _SEGMENT}  # another recording may follow
    allowed, limit = outer, end
    while place < end:
        if place == limit:
            allowed, limit = outer, end
        element = _element(data, place)
        if (
            element is None
            or element[0] not in allowed
            or (element[2] is None and element[0] not in (_CLUSTER, _SEGMENT))
        ):
            if announced is None and _padded(data, place):
                return None
            if announced is None and element is None and len(data) - place < 12:
                return "truncated: its last element is not whole"
            return f"damaged: no element of Matroska at byte {place}"
        name, start, size = element
        stop = start if size is None else start + size
        if stop > limit:
            if announced is None and limit == end:
                return _truncated(end, stop, "at least ")
            # A Segment's size may be wrong where more follows.
            return None if limit == end < len(data) else f"damaged: the element at byte {place} is too long"
        place = stop
        if name == _CLUSTER:
            place = start
            allowed, limit = (outer | _IN_CLUSTER, end) if size is None else (_IN_CLUSTER, stop)
        elif name == _SEGMENT:
            place, allowed, limit = start, outer, end
        elif name in outer and allowed is not _IN_CLUSTER and name not in _GLOBAL:
            allowed = outer  # a Cluster of unknown size ends here
    return None


def _mp4(data: mmap.mmap) -> str | None:
    end, place = len(data), 0
    for _ in range(_MAX_BOXES):
        head = data[place : place + 16]
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or not head[4:8].isalnum():
            return None  # to the end of the file, or no box
        place += size
        if place >= end:
            return _truncated(end, place) if place > end else None
    return None


def _avi(data: mmap.mmap) -> str | None:
    size = len(data)
    place, end, indexed = 0, 0, False
    streams: list[int] = []  # slots that each announces; only pictures are counted
    slots: dict[bytes, list[int]] = {}  # all and the empty ones that are there
    while place + 8 <= size:
        name = data[place : place + 4]
        if 0 < end <= place and name != b"RIFF":
            break
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        stop = place + 8 + length
        if name == b"RIFF":
            end, indexed = 0 if length in _UNSAID else stop, False
            place += 12
        elif name == b"LIST" and (length in _UNSAID or data[place + 8 : place + 12] in _TABLES):
            place += 12
        elif _CHUNK.match(name):
            if stop > size:
                return _truncated(size, max(stop, end), "" if end >= stop else "at least ")
            indexed = indexed or name == b"idx1"
            if name == b"strh":
                streams.append(
                    int.from_bytes(data[place + 40 : place + 44], "little") * (data[place + 8 : place + 12] == b"vids")
                )
            elif name[:2].isdigit():
                counts = slots.setdefault(name[:2], [0, 0])
                counts[0] += 1
                counts[1] += length == 0
            # Chunks begin at even places, but not those of all writers.
            unpadded = _CHUNK.match(data, stop) and not _CHUNK.match(data, stop + 1)
            place = stop + (length & 1 and not unpadded)
        elif name[0] == 0:
            place = _past_zeros(data, place)
        else:
            return f"damaged: no chunk of AVI at byte {place}"
    # A recorder that crashed leaves a wrong size; who writes the index afterwards has seen the last frame.
    if end > size and not indexed:
        return _truncated(size, end)
    for number, announced in enumerate(streams):
        last, empty = slots.get(b"%02d" % number, (0, 0))
        # At most the mean distance of two pictures may be missing, as writers count the last one differently.
        if announced < UNFINISHED and (announced - last) * (last - empty) > last:
            return f"truncated: {last} of {announced} slots for pictures are there"
    return None


def _ogg(data: mmap.mmap) -> str | None:
    size, place = len(data), 0
    last: dict[int, int] = {}  # number of the last page of each stream that goes on
    played: set[int] = set()  # streams past their headers, between which and the rest a live recording may have begun
    while place < size:
        if data[place : place + 4] != b"OggS":
            if not last:
                return None
            if _padded(data, place):
                break
            return f"damaged: no page of Ogg at byte {place}"
        if size - place < _OGG_PAGE.size:
            return _truncated(size, place + _OGG_PAGE.size, "at least ")
        _, _, flags, granule, stream, number, _, segments = _OGG_PAGE.unpack_from(data, place)
        content = place + _OGG_PAGE.size + segments
        stop = content + sum(data[content - segments : content])
        if stop > size:
            return _truncated(size, stop, "at least ")
        if not _sum_is_right(data[place:stop]):
            return f"damaged: the page of Ogg at byte {place} has another checksum"
        if flags & _OGG_FIRST:
            played.discard(stream)
        elif stream in played and number > last.get(stream, number) + 1:
            return f"damaged: pages of Ogg are missing before byte {place}"
        last[stream] = number
        if granule > 0:
            played.add(stream)
        if flags & _OGG_LAST:
            del last[stream]
        place = stop
    return "truncated: its last page is not marked as the end" if last else None


def _sum_is_right(page: bytes) -> bool:
    """CRC-32 from the highest bit on, from 0: zlib's, which goes from the lowest on, of the reversed bits."""
    blank = page[: _OGG_SUM.start] + bytes(4) + page[_OGG_SUM.stop :]
    checksum = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[_OGG_SUM].translate(_REVERSED) == checksum.to_bytes(4, "big")


def _gif(data: mmap.mmap) -> str | None:
    size = len(data)
    place = 13 + _colours(data[10]) if size > 10 else size
    while place < size:
        kind = data[place]
        if kind == 0x3B:
            return None
        if kind == 0:  # browsers step over it
            place = _past_zeros(data, place)
            continue
        if kind == 0x21:
            place += 2
        elif kind == 0x2C:
            place += 11 + (_colours(data[place + 9]) if place + 9 < size else 0)
        else:
            return f"damaged: no block of GIF at byte {place}"
        while place < size and data[place]:
            place += data[place] + 1
        place += 1
    return "truncated: its end mark is missing"


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _flv(data: mmap.mmap) -> str | None:
    size = len(data)
    first = place = int.from_bytes(data[5:9], "big") + 4
    while place < size:
        length = 11 + int.from_bytes(data[place + 1 : place + 4], "big")
        stop = place + length
        said = int.from_bytes(data[stop : stop + 4], "big")
        whole = stop + 4 <= size
        # Some writers leave out the header, or a byte of it, or the last size.
        if whole and said not in (length, length - 1, max(1, length - 11)):
            if place == first or _padded(data, place):
                return None
            return f"damaged: the tag of FLV at byte {place} does not end at byte {stop}"
        if stop > size:
            return None if _padded(data, place) else _truncated(size, stop, "at least ")
        place = stop + 4
    return None


def _asf(data: mmap.mmap) -> str | None:
    size = len(data)
    header = int.from_bytes(data[16:24], "little")
    if header > size:
        return _truncated(size, header, "at least ")
    place = 30
    while place + 104 <= header:
        name, length = data[place : place + 16], int.from_bytes(data[place + 16 : place + 24], "little")
        if name == _ASF_PROPERTIES:
            announced, packets, flags, packet, most = struct.unpack_from("<Q8xQ24xIII", data, place + 40)
            if flags & 1:  # a broadcast, which announces nothing
                return None
            if announced > size:
                return _truncated(size, announced)
            if data[header : header + 16] != _ASF_DATA or packet != most or not packet:
                return None
            return _asf_packets(data, header + 50, packet, packets)
        place += max(length, 24)
    return None


def _asf_packets(data: mmap.mmap, first: int, packet: int, packets: int) -> str | None:
    """All begin with the same flags of error correction."""
    marks = data[first : min(len(data), first + packet * packets) : packet]
    odd = len(marks) - len(marks.lstrip(marks[:1]))
    return f"damaged: no packet of ASF at byte {first + packet * odd}" if odd < len(marks) else None


def _transport(data: mmap.mmap) -> str | None:
    size = len(data)
    for packet, mark in _TRANSPORT:
        if data[mark : _MARKS * packet : packet] == bytes([_SYNC] * _MARKS):
            break
    else:
        return None
    whole, rest = divmod(size, packet)
    for first in range(0, whole, _AT_ONCE):
        marks = data[first * packet + mark : min(whole, first + _AT_ONCE) * packet : packet]
        synced = len(marks) - len(marks.lstrip(bytes([_SYNC])))
        if synced < len(marks):
            place = (first + synced) * packet
            return None if _padded(data, place) else f"damaged: no packet of MPEG-TS at byte {place}"
    if rest > mark and data[whole * packet + mark] == _SYNC:
        return f"truncated: its last packet has {rest} of {packet} bytes"
    return None

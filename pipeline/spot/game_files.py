"""The folders and zip archives that hold the files of SoccerNet's games."""

import bz2
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path, PurePosixPath
from typing import Self, cast

from pipeline.runtime.errors import ActaError
from pipeline.spot.soccernet_files import LARGEST, bounded, content_of, is_game

NO_ARCHIVE = (OSError, EOFError, ValueError, OverflowError, NotImplementedError, struct.error, zipfile.BadZipFile)
_DAMAGE = (*NO_ARCHIVE, RuntimeError, zlib.error, lzma.LZMAError)
_PIECE = 1 << 20  # bytes inflated at a time
_LEAST = 64 << 20  # bytes of memory that LZMA needs for files written with default options


class GameFiles:
    """The files of the games in a folder or a zip archive; a context manager. ``largest`` is as in `bounded`.

    Raises:
        ActaError: there is neither a folder nor a readable archive at ``path``.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path, self._largest = path, largest
        self._archive: zipfile.ZipFile | None = None
        if not path.is_dir():
            try:
                self._archive = zipfile.ZipFile(path)
            except NO_ARCHIVE as error:
                raise ActaError(f"{path} is neither a folder nor a zip archive: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def games(self, name: str) -> list[str]:
        """The games that have a file ``name``, sorted."""
        if self._archive is None:
            return sorted(path.parent.relative_to(self.path).as_posix() for path in self.path.glob(f"*/*/*/{name}"))
        members = (member.rpartition("/") for member in self._archive.namelist())
        return sorted({game for game, _, its in members if its == name and is_game(game)})

    def instead(self, name: str) -> str:
        """What is there instead of games with a file ``name``, in the words of `found_instead`."""
        if self._archive is not None:
            return found_instead(self._archive.namelist(), name)
        deep = (path for depth in range(1, 6) for path in self.path.glob("*/" * depth + "*.json"))
        return found_instead([path.relative_to(self.path).as_posix() for path in deep], name)

    def read(self, game: str, name: str) -> tuple[bytes, str]:
        """A game's file ``name``, and what to call it in errors.

        Raises:
            ActaError: it is missing or cannot be read, and as for `bounded`.
        """
        if self._archive is None:
            path = self.path / game / name
            return content_of(path, self._largest), str(path)
        member = f"{game}/{name}"
        try:
            entry = self._archive.getinfo(member)
        except KeyError:
            raise ActaError(f"{self.path} holds no {member}") from None
        return read_member(self._archive, entry, self._largest), f"{self.path}: {member}"


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, largest: int = LARGEST) -> bytes:
    """The content of a file in an archive, checked against its checksum.

    ``largest`` is as in `bounded`. It applies to what is inflated, not to the size that the archive states.

    Raises:
        ActaError: it is damaged or encrypted, and as for `bounded`.
    """
    content = bytearray()
    try:
        for piece in _inflated(archive, member, largest + 1):
            content += piece
            if len(content) > largest:
                break
    except _DAMAGE as error:
        raise ActaError(f"{archive.filename}: cannot read {member.filename}: {error}") from None
    return bounded(bytes(content), f"{archive.filename}: {member.filename}", largest)


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo, enough: int) -> Iterator[bytes]:
    """A file's bytes in small pieces, whatever size the archive states: at least ``enough`` of them, or all."""
    if member.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with archive.open(member) as file:
            while piece := file.read(min(_PIECE, enough)):
                yield piece
        return
    # Of these methods zipfile would inflate all that it has read at once, so it only hands out the stored bytes.
    stored = copy(member)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, stored.compress_size
    del stored.CRC
    left, checksum, made = member.file_size, 0, 0
    with archive.open(stored) as opened:
        packed_file = cast("zipfile.ZipExtFile", opened)
        inflater, packed = _inflater(member, packed_file.read1(_PIECE), _LEAST + 4 * enough)
        # Bytes after the file's last one are inflated too, as by zipfile, so that damage there is noticed.
        while made < enough and (packed or not (inflater.needs_input or inflater.eof)):
            piece = inflater.decompress(packed, _PIECE)
            made += len(piece)
            piece = piece[:left]
            left, checksum = left - len(piece), zlib.crc32(piece, checksum)
            yield piece
            packed = packed_file.read1(_PIECE) if left and inflater.needs_input else b""
    if checksum != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")


def _inflater(
    member: zipfile.ZipInfo, packed: bytes, memory: int
) -> tuple[bz2.BZ2Decompressor | lzma.LZMADecompressor, bytes]:
    """A decompressor, within a limit of memory, for a file that begins with these bytes; and its first input."""
    if member.compress_type == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor(), packed
    _, _, count = struct.unpack_from("<BBH", packed)  # version, and size of the properties that follow
    unknown_size = b"\xff" * 8
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memory), packed[4 : 4 + count] + unknown_size + packed[4 + count :]


def found_instead(names: Sequence[str], name: str) -> str:
    """Which of these paths lie elsewhere, or are called otherwise, than ``<league>/<season>/<game>/<name>``; or ""."""
    paths = [PurePosixPath(each) for each in names]
    deeper = [
        path for path in paths if path.name == name and is_game("/".join(path.parts[-4:-1])) and len(path.parts) > 4
    ]
    if deeper:
        within = "/".join(deeper[0].parts[:-4])
        return f"found {len(deeper)} too deep, such as {str(deeper[0])!r}: give what is within {within!r}"
    others = [
        path for path in paths if path.suffix == ".json" and is_game(path.parent.as_posix()) and path.name != name
    ]
    if others:
        other, count = Counter(path.name for path in others).most_common(1)[0]
        example = next(path for path in others if path.name == other)
        return f"found {count} called {other!r}, such as {str(example)!r}: rename them if they are these"
    elsewhere = [path for path in paths if path.name == name]
    if elsewhere:
        return f"found {len(elsewhere)} elsewhere, such as {str(elsewhere[0])!r}"
    return ""

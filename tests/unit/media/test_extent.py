"""How long files say that they are: by hand-made elements, and by real files."""

from pathlib import Path

import pytest

from pipeline.media.extent import announced_size
from tests.clips import ffmpeg, write_clip

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"


def box(kind: bytes, size: int, content: bytes = b"") -> bytes:
    return size.to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (EBML + b"\x82hi" + SEGMENT + b"\x85", 12 + 5),  # sizes of one byte
        (EBML + b"\x82hi" + SEGMENT + b"\x40\x05", 13 + 5),
        (EBML + b"\x82hi" + SEGMENT + b"\x01" + bytes(6) + b"\x09", 19 + 9),  # of eight
        (EBML + b"\x40\x02hi" + SEGMENT + b"\x85", 13 + 5),
        (EBML + b"\x82hi" + SEGMENT + b"\x01" + b"\xff" * 7, None),  # a live recording
        (EBML + b"\x82hi" + SEGMENT + b"\xff", None),
        (EBML + b"\xff" + SEGMENT + b"\x85", None),
        (EBML + b"\x82hi" + SEGMENT + b"\x00" + bytes(8), None),  # no such length
        (EBML + b"\x82hi" + SEGMENT, None),  # ends before its size
        (EBML + b"\x82hi" + SEGMENT + b"\x01\x00", None),
        (EBML + b"\x82hi" + b"else" + b"\x85", None),
        (box(b"ftyp", 16, bytes(8)) + box(b"mdat", 40, bytes(8)), 56),
        (box(b"ftyp", 16, bytes(8)) + box(b"mdat", 16, bytes(8)), 32),
        (box(b"ftyp", 16, bytes(8)) + box(b"mdat", 1, (1 << 33).to_bytes(8, "big")), 16 + (1 << 33)),
        (box(b"ftyp", 16, bytes(8)) + box(b"mdat", 0, bytes(8)), None),  # to the end of the file
        (box(b"ftyp", 16, bytes(8)) + box(b"mdat", 7, bytes(8)), None),
        (box(b"ftyp", 16, bytes(8)) + box(b"\0\0\0\0", 40, bytes(8)), None),
        (box(b"ftyp", 16, bytes(8)), 16),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"", None),
    ],
)
def test_announced_size(tmp_path, content, expected):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert announced_size(path) == expected


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4", ".mov"])
def test_real_files_are_as_long_as_they_say(tmp_path, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", codec="libvpx-vp9" if suffix == ".webm" else "libx264")
    assert announced_size(path) == path.stat().st_size


def test_fragments_are_followed_to_the_last(tmp_path):
    path: Path = tmp_path / "fragments.mp4"
    ffmpeg("-i", write_clip(tmp_path / "clip.mp4"), "-c", "copy", "-movflags", "frag_every_frame+empty_moov", path)
    assert announced_size(path) == path.stat().st_size

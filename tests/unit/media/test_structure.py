"""What is missing of files: by hand-made elements, and by real files that were cut, overwritten and shortened."""

import io
import struct
from pathlib import Path

import pytest

from pipeline.media.probe import probe
from pipeline.media.structure import damage
from pipeline.runtime.errors import VideoError
from tests.clips import ffmpeg, write_clip

EBML, SEGMENT, CLUSTER, VOID, BLOCK = (
    b"\x1a\x45\xdf\xa3\x82hi",
    b"\x18\x53\x80\x67",
    b"\x1f\x43\xb6\x75",
    b"\xec",
    b"\xa3",
)
LIVE = EBML + SEGMENT + b"\xff"
RUN = b"\x82xy"  # a content of two bytes and its size


def box(kind: bytes, size: int, content: bytes = b"") -> bytes:
    return size.to_bytes(4, "big") + kind + content


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def avi(pictures: bytes, announced: int = 2, riff: int | None = None) -> bytes:
    header = chunk(b"strh", b"vids" + bytes(28) + struct.pack("<I", announced))
    lists = chunk(b"LIST", b"hdrl" + chunk(b"LIST", b"strl" + header)) + chunk(b"LIST", b"movi" + pictures)
    return chunk(b"RIFF", b"AVI " + lists, riff)


def tag(content: bytes, size: int | None = None) -> bytes:
    head = b"\x09" + len(content).to_bytes(3, "big") + bytes(7) + content
    return head + (len(head) if size is None else size).to_bytes(4, "big")


FLV = b"FLV\x01\x01" + (9).to_bytes(4, "big") + bytes(4)
GIF = b"GIF89a" + bytes(4) + b"\x80\0\0" + bytes(6)
IMAGE = b"\x2c" + bytes(9) + b"\x02" + b"\x02ab\x00"
PICTURE = chunk(b"00dc", b"abcd")
FTYP = box(b"ftyp", 16, bytes(8))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (EBML + SEGMENT + b"\x83" + VOID + b"\x81x", None),
        (EBML + SEGMENT + b"\x40\x03" + VOID + b"\x81x", None),
        (EBML + SEGMENT + b"\x01" + bytes(6) + b"\x03" + VOID + b"\x81x" + b"whatever follows", None),
        (EBML + SEGMENT + b"\x85" + VOID + b"\x81x", "truncated: 15 of 17 bytes are there"),
        (EBML + SEGMENT + b"\x83\0\x81x", "damaged: no element of Matroska at byte 12"),
        (EBML + SEGMENT + b"\x83" + VOID + b"\x82x", "damaged: the element at byte 12 is too long"),
        (EBML + SEGMENT + b"\x85" + VOID + b"\x84abcd", None),  # a Segment's size may be wrong where more follows
        (
            EBML + SEGMENT + b"\x88" + CLUSTER + b"\x83" + BLOCK + b"\x82x",
            "damaged: the element at byte 17 is too long",
        ),
        (EBML + SEGMENT + b"\x89" + CLUSTER + b"\x84" + BLOCK + RUN, None),
        (EBML + SEGMENT + b"\x89" + CLUSTER + b"\x84\0" + RUN, "damaged: no element of Matroska at byte 17"),
        (LIVE + CLUSTER + b"\xff" + BLOCK + RUN + CLUSTER + b"\x84" + BLOCK + RUN, None),
        (LIVE + CLUSTER + b"\x84" + BLOCK + RUN + bytes(20), None),  # padding
        (LIVE + CLUSTER + b"\xff" + BLOCK + RUN + LIVE + VOID + RUN, None),  # another recording
        (LIVE + CLUSTER + b"\xff" + BLOCK + b"\x82x", "truncated: 20 of at least 21 bytes are there"),
        (LIVE + CLUSTER + b"\x88" + BLOCK + RUN, "truncated: 21 of at least 25 bytes are there"),
        (LIVE + BLOCK + RUN + bytes(20), "damaged: no element of Matroska at byte 12"),  # outside of a Cluster
        (LIVE + VOID + b"\xff" + bytes(9) + b"x", "damaged: no element of Matroska at byte 12"),
        (LIVE + CLUSTER[:3], "truncated: its last element is not whole"),
        (EBML + SEGMENT, None),
        (EBML + b"else\x85", None),
        (b"\x1a\x45\xdf\xa3\xff" + SEGMENT, None),
        (FTYP + box(b"mdat", 40, bytes(8)), "truncated: 32 of 56 bytes are there"),
        (FTYP + box(b"mdat", 16, bytes(8)), None),
        (FTYP + box(b"mdat", 1, (1 << 33).to_bytes(8, "big")), f"truncated: 32 of {16 + (1 << 33)} bytes are there"),
        (FTYP + box(b"mdat", 0, bytes(8)), None),  # to the end of the file
        (FTYP + box(b"\0\0\0\0", 40, bytes(8)), None),
        (avi(PICTURE * 2), None),
        (avi(PICTURE * 2) + b"whatever follows", None),
        (avi(PICTURE * 2, riff=0), None),
        (avi(PICTURE * 2, riff=0xFFFFFFFF, announced=1 << 30), None),
        (avi(PICTURE * 2, riff=500), "truncated: 116 of 508 bytes are there"),
        (avi(PICTURE * 2 + chunk(b"idx1", b""), riff=500), None),
        (avi(chunk(b"LIST", b"rec " + PICTURE * 2)), None),
        (avi(chunk(b"00dc", b"abc") + b"\0" + PICTURE), None),
        (avi(chunk(b"00dc", b"abc") + PICTURE), None),  # not padded
        (avi(PICTURE + bytes(12) + PICTURE), None),
        (avi(PICTURE + b"\xff" * 12 + PICTURE), "damaged: no chunk of AVI at byte 104"),
        (avi(PICTURE + chunk(b"00dc", b"", 999), riff=0), "truncated: 112 of at least 1111 bytes are there"),
        (avi(PICTURE * 4, 5), None),
        (avi(PICTURE * 4, 6), "truncated: 4 of 6 slots for pictures are there"),
        (avi(PICTURE * 2 + chunk(b"00dc", b"") * 4, 6), None),
        (avi(PICTURE * 2 + chunk(b"00dc", b"") * 4, 9), None),
        (avi(PICTURE * 2 + chunk(b"00dc", b"") * 4, 10), "truncated: 6 of 10 slots for pictures are there"),
        (GIF + IMAGE + b"\x3b", None),
        (GIF + b"\x21\xf9\x04" + bytes(4) + b"\0\0\0" + IMAGE + b"\x3b" + bytes(9), None),
        (GIF + b"\x21\xfe\x02hi\0\0\0" + IMAGE + b"\x3bmore", None),
        (GIF + IMAGE, "truncated: its end mark is missing"),
        (GIF + IMAGE[:-3], "truncated: its end mark is missing"),
        (GIF + IMAGE + b"\x07", "damaged: no block of GIF at byte 34"),
        (GIF[:8], "truncated: its end mark is missing"),
        (FLV + tag(b"abc") + tag(b"de"), None),
        (FLV + tag(b"abc") + tag(b"de", 0), "damaged: the tag of FLV at byte 31 does not end at byte 44"),
        (FLV + tag(b"abc") + tag(b"de", 2) + tag(b"de", 12), None),  # sizes that some write
        (FLV + tag(b"abc", 77) + tag(b"de"), None),
        (FLV + tag(b"abc") + tag(b"de")[:-4], None),
        (FLV + tag(b"abc") + tag(b"de")[:-5], "truncated: 43 of at least 44 bytes are there"),
        (FLV + tag(b"abc") + bytes(40), None),
        (b"FLV\x01" + b"\xff" * 20, None),
        (b"ID3\x04" + bytes(40), None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_damage(tmp_path, content, expected):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert damage(path) == expected


@pytest.mark.parametrize(
    "beginning", [EBML + SEGMENT + b"\xff", avi(PICTURE)[:90], FLV, GIF, FTYP, b"OggS", b"G" * 900]
)
def test_no_bytes_raise(tmp_path, beginning):
    for seed in range(1, 40):
        noise = bytes(i * i * seed % 251 for i in range(400))
        (tmp_path / "file").write_bytes(beginning + noise[: seed * 10])
        damage(tmp_path / "file")


REAL = {
    "a.mkv": ("-c:v", "mpeg4"),
    "live.mkv": ("-c:v", "mpeg4", "-live", "1", "-cluster_time_limit", "500"),
    "a.webm": ("-c:v", "libvpx"),
    "a.avi": ("-c:v", "mpeg4"),
    "a.ogv": ("-c:v", "libtheora", "-page_duration", "300000"),
    "a.gif": (),
    "a.flv": ("-c:v", "flv"),
    "a.wmv": ("-c:v", "wmv2"),
    "a.ts": ("-c:v", "mpeg2video"),
    "a.m2ts": ("-c:v", "mpeg2video"),
}
SIZES = {".ts": 188, ".m2ts": 192}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("real")
    clip = write_clip(folder / "clip.mp4", frames=40)
    for name, options in REAL.items():
        ffmpeg("-i", clip, "-g", "10", *options, folder / name)
    return {name: folder / name for name in REAL}


@pytest.mark.parametrize("name", REAL)
def test_a_whole_file_passes(real, tmp_path, name):
    assert damage(real[name]) is None
    assert probe(real[name]).frames in (40, 41)  # GIF and Theora may repeat one
    padded = tmp_path / name
    padded.write_bytes(real[name].read_bytes() + bytes(1000))
    assert damage(padded) is None


@pytest.mark.parametrize("share", [0.4, 0.6, 0.97])
@pytest.mark.parametrize("name", REAL)
def test_a_cut_file_is_refused(real, tmp_path, name, share):
    content = real[name].read_bytes()
    length = int(len(content) * share)
    packet = SIZES.get(real[name].suffix)
    if packet:
        length = length // packet * packet + 75  # a cut between two packets is not seen
    (tmp_path / name).write_bytes(content[:length])
    assert (damage(tmp_path / name) or "").startswith("truncated: ")
    with pytest.raises(VideoError):
        probe(tmp_path / name)


@pytest.mark.parametrize("name", REAL)
def test_a_hole_and_lost_bytes_are_noticed(real, tmp_path, name):
    content, damaged = real[name].read_bytes(), tmp_path / name
    middle, length = len(content) // 2, len(content) // 4
    damaged.write_bytes(content[:middle] + bytes(length) + content[middle + length :])
    assert (damage(damaged) or "").startswith(("damaged: ", "truncated: "))
    damaged.write_bytes(content[:middle] + content[middle + 301 :])
    assert (damage(damaged) or "").startswith(("damaged: ", "truncated: "))


def test_every_bit_of_ogg_is_summed(real, tmp_path):
    content = bytearray(real["a.ogv"].read_bytes())
    place = content.rindex(b"OggS", 0, len(content) * 2 // 3)
    content[place + 200] ^= 1
    (tmp_path / "a.ogv").write_bytes(content)
    assert damage(tmp_path / "a.ogv") == f"damaged: the page of Ogg at byte {place} has another checksum"


def test_a_lost_page_and_a_lost_end(real, tmp_path):
    content = real["a.ogv"].read_bytes()
    pages = [b"OggS" + page for page in content.split(b"OggS")[1:]]
    lost = b"".join(pages[:-2])
    (tmp_path / "a.ogv").write_bytes(lost + pages[-1])
    assert damage(tmp_path / "a.ogv") == f"damaged: pages of Ogg are missing before byte {len(lost)}"
    (tmp_path / "a.ogv").write_bytes(lost)
    assert damage(tmp_path / "a.ogv") == "truncated: its last page is not marked as the end"


def test_transport_packets(real, tmp_path):
    content = real["a.ts"].read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(content[: 188 * 20 + 75])
    assert damage(path) == "truncated: its last packet has 75 of 188 bytes"
    path.write_bytes(content[: 188 * 20 - 1] + content[188 * 20 :])
    assert damage(path) == "damaged: no packet of MPEG-TS at byte 3760"
    path.write_bytes(content[: 188 * 20])
    assert damage(path) is None
    with_parity = io.BytesIO()
    for place in range(0, 188 * 20, 188):
        with_parity.write(content[place : place + 188] + bytes(16))
    path.write_bytes(with_parity.getvalue()[:-20])
    assert damage(path) == "truncated: its last packet has 184 of 204 bytes"


def test_sizes_that_a_pipe_leaves_open(real, tmp_path):
    for name, form in (("a.mkv", "matroska"), ("a.avi", "avi"), ("a.flv", "flv"), ("a.wmv", "asf"), ("a.ogv", "ogg")):
        path = tmp_path / name
        ffmpeg("-i", real[name], "-c", "copy", "-f", form, "-seekable", "0", path)
        assert damage(path) is None
        assert probe(path).frames in (40, 41)


def test_frames_are_named(real, tmp_path):
    content = real["a.avi"].read_bytes()
    (tmp_path / "a.avi").write_bytes(content[: content.index(b"00dc", len(content) * 6 // 10)])
    with pytest.raises(VideoError, match=r"^truncated: \d+ of \d+ bytes are there, \d+ of 40 frames$"):
        probe(tmp_path / "a.avi")


def test_a_twentieth_less_than_announced_is_missing(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", frames=200)
    ffmpeg("-i", clip, "-c", "copy", tmp_path / "a.flv")
    content = (tmp_path / "a.flv").read_bytes()
    place, ends = 13, []
    while place < len(content):
        place += 15 + int.from_bytes(content[place + 1 : place + 4], "big")
        ends.append(place)
    (tmp_path / "a.flv").write_bytes(content[: ends[-12]])
    assert damage(tmp_path / "a.flv") is None
    with pytest.raises(VideoError, match=r"^truncated: 1\d\.\d\d of 20\.\d\d seconds are there$"):
        probe(tmp_path / "a.flv")


def page(number: int, *, flags: int = 0, granule: int = 1, content: bytes = b"ab") -> bytes:
    """A page of Ogg; its checksum bit by bit, as RFC 3533 has it."""
    head = struct.pack("<4sBBqIIIBB", b"OggS", 0, flags, granule, 7, number, 0, 1, len(content))
    checksum = 0
    for byte in head + content:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum >> 31 else 0)) & 0xFFFFFFFF
    return head[:22] + struct.pack("<I", checksum) + head[26:] + content


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([page(0, flags=2, granule=0), page(1, flags=4)], None),
        ([page(0, flags=2, granule=0), page(1)], "truncated: its last page is not marked as the end"),
        ([page(0, flags=2, granule=0), page(5), page(6, flags=4)], None),  # a live recording begun in the middle
        ([page(0, flags=2), page(1), page(3, flags=4)], "damaged: pages of Ogg are missing before byte 60"),
        ([page(0, flags=2), page(1), page(1, flags=4)], None),
        ([page(0, flags=2), page(1, flags=4), page(0, flags=2), page(1, flags=4)], None),  # one after the other
        ([page(4, flags=2), page(5, flags=4)], None),
        ([page(0, flags=2), page(1, flags=4), bytes(100)], None),
        ([page(0, flags=2), page(1, flags=4), b"x"], None),  # after the end
        ([page(0, flags=2), b"x", page(1, flags=4)], "damaged: no page of Ogg at byte 30"),
        ([page(0, flags=2), page(1, flags=4)[:-1]], "truncated: 59 of at least 60 bytes are there"),
        ([page(0, flags=2), page(1, flags=4)[:20]], "truncated: 50 of at least 57 bytes are there"),
        (
            [page(0, flags=2), page(1, flags=4).replace(b"ab", b"ac")],
            "damaged: the page of Ogg at byte 30 has another checksum",
        ),
    ],
)
def test_pages_of_ogg(tmp_path, pages, expected):
    path = tmp_path / "file"
    path.write_bytes(b"".join(pages))
    assert damage(path) == expected

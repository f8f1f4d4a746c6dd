"""Of kept subtitles stay the text and its times, of kept sound no comments: nothing else of headers and packets."""

import struct
from pathlib import Path

import av
import pytest

from pipeline.media.sound_headers import plain_header
from pipeline.media.subtitles import plain_text, plain_track
from tests.clips import ffmpeg, write_clip
from tests.unit.media.recordings import copy, packets

ASS = """\
[Script Info]
; comment of Jane
Title: Jane at home
Original Script: Jane
[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Jane,Janefont,20
[Fonts]
fontname: jane.ttf
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:00.10,Jane,Jane,0,0,0,,Jane told me
Dialogue: 3,0:00:00.20,0:00:00.50,Jane,Jane,1,2,3,Jane,{Jane whispers}hello, {\\i1}you{\\i0}
Dialogue: 0,0:00:00.60,0:00:00.70,Jane,,0,0,0,,{\\p1}m 0 0 l 9 9
"""
FOR_MOV_TEXT = ASS.replace("{Jane whispers}", "")  # of which FFmpeg makes text
VTT = """\
WEBVTT Jane

NOTE Jane

STYLE
::cue(Jane) {}

Jane
00:00:00.200 --> 00:00:00.500 line:1
<v Jane>hello, <i>you</i></v>
"""
SRT = '1\n00:00:00,200 --> 00:00:00,500\n<font face="Jane">hello, </font>{\\an8}<i>you</i>\n'


@pytest.mark.parametrize(
    ("words", "suffix", "codec", "containers", "kept"),
    [
        (ASS, "ass", "ass", ("mkv",), b"0,0,Default,,0,0,0,,hello, you"),
        (FOR_MOV_TEXT, "ass", "mov_text", ("mp4", "mov"), b"\0\nhello, you"),
        (VTT, "vtt", "webvtt", ("mkv", "webm"), b"hello, you"),
        (SRT, "srt", "subrip", ("mkv",), b"hello, you"),
        (SRT, "srt", "mov_text", ("mp4", "mov"), b"\0\nhello, you"),
    ],
)
def test_text_and_times_stay_and_nothing_that_names_somebody(
    tmp_path: Path, words: str, suffix: str, codec: str, containers: tuple[str, ...], kept: bytes
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=10)
    (tmp_path / f"words.{suffix}").write_text(words)
    source = tmp_path / f"in.{'mp4' if codec == 'mov_text' else 'mkv'}"
    ffmpeg(
        "-i", clip, "-i", tmp_path / f"words.{suffix}", "-map", "0", "-map", "1", "-c:v", "copy", "-c:s", codec, source
    )
    for container in containers:
        output = tmp_path / f"out.{container}"
        copy(source, output, keep={"subtitles"})
        assert b"Jane" not in output.read_bytes()
        assert b"janefont" not in output.read_bytes().lower()
        with av.open(str(output)) as file:
            [stream] = file.streams.subtitles
            times = [
                (round(float(packet.pts * packet.time_base), 3), round(float(packet.duration * packet.time_base), 3))
                for packet in file.demux(stream)
                if packet.size > 2
            ]
        found = [data for data in packets(output, "subtitles") if len(data) > 2]  # else a pause of mov_text
        assert (found[0], times[0]) == (kept, (0.2, 0.3))
        assert len(found) == (2 if words == FOR_MOV_TEXT else 1)  # FFmpeg made a text of the drawing


def test_the_header_of_a_converted_text_is_read_by_ffmpeg_as_text(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=10)
    for suffix, words, codec in (("ass", ASS, "ass"), ("srt", SRT, "mov_text")):
        (tmp_path / f"words.{suffix}").write_text(words)
        source, output = (tmp_path / f"{name}.{'mkv' if codec == 'ass' else 'mp4'}" for name in ("in", "out"))
        ffmpeg("-i", clip, "-i", tmp_path / f"words.{suffix}", "-map", "0", "-map", "1", "-c:s", codec, source)
        copy(source, output, keep={"subtitles"})
        ffmpeg("-i", output, "-map", "0:s", "-c:s", "srt", tmp_path / "back.srt")
        number, times, text, *_ = (tmp_path / "back.srt").read_text().split("\n")
        assert (number, times) == ("1", "00:00:00,200 --> 00:00:00,500")
        assert text in ("hello, you", '<font face="Serif" size="18">hello, you</font>')


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"7,2,Style,Name,1,2,3,Effect,text, with commas", b"7,0,Default,,0,0,0,,text, with commas"),
        (b"7,2,Style,Name,1,2,3,Effect,{a}one {b}two {unclosed", b"7,0,Default,,0,0,0,,one two {unclosed"),
        (b"7,2,Style,Name,1,2,3,Effect,one\\Ntwo", b"7,0,Default,,0,0,0,,one\\Ntwo"),
        (b"7,2,Style,Name,1,2,3,Effect,{\\bord2\\p4}m 1 2", None),
        (b"7,2,Style,Name,1,2,3,Effect,{\\pos(1,2)}here", b"7,0,Default,,0,0,0,,here"),
        (b"7,2,Style,Name,1,2,3,Effect,{\\p0}here", b"7,0,Default,,0,0,0,,here"),
        (b"7,2,Style,Name,1,2,3,Effect,{only a note}", None),
        (b"7,2,Style,Name,1,2,3,too few", None),
        (b"x,2,Style,Name,1,2,3,Effect,no number", None),
        (b"", None),
    ],
)
def test_a_line_of_ass(data: bytes, kept: bytes | None) -> None:
    assert plain_text("ass", data) == kept


@pytest.mark.parametrize(
    ("codec", "data", "kept"),
    [
        ("mov_text", b"\0\2hi" + struct.pack(">I4s", 12, b"href") + b"Jane", b"\0\2hi"),
        ("mov_text", b"\0\0", b"\0\0"),
        ("mov_text", b"\1\0" + b"a" * 256 + b"Jane", b"\1\0" + b"a" * 256),
        ("mov_text", b"\0", None),
        ("subrip", b"a <b>c</b> < d > 2 <3", b"a c < d > 2 <3"),
        ("text", b'<a href="Jane">here</a>', b"here"),
        ("webvtt", b"<v.loud Jane>hi</v> <00:00:01.000>there", b"hi there"),
        ("webvtt", b"<v Jane></v>", None),
        ("dvb_subtitle", b"\x20\0Jane", b"\x20\0Jane"),
    ],
)
def test_a_text_of_another_kind(codec: str, data: bytes, kept: bytes | None) -> None:
    assert plain_text(codec, data) == kept


def test_headers_say_nothing_but_sizes_and_colours() -> None:
    colours = b"palette: " + b", ".join(b"%06x" % k for k in range(16))
    vobsub = (
        b"# VobSub index file, Jane\nsize: 720x576\r\n" + colours + b"\nid: Jane, index: 0\nsize: Jane\nlangidx: 0\n"
    )
    assert plain_track("dvd_subtitle", vobsub) == b"size: 720x576\n" + colours + b"\n"
    assert plain_track("dvd_subtitle", b"palette: 1, 2") is None
    assert plain_track("dvd_subtitle", None) is None
    assert plain_track("dvb_subtitle", b"\0\1\0\2\x10Jane") == b"\0\1\0\2\x10"
    assert plain_track("dvb_subtitle", None) is None
    for codec in ("subrip", "text", "webvtt", "hdmv_pgs_subtitle"):
        assert plain_track(codec, b"Jane") is None
    header = plain_track("mov_text", b"Jane")
    assert header is not None
    assert header[-18:] == b"\0\0\0\x12ftab\0\1\0\1\5Serif"
    assert len(header) == 18 + 12 + 18


@pytest.mark.parametrize(
    ("encoder", "suffix"), [("libvorbis", "ogg"), ("libvorbis", "mkv"), ("flac", "mkv"), ("flac", "flac")]
)
def test_comments_in_the_header_of_sound_are_left_out(tmp_path: Path, encoder: str, suffix: str) -> None:
    clip, sound = write_clip(tmp_path / "clip.mkv", frames=10), tmp_path / f"sound.{suffix}"
    tags = ["-metadata", "artist=Jane", "-metadata:s:a", "artist=Jane", "-metadata:s:a", "location=Jane"]
    ffmpeg("-f", "lavfi", "-i", "sine=440:d=1", "-c:a", encoder, *tags, sound)
    ffmpeg("-i", clip, "-i", sound, "-map", "0:v", "-map", "1:a", "-c", "copy", tmp_path / "in.mkv")
    if encoder == "libvorbis":
        assert b"Jane" in (tmp_path / "in.mkv").read_bytes()
    for output in (tmp_path / "out.mkv", *([tmp_path / "out.webm"] if encoder == "libvorbis" else [])):
        assert copy(tmp_path / "in.mkv", output) == []
        assert b"Jane" not in output.read_bytes()
        assert packets(output, "audio") == packets(tmp_path / "in.mkv", "audio")
        ffmpeg("-i", output, "-map", "0:a", "-f", "null", "-")


VORBIS = (b"\x01vorbis" + b"a" * 23, b"\x03vorbis" + b"Jane" * 100, b"\x05vorbis" + b"s" * 700)
NO_COMMENTS = b"\x03vorbis\0\0\0\0\0\0\0\0\1"


@pytest.mark.parametrize(
    "given",
    [
        b"\x02\x1e\xff\x98" + b"".join(VORBIS),
        b"".join(struct.pack(">H", len(header)) + header for header in VORBIS),
    ],
)
def test_the_comments_of_vorbis_in_both_ways_of_storing_them(given: bytes) -> None:
    assert plain_header("vorbis", given) == b"\x02\x1e\x10" + VORBIS[0] + NO_COMMENTS + VORBIS[2]


def test_a_long_header_of_vorbis_is_laced() -> None:
    first = b"\x01vorbis" + b"a" * 503
    given = b"\x02\xff\xff\0\xff\x98" + first + VORBIS[1] + VORBIS[2]
    assert plain_header("vorbis", given) == b"\x02\xff\xff\0\x10" + first + NO_COMMENTS + VORBIS[2]


@pytest.mark.parametrize("given", [b"", b"\x02", b"\x02\x1e\x10vorbis", b"\xff" * 40, b"\0\x1e" + b"a" * 40])
def test_a_header_of_vorbis_that_is_none(given: bytes) -> None:
    with pytest.raises(ValueError, match="not the three headers of Vorbis"):
        plain_header("vorbis", given)


def test_headers_of_other_sound() -> None:
    info = bytes(range(34))
    assert plain_header("flac", info) == info
    assert plain_header("flac", b"fLaC\0\0\0\x22" + info + b"\x84\0\0\x04Jane") == info
    with pytest.raises(ValueError, match="too short"):
        plain_header("flac", info[:-1])
    assert plain_header("aac", b"\x12\x10") == b"\x12\x10"
    assert plain_header("mp3", b"") == b""

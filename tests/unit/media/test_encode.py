"""A copy of a video: what stays, what is left out, what is refused (`test_matrix`: every sound in every container)."""

import shutil
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from pipeline.media.decode import decode, open_video, side_data
from pipeline.media.encode import rewritten
from pipeline.media.probe import probe
from pipeline.runtime.errors import ActaError, VideoError
from tests.clips import ffmpeg, write_clip
from tests.unit.media.recordings import copy, onset, packets, pictures, streams

MP4_FILES = (".mp4", ".mkv", ".webm", ".ts")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with `clip.mp4`: ten numbered frames with B-frames and a tone that begins after half a second."""
    folder = tmp_path_factory.mktemp("made")
    write_clip(folder / "silent.mkv", frames=10, size=(96, 160), options={"bf": "2"})
    tone = "sine=440:d=1,volume=enable='lt(t,0.5)':volume=0"
    codecs = ["-c:v", "copy", "-c:a", "aac"]
    ffmpeg("-i", folder / "silent.mkv", "-f", "lavfi", "-i", tone, *codecs, folder / "clip.mp4")
    return folder


class TestStreams:
    """What a file carries besides the picture can tell who and where somebody is."""

    @pytest.fixture
    def full(self, made) -> Path:
        """Two sounds with languages and titles, subtitles, chapters, tags, an attachment and cover art."""
        (made / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nGPS (44.6, 10.9)\n")
        (made / "chapters.txt").write_text(
            ";FFMETADATA1\ntitle=Anna's birthday\nlocation=+44.6+010.9/\n[CHAPTER]\nTIMEBASE=1/10\nSTART=0\nEND=5\n"
            "title=At Anna's\n"
        )
        (made / "font.ttf").write_bytes(b"not really a font")
        inputs = [made / "clip.mp4", made / "clip.mp4", made / "words.srt", made / "chapters.txt"]
        maps = ["-map", "1:a", "-map", "0:v", "-map", "1:a", "-map", "2:s", "-map_metadata", "3", "-map_chapters", "3"]
        tags = ["-metadata:s:a:0", "language=ita", "-metadata:s:a:0", "title=Anna's microphone"]
        tags += ["-metadata:s:a:1", "language=eng", "-metadata:s:v:0", "title=Anna's phone"]
        tags += ["-disposition:a:0", "0", "-disposition:a:1", "default"]
        attached = ["-attach", made / "font.ttf", "-metadata:s:t", "mimetype=font/ttf"]
        path = made / "full.mkv"
        if path.exists():
            return path
        ffmpeg(*[part for file in inputs for part in ("-i", file)], *maps, "-c", "copy", *tags, *attached, path)
        return path

    def test_by_default_only_picture_and_sound_stay(self, full, tmp_path):
        notes = copy(full, tmp_path / "out.mkv")
        assert streams(tmp_path / "out.mkv") == [("video", None), ("audio", "ita"), ("audio", "eng")]
        assert notes == ["left out: 1 subtitle track", "left out: 1 attachment", "left out: 1 chapter"]
        content = (tmp_path / "out.mkv").read_bytes()
        assert not [word for word in (b"Anna", b"GPS", b"+44.6", b"font") if word in content]

    def test_the_defaults_of_sound_stay(self, full, tmp_path):
        copy(full, tmp_path / "out.mkv")
        with av.open(str(tmp_path / "out.mkv")) as container:
            flags = [bool(s.disposition & s.disposition.default) for s in container.streams.audio]
        assert flags == [False, True]

    def test_sound_is_dropped_if_asked_for(self, full, tmp_path):
        notes = copy(full, tmp_path / "out.mkv", audio="drop")
        assert streams(tmp_path / "out.mkv") == [("video", None)]
        assert notes[0] == "left out: 2 audio tracks"

    @pytest.mark.parametrize(
        ("what", "stays", "note"),
        [
            ("subtitles", b"GPS (44.6, 10.9)", "left out: 1 subtitle track"),
            ("chapters", b"At Anna's", "left out: 1 chapter"),
            ("metadata", b"Anna's birthday", None),
            ("attachments", b"not really a font", "left out: 1 attachment"),
        ],
    )
    def test_each_is_kept_if_asked_for_and_no_other(self, full, tmp_path, what, stays, note):
        notes = copy(full, tmp_path / "out.mkv", keep={what})
        content = (tmp_path / "out.mkv").read_bytes()
        everything = [b"GPS (44.6, 10.9)", b"At Anna's", b"Anna's birthday", b"not really a font"]
        assert [words for words in everything if words in content] == [stays]
        assert note not in notes

    @pytest.mark.parametrize(
        ("what", "suffix", "message"),
        [
            ("chapters", ".ts", r"\.ts cannot hold chapters: choose \.mp4, \.mov, \.mkv or \.webm"),
            ("attachments", ".mp4", r"\.mp4 cannot hold attachments: choose \.mkv"),
            ("attachments", ".webm", r"\.webm cannot hold attachments: choose \.mkv"),
        ],
    )
    def test_what_a_container_cannot_keep_is_refused(self, full, tmp_path, what, suffix, message):
        with pytest.raises(ActaError, match=message):
            copy(full, tmp_path / f"out{suffix}", keep={what})
        assert list(tmp_path.iterdir()) == []

    def test_chapters_begin_with_the_picture(self, made, tmp_path):
        (tmp_path / "chapters.txt").write_text(
            ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=36002\nEND=36005\ntitle=Second\n"
        )
        ffmpeg("-i", made / "clip.mp4", "-i", tmp_path / "chapters.txt", "-map_chapters", 1, "-c", "copy",
               "-output_ts_offset", 3600, tmp_path / "late.mkv")  # fmt: skip
        copy(tmp_path / "late.mkv", tmp_path / "out.mkv", keep={"chapters"})
        with av.open(str(tmp_path / "out.mkv")) as container:
            [chapter] = container.chapters()
        begin = pictures(tmp_path / "out.mkv").times[0]
        assert float(chapter["start"] * chapter["time_base"]) - begin == pytest.approx(0.2, abs=1e-3)

    def test_a_camera_that_writes_its_places_as_subtitles_does_not_tell_them(self, made, tmp_path):
        (tmp_path / "dji.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nGPS (44.6, 10.9)\n")
        source = tmp_path / "dji.mp4"
        ffmpeg("-i", made / "clip.mp4", "-i", tmp_path / "dji.srt", "-c", "copy", "-c:s", "mov_text", source)
        assert copy(source, tmp_path / "out.mp4") == ["left out: 1 subtitle track"]
        assert b"GPS" not in (tmp_path / "out.mp4").read_bytes()
        copy(source, tmp_path / "kept.mp4", keep={"subtitles"})
        assert [text for text in packets(tmp_path / "kept.mp4", "subtitles") if b"GPS" in text]

    def test_what_a_camera_writes_between_pictures_is_left_out(self, made, tmp_path):
        """User data of H.264 (SEI), where drones and body cameras put places."""
        source = tmp_path / "tagged.mp4"
        message = "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+GPS"
        ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-bsf:v", message, source)
        assert b"GPS" in source.read_bytes()
        copy(source, tmp_path / "out.mp4")
        assert b"GPS" not in (tmp_path / "out.mp4").read_bytes()

    def test_closed_captions_between_pictures_are_left_out(self, tmp_path):
        """ATSC A/53 captions, one in each picture, as an SEI message that libx264 would write again."""
        raw = tmp_path / "raw.h264"
        write_clip(raw, frames=4, options={"bf": "0", "sliced-threads": "0", "x264-params": "keyint=1:aud=1"})
        caption = b"\xb5\x00\x31GA94\x03\xc1\xff\xfc\xc8\xe9\xff"
        message = b"\0\0\0\1\x06\x04" + bytes([len(caption)]) + caption + b"\x80"
        delimiter = b"\0\0\0\1\x09\x10"
        raw.write_bytes(raw.read_bytes().replace(delimiter, delimiter + message))
        copy(raw, tmp_path / "out.mp4")
        before, after = (pictures(path).frames[1] for path in (raw, tmp_path / "out.mp4"))
        assert side_data(before, Type.A53_CC) == b"\xfc\xc8\xe9"
        assert side_data(after, Type.A53_CC) is None

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    @pytest.mark.parametrize("codec", ["mjpeg", "png"])
    def test_a_cover_that_comes_first_is_not_the_video(self, made, tmp_path, suffix, codec):
        source = tmp_path / f"cover{suffix}"
        cover = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.04:r=25"]
        maps = ["-map", "0:v", "-map", "1:v", "-map", "1:a"]
        ffmpeg(*cover, "-i", made / "clip.mp4", *maps, "-c", "copy", "-c:v:0", codec, source)
        assert probe(source).frames == 10
        notes = copy(source, tmp_path / "out.mp4")
        assert notes == ["left out: 1 further video stream (cover art or another angle)"]
        assert pictures(tmp_path / "out.mp4").numbers == list(range(10))

    def test_what_an_edit_list_cut_out_stays_cut(self, made, tmp_path):
        """Sound and pictures of the first 0.35 s are in the file, but no player shows them."""
        source = tmp_path / "cut.mp4"
        ffmpeg("-ss", "0.35", "-i", made / "clip.mp4", "-c", "copy", source)
        assert (probe(source).frames, probe(source).duration) == (6, pytest.approx(0.6, abs=0.01))
        for suffix in MP4_FILES:
            output = tmp_path / f"out{suffix}"
            copy(source, output)
            assert pictures(output).numbers == [4, 5, 6, 7, 8, 9]
            assert onset(output) == pytest.approx(onset(source), abs=0.012)
            with av.open(str(output)) as container:
                [stream] = container.streams.audio
                stamps = [packet.pts * packet.time_base for packet in container.demux(stream) if packet.size]
                assert min(stamps) - (container.start_time or 0) / av.time_base > -0.03


def broken_sound(made: Path, path: Path) -> Path:
    """The clip with AC-3 sound, one packet of it zeros."""
    ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-c:a", "ac3", path)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(container.streams.audio[0]) if packet.size][20]
    content = bytearray(path.read_bytes())
    content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    return path


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "share", "options", "reason"),
        [
            ("a.mkv", 0.6, (), r"truncated: \d+ of \d+ bytes are there, \d frames"),
            ("a.mkv", 0.97, (), r"truncated: \d+ of \d+ bytes are there, \d+ frames"),
            ("a.webm", 0.6, ("-c:v", "libvpx-vp9", "-c:a", "libopus"), r"truncated: \d+ of \d+ bytes are there"),
            ("a.mp4", 0.6, ("-movflags", "faststart"), r"truncated: \d of 10 frames are there"),
            ("a.mp4", 0.6, ("-movflags", "frag_keyframe+empty_moov"), r"truncated: \d+ of \d+ bytes are there"),
            ("a.mov", 0.6, ("-movflags", "faststart"), r"truncated: \d of 10 frames are there"),
            ("a.mp4", 0.5, (), "cannot be opened: damaged, truncated, or no video"),
        ],
    )
    def test_a_truncated_file_is_refused(self, made, tmp_path, name, share, options, reason):
        source = tmp_path / name
        ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-g", "5", *options, source)
        whole = source.read_bytes()
        source.write_bytes(whole[: int(len(whole) * share)])
        for attempt in (lambda: probe(source), lambda: copy(source, tmp_path / "out.mkv")):
            with pytest.raises(VideoError, match=reason):
                attempt()
        assert [path.name for path in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "mpeg4", "mjpeg"])
    @pytest.mark.parametrize("place", [-1, 5])
    def test_a_damaged_packet_is_noticed(self, made, tmp_path, codec, place):
        source = tmp_path / "in.mkv"
        ffmpeg("-i", made / "clip.mp4", "-an", "-c:v", codec, source)
        with av.open(str(source)) as container:
            packet = [packet for packet in container.demux() if packet.size][place]
            start, size = packet.pos, packet.size
        content = bytearray(source.read_bytes())
        content[start + 12 : start + size] = bytes(size - 12)
        source.write_bytes(content)
        with pytest.raises(VideoError, match=r"damaged|decoding failed"):
            copy(source, tmp_path / "out.mkv")
        with pytest.raises(VideoError, match=r"damaged|decoding failed"), open_video(source) as opened:
            list(decode(*opened))
        notes = copy(source, tmp_path / "out.mkv", keep_what_is_whole=True)
        assert 1 <= len(pictures(tmp_path / "out.mkv").times) <= 10
        if codec != "mpeg4":  # which shows something in its place
            assert notes[-1].startswith("damaged (")

    def test_what_is_whole_is_kept_if_asked_for(self, made, tmp_path):
        source = tmp_path / "in.mp4"
        ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-movflags", "faststart", source)
        content = source.read_bytes()
        source.write_bytes(content[: int(len(content) * 0.6)])
        [note] = copy(source, tmp_path / "out.mp4", keep_what_is_whole=True)
        there = len(pictures(tmp_path / "out.mp4").times)
        assert 3 <= there <= 9
        reasons = f"truncated: {there} of 10 frames are there; 1 packet of sound or subtitles cannot be read"
        assert note == f"damaged ({reasons}): {there} of 10 frames are written"
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert list(container.decode(audio=0))  # no packet that is only partly there

    def test_what_is_lost_of_the_sound_is_said(self, made, tmp_path):
        source = broken_sound(made, tmp_path / "in.mp4")
        notes = copy(source, tmp_path / "out.webm", keep_what_is_whole=True)
        assert notes[-1] == "damaged (1 packet of sound or subtitles cannot be read): 10 frames are written"

    def test_a_whole_file_has_no_such_line(self, made, tmp_path):
        assert copy(made / "clip.mp4", tmp_path / "out.mp4", keep_what_is_whole=True) == []

    def test_damaged_sound_that_must_be_decoded_is_refused(self, made, tmp_path):
        source = broken_sound(made, tmp_path / "in.mp4")
        with pytest.raises(VideoError, match=r"damaged: its sound is incomplete at 0\.\d\d s"):
            copy(source, tmp_path / "out.webm")


@pytest.mark.parametrize(("rotation", "mirrored"), [(0, False), (90, False), (180, False), (270, False), (0, True)])
def test_a_probe_tells_how_the_picture_is_stored(tmp_path, rotation, mirrored):
    info = probe(write_clip(tmp_path / "clip.mp4", frames=5, rotation=rotation, mirrored=mirrored))
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.height, info.width) == ((128, 96) if rotation % 180 else (96, 128))
    assert (info.frames, info.duration, info.frame_rate) == (5, 0.5, 10.0)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")


class TestTime:
    @pytest.mark.parametrize("suffix", MP4_FILES)
    def test_no_frame_moves_against_the_sound(self, made, tmp_path, suffix):
        output = tmp_path / f"out{suffix}"
        copy(made / "clip.mp4", output)
        after = pictures(output).times
        assert np.subtract(after, after[0]) == pytest.approx(np.arange(10) / 10, abs=1e-3)
        if suffix != ".ts":  # MPEG-TS begins where it likes
            assert after[0] == 0
        assert onset(output) == pytest.approx(onset(made / "clip.mp4"), abs=0.003)

    @pytest.mark.parametrize("suffix", [".ts", ".mkv"])
    def test_a_start_after_ten_hours_plays_from_zero(self, made, tmp_path, suffix):
        source = tmp_path / f"late{suffix}"
        ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-output_ts_offset", "36000", source)
        assert pictures(source).times[0] >= 36000
        copy(source, tmp_path / "out.mp4")
        assert pictures(tmp_path / "out.mp4").times == pytest.approx(np.arange(10) / 10, abs=0.05)
        assert onset(tmp_path / "out.mp4") == pytest.approx(onset(source), abs=0.003)

    def test_a_long_last_picture_is_no_promise_of_more(self, tmp_path):
        """Matroska's header says when the last picture ends, its last block does not say how long that is shown."""
        source = write_clip(tmp_path / "three.mp4", frames=3)
        with rewritten(source, tmp_path / "slides.mkv") as (frames, writer):
            for number, frame in enumerate(frames):
                if number == 2:
                    frame.duration = round(12 / frame.time_base)
                writer.write(frame)
        with av.open(str(tmp_path / "slides.mkv")) as container:
            assert container.duration > 12e6
        assert probe(tmp_path / "slides.mkv").frames == 3

    def test_pictures_before_zero_are_not_lost(self, made, tmp_path):
        source = tmp_path / "in.wmv"
        ffmpeg("-i", made / "clip.mp4", "-c:v", "wmv2", "-c:a", "wmav2", source)
        content = bytearray(source.read_bytes())
        properties = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))  # ASF's File Properties Object
        content[properties + 80 : properties + 88] = (3600).to_bytes(8, "little")  # preroll in ms
        source.write_bytes(content)
        assert pictures(source).times[0] < 0
        copy(source, tmp_path / "out.mp4")
        after = pictures(tmp_path / "out.mp4")
        assert after.numbers == list(range(10))
        assert after.times == pytest.approx(np.arange(10) / 10, abs=0.01)

    @pytest.mark.parametrize("offsets", [(0, 0), (0, 36000), (36000, 0, 7200)])
    def test_joined_recordings_play_on(self, made, tmp_path, offsets):
        parts = []
        for number, offset in enumerate(offsets):
            part = tmp_path / f"{number}.ts"
            ffmpeg("-i", made / "clip.mp4", "-c", "copy", "-output_ts_offset", offset, part)
            parts.append(part.read_bytes())
        source = tmp_path / "joined.ts"
        source.write_bytes(b"".join(parts))
        count = 10 * len(parts)
        assert probe(source).frames == count
        copy(source, tmp_path / "out.mp4")
        after = pictures(tmp_path / "out.mp4")
        assert after.numbers == list(range(10)) * len(parts)
        assert np.diff(after.times) == pytest.approx(np.full(count - 1, 0.1), abs=0.06)
        assert np.diff(pictures(source).times) == pytest.approx(np.full(count - 1, 0.1), abs=0.06)

    @pytest.mark.parametrize(
        ("stamps", "expected"),
        [
            ([0, 40, 40, 120, 160], [0, 40, 80, 120, 160]),
            ([0, 40, 80, 60, 160], [0, 40, 80, 120, 160]),
            ([0, 40, 40, 40, 160], [0, 40, 80, 120, 160]),
            ([0, 900, 80, 120, 160], [0, 40, 80, 120, 160]),
        ],
    )
    def test_a_stamp_that_cannot_be_costs_that_stamp_only(self, tmp_path, stamps, expected):
        """Motion JPEG has no order of its own, so Matroska can be made to say anything."""
        source = tmp_path / "in.mkv"
        write_clip(source, frames=5, rate=25, codec="mjpeg", pixel_format="yuvj420p", times=[0, 40, 80, 120, 160])
        content = source.read_bytes()
        blocks = [
            i
            for i in range(len(content) - 6)
            if content[i : i + 1] == b"\x81" and content[i + 3 : i + 6] == b"\x80\xff\xd8"
        ]
        assert len(blocks) == 5
        changed = bytearray(content)
        for place, stamp in zip(blocks[:4], stamps[:4], strict=True):  # the last is in a cluster of its own
            changed[place + 1 : place + 3] = struct.pack(">h", stamp)
        source.write_bytes(changed)
        copy(source, tmp_path / "out.mkv")
        after = pictures(tmp_path / "out.mkv")
        assert after.numbers == list(range(5))
        assert [round(1000 * time) for time in after.times] == expected


class TestPicture:
    @pytest.mark.parametrize("suffix", MP4_FILES)
    def test_the_shape_of_pixels_stays(self, made, tmp_path, suffix):
        source = tmp_path / "wide.mp4"
        ffmpeg("-i", made / "clip.mp4", "-vf", "setsar=32/11", "-c:a", "copy", source)
        output = tmp_path / f"out{suffix}"
        notes = copy(source, output)
        after = pictures(output)
        height, width = after.stored
        assert float(width * after.aspect / height) == pytest.approx(160 * 32 / 11 / 96, rel=0.01)
        assert after.numbers == list(range(10))
        assert ("scaled to square pixels, 466x96: .webm is not told their shape" in notes) == (suffix == ".webm")

    def test_the_shape_of_pixels_turns_with_the_picture(self, made, tmp_path):
        ffmpeg("-i", made / "clip.mp4", "-vf", "setsar=32/11", "-an", tmp_path / "wide.mp4")
        ffmpeg("-display_rotation", 90, "-i", tmp_path / "wide.mp4", "-c", "copy", tmp_path / "turned.mp4")
        copy(tmp_path / "turned.mp4", tmp_path / "out.ts")
        after = pictures(tmp_path / "out.ts")
        assert (after.stored, after.aspect) == ((160, 96), Fraction(11, 32))

    @pytest.mark.parametrize(("order", "field_order"), [("tff", 2), ("bff", 3)])
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
    def test_interlaced_stays_interlaced(self, tmp_path, order, field_order, suffix):
        source = tmp_path / "in.ts"
        scan = f"interlace=scan={order}"
        codec = ["-c:v", "libx264", "-x264-params", f"{order}=1"]
        ffmpeg("-f", "lavfi", "-i", "testsrc2=r=20:s=128x96:d=0.5", "-vf", scan, *codec, source)
        assert copy(source, tmp_path / f"out{suffix}") == []
        after = pictures(tmp_path / f"out{suffix}")
        assert all(frame.interlaced_frame for frame in after.frames)
        assert after.stream.field_order == field_order

    def test_what_cannot_be_interlaced_is_said(self, tmp_path):
        source = tmp_path / "in.ts"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=r=20:s=128x96:d=0.2", "-vf", "interlace", "-flags", "+ildct", source)
        assert copy(source, tmp_path / "out.webm") == ["interlaced pictures are no longer marked as such"]

    @pytest.fixture
    def hdr(self, made) -> Path:
        path = made / "hdr.mp4"
        if path.exists():
            return path
        parameters = (
            "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
            "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
        )
        codec = ["-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", parameters]
        ffmpeg("-f", "lavfi", "-i", "testsrc2=r=10:s=128x96:d=0.3", *codec, path)
        return path

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
    def test_ten_bits_and_hdr_stay(self, hdr, tmp_path, suffix):
        notes = copy(hdr, tmp_path / f"out{suffix}")
        assert notes == ["H.264 in 10-bit (yuv420p10le source): most browsers and QuickTime do not play it"]
        before, after = (pictures(path).frames[0] for path in (hdr, tmp_path / f"out{suffix}"))
        assert after.format.name == "yuv420p10le"
        for attribute in ("color_primaries", "color_trc", "colorspace"):
            assert getattr(after, attribute) == getattr(before, attribute)
        assert side_data(after, Type.CONTENT_LIGHT_LEVEL)[:8] == struct.pack("=2I", 1000, 400)
        theirs, ours = (
            struct.unpack("=22i", side_data(frame, Type.MASTERING_DISPLAY_METADATA)[:88]) for frame in (before, after)
        )
        assert [Fraction(*ours[i : i + 2]) for i in range(0, 20, 2)] == [
            Fraction(*theirs[i : i + 2]) for i in range(0, 20, 2)
        ]

    def test_what_webm_loses_of_hdr_is_said(self, hdr, tmp_path):
        assert copy(hdr, tmp_path / "out.webm") == [
            "10 bits a channel become 8",
            "HDR mastering metadata are lost: .webm is not told them",
        ]

    @pytest.mark.parametrize(
        ("options", "suffix", "notes"),
        [
            (["-pix_fmt", "rgb24", "-c:v", "png"], ".mov", ["rgb24 source"]),
            (["-vf", "scale=127:95", "-pix_fmt", "yuv420p", "-c:v", "ffv1"], ".mkv", ["odd size 127x95"]),
            (["-pix_fmt", "yuv422p", "-c:v", "ffv1"], ".mkv", ["yuv422p source"]),
        ],
    )
    def test_what_browsers_refuse_is_said(self, tmp_path, options, suffix, notes):
        source = tmp_path / f"in{suffix}"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=r=10:s=128x96:d=0.3", *options, source)
        kind = "4:2:2" if "yuv422p" in options else "4:4:4"
        expected = [f"H.264 in {kind} ({why}): most browsers and QuickTime do not play it" for why in notes]
        assert copy(source, tmp_path / "out.mp4") == expected
        assert copy(source, tmp_path / "out.webm") == []

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            (["-vf", "format=yuva420p", "-c:v", "libvpx-vp9"], "in.webm"),
            (["-vf", "format=yuva444p", "-c:v", "prores_ks"], "in.mov"),
            (["-vf", "format=rgba", "-c:v", "png"], "in.mov"),
        ],
    )
    def test_lost_transparency_is_said(self, tmp_path, options, name):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=r=10:s=128x96:d=0.3", *options, tmp_path / name)
        assert "transparency is lost" in copy(tmp_path / name, tmp_path / "out.mp4")

    def test_grey_has_no_transparency(self, tmp_path):
        write_clip(tmp_path / "in.mp4", frames=2, pixel_format="gray")
        assert copy(tmp_path / "in.mp4", tmp_path / "out.mp4") == []

    def test_a_size_that_changes_is_refused(self, made, tmp_path):
        for name, size in (("a.ts", "128x96"), ("b.ts", "160x96")):
            ffmpeg("-f", "lavfi", "-i", f"testsrc2=r=10:s={size}:d=0.5", tmp_path / name)
        source = tmp_path / "both.ts"
        source.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
        with pytest.raises(VideoError, match=r"its size or rotation changes at frame \d: 128x96 to 160x96$"):
            copy(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("how", ["itself", "link", "hard link"])
def test_a_video_is_never_written_onto_itself(made, tmp_path, how):
    source = output = tmp_path / "in.mp4"
    shutil.copy(made / "clip.mp4", source)
    if how != "itself":
        output = tmp_path / "out.mp4"
        (output.symlink_to if how == "link" else output.hardlink_to)(source)
    with (
        pytest.raises(ActaError, match=f"^the output {output} is an input; choose another output$"),
        rewritten(source, output, overwrite=True),
    ):
        pytest.fail("it began")
    assert source.read_bytes() == (made / "clip.mp4").read_bytes()


def test_what_is_no_container_is_named(made, tmp_path):
    ffmpeg("-i", made / "clip.mp4", "-an", tmp_path / "in.y4m")
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=r=25:s=720x576:d=0.1",
        "-c:v",
        "dvvideo",
        "-pix_fmt",
        "yuv420p",
        tmp_path / "in.dv",
    )
    (tmp_path / "in.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n")
    for name in ("in.y4m", "in.dv", "in.m3u8"):
        with pytest.raises(VideoError, match="cannot be opened: not a supported container; supported are mov, mp4"):
            copy(tmp_path / name, tmp_path / "out.mp4")


def test_sound_that_cannot_be_decoded_is_refused_with_advice(made, tmp_path, monkeypatch):
    from pipeline.media import tracks

    monkeypatch.setattr(tracks, "codec_name", lambda stream: "speex2")
    monkeypatch.setattr(type(av.open(str(made / "clip.mp4")).streams.audio[0]), "codec_context", None, raising=False)
    with pytest.raises(ActaError, match=r"its sound \(speex2\) cannot be decoded, and \.mp4 cannot hold it"):
        copy(made / "clip.mp4", tmp_path / "out.mp4")

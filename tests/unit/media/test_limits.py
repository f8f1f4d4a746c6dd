"""Pictures and times that ask for too much: refused before memory or time is spent, unless a limit is raised."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.media import limits
from pipeline.media.decode import decode, open_video, scaled_size, shown_size
from pipeline.media.limits import check_filled, check_frame, check_frames, check_photograph, check_silence
from pipeline.media.probe import probe
from pipeline.privacy.photograph import _read
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.spot.build_game import end_of
from tests.clips import write_clip


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch):
    """Set limits, in the environment."""

    def set_limit(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"ACTA_MAX_{name.upper()}", str(value))

    yield set_limit
    monkeypatch.undo()


def test_a_frame_has_as_many_pixels_as_8k_video() -> None:
    check_frame(8192, 4352)
    with pytest.raises(VideoError, match=r"^8192x4353 pixels; at most 35,651,584 .* ACTA_MAX_PIXELS raises it\)$"):
        check_frame(8192, 4353)


def test_a_photograph_may_have_more() -> None:
    check_photograph(16384, 8192)
    with pytest.raises(VideoError, match=r"^16384x8193 pixels; at most 134,217,728 are read "):
        check_photograph(16384, 8193)


def test_the_environment_raises_or_lowers_both(limit) -> None:
    limit(pixels=100)
    for check in (check_frame, check_photograph):
        check(10, 10)
        with pytest.raises(VideoError, match="at most 100 are read"):
            check(101, 1)


@pytest.mark.parametrize("value", ["", "0", "-1", "1e9", "many", "²", "1.5"])
def test_a_limit_that_is_no_number(limit, value: str) -> None:
    limit(pixels=value)
    with pytest.raises(ActaError, match=rf"^ACTA_MAX_PIXELS={value!r} must be a whole number of pixels above 0$"):
        check_frame(1, 1)


def test_frames_are_counted(limit) -> None:
    check_frames(5_000_000)
    with pytest.raises(VideoError, match=r"^more than 5,000,000 frames, .* \(.* ACTA_MAX_FRAMES raises it\)$"):
        check_frames(5_000_001)
    limit(frames=1)
    with pytest.raises(VideoError, match=r"^more than 1 frames"):
        check_frames(2)


def test_each_picture_lasts_two_seconds_and_a_video_ten_minutes_more(limit) -> None:
    check_filled(4, 608)
    with pytest.raises(
        VideoError,
        match=r"^.*cannot be right: 4 frames for 609 s, of which at most 600 s more than 2 s a",
    ):
        check_filled(4, 608.6)
    check_filled(4, 640, shown=10.0)
    with pytest.raises(VideoError, match="more than 10 s a frame"):
        check_filled(4, 640.1, shown=10.0)
    limit(still=1)
    check_filled(1, 3)
    with pytest.raises(VideoError, match="at most 1 s"):
        check_filled(1, 3.1)


def test_silence_lasts_as_long_as_the_sound_and_ten_minutes_more(limit) -> None:
    check_silence(607, 7)
    with pytest.raises(
        VideoError, match=r"^its sound stops for 608 s; .*ACTA_MAX_STILL lets more than 600 s be filled"
    ):
        check_silence(608, 7)
    limit(still=1)
    with pytest.raises(VideoError, match="more than 1 s be filled"):
        check_silence(9, 7)


def test_a_large_frame_is_refused_by_its_header(limit, clip: Path) -> None:
    limit(pixels=128 * 96 - 1)
    with pytest.raises(VideoError, match=r"^128x96 pixels; at most 12,287 are read"), open_video(clip):
        pass


def test_a_frame_that_is_larger_than_the_header_says_is_never_made(tmp_path: Path, limit, monkeypatch) -> None:
    """Two H.264 streams in a row, each with headers of its own: small pictures, then large ones."""
    streams = [
        write_clip(tmp_path / f"{side}.h264", frames=3, size=(side, side), options={"bf": "0"}) for side in (64, 256)
    ]
    path = tmp_path / "grows.h264"
    path.write_bytes(b"".join(stream.read_bytes() for stream in streams))

    def sizes() -> list[int]:
        with open_video(path) as (container, stream):
            return [frame.width for _, frame in decode(container, stream)]

    assert sizes() == [64] * 3 + [256] * 3
    limit(pixels=256 * 256 - 1)
    with pytest.raises(VideoError, match=r"^256x256 pixels; at most 65,535"):
        sizes()  # FFmpeg looks so far ahead, if it is a short file
    monkeypatch.setattr("pipeline.media.decode.check_frame", lambda width, height: None)
    with pytest.raises(VideoError, match=r"^decoding failed after \d frames: "):
        sizes()


def test_frames_are_counted_where_they_are_decoded_and_where_they_are_probed(limit, clip: Path) -> None:
    limit(frames=12)
    assert probe(clip).frames == 12
    limit(frames=11)
    with pytest.raises(VideoError, match=r"^more than 11 frames"):
        probe(clip)
    with pytest.raises(VideoError, match=r"^more than 11 frames"), open_video(clip) as (container, stream):
        list(decode(container, stream))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi", "ts"])
def test_a_line_of_pixels_is_not_enlarged_without_bounds(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(tmp_path / f"line.{suffix}", frames=2, size=(16, 2048))
    with open_video(clip) as (container, stream):
        _, frame = next(decode(container, stream))
    assert scaled_size(frame, 128) == (128, 16384)
    with pytest.raises(
        VideoError, match=r"^2048x16 pixels would be scaled to 16512x129; at most 16384 a side are made$"
    ):
        scaled_size(frame, 129)
    assert shown_size(frame, 129) == (129, 16512)


def test_an_enlarged_picture_has_no_more_pixels_than_a_frame_may(clip: Path, limit) -> None:
    with open_video(clip) as (container, stream):
        _, frame = next(decode(container, stream))
    limit(pixels=256 * 192)
    assert scaled_size(frame, 192) == (192, 256)
    with pytest.raises(VideoError, match=r"^257x193 pixels; at most 49,152 are read"):
        scaled_size(frame, 193)


def test_four_pictures_in_eleven_minutes_are_no_game(tmp_path: Path, limit) -> None:
    clip = write_clip(tmp_path / "far.mkv", frames=4, times=[0, 100, 200, 610_000])
    with pytest.raises(VideoError, match="cannot be right: 4 frames for 610 s"):
        end_of(clip)
    limit(still=700)
    assert end_of(clip) == pytest.approx(610.1, abs=0.2)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp", "jpg"])
def test_a_picture_bomb_is_refused_before_it_is_decoded(tmp_path: Path, suffix: str, monkeypatch) -> None:
    """As a small file: of a PNG of 190 KB the pixels took gigabytes."""
    side = 3000
    path = tmp_path / f"bomb.{suffix}"
    Image.fromarray(np.full((side, side), 7, np.uint8)).save(path)
    monkeypatch.setattr(limits, "_PHOTOGRAPH", side * side)
    assert _read(path).pixels.shape[:2] == (side, side)
    monkeypatch.setattr(limits, "_PHOTOGRAPH", side * side - 1)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(VideoError, match=r"^3000x3000 pixels; at most 8,999,999 are read"):
        _read(path)


def test_a_raised_limit_is_not_the_librarys(tmp_path: Path, limit, monkeypatch) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((13_000, 14_000), bool)).save(path)  # 182 megapixels; Pillow itself stops at 179
    decoded = []
    monkeypatch.setattr("pipeline.privacy.photograph._pixels", lambda image: decoded.append(image.size) or (None, None))
    with pytest.raises(VideoError, match=r"^14000x13000 pixels; at most 134,217,728 are read"):
        _read(path)
    limit(pixels=182_000_000)
    _read(path)
    assert decoded == [(14_000, 13_000)]


def test_a_picture_of_many_scans_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(content, "JPEG", progressive=True)
    data = content.getvalue()
    scans, last = data.count(b"\xff\xda"), data.rfind(b"\xff\xda")
    end = data.rfind(b"\xff\xd9")
    path = tmp_path / "scans.jpg"
    for count in (200, 201):
        path.write_bytes(data[:end] + data[last:end] * (count - scans) + data[end:])
        with pytest.raises(VideoError) as error:
            _read(path)
        refused = "201 scans, of which a progressive picture has about ten; at most 200 are read"
        assert (str(error.value) == refused) == (count == 201)


def test_what_lies_in_segments_and_behind_the_end_is_no_scan(tmp_path: Path) -> None:
    """Photographs of telephones carry films, depths and maker's notes, in which any two bytes may stand."""
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (32, 32)).save(path)
    data = path.read_bytes()
    note = b"\xff\xef" + (2 + 600).to_bytes(2) + b"\xff\xda" * 300
    path.write_bytes(data[:2] + note + data[2:] + b"\xff\xda" * 300)
    assert _read(path).pixels.shape == (32, 32, 3)

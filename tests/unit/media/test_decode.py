"""Frames, their time stamps, their size and their orientation against PyAV's own answers and known pictures."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from pipeline.media.decode import (
    Orientation,
    capped_size,
    decode,
    open_video,
    pixel_aspect,
    sample,
    scaled_size,
    to_jpeg,
    to_rgb,
)
from pipeline.runtime.errors import VideoError
from tests.clips import ffmpeg, numbered_image, read_number, read_times, write_clip


def decoded(path: Path, rate: float | None = None) -> list[tuple[float, av.VideoFrame]]:
    with open_video(path) as (container, stream):
        return list(sample(decode(container, stream), rate))


def test_every_frame_comes_once_in_order_with_its_own_time(clip):
    frames = decoded(clip)
    assert [time for time, _ in frames] == read_times(clip)
    assert [read_number(to_rgb(frame, 96, 128)) for _, frame in frames] == list(range(12))


def test_frames_equal_the_reference_at_the_same_time_stamps(footage):
    path = footage / "giving_speech/obama_speech.mp4"
    with av.open(str(path)) as container:
        reference = {
            float(f.pts * f.time_base): f.to_ndarray(format="rgb24", width=160, height=120, interpolation="BILINEAR")
            for f in container.decode(video=0)
        }
    frames = decoded(path, 5.0)
    assert len(frames) == 44
    for time, frame in frames:
        assert np.array_equal(to_rgb(frame, 120, 160), reference[time])


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (None, list(range(12))),
        (10, list(range(12))),
        (5, [0, 2, 4, 6, 8, 10]),
        (20, list(range(12))),  # slower than asked for: all frames, none twice
        (1, [0, 10]),
        (4, [0, 3, 5, 8, 10]),  # 0, 0.25, 0.5, 0.75, 1.0 s; a tie goes to the later frame
    ],
)
def test_sampling_takes_the_frame_nearest_to_each_tick(clip, rate, expected):
    assert [read_number(to_rgb(frame, 96, 128)) for _, frame in decoded(clip, rate)] == expected


def test_sampling_29_97_at_30_keeps_every_frame(tmp_path):
    path = write_clip(tmp_path / "ntsc.mp4", frames=90, rate=Fraction(30000, 1001))
    assert len(decoded(path, 30.0)) == 90


def test_sampling_a_variable_rate_keeps_the_frames_own_times(tmp_path):
    times = [0, 40, 80, 500, 540, 1000, 2000, 2040]
    path = write_clip(tmp_path / "vfr.mkv", frames=8, times=times)
    assert [round(time * 1000) for time, _ in decoded(path)] == times
    chosen = decoded(path, 2.0)
    assert [round(time * 1000) for time, _ in chosen] == [0, 500, 1000, 2000]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_are_upright_whatever_the_file_says(tmp_path, rotation, mirrored):
    path = write_clip(tmp_path / "turned.mp4", frames=3, rotation=rotation, mirrored=mirrored)
    for number, (_, frame) in enumerate(decoded(path)):
        height, width = scaled_size(frame, None)
        assert (height, width) == ((128, 96) if rotation % 180 else (96, 128))
        image = to_rgb(frame, height, width)
        assert read_number(image) == number
        assert np.abs(image.astype(int) - numbered_image(number, height, width)).mean() < 8


@pytest.mark.parametrize("size", [(128, 171), (127, 170), (127, 171), (96, 128)])
@pytest.mark.parametrize("rotation", [0, 90])
def test_stored_jpeg_is_the_frame_and_the_same_every_time(tmp_path, size, rotation):
    """Odd sizes included, where libjpeg-turbo would read beyond the luma plane."""
    [(_, frame)] = decoded(write_clip(tmp_path / "clip.mp4", frames=1, rotation=rotation))
    jpegs = set()
    for k in range(30):
        noise = np.full(10_000 + k, k, np.uint8)  # another neighbour in memory each time
        jpegs.add(to_jpeg(frame, *size, 95))
        del noise
    assert len(jpegs) == 1
    image = cv2.imdecode(np.frombuffer(jpegs.pop(), np.uint8), cv2.IMREAD_COLOR_RGB)
    error = image.astype(float) - to_rgb(frame, *size)
    assert image.shape == (*size, 3)
    assert np.abs(error.mean(axis=(0, 1))).max() < 4
    assert 10 * np.log10(255**2 / (error**2).mean()) > 28


@pytest.mark.parametrize(
    ("stored", "size", "aspect", "expected"),
    [
        ((240, 320), 128, None, (128, 171)),
        ((320, 240), 128, None, (171, 128)),
        ((240, 320), (128, 171), None, (128, 171)),
        ((240, 320), None, None, (240, 320)),
        ((576, 720), None, Fraction(16, 15), (576, 768)),
        ((576, 720), 288, Fraction(16, 15), (288, 384)),
    ],
)
def test_scaled_size(stored, size, aspect, expected):
    frame = av.VideoFrame(stored[1], stored[0], "yuv420p")
    assert scaled_size(frame, size, aspect) == expected


@pytest.mark.parametrize(("long_side", "expected"), [(None, (720, 1280)), (640, (360, 640)), (4000, (720, 1280))])
def test_detection_size_is_capped_and_never_enlarged(long_side, expected):
    assert capped_size(av.VideoFrame(1280, 720, "yuv420p"), long_side) == expected


@pytest.mark.parametrize("flags", [(), ("-display_hflip",), ("-display_vflip",), ("-display_hflip", "-display_vflip")])
@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_orientation_is_what_ffmpeg_shows(tmp_path, flags, rotation):
    """ffmpeg turns pictures by the display matrix itself when it is asked for raw ones."""
    plain = write_clip(tmp_path / "plain.mp4", frames=1)
    path, raw = tmp_path / "turned.mp4", tmp_path / "shown.rgb"
    ffmpeg("-display_rotation", rotation, *flags, "-i", plain, "-c", "copy", path)
    ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", raw)
    [(_, frame)] = decoded(path)
    image = to_rgb(frame, *scaled_size(frame, None))
    expected = np.frombuffer(raw.read_bytes(), np.uint8).reshape(image.shape)
    assert np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_upright_image_goes_back_to_the_stored_one(quarters, mirrored):
    stored = np.arange(12).reshape(3, 4)
    shown = Orientation(quarters, mirrored)
    assert np.array_equal(shown.stored(shown.upright(stored)), stored)


def test_an_orientation_mirrors_first_and_turns_then():
    stored = np.array([[1, 2], [3, 4]])
    assert Orientation(1, True).upright(stored).tolist() == [[1, 3], [2, 4]]
    assert Orientation(1, False).upright(stored).tolist() == [[2, 4], [1, 3]]


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [(None, None), (Fraction(32, 11), Fraction(32, 11)), (Fraction(1, 16), Fraction(1, 16)), (Fraction(17), None)],
)
def test_an_aspect_that_cannot_be_is_not_believed(aspect, expected):
    assert pixel_aspect(SimpleNamespace(sample_aspect_ratio=aspect)) == expected


def test_colours_that_cannot_be_converted_are_a_fault_of_the_video():
    frame = av.VideoFrame(64, 64, "yuv420p")
    frame.colorspace = 99
    with pytest.raises(VideoError, match=r"its pictures \(yuv420p, colour matrix 99\) cannot be converted"):
        to_jpeg(frame, 64, 64, 90)


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (47, 64), (48, 63)])
def test_a_stored_jpeg_is_not_off_by_a_pixel(size):
    """Single bright rows and columns stay where they are, in odd frames too."""
    height, width = size
    image = np.full((height, width, 3), 40, np.uint8)
    image[10] = image[:, 20] = image[-1] = image[:, -1] = 220
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv444p")
    stored = cv2.imdecode(np.frombuffer(to_jpeg(frame, height, width, 100), np.uint8), cv2.IMREAD_GRAYSCALE)
    bright = stored > 130
    assert np.flatnonzero(bright.all(axis=1)).tolist() == [10, height - 1]
    assert np.flatnonzero(bright.all(axis=0)).tolist() == [20, width - 1]

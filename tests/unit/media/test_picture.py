"""Formats of pictures: one channel a plane, upright planes, and what the encoder is told."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from pipeline.media.decode import Orientation
from pipeline.media.picture import Picture, as_planes, as_yuv, like, plane_pixels, turned
from tests.clips import numbered_image, read_number, write_clip
from tests.unit.media.recordings import copy


def picture(name: str, height: int = 96, width: int = 128) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(numbered_image(5, height, width), "rgb24").reformat(format=name)
    frame.pts, frame.time_base, frame.duration = 7, Fraction(1, 25), 2
    return frame


@pytest.mark.parametrize(
    ("name", "planes"),
    [
        ("yuv420p", "yuv420p"),
        ("yuvj422p", "yuvj422p"),
        ("yuv444p10le", "yuv444p10le"),
        ("gray", "gray"),
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuv422p10be", "yuv444p10le"),
        ("yuyv422", "yuv444p"),
    ],
)
def test_planes_of_one_channel_keep_depth_and_picture(name, planes):
    given = picture(name)
    frame = as_planes(given)
    assert frame.format.name == planes
    assert read_number(frame.to_ndarray(format="rgb24")) == 5
    assert (frame.pts, frame.time_base, frame.duration) == (7, Fraction(1, 25), 2)
    assert (frame is given) == (name == planes)


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuvj420p", "gray", "yuv422p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize(("quarters", "mirrored"), [(1, False), (2, False), (3, True), (0, True)])
def test_a_picture_is_turned_plane_by_plane(name, quarters, mirrored):
    shown = Orientation(quarters, mirrored)
    stored = shown.stored(numbered_image(5, 128, 96) if quarters % 2 else numbered_image(5))
    given = av.VideoFrame.from_ndarray(stored, "rgb24").reformat(format=name)
    given.pts, given.time_base = 7, Fraction(1, 25)
    frame = turned(given, shown)
    assert (frame.height, frame.width) == ((128, 96) if quarters % 2 else (96, 128))
    assert (frame.format.components[0].bits > 8) == ("10" in name)
    assert frame.pts == 7
    image = frame.to_ndarray(format="rgb24")
    assert read_number(image) == 5
    if name != "gray":
        assert np.abs(image.astype(int) - numbered_image(5, *image.shape[:2])).mean() < 6


def test_pixels_of_a_plane_come_without_its_padding():
    frame = picture("yuv420p", 50, 70)
    y, u, v = (plane_pixels(plane, frame) for plane in frame.planes)
    assert (y.shape, u.shape, v.shape, y.dtype) == ((50, 70), (25, 35), (25, 35), np.uint8)
    assert np.array_equal(np.concatenate([p.ravel() for p in (y, u, v)]), frame.to_ndarray().ravel())
    deep = picture("yuv420p10le", 50, 70)
    assert plane_pixels(deep.planes[0], deep).dtype == np.dtype("<u2")
    assert plane_pixels(deep.planes[0], deep).shape == (50, 70)
    y[3, 4] = 99
    assert frame.to_ndarray()[3, 4] == 99


@pytest.mark.parametrize(("name", "yuv"), [("rgb24", "yuv444p"), ("gbrp10le", "yuv444p10le"), ("bgra", "yuv444p")])
def test_rgb_becomes_yuv_of_the_same_depth(name, yuv):
    frame = as_yuv(picture(name))
    assert (frame.format.name, frame.colorspace, frame.color_range) == (yuv, 1, 1)
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - numbered_image(5)).mean() < 3


def test_yuv_stays_as_it_is():
    frame = picture("yuv420p")
    assert as_yuv(frame) is frame


def test_like_takes_stamps_and_colours_over():
    frame = picture("yuv420p")
    frame.dts = 3
    frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc = 2, 9, 9, 16
    copied = like(av.VideoFrame(128, 96, "yuv420p"), frame)
    assert (copied.pts, copied.dts, copied.time_base, copied.duration) == (7, 3, Fraction(1, 25), 2)
    assert (copied.color_range, copied.colorspace, copied.color_primaries, copied.color_trc) == (2, 9, 9, 16)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Type.SPHERICAL, "the 360° projection is lost: players show the picture flat"),
        (Type.STEREO3D, "the arrangement of a stereoscopic picture is lost"),
        (Type.DYNAMIC_HDR_PLUS, "dynamic HDR metadata (HDR10+) are lost; the static ones stay"),
        (Type.DOVI_METADATA, "dynamic HDR metadata (Dolby Vision) are lost"),
    ],
)
def test_what_no_encoder_here_keeps_is_said(kind, words):
    """By a stand-in: no tool at hand writes these."""
    frame: Any = SimpleNamespace(side_data={kind: b""}, format=av.VideoFormat("yuv420p"), interlaced_frame=False)
    notes: list[str] = []
    source: Any = SimpleNamespace(average_rate=Fraction(25), disposition=0, metadata={})
    out: Any = SimpleNamespace(format=SimpleNamespace(name="mp4"), add_stream=lambda *_, **__: SimpleNamespace())
    Picture(source, out, 20, "veryfast", notes.append).look_at(frame)
    assert notes == [words]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_lower_rate_factor_makes_a_larger_and_better_file(tmp_path, suffix):
    source = write_clip(tmp_path / "in.mp4", frames=6, options={"crf": "1"})
    sizes = []
    for crf in (5, 20, 40):
        copy(source, tmp_path / f"{crf}{suffix}", crf=crf)
        sizes.append((tmp_path / f"{crf}{suffix}").stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize(
    ("size", "pixel_format", "encoded"),
    [
        ((96, 128), "yuv420p", "yuv420p"),
        ((97, 128), "yuv420p", "yuv444p"),
        ((96, 127), "yuv420p", "yuv444p"),
        ((97, 128), "yuv422p", "yuv422p"),
        ((96, 127), "yuv422p", "yuv444p"),
        ((97, 127), "yuv444p", "yuv444p"),
        ((97, 127), "yuv420p10le", "yuv444p10le"),
        ((96, 128), "yuv410p", "yuv444p"),
        ((96, 128), "yuv420p12le", "yuv420p10le"),
        ((96, 128), "yuv422p12le", "yuv422p10le"),
        ((96, 128), "yuv444p16le", "yuv444p10le"),
        ((96, 128), "gray12le", "yuv444p10le"),
    ],
)
def test_the_nearest_format_is_encoded(tmp_path, size, pixel_format, encoded):
    source = write_clip(tmp_path / "in.mkv", frames=1, size=size, codec="ffv1", pixel_format=pixel_format)
    notes = copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == encoded
    bits = [number for number in ("12", "16") if number in pixel_format]
    assert [note for note in notes if "bits" in note] == [f"{number} bits a channel become 10" for number in bits]


@pytest.mark.parametrize(
    ("pixel_format", "encoded", "notes"),
    [
        ("yuv420p", "yuv420p", []),
        ("yuv420p10le", "yuv420p", ["10 bits a channel become 8"]),
        ("yuv422p10le", "yuv422p", ["10 bits a channel become 8"]),
        ("yuv444p12le", "yuv444p", ["12 bits a channel become 8"]),
        ("gray", "yuv444p", []),
    ],
)
def test_webm_has_eight_bits_and_says_so(tmp_path, pixel_format, encoded, notes):
    source = write_clip(tmp_path / "in.mkv", frames=1, codec="ffv1", pixel_format=pixel_format)
    assert copy(source, tmp_path / "out.webm") == notes
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == encoded

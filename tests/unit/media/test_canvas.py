"""Pictures on a canvas, pixel by pixel: where they lie, how they are turned, where captions stand."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media.canvas import Canvas, _planes, _text
from pipeline.media.decode import decode, open_video
from tests.clips import numbered_image, read_number, write_clip


def white(height: int, width: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 255, np.uint8), "rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def luma(
    canvas: Canvas, frame: av.VideoFrame, aspect: Fraction | None = None, lines: tuple[str, ...] = ()
) -> np.ndarray:
    painted = canvas.paint(frame, aspect, lines)
    assert (painted.height, painted.width, painted.format.name) == (canvas.height, canvas.width, "yuv420p")
    return painted.to_ndarray()[: canvas.height]


@pytest.mark.parametrize(("asked", "sides"), [((97, 131), (96, 130)), ((96, 130), (96, 130)), ((1, 1), (2, 2))])
def test_sides_are_even(asked, sides):
    canvas = Canvas(*asked)
    assert (canvas.height, canvas.width) == sides


@pytest.mark.parametrize(
    ("size", "aspect", "place"),
    [
        ((32, 64), None, (24, 74, 0, 100)),  # bars above and below
        ((64, 32), None, (0, 100, 24, 74)),  # to the left and right
        ((50, 50), None, (0, 100, 0, 100)),
        ((50, 50), Fraction(2), (24, 74, 0, 100)),
        ((50, 50), Fraction(1, 2), (0, 100, 24, 74)),
        ((200, 400), None, (24, 74, 0, 100)),
        ((2, 400), None, (48, 50, 0, 100)),  # at least two pixels
        ((30, 100), None, (34, 64, 0, 100)),
    ],
)
def test_a_picture_of_another_shape_gets_black_bars(size, aspect, place):
    picture = luma(Canvas(100, 100), white(*size), aspect)
    top, bottom, left, right = place
    assert (picture[top:bottom, left:right] == 235).all()
    assert picture.sum() == 235 * (bottom - top) * (right - left) + 16 * (10_000 - (bottom - top) * (right - left))


def test_the_bars_have_no_colour():
    painted = Canvas(100, 100).paint(white(32, 64), None, ()).to_ndarray()
    chroma = painted[100:]
    assert (chroma == 128).all()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pictures_are_upright(tmp_path, rotation):
    path = write_clip(tmp_path / "turned.mp4", frames=6, rotation=rotation)
    height, width = (128, 96) if rotation % 180 else (96, 128)
    with open_video(path) as (container, stream):
        for number, (_, frame) in enumerate(decode(container, stream)):
            painted = Canvas(height, width).paint(frame, None, ())
            image = painted.to_ndarray(format="rgb24")
            assert read_number(image) == number
            assert np.abs(image.astype(int) - numbered_image(number, height, width)).mean() < 8


def test_colours_are_described_as_those_of_the_frame():
    frame = white(32, 32)
    frame.color_primaries, frame.color_trc, frame.colorspace = 9, 16, 9
    painted = Canvas(32, 32).paint(frame, None, ())
    assert (painted.color_primaries, painted.color_trc, painted.colorspace, painted.color_range) == (9, 16, 9, 1)
    rgb = av.VideoFrame.from_ndarray(numbered_image(3), "rgb24")
    painted = Canvas(96, 128).paint(rgb, None, ())
    assert (painted.colorspace, painted.color_range) == (1, 1)
    assert np.abs(painted.to_ndarray(format="rgb24").astype(int) - numbered_image(3)).mean() < 6


def test_a_caption_stands_at_the_lower_left_on_a_darkened_ground():
    canvas = Canvas(200, 300)
    picture = luma(canvas, white(200, 300), None, ("HHH",))
    height, width = _text(("HHH",), 200).shape
    ground = picture[190 - height : 190, 10 : 10 + width]
    changed = picture != 235
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (190 - height, 190, 10, 10 + width)
    assert ground[0, 0] == 104  # 0.4 of white and 0.6 of black
    assert ground.max() == 235
    chroma = canvas.paint(white(200, 300), None, ("HHH",)).to_ndarray()[200:]
    assert (chroma == 128).all()


def test_a_caption_takes_colour_out_of_its_ground():
    canvas = Canvas(200, 200)
    blue = av.VideoFrame.from_ndarray(np.full((200, 200, 3), (0, 0, 255), np.uint8), "rgb24")
    flat = canvas.paint(blue, None, ("H",)).to_ndarray().ravel()
    _, u, _ = _planes(flat, 200, 200)
    height = _text(("H",), 200).shape[0]
    top, left = (190 - height) // 2, 5
    assert u[0, 0] == 240
    assert u[top, left] == round(240 * 0.4 + 128 * 0.6)
    assert u[top - 1, left] == u[top, left - 1] == 240


def test_a_caption_larger_than_the_picture_is_cut_off():
    picture = luma(Canvas(16, 16), white(16, 16), None, ("many words", "and more"))
    assert (picture <= 235).all()
    assert (picture != 235).any()


def test_a_caption_stays_until_it_changes():
    canvas = Canvas(200, 300)
    first, again, other, none = (
        luma(canvas, white(200, 300), None, lines) for lines in (("one",), ("one",), ("two",), ())
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (none == 235).all()


@pytest.mark.parametrize(
    ("lines", "side", "height"),
    [(("H",), 200, 22), (("H",), 220, 22), (("H",), 400, 38), (("H", "H"), 400, 66), (("H",), 600, 58)],
)
def test_the_ground_is_as_high_as_its_lines(lines, side, height):
    text = _text(lines, side)
    assert text.shape[0] == height
    assert text.shape[1] % 2 == 0
    assert text.dtype == np.float32
    assert (text.min(), text.max()) == (0, 1)


def test_letters_stand_on_one_line_between_equal_edges():
    single, double = _text(("H",), 400), _text(("H", "Hg"), 400)
    rows, columns = np.nonzero(single > 0.5)
    assert rows.max() == 25  # 1.4 of 20 pixels, less a sixth of the edge and the smoothed rim
    assert 10 <= columns.min() <= 12
    assert single.shape[1] - 10 - 2 <= columns.max() + 1 + 2 <= single.shape[1]
    of_h = double[28:, : columns.max() + 1]
    assert np.nonzero(of_h > 0.5)[0].max() == 25
    assert np.nonzero(double[28:] > 0.5)[0].max() > 28  # the g hangs below


def test_planes_are_views():
    flat = np.arange(6 * 4 * 3 // 2, dtype=np.uint8)
    y, u, v = _planes(flat, 4, 6)
    assert (y.shape, u.shape, v.shape) == ((4, 6), (2, 3), (2, 3))
    assert (y[0, 0], u[0, 0], v[0, 0], v[1, 2]) == (0, 24, 30, 35)
    v[0, 0] = 7
    assert flat[30] == 7

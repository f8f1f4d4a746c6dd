"""Hiding instances in pixels: exact values, exact areas, and failing closed."""

from typing import Any

import numpy as np
import pytest

from pipeline.config.privacy import ObfuscateSettings
from pipeline.privacy.boxes import enlarge
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import Instances

FILTERS = ("blur", "pixelate", "solid")


def settings(
    name: str = "solid", factor: float = 1.0, kernel: float = 1.0, blocks: int = 4, shape: str = "box"
) -> ObfuscateSettings:
    return ObfuscateSettings(
        filter=name,  # type: ignore[arg-type]
        shape=shape,  # type: ignore[arg-type]
        enlarge=factor,
        kernel=kernel,
        blocks=blocks,
        jpeg_quality=90,
    )


def one(*box: float, mask: np.ndarray | None = None) -> Instances:
    """One instance exactly here, clipped to nothing."""
    return Instances(np.array([box], np.float32), np.ones(1, np.float32), [mask], np.zeros(1, bool))


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    top = 256 if dtype == np.uint8 else 1024
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def reflect(position: int, length: int) -> int:
    """Index of a position outside a line that is mirrored at its ends: … 1 0 | 0 1 2 … n-1 | n-1 n-2 …"""
    position %= 2 * length
    return position if position < length else 2 * length - 1 - position


def box_filter(region: np.ndarray, side: int) -> np.ndarray:
    """The mean of every pixel's ``side`` x ``side`` neighbourhood, the slow way."""
    rows, columns = region.shape
    out = np.empty((rows, columns))
    for y in range(rows):
        for x in range(columns):
            ys = [reflect(y + d - side // 2, rows) for d in range(side)]
            xs = [reflect(x + d - side // 2, columns) for d in range(side)]
            out[y, x] = region[np.ix_(ys, xs)].mean()
    return out


# ---- nothing to hide


@pytest.mark.parametrize("name", FILTERS)
def test_no_instances_change_nothing(name: str) -> None:
    plane = noise(12, 16)
    before = plane.copy()
    assert hide([plane], (12, 16), Instances(), settings(name), [0]) is False
    assert np.array_equal(plane, before)


@pytest.mark.parametrize("name", FILTERS)
def test_an_instance_is_something_to_hide(name: str) -> None:
    plane = noise(12, 16)
    assert hide([plane], (12, 16), one(0.25, 0.25, 0.75, 0.75), settings(name), [0]) is True


# ---- the box filter


def test_blur_by_hand() -> None:
    """A row of 0 30 60 90, mirrored at its ends and averaged over three."""
    plane = np.full((8, 8), 200, np.uint8)
    plane[3, 2:6] = [0, 30, 60, 90]
    hide([plane], (8, 8), one(0.25, 0.375, 0.75, 0.5), settings("blur", kernel=0.75), [0])
    assert plane[3].tolist() == [200, 200, 10, 30, 60, 80, 200, 200]


@pytest.mark.parametrize("kernel", [0.25, 0.5, 1.0, 2.5, 4.0])
def test_blur_is_a_normalised_box_filter(kernel: float) -> None:
    plane = noise(24, 32)
    before = plane.copy()
    hide([plane], (24, 32), one(0.25, 0.25, 0.75, 0.75), settings("blur", kernel=kernel), [0])
    expected = box_filter(before[6:18, 8:24], int(16 * kernel))  # the longer side is 16 pixels
    assert np.abs(plane[6:18, 8:24] - expected).max() < 0.6  # rounded, and OpenCV divides small sums in fixed point


@pytest.mark.parametrize(
    ("box", "side"), [((0.25, 0.125, 0.75, 0.375), 16), ((0.5, 0.0, 0.75, 0.75), 18)], ids=["wide", "tall"]
)
def test_the_kernel_is_as_large_as_the_longer_side(box: tuple[float, ...], side: int) -> None:
    plane = noise(24, 32)
    before = plane.copy()
    hide([plane], (24, 32), one(*box), settings("blur"), [0])
    x1, y1, x2, y2 = (int(v) for v in np.array(box) * [32, 24, 32, 24])
    assert np.abs(plane[y1:y2, x1:x2] - box_filter(before[y1:y2, x1:x2], side)).max() < 0.6


def test_blur_keeps_a_plain_colour() -> None:
    plane = np.full((24, 32), 77, np.uint8)
    hide([plane], (24, 32), one(0.25, 0.25, 0.75, 0.75), settings("blur"), [0])
    assert (plane == 77).all()


def test_blur_takes_nothing_from_outside_its_box() -> None:
    """What surrounds a face must not shine into it, nor the face out of it."""
    plane = np.full((24, 32), 255, np.uint8)
    plane[6:18, 8:24] = 10
    hide([plane], (24, 32), one(0.25, 0.25, 0.75, 0.75), settings("blur"), [0])
    assert (plane[6:18, 8:24] == 10).all()


def test_blur_does_not_overflow_on_a_large_frame() -> None:
    plane = np.full((2200, 3000), 65535, np.uint16)
    hide([plane], plane.shape, Instances(failed=True), settings("blur"), [0])
    assert (plane.min(), plane.max()) == (65535, 65535)


# ---- pixelation, solid colour


def test_pixelate_by_hand() -> None:
    plane = np.arange(64, dtype=np.uint8).reshape(8, 8)
    hide([plane], (8, 8), one(0.5, 0.0, 1.0, 0.5), settings("pixelate", blocks=2), [0])
    expected = np.arange(64).reshape(8, 8)
    expected[:4, 4:] = np.repeat(np.repeat([[8, 10], [24, 26]], 2, axis=0), 2, axis=1)
    # means 8.5, 10.5, 24.5, 26.5 of four pixels each: rounding may go either way
    assert np.abs(plane.astype(int) - expected).max() <= 1
    assert len(np.unique(plane[:4, 4:])) == 4


@pytest.mark.parametrize(("blocks", "across", "down"), [(1, 1, 1), (4, 4, 2), (8, 8, 4)])
def test_pixelate_into_as_many_blocks_along_the_longer_side(blocks: int, across: int, down: int) -> None:
    plane = noise(32, 64)
    hide([plane], (32, 64), one(0.0, 0.0, 1.0, 1.0), settings("pixelate", blocks=blocks), [0])
    edges = [int((np.diff(plane.astype(int), axis=axis) != 0).any(axis=1 - axis).sum()) + 1 for axis in (1, 0)]
    assert edges == [across, down]


@pytest.mark.parametrize("shape", [(32, 32), (16, 64), (16, 32)], ids=["4:2:2", "4:4:0", "4:2:0"])
def test_pixelate_subsampled_planes_into_the_same_blocks(shape: tuple[int, int]) -> None:
    plane = noise(*shape)
    hide([plane], (32, 64), one(0.0, 0.0, 1.0, 1.0), settings("pixelate", blocks=4), [0])
    edges = [int((np.diff(plane.astype(int), axis=axis) != 0).any(axis=1 - axis).sum()) + 1 for axis in (1, 0)]
    assert edges == [4, 2]


def test_pixelate_keeps_the_mean_of_each_block() -> None:
    plane = noise(32, 32)
    before = plane.astype(float)
    hide([plane], (32, 32), one(0.0, 0.0, 1.0, 1.0), settings("pixelate", blocks=4), [0])
    means = before.reshape(4, 8, 4, 8).mean(axis=(1, 3))
    assert np.abs(plane[::8, ::8] - means).max() <= 0.51


@pytest.mark.parametrize("black", [0, 16])
def test_solid_is_black_of_the_plane(black: int) -> None:
    plane = noise(12, 16)
    hide([plane], (12, 16), one(0.25, 0.25, 0.75, 0.75), settings("solid"), [black])
    assert (plane[3:9, 4:12] == black).all()


def test_every_plane_has_its_own_black() -> None:
    planes = [noise(12, 16), noise(6, 8), noise(6, 8)]
    hide(planes, (12, 16), one(0.0, 0.0, 1.0, 1.0), settings("solid"), [16, 128, 129])
    assert [np.unique(plane).tolist() for plane in planes] == [[16], [128], [129]]


# ---- which pixels


@pytest.mark.parametrize("factor", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("name", FILTERS)
def test_pixels_outside_the_enlarged_box_are_untouched(name: str, factor: float) -> None:
    plane = noise(40, 60)
    before = plane.copy()
    hide([plane], (40, 60), one(0.4, 0.4, 0.6, 0.6), settings(name, factor), [0])
    half_width, half_height = 0.1 * factor * 60, 0.1 * factor * 40
    x1, x2 = int(np.floor(30 - half_width - 1e-3)), int(np.ceil(30 + half_width + 1e-3))
    y1, y2 = int(np.floor(20 - half_height - 1e-3)), int(np.ceil(20 + half_height + 1e-3))
    plane[y1:y2, x1:x2] = before[y1:y2, x1:x2]
    assert np.array_equal(plane, before)


@pytest.mark.parametrize("factor", [1.0, 1.5, 3.0])
def test_every_pixel_that_the_enlarged_box_touches_is_hidden(factor: float) -> None:
    generator = np.random.default_rng(7)
    for _ in range(100):
        low = generator.random(2) * 0.8
        box = np.concatenate([low, low + 0.01 + generator.random(2) * 0.5]).astype(np.float32)
        plane = np.full((37, 53), 200, np.uint8)
        hide([plane], (37, 53), one(*box), settings("solid", factor), [0])
        x1, y1, x2, y2 = enlarge(box, factor)
        xs, ys = np.arange(53), np.arange(37)
        touched_x = (xs + 1 > x1 * 53 + 1e-4) & (xs < x2 * 53 - 1e-4)
        touched_y = (ys + 1 > y1 * 37 + 1e-4) & (ys < y2 * 37 - 1e-4)
        assert (plane[touched_y][:, touched_x] == 0).all()


def test_every_instance_is_hidden() -> None:
    plane = np.full((8, 8), 200, np.uint8)
    two = Instances.of(np.array([(0.0, 0.0, 0.25, 0.25), (0.75, 0.75, 1.0, 1.0)]), np.ones(2))
    hide([plane], (8, 8), two, settings("solid"), [0])
    expected = np.full((8, 8), 200, np.uint8)
    expected[:2, :2] = expected[6:, 6:] = 0
    assert np.array_equal(plane, expected)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("box", "area"),
    [
        ((0.0, 0.0, 0.125, 0.125), (0, 0, 3, 3)),
        ((0.875, 0.875, 1.0, 1.0), (13, 13, 16, 16)),
        ((-0.5, 0.375, 0.5, 0.625), (0, 5, 12, 11)),
        ((-1.0, -1.0, 2.0, 2.0), (0, 0, 16, 16)),
        ((0.5, 0.5, 0.5 + 2**-14, 0.5 + 2**-14), (7, 7, 9, 9)),
    ],
    ids=["first corner", "last corner", "over an edge", "larger than the frame", "smaller than a pixel"],
)
def test_box_at_the_border(name: str, box: tuple[float, ...], area: tuple[int, ...]) -> None:
    """With a factor of 1.5 on its sides; the area is (x1, y1, x2, y2) in pixels."""
    plane = noise(16, 16) // 2
    before = plane.copy()
    assert hide([plane], (16, 16), one(*box), settings(name, 1.5), [255]) is True
    inside = np.zeros((16, 16), bool)
    inside[area[1] : area[3], area[0] : area[2]] = True
    assert np.array_equal(plane[~inside], before[~inside])
    if name == "solid":
        assert (plane[inside] == 255).all()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("box", [(1.2, 0.2, 1.4, 0.4), (-0.4, -0.4, -0.2, -0.2)])
def test_box_outside_the_frame_changes_nothing(name: str, box: tuple[float, ...]) -> None:
    plane = noise(20, 20)
    before = plane.copy()
    hide([plane], (20, 20), one(*box), settings(name), [0])
    assert np.array_equal(plane, before)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_tiny_planes(name: str, shape: tuple[int, int]) -> None:
    plane = noise(*shape)
    assert hide([plane], shape, one(0.0, 0.0, 1.0, 1.0), settings(name), [0]) is True


# ---- an ellipse with a soft edge


def ellipse_shares(box: tuple[float, ...], height: int, width: int) -> np.ndarray:
    """How far each pixel is to be hidden: whole up to the ellipse through the corners of a box that is given in pixels,
    then less in proportion to the radius, to nothing at 1.25 of it."""
    x1, y1, x2, y2 = box
    across = (2 * np.arange(width) + 1 - x1 - x2) / (x2 - x1)
    down = (2 * np.arange(height) + 1 - y1 - y2) / (y2 - y1)
    radius = np.hypot(across[None], down[:, None]) / np.sqrt(2)
    return np.clip((1.25 - radius) / 0.25, 0, 1)


@pytest.mark.parametrize("box", [(50, 40, 150, 80), (75, 20, 100, 150), (-25, 30, 50, 170)], ids=str)
def test_ellipse_by_hand(box: tuple[int, ...]) -> None:
    plane = np.full((160, 200), 200, np.uint8)
    hide([plane], (160, 200), one(*(np.array(box) / [200, 160, 200, 160])), settings("solid", shape="ellipse"), [0])
    assert np.abs(plane - 200 * (1 - ellipse_shares(box, 160, 200))).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("interleaved", [False, True])
def test_ellipse_mixes_what_was_there_with_the_filtered(interleaved: bool, dtype: Any) -> None:
    before = noise(40, 48, dtype=dtype)
    plane = np.stack([before, before // 2], axis=2) if interleaved else before.copy()
    hide([plane], (40, 48), one(0.375, 0.375, 0.625, 0.625), settings("blur", shape="ellipse"), [0])
    half = np.sqrt(2) * 1.25 * np.array([5, 6])  # of the box that the soft edge ends in, whose pixels are filtered
    y1, x1 = np.floor([20, 24] - half).astype(int)
    y2, x2 = np.ceil([20, 24] + half).astype(int)
    shares = ellipse_shares((18, 15, 30, 25), 40, 48)[y1:y2, x1:x2]
    expected = before.astype(float)
    expected[y1:y2, x1:x2] += shares * (box_filter(before[y1:y2, x1:x2], 12) - before[y1:y2, x1:x2])
    assert np.abs((plane[..., 0] if interleaved else plane) - expected).max() < 1.5
    if interleaved:
        assert np.abs(plane[..., 1] - expected / 2).max() < 1.5


@pytest.mark.parametrize("factor", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("step", [1, 2])
def test_ellipse_hides_all_that_the_box_hides(factor: float, step: int) -> None:
    """In every plane, subsampled ones as well: not one pixel of the box keeps a trace of what it was."""
    generator = np.random.default_rng(11)
    soft = 0
    for _ in range(60):
        low = generator.random(2) * 0.9 - 0.05
        box = np.concatenate([low, low + 0.002 + generator.random(2) * 0.4]).astype(np.float32)
        planes = [np.full((-(-75 // step), -(-103 // step)), 200, np.uint8) for _ in range(2)]
        for plane, shape in zip(planes, ("box", "ellipse"), strict=True):
            hide([plane], (75, 103), one(*box), settings("solid", factor, shape=shape), [0])
        assert (planes[1][planes[0] == 0] == 0).all()
        soft += int(((planes[1] > 0) & (planes[1] < 200)).sum())
    assert soft > 0


@pytest.mark.parametrize("name", FILTERS)
def test_a_whole_frame_is_hidden_whole_whatever_the_shape(name: str) -> None:
    planes = [noise(31, 47), noise(31, 47)]
    for plane, shape in zip(planes, ("box", "ellipse"), strict=True):
        hide([plane], (31, 47), Instances(failed=True), settings(name, 1.5, shape=shape), [7])
    assert np.array_equal(*planes)


@pytest.mark.parametrize("name", FILTERS)
def test_a_mask_is_its_own_shape(name: str) -> None:
    planes = [noise(60, 60), noise(60, 60)]
    for plane, shape in zip(planes, ("box", "ellipse"), strict=True):
        found = one(0.2, 0.2, 0.8, 0.8, mask=np.eye(8, dtype=bool))
        hide([plane], (60, 60), found, settings(name, 1.2, shape=shape), [7])
    assert np.array_equal(*planes)


# ---- the whole frame


def checkerboard(height: int, width: int) -> np.ndarray:
    return np.where(np.indices((height, width)).sum(axis=0) % 2, 250, 0).astype(np.uint8)


def test_failed_frame_is_black_with_solid() -> None:
    plane = noise(20, 30)
    assert hide([plane], (20, 30), Instances(failed=True), settings("solid", 1.5), [0]) is True
    assert (plane == 0).all()


def test_failed_frame_is_flat_with_blur() -> None:
    plane = checkerboard(40, 60)
    assert hide([plane], (40, 60), Instances(failed=True), settings("blur"), [0]) is True
    assert np.abs(plane.astype(int) - 125).max() <= 5


def test_failed_frame_is_a_few_blocks_with_pixelate() -> None:
    plane = noise(40, 60)
    assert hide([plane], (40, 60), Instances(failed=True), settings("pixelate", 1.0, blocks=4), [0]) is True
    assert len(np.unique(plane)) <= 12


def test_failed_frame_is_hidden_whole_whatever_was_found_in_it() -> None:
    frame = one(0.1, 0.1, 0.2, 0.2)
    frame.failed = True
    plane = noise(20, 30)
    assert hide([plane], (20, 30), frame, settings("solid"), [0]) is True
    assert (plane == 0).all()


@pytest.mark.parametrize("found", [Instances(), one(0.1, 0.1, 0.2, 0.2)], ids=["nothing found", "a face found"])
def test_filter_frame_hides_every_frame_whole(found: Instances) -> None:
    plane = checkerboard(40, 60)
    assert hide([plane], (40, 60), found, settings("frame"), [0]) is True
    assert np.abs(plane.astype(int) - 125).max() <= 5


def test_filter_frame_is_the_box_filter() -> None:
    plane, other = noise(24, 32), noise(24, 32)
    hide([plane], (24, 32), Instances(), settings("frame", kernel=0.25), [0])
    hide([other], (24, 32), one(0.0, 0.0, 1.0, 1.0), settings("blur", kernel=0.25), [0])
    assert np.array_equal(plane, other)


@pytest.mark.parametrize("name", FILTERS)
def test_whole_frame_has_no_edge_left_as_it_was(name: str) -> None:
    plane = checkerboard(31, 41)
    hide([plane], (31, 41), Instances(failed=True), settings(name, 1.5), [100])
    assert not set(np.unique(plane)) & {0, 250}


# ---- masks


def cells_under(mask: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels whose centre lies in a cell of the mask."""
    rows, columns = mask.shape
    x = ((np.arange(width) + 0.5) / width - box[0]) / (box[2] - box[0]) * columns
    y = ((np.arange(height) + 0.5) / height - box[1]) / (box[3] - box[1]) * rows
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))[None]
    return mask[np.clip(y, 0, rows - 1).astype(int)][:, np.clip(x, 0, columns - 1).astype(int)] & inside


@pytest.mark.parametrize("grid", [(1, 1), (12, 6), (20, 8), (64, 64), (256, 200)], ids=str)
@pytest.mark.parametrize("factor", [1.0, 1.1, 1.2, 1.5])
def test_every_pixel_of_a_mask_is_hidden(factor: float, grid: tuple[int, int]) -> None:
    """Limbs are thin: masks here are lines and spots, the smallest things that a mask can show."""
    generator = np.random.default_rng(3)
    missed = 0
    for _ in range(40):
        mask = generator.random(grid) < 0.15
        mask.flat[generator.integers(mask.size)] = True
        low = generator.random(2) * 0.5
        box = np.concatenate([low, low + 0.1 + generator.random(2) * 0.4]).astype(np.float32)
        plane = np.full((128, 171), 200, np.uint8)
        hide([plane], (128, 171), one(*box, mask=mask), settings("solid", factor), [0])
        missed += int((cells_under(mask, box, 128, 171) & (plane != 0)).sum())
    assert missed == 0


@pytest.mark.parametrize("name", FILTERS)
def test_pixels_outside_the_dilated_mask_are_untouched(name: str) -> None:
    mask = np.zeros((10, 10), bool)
    mask[:, :3] = True
    plane = noise(100, 100)
    before = plane.copy()
    hide([plane], (100, 100), one(0.2, 0.2, 0.7, 0.7, mask=mask), settings(name, 1.2), [0])
    # a cell is 5 pixels; a factor of 1.2 on ten cells dilates by one on either side
    plane[15:75, 15:40] = before[15:75, 15:40]
    assert np.array_equal(plane, before)


@pytest.mark.parametrize(("factor", "cells"), [(1.0, 0), (1.1, 1), (1.2, 1), (1.4, 2), (2.0, 5), (3.0, 10)])
def test_mask_is_dilated_as_much_as_its_box_would_grow(factor: float, cells: int) -> None:
    mask = np.zeros((10, 10), bool)
    mask[5, 5] = True
    plane = np.full((300, 300), 200, np.uint8)
    hide([plane], (300, 300), one(0.4, 0.4, 0.6, 0.6, mask=mask), settings("solid", factor), [0])
    # a cell is 6 pixels; the mask's only cell begins at pixel 150
    rows, columns = np.nonzero(plane == 0)
    low, high = 150 - 6 * cells, 156 + 6 * cells
    for found, wanted in [(rows.min(), low), (columns.min(), low), (rows.max() + 1, high), (columns.max() + 1, high)]:
        assert abs(int(found) - wanted) <= 1


@pytest.mark.parametrize(("down", "across"), [(1, 2), (2, 1), (2, 2)])
def test_a_mask_hides_the_same_places_in_subsampled_planes(down: int, across: int) -> None:
    mask = np.random.default_rng(5).random((6, 9)) < 0.4
    full, part = np.full((60, 84), 200, np.uint8), np.full((60 // down, 84 // across), 200, np.uint8)
    for plane in (full, part):
        hide([plane], (60, 84), one(0.1, 0.2, 0.8, 0.7, mask=mask), settings("solid"), [0])
    blocks = full.reshape(60 // down, down, 84 // across, across)
    assert np.array_equal(part == 0, (blocks == 0).any(axis=(1, 3)))


def test_full_mask_hides_at_least_its_box() -> None:
    plane = np.full((100, 100), 200, np.uint8)
    hide([plane], (100, 100), one(0.2, 0.3, 0.6, 0.9, mask=np.ones((8, 8), bool)), settings("solid"), [0])
    assert (plane[30:90, 20:60] == 0).all()


def test_mask_reaches_over_the_border() -> None:
    plane = np.full((50, 50), 200, np.uint8)
    hide([plane], (50, 50), one(0.0, 0.0, 1.0, 1.0, mask=np.ones((5, 5), bool)), settings("solid", 2.0), [0])
    assert (plane == 0).all()


def test_empty_mask_hides_nothing() -> None:
    plane = noise(50, 50)
    before = plane.copy()
    hide([plane], (50, 50), one(0.2, 0.2, 0.8, 0.8, mask=np.zeros((5, 5), bool)), settings("solid"), [0])
    assert np.array_equal(plane, before)


def test_failed_frame_ignores_masks() -> None:
    frame = one(0.2, 0.2, 0.8, 0.8, mask=np.zeros((5, 5), bool))
    frame.failed = True
    plane = noise(50, 50)
    hide([plane], (50, 50), frame, settings("solid"), [0])
    assert (plane == 0).all()


# ---- kinds of planes


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_deep_planes_are_filtered_like_others(name: str) -> None:
    plane = noise(24, 32)
    deep = plane.astype(np.uint16) * 4
    found = one(0.25, 0.25, 0.75, 0.75)
    hide([plane], (24, 32), found, settings(name, 1.2), [0])
    hide([deep], (24, 32), found, settings(name, 1.2), [0])
    assert deep.dtype == np.uint16
    assert np.abs(deep / 4 - plane).max() <= 0.76


def test_deep_planes_have_deep_black() -> None:
    plane = noise(12, 16, dtype=np.uint16)
    hide([plane], (12, 16), one(0.0, 0.0, 1.0, 1.0), settings("solid"), [512])
    assert (plane == 512).all()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("masked", [False, True])
def test_interleaved_channels_are_filtered_like_planes(name: str, masked: bool) -> None:
    image = noise(24, 32, 3)
    planes = [np.ascontiguousarray(image[..., channel]) for channel in range(3)]
    found = one(0.25, 0.25, 0.75, 0.75, mask=np.eye(6, dtype=bool) if masked else None)
    hide([image], (24, 32), found, settings(name, 1.2), [7])
    hide(planes, (24, 32), found, settings(name, 1.2), [7, 7, 7])
    assert np.array_equal(image, np.stack(planes, axis=-1))


@pytest.mark.parametrize("name", FILTERS)
def test_planes_with_padding_are_changed_in_place(name: str) -> None:
    """A decoder's planes are views: their rows are longer in memory than the picture is wide."""
    memory = noise(24, 64)
    before = memory.copy()
    plain = memory[:, :32].copy()
    found = one(0.25, 0.25, 0.75, 0.75)
    hide([memory[:, :32]], (24, 32), found, settings(name, 1.2), [0])
    hide([plain], (24, 32), found, settings(name, 1.2), [0])
    assert np.array_equal(memory[:, :32], plain)
    assert np.array_equal(memory[:, 32:], before[:, 32:])


@pytest.mark.parametrize("size", [(96, 128), (240, 320), (97, 129), (240, 321), (241, 320)], ids=str)
def test_half_size_chroma_hides_the_same_area(size: tuple[int, int]) -> None:
    """Colour alone can tell a face: every chroma sample of a hidden pixel has to be hidden too."""
    generator = np.random.default_rng(1)
    shown = 0
    for _ in range(200):
        (x1, x2), (y1, y2) = np.sort(generator.random((2, 2)), axis=1)
        luma = np.full(size, 200, np.uint8)
        chroma = np.full([-(-side // 2) for side in size], 200, np.uint8)
        hide([luma, chroma], size, one(x1, y1, x2, y2), settings("solid"), [0, 0])
        rows, columns = np.nonzero(luma == 0)
        shown += int((chroma[rows // 2, columns // 2] != 0).any())
    assert shown == 0


def test_half_size_chroma_is_blurred_over_the_same_distance() -> None:
    """A step in the middle of the box is smeared over half of its side in either plane."""
    luma, chroma = np.zeros((64, 64), np.uint8), np.zeros((32, 32), np.uint8)
    luma[:, 32:], chroma[:, 16:] = 200, 200
    hide([luma, chroma], (64, 64), one(0.0, 0.25, 1.0, 0.75), settings("blur", kernel=0.5), [0, 0])
    assert np.abs(luma[32, ::2].astype(int) - chroma[16]).max() <= 7

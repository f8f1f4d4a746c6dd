"""Hiding instances in pixels: normalised box filter, pixelation, solid colour, the whole frame.

The functions work on planes (one channel, or interleaved channels) of full or subsampled resolution, so the half-size
chroma planes of 4:2:0 video and the RGB images of a frame store are treated alike. All are linear or
constant, so filtering Y, U and V is filtering RGB.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.config.privacy import ObfuscateSettings
from pipeline.privacy.boxes import enlarge
from pipeline.privacy.instances import Instances

_WHOLE = np.array([0, 0, 1, 1], np.float32)
_EDGE = 0.25  # width of an ellipse's soft edge, as a share of its radius


def hide(
    planes: Sequence[np.ndarray],
    size: tuple[int, int],
    instances: Instances,
    settings: ObfuscateSettings,
    black: Sequence[int],
) -> bool:
    """Hide every instance in place. A frame whose detection failed is hidden whole.

    Args:
        planes: Arrays (height, width) or (height, width, channels), uint8 or uint16, all showing the same frame.
        size: Height and width of the frame in pixels (a plane may be smaller).
        instances: What to hide.
        settings: Filter, shape, enlargement, kernel.
        black: Value of black in each plane, for ``solid``.

    Returns:
        Whether anything was changed.
    """
    hidden = list(zip(instances.boxes, instances.masks, strict=True))
    if instances.failed or settings.filter == "frame":
        hidden = [(_WHOLE, None)]
    for box, mask in hidden:
        for plane, value in zip(planes, black, strict=True):
            _hide_box(plane, size, box, mask, settings, value)
    return bool(hidden)


def _hide_box(
    plane: np.ndarray,
    size: tuple[int, int],
    box: np.ndarray,
    mask: np.ndarray | None,
    settings: ObfuscateSettings,
    black: int,
) -> None:
    rows, columns = plane.shape[:2]
    # A subsampled plane of an odd frame has (side + 1) // 2 pixels, so its pixels are steps of the frame's, not shares.
    steps = (-(-size[0] // rows), -(-size[1] // columns))
    larger = enlarge(box, settings.enlarge) if mask is None else _margins(box, mask, settings.enlarge)
    touched = np.array(
        [
            larger[0] * size[1] // steps[1],
            larger[1] * size[0] // steps[0],
            -(-larger[2] * size[1] // steps[1]),
            -(-larger[3] * size[0] // steps[0]),
        ]
    )
    ellipse = mask is None and settings.shape == "ellipse"
    outer = _around_ellipse(touched) if ellipse else touched
    (x1, y1), (x2, y2) = np.maximum(outer[:2], 0).astype(int), np.minimum(outer[2:], [columns, rows]).astype(int)
    if x2 <= x1 or y2 <= y1:
        return
    region = plane[y1:y2, x1:x2]
    side = max((larger[2] - larger[0]) * size[1], (larger[3] - larger[1]) * size[0])
    hidden = _filtered(region, side, steps, settings, black)
    if ellipse:
        _blend(region, hidden, _shares(touched, x1, y1, x2, y2))
    elif mask is None:
        region[...] = hidden
    else:
        edges_y = np.arange(y1, y2 + 1) * steps[0] / size[0]
        edges_x = np.arange(x1, x2 + 1) * steps[1] / size[1]
        chosen = _touched(_dilate(mask, settings.enlarge), larger, edges_y, edges_x)
        region[chosen] = hidden[chosen]


def _around_ellipse(box: np.ndarray) -> np.ndarray:
    """The box, in pixels, that holds the ellipse through a box's corners, with its soft edge."""
    larger = enlarge(box, np.sqrt(2) * (1 + _EDGE))
    return np.concatenate([np.floor(larger[:2]), np.ceil(larger[2:])])


def _shares(box: np.ndarray, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    """How far to hide the pixels of an area: 1 in the ellipse through a box's corners, less in its soft edge."""
    center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    across = (np.arange(x1, x2) + 0.5 - center[0]) / half[0]
    down = (np.arange(y1, y2) + 0.5 - center[1]) / half[1]
    radius = np.sqrt((across[None] ** 2 + down[:, None] ** 2) / 2)
    return np.clip((1 + _EDGE - radius) / _EDGE, 0, 1).astype(np.float32)


def _blend(region: np.ndarray, hidden: np.ndarray, shares: np.ndarray) -> None:
    """Mix what is hidden into a region, in place; a share of 1 leaves nothing of what was there."""
    if region.ndim == 3:
        shares = shares[..., None]
    region[...] = np.rint(region + shares * (hidden.astype(np.float32) - region))


def _margin_cells(mask: np.ndarray, factor: float) -> list[int]:
    return [int(np.ceil((factor - 1) / 2 * cells)) for cells in mask.shape]


def _margins(box: np.ndarray, mask: np.ndarray, factor: float) -> np.ndarray:
    """The box with as many whole mask cells around it as the enlargement asks for."""
    down, right = _margin_cells(mask, factor)
    cell_height, cell_width = (box[3] - box[1]) / mask.shape[0], (box[2] - box[0]) / mask.shape[1]
    return box + np.array([-right * cell_width, -down * cell_height, right * cell_width, down * cell_height])


def _dilate(mask: np.ndarray, factor: float) -> np.ndarray:
    """A mask on its own grid, padded and dilated by the cells of `_margins`."""
    down, right = _margin_cells(mask, factor)
    padded = np.pad(mask.astype(np.uint8), ((down, down), (right, right)))
    return cv2.dilate(padded, np.ones((2 * down + 1, 2 * right + 1), np.uint8))


def _touched(grid: np.ndarray, box: np.ndarray, edges_y: np.ndarray, edges_x: np.ndarray) -> np.ndarray:
    """Pixels, given by their edges, that touch at least one set cell of a grid over a box."""
    sums = np.pad(grid.astype(np.int32), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    first, last = [], []
    for edges, low, high, cells in ((edges_y, box[1], box[3], grid.shape[0]), (edges_x, box[0], box[2], grid.shape[1])):
        places = (edges - low) / (high - low) * cells
        first.append(np.clip(np.floor(places[:-1] + 1e-6), 0, cells).astype(int))
        last.append(np.clip(np.ceil(places[1:] - 1e-6), 0, cells).astype(int))
    (top, left), (bottom, right) = first, last
    count = (
        sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)] + sums[np.ix_(top, left)]
    )
    return count > 0


def _filtered(
    region: np.ndarray, side: float, steps: tuple[int, int], settings: ObfuscateSettings, black: int
) -> np.ndarray:
    """The region as it will be shown; ``side`` is the enlarged box's longer side in pixels of the frame."""
    rows, columns = region.shape[:2]
    if settings.filter == "solid":
        return np.full_like(region, black)
    if settings.filter == "pixelate":
        blocks = [  # of two pixels at least, or a small face would stay as it is
            max(1, min(pixels // 2, round(settings.blocks * pixels * step / side)))
            for pixels, step in ((columns, steps[1]), (rows, steps[0]))
        ]
        small = cv2.resize(region, blocks, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_NEAREST).reshape(region.shape)
    kernel = [max(3, int(np.ceil(settings.kernel * side / step))) for step in (steps[1], steps[0])]
    return cv2.blur(np.ascontiguousarray(region), kernel, borderType=cv2.BORDER_REFLECT).reshape(region.shape)

"""Hiding instances in pixels: normalised box filter, pixelation, solid colour, the whole frame.

The functions work on planes (one channel, or interleaved channels) of any resolution: coordinates are relative, so the
half-size chroma planes of 4:2:0 video and the RGB images of a frame store are treated alike. All are linear or
constant, so filtering Y, U and V is filtering RGB.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.config import ObfuscateSettings
from pipeline.privacy.instances import Instances

_WHOLE = np.array([0, 0, 1, 1], np.float32)


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
        settings: Filter, enlargement, kernel.
        black: Value of black in each plane, for ``solid``.

    Returns:
        Whether anything was changed.
    """
    if instances.failed or settings.filter == "frame":
        for plane, value in zip(planes, black, strict=True):
            _hide_box(plane, size, _WHOLE, None, settings, value)
        return True
    for box, mask in zip(instances.boxes, instances.masks, strict=True):
        for plane, value in zip(planes, black, strict=True):
            _hide_box(plane, size, box, mask, settings, value)
    return len(instances) > 0


def enlarge(box: np.ndarray, factor: float) -> np.ndarray:
    """A box about the same centre with its sides multiplied; not clipped."""
    center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * factor
    return np.concatenate([center - half, center + half])


def _hide_box(
    plane: np.ndarray,
    size: tuple[int, int],
    box: np.ndarray,
    mask: np.ndarray | None,
    settings: ObfuscateSettings,
    black: int,
) -> None:
    rows, columns = plane.shape[:2]
    if mask is None:
        larger = enlarge(box, settings.enlarge)
    else:
        larger, mask = _dilate(box, mask, settings.enlarge)
    left, top = int(np.floor(larger[0] * columns)), int(np.floor(larger[1] * rows))
    right, bottom = int(np.ceil(larger[2] * columns)), int(np.ceil(larger[3] * rows))
    x1, y1, x2, y2 = max(0, left), max(0, top), min(columns, right), min(rows, bottom)
    if x2 <= x1 or y2 <= y1:
        return
    side = max((larger[2] - larger[0]) * size[1], (larger[3] - larger[1]) * size[0])
    region = plane[y1:y2, x1:x2]
    hidden = _filtered(region, side, (columns / size[1], rows / size[0]), settings, black)
    if mask is None:
        region[...] = hidden
    else:
        grid = cv2.resize(mask.astype(np.uint8), (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
        chosen = grid[y1 - top : y2 - top, x1 - left : x2 - left] > 0
        region[chosen] = hidden[chosen]


def _dilate(box: np.ndarray, mask: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Dilate a mask on its own grid by as much as ``factor`` enlarges its box, and by a cell at least."""
    margins = [max(1, int(np.ceil((factor - 1) / 2 * cells))) for cells in mask.shape]
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margins[1] + 1, 2 * margins[0] + 1))
    padded = np.pad(mask.astype(np.uint8), [(margin, margin) for margin in margins])
    cell_height, cell_width = (box[3] - box[1]) / mask.shape[0], (box[2] - box[0]) / mask.shape[1]
    outward = np.array(
        [-margins[1] * cell_width, -margins[0] * cell_height, margins[1] * cell_width, margins[0] * cell_height]
    )
    return box + outward, cv2.dilate(padded, kernel)


def _filtered(
    region: np.ndarray, side: float, scale: tuple[float, float], settings: ObfuscateSettings, black: int
) -> np.ndarray:
    """The region as it will be shown; ``side`` is the enlarged box's longer side in pixels of the frame."""
    rows, columns = region.shape[:2]
    if settings.filter == "solid":
        return np.full_like(region, black)
    if settings.filter == "pixelate":
        blocks = [max(1, round(settings.blocks * s / (side * f))) for s, f in zip((columns, rows), scale, strict=True)]
        small = cv2.resize(region, blocks, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_NEAREST).reshape(region.shape)
    kernel = [max(1, int(np.ceil(settings.kernel * side * factor))) for factor in scale]
    return cv2.blur(np.ascontiguousarray(region), kernel, borderType=cv2.BORDER_REFLECT).reshape(region.shape)

"""Changes between small grey pictures of one video: whether the content of a box is still there, whether there is
something new, whether the scene was cut.

Every answer errs towards "changed", which costs a search; the opposite error would leave a face visible. Pictures are
uint8 (height, width), upright and of one size; boxes are relative (x1, y1, x2, y2).
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline.media.decode import capped_size, to_rgb
from pipeline.privacy.boxes import enlarge

_SIDE = 320  # pixels of the longer side, or a quarter of what the detector sees: its smallest faces keep four pixels
_SHRINK = 4
_REACH = 0.25  # how far a box is followed, in its shorter sides: two faces side by side are not taken for each other
_UNLIKE = 0.5  # mean squared difference over the variance: of a talking face 0.1 to 0.4, of another picture 1 to 4
_SHIFTS = 6  # pixels by which anything may move without being new
_PATCH = 5  # pixels: side of the squares that are looked for
_NOVELTY = ((11, 17.0), (21, 12.0))  # side of a face in pixels, and grey levels: a higher mean over it is new
_CUT = 12.0  # grey levels, mean over the picture
_WIDER = 1.25  # a box with what moves with a face, and is hidden with it: its sides over the box's


def small_grey(frame: VideoFrame, long_side: int | None) -> np.ndarray:
    """The upright picture of a frame, a quarter as large as the detector sees it, but not below 320 pixels."""
    seen = max(capped_size(frame, long_side))
    height, width = capped_size(frame, min(seen, max(_SIDE, seen // _SHRINK)))
    return cv2.cvtColor(to_rgb(frame, height, width), cv2.COLOR_RGB2GRAY)


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a new scene begins with ``after``; so does a fast pan with every picture, and another size."""
    return before.shape != after.shape or bool(cv2.absdiff(before, after).mean() > _CUT)


def follow(box: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """Where another picture shows the content of a box, at most a quarter of its shorter side away; None: nowhere.

    The place is known to half a pixel of the pictures, so the answer is larger than the box by as much on each side.
    Content that fits several places, as a flat one does, is nowhere.
    """
    height, width = before.shape
    x1, y1, x2, y2 = _pixels(box, before.shape)
    content = before[y1:y2, x1:x2]
    reach = max(1, int(_REACH * min(content.shape)))
    far = reach + 1  # a place there says that the content is somewhere beyond
    padded = cv2.copyMakeBorder(after, far, far, far, far, cv2.BORDER_REPLICATE)
    around = padded[y1 : y2 + 2 * far, x1 : x2 + 2 * far]
    unlike = cv2.matchTemplate(around, content, cv2.TM_SQDIFF) / content.size
    least, _, (x, y), _ = cv2.minMaxLoc(unlike)
    shift = np.array([x - far, y - far] * 2)
    if least > _UNLIKE * float(content.var()) or np.abs(shift).max() > reach:
        return None
    moved = box + (shift + [-0.5, -0.5, 0.5, 0.5]) / [width, height, width, height]
    return np.clip(moved, 0, 1).astype(np.float32)


def something_new(
    picture: np.ndarray, sides: tuple[np.ndarray, np.ndarray], hidden: Iterable[np.ndarray]
) -> np.ndarray | None:
    """The box around all that is as large as a face, lies outside the boxes, and neither side shows nearby.

    Each small square of the picture is looked for in the pictures on its two sides, at the same place and around it.
    None: there is nothing like that.
    """
    least = np.full(picture.shape, 255, np.uint8)
    known = [_pixels(enlarge(box, _WIDER), picture.shape) for box in hidden]
    padded = [cv2.copyMakeBorder(s, _SHIFTS, _SHIFTS, _SHIFTS, _SHIFTS, cv2.BORDER_REPLICATE) for s in sides]
    height, width = picture.shape
    for ring in range(_SHIFTS + 1):
        for y, x in _ring(ring):
            for side in padded:
                moved = side[_SHIFTS + y : _SHIFTS + y + height, _SHIFTS + x : _SHIFTS + x + width]
                cv2.min(least, cv2.blur(cv2.absdiff(picture, moved), (_PATCH, _PATCH)), least)
        for x1, y1, x2, y2 in known:
            least[y1:y2, x1:x2] = 0
        mean = least.astype(np.float32)
        new = [np.argwhere(cv2.blur(mean, (side, side)) > levels) for side, levels in _NOVELTY]
        if not any(map(len, new)):
            return None
    half = [side // 2 for side, _ in _NOVELTY]
    places = np.concatenate([at + reach for at, side in zip(new, half, strict=True) for reach in (-side, side + 1)])
    (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0)
    return np.clip(np.array([left, top, right, bottom]) / [width, height, width, height], 0, 1).astype(np.float32)


def _ring(radius: int) -> Iterator[tuple[int, int]]:
    """The places at that distance, along rows or columns whichever is greater."""
    around = range(-radius, radius + 1)
    return ((y, x) for y in around for x in around if max(abs(y), abs(x)) == radius)


def _pixels(box: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """All pixels that a box touches, at least one: left, top, right, bottom."""
    height, width = shape[:2]
    x1, y1 = max(0, int(box[0] * width)), max(0, int(box[1] * height))
    x2, y2 = min(width, int(np.ceil(box[2] * width))), min(height, int(np.ceil(box[3] * height)))
    return x1, y1, max(x1 + 1, x2), max(y1 + 1, y2)

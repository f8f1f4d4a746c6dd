"""People as they are hidden: the bodies that a detector finds, every face, and below a face what belongs to it."""

import cv2
import numpy as np

from pipeline.privacy.boxes import enlarge, hull
from pipeline.privacy.instances import Detector, Instances

# A head's sides over those of its face's box.
_HEAD = 1.5
# In heights of a face's box, to the sides of its middle and down from the chin. Measured with a pose network on the
# demo's clips: of nine people in ten the elbows lie within 1.8 and the ankles within 7.
_HALF_WIDTH, _DOWN = 1.8, 7.0
# A found body belongs to a face if it covers at least this share of the face and of the area `_CHEST` face heights
# below the chin.
_COVERED, _CHEST = 0.5, 2.0
_NOTHING = 1e-9  # share of the picture that rounding may leave of an overlap


class People(Detector):
    """A detector of bodies and one of faces as one detector, which gives one instance for each person.

    A body that was found includes the heads of its faces. A face whose body was not found gets one in the proportions
    of somebody upright. Each detector is shown the picture with a longer side of at most ``…_side`` pixels (None: all).
    """

    def __init__(self, bodies: Detector, bodies_side: int | None, faces: Detector, faces_side: int | None):
        self._parts = ((bodies, bodies_side), (faces, faces_side))

    def __call__(self, image: np.ndarray) -> Instances:
        bodies, faces = (detector(shown_to(image, detector, side)) for detector, side in self._parts)
        boxes, scores, masks = list(bodies.boxes), list(bodies.scores), list(bodies.masks)
        for face, score in zip(faces.boxes, faces.scores, strict=True):
            head = np.clip(enlarge(face, _HEAD), 0, 1)
            body = _body(face, bodies)
            if body is None:
                boxes.append(hull(head, _below(face, image.shape[1] / image.shape[0])))
                scores.append(score)
                masks.append(None)
            else:
                boxes[body], masks[body] = _with_head(boxes[body], masks[body], head)
        return Instances.of(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores), masks)


def shown_to(image: np.ndarray, detector: Detector, side: int | None) -> np.ndarray:
    """The picture at the size that a detector asks for when its longer side may be at most ``side`` pixels."""
    height, width = image.shape[:2]
    factor = min(1.0, side / max(height, width)) if side else 1.0
    wanted = detector.input_size(max(1, round(height * factor)), max(1, round(width * factor)))
    if wanted == (height, width):
        return image
    shrinks = wanted[0] < height or wanted[1] < width
    return cv2.resize(image, wanted[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _below(face: np.ndarray, aspect: float) -> np.ndarray:
    """The body of somebody upright with that face; ``aspect`` is the picture's width over its height."""
    tall, middle = face[3] - face[1], (face[0] + face[2]) / 2
    half = _HALF_WIDTH * tall / aspect
    return np.clip([middle - half, face[1], middle + half, face[3] + _DOWN * tall], 0, 1)


def _body(face: np.ndarray, bodies: Instances) -> int | None:
    """The body that a face belongs to: of those that reach down from it, the one that covers most of it."""
    x1, _, x2, y2 = face
    chest = np.array([x1, y2, x2, min(1, y2 + _CHEST * (y2 - face[1]))])
    best, most = None, _COVERED
    for i, (box, mask) in enumerate(zip(bodies.boxes, bodies.masks, strict=True)):
        share = _share(face, box, mask)
        if share >= most and _share(chest, box, mask) >= _COVERED:
            best, most = i, share
    return best


def _share(part: np.ndarray, box: np.ndarray, mask: np.ndarray | None) -> float:
    """How much of a part of the picture a body covers; all of it when there is nothing of it in the picture."""
    area = float(np.prod(part[2:] - part[:2]))
    return float(_overlap(part, (1, 1), box, _cells(mask))[0, 0]) / area if area > _NOTHING else 1.0


def _with_head(box: np.ndarray, mask: np.ndarray | None, head: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A body that was found, extended by its head; a mask's cells keep about their size."""
    whole = hull(box, head)
    if mask is None:
        return whole, None
    grown = (whole[2:] - whole[:2]) / (box[2:] - box[:2])
    shape = round(mask.shape[0] * float(grown[1])), round(mask.shape[1] * float(grown[0]))
    parts = _overlap(whole, shape, box, mask) + _overlap(whole, shape, head, _cells(None))
    return whole, parts > _NOTHING


def _cells(mask: np.ndarray | None) -> np.ndarray:
    return np.ones((1, 1), bool) if mask is None else mask


def _overlap(box: np.ndarray, shape: tuple[int, int], other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Area of another box's mask in each cell of a grid of that shape over a box."""
    lengths = []
    for axis, count, cells in ((1, shape[0], mask.shape[0]), (0, shape[1], mask.shape[1])):
        ours = np.linspace(float(box[axis]), float(box[axis + 2]), count + 1)[:, None]
        theirs = np.linspace(float(other[axis]), float(other[axis + 2]), cells + 1)[None]
        lengths.append(np.maximum(np.minimum(ours[1:], theirs[:, 1:]) - np.maximum(ours[:-1], theirs[:, :-1]), 0))
    return lengths[0] @ mask @ lengths[1].T

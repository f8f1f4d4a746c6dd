"""The published HDF5 files of objects, and how all published files store boxes (`import_actor_features`)."""

from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from pipeline.detect.features.entities import Objects, no_objects
from pipeline.detect.features.foreign import find, names_in, open_foreign, read_array
from pipeline.runtime.errors import VideoError

_OBJECTS = ("features", "boxes", "cls_prob")
_SLACK = 0.02  # how far outside the picture a box may reach, as a fraction of its sides


class PublishedObjects:
    """A file of objects: ``<video>_<timestamp>_features`` (o, d), ``…_boxes`` (o, 4) and ``…_cls_prob`` (o, classes).

    Args:
        path: The file.
        stack: Closes it.
        names: Other names that videos may have in it.

    Raises:
        ActaError: it cannot be read.
    """

    def __init__(self, path: Path, stack: ExitStack, names: Mapping[str, str] | None = None):
        self._file = stack.enter_context(open_foreign(path))
        self._names = names or {}
        self.size = self._first_size()

    def has_any(self, spelt: Sequence[str], times: np.ndarray) -> bool:
        """Whether anything is published for one of these keyframes of a video, by its `spellings`."""
        return any(self._key(spelt, time) for time in times.tolist())

    def at(self, spelt: Sequence[str], time: float, kind: type) -> Objects | None:
        """The objects on a keyframe of a video, by its `spellings`; None if nothing is published for it.

        Raises:
            VideoError: arrays are missing, damaged or do not fit together, or there are two of each; the message names
                video and time.
        """
        key = self._key(spelt, time)
        if key is None:
            return None
        place = f"{spelt[0]} at {time:g} s"
        names = (f"{key}_{name}" for name in _OBJECTS)
        features, boxes, probabilities = (read_array(self._file, name, place) for name in names)
        if not len(features) + len(boxes) + len(probabilities):
            return no_objects(self.size, kind)
        if features.ndim != 2:
            raise VideoError(f"{place}: features of objects of shape {features.shape}, not (n, c)")
        boxes = inside(boxes, place)
        if not len(features) == len(boxes) == len(probabilities):
            raise VideoError(
                f"{place}: {len(features)} features, {len(boxes)} boxes and {len(probabilities)} scores of objects"
            )
        score = probabilities[:, 1:].max(1, initial=0) if probabilities.ndim == 2 else probabilities
        if score.ndim != 1:
            raise VideoError(f"{place}: cls_prob of shape {probabilities.shape}, not (n, classes)")
        return Objects(features.astype(kind), boxes, score.astype(np.float32))

    def _key(self, spelt: Sequence[str], time: float) -> str | None:
        """The names of a keyframe's datasets without their last word; None if there are none."""
        names = [*spelt, *(number for number in map(self._names.get, spelt) if number)]
        stamps = [stamp for stamp in dict.fromkeys((f"{time:.10g}", f"{time:04.0f}")) if float(stamp) == time]
        keys = [f"{name}_{stamp}" for name in names for stamp in stamps]
        found = [key for key in keys if any(find(self._file, f"{key}_{what}") is not None for what in _OBJECTS)]
        if len(found) > 1:
            raise VideoError(
                f"{spelt[0]} at {time:g} s: {self._file.filename} has both {found[0]!r} and {found[1]!r}; remove the "
                "one that is not of this video"
            )
        return found[0] if found else None

    def _first_size(self) -> int:
        for key in names_in(self._file):
            features = find(self._file, key) if key.endswith("_features") else None
            if isinstance(features, h5py.Dataset) and features.ndim == 2:
                return int(features.shape[1])
        return 0


def spellings(video: str, known: Set[str]) -> list[str]:
    """The names that a video may have in published files: its own, and the one without a leading ``-``.

    The authors' objects of ``-5KQ66BBWC4`` are called ``5KQ66BBWC4``. If a video of that name is ``known``, they are
    that video's.
    """
    short = video.removeprefix("-")
    return [video, short] if short and short != video and short not in known else [video]


def inside(boxes: np.ndarray, place: str) -> np.ndarray:
    """Boxes as float32 (n, 4) in [0, 1].

    Raises:
        VideoError: a box reaches too far out, or its second corner is above or left of the first; names ``place``.
    """
    if not boxes.size:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise VideoError(f"{place}: boxes of shape {boxes.shape}, not (n, 4)")
    outside = boxes[(boxes < -_SLACK) | (boxes > 1 + _SLACK)]
    if outside.size:
        raise VideoError(f"{place}: a box has the coordinate {outside[0]:g}; boxes must be in [0, 1] of the picture")
    inverted = boxes[(boxes[:, 2:] < boxes[:, :2]).any(1)]
    if len(inverted):
        raise VideoError(f"{place}: the box {inverted[0].tolist()} is inside out; boxes are x1, y1, x2, y2")
    return boxes.astype(np.float32).clip(0, 1)

"""What a detector finds in one frame, and the HDF5 shard that keeps it for every frame of many videos.

Boxes are (x1, y1, x2, y2) in [0, 1] of the upright frame's width and height, so that they hold for any frame size.
A mask is a boolean grid over its own box. Layout of a detection shard, in addition to /videos (with the source),
/frames/time and /quarantine (`pipeline.runtime.store`)::

    /frames/first        uint64 (n + 1,)  frame i owns instances first[i]:first[i + 1]
    /frames/failed       bool (n,)        the detector failed: hide the whole frame
    /instances/box       float32 (m, 4)
    /instances/score     float32 (m,)
    /instances/filled    bool (m,)        not detected but filled in between two detections
    /instances/grid      uint16 (m, 2)    mask height and width; 0, 0: no mask, the box is all
    /instances/offsets   uint64 (m + 1,)  into /instances/mask
    /instances/mask      uint8 (bytes,)   zlib-compressed bits, row by row
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import Shard, create_shard, index_size, write_index, write_strings

DETECTIONS_FORMAT = "acta-detections-2"
_FAR = 10  # a box may reach beyond the frame, but coordinates like these are pixels


@dataclass
class Instances:
    """Everything found in one frame.

    Args:
        boxes: float32 (n, 4), relative x1, y1, x2, y2.
        scores: float32 (n,), in [0, 1].
        masks: n boolean grids over their boxes, or None where there is only the box.
        filled: bool (n,), true for what gap filling added.
        failed: The detector failed on this frame.
        reason: Why it failed, in one line; not stored.
    """

    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    masks: list[np.ndarray | None] = field(default_factory=list)
    filled: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    failed: bool = False
    reason: str = ""

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(cls, boxes: np.ndarray, scores: np.ndarray, masks: Sequence[np.ndarray | None] | None = None) -> "Instances":
        """Instances as a detector gives them: clipped to the frame; boxes wholly outside are dropped.

        An empty mask is no mask: the whole box counts.

        Raises:
            ValueError: a box or score is not finite, or boxes are no relative corners; the frame counts as failed then.
        """
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError("the detector gave numbers that are not finite")
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        if (boxes[:, 2:] < boxes[:, :2]).any() or (np.abs(boxes) > _FAR).any():
            raise ValueError("the detector gave boxes that are not x1, y1, x2, y2 relative to the frame's sides")
        boxes = np.clip(boxes, 0, 1)
        keep = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
        masks = list(masks) if masks is not None else [None] * len(boxes)
        return cls(
            boxes[keep],
            np.asarray(scores, np.float32).reshape(-1)[keep],
            [mask if (mask := masks[i]) is not None and mask.any() else None for i in keep],
            np.zeros(len(keep), bool),
        )

    def add(self, box: np.ndarray, score: float, mask: np.ndarray | None = None) -> None:
        """Add one filled-in instance."""
        self.boxes = np.concatenate([self.boxes, np.asarray(box, np.float32)[None]])
        self.scores = np.append(self.scores, np.float32(score))
        self.masks = [*self.masks, mask]
        self.filled = np.append(self.filled, True)

    def joined(self, other: "Instances") -> "Instances":
        """The instances of both."""
        return Instances(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            [*self.masks, *other.masks],
            np.concatenate([self.filled, other.filled]),
            self.failed or other.failed,
            self.reason or other.reason,
        )

    def mirrored(self) -> "Instances":
        """The same instances after the frame is mirrored left to right."""
        x1, y1, x2, y2 = self.boxes.T
        masks = [mask if mask is None else mask[:, ::-1] for mask in self.masks]
        return replace(self, boxes=np.stack([1 - x2, y1, 1 - x1, y2], axis=1), masks=masks)

    def turned(self, quarters: int) -> "Instances":
        """The same instances after the frame is rotated counter-clockwise by quarter turns."""
        boxes, masks = self.boxes, self.masks
        for _ in range(quarters % 4):
            x1, y1, x2, y2 = boxes.T
            boxes = np.stack([y1, 1 - x2, y2, 1 - x1], axis=1)
            masks = [mask if mask is None else np.rot90(mask) for mask in masks]
        return replace(self, boxes=boxes, masks=masks)


def above(scores: np.ndarray, threshold: float) -> tuple[np.ndarray, ...]:
    """Positions of the scores over the threshold, as `np.nonzero` gives them.

    Raises:
        ValueError: a score is not a number, which must not pass for "nothing found".
    """
    if np.isnan(scores).any():
        raise ValueError("the detector gave scores that are not numbers")
    return np.nonzero(scores > threshold)


class Detector(Protocol):
    """What every detector is.

    ``local``: what it finds at a place depends on the surroundings alone, at their own scale, so that a part of a
    picture can be searched. Such a detector never asks for a smaller image than it is offered.
    """

    local: bool = False

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image that the detector wants for a frame of that size: those of the frame."""
        return height, width

    def __call__(self, image: np.ndarray) -> Instances:
        """Find instances in an RGB image, uint8 (height, width, 3)."""


@dataclass
class Failures:
    """How many frames of a video detection failed on; the time of the first, in seconds, and the reason."""

    count: int = 0
    time: float = 0.0
    reason: str = ""

    def add(self, time: float, frame: Instances) -> None:
        """Take in the next frame."""
        if frame.failed and not self.count:
            self.time, self.reason = time, frame.reason
        self.count += frame.failed

    def notes(self) -> tuple[str, ...]:
        """A line for the user; none if nothing failed."""
        if not self.count:
            return ()
        which = f"{self.count:,} frames, the first at {self.time:.2f} s, which are"
        if self.count == 1:
            which = f"1 frame, at {self.time:.2f} s, which is"
        return (f"detection failed on {which} hidden whole: {self.reason}",)


@dataclass
class DetectedVideo:
    """One video's detections for a shard, an `Instances` for each time stamp (seconds); ``source``: its sha256."""

    id: str
    label: str
    split: str
    times: np.ndarray
    frames: list[Instances]
    source: str = ""


def write_detections(
    path: Path, videos: Sequence[DetectedVideo], quarantine: Sequence[Quarantined], provenance: Provenance
) -> None:
    """Write a detection shard, videos in the order given."""
    frames = [frame for video in videos for frame in video.frames]
    masks = [mask for frame in frames for mask in frame.masks]
    packed = [b"" if mask is None else zlib.compress(np.packbits(mask).tobytes(), 9) for mask in masks]
    grids = [(0, 0) if mask is None else mask.shape for mask in masks]
    room = sum(map(len, packed)) + 40 * len(masks) + 16 * len(frames) + index_size(videos)
    with create_shard(path, DETECTIONS_FORMAT, provenance, quarantine, room) as file:
        write_index(file, videos)
        write_strings(file["videos"], "source", [video.source for video in videos])
        file["frames"].create_dataset("first", data=np.cumsum([0, *map(len, frames)]).astype(np.uint64))
        file["frames"].create_dataset("failed", data=np.array([frame.failed for frame in frames], bool))
        group = file.create_group("instances")
        group.create_dataset("box", data=np.concatenate([np.zeros((0, 4), np.float32), *(f.boxes for f in frames)]))
        group.create_dataset("score", data=np.concatenate([np.zeros(0, np.float32), *(f.scores for f in frames)]))
        group.create_dataset("filled", data=np.concatenate([np.zeros(0, bool), *(f.filled for f in frames)]))
        group.create_dataset("grid", data=np.array(grids, np.uint16).reshape(-1, 2))
        group.create_dataset("offsets", data=np.cumsum([0, *map(len, packed)]).astype(np.uint64))
        group.create_dataset("mask", data=np.frombuffer(b"".join(packed), np.uint8))


class DetectionShard(Shard):
    """Reader of a detection shard."""

    format = DETECTIONS_FORMAT

    @cached_property
    def _first_instance(self) -> np.ndarray:
        return self.array("frames/first")[:].astype(np.int64)

    def frames(self, video: str) -> list[Instances]:
        """Detections of every frame of a video; a `KeyError` if it is not in this shard."""
        start, stop = self.span(video)
        first = self._first_instance[start : stop + 1]
        low, high = int(first[0]), int(first[-1])
        boxes, scores, filled, grids = (
            self.array(f"instances/{name}")[low:high] for name in ("box", "score", "filled", "grid")
        )
        offsets = self.array("instances/offsets")[low : high + 1].astype(np.int64)
        block = self.array("instances/mask")[offsets[0] : offsets[-1]].tobytes()
        masks = [
            _unpack(block[offsets[i] - offsets[0] : offsets[i + 1] - offsets[0]], grids[i]) for i in range(high - low)
        ]
        failed = self.array("frames/failed")[start:stop]
        return [
            Instances(boxes[a:b], scores[a:b], masks[a:b], filled[a:b], bool(bad))
            for a, b, bad in zip(first[:-1] - low, first[1:] - low, failed, strict=True)
        ]


def _unpack(data: bytes, grid: np.ndarray) -> np.ndarray | None:
    height, width = int(grid[0]), int(grid[1])
    if not height:
        return None
    bits = np.unpackbits(np.frombuffer(zlib.decompress(data), np.uint8), count=height * width)
    return bits.reshape(height, width).astype(bool)

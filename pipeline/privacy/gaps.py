"""What to hide in frames in which the detector missed something.

Instances are linked from frame to frame by the overlap of their boxes (the thesis, Sec. 5.1, names tracking for complex
scenes). What is filled into a frame depends on the next few frames only, so a stream is delayed by no more.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.privacy.boxes import hull, iou
from pipeline.privacy.instances import Instances

_MIN_IOU = 0.2


@dataclass
class _Track:
    box: np.ndarray
    score: float
    seen: int


def fill_gaps(frames: Iterable[Instances], max_gap: int) -> Iterator[Instances]:
    """Yield the frames with gaps of at most ``max_gap`` frames filled.

    What is missed between two detections of an instance may have moved between them in any way, so the hull of both
    boxes is hidden, without a mask, under the lower of their scores. With ``max_gap`` 0 the frames pass through. At
    most ``max_gap`` + 1 frames are held back.
    """
    held: deque[Instances] = deque()
    tracks: list[_Track] = []
    for now, frame in enumerate(frames):
        held.append(frame)
        if max_gap:
            tracks = [track for track in tracks if now - track.seen <= max_gap + 1]
            tracks = _link(tracks, frame, now, held)
        if len(held) > max_gap:
            yield held.popleft()
    yield from held


def _link(tracks: list[_Track], frame: Instances, now: int, held: deque[Instances]) -> list[_Track]:
    """Give each detection the track that it overlaps most, best pairs first; fill the gap behind it."""
    tracks_here = [_Track(box, float(score), now) for box, score in zip(frame.boxes, frame.scores, strict=True)]
    if not tracks or not tracks_here:
        return tracks + tracks_here
    pairs = linked(np.stack([track.box for track in tracks]), frame.boxes, _MIN_IOU)
    for i, j in pairs:
        missing = now - tracks[i].seen - 1
        for k in range(-missing, 0):
            held[k - 1].add(hull(tracks[i].box, tracks_here[j].box), min(tracks[i].score, tracks_here[j].score))
    ended = {i for i, _ in pairs}
    return [track for i, track in enumerate(tracks) if i not in ended] + tracks_here


def linked(before: np.ndarray, after: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Indices of boxes, (n, 4) and (m, 4), that may be the same instance, with an IoU of at least ``least``.

    Those that overlap most come first; each box is in at most one pair.
    """
    if not len(before) or not len(after):
        return []
    overlap = iou(before, after)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(after))
        if overlap[i, j] < least:
            break
        if all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return pairs

"""Gap filling: an instance missed for a few frames between two detections of it is hidden there too.

Instances are linked from frame to frame by the overlap of their boxes (the thesis, Sec. 5.1, names tracking for complex
scenes). What is filled into frame t depends on at most `max_gap` later frames, so a stream needs only so long a delay.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.privacy.instances import Instances, iou

_MIN_IOU = 0.2


@dataclass
class _Track:
    box: np.ndarray
    score: float
    mask: np.ndarray | None
    seen: int


def fill_gaps(frames: Iterable[Instances], max_gap: int) -> Iterator[Instances]:
    """Yield the frames with gaps of at most ``max_gap`` frames filled by linear interpolation of the boxes.

    A filled instance has the lower of its two neighbours' scores and the nearer one's mask. With ``max_gap`` 0 the
    frames pass through. At most ``max_gap`` + 1 frames are held back.
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
    found = [_Track(b, float(s), m, now) for b, s, m in zip(frame.boxes, frame.scores, frame.masks, strict=True)]
    if not tracks or not found:
        return tracks + found
    overlap = iou(np.stack([track.box for track in tracks]), np.stack([track.box for track in found]))
    taken_tracks: set[int] = set()
    taken_found: set[int] = set()
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(found))
        if overlap[i, j] < _MIN_IOU:
            break
        if i in taken_tracks or j in taken_found:
            continue
        taken_tracks.add(i)
        taken_found.add(j)
        _fill(tracks[i], found[j], held, now)
    return [track for i, track in enumerate(tracks) if i not in taken_tracks] + found


def _fill(before: _Track, after: _Track, held: deque[Instances], now: int) -> None:
    missing = range(before.seen + 1, after.seen)
    for time in missing:
        share = (time - before.seen) / (after.seen - before.seen)
        box = (1 - share) * before.box + share * after.box
        mask = before.mask if share < 0.5 else after.mask
        held[len(held) - 1 - (now - time)].add(box, min(before.score, after.score), mask)

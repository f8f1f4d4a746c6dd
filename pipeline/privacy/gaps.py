"""What must be hidden in frames that were not searched, or in which the detector missed something.

Instances are linked from frame to frame by the overlap of their boxes (the thesis, Sec. 5.1, names tracking for complex
scenes). What is filled into frame t depends on few later frames, so a stream needs only so long a delay.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.privacy.instances import Instances, iou

_MIN_IOU = 0.2


class Pacer:
    """Tells which frames to search: the first one, then each that comes ``interval`` seconds or more after the last."""

    def __init__(self, interval: float):
        self._interval = interval - 1e-6  # times are sums of fractions
        self._last: float | None = None

    def __call__(self, time: float) -> bool:
        if self._last is not None and 0 <= time - self._last < self._interval:
            return False
        self._last = time
        return True


def bridge(frames: Iterable[Instances | None]) -> Iterator[Instances]:
    """Give every frame that was not searched (None) what the searched ones on its two sides show.

    An instance that both show moves from the one place to the other; what only one side shows stays where it is. A
    failed side fails the frames between. The first frame must be a searched one.
    """
    last: Instances | None = None
    waiting = 0
    for frame in frames:
        if frame is None:
            waiting += 1
            continue
        if last is not None:
            yield from _between(last, frame, waiting)
        yield frame
        last, waiting = frame, 0
    if last is not None:
        yield from _between(last, Instances(), waiting)


def _between(before: Instances, after: Instances, count: int) -> list[Instances]:
    frames = [Instances(failed=before.failed or after.failed) for _ in range(count)]
    if not count:
        return frames
    pairs = dict(_pairs(before.boxes, after.boxes))
    for i in range(len(before)):
        _move(frames, _track(before, i), _track(after, pairs[i]) if i in pairs else _track(before, i))
    for j in set(range(len(after))) - set(pairs.values()):
        _move(frames, _track(after, j), _track(after, j))
    return frames


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
    found = [_track(frame, i, now) for i in range(len(frame))]
    if not tracks or not found:
        return tracks + found
    pairs = _pairs(np.stack([track.box for track in tracks]), frame.boxes)
    for i, j in pairs:
        missing = now - tracks[i].seen - 1
        _move([held[k - 1] for k in range(-missing, 0)], tracks[i], found[j])
    linked = {i for i, _ in pairs}
    return [track for i, track in enumerate(tracks) if i not in linked] + found


def _track(frame: Instances, i: int, seen: int = 0) -> _Track:
    return _Track(frame.boxes[i], float(frame.scores[i]), frame.masks[i], seen)


def _pairs(before: np.ndarray, after: np.ndarray) -> list[tuple[int, int]]:
    """Indices of boxes that are the same instance: each box at most once, those that overlap most first."""
    if not len(before) or not len(after):
        return []
    overlap = iou(before, after)
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(after))
        if overlap[i, j] < _MIN_IOU:
            break
        if all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return pairs


def _move(frames: Sequence[Instances], before: _Track, after: _Track) -> None:
    """Add an instance to the frames between the two where it was seen."""
    for k, frame in enumerate(frames, 1):
        share = k / (len(frames) + 1)
        box = (1 - share) * before.box + share * after.box
        frame.add(box, min(before.score, after.score), before.mask if share < 0.5 else after.mask)

"""Searching a stream of frames, skipping those of which the pictures say that nothing is lost.

The first and the last frame are searched, at least one in every interval, and around a cut all up to the next searched
one. A frame between two of these is not searched if three things hold: each instance of the one has its partner in the
other; the content of each is found again in the frame, near its place; and the frame shows nothing as large as a face
that neither of the two shows (`pipeline.privacy.motion`). Otherwise it is searched around everything that fails this.
In either case it hides what the two show, where they show it, where that is found again, and everything in between.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.privacy import SearchSettings
from pipeline.privacy.boxes import hull
from pipeline.privacy.gaps import fill_gaps, linked
from pipeline.privacy.instances import Instances
from pipeline.privacy.motion import follow, is_cut, small_grey, something_new

_SAME_IOU = 0.3  # of the boxes of one instance in two searched frames
_LONGEST = 16  # frames: at least one in this number is searched, however long the interval
_NO_PICTURE = np.zeros((0, 0), np.uint8)
_HELD = 64  # frames that wait for the searched one after them; decoded frames take memory …
_LARGE = 3840 * 2160  # pixels; … and larger ones count as several


class Find(Protocol):
    """Searches one frame."""

    def __call__(self, frame: VideoFrame, /, *, region: np.ndarray | None) -> Instances:
        """What is found in the frame; ``region``: only what is in this relative box is asked for, None: all."""


@dataclass
class _Seen:
    """A frame on its way. ``grey`` is empty where no frame is passed over."""

    time: float
    frame: VideoFrame
    grey: np.ndarray
    found: Future[Instances] | None = None


@dataclass(frozen=True)
class _Run:
    """Frames up to one that is searched. ``due``: it is its turn; ``cut``: a scene ends in them or just before."""

    frames: list[_Seen]
    due: bool
    cut: bool


@dataclass(frozen=True)
class _Side:
    """A searched frame, for those before and after it."""

    grey: np.ndarray
    found: Instances


def search(
    frames: Iterable[tuple[float, VideoFrame]], find: Find | None, settings: SearchSettings, threads: int
) -> Iterator[tuple[float, VideoFrame, Instances]]:
    """Every frame with what must be hidden in it, in the order given.

    Args:
        frames: Times in seconds, and frames. Times may repeat or go back.
        find: Searches one frame; it is called from several threads at once. None: nothing is searched, nothing found.
        settings: How often frames are searched, and which gaps are filled.
        threads: Frames searched at the same time; the result does not depend on it.
    """
    if find is None:
        for time, frame in frames:
            yield time, frame, Instances()
        return
    held: deque[tuple[float, VideoFrame]] = deque()

    def instances() -> Iterator[Instances]:
        for seen, filled in _searched(frames, find, settings, threads):
            held.append((seen.time, seen.frame))
            yield filled

    for filled in fill_gaps(instances(), settings.fill_gap):
        yield *held.popleft(), filled


def _searched(
    frames: Iterable[tuple[float, VideoFrame]], find: Find, settings: SearchSettings, threads: int
) -> Iterator[tuple[_Seen, Instances]]:
    """Frames and what to hide in them, in order; a bounded number is held back, so that all threads have work."""
    waiting: deque[_Run] = deque()  # until the last frame of each is searched
    running: deque[_Seen] = deque()
    before = _Side(_NO_PICTURE, Instances())  # of the first frame, which is searched

    def decide(run: _Run) -> None:
        nonlocal before
        last = run.frames[-1]
        after = _Side(last.grey, replace(_result(last)))  # a copy: filling gaps adds to what is given away
        for seen in run.frames[:-1]:
            seen.found = pool.submit(_between, seen, before, after, find, run.cut)
        if not run.due:  # searched out of turn: it hides what it would have hidden without that, too
            last.found = pool.submit(_between, last, before, after, lambda _, region: after.found, True)
        before = after
        running.extend(run.frames)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for run in _runs(frames, settings):
                run.frames[-1].found = pool.submit(find, run.frames[-1].frame, region=None)
                waiting.append(run)
                while len(waiting) > threads or sum(map(_weight, waiting)) > _HELD:
                    decide(waiting.popleft())
                while len(running) > 2 * threads:
                    seen = running.popleft()
                    yield seen, _result(seen)
            for run in waiting:
                decide(run)
            for seen in running:
                yield seen, _result(seen)
        finally:
            pool.shutdown(cancel_futures=True)


def _weight(run: _Run) -> float:
    return sum(max(1.0, seen.frame.width * seen.frame.height / _LARGE) for seen in run.frames)


def _result(seen: _Seen) -> Instances:
    assert seen.found is not None
    return seen.found.result()


def _runs(frames: Iterable[tuple[float, VideoFrame]], settings: SearchSettings) -> Iterator[_Run]:
    """All frames in runs that end with one to be searched whatever the others show; the first frame is such a run."""
    run: list[_Seen] = []
    last: _Seen | None = None
    cut = False
    searched = 0.0
    interval = settings.interval - 1e-6  # times are sums of fractions
    for time, frame in frames:
        grey = small_grey(frame, settings.picture_side) if settings.interval else _NO_PICTURE
        cut = cut or (last is not None and settings.interval > 0 and is_cut(last.grey, grey))
        due = last is None or not 0 <= time - searched < interval
        last = _Seen(time, frame, grey)
        run.append(last)
        if due:
            searched = time
        if due or len(run) == _LONGEST:
            yield _Run(run, due, cut)
            run, cut = [], False
    if run:
        yield _Run(run, False, cut)


def _between(seen: _Seen, before: _Side, after: _Side, find: Find, cut: bool) -> Instances:
    """What to hide in a frame between two searched ones. A failed side fails it; a cut tells to search it."""
    first, second = before.found, after.found
    if first.failed or second.failed:
        return Instances(failed=True, reason=first.reason or second.reason)
    ways, back = (_ways(side, seen.grey, cut) for side in (before, after))
    pairs = linked(first.boxes, second.boxes, _SAME_IOU)
    alone = [(ways[i][0], float(first.scores[i])) for i in set(range(len(first))) - {i for i, _ in pairs}]
    alone += [(back[j][0], float(second.scores[j])) for j in set(range(len(second))) - {j for _, j in pairs}]
    places = [(hull(ways[i][0], back[j][0]), float(min(first.scores[i], second.scores[j]))) for i, j in pairs]
    if cut:
        return _with(find(seen.frame, region=None), places + alone)
    lost = [box for (i, j), (box, _) in zip(pairs, places, strict=True) if not (ways[i][1] and back[j][1])]
    new = something_new(seen.grey, (before.grey, after.grey), [box for box, _ in places])
    doubtful = [*(box for box, _ in alone), *lost, *([] if new is None else [new])]
    instances = find(seen.frame, region=hull(*doubtful)) if doubtful else Instances()
    return _with(instances, places + alone)


def _with(instances: Instances, places: list[tuple[np.ndarray, float]]) -> Instances:
    """What is found in a frame together with the places hidden anyway: one whole box for both where they overlap."""
    boxes, masks = instances.boxes.copy(), list(instances.masks)
    merged = dict(linked(np.array([box for box, _ in places]).reshape(-1, 4), boxes, _SAME_IOU))
    for i, j in merged.items():
        boxes[j], masks[j] = hull(places[i][0], boxes[j]), None
    result = replace(instances, boxes=boxes, masks=masks)
    for i in set(range(len(places))) - set(merged):
        result.add(*places[i])
    return result


def _ways(side: _Side, grey: np.ndarray, cut: bool) -> list[tuple[np.ndarray, bool]]:
    """For each instance of a searched frame: the box that holds its way to another frame, and if it is seen there."""
    again = [None if cut else follow(box, side.grey, grey) for box in side.found.boxes]
    boxes = zip(side.found.boxes, again, strict=True)
    return [(box, False) if moved is None else (hull(box, moved), True) for box, moved in boxes]

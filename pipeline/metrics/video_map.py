"""video-mAP: the average precision of tubes, which link the detections of a class over the frames of a video.

Linking is greedy and online, as by Singh et al., "Online Real-time Multiple Spatiotemporal Action Localisation and
Prediction" (ICCV 2017, Sec. 3.4), with the constants of their published evaluation, but without its labelling in time,
which needs the scores of all classes of every box. All videos and classes advance together, frame by frame, so nothing
here loops over tubes or detections.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics.frame_map import Boxes, area_under, overlap_of
from pipeline.metrics.runs import places_in, spread

THRESHOLDS = {"0.2": (0.2,), "0.5": (0.5,), "0.5:0.95": tuple(n / 100 for n in range(50, 100, 5))}


@dataclass(frozen=True)
class Linking:
    """How detections become tubes.

    Args:
        overlap: A tube continues with a box that overlaps its last one by at least this.
        gap: A tube ends when this many consecutive frames of the video had no box for it.
        most: Only the most confident boxes of a frame and class take part, this many of them.
        least_score: Boxes below take no part.
        shortest: Tubes over fewer frames are dropped.
        scored: A tube's score is the mean of its highest scores, this many of them.
    """

    overlap: float = 0.1
    gap: int = 3
    most: int = 10
    least_score: float = 0.001
    shortest: int = 10
    scored: int = 40


@dataclass(frozen=True)
class Clock:
    """For each frame number its ``video`` (f,) and its place ``step`` (f,) among that video's frames, from 0."""

    video: np.ndarray
    step: np.ndarray


@dataclass(frozen=True)
class _Tubes:
    """t tubes with k boxes, tube by tube and in each by step: ``group`` (t,), ``tube`` (k,), ``step`` (k,), ``box``."""

    group: np.ndarray
    tube: np.ndarray
    step: np.ndarray
    box: np.ndarray


def video_ap(
    truth: Boxes,
    person: np.ndarray,
    detected: Boxes,
    clock: Clock,
    classes: Sequence[int],
    thresholds: Sequence[float],
    linking: Linking | None = None,
) -> np.ndarray:
    """Average precision of tubes per threshold and class.

    A tube of detections is right if its overlap with an annotated tube reaches the threshold. That tube is the one, of
    its video and class and not taken by a more confident tube, that it overlaps most (the first of equals). The overlap
    of two tubes is that of their boxes, averaged over the frames in which either is. Precision is made non-increasing
    before it is summed. Between equal tubes and boxes the order of video, class, frame and file decides.

    Args:
        truth: Annotated boxes; in a frame a person has at most one of a class.
        person: (n,) numbers of the annotated people, each video's own.
        detected: Detections.
        clock: Of the frame numbers in ``truth`` and ``detected``.
        classes: Numbers of the classes to evaluate; boxes of others are left out.
        thresholds: Overlaps from which a tube is right.
        linking: How detections become tubes; None: as published.

    Returns:
        (thresholds, classes) in [0, 1]; NaN for a class without annotation.
    """
    linking = linking or Linking()
    place = {label: position for position, label in enumerate(classes)}
    annotated = _annotated(*_grouped(truth, clock, place), np.asarray(person)[np.isin(truth.label, list(place))])
    linked, scores = _link(*_grouped(detected, clock, place), linking)
    order = np.lexsort((np.arange(len(scores)), -scores))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    linked_row, annotated_row, overlap = _overlaps(linked, annotated)
    by_preference = np.lexsort((annotated_row, -overlap, rank[linked_row], linked.group[linked_row]))
    linked_row, annotated_row, overlap = linked_row[by_preference], annotated_row[by_preference], overlap[by_preference]
    labels, counts = linked.group % len(place), np.bincount(annotated.group % len(place), minlength=len(place))
    precisions = np.full((len(thresholds), len(place)), np.nan)
    for row, threshold in zip(precisions, thresholds, strict=True):
        enough = np.flatnonzero(overlap >= threshold)
        taken = _assign(linked.group[linked_row[enough]], linked_row[enough], annotated_row[enough])
        right = np.zeros(len(scores), bool)
        right[linked_row[enough[taken]]] = True
        for label in np.flatnonzero(counts).tolist():
            row[label] = area_under(right[order[labels[order] == label]], int(counts[label]))
    return precisions


def _grouped(boxes: Boxes, clock: Clock, place: dict[int, int]) -> tuple[Boxes, np.ndarray, np.ndarray]:
    """The boxes of these classes, their groups (one per video and class) and their steps."""
    names = np.array(sorted(place), np.int64)
    boxes = boxes.where(np.isin(boxes.label, names))
    positions = np.array([place[name] for name in names.tolist()], np.int64)
    label = positions[np.searchsorted(names, boxes.label)]
    return boxes, clock.video[boxes.frame] * len(place) + label, clock.step[boxes.frame]


def _annotated(boxes: Boxes, group: np.ndarray, step: np.ndarray, person: np.ndarray) -> _Tubes:
    order = np.lexsort((step, person, group))
    group, person = group[order], person[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (group[1:] != group[:-1]) | (person[1:] != person[:-1])
    return _Tubes(group[begins], np.cumsum(begins) - 1, step[order], boxes.box[order])


def _link(boxes: Boxes, group: np.ndarray, step: np.ndarray, linking: Linking) -> tuple[_Tubes, np.ndarray]:
    """Tubes of detections without gaps, and their scores."""
    order = np.lexsort((np.arange(len(step)), -boxes.score, group, step))
    order = order[boxes.score[order] >= linking.least_score]
    order = order[_places(step[order], group[order]) < linking.most]
    box, score, group, step = boxes.box[order], boxes.score[order], group[order], step[order]
    tube = np.concatenate([np.empty(0, np.int64), *_chain(box, score, group, step, linking)])
    # Tube by tube in order of group and of first box.
    by_tube = np.lexsort((step, tube, group))
    tube, box, score, group, step = tube[by_tube], box[by_tube], score[by_tube], group[by_tube], step[by_tube]
    begins = np.flatnonzero(np.diff(tube, prepend=-1))
    # A frame without a box of the tube gets the tube's next box, as published.
    last = np.diff(tube, append=-1) != 0
    repeats = np.ones(len(tube), np.int64)
    repeats[1:] = np.where(last[:-1], 1, np.diff(step))
    length = np.add.reduceat(repeats, begins) if len(begins) else begins
    long = length >= linking.shortest
    counts = np.diff(begins, append=len(tube))
    kept = np.flatnonzero(np.repeat(long, counts))
    kept = np.repeat(kept, repeats[kept])
    begins, length = begins[long], length[long]
    number = np.repeat(np.arange(len(begins)), length)
    tubes = _Tubes(group[begins], number, spread(step[begins], length), box[kept])
    best = np.lexsort((-score[kept], number))
    best = best[places_in(length) < linking.scored]
    total = np.bincount(number[best], score[kept[best]], minlength=len(begins))
    return tubes, total / np.minimum(length, linking.scored)


def _chain(
    box: np.ndarray, score: np.ndarray, group: np.ndarray, step: np.ndarray, linking: Linking
) -> Iterator[np.ndarray]:
    """Numbers of the tubes that boxes belong to; the boxes come by step, then group, then descending score."""
    # Live tubes: `alive` has number, group, step of the last box and number of scores.
    alive = np.empty((0, 4), np.int64)
    ends, total = np.empty((0, 4)), np.empty(0)
    born = 0
    bounds = np.flatnonzero(np.diff(step, prepend=-1, append=-1))
    for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        now = slice(first, stop)
        live = np.flatnonzero(step[first] - alive[:, 2] <= linking.gap)
        live = live[np.lexsort((alive[live, 0], -total[live] / alive[live, 3], alive[live, 1]))]
        alive, ends, total = alive[live], ends[live], total[live]
        left, right = _pairs(alive[:, 1], group[now])
        near = overlap_of(ends[left], box[now][right]) >= linking.overlap
        left, right = left[near], right[near]
        taken = _assign(group[now][right], left, right)
        left, right = left[taken], right[taken]
        links = np.full(stop - first, -1)
        links[right] = alive[left, 0]
        alive[left, 2] = step[first]
        alive[left, 3] += 1
        ends[left] = box[now][right]
        total[left] += score[now][right]
        new = np.flatnonzero(links < 0)
        links[new] = born + np.arange(len(new))
        born += len(new)
        begun = np.stack([links[new], group[now][new], np.full(len(new), step[first]), np.ones(len(new), np.int64)], 1)
        alive, ends = np.concatenate([alive, begun]), np.concatenate([ends, box[now][new]])
        total = np.concatenate([total, score[now][new]])
        yield links


def _places(*keys: np.ndarray) -> np.ndarray:
    """(n,) how many rows before each have the same keys; rows with equal keys follow each other."""
    begins = np.zeros(len(keys[0]), bool)
    begins[:1] = True
    for key in keys:
        begins[1:] |= key[1:] != key[:-1]
    return places_in(np.diff(np.flatnonzero(begins), append=len(begins)))


def _pairs(values: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs with equal values, the first ascending, then the second; ``second`` ascends."""
    first, last = np.searchsorted(second, values, "left"), np.searchsorted(second, values, "right")
    counts = last - first
    return np.repeat(np.arange(len(values)), counts), spread(first, counts)


def _assign(group: np.ndarray, first_half: np.ndarray, second_half: np.ndarray) -> np.ndarray:
    """Which pairs are made if each is made whose two halves are still free; no half is in two groups (ascending)."""
    left = np.arange(len(group))
    free = [np.ones(int(half.max(initial=-1)) + 1, bool) for half in (first_half, second_half)]
    made = [left[:0]]
    while len(left):
        first = left[np.flatnonzero(np.diff(group[left], prepend=-1))]
        made.append(first)
        free[0][first_half[first]] = free[1][second_half[first]] = False
        left = left[free[0][first_half[left]] & free[1][second_half[left]]]
    return np.concatenate(made)


def _overlaps(linked: _Tubes, annotated: _Tubes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of a linked and an annotated tube of a group, with their overlap in space and time."""
    left, right = _pairs(linked.group, annotated.group)
    sizes = [np.bincount(tubes.tube, minlength=len(tubes.group)) for tubes in (linked, annotated)]
    # A row for each box of the pair's linked tube; its partner is the annotated box of the same step, if there is one.
    pair = np.repeat(np.arange(len(left)), sizes[0][left])
    places = spread((np.cumsum(sizes[0]) - sizes[0])[left], sizes[0][left])
    span = 1 + max(int(linked.step.max(initial=0)), int(annotated.step.max(initial=0)))
    keys = annotated.tube * span + annotated.step
    wanted = right[pair] * span + linked.step[places]
    theirs = np.searchsorted(keys, wanted)
    met = np.flatnonzero(theirs < len(keys))
    met = met[keys[theirs[met]] == wanted[met]]
    pair, places, theirs = pair[met], places[met], theirs[met]
    shared = np.bincount(pair, minlength=len(left))
    total = np.bincount(pair, overlap_of(linked.box[places], annotated.box[theirs]), minlength=len(left))
    return left, right, total / np.maximum(1, sizes[0][left] + sizes[1][right] - shared)

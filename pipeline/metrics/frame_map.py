"""frame-mAP: the average precision of boxes with action labels, frame by frame, as in ActivityNet's AVA evaluator.

Results equal the evaluator's, even where scores are tied, because papers quote them: detections of equal score are
ranked as its heaps and its unstable sort rank them. Nothing here loops over frames or boxes, except over the few
frames in which two detections of a class have the same score.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.metrics.runs import best_of, places_in, spread


@dataclass(frozen=True)
class Boxes:
    """Boxes with labels, n of them, in the order of their file.

    Args:
        frame: (n,) numbers of frames, ≥ 0.
        box: (n, 4) x1, y1, x2, y2; any unit, the same for all.
        label: (n,) numbers of classes, ≥ 0.
        score: (n,) higher is more confident.
    """

    frame: np.ndarray
    box: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, kept: np.ndarray) -> "Boxes":
        """The boxes of a mask or of indices."""
        return Boxes(self.frame[kept], self.box[kept], self.label[kept], self.score[kept])


def frame_ap(
    truth: Boxes, detected: Boxes, classes: Sequence[int], *, iou: float = 0.5, capacity: int = 0
) -> np.ndarray:
    """Average precision per class over all frames.

    Args:
        truth: The annotated boxes, none inside out; an actor with two actions is two boxes. Scores only order them.
        detected: The detections. Frames must be numbered by their first detection; detections in frames without
            annotation count as wrong.
        classes: Numbers of the classes to evaluate; there must be no boxes of others.
        iou: A detection is right if its overlap with the annotated box of its frame and class that it overlaps most
            reaches this, and no detection with a higher score took that box.
        capacity: Only this many detections of a frame count, the most confident of all classes. 0: all.

    Returns:
        (c,) in [0, 1]; NaN for a class without annotation.
    """
    frames = 1 + max(int(truth.frame.max(initial=0)), int(detected.frame.max(initial=0)))
    wide = max(int(truth.label.max(initial=0)), int(detected.label.max(initial=0))) > 1 << 16
    if wide:  # sort keys below pack label, frame and place into 63 bits
        classes, truth, detected = _narrow(classes, truth, detected)
    truth = truth.where(_held(truth, 0, frames))
    order = _held(detected, capacity, frames)
    x1, y1, x2, y2 = detected.box.T
    order = order[((x1 < x2) & (y1 < y2))[order]]
    labels, scores = detected.label[order], detected.score[order]
    right = _match(truth, detected.box, order, labels * frames + detected.frame[order], frames, iou)
    precisions = np.full(len(classes), np.nan)
    for position, label in enumerate(classes):
        annotated = int((truth.label == label).sum())
        if annotated:
            rows = slice(*np.searchsorted(labels, [label, label + 1]))
            by_score = np.argsort(scores[rows])[::-1]  # equal scores in the evaluator's own order
            precisions[position] = area_under(right[rows][by_score], annotated)
    return precisions


def _narrow(classes: Sequence[int], truth: Boxes, detected: Boxes) -> tuple[list[int], Boxes, Boxes]:
    """The same with classes numbered by their rank."""
    _, ranks = np.unique(np.concatenate([truth.label, detected.label, classes]), return_inverse=True)
    truth_labels, found_labels, wanted = np.split(ranks, [len(truth), len(truth) + len(detected)])
    return wanted.tolist(), replace(truth, label=truth_labels), replace(detected, label=found_labels)


def _held(boxes: Boxes, capacity: int, frames: int) -> np.ndarray:
    """(k,) indices of the boxes that count, by class, then frame, then in the evaluator's order."""
    # The evaluator reads a frame's boxes into a heap and sorts them by score. The heap's order shows only where scores
    # of one class are equal, or where a tie is at the limit of the capacity; such frames go through a real heap. The
    # rest sorts integers of class, frame and the score's rank, which is several times as fast as sorting indices.
    count = len(boxes)
    if not count:
        return np.empty(0, np.int64)
    bits = count.bit_length()
    by_score = np.argsort(boxes.score)[::-1]  # from the most confident on
    rank = np.empty(count, np.int64)
    rank[by_score] = np.arange(count)
    slow = np.zeros(frames, bool)
    kept: np.ndarray | None = None
    if capacity:
        kept, tied = _surest(boxes, rank, by_score, bits, capacity)
        slow[boxes.frame[tied]] = True
    groups = boxes.label * frames + boxes.frame
    keys = np.sort(((groups << bits) | rank) if kept is None else ((groups[kept] << bits) | rank[kept]))
    order = by_score[keys & ((1 << bits) - 1)]
    groups = keys >> bits
    scores = boxes.score[order]
    tied = (groups[1:] == groups[:-1]) & (scores[1:] == scores[:-1])
    slow[boxes.frame[order[1:][tied]]] = True
    if not slow.any():
        return order
    quick = ~slow[boxes.frame[order]]
    order, groups = order[quick], groups[quick]
    heaped = _through_heaps(boxes, np.flatnonzero(slow[boxes.frame]), capacity)
    theirs = boxes.label[heaped] * frames + boxes.frame[heaped]
    by_group = np.argsort(theirs, kind="stable")
    return np.insert(order, np.searchsorted(groups, theirs[by_group]), heaped[by_group])


def _surest(
    boxes: Boxes, rank: np.ndarray, by_score: np.ndarray, bits: int, capacity: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``capacity`` best boxes of each frame, and one box of each frame where a tie leaves open which they are."""
    keys = np.sort((boxes.frame << bits) | rank)
    order = by_score[keys & ((1 << bits) - 1)]
    frame = keys >> bits
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    counts = np.diff(starts, append=len(order))
    first_out = starts[counts > capacity] + capacity
    scores = boxes.score
    return order[places_in(counts) < capacity], order[
        first_out[scores[order[first_out - 1]] == scores[order[first_out]]]
    ]


def _through_heaps(boxes: Boxes, rows: np.ndarray, capacity: int) -> np.ndarray:
    """Which of the boxes ``rows``, which fill whole frames, count; in the evaluator's order."""
    heaps: dict[int, list[tuple[float, ...]]] = {}
    # An entry's row must not take part in the heap's comparisons, so it is looked up by the entry's identity.
    entries: dict[int, tuple[tuple[float, ...], int]] = {}
    columns = (boxes.frame[rows], boxes.score[rows], boxes.label[rows], boxes.box[rows], rows)
    for frame, score, label, (x1, y1, x2, y2), row in zip(*(column.tolist() for column in columns), strict=True):
        heap = heaps.setdefault(frame, [])
        entry = (score, label, y1, x1, y2, x2)
        entries[id(entry)] = (entry, row)
        if not capacity or len(heap) < capacity:
            heapq.heappush(heap, entry)
        elif score > heap[0][0]:
            heapq.heapreplace(heap, entry)
    kept = (entries[id(entry)][1] for heap in heaps.values() for entry in sorted(heap, key=lambda entry: -entry[0]))
    return np.fromiter(kept, np.int64)


def _match(
    truth: Boxes, boxes: np.ndarray, order: np.ndarray, groups: np.ndarray, frames: int, threshold: float
) -> np.ndarray:
    """(k,) whether each detection is right; ``boxes[order]`` (k, 4) and ``truth`` are ordered as by `_held`."""
    right = np.zeros(len(order), bool)
    wanted = truth.label * frames + truth.frame
    starts = np.flatnonzero(np.diff(wanted, prepend=-1))
    annotated = np.diff(starts, append=len(wanted))
    first, last = (np.searchsorted(groups, wanted[starts], side) for side in ("left", "right"))
    detected = last - first
    # A row for each detection that has annotated boxes in its group, then one for each pair with those.
    group = np.repeat(np.arange(len(starts)), detected)
    candidate = spread(first, detected)
    if not len(candidate):
        return right
    counts = annotated[group]
    pair = np.repeat(candidate, counts)
    partner = spread(starts[group], counts)
    overlap = overlap_of(boxes[order[pair]], truth.box[partner])
    matched = best_of(overlap, counts)
    matched = matched[overlap[matched] >= threshold]
    _, winners = np.unique(partner[matched], return_index=True)
    right[pair[matched[winners]]] = True
    return right


def overlap_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (n, 4) boxes, row by row; 0 for two without area."""
    width = np.minimum(first[:, 2], second[:, 2]) - np.maximum(first[:, 0], second[:, 0])
    height = np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1])
    shared = np.maximum(0.0, width) * np.maximum(0.0, height)
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (first, second)]
    union = areas[0] + areas[1] - shared
    overlap: np.ndarray = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
    return overlap


def area_under(hits: np.ndarray, annotated: int) -> float:
    """Area under the curve of precision over recall, precision made non-increasing (VOC devkit).

    Args:
        hits: (n,) whether each detection is right, the most confident first.
        annotated: How many annotations there are, > 0.
    """
    if not len(hits):
        return 0.0
    true = np.cumsum(hits.astype(np.int64))
    precision = true / np.arange(1, len(hits) + 1)
    recall = np.concatenate([[0], true / annotated, [1]])
    precision = np.concatenate([[0], precision, [0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))

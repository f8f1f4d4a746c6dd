"""frame-mAP: the average precision of boxes with action labels, frame by frame, as ActivityNet's AVA evaluator has it.

Numbers are the evaluator's own, down to what it does with ties, because papers quote them: detections of equal score
are ranked as its heaps and its unstable sort rank them. Nothing here loops over frames or boxes, but for the few
frames in which two detections of a class have the same score.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """Boxes with labels, n of them, in the order of their file.

    Args:
        frame: (n,) numbers of frames, ≥ 0.
        box: (n, 4) x1, y1, x2, y2; any unit, the same for all.
        label: (n,) numbers of classes, ≥ 0.
        score: (n,) higher is surer.
    """

    frame: np.ndarray
    box: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, chosen: np.ndarray) -> "Boxes":
        """Those of a mask or of indices."""
        return Boxes(self.frame[chosen], self.box[chosen], self.label[chosen], self.score[chosen])


def frame_ap(truth: Boxes, found: Boxes, classes: Sequence[int], *, iou: float = 0.5, capacity: int = 0) -> np.ndarray:
    """Average precision per class over all frames.

    Args:
        truth: The annotated boxes, none inside out; an actor with two actions is two boxes. Scores only order them.
        found: The detections. Frames must be numbered by their first detection; those of frames without annotation
            count as wrong.
        classes: Numbers of the classes to evaluate; boxes of others must not be there.
        iou: A detection is right if its overlap with the annotated box of its frame and class that it overlaps most
            reaches this, and no detection with a higher score was right with that box.
        capacity: Only so many detections of a frame count, the surest of all classes. 0: all.

    Returns:
        (c,) in [0, 1]; NaN for a class without annotation.
    """
    truth, found = _as_read(truth, 0), _as_read(found, capacity)
    valid = (found.box[:, 0] < found.box[:, 2]) & (found.box[:, 1] < found.box[:, 3])
    found = found.where(valid)
    right = _match(truth, found, iou)
    precisions = np.full(len(classes), np.nan)
    for position, label in enumerate(classes):
        annotated = int((truth.label == label).sum())
        if annotated:
            mine = found.label == label
            precisions[position] = _average_precision(found.score[mine], right[mine], annotated)
    return precisions


def _as_read(boxes: Boxes, capacity: int) -> Boxes:
    """The boxes frame by frame, in each by descending score, in the order in which the evaluator holds them.

    It reads a frame's boxes into a heap. That order shows only where scores of one class are equal, or where a tie
    stands at the limit of the capacity; such frames go through a real heap.
    """
    order = np.lexsort((-boxes.score, boxes.frame))
    boxes = boxes.where(order)
    starts = np.flatnonzero(np.diff(boxes.frame, prepend=-1))
    counts = np.diff(starts, append=len(boxes))
    place = np.arange(len(boxes)) - np.repeat(starts, counts)
    tied = np.zeros(len(boxes), bool)
    by_label = np.lexsort((boxes.score, boxes.label, boxes.frame))
    neighbours = (np.diff(values[by_label], append=np.inf) for values in (boxes.frame, boxes.label, boxes.score))
    tied[by_label[~np.any(list(neighbours), axis=0)]] = True
    if capacity:
        last = starts[counts > capacity] + capacity
        tied[last[boxes.score[last - 1] == boxes.score[last]]] = True
    slow = np.isin(boxes.frame, boxes.frame[tied])
    kept = (place < capacity) | (not capacity)
    # In file order again, as a heap depends on it.
    heaped = _through_heaps(boxes.where(np.flatnonzero(slow)[np.argsort(order[slow])]), capacity)
    together = [boxes.where(kept & ~slow), heaped]
    merged = Boxes(*(np.concatenate([getattr(b, n) for b in together]) for n in ("frame", "box", "label", "score")))
    return merged.where(np.argsort(merged.frame, kind="stable"))


def _through_heaps(boxes: Boxes, capacity: int) -> Boxes:
    heaps: dict[int, list[tuple[float, ...]]] = {}
    rows = zip(boxes.frame.tolist(), boxes.score.tolist(), boxes.label.tolist(), boxes.box.tolist(), strict=True)
    for frame, score, label, (x1, y1, x2, y2) in rows:
        heap = heaps.setdefault(frame, [])
        if not capacity or len(heap) < capacity:
            heapq.heappush(heap, (score, label, y1, x1, y2, x2))
        elif score > heap[0][0]:
            heapq.heapreplace(heap, (score, label, y1, x1, y2, x2))
    kept = [(frame, *row) for frame, heap in heaps.items() for row in sorted(heap, key=lambda row: -row[0])]
    table = np.array(kept, np.float64).reshape(-1, 7)
    return Boxes(table[:, 0].astype(np.int64), table[:, [4, 3, 6, 5]], table[:, 2].astype(np.int64), table[:, 1])


def _match(truth: Boxes, found: Boxes, threshold: float) -> np.ndarray:
    """(n,) whether each detection is right; both sorted as `_as_read` does."""
    width = 1 + max(int(truth.label.max(initial=0)), int(found.label.max(initial=0)))
    keys = truth.frame * width + truth.label
    order = np.argsort(keys, kind="stable")
    wanted = found.frame * width + found.label
    first = np.searchsorted(keys[order], wanted, "left")
    counts = np.searchsorted(keys[order], wanted, "right") - first
    right = np.zeros(len(found), bool)
    candidates = np.flatnonzero(counts)
    if not len(candidates):
        return right
    counts = counts[candidates]
    starts = np.cumsum(counts) - counts
    pair = np.repeat(candidates, counts)
    partner = order[np.repeat(first[candidates] - starts, counts) + np.arange(len(pair))]
    overlap = _overlap(found.box[pair], truth.box[partner])
    best = np.flatnonzero(overlap == np.repeat(np.maximum.reduceat(overlap, starts), counts))
    _, first_best = np.unique(pair[best], return_index=True)
    chosen = best[first_best]
    chosen = chosen[overlap[chosen] >= threshold]
    _, winners = np.unique(partner[chosen], return_index=True)
    right[pair[chosen[winners]]] = True
    return right


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (n, 4) boxes, row by row."""
    height = np.maximum(0.0, np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1]))
    width = np.maximum(0.0, np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0]))
    shared = height * width
    areas = [(b[:, 3] - b[:, 1]) * (b[:, 2] - b[:, 0]) for b in (one, other)]
    overlap: np.ndarray = shared / (areas[0] + areas[1] - shared)
    return overlap


def _average_precision(scores: np.ndarray, right: np.ndarray, annotated: int) -> float:
    """Area under the curve of precision over recall, precision made non-increasing (VOC devkit)."""
    if not len(scores):
        return 0.0
    hits = right[np.argsort(scores)[::-1]].astype(np.int64)  # of equal scores the evaluator's own order
    true = np.cumsum(hits)
    precision = true / np.arange(1, len(hits) + 1)
    recall = np.concatenate([[0], true / annotated, [1]])
    precision = np.concatenate([[0], precision, [0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))

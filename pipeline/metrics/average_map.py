"""Average-mAP: the average precision of spotted events, averaged over temporal tolerances (Sec. 4.2.1).

Results equal those of SoccerNet's own evaluator, quirks included, because papers quote them. A half's time axis has
14,400 frames, two a second; later events count at the last one. Of several entries of a class in one frame only the
last counts. Precision and recall are taken at 200 thresholds and interpolated at 11 points. Nothing here loops over
events, except that annotations whose tolerance windows share detections are matched one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.metrics.runs import best_of, spread

RATE = 2  # frames per second
FRAMES = 120 * 60 * RATE  # of a half
_THRESHOLDS = np.linspace(0, 1, 200)
_RECALLS = np.arange(11) / 10
_UNSHOWN = 17 / 13  # only 13 of the 17 classes have annotations that the broadcast does not show


@dataclass(frozen=True)
class Annotated:
    """n annotations of any number of halves; their order only matters within one frame and class.

    Args:
        half: (n,) number of each one's half, from 0, counted over all games.
        frame: (n,) in [0, `FRAMES`).
        label: (n,) number of its class, from 0.
        visible: (n,) whether the broadcast shows it.
    """

    half: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class Detected:
    """Detections: as `Annotated`, with ``score`` (n,): confidence in [0, 1]. Detections below 0 do not count."""

    half: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Precisions:
    """Average precisions, (tolerances, classes) each, in [0, 1]; 0 for a class without annotation.

    ``visible`` is of annotations that are shown and detections whose closest annotation is shown. ``unshown`` is of the
    others, including detections in a half without annotation of their class.
    """

    every: np.ndarray
    visible: np.ndarray
    unshown: np.ndarray


class Area(NamedTuple):
    """Areas under the curves over the tolerance, in [0, 1]: their mean, and those of the classes (c,)."""

    mean: float
    per_class: np.ndarray


def frames_of(seconds: np.ndarray) -> np.ndarray:
    """(n,) frames of times (n,) ≥ 0, rounded to whole milliseconds, as SoccerNet's files hold them."""
    return np.minimum(np.floor(RATE * (milliseconds_of(seconds) / 1000)), FRAMES - 1).astype(np.int64)


def milliseconds_of(seconds: np.ndarray) -> np.ndarray:
    """(n,) whole milliseconds, float64."""
    return np.rint(seconds * 1000)


def average_precisions(truth: Annotated, detected: Detected, classes: int, tolerances: Sequence[float]) -> Precisions:
    """Average precision per tolerance (δ in seconds) and class.

    Annotations choose in their order. Each takes the most confident detection (the first of equals) of its class and
    half that lies within half the tolerance and is not yet taken; what is taken is right.
    """
    halves = 1 + max(int(truth.half.max(initial=0)), int(detected.half.max(initial=0)))
    keys, rows = _ordered(truth, halves)
    visible = truth.visible[rows].astype(bool)
    found_keys, found_rows = _ordered(detected, halves)
    counts = detected.score[found_rows] >= 0
    found_keys, found_rows = found_keys[counts], found_rows[counts]
    scores = detected.score[found_rows]
    shown = _closest_is_visible(keys, visible, found_keys)

    labels = truth.label[rows]
    annotated = [np.bincount(labels[members_of], minlength=classes) for members_of in (slice(None), visible, ~visible)]
    # A detection counts at threshold k if more than k thresholds are not above its score.
    levels = len(_THRESHOLDS) + 1
    cell = detected.label[found_rows] * levels + np.searchsorted(_THRESHOLDS, scores, "right")
    members = [np.ones(len(cell), bool), shown, ~shown]
    counted = [_at_thresholds(cell[members_of], classes, levels) for members_of in members]
    precisions = np.zeros((3, len(tolerances), classes))
    for position, tolerance in enumerate(tolerances):
        right = _match(keys, found_keys, scores, int(tolerance * RATE / 2))
        for kind, members_of in enumerate(members):
            hits = _at_thresholds(cell[members_of & right], classes, levels)
            precisions[kind, position] = _interpolated(hits, counted[kind], annotated[kind])
    return Precisions(*precisions)


def average_map(precisions: Precisions) -> tuple[Area, Area, Area]:
    """Areas of every, of visible and of unshown under the curves over equally spaced tolerances, by trapezoids.

    For a single tolerance they are its values. Otherwise the mean of the unshown is multiplied by 17/13, as in the
    evaluator.
    """
    return (
        _area(precisions.every),
        _area(precisions.visible),
        _area(precisions.unshown, _UNSHOWN if len(precisions.unshown) > 1 else 1.0),
    )


def _area(matrix: np.ndarray, factor: float = 1.0) -> Area:
    per_class = matrix[0] if len(matrix) == 1 else np.trapezoid(matrix, axis=0) / (len(matrix) - 1)
    return Area(factor * float(per_class.mean()), per_class)


def _ordered(points: Annotated | Detected, halves: int) -> tuple[np.ndarray, np.ndarray]:
    """One number for class, half and frame, ascending, and the last row of each."""
    keys = (points.label.astype(np.int64) * halves + points.half) * FRAMES + points.frame
    keys, from_the_end = np.unique(keys[::-1], return_index=True)
    return keys, len(points.label) - 1 - from_the_end


def _closest_is_visible(keys: np.ndarray, visible: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """(m,) whether the annotation closest to each detection is visible; False if its class and half have none."""
    if not len(keys):
        return np.zeros(len(detected), bool)
    groups, frames = np.divmod(keys, FRAMES)
    begins = groups * FRAMES  # the middle between two annotations, rounded down, belongs to the later one
    follows = groups[1:] == groups[:-1]
    begins[1:][follows] += (frames[1:] + frames[:-1])[follows] // 2
    closest = np.searchsorted(begins, detected, "right") - 1  # -1 wraps round to a group that cannot be the detection's
    return visible[closest] & (groups[closest] == detected // FRAMES)


def _match(keys: np.ndarray, times: np.ndarray, scores: np.ndarray, window: int) -> np.ndarray:
    """(m,) whether each detection is right; ``keys`` and ``times`` ascend, ``window`` is in frames to each side."""
    frames = keys % FRAMES
    first = np.searchsorted(times, keys - np.minimum(window, frames), "left")
    stop = np.searchsorted(times, keys + np.minimum(window, FRAMES - 1 - frames), "right")
    reaches = stop > first
    first, stop = first[reaches], stop[reaches]
    free = scores.astype(np.float64)  # -1 once taken
    for turn in _turns(first, stop):
        count = (stop - first)[turn]
        candidate = spread(first[turn], count)
        free[candidate[best_of(free[candidate], count)]] = -1  # where all were taken the best is one that stays so
    return free < 0


def _turns(first: np.ndarray, stop: np.ndarray) -> Iterator[np.ndarray]:
    """Positions of the annotations that may choose at the same time: no two of them share candidates."""
    if not len(first):
        return
    runs = np.flatnonzero(np.concatenate([[True], first[1:] >= stop[:-1]]))
    turn = np.arange(len(first)) - np.repeat(runs, np.diff(runs, append=len(first)))
    order = np.argsort(turn, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(turn))[:-1])


def _at_thresholds(cell: np.ndarray, classes: int, levels: int) -> np.ndarray:
    """(classes, thresholds) how many entries, given by class and level, are not below each threshold."""
    by_level = np.bincount(cell, minlength=classes * levels).reshape(classes, levels)
    return np.cumsum(by_level[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _interpolated(hits: np.ndarray, counted: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """(classes,) average precision from hits and detections (classes, thresholds) and annotations (classes,)."""
    precision = hits / np.maximum(counted, 1)
    recall = hits / np.maximum(annotated, 1)[:, None]
    return np.where(recall[..., None] >= _RECALLS, precision[..., None], 0).max(axis=1).sum(axis=1) / len(_RECALLS)

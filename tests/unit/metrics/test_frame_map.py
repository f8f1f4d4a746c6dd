"""frame-mAP: by hand, and equal to a transcription of ActivityNet's evaluator that goes box by box."""

import heapq
import math
import random
from collections import defaultdict

import numpy as np
import pytest

from pipeline.metrics.frame_map import Boxes, frame_ap

Row = tuple[int, tuple[float, float, float, float], int, float]  # frame, box, label, score


def boxes(rows: list[Row]) -> Boxes:
    frames, corners, labels, scores = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Boxes(
        np.array(frames, np.int64),
        np.array(corners, np.float64).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(scores, np.float64),
    )


def numbered(truth: list[Row], found: list[Row]) -> tuple[Boxes, Boxes]:
    """Frames numbered by their first detection, as `frame_ap` wants them."""
    numbers: dict[int, int] = {}
    for row in (*found, *truth):
        numbers.setdefault(row[0], len(numbers))
    return boxes([(numbers[f], *rest) for f, *rest in truth]), boxes([(numbers[f], *rest) for f, *rest in found])


# ---- the evaluator, slowly


def held(rows: list[Row], capacity: int) -> dict[int, list[tuple[float, ...]]]:
    """Of each frame (score, label, y1, x1, y2, x2), as its reader of files holds them."""
    frames: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for frame, (x1, y1, x2, y2), label, score in rows:
        entry = (score, label, y1, x1, y2, x2)
        if capacity < 1 or len(frames[frame]) < capacity:
            heapq.heappush(frames[frame], entry)
        elif score > frames[frame][0][0]:
            heapq.heapreplace(frames[frame], entry)
    return {frame: sorted(entries, key=lambda entry: -entry[0]) for frame, entries in frames.items()}


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    height = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    width = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return height * width / (area[0] + area[1] - height * width)


def slowly(truth: list[Row], found: list[Row], classes: list[int], capacity: int) -> list[float]:
    annotated = held(truth, 0)
    precisions = []
    for label in classes:
        scores, hits = [], []
        for frame, entries in held(found, capacity).items():
            mine = [entry for entry in annotated.get(frame, []) if entry[1] == label]
            taken = [False] * len(mine)
            for score, its, *box in entries:
                if its != label or box[0] >= box[2] or box[1] >= box[3]:
                    continue
                overlaps = [overlap(tuple(box), entry[2:]) for entry in mine]
                best = overlaps.index(max(overlaps)) if overlaps else -1
                hit = best >= 0 and overlaps[best] >= 0.5 and not taken[best]
                if hit:
                    taken[best] = True
                scores.append(score)
                hits.append(hit)
        count = sum(entry[1] == label for entries in annotated.values() for entry in entries)
        precisions.append(area_under(scores, hits, count) if count else math.nan)
    return precisions


def area_under(scores: list[float], hits: list[bool], count: int) -> float:
    order = np.argsort(np.array(scores))[::-1]
    points, true = [], 0
    for rank, position in enumerate(order, 1):
        true += hits[position]
        points.append((true / count, true / rank))
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[place:])
        before = recall
    return area


def case(seed: int, adversarial: bool) -> tuple[list[Row], list[Row]]:
    source = random.Random(seed)
    grid = (0.0, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0)

    def span() -> tuple[float, float]:
        pair = (source.choice(grid), source.choice(grid)) if adversarial else (source.random(), source.random())
        return min(pair), max(pair)

    def box() -> tuple[float, float, float, float]:
        (x1, x2), (y1, y2) = span(), span()
        return x1, y1, x2, y2

    truth: list[Row] = []
    found: list[Row] = []
    for frame in range(source.choice((1, 4, 12))):
        actors = [box() for _ in range(source.randint(0, 4))]
        truth += [(frame, actor, label, 1.0) for actor in actors for label in source.sample(range(1, 5), 2)]
        if adversarial:  # the same box twice
            truth += [(frame, actor, 1, 1.0) for actor in actors]
        for _ in range(source.choice((0, 3, 40))):
            actor = source.choice(actors) if actors and source.random() < 0.7 else box()
            if not adversarial:
                actor = tuple(x + source.gauss(0, 0.02) for x in actor)  # type: ignore[assignment]
            score = source.choice((0.0, 0.5, 0.5, 1.0)) if adversarial else source.random()
            found.append((frame, actor, source.randint(1, 6), score))
    source.shuffle(found)
    return truth, found


@pytest.mark.parametrize("capacity", [0, 5])
@pytest.mark.parametrize("adversarial", [False, True], ids=["random", "adversarial"])
@pytest.mark.parametrize("seed", range(30))
def test_equal_to_the_evaluator(seed: int, adversarial: bool, capacity: int) -> None:
    """Ties, duplicates, empty boxes, frames without annotation or detection, classes without either."""
    truth, found = case(seed, adversarial)
    classes = [1, 2, 3, 4, 5, 6, 9]
    quick = frame_ap(*numbered(truth, found), classes, capacity=capacity)
    assert quick == pytest.approx(slowly(truth, found, classes, capacity), abs=1e-12, nan_ok=True)


def test_by_hand() -> None:
    """Two of three boxes found, the second after a wrong one: 1/3 · 1 + 1/3 · 2/3."""
    one, two, three = (0.0, 0.0, 0.4, 0.4), (0.5, 0.5, 0.9, 0.9), (0.0, 0.5, 0.4, 0.9)
    truth = [(0, one, 7, 1.0), (0, two, 7, 1.0), (1, three, 7, 1.0)]
    found = [(0, one, 7, 0.9), (0, one, 7, 0.8), (0, two, 7, 0.7), (1, two, 7, 0.1)]
    assert frame_ap(*numbered(truth, found), [7, 8]) == pytest.approx([1 / 3 + 2 / 9, math.nan], nan_ok=True)


def test_nothing_detected() -> None:
    truth = [(0, (0.0, 0.0, 1.0, 1.0), 1, 1.0)]
    assert frame_ap(*numbered(truth, []), [1, 2]).tolist() == pytest.approx([0.0, math.nan], nan_ok=True)


def test_exactly_half_an_overlap_is_right() -> None:
    truth = [(0, (0.0, 0.0, 1.0, 1.0), 1, 1.0)]
    found = [(0, (0.0, 0.0, 0.5, 1.0), 1, 0.3)]
    assert frame_ap(*numbered(truth, found), [1]).tolist() == [1.0]
    assert frame_ap(*numbered(truth, found), [1], iou=0.51).tolist() == [0.0]

"""video-mAP: by hand, and equal to a transcription that goes tube by tube and box by box."""

import math
import random
from collections import defaultdict

import numpy as np
import pytest

from pipeline.metrics.frame_map import Boxes
from pipeline.metrics.video_map import THRESHOLDS, Clock, Linking, video_ap

Box = tuple[float, float, float, float]
Row = tuple[int, int, Box, int, float]  # video, step, box, label, score or person
LEFT, RIGHT = (0.0, 0.0, 0.4, 1.0), (0.6, 0.0, 1.0, 1.0)


def quickly(truth: list[Row], found: list[Row], classes: list[int], linking: Linking, thresholds=(0.2, 0.5)):
    frames = sorted({row[:2] for row in (*truth, *found)}, key=lambda frame: (frame[1] * 7919 % 101, frame))
    number = {frame: n for n, frame in enumerate(frames)}

    def boxes(rows: list[Row]) -> Boxes:
        return Boxes(
            np.array([number[row[:2]] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
            np.array([row[3] for row in rows], np.int64),
            np.array([row[4] for row in rows], np.float64),
        )

    clock = Clock(*(np.array([frame[n] for frame in frames], np.int64) for n in (0, 1)))
    person = np.array([row[4] for row in truth], np.int64)
    return video_ap(boxes(truth), person, boxes(found), clock, classes, thresholds, linking)


# ---- the same, slowly


def overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
    return shared / union if union > 0 else 0.0


def linked(detections: dict[int, list[tuple[float, Box]]], linking: Linking) -> list[tuple[float, dict[int, Box]]]:
    """Tubes of one class in one video, in order of their beginning: their scores, and their boxes by step."""
    tubes: list[list[tuple[int, float, Box]]] = []
    for step in sorted(detections):
        sure = [entry for entry in detections[step] if entry[0] >= linking.least_score]
        free = sorted(sure, key=lambda entry: -entry[0])[: linking.most]
        live = [tube for tube in tubes if step - tube[-1][0] <= linking.gap]
        for tube in sorted(live, key=lambda tube: -sum(score for _, score, _ in tube) / len(tube)):
            near = [n for n, entry in enumerate(free) if overlap(tube[-1][2], entry[1]) >= linking.overlap]
            if near:
                tube.append((step, *free.pop(near[0])))
        tubes += [[(step, *entry)] for entry in free]
    result = []
    for tube in tubes:
        boxes, scores = {}, []
        for before, now in zip([None, *tube], tube, strict=False):
            for step in range(before[0] + 1 if before else now[0], now[0] + 1):
                boxes[step] = now[2]
                scores.append(now[1])
        if len(boxes) >= linking.shortest:
            best = sorted(scores, reverse=True)[: linking.scored]
            result.append((sum(best) / len(best), boxes))
    return result


def slowly(truth: list[Row], found: list[Row], classes: list[int], linking: Linking, thresholds=(0.2, 0.5)):
    values = np.full((len(thresholds), len(classes)), np.nan)
    videos = sorted({row[0] for row in (*truth, *found)})
    for position, label in enumerate(classes):
        annotated: dict[int, dict[float, dict[int, Box]]] = {video: defaultdict(dict) for video in videos}
        detected: dict[int, dict[int, list[tuple[float, Box]]]] = {video: defaultdict(list) for video in videos}
        for video, step, box, its, person in truth:
            if its == label:
                annotated[video][person][step] = box
        for video, step, box, its, score in found:
            if its == label:
                detected[video][step].append((score, box))
        count = sum(map(len, annotated.values()))
        tubes = [(score, v, boxes) for v in videos for score, boxes in linked(detected[v], linking)]
        tubes.sort(key=lambda tube: -tube[0])
        for row, threshold in zip(values, thresholds, strict=True):
            free = {video: [its[person] for person in sorted(its)] for video, its in annotated.items()}
            hits = []
            for _, video, boxes in tubes:
                mine = [both(boxes, other) for other in free[video]]
                hit = bool(mine) and max(mine) >= threshold
                if hit:
                    free[video].pop(mine.index(max(mine)))
                hits.append(hit)
            if count:
                row[position] = area(hits, count)
    return values


def both(one: dict[int, Box], other: dict[int, Box]) -> float:
    return sum(overlap(one[step], other[step]) for step in one if step in other) / len(one.keys() | other.keys())


def area(hits: list[bool], count: int) -> float:
    precisions = [sum(hits[:rank]) / rank for rank in range(1, len(hits) + 1)]
    return sum(max(precisions[place:]) / count for place, hit in enumerate(hits) if hit)


def case(seed: int, adversarial: bool) -> tuple[list[Row], list[Row]]:
    """Videos with up to three actors, some of one class; detections with gaps, doubles and strays."""
    source = random.Random(seed)
    places = (LEFT, RIGHT, (0.0, 0.0, 0.5, 0.5), (0.2, 0.0, 0.6, 1.0), (0.5, 0.5, 0.5, 0.9))
    truth: list[Row] = []
    found: list[Row] = []
    for video in range(source.choice((1, 2, 5))):
        length = source.choice((1, 6, 25))
        for person in range(source.randint(0, 3)):
            label, start = source.randint(1, 2), source.randrange(length)
            anchor = source.choice(places)
            for step in range(start, source.randint(start, length)):
                truth.append((video, step, anchor, label, person))
                for _ in range(source.choice((0, 1, 1, 1, 2))):
                    score = source.choice((0.0, 0.5, 0.5, 1.0)) if adversarial else source.random()
                    box = anchor if adversarial else tuple(x + source.gauss(0, 0.05) for x in anchor)
                    found.append((video, step, box, source.choice((label, label, 2)), score))
        for _ in range(source.choice((0, 5, 40))):
            score = source.choice((0.5, 1.0)) if adversarial else source.random()
            found.append((video, source.randrange(length), source.choice(places), source.randint(1, 3), score))
    source.shuffle(found)
    return truth, found


@pytest.mark.parametrize("linking", [Linking(shortest=1, most=3, scored=4), Linking(0.5, 1, 10, 0.3, 4, 40)])
@pytest.mark.parametrize("adversarial", [False, True], ids=["random", "adversarial"])
@pytest.mark.parametrize("seed", range(40))
def test_equal_to_the_transcription(seed: int, adversarial: bool, linking: Linking) -> None:
    """Ties, gaps, two actors of a class, boxes without area, videos without annotation or detection."""
    truth, found = case(seed, adversarial)
    arguments = (truth, found, [3, 1, 2, 9], linking, (0.1, 0.2, 0.5, 0.75, 1.0))
    assert quickly(*arguments) == pytest.approx(slowly(*arguments), abs=1e-12, nan_ok=True)


def test_two_actors_of_a_class_by_hand() -> None:
    """The right one is found whole (the best), the left one in 6 of 10 frames, and a stray tube stands between."""
    truth = [(0, step, box, 7, person) for step in range(10) for person, box in enumerate((LEFT, RIGHT))]
    found = [(0, step, RIGHT, 7, 0.9) for step in range(10)]
    found += [(0, step, LEFT, 7, 0.5) for step in range(6)]
    found += [(1, step, LEFT, 7, 0.7) for step in range(10)]
    linking = Linking(shortest=2)
    values = quickly(truth, found, [7, 8], linking, (0.5, 0.6, 0.65))
    assert values[:, 0] == pytest.approx([1 / 2 + 1 / 2 * 2 / 3] * 2 + [1 / 2])
    assert np.isnan(values[:, 1]).all()
    swapped = [(v, step, box, label, 1 - person) for v, step, box, label, person in truth]
    assert quickly(swapped, found, [7], linking)[1].tolist() == values[0, :1].tolist()


@pytest.mark.parametrize(("missing", "tubes"), [(2, 1), (3, 2)])
def test_a_gap_is_bridged_until_the_tube_ends(missing: int, tubes: int) -> None:
    """With three frames missing, two tubes of 7 of 17 frames stand for one: neither reaches a half."""
    truth = [(0, step, LEFT, 1, 0) for step in range(14 + missing)]
    found = [row for row in truth if not 7 <= row[1] < 7 + missing]
    found = [(*row[:4], 0.5) for row in found]
    value = quickly(truth, found, [1], Linking(shortest=1), (0.9, 7 / 17))
    assert value[:, 0] == pytest.approx([1.0, 1.0] if tubes == 1 else [0.0, 1.0])


def test_short_tubes_are_dropped_as_published() -> None:
    truth = [(0, step, LEFT, 1, 0) for step in range(9)]
    found = [(*row[:4], 0.5) for row in truth]
    assert quickly(truth, found, [1], Linking()).tolist() == [[0.0], [0.0]]
    assert quickly(truth, found, [1], Linking(shortest=9)).tolist() == [[1.0], [1.0]]


def test_nothing_detected_and_nothing_annotated() -> None:
    truth = [(0, 0, LEFT, 1, 0)]
    assert quickly(truth, [], [1, 2], Linking()).tolist()[0] == pytest.approx([0.0, math.nan], nan_ok=True)
    assert np.isnan(quickly([], [(0, 0, LEFT, 1, 0.5)], [1], Linking())).all()


def test_thresholds() -> None:
    assert [len(values) for values in THRESHOLDS.values()] == [1, 1, 10]
    assert THRESHOLDS["0.5:0.95"][::9] == (0.5, 0.95)

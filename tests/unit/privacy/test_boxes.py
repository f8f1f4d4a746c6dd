"""Boxes by hand: what holds several, larger ones, overlaps, and the best of those that overlap."""

import numpy as np
import pytest

from pipeline.privacy.boxes import enlarge, hull, iou, suppress


def test_hull_holds_all_boxes() -> None:
    boxes = np.array([[0.1, 0.5, 0.2, 0.6], [0.3, 0.4, 0.35, 0.55], [0.2, 0.45, 0.25, 0.9]], np.float32)
    assert hull(*boxes) == pytest.approx(np.array([0.1, 0.4, 0.35, 0.9]))
    assert hull(boxes[0]).tolist() == boxes[0].tolist()


@pytest.mark.parametrize(
    ("box", "factor", "expected"),
    [
        ((0.4, 0.4, 0.6, 0.6), 1.0, (0.4, 0.4, 0.6, 0.6)),
        ((0.4, 0.4, 0.6, 0.6), 2.0, (0.3, 0.3, 0.7, 0.7)),
        ((0.0, 0.5, 0.2, 0.6), 1.5, (-0.05, 0.475, 0.25, 0.625)),
        ((0.0, 0.0, 1.0, 1.0), 5.0, (-2.0, -2.0, 3.0, 3.0)),
    ],
)
def test_enlarge_by_hand(box: tuple[float, ...], factor: float, expected: tuple[float, ...]) -> None:
    assert enlarge(np.array(box), factor) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1), 1.0),
        ((0, 0, 0.5, 1), (0.5, 0, 1, 1), 0.0),
        ((0, 0, 0.25, 0.25), (0.5, 0.5, 1, 1), 0.0),
        ((0, 0, 0.5, 0.5), (0.25, 0, 0.75, 0.5), 1 / 3),
        ((0, 0, 1, 1), (0.25, 0.25, 0.75, 0.75), 0.25),
        ((0, 0, 0.5, 0.5), (0.25, 0.25, 0.75, 0.75), 1 / 7),
        ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), 0.0),
    ],
)
def test_iou_by_hand(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    assert iou(np.array([first]), np.array([second])) == pytest.approx(np.array([[expected]]))
    assert iou(np.array([second]), np.array([first])) == pytest.approx(np.array([[expected]]))


def test_iou_is_of_every_pair() -> None:
    first = np.array([(0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)], np.float32)
    second = np.array([(0, 0, 0.5, 0.5), (0, 0, 1, 1), (0.5, 0.5, 1, 1)], np.float32)
    assert iou(first, second).tolist() == [[1.0, 0.25, 0.0], [0.0, 0.25, 1.0]]


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_iou_of_no_boxes(n: int, m: int) -> None:
    assert iou(np.zeros((n, 4), np.float32), np.zeros((m, 4), np.float32)).shape == (n, m)


BOXES = np.array(
    [(0, 0, 2, 2), (1, 0, 3, 2), (4, 0, 6, 2), (0, 0, 2, 4)], np.float32
)  # IoUs 1/3, 0, 1/2 with the first


@pytest.mark.parametrize(
    ("overlap", "kept"),
    [
        (0.6, [2, 0, 3, 1]),
        (0.45, [2, 0, 1]),
        (0.3, [2, 0]),
    ],
)
def test_of_boxes_that_overlap_the_best_stays(overlap: float, kept: list[int]) -> None:
    assert suppress(BOXES, np.array([0.8, 0.5, 0.9, 0.7]), overlap).tolist() == kept


def test_sides_count_not_corners() -> None:
    far = BOXES[:2] + np.float32(10)
    assert suppress(far, np.array([0.5, 0.6]), 0.45).tolist() == [1, 0]
    assert suppress(far, np.array([0.5, 0.6]), 0.3).tolist() == [1]


def test_no_boxes_to_suppress() -> None:
    kept = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5)
    assert (kept.shape, kept.dtype) == ((0,), np.int64)

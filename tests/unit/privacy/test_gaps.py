"""Gap filling: what is hidden in the frames between two detections of one instance."""

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.privacy.gaps import fill_gaps, linked
from pipeline.privacy.instances import Instances

SIDE = 0.2


def at(*lefts: float, score: float = 0.9, mask: np.ndarray | None = None) -> Instances:
    """Squares of side 0.2 with their left edges here and their top at 0.4."""
    boxes = np.array([(left, 0.4, left + SIDE, 0.4 + SIDE) for left in lefts], np.float32).reshape(-1, 4)
    return Instances(boxes, np.full(len(lefts), score, np.float32), [mask] * len(lefts), np.zeros(len(lefts), bool))


def filled(frames: list[Instances], max_gap: int) -> list[Instances]:
    return list(fill_gaps(frames, max_gap))


def lefts(frames: list[Instances]) -> list[list[float]]:
    return [[round(float(left), 4) for left in frame.boxes[:, 0]] for frame in frames]


def test_gap_is_filled_with_all_the_way_from_one_box_to_the_other() -> None:
    found = filled([at(0.30), at(), at(), at(), at(0.38)], 3)
    assert lefts(found) == [[0.3], [0.3], [0.3], [0.3], [0.38]]
    assert np.allclose([frame.boxes[0] for frame in found[1:4]], [0.3, 0.4, 0.58, 0.6])


def test_the_larger_size_counts() -> None:
    small, large = at(0.3), at(0.3)
    large.boxes = np.array([[0.26, 0.36, 0.54, 0.64]], np.float32)
    assert np.allclose(filled([small, at(), large], 1)[1].boxes, [[0.26, 0.36, 0.54, 0.64]])


def test_filled_instances_are_marked() -> None:
    found = filled([at(0.3), at(), at(0.3)], 1)
    assert [frame.filled.tolist() for frame in found] == [[False], [True], [False]]


def test_filled_instance_has_the_lower_score() -> None:
    found = filled([at(0.3, score=0.9), at(), at(0.3, score=0.6), at(), at(0.3, score=0.8)], 1)
    assert [round(float(frame.scores[0]), 4) for frame in found] == [0.9, 0.6, 0.6, 0.6, 0.8]


def test_filled_instance_is_a_whole_box() -> None:
    """What a mask leaves open may be where a body's limb was."""
    mask = np.eye(2, dtype=bool)
    found = filled([at(0.3, mask=mask), at(), at(0.3, mask=mask)], 1)
    assert [frame.masks[0] is mask for frame in found] == [True, False, True]
    assert found[1].masks == [None]


@pytest.mark.parametrize(("missing", "max_gap"), [(1, 1), (3, 3), (3, 10), (10, 10)])
def test_gap_of_at_most_max_gap_is_filled(missing: int, max_gap: int) -> None:
    found = filled([at(0.3), *(at() for _ in range(missing)), at(0.3)], max_gap)
    assert [len(frame) for frame in found] == [1] * (missing + 2)


@pytest.mark.parametrize(("missing", "max_gap"), [(2, 1), (4, 3), (1, 0), (11, 10)])
def test_longer_gap_is_not_filled(missing: int, max_gap: int) -> None:
    found = filled([at(0.3), *(at() for _ in range(missing)), at(0.3)], max_gap)
    assert [len(frame) for frame in found] == [1, *[0] * missing, 1]


def test_nothing_is_filled_before_the_first_and_after_the_last() -> None:
    found = filled([at(), at(), at(0.3), at(), at(0.3), at(), at()], 5)
    assert [len(frame) for frame in found] == [0, 0, 1, 1, 1, 0, 0]


def test_several_gaps_of_one_instance_are_filled() -> None:
    found = filled([at(0.30), at(), at(0.34), at(), at(), at(0.40)], 2)
    assert lefts(found) == [[0.3], [0.3], [0.34], [0.34], [0.34], [0.4]]
    assert np.allclose([frame.boxes[0, 2] for frame in found], [0.5, 0.54, 0.54, 0.6, 0.6, 0.6])


def test_no_gap_changes_nothing() -> None:
    found = filled([at(0.3), at(0.31), at(0.32)], 10)
    assert lefts(found) == [[0.3], [0.31], [0.32]]
    assert not any(frame.filled.any() for frame in found)


@pytest.mark.parametrize(
    ("shift", "linked"),
    [(0.0, True), (0.1, True), (0.13, True), (0.14, False), (0.25, False)],
)
def test_instances_are_linked_by_overlap(shift: float, linked: bool) -> None:
    """Squares of side s shifted by d overlap with IoU (s - d) / (s + d); 0.2 is needed, so d up to 0.1333."""
    assert len(filled([at(0.3), at(), at(0.3 + shift)], 1)[1]) == linked


def test_neighbours_keep_their_own_tracks() -> None:
    found = filled([at(0.30, 0.36), at(), at(0.38, 0.32)], 1)
    assert sorted(lefts(found)[1]) == [0.3, 0.36]
    assert sorted(found[1].boxes[:, 2].round(4).tolist()) == pytest.approx([0.52, 0.58])


def test_one_detection_ends_one_gap_only() -> None:
    """Two instances stood close together and one of them is seen again: the other is not drawn along."""
    found = filled([at(0.30, 0.36), at(), at(0.36)], 1)
    assert lefts(found)[1] == [0.36]


def test_best_overlap_is_linked_first() -> None:
    found = filled([at(0.30), at(), at(0.40, 0.32)], 1)
    assert lefts(found)[1] == [0.3]
    assert found[1].boxes[0, 2] == pytest.approx(0.52)


def test_one_instance_is_filled_while_another_is_seen() -> None:
    found = filled([at(0.1, 0.7), at(0.7), at(0.1, 0.7)], 1)
    assert lefts(found) == [[0.1, 0.7], [0.7, 0.1], [0.1, 0.7]]
    assert found[1].filled.tolist() == [False, True]


def test_failed_frame_stays_failed() -> None:
    found = filled([at(0.3), Instances(failed=True), at(0.3)], 1)
    assert [frame.failed for frame in found] == [False, True, False]
    assert len(found[1]) == 1


@pytest.mark.parametrize("max_gap", [0, 1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_as_many_frames_come_out_as_go_in(count: int, max_gap: int) -> None:
    frames = [at(0.3) for _ in range(count)]
    found = filled(frames, max_gap)
    assert len(found) == count
    assert all(ours is theirs for ours, theirs in zip(found, frames, strict=True))


def test_max_gap_zero_passes_frames_through() -> None:
    frames = [at(0.3), at(), at(0.3)]
    assert filled(frames, 0) == frames
    assert [len(frame) for frame in frames] == [1, 0, 1]


@pytest.mark.parametrize("max_gap", [0, 1, 4])
def test_only_so_many_frames_are_held_back(max_gap: int) -> None:
    """A film is searched as a stream: what is held back is what it costs in memory and delay."""
    read = 0

    def frames() -> Iterator[Instances]:
        nonlocal read
        for _ in range(20):
            read += 1
            yield at(0.3)

    for done, _ in enumerate(fill_gaps(frames(), max_gap), 1):
        assert read == min(20, done + max_gap)


@pytest.mark.parametrize(("least", "pairs"), [(0.0, [(1, 0), (0, 1)]), (0.5, [(1, 0)]), (0.9, [])])
def test_linked_boxes_overlap_and_have_one_partner_each(least: float, pairs: list[tuple[int, int]]) -> None:
    """Squares of side 0.2: 0.02 apart the IoU is 0.82, 0.08 apart 0.43."""
    assert linked(at(0.3, 0.4).boxes, at(0.42, 0.38).boxes, least) == pairs


def test_nothing_is_linked_to_nothing() -> None:
    assert linked(at().boxes, at(0.3).boxes, 0.0) == []
    assert linked(at(0.3).boxes, at().boxes, 0.0) == []

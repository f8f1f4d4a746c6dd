"""Instances of a frame, their geometry, and the shard that keeps them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.privacy import instances as instances_module
from pipeline.privacy.instances import DetectedVideo, DetectionShard, Failures, Instances, write_detections
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import FrameShard

PROVENANCE = Provenance("detect", '{"what":"faces"}', "0123456789abcdef")


def box(*sides: float) -> np.ndarray:
    return np.array([sides], np.float32)


# ---- what a detector gives


def test_boxes_are_clipped_to_the_frame() -> None:
    found = Instances.of(box(-0.1, 0.2, 1.3, 0.4), np.array([0.9]))
    assert found.boxes.tolist() == box(0.0, 0.2, 1.0, 0.4).tolist()


@pytest.mark.parametrize("empty", [(0.5, 0.2, 0.5, 0.4), (1.1, 0.2, 1.3, 0.4), (0.1, 0.4, 0.2, 0.4)])
def test_empty_boxes_are_dropped(empty: tuple[float, ...]) -> None:
    assert len(Instances.of(box(*empty), np.array([0.9]))) == 0


def test_scores_and_masks_of_dropped_boxes_go_with_them() -> None:
    boxes = np.array([(0.1, 0.1, 0.2, 0.2), (0.5, 0.5, 0.5, 0.9), (0.3, 0.3, 0.4, 0.4)])
    masks = [np.full((1, k), True) for k in (1, 2, 3)]
    found = Instances.of(boxes, np.array([0.9, 0.8, 0.7]), masks)
    assert found.scores.tolist() == np.array([0.9, 0.7], np.float32).tolist()
    assert [mask.shape for mask in found.masks if mask is not None] == [(1, 1), (1, 3)]
    assert found.filled.tolist() == [False, False]


def test_nothing_found() -> None:
    found = Instances.of(np.zeros((0, 4)), np.zeros(0))
    assert (len(found), found.boxes.shape, found.failed) == (0, (0, 4), False)


def test_without_masks_every_mask_is_none() -> None:
    assert Instances.of(np.array([(0.1, 0.1, 0.2, 0.2)] * 2), np.array([0.9, 0.8])).masks == [None, None]


def test_kinds_of_numbers_are_those_of_the_shard() -> None:
    found = Instances.of(np.array([(0.1, 0.1, 0.2, 0.2)], np.float64), np.array([0.9], np.float64))
    assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)


def test_frames_do_not_share_their_arrays() -> None:
    first, second = Instances(), Instances()
    first.add(box(0.1, 0.1, 0.2, 0.2)[0], 0.5, None)
    assert (len(first), len(second), len(Instances())) == (1, 0, 0)


def test_added_instance_is_marked_as_filled() -> None:
    found = Instances.of(box(0.1, 0.1, 0.2, 0.2), np.array([0.75]))
    found.add(np.array([0.3, 0.3, 0.4, 0.4]), 0.5, np.ones((2, 2), bool))
    assert found.boxes[1].tolist() == np.array([0.3, 0.3, 0.4, 0.4], np.float32).tolist()
    assert found.scores.tolist() == [0.75, 0.5]
    assert found.filled.tolist() == [False, True]
    assert found.masks[1] is not None


# ---- quarter turns


def some() -> Instances:
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    found = Instances.of(
        np.array([(0.125, 0.25, 0.5, 0.375), (0.5, 0.5, 0.75, 1.0)]), np.array([0.9, 0.8]), [mask, None]
    )
    found.add(np.array([0.0, 0.0, 0.25, 0.125]), 0.5, mask.T)
    return found


@pytest.mark.parametrize(
    ("quarters", "expected"),
    [
        (0, (0.125, 0.25, 0.5, 0.375)),
        (1, (0.25, 0.5, 0.375, 0.875)),
        (2, (0.5, 0.625, 0.875, 0.75)),
        (3, (0.625, 0.125, 0.75, 0.5)),
        (-1, (0.625, 0.125, 0.75, 0.5)),
        (5, (0.25, 0.5, 0.375, 0.875)),
    ],
)
def test_turned_box(quarters: int, expected: tuple[float, ...]) -> None:
    assert some().turned(quarters).boxes[0].tolist() == list(expected)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_boxes_and_masks_follow_the_picture(quarters: int) -> None:
    """A picture in which the instance is painted, turned, is the picture of the turned instance."""
    found = some()
    picture = np.zeros((16, 24), int)
    mask = found.masks[0]
    assert mask is not None
    picture[4:6, 3:12] = np.repeat(mask, 3, axis=1)
    turned = found.turned(quarters)
    expected = np.zeros_like(np.rot90(picture, quarters))
    height, width = expected.shape
    x1, y1, x2, y2 = (turned.boxes[0] * [width, height, width, height]).astype(int)
    grid = turned.masks[0]
    assert grid is not None
    repeats = ((y2 - y1) // grid.shape[0], (x2 - x1) // grid.shape[1])
    expected[y1:y2, x1:x2] = np.kron(grid, np.ones(repeats, int))
    assert np.array_equal(expected, np.rot90(picture, quarters))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, -1])
def test_turning_back_gives_the_same_instances(quarters: int) -> None:
    found, back = some(), some().turned(quarters).turned(-quarters)
    assert np.array_equal(back.boxes, found.boxes)
    assert np.array_equal(back.scores, found.scores)
    assert np.array_equal(back.filled, found.filled)
    for ours, theirs in zip(back.masks, found.masks, strict=True):
        assert np.array_equal(ours, theirs)  # type: ignore[arg-type]


def test_turned_keeps_the_failure() -> None:
    assert Instances(failed=True).turned(1).failed is True
    assert Instances(failed=True).turned(3).boxes.shape == (0, 4)
    assert Instances(failed=True, reason="no memory").turned(1).reason == "no memory"


GOOD, BAD, WORSE = Instances(), Instances(failed=True, reason="no memory"), Instances(failed=True, reason="NaN")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [(GOOD, GOOD, ""), (BAD, GOOD, "no memory"), (GOOD, BAD, "no memory"), (BAD, WORSE, "no memory")],
)
def test_what_is_joined_fails_with_either(first: Instances, second: Instances, reason: str) -> None:
    both = first.joined(second)
    assert (both.failed, both.reason) == (bool(reason), reason)


# ---- failures


@pytest.mark.parametrize(
    ("frames", "notes"),
    [
        ([], ()),
        ([GOOD, GOOD], ()),
        ([BAD, GOOD], ("detection failed on 1 frame, at 3.20 s, which is hidden whole: no memory",)),
        (
            [GOOD, WORSE, GOOD, BAD],
            ("detection failed on 2 frames, the first at 3.70 s, which are hidden whole: NaN",),
        ),
        (
            [BAD] * 1200,
            ("detection failed on 1,200 frames, the first at 3.20 s, which are hidden whole: no memory",),
        ),
    ],
)
def test_failures_of_a_video_are_one_line(frames: list[Instances], notes: tuple[str, ...]) -> None:
    failures = Failures()
    for k, frame in enumerate(frames):
        failures.add(3.2 + k / 2, frame)
    assert failures.notes() == notes
    assert failures.count == sum(frame.failed for frame in frames)


# ---- the shard


def random_mask(height: int, width: int) -> np.ndarray:
    mask = np.random.default_rng(height * 100 + width).random((height, width)) < 0.5
    mask[0, 0] = True  # an empty mask is no mask
    return mask


def detected() -> list[DetectedVideo]:
    masked = Instances.of(
        np.array([(0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.9, 0.8)]), np.array([0.9, 0.8]), [random_mask(5, 7), None]
    )
    masked.add(np.array([0.0, 0.0, 0.5, 0.5]), 0.7, random_mask(64, 33))
    return [
        DetectedVideo("a", "run", "train", np.array([0.0, 0.1, 0.2]), [Instances(), masked, Instances(failed=True)]),
        DetectedVideo("b", "walk", "test", np.array([5.0]), [Instances.of(box(0.25, 0.25, 0.5, 0.5), np.array([0.5]))]),
        DetectedVideo("c", "walk", "test", np.array([0.0]), [Instances()]),
    ]


def write(path: Path, videos: list[DetectedVideo] | None = None) -> Path:
    write_detections(path, detected() if videos is None else videos, [Quarantined("q", "detect", "bad")], PROVENANCE)
    return path


@pytest.mark.parametrize("position", [0, 1, 2])
def test_detections_come_back(tmp_path: Path, position: int) -> None:
    video = detected()[position]
    found = DetectionShard(write(tmp_path / "d.h5")).frames(video.id)
    assert len(found) == len(video.frames)
    for ours, theirs in zip(found, video.frames, strict=True):
        assert np.array_equal(ours.boxes, theirs.boxes)
        assert np.array_equal(ours.scores, theirs.scores)
        assert np.array_equal(ours.filled, theirs.filled)
        assert ours.failed is theirs.failed
        for mask, expected in zip(ours.masks, theirs.masks, strict=True):
            if expected is None:
                assert mask is None
            else:
                assert mask is not None
                assert mask.dtype == bool
                assert np.array_equal(mask, expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (3, 3), (8, 8), (7, 9), (64, 64), (256, 256)])
def test_mask_of_any_size_comes_back(tmp_path: Path, shape: tuple[int, int]) -> None:
    mask = random_mask(*shape)
    frame = Instances.of(box(0.1, 0.1, 0.9, 0.9), np.array([0.9]), [mask])
    write(tmp_path / "d.h5", [DetectedVideo("a", "", "", np.zeros(1), [frame])])
    (found,) = DetectionShard(tmp_path / "d.h5").frames("a")
    assert np.array_equal(found.masks[0], mask)  # type: ignore[arg-type]


def test_turned_mask_comes_back(tmp_path: Path) -> None:
    """A turned mask is a view whose memory lies in another order."""
    frame = some().turned(1)
    write(tmp_path / "d.h5", [DetectedVideo("a", "", "", np.zeros(1), [frame])])
    (found,) = DetectionShard(tmp_path / "d.h5").frames("a")
    assert np.array_equal(found.masks[0], frame.masks[0])  # type: ignore[arg-type]


def test_videos_times_and_quarantine_come_back(tmp_path: Path) -> None:
    shard = DetectionShard(write(tmp_path / "d.h5"))
    assert (shard.ids, shard.labels, shard.splits) == (
        ["a", "b", "c"],
        ["run", "walk", "walk"],
        ["train", "test", "test"],
    )
    assert [shard.times(video).tolist() for video in shard.ids] == [[0.0, 0.1, 0.2], [5.0], [0.0]]
    assert shard.quarantine == [Quarantined("q", "detect", "bad")]


def test_shard_without_videos(tmp_path: Path) -> None:
    shard = DetectionShard(write(tmp_path / "d.h5", []))
    assert (shard.ids, len(shard.quarantine)) == ([], 1)


def test_unknown_video(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"'q' is not in .*d\.h5 \(quarantined: bad\)"):
        DetectionShard(write(tmp_path / "d.h5")).frames("q")


def test_same_detections_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "1.h5").read_bytes() == write(tmp_path / "2.h5").read_bytes()


def test_layout_is_the_documented_one(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "d.h5")) as file:
        assert file.attrs["format"] == "acta-detections-2"
        assert file["frames/first"][:].tolist() == [0, 0, 3, 3, 4, 4]
        assert file["frames/failed"][:].tolist() == [False, False, True, False, False]
        assert file["instances/grid"][:].tolist() == [[5, 7], [0, 0], [64, 33], [0, 0]]
        assert file["instances/box"].dtype == np.float32
        assert file["instances/offsets"].shape == (5,)


def test_frame_shard_does_not_read_detections(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="holds 'acta-detections-2', but 'acta-frames-2' is needed here"):
        FrameShard(write(tmp_path / "d.h5"))


@pytest.mark.parametrize(
    "box", [[100, 50, 200, 150], [0, 0, 10.5, 1], [-10.5, 0, 1, 1], [0.5, 0.5, 0.2, 0.2], [np.nan, 0, 1, 1]]
)
def test_boxes_that_are_no_relative_corners_are_an_error(box: list[float]) -> None:
    with pytest.raises(ValueError, match="the detector gave"):
        Instances.of(np.array([box]), np.ones(1))


def test_an_empty_mask_counts_as_the_whole_box() -> None:
    found = Instances.of(np.array([[0.1, 0.1, 0.2, 0.2]]), np.ones(1), [np.zeros((4, 4), bool)])
    assert found.masks == [None]


def test_a_box_may_reach_far_beyond_the_frame() -> None:
    assert Instances.of(np.array([[-10, -9.9, 10, 9.9]]), np.ones(1)).boxes.tolist() == [[0, 0, 1, 1]]


def test_room_is_made_for_boxes_masks_and_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    create = instances_module.create_shard

    def asking(path: Path, form: str, provenance: Provenance, quarantine: list[Quarantined], room: float) -> Any:
        asked.append(room)
        return create(path, form, provenance, quarantine, room)

    monkeypatch.setattr(instances_module, "create_shard", asking)
    for count in (0, 1, 5):
        frames = [Instances.of(np.tile([[0, 0, 1, 1]], (count, 1)), np.ones(count)) for _ in range(3)]
        video = DetectedVideo("v", "", "", np.arange(3.0), frames)
        write_detections(tmp_path / f"{count}.h5", [video], [], PROVENANCE)
    assert np.diff(asked).tolist() == [40 * 3, 40 * 12]
    video = DetectedVideo("v", "", "", np.arange(4.0), [Instances() for _ in range(4)])
    write_detections(tmp_path / "more.h5", [video], [], PROVENANCE)
    assert asked[-1] - asked[0] >= 16


def test_mirroring_turns_boxes_and_masks_from_left_to_right() -> None:
    mask = np.array([[True, False, False, True, True], [False, True, False, False, False]])
    given = Instances.of(np.array([[0.1, 0.2, 0.4, 0.9], [0, 0, 1, 0.5]]), np.array([0.9, 0.8]), [mask, None])
    mirrored = given.mirrored()
    assert mirrored.boxes == pytest.approx(np.array([[0.6, 0.2, 0.9, 0.9], [0, 0, 1, 0.5]]))
    assert mirrored.masks[0] is not None
    assert mirrored.masks[0].tolist() == mask[:, [4, 3, 2, 1, 0]].tolist()
    assert mirrored.masks[1] is None
    assert mirrored.scores.tolist() == given.scores.tolist()

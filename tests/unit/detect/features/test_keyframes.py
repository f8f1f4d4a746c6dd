"""Which keyframes a video has, who is on them, and what becomes actors; clips around them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.detect_features import BoxSettings, KeyframeSettings
from pipeline.detect.annotation.people import People
from pipeline.detect.features.extract_actor_features import KeyframeClips, actors_of
from pipeline.detect.features.keyframes import KeyframeTable, TimedFrames
from pipeline.runtime.errors import ActaError, VideoError
from tests.clips import read_number
from tests.shards import numbered, stored, write_shard

NONE = KeyframeSettings(step=1.0, start=0.0, first=None, last=None)
FRAMES = np.arange(100) / 10  # ten seconds, the last frame at 9.9


def table(
    tmp_path: Path,
    boxes: dict[str, str] | None = None,
    proposals: dict[str, str] | None = None,
    settings: KeyframeSettings = NONE,
) -> KeyframeTable:
    (tmp_path / "labels.pbtxt").write_text('item { name: "stand" id: 1 }\nitem { name: "sit" id: 2 }')
    paths: dict[str, dict[str, Path]] = {"boxes": {}, "proposals": {}}
    for kind, files in (("boxes", boxes or {}), ("proposals", proposals or {})):
        for split, text in files.items():
            paths[kind][split] = tmp_path / f"{split}_{kind}.csv"
            paths[kind][split].write_text(text)
    return KeyframeTable(settings, tmp_path / "labels.pbtxt", paths["boxes"], paths["proposals"])


BOXES = {"train": "v,0002,0,0,.5,1,1\nv,5,0,0,1,1,2\nv,3\nw,1,0,0,1,1,1\n", "val": "v,7.25,0,0,1,1,1\n"}
PROPOSALS = {"train": "v,2,0,0,1,1,,.9\nv,4,0,0,1,1,,.8\nv,4,.5,0,1,1,,.7\n", "test": "u,3,0,0,1,1,,.6\n"}


@pytest.mark.parametrize(
    ("video", "split", "expected"),
    [
        ("v", "train", [2, 3, 4, 5]),
        ("v", "val", [7.25]),
        ("v", "train val", [2, 3, 4, 5, 7.25]),
        ("v", "test", []),
        ("u", "test", [3]),
        ("nobody", "train", []),
        ("v", "", []),
    ],
)
def test_keyframes_are_those_that_the_files_of_its_splits_name(tmp_path, video, split, expected):
    assert table(tmp_path, BOXES, PROPOSALS).times(video, split, FRAMES).tolist() == expected


@pytest.mark.parametrize(
    ("first", "last", "step", "expected"),
    [
        (0, 3, 1.0, [0, 1, 2, 3, 5]),
        (8, None, 1.0, [2, 3, 5, 8, 9]),
        (2, 4, 0.5, [2, 2.5, 3, 3.5, 4, 5]),
        (9.5, 100, 1.0, [2, 3, 5, 9.5]),
        (50, None, 1.0, [2, 3, 5]),
    ],
)
def test_regular_times_come_on_top_up_to_the_video_s_end(tmp_path, first, last, step, expected):
    found = table(tmp_path, BOXES, settings=KeyframeSettings(step=step, start=0.0, first=first, last=last))
    assert found.times("v", "train", FRAMES).tolist() == expected


def test_regular_times_do_not_fill_years(tmp_path):
    """A keyframe every second up to a stamp that is damaged would take all memory."""
    found = table(tmp_path, settings=KeyframeSettings(step=1.0, start=0.0, first=1.0, last=None))
    assert len(found.times("v", "train", np.array([0.0, 1.0, 621.0]))) == 621
    with pytest.raises(VideoError, match=r"^its time stamps cannot be right: 3 frames for 631 s, .* 10 s a frame are"):
        found.times("v", "train", np.array([0.0, 1.0, 632.0]))


def test_an_annotated_keyframe_beyond_the_end_condemns_the_video(tmp_path):
    found = table(tmp_path, {"train": "v,1,0,0,1,1,1\n", "val": "v,2,0,0,1,1,1\nv,0012,0,0,1,1,2\n"})
    with pytest.raises(VideoError, match=r"val_boxes.csv:2 annotates it at 12 s, but its frames are from 0 to 9.9 s"):
        found.times("v", "train val", FRAMES)
    assert found.times("v", "train", FRAMES).tolist() == [1], "the other split's file does not matter"
    with pytest.raises(VideoError, match=r"train_boxes.csv:1 annotates it at 1 s, but its frames are from 0 to 0 s"):
        found.times("v", "train", np.zeros(0))


def test_half_a_second_beyond_the_end_is_a_rounding(tmp_path):
    found = table(tmp_path, {"train": "v,10.4,0,0,1,1,1\n"})
    assert found.times("v", "train", FRAMES).tolist() == [10.4]
    with pytest.raises(VideoError, match=r"annotates it at 10.4 s"):
        found.times("v", "train", FRAMES[:-1])


def test_proposals_and_frames_without_boxes_beyond_the_end_are_left_out(tmp_path):
    found = table(tmp_path, {"train": "v,1,0,0,1,1,1\nv,50\n"}, {"train": "v,60,0,0,1,1,,1\n"})
    assert found.times("v", "train", FRAMES).tolist() == [1]


def test_before_the_first_frame(tmp_path):
    found = table(tmp_path, {"train": "v,1,0,0,1,1,1\n"})
    with pytest.raises(VideoError, match=r"annotates it at 1 s, but its frames are from 20 to 29.9 s"):
        found.times("v", "train", FRAMES + 20)


def test_people_and_proposals_of_the_first_split_that_has_some(tmp_path):
    found = table(tmp_path, BOXES, PROPOSALS)
    people = found.people("v", "train val", 2.0, 2)
    assert people.box.tolist() == [[0, 0, 0.5, 1]]
    assert people.actions.tolist() == [[True, False]]
    assert found.people("v", "train val", 7.25, 2).actions.tolist() == [[True, False]]
    for split, time in (("train", 7.25), ("train", 3.0), ("test", 2.0)):
        assert found.people("v", split, time, 2).actions.shape == (0, 2)
    box, score = found.proposed("v", "val train", 4.0)
    assert (box.tolist(), score.tolist()) == ([[0, 0, 1, 1], [0.5, 0, 1, 1]], [0.8, 0.7])
    assert found.proposed("v", "val", 4.0)[0].shape == (0, 4)
    assert found.has_proposals("train")
    assert not table(tmp_path, BOXES).has_proposals("train")


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(ActaError, match=r"val_boxes.csv:1: the action is not one of"):
        table(tmp_path, {"train": "", "val": "v,1,0,0,1,1,3\n"})
    with pytest.raises(ActaError, match=r"train_proposals.csv:1"):
        table(tmp_path, proposals={"train": "v,1,0,0,1,1,,7\n"})


# ---- which boxes become actors


def test_annotated_boxes_first_then_the_sure_ones_with_labels_by_overlap():
    people = People(np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]), np.array([[True, False], [True, True]]))
    box = np.array([[0.5, 0, 1, 0.95], [0, 0, 1, 1], [0, 0, 0.5, 1], [0, 0, 0.25, 1]], np.float32)
    score = np.array([0.9, 0.95, 0.89, 1.0], np.float32)
    found = actors_of(people, box, score, BoxSettings(score=0.9, iou=0.9))
    assert found.box == pytest.approx(np.array([*people.box, box[0], box[1], box[3]]))
    assert found.score == pytest.approx([1, 1, 0.9, 0.95, 1.0])
    assert found.annotated.tolist() == [True, True, False, False, False]
    assert found.actions.astype(int).tolist() == [[1, 0], [1, 1], [1, 1], [0, 0], [0, 0]]
    assert (found.box.dtype, found.score.dtype) == (np.float32, np.float32)


def test_nobody_at_all():
    nobody = People(np.zeros((0, 4)), np.zeros((0, 3), bool))
    found = actors_of(nobody, np.zeros((0, 4)), np.zeros(0), BoxSettings(score=0, iou=0.5))
    assert (found.box.shape, found.score.shape, found.actions.shape) == ((0, 4), (0,), (0, 3))


# ---- clips


@pytest.fixture
def shard(tmp_path) -> TimedFrames:
    """Twenty numbered frames at ten a second, from 3 s on."""
    return TimedFrames(write_shard(tmp_path / "0.h5", [stored(tmp_path / "s", "v", numbered(20), start=3.0)]), 0.0)


@pytest.mark.parametrize(
    ("time", "span", "rate", "expected"),
    [
        (4.0, 5, 10, [8, 9, 10, 11, 12]),
        (4.0, 4, 10, [8, 9, 10, 11]),
        (4.0, 5, 5, [6, 8, 10, 12, 14]),
        (3.0, 5, 10, [0, 0, 0, 1, 2]),
        (4.9, 5, 10, [17, 18, 19, 19, 19]),
        (5.3, 3, 10, [19, 19, 19]),
        (4.0, 5, 20, [9, 9, 10, 10, 11]),
        (4.0, 1, 25, [10]),
    ],
)
def test_a_clip_has_its_keyframe_in_the_middle_and_repeats_the_ends(shard, time, span, rate, expected):
    clip = shard.clip_around("v", time, span, rate)
    assert [read_number(frame.permute(1, 2, 0).numpy()) for frame in clip] == expected
    box = np.array([[0, 0, 1, 1]], np.float32)
    clips = KeyframeClips(shard, [("v", 3.5, box), ("v", time, box)], span, rate)
    assert len(clips) == 2
    assert clips[1][0].equal(clip)
    assert clips[1][1].tolist() == box.tolist()


def test_a_whole_film_where_cut_videos_are_expected(tmp_path):
    """AVA's second 902 would be read at the film's second 2; a cut video ends soon after its last keyframe."""
    settings = KeyframeSettings(step=1.0, start=900.0, first=None, last=None)
    found = table(tmp_path, {"train": "v,902,0,0,1,1,1\nv,1798,0,0,1,1,1\n"}, settings=settings)
    assert found.times("v", "train", 900 + np.arange(0.0, 901)).tolist() == [902, 1798]
    with pytest.raises(VideoError, match=r"it ends 6302 s after its last keyframe at 1798 s; .*`keyframes.start` to 0"):
        found.times("v", "train", 900 + np.arange(0.0, 7201))


def test_videos_that_were_cut_begin_later_in_the_annotations_time(tmp_path):
    """AVA's second 902 is the cut video's second 2."""
    shard = write_shard(tmp_path / "frames.h5", [stored(tmp_path / "jpegs", "v", numbered(30))])
    cut = TimedFrames(shard, 900.0)
    assert cut.times("v")[[0, -1]].tolist() == [900.0, pytest.approx(902.9)]
    assert read_number(cut.clip_at("v", [902.0])[0].permute(1, 2, 0).numpy()) == 20
    again = pickle.loads(pickle.dumps(cut))
    assert again.times("v")[0] == 900.0

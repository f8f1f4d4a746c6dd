"""Clips: which videos, which frames, which square; and the same cut for the student's and the teacher's frames."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.classify.video_clips import (
    Cut,
    TrainingClips,
    Videos,
    check_splits,
    cut_frames,
    find_classes,
    random_cut,
    resized,
    uniform_cuts,
)
from pipeline.config.classify import ClipSettings, ViewSettings
from pipeline.runtime.errors import ActaError
from tests.clips import read_number
from tests.shards import numbered, stored, write_shard

SIZE = (32, 64)
WHOLE = ViewSettings(size=SIZE, short_side=None, crop=32)
RANGE = ViewSettings(size=None, short_side=(40, 60), crop=32)


def settings(**changes) -> ClipSettings:
    values = {"frames": 4, "view": WHOLE, "train_clips": 3, "flip": False, "short_videos": "repeat"} | changes
    return ClipSettings(**values)


def shard(folder: Path, name: str = "a.h5", **videos) -> Path:
    """Videos by name: (number of frames, label, split, first number)."""
    parts = [
        stored(folder / "spooled" / name, video, numbered(count, first), label=label, split=split)
        for video, (count, label, split, first) in videos.items()
    ]
    return write_shard(folder / name, parts, code=name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return shard(
        tmp_path,
        x=(10, "run", "train", 0),
        y=(6, "walk", "train1 test2", 100),
        z=(3, "run", "test train1", 200),
    )


# ---- cuts


def test_resize_to_a_shorter_side() -> None:
    assert resized((240, 320), RANGE, 60) == (60, 80)
    assert resized((320, 240), RANGE, 60) == (80, 60)
    assert resized((50, 50), RANGE, 60) == (60, 60)
    assert resized((240, 320), WHOLE, 0) == SIZE


def test_random_cuts_reach_every_time_place_and_scale() -> None:
    generator = np.random.default_rng(0)
    cuts = [random_cut(generator, 10, (90, 120), settings(view=RANGE, flip=True)) for _ in range(2000)]
    assert Counter(cut.start for cut in cuts).keys() == set(range(7))
    assert {cut.height for cut in cuts} == set(range(40, 61))
    assert {cut.flip for cut in cuts} == {False, True}
    assert all(0 <= cut.top <= cut.height - 32 and 0 <= cut.left <= cut.width - 32 for cut in cuts)
    assert {0} < {cut.top for cut in cuts}
    assert max(cut.left - (cut.width - 32) for cut in cuts) == 0


def test_a_short_video_starts_at_its_beginning() -> None:
    assert {random_cut(np.random.default_rng(k), 3, SIZE, settings()).start for k in range(20)} == {0}


def test_test_clips_are_uniform_and_central() -> None:
    cuts = uniform_cuts(300, (240, 320), 16, 10, ViewSettings(size=(128, 171), short_side=None, crop=112))
    assert [cut.start for cut in cuts] == [0, 32, 63, 95, 126, 158, 189, 221, 252, 284]
    assert {cut[1:] for cut in cuts} == {(128, 171, 8, 29, 112, False)}


def test_test_view_of_a_range_is_its_lowest() -> None:
    view = ViewSettings(size=None, short_side=(256, 320), crop=224).test
    assert (view.short_side, view.crop) == ((256, 256), 256)
    assert WHOLE.test is WHOLE


def test_test_clips_that_coincide_are_cut_once() -> None:
    assert [cut.start for cut in uniform_cuts(6, SIZE, 4, 10, WHOLE)] == [0, 1, 2]
    assert [cut.start for cut in uniform_cuts(3, SIZE, 4, 10, WHOLE)] == [0]


def test_cut_frames_takes_the_square_and_mirrors() -> None:
    frames = torch.arange(3 * 4 * 6, dtype=torch.uint8).view(1, 3, 4, 6)
    square = cut_frames(frames, Cut(0, 4, 6, 1, 2, 3, False))
    assert torch.equal(square, frames[..., 1:4, 2:5])
    assert torch.equal(cut_frames(frames, Cut(0, 4, 6, 1, 2, 3, True)), square.flip(-1))


# ---- videos


def test_videos_of_a_split(path: Path) -> None:
    assert [(e.id, e.label, e.frames) for e in Videos([path], "train", ["run"]).entries] == [("x", 0, 10)]
    both = Videos([path], "train1", ["walk", "run"]).entries
    assert [(e.id, e.label) for e in both] == [("y", 0), ("z", 1)]


def test_a_label_that_is_no_class(path: Path) -> None:
    with pytest.raises(
        ActaError, match="video 'y' of split 'train1' has the label 'walk', which is not among the 1 class"
    ):
        Videos([path], "train1", ["run"])


def test_a_clip_shows_the_frames_asked_for(path: Path) -> None:
    videos = Videos([path], "train", ["run"])
    clip = videos.clip(videos.entries[0], Cut(3, *SIZE, 0, 0, 32, False), [0, 2, 5])
    assert clip.shape == (3, 3, 32, 32)
    whole = videos.shards[0].clip("x")
    assert torch.equal(clip, whole[[3, 5, 8], :, :, :32])


def test_beyond_the_end_the_last_frame_stays(path: Path) -> None:
    videos = Videos([path], "test", ["run"])
    clip = videos.clip(videos.entries[0], Cut(0, *SIZE, 0, 0, 32, False), [0, 1, 2, 3])
    assert torch.equal(clip[3], clip[2])


# ---- training


def test_each_video_gives_three_clips_that_depend_on_epoch_and_number_only(path: Path) -> None:
    videos = Videos([path], "train", ["run"])
    clips = TrainingClips(videos, None, settings(), [0, 1, 2, 3], 7)
    again = TrainingClips(Videos([path], "train", ["run"]), None, settings(), [0, 1, 2, 3], 7)
    assert len(clips) == 3
    keys = [(epoch, number) for epoch in range(4) for number in range(3)]
    items = {key: clips[key]["student"] for key in keys}
    assert all(torch.equal(again[key]["student"], items[key]) for key in reversed(keys))
    assert len({item.numpy().tobytes() for item in items.values()}) > 8
    other = TrainingClips(videos, None, settings(), [0, 1, 2, 3], 8)
    assert any(not torch.equal(other[key]["student"], items[key]) for key in keys)


def test_the_teacher_s_clip_is_cut_like_the_student_s(tmp_path: Path) -> None:
    """The teacher's frames carry the student's numbers plus 100 and lie in another order in two shards."""
    ours = shard(tmp_path, "a.h5", x=(40, "run", "train", 0), y=(40, "walk", "train", 50))
    theirs = [
        shard(tmp_path, "b.h5", y=(40, "walk", "train", 150)),
        shard(tmp_path, "c.h5", x=(40, "run", "train", 100)),
    ]
    # The whole width, so that the numbers can be read; the square's place is compared below.
    view = ViewSettings(size=(64, 64), short_side=None, crop=64)
    classes = ["run", "walk"]
    student, teacher = Videos([ours], "train", classes), Videos(theirs, "train", classes)
    clips = TrainingClips(student, teacher, settings(view=view), [0, 2, 3], 1)
    starts = set()
    for number in range(len(clips)):
        item = clips[0, number]
        numbers = [
            [read_number(frame.permute(1, 2, 0).numpy()[::2]) for frame in item[side]]
            for side in ("student", "teacher")
        ]
        assert [n + 100 for n in numbers[0]] == numbers[1]
        assert [n - numbers[0][0] for n in numbers[0]] == [0, 2, 3]
        starts.add(numbers[0][0])
    assert len(starts) > 3


def test_the_teacher_s_square_is_the_student_s(tmp_path: Path) -> None:
    """One picture in both variants, but the student's is inverted: so must the clips be, mirrored and scaled alike."""
    random = np.random.default_rng(0)
    picture = np.kron(random.integers(0, 2, (6, 8, 3)) * 180 + 40, np.ones((10, 10, 1))).astype(np.uint8)
    paths = [
        write_shard(tmp_path / f"{n}.h5", [stored(tmp_path / n, "x", [image] * 8)], code=n)
        for n, image in (("plain", picture), ("inverted", 255 - picture))
    ]
    teacher, student = (Videos([path], "train", ["run"]) for path in paths)
    clips = TrainingClips(student, teacher, settings(view=RANGE, flip=True), [0, 1], 1)
    for epoch in range(8):
        item = clips[epoch, 0]
        difference = (item["student"].int() + item["teacher"].int() - 255).abs().float().mean()
        assert difference < 8, "JPEG and rounding alone"


def test_self_distillation_reads_a_clip_once(path: Path) -> None:
    videos = Videos([path], "train", ["run"])
    item = TrainingClips(videos, videos, settings(), [0], 1)[0, 0]
    assert item["teacher"] is item["student"]


def test_a_teacher_that_misses_a_video(tmp_path: Path) -> None:
    ours = Videos([shard(tmp_path, "a.h5", x=(8, "run", "train", 0), y=(8, "run", "train", 9))], "train", ["run"])
    theirs = Videos([shard(tmp_path, "b.h5", x=(8, "run", "train", 0))], "train", ["run"])
    with pytest.raises(ActaError, match=r"video 'y' of .*a.h5 is not among the frames that the teacher sees"):
        TrainingClips(ours, theirs, settings(), [0], 1)


def test_a_teacher_with_other_frames(tmp_path: Path) -> None:
    ours = Videos([shard(tmp_path, "a.h5", x=(8, "run", "train", 0))], "train", ["run"])
    theirs = Videos([shard(tmp_path, "b.h5", x=(9, "run", "train", 0))], "train", ["run"])
    with pytest.raises(ActaError, match=r"video 'x' has other frames in .*a.h5 than in .*b.h5"):
        TrainingClips(ours, theirs, settings(), [0], 1)


def test_short_videos_can_be_dropped(path: Path) -> None:
    videos = Videos([path], "train1", ["run", "walk"])
    assert len(TrainingClips(videos, None, settings(), [0], 1)) == 6
    assert [e.id for e in TrainingClips(videos, None, settings(short_videos="drop"), [0], 1).entries] == ["y"]


# ---- classes and splits


def test_a_video_in_both_splits(path: Path) -> None:
    check_splits([path], "train", "test")
    with pytest.raises(ActaError, match="video 'z' is in both splits, 'train1' and 'test'"):
        check_splits([path], "train1", "test")


def test_classes_are_the_training_labels_or_those_of_a_file(path: Path, tmp_path: Path) -> None:
    assert find_classes([path], "train1", None) == ["run", "walk"]
    (tmp_path / "classes.txt").write_text("walk\nrun\n\n")
    assert find_classes([path], "train1", str(tmp_path / "classes.txt")) == ["walk", "run"]


@pytest.mark.parametrize(
    ("text", "split", "message"),
    [
        (None, "train", r"split 'train' has the classes \['run'\]; two are needed at least"),
        (None, "nowhere", r"split 'nowhere' has the classes \[\]"),
        ("run\nrun\n", "train1", r"classes.txt, line 2: the class 'run' is there already \(line 1\)"),
        ("run\njump\n", "train1", "class 'jump' of .*classes.txt has no video in split 'train1'"),
    ],
)
def test_bad_classes(path: Path, tmp_path: Path, text: str | None, split: str, message: str) -> None:
    file = None
    if text is not None:
        file = str(tmp_path / "classes.txt")
        Path(file).write_text(text)
    with pytest.raises(ActaError, match=message):
        find_classes([path], split, file)


def test_a_class_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(ActaError, match=r"cannot read classify.classes no.txt: No such file"):
        find_classes([path], "train1", "no.txt")

"""Annotated people, who gets which labels, boxes with names, and the videos that such files name."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.detect import DetectionDataSettings
from pipeline.data.adapters import list_annotated
from pipeline.detect.annotation.people import Annotation, People, label_detected, overlaps
from pipeline.detect.features.train_detector import read_named_boxes
from pipeline.runtime.errors import ActaError

LABELS = 'item { name: "stand" id: 1 }\nitem { name: "sit" id: 3 }\nitem { name: "talk" id: 20 }\n'
ROWS = """v,0902,0.5,0.1,0.9,0.8,20
v,0902,0.1,0.2,0.3,0.4,1
w,0902,0,0,1,1,1
v,0902,0.5,0.1,0.9,0.8,3
v,0903.5,-0.01,0,1.015,1,3,7
v,0904
"""


def annotation(tmp_path: Path, rows: str = ROWS) -> Annotation:
    (tmp_path / "labels.pbtxt").write_text(LABELS)
    (tmp_path / "boxes.csv").write_text(rows)
    return Annotation(tmp_path / "boxes.csv", tmp_path / "labels.pbtxt")


def test_rows_of_one_box_are_one_person_in_the_order_of_the_file(tmp_path):
    found = annotation(tmp_path)
    assert (found.actions, found.numbers) == (["stand", "sit", "talk"], [1, 3, 20])
    people = found.people("v", 902.0)
    assert people.box.tolist() == [[0.5, 0.1, 0.9, 0.8], [0.1, 0.2, 0.3, 0.4]]
    assert people.actions.tolist() == [[False, True, True], [True, False, False]]
    assert found.people("w", 902.0).box.tolist() == [[0, 0, 1, 1]]


def test_a_box_a_little_outside_ends_at_the_edge(tmp_path):
    assert annotation(tmp_path).people("v", 903.5).box.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(("video", "time"), [("v", 904.0), ("v", 902.5), ("w", 903.5), ("nobody", 902.0)])
def test_frames_without_boxes(tmp_path, video, time):
    found = annotation(tmp_path)
    people = found.people(video, time)
    assert (people.box.shape, people.actions.shape) == ((0, 4), (0, 3))
    assert found.line_of(video, time) == 0


def test_times_and_lines(tmp_path):
    found = annotation(tmp_path)
    assert found.times("v").tolist() == [902, 903.5, 904]
    assert found.times("nobody").tolist() == []
    assert [found.line_of("v", 902), found.line_of("v", 903.5), found.line_of("w", 902)] == [1, 5, 3]


def test_a_file_without_rows(tmp_path):
    found = annotation(tmp_path, "")
    assert found.times("v").tolist() == []
    assert found.people("v", 902).actions.shape == (0, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,2,0,0,1,1,2", r"boxes.csv:3: the action is not one of .*labels.pbtxt \(action 2, box "),
        ("v,2,0,0,1,1,80", r"boxes.csv:3: the action is not one of"),
        ("v,2,0,0,1,1.03,1", r"boxes.csv:3: the box is not in \[0, 1\] of the picture \(action 1, .*1.03\]\)"),
        ("v,2,10,20,110,220,1", r"boxes.csv:3: the box is not in \[0, 1\]"),
        ("v,2,-0.03,0,1,1,1", r"boxes.csv:3: the box is not in \[0, 1\]"),
        ("v,2,0.5,0,0.5,1,1", "boxes.csv:3: the box has no area"),
        ("v,2,0,0.6,1,0.5,1", "boxes.csv:3: the box has no area"),
        ("v,2,1.0,0,1.01,1,1", "boxes.csv:3: the box has no area in the picture"),
        ("v,2,0,0,1,one,1", "boxes.csv:3: y2 is 'one', not a number"),
    ],
)
def test_rows_that_cannot_be(tmp_path, row, message):
    with pytest.raises(ActaError, match=message):
        annotation(tmp_path, f"v,1,0,0,1,1,1\nv,1\n{row}\nv,3,0,0,1,1,1\n")


# ---- labels of detected boxes

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
TWO = People(np.array([LEFT, RIGHT]), np.array([[True, False, True], [False, True, False]]))
NOBODY = People(np.zeros((0, 4)), np.zeros((0, 3), bool))


@pytest.mark.parametrize(
    ("box", "iou", "expected"),
    [
        (LEFT, 1.0, [1, 0, 1]),
        ([0, 0, 1, 1], 0.5, [1, 1, 1]),  # half of it is each of them: the labels of both
        ([0, 0, 1, 1], 0.501, [0, 0, 0]),
        ([0, 0, 0.25, 1], 0.5, [1, 0, 1]),  # exactly one half
        ([0, 0, 0.2499, 1], 0.5, [0, 0, 0]),
        ([0.25, 0, 0.75, 1], 1 / 3, [1, 1, 1]),  # a quarter of the picture out of three
        ([0.25, 0, 0.75, 1], 0.334, [0, 0, 0]),
    ],
)
def test_labels_pass_from_the_threshold_on(box, iou, expected):
    assert label_detected(np.array([box], np.float32), TWO, iou).tolist() == [[bool(e) for e in expected]]


def test_each_box_gets_its_own_labels():
    found = label_detected(np.array([RIGHT, [0, 0, 0.1, 0.1], LEFT]), TWO, 0.9)
    assert found.astype(int).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]


def test_without_people_or_boxes_there_are_no_labels():
    assert label_detected(np.array([LEFT]), NOBODY, 0.5).tolist() == [[False] * 3]
    assert label_detected(np.zeros((0, 4)), TWO, 0.5).shape == (0, 3)


def test_overlaps_by_hand():
    found = overlaps(np.array([LEFT, [0, 0, 1, 0.5]]), np.array([LEFT, RIGHT, [0, 0, 0.5, 0.5]]))
    assert found == pytest.approx(np.array([[1, 0, 1 / 2], [1 / 3, 1 / 3, 1 / 2]]))
    assert overlaps(np.zeros((0, 4), np.float32), np.array([LEFT])).shape == (0, 1)


# ---- boxes with names


def named(tmp_path: Path, text: str) -> Path:
    (tmp_path / "named.csv").write_bytes(text.encode("latin1"))
    return tmp_path / "named.csv"


def test_named_boxes(tmp_path):
    path = named(tmp_path, 'v,0902,0,0,.5,1,person\n\n"a,b",1.5,0,0,1,1,lamp\nv,902.0,.1,.1,.2,.2,lamp\n')
    found = read_named_boxes(path, ["person", "lamp"])
    assert list(found) == [("v", 902_000_000), ("a,b", 1_500_000)]
    box, kind = found["v", 902_000_000]
    assert (box.tolist(), kind.tolist()) == ([[0, 0, 0.5, 1], [0.1, 0.1, 0.2, 0.2]], [0, 1])


@pytest.mark.parametrize(
    "row",
    [
        "v,1,0,0,1,1,cat",
        "v,1,0,0,1,1",
        "v,1,0,0,1,1,lamp,1",
        "v,soon,0,0,1,1,lamp",
        "v,inf,0,0,1,1,lamp",
        "v,nan,0,0,1,1,lamp",
        ",1,0,0,1,1,lamp",
        "v,1,.5,0,.5,1,lamp",
        "v,1,0,.6,1,.5,lamp",
        "v,1,0,0,1,1.01,lamp",
        "v,1,-.01,0,1,1,lamp",
        "v,1,0,0,nan,1,lamp",
        "v,1,10,10,100,200,lamp",
    ],
)
def test_named_boxes_that_cannot_be(tmp_path, row):
    path = named(tmp_path, f"v,1,0,0,1,1,person\n\n{row}\n")
    with pytest.raises(ActaError, match=f"named.csv:3: '{row}' is not video.*one of the classes person, lamp"):
        read_named_boxes(path, ["person", "lamp"])


def test_named_boxes_that_cannot_be_read(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read .*none.csv"):
        read_named_boxes(tmp_path / "none.csv", ["person"])
    with pytest.raises(ActaError, match=r"named.csv, line 1: byte 0xe9 is not UTF-8; save the file as UTF-8"):
        read_named_boxes(named(tmp_path, "v\xe9,1,0,0,1,1,person\n"), ["person"])


# ---- the videos of such files


def videos_of(tmp_path: Path, root: Path | None, proposals: dict[str, str]) -> DetectionDataSettings:
    (tmp_path / "train.csv").write_text('one,902,0,0,1,1,1\none,903,0,0,1,1,1\n\n"a,b",902\n')
    (tmp_path / "val.csv").write_text("two,902,0,0,1,1,1\n")
    for split, text in proposals.items():
        (tmp_path / f"{split}_people.csv").write_text(text)
    return DetectionDataSettings(
        adapter="ava",
        root=None if root is None else str(root),
        label_map="unused",
        evaluated=None,
        boxes={split: str(tmp_path / f"{split}.csv") for split in ("train", "val")},
        excluded={},
        proposals={split: str(tmp_path / f"{split}_people.csv") for split in proposals},
        shards=1,
        max_bad_fraction=0,
    )


def test_videos_that_the_files_name_with_the_splits_that_do(tmp_path):
    """Proposals name videos only where there is no annotation, as on AVA's test split."""
    proposals = {"val": "unknown,902,0,0,1,1,,0.9\n", "test": "three,902,0,0,1,1,,0.9\ntwo,1,0,0,1,1,,0.9\n"}
    found = list(list_annotated(videos_of(tmp_path, None, proposals)))
    assert [(v.id, v.split, v.size) for v in found] == [
        ("one", "train", 0),
        ("a,b", "train", 0),
        ("two", "val test", 0),
        ("three", "test", 0),
    ]


def test_videos_are_found_by_their_stem_and_missing_ones_say_who_names_them(tmp_path):
    root = tmp_path / "videos"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "one.mkv").write_bytes(b"abc")
    (root / "one.txt").write_bytes(b"no video")
    (root / "a,b.mp4").write_bytes(b"abcd")
    one, two, other = sorted(list_annotated(videos_of(tmp_path, root, {})), key=lambda v: (v.id == "a,b", v.id))
    assert (one.path, one.size, one.split) == ("deep/one.mkv", 3, "train")
    assert (two.path, two.size) == (f"two (named by {tmp_path}/val.csv:1)", -1)
    assert (other.path, other.size) == ("a,b.mp4", 4)


def test_videos_of_what_is_not_there(tmp_path):
    with pytest.raises(ActaError, match=r"detect.data.root '.*nowhere' is not a folder"):
        list(list_annotated(videos_of(tmp_path, tmp_path / "nowhere", {})))
    settings = videos_of(tmp_path, None, {})
    (tmp_path / "val.csv").unlink()
    with pytest.raises(ActaError, match=r"cannot read .*val.csv: No such file"):
        list(list_annotated(settings))


def test_a_video_of_two_splits_is_refused(tmp_path):
    """Its tested keyframes would be trained on. One file for two splits is meant: both steer and report, say."""
    settings = videos_of(tmp_path, None, {})
    (tmp_path / "val.csv").write_text("two,902\none,950,0,0,1,1,1\n")
    with pytest.raises(ActaError, match=r"val.csv:2 names 'one', which .*train.csv:1 names too"):
        list(list_annotated(settings))
    boxes = {"train": settings.boxes["train"], "val": settings.boxes["train"]}
    same = settings.model_copy(update={"boxes": boxes})
    assert [video.split for video in list_annotated(same)] == ["train val", "train val"]


def test_videos_in_folders_of_their_class(tmp_path):
    """J-HMDB-21's and UCF101-24's names have a slash; a name that two files could be is refused."""
    settings = videos_of(tmp_path, tmp_path / "videos", {})
    (tmp_path / "train.csv").write_text("run/one,0.0,0,0,1,1,1\n")
    (tmp_path / "val.csv").write_text("two,0.0,0,0,1,1,1\n")
    for name in ("run/one.avi", "walk/one.avi", "walk/two.avi"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_bytes(b"abc")
    found = {video.id: video.path for video in list_annotated(settings)}
    assert found == {"run/one": "run/one.avi", "two": "walk/two.avi"}
    (tmp_path / "videos" / "run" / "two.avi").write_bytes(b"abc")
    with pytest.raises(ActaError, match=r"has two videos for 'two'"):
        list(list_annotated(settings))


@pytest.mark.parametrize("name", ["../secret/one", "/secret/one", "run/../../one"])
@pytest.mark.parametrize("rooted", [True, False])
def test_a_name_that_leads_out_of_the_root_is_refused(tmp_path, name, rooted):
    (tmp_path / "videos").mkdir()
    settings = videos_of(tmp_path, tmp_path / "videos" if rooted else None, {"test": f"three,1\n{name},902\n"})
    said = f"{name!r} leads out of the data set's folder; a name is below it and has no '..'"
    with pytest.raises(ActaError, match=re.escape(f"{tmp_path}/test_people.csv:2: {said}")):
        list(list_annotated(settings))
    (tmp_path / "train.csv").write_text(f"one,1\n\n{name},902\n")
    with pytest.raises(ActaError, match=re.escape(f"{tmp_path}/train.csv:3: {said}")):
        list(list_annotated(settings))
    pickled = tmp_path / "people.pkl"
    pickled.write_bytes(pickle.dumps({"one,1": np.zeros((0, 5)), f"{name},1": np.zeros((0, 5))}, protocol=4))
    settings = settings.model_copy(update={"boxes": {}, "proposals": {"test": str(pickled)}})
    with pytest.raises(ActaError, match=re.escape(f"{pickled}: {said}")):
        list(list_annotated(settings))


def test_of_two_videos_the_one_that_is_whole_is_taken(tmp_path, capsys):
    settings = videos_of(tmp_path, tmp_path / "videos", {})
    for name in ("a/one.avi", "b/one.mkv", "two.mkv"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).write_bytes(b"" if name == "a/one.avi" else b"abc")
    assert {video.id: video.path for video in list_annotated(settings)}["one"] == "b/one.mkv"
    assert "more than once: 1;" in capsys.readouterr().err

"""UCF101-24 as files like AVA's: from the corrected annotations, from tubes, and what is refused."""

import pickle
import re

import numpy as np
import pytest

from pipeline.detect.annotation.ava import read_label_map
from pipeline.detect.annotation.single_label import convert_annotations
from pipeline.runtime.errors import ActaError
from tests.unit.detect.annotation.made import corrected, doubled, rows_of, tube


def test_corrected_annotations(ucf, tmp_path):
    counts = convert_annotations("ucf101_24", ucf, tmp_path / "out")
    assert counts == {
        "classes": 2,
        "parts": {
            "train1": {"videos": 1, "frames": 3, "tubes": 2, "boxes": 4},
            "test1": {"videos": 1, "frames": 2, "tubes": 1, "boxes": 1},
        },
        "left_out": ["Skiing/v_gone"],
    }
    left, right = (
        ["0.621875", "0.500000", "1.000000", "1.000000", "2", "0"],
        ["0.500000", "0.000000", "0.753125", "1.000000", "2", "1"],
    )
    assert rows_of(tmp_path / "out" / "train1.csv") == [
        ["Skiing/v_2", "0.000000", *left],
        ["Skiing/v_2", "0.040000", *left],
        ["Skiing/v_2", "0.040000", *right],
        ["Skiing/v_2", "0.080000", *right],
    ]
    assert rows_of(tmp_path / "out" / "test1.csv") == [
        ["Biking/v_1", "0.000000"],
        ["Biking/v_1", "0.040000", "0.000000", "0.000000", "0.253125", "0.254167", "1", "0"],
    ]


def test_tubes_say_the_same_as_corrected_annotations(ucf, tmp_path):
    content = corrected()
    tubes = {
        name: {
            video["label"]: [
                np.array([[n, x - 1, y - 1, x + w - 1, y + h - 1] for n, (x, y, w, h) in enumerate(boxes, start + 1)])
                for start, boxes in ((its["sf"], its["boxes"].astype(int)) for its in video["annotations"])
            ]
        }
        for name, video in content.items()
    }
    pickled = {
        "labels": ["Biking", "Skiing"],
        "gttubes": tubes,
        "nframes": {name: int(video["numf"]) for name, video in content.items()},
        "resolution": dict.fromkeys(content, (240, 320)),
        "train_videos": [["Skiing/v_2"]],
        "test_videos": [["Biking/v_1"]],
    }
    (tmp_path / "UCF101v2-GT.pkl").write_bytes(pickle.dumps(pickled, protocol=2))
    convert_annotations("ucf101_24", tmp_path, tmp_path / "tubes")
    convert_annotations("ucf101_24", ucf, tmp_path / "corrected")
    for path in (tmp_path / "corrected").iterdir():
        assert path.read_text() == (tmp_path / "tubes" / path.name).read_text()


def broken(**changes: object) -> dict[str, dict]:
    content = corrected()
    content["Biking/v_1"] = content["Biking/v_1"] | changes
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no dict of annotated videos"),
        ({"v_1": {}}, "'v_1' is not <class>/<video>"),
        ({"Biking/v_1": {"numf": 1}}, "'Biking/v_1' cannot be read: KeyError: 'label'"),
        (broken(annotations=[]), "'Biking/v_1' has no annotation"),
        (broken(numf=10**12), "'Biking/v_1' has 1000000000000 frames; a video has 1 to 1,000,000"),
        (broken(numf=float("inf")), "'Biking/v_1' cannot be read: OverflowError"),
        ({"Biking/v_1": doubled(40)}, "it unfolds to far more values than it holds"),
        (broken(annotations=[tube(0, [[1, 1, 9, 9]], 1)]), "is of class 0, but has a tube of class 1"),
        (broken(annotations=[tube(0, [[1, 1, 9, 9]], 0) | {"ef": 2}]), "has 1 boxes for frames 0 to 2"),
        (
            broken(annotations=[tube(0, [[1, 1, 9, 9]] * 3, 0)]),
            "frames 1 to 3 of a tube, counted from 1, are not numbers of the video's 2 that ascend",
        ),
        (broken(annotations=[tube(0, [[250, 1, 100, 9]], 0)]), "is empty, inside out or outside 320 × 240 pixels"),
        ({**corrected(), "Skiing/v_9": corrected()["Skiing/v_2"]}, "'Skiing/v_9' and 0 more are in neither list"),
    ],
)
def test_corrected_annotations_that_are_refused(ucf, tmp_path, content, message):
    (ucf / "pyannot.pkl").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ActaError, match=re.escape(message)):
        convert_annotations("ucf101_24", ucf, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "trainlist01.txt").unlink(), "cannot read .*trainlist01.txt: No such file"),
        (
            lambda f: (f / "testlist01.txt").write_text("v_1.avi\n"),
            "testlist01.txt, line 1: 'v_1.avi' is not <class>/<file>",
        ),
        (
            lambda f: (f / "testlist01.txt").write_text("../Biking/v_1.avi\n"),
            "testlist01.txt, line 1: '../Biking/v_1.avi' leads out of the data set's folder",
        ),
        (
            lambda f: (f / "testlist01.txt").write_text("Skiing/v_2\nBiking/v_1"),
            "'Skiing/v_2' is in train1 and in test1",
        ),
        (lambda f: (f / "testlist01.txt").write_text(""), "test1 has no videos"),
        (lambda f: (f / "pyannot.pkl").write_bytes(b"no"), "pyannot.pkl"),
        (lambda f: (f / "pyannot.pkl").unlink(), "neither pyannot.pkl nor UCF101v2-GT.pkl"),
    ],
)
def test_lists_that_are_refused(ucf, tmp_path, change, message):
    change(ucf)
    with pytest.raises(ActaError, match=message):
        convert_annotations("ucf101_24", ucf, tmp_path / "out")


def test_lists_with_spaces_in_names(ucf, tmp_path):
    content = {name.replace("Biking/v_1", "Biking fast/v 1"): its for name, its in corrected().items()}
    (ucf / "pyannot.pkl").write_bytes(pickle.dumps(content, protocol=4))
    (ucf / "testlist01.txt").write_bytes("\ufeffBiking fast/v 1.avi\r\n".encode())
    convert_annotations("ucf101_24", ucf, tmp_path / "out")
    assert read_label_map(tmp_path / "out" / "label_map.pbtxt").names == {1: "Biking fast", 2: "Skiing"}
    assert {row[0] for row in rows_of(tmp_path / "out" / "test1.csv")} == {"Biking fast/v 1"}


def test_names_that_no_table_can_have(ucf, tmp_path):
    content = {name.replace("Biking", "Bi\x1bking"): its for name, its in corrected().items()}
    (ucf / "pyannot.pkl").write_bytes(pickle.dumps(content, protocol=4))
    (ucf / "testlist01.txt").write_text("Bi\x1bking/v_1.avi\n")
    with pytest.raises(ActaError, match=r"has the name 'Bi\\x1bking(/v_1)?', which cannot be written into a table"):
        convert_annotations("ucf101_24", ucf, tmp_path / "out")

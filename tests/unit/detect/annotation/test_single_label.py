"""J-HMDB-21 and UCF101-24 as files like AVA's: both forms of each say the same, and what is refused."""

import json
import pickle
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.detect.annotation import matlab
from pipeline.detect.annotation.ava import read_label_map, read_rows
from pipeline.detect.annotation.single_label import RATES, convert_annotations
from pipeline.detect.annotation.tubes import read_tubes
from pipeline.runtime.errors import ActaError


def rows_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def all_with(tube: object) -> dict[str, dict]:
    """Every clip's tubes: one of class 0."""
    return {name: {0: [np.array(tube, np.float32)]} for name in CLIPS}


SHARED = np.zeros((1000, 5), np.uint8)


def doubled(times: int) -> list:
    """A list that is small in a pickle and has 2 ** times values if it is written out."""
    value = [1.0, 2.0]
    for _ in range(times - 1):
        value = [value, value]
    return value


def endless() -> dict:
    value: dict = {}
    value["wave/a"] = value
    return value


# ---- J-HMDB-21

# Of each video the rectangles (x1, y1, x2, y2 in pixels, x2 and y2 the first outside) by frame; None: nobody is there.
CLIPS = {
    "wave/a": [(0, 0, 4, 3), (1, 0, 4, 2), None],
    "wave/b, c": [(7, 5, 8, 6)],
    "catch/d": [(2, 2, 3, 6), None],
    "catch/e": [(0, 0, 8, 6)],
}
SPLITS = {
    "wave_test_split1.txt": "a.avi 1\nb, c.avi 2\n",
    "wave_test_split2.txt": "a.avi 2\nb, c.avi 1\n\n",
    "catch_test_split1.txt": "e.avi 1\nd.avi 2\n",
    "catch_test_split2.txt": "d.avi 1\ne.avi 0\n",
}
WIDTH, HEIGHT = 8, 6


@pytest.fixture
def jhmdb(tmp_path) -> Path:
    """Masks and splits, which scipy writes as MATLAB does: a last dimension of 1 is dropped."""
    from scipy.io import savemat

    folder = tmp_path / "jhmdb"
    for name, frames in CLIPS.items():
        mask = np.zeros((HEIGHT, WIDTH, len(frames)), np.uint8)
        for number, box in enumerate(frames):
            if box:
                x1, y1, x2, y2 = box
                mask[y1, x1:x2, number] = 1  # an L is bounded by the same rectangle as all of it
                mask[y1:y2, x1, number] = 1
        (folder / "puppet_mask" / name).mkdir(parents=True)
        squeezed = mask[:, :, 0] if mask.shape[2] == 1 else mask
        savemat(folder / "puppet_mask" / name / "puppet_mask.mat", {"part_mask": squeezed})
    (folder / "splits").mkdir()
    for name, text in SPLITS.items():
        (folder / "splits" / name).write_text(text)
    return folder


def as_tubes(clips: dict[str, list], **changes: object) -> dict[str, object]:
    """The same as the action-tubelet detector's pickle: frames from 1, corners included."""
    labels = ["catch", "wave"]
    tubes = {
        name: {
            labels.index(name.split("/")[0]): [
                np.array([[n, b[0], b[1], b[2] - 1, b[3] - 1] for n, b in enumerate(frames, 1) if b], np.float32)
            ]
        }
        for name, frames in clips.items()
    }
    return {
        "labels": labels,
        "gttubes": tubes,
        "nframes": {name: len(frames) for name, frames in clips.items()},
        "resolution": dict.fromkeys(clips, (HEIGHT, WIDTH)),
        "train_videos": [["wave/a", "catch/e"], ["wave/b, c", "catch/d"]],
        "test_videos": [["wave/b, c", "catch/d"], ["wave/a"]],
    } | changes


def test_masks(jhmdb, tmp_path):
    counts = convert_annotations("jhmdb21", jhmdb, tmp_path / "out")
    assert counts["classes"] == 2
    assert counts["parts"]["train1"] == {"videos": 2, "frames": 4, "tubes": 2, "boxes": 3}
    assert read_label_map(tmp_path / "out" / "label_map.pbtxt").names == {1: "catch", 2: "wave"}
    assert rows_of(tmp_path / "out" / "train1.csv") == [
        ["catch/e", "0.000000", "0.000000", "0.000000", "1.000000", "1.000000", "1", "0"],
        ["wave/a", "0.000000", "0.000000", "0.000000", "0.500000", "0.500000", "2", "0"],
        ["wave/a", "0.033333", "0.125000", "0.000000", "0.500000", "0.333333", "2", "0"],
        ["wave/a", "0.066667"],
    ]
    rows = read_rows(tmp_path / "out" / "test1.csv")
    assert rows.frames == [("catch/d", 0), ("catch/d", 33_333), ("wave/b, c", 0)]
    assert rows.eighth.tolist() == [0, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "label_map.pbtxt",
        *("test1.csv", "test2.csv", "train1.csv", "train2.csv"),
    ]


def test_tubes_say_the_same_as_masks(jhmdb, tmp_path):
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(as_tubes(CLIPS), protocol=2))
    convert_annotations("jhmdb21", tmp_path, tmp_path / "tubes")
    convert_annotations("jhmdb21", jhmdb, tmp_path / "masks")
    for path in (tmp_path / "masks").iterdir():
        assert path.read_text() == (tmp_path / "tubes" / path.name).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "puppet_mask/wave/a/puppet_mask.mat").unlink(), "is in a split, but has no annotation"),
        (lambda f: (f / "puppet_mask/wave/a/puppet_mask.mat").write_bytes(b"no"), "cannot read .*wave/a"),
        (lambda f: (f / "splits/wave_test_split2.txt").unlink(), "cannot read .*wave_test_split2.txt: No such file"),
        (
            lambda f: (f / "splits/wave_test_split1.txt").write_text("a.avi 3\n"),
            "split1.txt, line 1: 'a.avi 3' is not <file> 0|1|2",
        ),
        (
            lambda f: (f / "splits/wave_test_split1.txt").write_text("a.avi 1\na.avi 2\n"),
            "split1.txt, line 2: 'wave/a' is in test1, but by .*split1.txt, line 1 it is in train1",
        ),
        (
            lambda f: (f / "splits/wave_test_split1.txt").write_text("../../secret.avi 1\n"),
            "split1.txt, line 1: '../../secret.avi' leads out of the data set's folder",
        ),
        (lambda f: [p.unlink() for p in (f / "splits").iterdir()], "holds no <class>_test_split1.txt"),
        (lambda f: (f / "puppet_mask").rename(f / "masks"), "neither puppet_mask/ with splits/ nor JHMDB-GT.pkl"),
    ],
)
def test_masks_that_are_refused(jhmdb, tmp_path, change, message):
    change(jhmdb)
    with pytest.raises(ActaError, match=message):
        convert_annotations("jhmdb21", jhmdb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"part_mask": np.zeros((6, 8, 2))}, "marks nobody in any frame"),
        ({"mask": np.zeros((6, 8, 2))}, "holds no 'part_mask'"),
        ({"part_mask": np.array([["a"]], object)}, "part_mask holds no numbers"),
        ({"part_mask": "text"}, "part_mask holds no numbers"),
        ({"part_mask": np.zeros((2, 2, 2, 2))}, "of shape (2, 2, 2, 2), not (height, width, frames)"),
    ],
)
def test_masks_that_are_none(jhmdb, tmp_path, content, message):
    from scipy.io import savemat

    savemat(jhmdb / "puppet_mask" / "wave" / "a" / "puppet_mask.mat", content)
    with pytest.raises(ActaError, match=re.escape(message)):
        convert_annotations("jhmdb21", jhmdb, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gttubes": {}}, "'wave/a' of train1 has no gttubes"),
        ({"labels": None}, "is no file of annotated tubes"),
        ({"test_videos": [[], ["wave/a"]]}, "test1 has no videos"),
        (
            {"nframes": dict.fromkeys(CLIPS, 1)},
            "'wave/a': frames 1 to 2 of a tube, counted from 1, are not numbers of the video's 1 that",
        ),
        ({"resolution": dict.fromkeys(CLIPS, (2, 2))}, "is empty, inside out or outside 2 × 2 pixels"),
        ({"gttubes": {name: {} for name in CLIPS}}, "'wave/a' has boxes of no class"),
        ({"gttubes": {name: {9: [np.ones((1, 5))]} for name in CLIPS}}, "'wave/a' cannot be read: IndexError"),
        ({"gttubes": all_with([[1, 3, 3, 1, 5]])}, "is empty, inside out or outside"),
        ({"gttubes": all_with([[1, 0, 0, 1, np.nan]])}, "is empty, inside out or outside"),
        ({"gttubes": all_with([[1.5, 0, 0, 1, 1]])}, "frames 1.5 to 1.5 of a tube, counted from 1"),
        ({"gttubes": all_with([[-1, 0, 0, 1, 1]])}, "frames -1 to -1 of a tube, counted from 1"),
        ({"gttubes": {name: {-1: [np.ones((1, 5))]} for name in CLIPS}}, "'wave/a' has boxes of no class"),
        ({"nframes": dict.fromkeys(CLIPS, 1_000_001)}, "'wave/a' has 1000001 frames; a video has 1 to 1,000,000"),
        ({"nframes": dict.fromkeys(CLIPS, 0)}, "'wave/a' has 0 frames"),
        ({"nframes": dict.fromkeys(CLIPS, float("inf"))}, "'wave/a' cannot be read: OverflowError"),
        ({"resolution": dict.fromkeys(CLIPS, (0, 8))}, "'wave/a': the picture has 8 × 0 pixels"),
        ({"labels": ["catch", ["wave"]]}, "is no file of annotated tubes: TypeError: list is no name"),
        ({"labels": ["catch", "wa\nve"]}, "TypeError: 'wa\\nve' is no name"),
        (
            {"labels": doubled(40)},
            "it unfolds to far more values than it holds",
        ),
        ({"gttubes": {"wave/a": {0: [doubled(40)]}}}, "it unfolds to far more values than it holds"),
        ({"nframes": endless()}, "it is nested in itself"),
    ],
)
def test_tubes_that_are_refused(tmp_path, changes, message):
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(as_tubes(CLIPS, **changes), protocol=4))
    with pytest.raises(ActaError, match=re.escape(message)):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


def test_tubes_that_count_from_0_are_read_so(tmp_path, capsys):
    for name, shift in (("one", 0), ("zero", -1)):
        tubes = as_tubes(CLIPS)
        for its in tubes["gttubes"].values():
            for boxes in its.values():
                boxes[0][:, 0] += shift
        (tmp_path / name).mkdir()
        (tmp_path / name / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
        convert_annotations("jhmdb21", tmp_path / name, tmp_path / f"{name}_out")
    for path in (tmp_path / "one_out").iterdir():
        assert path.read_text() == (tmp_path / "zero_out" / path.name).read_text()
    pickled = tmp_path / "zero" / "JHMDB-GT.pkl"
    assert capsys.readouterr().err == (
        f"{pickled}: its tubes count frames from 0, where others count from 1; read so\n"
    )


def test_tubes_that_count_from_0_and_beyond_the_end(tmp_path):
    tubes = as_tubes(CLIPS)
    tubes["gttubes"]["wave/a"] = {1: [np.array([[0, 0, 0, 1, 1]])]}
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
    said = "whose tubes count frames from 0: 'catch/e': frames 2 to 2 of a tube, counted from 1, are not numbers of the"
    with pytest.raises(ActaError, match=said):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("content", [[], 1, "text", np.zeros((2, 2)), {"labels": np.array(5)}, {"labels": 7}])
def test_pickles_of_something_else(tmp_path, content):
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ActaError, match=r"JHMDB-GT.pkl is no file of annotated tubes: (Type|Index|Key)Error"):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


def test_a_video_of_the_most_frames(tmp_path):
    tubes = as_tubes(
        CLIPS, nframes=dict.fromkeys(CLIPS, 1_000_000), train_videos=[["wave/a"]], test_videos=[["wave/b, c"]]
    )
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
    assert [video.frames for video in read_tubes(tmp_path / "JHMDB-GT.pkl").videos.values()] == [1_000_000] * 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_mask_that_unpacks_to_a_lot_is_refused_before(jhmdb, tmp_path, monkeypatch, order):
    """A packed part of 32 MB in 32 kB; twice as much as is allowed here."""
    assert matlab._MOST_BYTES == 256 * 2**20
    monkeypatch.setattr(matlab, "_MOST_BYTES", 16 * 2**20)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(32)) + packer.flush()
    head = b"MATLAB 5.0".ljust(124) + struct.pack(f"{order}HH", 0x0100, 0x4D49)
    path = jhmdb / "puppet_mask" / "wave" / "a" / "puppet_mask.mat"
    path.write_bytes(head + struct.pack(f"{order}II", 15, len(packed)) + packed)
    with pytest.raises(ActaError, match=r"puppet_mask.mat unpacks to more than 16 MB, which no mask has"):
        convert_annotations("jhmdb21", jhmdb, tmp_path / "out")


@pytest.mark.parametrize("packed", [False, True])
def test_masks_packed_or_not(jhmdb, tmp_path, packed):
    from scipy.io import loadmat, savemat

    for path in jhmdb.rglob("puppet_mask.mat"):
        savemat(path, {"part_mask": loadmat(path)["part_mask"]}, do_compression=packed)
    assert convert_annotations("jhmdb21", jhmdb, tmp_path / "out")["parts"]["train1"]["boxes"] == 3


# ---- UCF101-24


def tube(start: int, boxes: list[list[int]], label: int = 1) -> dict[str, object]:
    """As in pyannot.pkl, whose corners are of 8 bits where they fit: x + width would overflow."""
    return {"label": label, "sf": start, "ef": start + len(boxes), "boxes": np.array(boxes, np.uint8)}


def corrected() -> dict[str, dict]:
    return {
        "Biking/v_1": {"numf": np.uint8(2), "label": 0, "annotations": [tube(1, [[1, 1, 80, 60]], 0)]},
        "Skiing/v_2": {
            "numf": 3,
            "label": 1,
            "annotations": [tube(0, [[200, 121, 120, 119]] * 2), tube(1, [[161, 1, 80, 239]] * 2)],
        },
    }


@pytest.fixture
def ucf(tmp_path) -> Path:
    folder = tmp_path / "ucf"
    folder.mkdir()
    (folder / "pyannot.pkl").write_bytes(pickle.dumps(corrected(), protocol=3))
    (folder / "trainlist01.txt").write_text("Archery/v_0.avi 3\nSkiing/v_2.avi 81\nSkiing/v_gone.avi 81\n")
    (folder / "testlist01.txt").write_text("Biking/v_1.avi\n")
    return folder


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


# ---- the command


def test_the_command(ucf, tmp_path, capsys):
    arguments = ["convert-annotations", "ucf101_24", str(ucf), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--rate", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 2
    assert [row[1] for row in rows_of(tmp_path / "out" / "test1.csv")] == ["0.000000", "0.100000"]
    assert main([*arguments, "--rate", "0"]) == 1
    assert "the rate 0.0 is no number of frames per second" in capsys.readouterr().err
    assert RATES == {"jhmdb21": 30.0, "ucf101_24": 25.0}

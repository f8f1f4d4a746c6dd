"""J-HMDB-21 as files like AVA's: from masks, from tubes, and what is refused."""

import pickle
import re
import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pipeline.detect.annotation import matlab
from pipeline.detect.annotation.ava import read_label_map, read_rows
from pipeline.detect.annotation.single_label import convert_annotations
from pipeline.runtime.errors import ActaError
from tests.unit.detect.annotation.made import CLIPS, as_tubes, rows_of


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
    savemat(jhmdb / "puppet_mask" / "wave" / "a" / "puppet_mask.mat", content)
    with pytest.raises(ActaError, match=re.escape(message)):
        convert_annotations("jhmdb21", jhmdb, tmp_path / "out")


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
    for path in jhmdb.rglob("puppet_mask.mat"):
        savemat(path, {"part_mask": loadmat(path)["part_mask"]}, do_compression=packed)
    assert convert_annotations("jhmdb21", jhmdb, tmp_path / "out")["parts"]["train1"]["boxes"] == 3

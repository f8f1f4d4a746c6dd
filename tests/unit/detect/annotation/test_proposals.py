"""Person proposals: both public forms say the same, and what is refused with its line or key."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.detect.annotation.proposals import Proposals, read_proposals
from pipeline.runtime.errors import ActaError

CSV = """v,0902,0.1,0.2,0.3,0.4,,0.95
v,0902,0.5,0.2,0.9,0.4,,0.81
w,0903,-0.01,0,1.02,1,,0.7
w,0904
v,0902,0.5,0.5,0.9,0.9,,0.99
"""


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / ("proposals.csv" if isinstance(content, str) else "proposals.pkl")
    path.write_bytes(content.encode() if isinstance(content, str) else pickle.dumps(content, protocol=4))
    return path


def listed(proposals: Proposals) -> dict[tuple[str, int], list[list[float]]]:
    return {frame: np.column_stack(proposals.of(*frame)).tolist() for frame in proposals.frames}


def test_csv(tmp_path):
    proposals = read_proposals(write(tmp_path, CSV))
    assert listed(proposals) == {
        ("v", 902_000_000): [[0.1, 0.2, 0.3, 0.4, 0.95], [0.5, 0.2, 0.9, 0.4, 0.81], [0.5, 0.5, 0.9, 0.9, 0.99]],
        ("w", 903_000_000): [[0, 0, 1, 1, 0.7]],  # clipped
        ("w", 904_000_000): [],
    }
    assert proposals.start.tolist() == [0, 3, 4, 4]


def test_a_frame_that_is_not_named_has_no_boxes(tmp_path):
    boxes, scores = read_proposals(write(tmp_path, CSV)).of("v", 1)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_a_box_with_several_actions_counts_once(tmp_path):
    """As PySlowFast's training files have it: one row for each action, negatives without one."""
    rows = ["v,1,0,0,.5,1,12,.9", "v,1,.5,0,1,1,3,.8", "v,1,0,0,.5,1,80,.9", "v,2,0,0,.5,1,,.9", "v,1,.5,0,1,1,4,.85"]
    text = "\n".join([*rows, "", "v,2,0,0,1,1,1,1\n"])
    proposals = read_proposals(write(tmp_path, text))
    assert listed(proposals) == {
        ("v", 1_000_000): [[0, 0, 0.5, 1, 0.9], [0.5, 0, 1, 1, 0.85]],
        ("v", 2_000_000): [[0, 0, 0.5, 1, 0.9], [0, 0, 1, 1, 1]],
    }


def test_pickle_says_the_same_as_csv(tmp_path):
    content = {
        "v,0902": np.array([[0.1, 0.2, 0.3, 0.4, 0.95], [0.5, 0.2, 0.9, 0.4, 0.81], [0.5, 0.5, 0.9, 0.9, 0.99]]),
        "w,0903": np.array([[-0.01, 0, 1.02, 1, 0.7]]),
        "w,0904": np.empty((0, 5), np.float32),
    }
    of_pickle, of_csv = read_proposals(write(tmp_path, content)), read_proposals(write(tmp_path, CSV))
    assert listed(of_pickle) == listed(of_csv)


def test_single_precision_stays_itself(tmp_path):
    table = np.random.default_rng(0).random((4, 5), np.float32)
    table[:, 2:4] = np.maximum(table[:, 2:4], table[:, :2])
    boxes, scores = read_proposals(write(tmp_path, {"a,b,12.5": table})).of("a,b", 12_500_000)
    assert np.array_equal(boxes, table[:, :4])
    assert np.array_equal(scores, table[:, 4])


@pytest.mark.parametrize("content", ["", {}], ids=["csv", "pickle"])
def test_nothing(tmp_path, content):
    proposals = read_proposals(write(tmp_path, content))
    assert (proposals.frames, proposals.start.tolist(), proposals.box.shape) == ([], [0], (0, 4))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,1,0,0,1,1,,nan", ":3: score is 'nan', not a number"),
        ("v,1,0,0,1,,,0.5", ":3: y2 is '', not a number"),
        ("v,1,0,x,1,1,,0.5", ":3: y1 is 'x', not a number"),
        ("v,1e300,0,0,1,1,,0.5", ":3: time is '1e300', not a number of seconds"),
        ("v,1,0,0,1,1,2147483648,0.5", ":3: action is '2147483648', not the number of one"),
        ("v,1,0,0,1,1,1.5,0.5", ":3: action is '1.5', not the number of one"),
        ("v,1,0,0,1,1", ":3: 6 columns"),
        ("v,1,0,0,1,1,1", ":3: a proposal is video,timestamp"),
        ("v,1,0,0,1,1,1,1,1", ":3: 9 columns"),
        (",1,0,0,1,1,,1", ":3: no name of a video"),
        ("v,1,0,0,1,1,,7", ":3: the box with score [0.0, 0.0, 1.0, 1.0, 7.0] has a score outside [0, 1]"),
        ("v,1,0.5,0,0.4,1,,0.5", ":3: the box with score [0.5, 0.0, 0.4, 1.0, 0.5] is inside out"),
        ("v,1,10,20,110,220,,0.5", ":3: the box with score [10.0, 20.0, 110.0, 220.0, 0.5] is outside the picture"),
    ],
)
def test_rows_that_are_none(tmp_path, row, message):
    with pytest.raises(ActaError, match=re.escape(message)):
        read_proposals(write(tmp_path, f"v,1,0,0,1,1,,1\nw,1\n{row}\nv,2,0,0,1,1,,1\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "holds a list, not a dict"),
        ({"v": np.zeros((1, 5))}, "key 'v' is not '<video>,<timestamp>'"),
        ({",1": np.zeros((1, 5))}, "key ',1' is not"),
        ({("v", 1): np.zeros((1, 5))}, "key ('v', 1) is not"),
        ({"v,inf": np.zeros((1, 5))}, "key 'v,inf' is not"),
        ({"v,nan": np.zeros((1, 5))}, "key 'v,nan' is not"),
        ({"v,1e12": np.zeros((1, 5))}, "key 'v,1e12' is not"),
        (
            {"v,1": (deep := [[0.0] * 5] * 2) and [deep := [deep] * 2 for _ in range(60)][-1]},
            "it unfolds to far more values than it holds",
        ),
        ({"v,1": np.zeros((1, 5)), "v,01": np.zeros((1, 5))}, "key 'v,01' names a frame that another names"),
        ({"v,1": np.zeros((1, 4))}, "'v,1': an array of shape (1, 4), not (n, 5)"),
        ({"v,1": "boxes"}, "'v,1': a str is not an array"),
        ({"u,1": np.zeros((2, 5)), "v,1": np.full((1, 5), np.nan)}, "'v,1': the box with score [nan"),
        ({"v,1": np.array([[0, 0, 1, 1, 2.0]])}, "has a score outside [0, 1]"),
        ({"v,1": np.array([[1, 0, 0, 1, 0.5]])}, "is inside out"),
    ],
)
def test_pickles_that_are_none(tmp_path, content, message):
    with pytest.raises(ActaError, match=re.escape(message)):
        read_proposals(write(tmp_path, content))


def test_what_a_pickle_could_run_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    with pytest.raises(ActaError, match="not opened"):
        read_proposals(write(tmp_path, {"v,1": Trap()}))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["none.csv", "none.pkl"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(ActaError, match=r"none\.\w+: No such file"):
        read_proposals(tmp_path / name)

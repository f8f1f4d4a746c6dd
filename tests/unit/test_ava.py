"""AVA's files: what is read, and what is refused with its line."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.ava import read_excluded, read_label_map, read_rows
from pipeline.errors import ActaError

OLD = """item {
  name: "bend/bow (at the waist)"
  id: 1
}
item {
  name: "answer phone"
  id: 17
}
item { name: 'talk to (e.g., self, a person, a group)' id: 79 }
"""
NEW = """label {
  name: "talk"
  label_id: 3
  label_type: PERSON_INTERACTION
}
"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_label_maps_of_both_kinds(tmp_path):
    old = read_label_map(write(tmp_path, OLD))
    assert old.names[1] == "bend/bow (at the waist)"
    assert old.groups == {1: "pose", 17: "person-object", 79: "person-person"}
    assert read_label_map(write(tmp_path, NEW)).groups == {3: "person-person"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no actions"),
        ('item {\n name: "a"\n id: 1\n}\nitem {\n name: "b"\n id: 1\n}', ":5: 1 is 'a' already"),
        ("item {\n id: 1\n}", ":1: an entry needs a name and a number from 1"),
        ('item {\n name: "a" id: 0\n}', "an entry needs a name and a number from 1"),
        (b"\xff\xfe", "cannot read"),
    ],
)
def test_label_maps_that_are_none(tmp_path, text, message):
    with pytest.raises(ActaError, match=message):
        read_label_map(write(tmp_path, text))


def test_rows(tmp_path):
    rows = read_rows(write(tmp_path, "v,0902,.1,.2,.3,.4,12,0.5\nw,902.5\n\nv,902,0,0,1,1,3\n"))
    assert rows.frames == [("v", 902_000_000), ("w", 902_500_000)]
    assert rows.frame.tolist() == [0, 0]
    assert rows.box.tolist() == [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]]
    assert rows.action.tolist() == [12, 3]
    assert rows.score.tolist() == [0.5, 1.0]
    assert rows.line.tolist() == [1, 4]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    rows = read_rows(write(tmp_path, 'NA,1,0,0,1,1,1\n0012,1,0,0,1,1,1\n"a,b",1,0,0,1,1,1\n'))
    assert [video for video, _ in rows.frames] == ["NA", "0012", "a,b"]


def test_numbers_are_read_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).random(400)
    text = "".join(f"v,1,{','.join(map(repr, four))},1\n" for four in values.reshape(-1, 4).tolist())
    assert np.array_equal(read_rows(write(tmp_path, text)).box.ravel(), values)


def test_an_empty_file_has_no_rows(tmp_path):
    assert read_rows(write(tmp_path, "")).frames == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,1,0,0,1,1", ":3: 6 columns; a row has 2"),
        ("v,1,0,0,1,1,1,1,1", ":3: 9 columns"),
        ("v", ":3: 1 columns"),
        ("v,soon,0,0,1,1,1", ":3: time is 'soon', not a number"),
        ("v,1,0,0,x,1,1", ":3: x2 is 'x', not a number"),
        ("v,1,0,nan,1,1,1", ":3: y1 is 'nan', not a number"),
        ("v,1,0,0,1,1,1,inf", ":3: score is 'inf', not a number"),
        ("v,1,0,0,1,1,1.5", ":3: action is '1.5', not the number of one"),
        ("v,1,0,0,1,1,-1", ":3: action is '-1', not the number of one"),
        (",1,0,0,1,1,1", ":3: no name of a video"),
        ("v,1,0,0,1,1,", ":3: action is '', not a number"),
        ("v,,0,0,1,1,1", ":3: time is '', not a number"),
    ],
)
def test_rows_that_are_none(tmp_path, row, message):
    with pytest.raises(ActaError, match=message):
        read_rows(write(tmp_path, f"v,1,0,0,1,1,1\nw,1\n{row}\nv,2,0,0,1,1,1\n"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read .*nothing: No such file"):
        read_rows(tmp_path / "nothing")


def test_excluded_frames(tmp_path):
    assert read_excluded(write(tmp_path, "v,0902\nw,3\n")) == {("v", 902_000_000), ("w", 3_000_000)}
    with pytest.raises(ActaError, match="holds boxes"):
        read_excluded(write(tmp_path, "v,1,0,0,1,1,1\n"))

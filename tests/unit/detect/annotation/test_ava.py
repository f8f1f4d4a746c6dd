"""AVA's files: what is read, and what is refused with its line."""

import csv
import io
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.detect.annotation.ava import read_excluded, read_label_map, read_rows, write_label_map
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_text
from tests.unit.chance import damaged

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
        ('item {\n name: "a"\n id: 1\n}\nitem {\n name: "b"\n id: 1\n}', r":5: 1 is 'a' already \(line 1\)$"),
        (
            '\nitem { name: "a" id: 2 }\n\nitem { name: " a" id: 1 }',
            r":4: 'a' is there already \(line 2\); names differ$",
        ),
        ("item {\n id: 1\n}", ":1: an entry needs a name and a number from 1"),
        ('item {\n name: "a" id: 0\n}', "an entry needs a name and a number from 1"),
        (b"\xff\xfe", "holds no actions"),
        (b"# Z\xfcrich\n", "line 1: byte 0xfc is not UTF-8"),
        ('item { name: "" id: 1 }', "an entry needs a name"),
        ('item { name: "a\\nb" id: 1 }', "an entry needs a name"),
        ('item { name: "a\\033[1m" id: 1 }', "an entry needs a name"),
        ('item { name: "a\\x9-" id: 1 }', "an entry needs a name"),
        ('item { name: "a" id: 4294967296 }', "an entry needs a name and a number from 1"),
        ('item { name: "a" id: -1 }', "an entry needs a name and a number from 1"),
        ('item { name: "a" id: 1.5 }', "an entry needs a name and a number from 1"),
        ('item { name: "a" id: 1 }\nitem { name: "b" id: 2', ":2: the entry that begins here does not end"),
        ('item { name: "a" id: 1\nitem { name: "b" id: 2 }', ":1: the entry that begins here does not end"),
        ('item {\n name: "a\n id: 1 }', ":2: a quotation mark is not closed; it is no label map"),
        ("item {\n name: 'a\" id: 1 }", ":2: a quotation mark is not closed"),
        ('item { name: "a" id: 1 }\n=', ":2: '=' is not expected; it is no label map"),
        ('item { name: "a" id: 1 }\nclass { name: "b" id: 2 }', ":2: 'class' begins no entry"),
        ('item { name: "a" id: 1 }\n"item" { }', ":2: '\"item\"' begins no entry"),
        ("item", ":1: 'item' begins no entry"),
        ("item: name", ":1: 'item' begins no entry"),
        ("1: stand\n2: sit\n", ":1: '1' begins no entry"),
        ('item { name: "a"\n name: "b" id: 1 }', ":2: 'name' is in its entry twice"),
        ('item { name: "a" id: 1 id: 2 }', ":1: 'id' is in its entry twice"),
        ('item { name: "\\777" id: 1 }', r':1: "\\777" has an escape that is no character'),
        ('item {\n name: "\\ud800" id: 1 }', r':2: "\\ud800" has an escape that is no character'),
        ('item { name: "\\xff" id: 1 }', "has an escape that is no character"),
        ('item { name: "\\U99999999" id: 1 }', "has an escape that is no character"),
    ],
)
def test_label_maps_that_are_none(tmp_path, text, message):
    with pytest.raises(ActaError, match=message):
        read_label_map(write(tmp_path, text))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('name: "say \\"hi\\""', 'say "hi"'),
        ("name: 'it\\'s'", "it's"),
        ("""name: 'a "b" c'""", 'a "b" c'),
        ('name: "a # b"', "a # b"),
        ('name: "a } b { c"', "a } b { c"),
        ('name: "a\\\\"', "a\\"),
        ('name: "a, b; c: d"', "a, b; c: d"),
        ('name: "\\under \\x \\?"', "under x ?"),
        ('name: "id: 7 }"', "id: 7 }"),
        ('name: "Z\\303\\274rich"', "Zürich"),
        ('name: "Z\\xc3\\xbcrich"', "Zürich"),
        ('name: "Z\\u00fcrich \\U0001F600"', "Zürich 😀"),
        ('name: "a" \'b\'\n  "c"', "abc"),
        ('name : "a"', "a"),
        ('name: "a"; display_name: "no",', "a"),
        ('display_name: "no" name: "a"', "a"),
        ('name: "a" # name: "no"', "a"),
        ('name: "a" more { name: "no" id: 3 } list: [1, 2] other <id: 4>', "a"),
        ("name: a", "a"),
        ('name: "  a "', "a"),
    ],
)
def test_what_a_name_may_hold(tmp_path, written, name):
    text = f'# map\nitem {{ {written}\n id: 5 }} item: {{ id: 6 name: "other" }}\nlabel <name: "third" label_id: 007>'
    assert read_label_map(write(tmp_path, text)).names == {5: name, 6: "other", 7: "third"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_label_map_of_an_editor_of_windows(tmp_path, encoding):
    path = write(tmp_path, OLD.replace("phone", "téléphone").replace("\n", "\r\n").encode(encoding))
    assert read_label_map(path).names[17] == "answer téléphone"


def test_names_are_written_as_they_are_read(tmp_path):
    names = ['say "hi"', "back\\slash", "it's", "# } {", "\\", '\\"', "Zürich", "a\\nb"]
    write_label_map(tmp_path / "map.pbtxt", names)
    assert read_label_map(tmp_path / "map.pbtxt").names == dict(enumerate(names, 1))


def test_a_number_of_nine_digits_is_the_last(tmp_path):
    path = write(tmp_path, 'item { name: "a" id: 999999999 }')
    assert read_label_map(path).groups == {999_999_999: "person-person"}


@pytest.mark.parametrize(
    ("action", "group"), [(14, "pose"), (15, "person-object"), (63, "person-object"), (64, "person-person")]
)
def test_groups_by_number(tmp_path, action, group):
    text = f'item {{ name: "a" id: {action} }}'
    assert read_label_map(write(tmp_path, text)).groups == {action: group}
    text = text.replace("}", "label_type: PERSON_MOVEMENT }")
    assert read_label_map(write(tmp_path, text)).groups == {action: "pose"}


@pytest.mark.parametrize(
    "text",
    [
        'item { name: "' + '\\"' * 200_000,
        "item { " * 100_000,
        "item { name: " + '"a" ' * 100_000 + "id: 1 }",
        "".join(f'item {{ name: "{n}" id: {n} }}\n' for n in range(1, 20_000)),
        "item { name: " + "{" * 300_000,
        "#" * 300_000 + "\n" * 300_000 + "@",
    ],
    ids=["quotes", "entries within", "texts", "entries", "brackets", "lines"],
)
def test_time_to_read_a_label_map_grows_with_its_size_only(tmp_path, text):
    """What was quadratic took hours for such files."""
    with suppress(ActaError):
        assert read_label_map(write(tmp_path, text)).names


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


@pytest.mark.parametrize(
    "names", [["0012", "12", "0013"], ["1e5"], ["TRUE", "false"], ["nan"], ["inf", "-0"], ["2020-01-01"], ["1.0", "01"]]
)
def test_names_that_all_look_like_numbers_stay_names(tmp_path, names):
    text = "".join(f"{name},1,0,0,1,1,1\n" for name in names)
    assert [video for video, _ in read_rows(write(tmp_path, text)).frames] == names


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
        ("v,1e300,0,0,1,1,1", r":3: time is '1e300', not a number of seconds up to 1e\+11"),
        ("v,-100000000001,0,0,1,1,1", r":3: time is '-100000000001', not a number of seconds up to"),
        ("v,1,0,0,1,1,2147483648", ":3: action is '2147483648', not the number of one"),
        ("v,1,0,0,1,1,1_0", ":3: action is '1_0', not a number"),
        ("v,09\x1c,0,0,1,1,1", r":3: time is '09\\x1c', not a number"),
        ("v,1,0,0,1,1,TRUE", ":3: action is 'TRUE', not a number"),
        ("v,1,0,0,1,1,0x10", ":3: action is '0x10', not a number"),
        ("v,1,0,0,1,1,\u0661", ":3: action is '\u0661', not a number"),
        ('"v\nw",1,0,0,1,1,1', r":4: the name of a video has a line break: 'v\\nw'"),
        ('"v,1,0,0,1,1,1', ", line 3: unexpected end of data; a quotation mark is not closed"),
        ("x" * 200_000 + ",1,0,0,1,1,one", ", line 3: field larger than field limit"),
    ],
)
def test_rows_that_are_none(tmp_path, row, message):
    with pytest.raises(ActaError, match=message):
        read_rows(write(tmp_path, f"v,1,0,0,1,1,1\nw,1\n{row}\nv,2,0,0,1,1,1\n"))


@pytest.mark.parametrize("extra", ["", ",8", ",8,9"])
def test_a_column_before_the_first_is_not_dropped(tmp_path, extra):
    path = write(tmp_path, f"a,v,1,0,0,1,1,1,.5{extra}\n" * 2)
    with pytest.raises(ActaError, match=f":1: {9 + extra.count(',')} columns; a row has 2"):
        read_rows(path)


@pytest.mark.parametrize("row", ["v,1,0,0,1,1,True", "v,1,false,0,1,1,1", "v,true,0,0,1,1,1,.5"])
def test_words_that_pandas_takes_for_numbers(tmp_path, row):
    with pytest.raises(ActaError, match=r":1: \w+ is '(?i:true|false)', not a number"):
        read_rows(write(tmp_path, f"{row}\n"))
    assert read_rows(write(tmp_path, "true,1,0,0,1,1,1\nFalse,1\n")).frames == [("true", 10**6), ("False", 10**6)]


def test_the_largest_numbers(tmp_path):
    rows = read_rows(write(tmp_path, "v,100000000000,0,0,1,1,2147483647\nv,-1e11\n"))
    assert rows.frames == [("v", 10**17), ("v", -(10**17))]
    assert rows.action.tolist() == [2**31 - 1]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_rows_of_a_spreadsheet(tmp_path, encoding):
    rows = read_rows(write(tmp_path, "é,1,0,0,1,1,1\r\nw,2\r\nw,3,0,0,1,1,2".encode(encoding)))
    assert rows.frames == [("é", 10**6), ("w", 2 * 10**6), ("w", 3 * 10**6)]
    assert rows.line.tolist() == [1, 3]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read the file .*nothing: No such file"):
        read_rows(tmp_path / "nothing")


def test_excluded_frames(tmp_path):
    assert read_excluded(write(tmp_path, "v,0902\nw,3\n")) == {("v", 902_000_000), ("w", 3_000_000)}
    with pytest.raises(ActaError, match="holds boxes"):
        read_excluded(write(tmp_path, "v,1,0,0,1,1,1\n"))


# ---- files that chance has changed


def test_a_damaged_label_map_is_read_or_refused(tmp_path):
    generator, read = random.Random(1), 0
    for _ in range(400):
        path = write(tmp_path, damaged(generator, (OLD + NEW).encode(), [b"item {", b"}", b"#", b"id: ", b"\\x41"]))
        try:
            names = read_label_map(path).names
        except ActaError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            read += 1
            assert names
            assert len({*names.values()}) == len(names)
    assert 40 < read < 360


def test_a_damaged_file_of_boxes_is_read_as_it_says_or_refused(tmp_path):
    """Compared with Python's own reader of CSV."""
    content = b'v,0902,.1,.2,.3,.4,12,0.5\nw,902.5\n\n"a,b",903,0,0,1,1,3\n0012,1,0,0,1,1,1\n'
    generator, read = random.Random(2), 0
    for _ in range(300):
        path = write(tmp_path, damaged(generator, content, [b"1e400", b"nan", b"True", b"-1", b",,", b"1e12"]))
        try:
            rows = read_rows(path)
        except ActaError as error:
            assert str(error).startswith((str(path), "cannot read"))  # noqa: PT017
            continue
        read += 1
        said = [row for row in csv.reader(io.StringIO(read_text(path))) if "".join(row).strip()]
        assert rows.frames == list(dict.fromkeys((row[0], round(float(row[1]) * 1e6)) for row in said))
        boxes = [row for row in said if any(row[2:])]
        assert rows.box.tolist() == [[float(corner) for corner in row[2:6]] for row in boxes]
        assert rows.action.tolist() == [float(row[6]) for row in boxes]
    assert 5 < read < 280

"""The lists of UCF101, HMDB51 and Kinetics-400 as they are published, and what can be wrong with them."""

import os
import random
from pathlib import Path

import pytest

from pipeline.data.adapters import list_videos
from pipeline.media.lists import Listed
from pipeline.runtime.errors import ActaError
from tests.unit.chance import damaged
from tests.unit.data.datasets import HEADER, THEN, hmdb51, kinetics, message, put, settings, ucf101

# ---- UCF101


def test_ucf101(tmp_path: Path) -> None:
    lists = ucf101(
        tmp_path,
        "Apply/v_Apply_g08_c01.avi 1\r\n\nArchery/v_Archery_g08_c01.avi 3\n",
        "Apply/v_Apply_g01_c01.avi\n",
    )
    root = put(
        tmp_path / "videos",
        "Apply/v_Apply_g08_c01.avi",
        "Apply/v_Apply_g01_c01.avi",
        "Apply/v_Apply_g99_c01.avi",
    )
    assert list(list_videos(settings("ucf101", root, lists))) == [
        Listed("v_Apply_g08_c01", "Apply/v_Apply_g08_c01.avi", "Apply", "train1", 3, THEN),
        Listed("v_Archery_g08_c01", "Archery/v_Archery_g08_c01.avi", "Archery", "train1", -1, 0),
        Listed("v_Apply_g01_c01", "Apply/v_Apply_g01_c01.avi", "Apply", "test1", 3, THEN),
    ]


def test_ucf101_names_the_part_in_each_split(tmp_path: Path) -> None:
    ucf101(tmp_path, "A/a.avi 1\n", "A/b.avi\n", split=1)
    lists = ucf101(tmp_path, "A/b.avi 1\n", "A/a.avi\n", split=3)
    videos = list_videos(settings("ucf101", tmp_path, lists))
    assert [(v.id, v.split) for v in videos] == [("a", "train1 test3"), ("b", "test1 train3")]


def test_ucf101_in_one_flat_folder(tmp_path: Path) -> None:
    lists = ucf101(tmp_path, "Archery/v_Archery_g08_c01.avi 3\n")
    root = put(tmp_path / "videos", "v_Archery_g08_c01.avi")
    (video,) = list_videos(settings("ucf101", root, lists))
    assert (video.path, video.label, video.size) == ("v_Archery_g08_c01.avi", "Archery", 3)


@pytest.mark.parametrize("missing", ["trainlist01.txt", "testlist01.txt"])
def test_ucf101_without_a_split_file(tmp_path: Path, missing: str) -> None:
    lists = ucf101(tmp_path, "A/a.avi 1\n", "A/b.avi\n")
    (lists / missing).unlink()
    said = message(lambda: list(list_videos(settings("ucf101", tmp_path, lists))))
    assert said == f"cannot read the split file {lists / missing}: No such file or directory"


@pytest.mark.parametrize(
    "line", ["v_Archery_g08_c01.avi 3", "Archery/ 3", "Archery/a.avi one", "A/b/c.avi 1", "A/. 1", "3", "A/"]
)
def test_ucf101_malformed_line(tmp_path: Path, line: str) -> None:
    lists = ucf101(tmp_path, f"A/a.avi 1\n\n{line}\n")
    said = message(lambda: list(list_videos(settings("ucf101", tmp_path, lists))))
    assert said == f"{lists / 'trainlist01.txt'}, line 3: {line!r} is not <class>/<file> [number]"


@pytest.mark.parametrize(
    ("line", "label", "name"),
    [
        ("Hand Stand/v my clip.avi 12", "Hand Stand", "v my clip"),
        ("Hand Stand/v my clip.avi", "Hand Stand", "v my clip"),
        ("A/v 1.avi", "A", "v 1"),
        ("A/v 1.avi 2", "A", "v 1"),
        ("A/12.avi\t3", "A", "12"),
        ("A /  a.avi  7", "A", "a"),
        ("A/a.b c.avi 1", "A", "a.b c"),
    ],
)
def test_ucf101_names_with_spaces(tmp_path: Path, line: str, label: str, name: str) -> None:
    lists = ucf101(tmp_path, f"{line}\n")
    assert [(v.id, v.label) for v in list_videos(settings("ucf101", tmp_path, lists))] == [(name, label)]


def test_ucf101_line_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    lists = ucf101(tmp_path, "A/a.avi 1\nA/a.avi 1\n")
    assert [(v.id, v.split) for v in list_videos(settings("ucf101", tmp_path, lists))] == [("a", "train1")]


def test_ucf101_file_of_two_classes(tmp_path: Path) -> None:
    ucf101(tmp_path, "A/a.avi 1\n")
    lists = ucf101(tmp_path, test="B/b.avi\nB/a.avi\n", split=2)
    said = message(lambda: list(list_videos(settings("ucf101", tmp_path, lists))))
    first, second = lists / "trainlist01.txt", lists / "testlist02.txt"
    assert said == f"{second}, line 2: 'a.avi' is of the class 'B', but {first}, line 1 has it in 'A'"


def test_ucf101_file_of_both_parts_of_a_split(tmp_path: Path) -> None:
    lists = ucf101(tmp_path, "A/a.avi 1\n", "\nA/a.avi\n", split=3)
    said = message(lambda: list(list_videos(settings("ucf101", tmp_path, lists))))
    train, test = lists / "trainlist03.txt", lists / "testlist03.txt"
    assert said == f"{test}, line 2: 'a.avi' is in test3, but by {train}, line 1 it is in train3"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_ucf101_list_of_an_editor_of_windows(tmp_path: Path, encoding: str) -> None:
    lists = ucf101(tmp_path, test="B/b.avi")
    (lists / "trainlist01.txt").write_bytes("A/a.avi 1\r\nA/é.avi 1".encode(encoding))
    videos = list_videos(settings("ucf101", tmp_path, lists))
    assert [(v.id, v.label) for v in videos] == [("a", "A"), ("é", "A"), ("b", "B")]


def test_ucf101_list_that_is_not_utf8(tmp_path: Path) -> None:
    lists = ucf101(tmp_path)
    (lists / "trainlist01.txt").write_bytes(b"A/a.avi 1\nK\xe9/b.avi 2\n")
    said = message(lambda: list(list_videos(settings("ucf101", tmp_path, lists))))
    assert said == f"{lists / 'trainlist01.txt'}, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"


# ---- HMDB51


def test_hmdb51(tmp_path: Path) -> None:
    lists = hmdb51(
        tmp_path,
        {
            "brush_hair_test_split1.txt": "a.avi 1 \nb.avi 2 \nc.avi 0 \n",
            "wave_test_split1.txt": "d.avi 2 \n",
            "wave_test_split2.txt": "d.avi 1 \n",
        },
    )
    root = put(tmp_path / "videos", "brush_hair/a.avi", "brush_hair/b.avi", "brush_hair/c.avi")
    assert list(list_videos(settings("hmdb51", root, lists))) == [
        Listed("a", "brush_hair/a.avi", "brush_hair", "train1", 3, THEN),
        Listed("b", "brush_hair/b.avi", "brush_hair", "test1", 3, THEN),
        Listed("c", "brush_hair/c.avi", "brush_hair", "", 3, THEN),
        Listed("d", "wave/d.avi", "wave", "test1 train2", -1, 0),
    ]


def test_hmdb51_names_the_part_in_each_split(tmp_path: Path) -> None:
    lists = hmdb51(
        tmp_path,
        {
            "wave_test_split1.txt": "d.avi 2\ne.avi 0\n",
            "wave_test_split2.txt": "d.avi 1\ne.avi 0\n",
            "wave_test_split3.txt": "d.avi 0\ne.avi 2\n",
        },
    )
    videos = list_videos(settings("hmdb51", tmp_path, lists))
    assert [(v.id, v.split) for v in videos] == [("d", "test1 train2"), ("e", "test3")]


def test_hmdb51_name_with_spaces(tmp_path: Path) -> None:
    lists = hmdb51(tmp_path, {"wave_test_split1.txt": "a hand (1).avi 1\n"})
    assert [v.id for v in list_videos(settings("hmdb51", tmp_path, lists))] == ["a hand (1)"]


def test_hmdb51_without_split_files(tmp_path: Path) -> None:
    said = message(lambda: list(list_videos(settings("hmdb51", tmp_path, tmp_path))))
    assert said == f"no <class>_test_split1.txt in data.annotations {str(tmp_path)!r}"


@pytest.mark.parametrize("line", ["d.avi 3", "d.avi", "1", "d.avi one", "d.avi -1"])
def test_hmdb51_malformed_line(tmp_path: Path, line: str) -> None:
    lists = hmdb51(tmp_path, {"wave_test_split1.txt": f"a.avi 1\n{line}\n"})
    said = message(lambda: list(list_videos(settings("hmdb51", tmp_path, lists))))
    assert said == f"{lists / 'wave_test_split1.txt'}, line 2: {line!r} is not <file> 0|1|2"


def test_hmdb51_file_of_two_classes_or_parts(tmp_path: Path) -> None:
    names = ("run_test_split1.txt", "wave_test_split1.txt")
    lists = hmdb51(tmp_path, {names[0]: "a.avi 0\n", names[1]: "b.avi 1\na.avi 1\n"})
    run, wave = (lists / name for name in names)
    read = lambda: list(list_videos(settings("hmdb51", tmp_path, lists)))  # noqa: E731
    assert message(read) == f"{wave}, line 2: 'a.avi' is of the class 'wave', but {run}, line 1 has it in 'run'"
    hmdb51(tmp_path, {names[1]: "b.avi 1\nb.avi 2\n"})
    assert message(read) == f"{wave}, line 2: 'b.avi' is in test1, but by {wave}, line 1 it is in train1"
    hmdb51(tmp_path, {names[1]: "b.avi 0\nb.avi 0\nb.avi 2\n"})
    assert message(read) == f"{wave}, line 3: 'b.avi' is in test1, but by {wave}, line 1 it is in no part of split 1"


def test_hmdb51_list_of_no_class(tmp_path: Path) -> None:
    lists = hmdb51(tmp_path, {"_test_split1.txt": "a.avi 1\n"})
    said = message(lambda: list(list_videos(settings("hmdb51", tmp_path, lists))))
    assert said == f"no <class>_test_split1.txt in data.annotations {str(lists)!r}"


# ---- Kinetics-400


def test_kinetics400(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "riding a bike,abc-_123,1,11,train\nwaving hand,xyz,100,110,val\n")
    root = put(tmp_path / "videos", "riding a bike/abc-_123_000001_000011.mp4")
    assert list(list_videos(settings("kinetics400", root, table))) == [
        Listed("abc-_123_000001_000011", "riding a bike/abc-_123_000001_000011.mp4", "riding a bike", "train", 3, THEN),
        Listed("xyz_000100_000110", "waving hand/xyz_000100_000110.mp4", "waving hand", "val", -1, 0),
    ]


def test_kinetics400_calls_the_validation_split_by_one_name(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run,x,1,11,validate\nrun,y,1,11,val\nrun,x,1,11,val\n")
    videos = list(list_videos(settings("kinetics400", tmp_path, table)))
    assert [(video.id, video.split) for video in videos] == [("x_000001_000011", "val"), ("y_000001_000011", "val")]


def test_kinetics400_wherever_the_files_lie(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "waving hand,xyz,100,110,val\n")
    root = put(tmp_path / "videos", "val/part_3/xyz_000100_000110.mp4")
    assert [v.path for v in list_videos(settings("kinetics400", root, table))] == ["val/part_3/xyz_000100_000110.mp4"]


def test_kinetics400_columns_in_any_order(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "val,1,x,110,100,waving hand\n", "split,is_cc,youtube_id,time_end,time_start,label\n")
    (video,) = list_videos(settings("kinetics400", tmp_path, table))
    assert (video.id, video.label, video.split) == ("x_000100_000110", "waving hand", "val")


def test_kinetics400_quoted_label(tmp_path: Path) -> None:
    table = kinetics(tmp_path, '"massaging legs, ""both""",x,1,11,train\n')
    assert [v.label for v in list_videos(settings("kinetics400", tmp_path, table))] == ['massaging legs, "both"']


def test_kinetics400_seconds_with_a_fraction(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run,x,1.0,11.0,train\n")
    assert [v.id for v in list_videos(settings("kinetics400", tmp_path, table))] == ["x_000001_000011"]


def test_kinetics400_without_its_table(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, path))))
    assert said == f"cannot read data.annotations {path}: No such file or directory"


def test_kinetics400_without_a_column(tmp_path: Path) -> None:
    """The published test list has no labels."""
    table = kinetics(tmp_path, "x,1,11,test\n", "youtube_id,time_start,time_end,split\n")
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert said == (f"{table}: columns ['label'] are missing; found ['youtube_id', 'time_start', 'time_end', 'split']")


@pytest.mark.parametrize(
    "row", ["run,x,one,11,train", "run,x,1,,train", "run,x,nan,11,train", "run,x,inf,11,train", "run,x,1", "run,x,1,11"]
)
def test_kinetics400_malformed_row(tmp_path: Path, row: str) -> None:
    table = kinetics(tmp_path, f"run,a,1,11,train\n{row}\n")
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert said.startswith(f"{table}, line 3: {row!r} is not ")


def test_kinetics400_blank_lines_count_for_nothing(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run,x,1,11,train\n\nrun,y,1,11,train\n\n")
    assert [v.id for v in list_videos(settings("kinetics400", tmp_path, table))] == [
        "x_000001_000011",
        "y_000001_000011",
    ]


def test_kinetics400_table_that_is_not_utf8(tmp_path: Path) -> None:
    table = tmp_path / "kinetics.csv"
    table.write_bytes(HEADER.encode() + b"k\xe9,x,1,11,train\n")
    assert str(table) in message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "walk,x,1,11,train",
            "has label 'walk', split 'train', but by line 2 label 'run', split 'train'; keep one row",
        ),
        ("run,x,1.0,11,val", "has label 'run', split 'val', but by line 2 label 'run', split 'train'; keep one row"),
    ],
)
def test_kinetics400_row_that_contradicts_another(tmp_path: Path, row: str, said: str) -> None:
    table = kinetics(tmp_path, f"run,x,1,11,train\nrun,y,1,11,val\n{row}\n")
    found = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert found == f"{table}, line 4: 'x_000001_000011.mp4' {said}"


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (",x,1,11,train", "label is empty"),
        (" ,x,1,11,train", "label is empty"),
        ("run,,1,11,train", "youtube_id is ''"),
        ("run,a/b,1,11,train", "youtube_id is 'a/b'"),
        ("run,../x,1,11,train", "youtube_id is '../x'"),
    ],
)
def test_kinetics400_row_that_names_nothing(tmp_path: Path, row: str, wrong: str) -> None:
    table = kinetics(tmp_path, f"{row}\n")
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert said == f"{table}, line 2: {wrong} in {row!r}; a row names the video's label and its youtube_id"


def test_kinetics400_spaces_around_cells_count_for_nothing(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run , x,1, 11,train \n", " label, youtube_id,time_start,time_end,split\n")
    (video,) = list_videos(settings("kinetics400", tmp_path, table))
    assert (video.id, video.label, video.split) == ("x_000001_000011", "run", "train")


def test_kinetics400_column_that_is_there_twice(tmp_path: Path) -> None:
    header = ["label", "youtube_id", "time_start", "time_end", "split", "label"]
    table = kinetics(tmp_path, "a,x,1,11,train,b\n", ",".join(header) + "\n")
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert said == f"{table}: column 'label' is there twice; found {header}"


@pytest.mark.parametrize(("start", "end", "good"), [(0, 999_999, True), (-1, 9, False), (0, 1_000_000, False)])
def test_kinetics400_times_have_six_digits(tmp_path: Path, start: int, end: int, good: bool) -> None:
    table = kinetics(tmp_path, f"run,x,{start},{end},train\n")
    if good:
        assert [v.id for v in list_videos(settings("kinetics400", tmp_path, table))] == ["x_000000_999999"]
    else:
        assert f"{table}, line 2: 'run,x,{start},{end},train' is not" in message(
            lambda: list(list_videos(settings("kinetics400", tmp_path, table)))
        )


# ---- damaged


@pytest.mark.parametrize(
    ("adapter", "name", "content"),
    [
        ("ucf101", "trainlist01.txt", "Run/a.avi 1\nHand Stand/a b.avi 2\nWalk/c.avi 3\n"),
        ("hmdb51", "Run_test_split1.txt", "a.avi 1\na b.avi 2\nc.avi 0\n"),
        ("kinetics400", "table.csv", HEADER + 'Run,x,1,11,train\n"a, b",y,100,110,val\nrun,z,1.0,11.0,test\n'),
    ],
)
def test_a_damaged_list_is_read_or_refused_and_never_leaves_the_root(
    tmp_path: Path, adapter: str, name: str, content: str
) -> None:
    root = put(tmp_path / "videos", "Run/a.avi", "x_000001_000011.mp4")
    lists = ucf101(tmp_path, test="Zed/z.avi\n")
    annotations = lists / name if adapter == "kinetics400" else lists
    generator, read = random.Random(adapter), 0
    for _ in range(200):
        pieces = [b"../", b"/etc/", b"Run/../../", b" 1", b"\xe2\x80\xa8"]
        (lists / name).write_bytes(damaged(generator, content.encode(), pieces))
        try:
            videos = list(list_videos(settings(adapter, root, annotations)))
        except ActaError as error:
            assert str(lists) in str(error)  # noqa: PT017
            continue
        read += 1
        for video in videos:
            assert video.id
            assert video.label
            assert os.path.normpath(root / video.path).startswith(f"{root}/")
    assert 20 < read < 180

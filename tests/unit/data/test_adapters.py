"""Adapters: which files of a dataset are listed, and where those that are annotated are found."""

import errno
import json
import os
from pathlib import Path

import pytest

from pipeline.data.adapters import list_videos
from pipeline.data.build_manifest import build_manifest
from pipeline.media.lists import Listed, write_lists
from pipeline.media.manifest import read_manifest
from pipeline.runtime.errors import ActaError
from tests.unit.data.datasets import THEN, hmdb51, in_folder, kinetics, message, put, settings, ucf101

# ---- demo


def test_demo_lists_the_clips_as_they_are(footage: Path) -> None:
    videos = list(list_videos(settings("demo", footage)))[:4]
    assert [(v.id, v.label, v.split) for v in videos] == [
        ("giving_speech/obama_speech.mp4", "giving_speech", ""),
        ("talking_in_car/carphone_pristine.mp4", "talking_in_car", ""),
        ("riding_bike/bikes.mp4", "riding_bike", ""),
        ("playing_in_park/park.mp4", "playing_in_park", ""),
    ]
    assert [v.size for v in videos] == [(footage / v.path).stat().st_size for v in videos]


def test_demo_needs_no_files_to_be_listed(tmp_path: Path) -> None:
    assert len(list(list_videos(settings("demo", tmp_path / "none")))) == 4 + 8 * (16 + 10)


# ---- folder


def test_folder_of_classes(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4", "walk/b.avi")
    assert in_folder(tmp_path) == [
        Listed("run/a.mp4", "run/a.mp4", "run", "", 3, THEN),
        Listed("walk/b.avi", "walk/b.avi", "walk", "", 3, THEN),
    ]


@pytest.mark.parametrize("split", ["train", "training", "val", "valid", "validation", "test", "testing", "Train"])
def test_folder_with_splits(tmp_path: Path, split: str) -> None:
    put(tmp_path, f"{split}/run/a.mp4")
    name = f"{split}/run/a.mp4"
    assert in_folder(tmp_path) == [Listed(name, name, "run", split, 3, THEN)]


def test_folder_deeper_than_its_class(tmp_path: Path) -> None:
    put(tmp_path, "train/run/monday/a.mp4")
    assert [(v.label, v.split) for v in in_folder(tmp_path)] == [("run", "train")]


def test_folder_without_classes(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "val/b.mp4")
    assert [(v.id, v.label, v.split) for v in in_folder(tmp_path)] == [("a.mp4", "", ""), ("val/b.mp4", "", "val")]


def test_folder_lists_videos_only(tmp_path: Path) -> None:
    put(tmp_path, "run/a.MP4", "run/b.txt", "run/c.jpg", "run/mp4", "run/d.mkv", "run/e.webm", "run/thumbs.db")
    assert [v.id for v in in_folder(tmp_path)] == ["run/a.MP4", "run/d.mkv", "run/e.webm"]


def test_folder_leaves_hidden_names_out(tmp_path: Path) -> None:
    put(tmp_path, "run/.a.mp4", ".trash/run/b.mp4", "run/._c.mp4", "run/d.mp4")
    assert [v.id for v in in_folder(tmp_path)] == ["run/d.mp4"]


def test_folder_lists_an_empty_file(tmp_path: Path) -> None:
    """It is the manifest's to say that it is no video."""
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/a.mp4").write_bytes(b"")
    assert [v.size for v in in_folder(tmp_path)] == [0]


@pytest.mark.parametrize(
    "name", ["a\tb.mp4", "a\nb.mp4", "日本語.mp4", "a b.mp4", "k\udce9.mp4", '"a".mp4', "[1].mp4"], ids=ascii
)
def test_folder_with_a_strange_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"run/{name}")
    assert in_folder(tmp_path) == [Listed(f"run/{name}", f"run/{name}", "run", "", 3, THEN)]


def test_folder_follows_links(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a.mp4")
    (tmp_path / "data/run").mkdir(parents=True)
    (tmp_path / "data/run/b.mp4").symlink_to(tmp_path / "elsewhere/a.mp4")
    (tmp_path / "data/walk").symlink_to(tmp_path / "elsewhere")
    assert in_folder(tmp_path / "data") == [
        Listed("run/b.mp4", "run/b.mp4", "run", "", 3, THEN),
        Listed("walk/a.mp4", "walk/a.mp4", "walk", "", 3, THEN),
    ]


def test_folder_lists_a_link_to_nowhere(tmp_path: Path) -> None:
    """The manifest will put it on the quarantine list as missing; it must not vanish in silence."""
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/b.mp4").symlink_to("nowhere")
    assert [v.id for v in in_folder(tmp_path)] == ["run/a.mp4", "run/b.mp4"]


def test_folder_with_a_link_to_itself(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/b.mp4").symlink_to("b.mp4")
    assert [v.id for v in in_folder(tmp_path)] == ["run/a.mp4", "run/b.mp4"]


def test_folder_with_a_link_up_lists_every_video_once(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/up").symlink_to(tmp_path)
    assert [v.id for v in in_folder(tmp_path)] == ["run/a.mp4"]


@pytest.mark.parametrize("adapter", ["folder", "ucf101", "hmdb51", "kinetics400"])
def test_root_that_is_no_folder(tmp_path: Path, adapter: str) -> None:
    root = tmp_path / "none"
    said = message(lambda: list(list_videos(settings(adapter, root, tmp_path))))
    assert said == f"data.root {str(root)!r} is not a folder"


# ---- names that lead out of the data set's folder


@pytest.mark.parametrize("name", ["../secret", "/etc", "run/../../secret", "..", "a/.."])
def test_label_that_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    table = kinetics(tmp_path, f"run,x,1,11,train\n{name},y,1,11,train\n")
    said = message(lambda: list(list_videos(settings("kinetics400", tmp_path, table))))
    assert said == f"{table}, line 3: {name!r} leads out of the data set's folder; a name is below it and has no '..'"


@pytest.mark.parametrize("label", ["eat/drink", "wait..what", "..hidden", "a\\b"])
def test_label_that_only_looks_like_it(tmp_path: Path, label: str) -> None:
    table = kinetics(tmp_path, f"{label},y,1,11,train\n")
    assert [v.label for v in list_videos(settings("kinetics400", tmp_path, table))] == [label]


@pytest.mark.parametrize(
    "name", ["Run/../../secret/private.avi", "../secret/private.avi", "/secret/private.avi", "Run/..", "Run//../a.avi"]
)
def test_line_that_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    put(tmp_path, "secret/private.avi", "videos/Run/a.avi")
    said = f"line 2: {name!r} leads out of the data set's folder; a name is below it and has no '..'"
    lists = ucf101(tmp_path, f"Run/a.avi 1\n{name} 1\n")
    found = message(lambda: list(list_videos(settings("ucf101", tmp_path / "videos", lists))))
    assert found == f"{lists / 'trainlist01.txt'}, {said}"
    lists = hmdb51(tmp_path, {"run_test_split2.txt": f"a.avi 1\n{name} 2\n"})
    found = message(lambda: list(list_videos(settings("hmdb51", tmp_path / "videos", lists))))
    assert found == f"{lists / 'run_test_split2.txt'}, {said}"


def test_class_in_a_list_s_own_name_that_leads_out(tmp_path: Path) -> None:
    lists = hmdb51(tmp_path, {".._test_split1.txt": "a.avi 1\n"})
    said = message(lambda: list(list_videos(settings("hmdb51", tmp_path, lists))))
    assert said.startswith(f"{lists / '.._test_split1.txt'}: '..' leads out of")


def test_what_is_missing_is_not_opened(tmp_path: Path) -> None:
    """A link with a hidden name is not listed, so a label that names it must not lead through it either."""
    clip = put(tmp_path / "secret", "y_000001_000011.mp4")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/.link").symlink_to(clip)
    table = kinetics(tmp_path, ".link,y,1,11,train\n")
    (video,) = list_videos(settings("kinetics400", tmp_path / "videos", table))
    assert (tmp_path / "videos" / video.path).is_file()
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps([video]))
    build_manifest(listed, tmp_path / "videos", tmp_path / "manifest.json")
    manifest = read_manifest(tmp_path / "manifest.json")
    assert manifest.videos == []
    assert [entry.reason for entry in manifest.quarantine] == ["missing: .link/y_000001_000011.mp4"]


# ---- files that are there several times


NAME = "x_000001_000011.mp4"


def found_of(root: Path, tmp_path: Path) -> str:
    table = kinetics(tmp_path, "run,x,1,11,train\n")
    (video,) = list_videos(settings("kinetics400", root, table))
    return video.path


@pytest.mark.parametrize(
    ("good", "other"),
    [
        (f"replacement_for_corrupted_k400/{NAME}", f"train/{NAME}"),
        (f"replacement_for_corrupted_k400/{NAME}", f"zzz/{NAME}"),
        (f"k400/Replacement/part_1/{NAME}", f"k400/val/{NAME}"),
    ],
)
def test_replacement_is_taken(tmp_path: Path, capsys, good: str, other: str) -> None:
    root = put(tmp_path / "videos", good, other)
    assert found_of(root, tmp_path) == good
    assert capsys.readouterr().err == (
        f"annotated files that lie below {root} more than once: 1; the replacement, or the only one that is not empty, "
        f"is taken, such as {good}\n"
    )


@pytest.mark.parametrize("broken", ["empty", "dangling", "looping"])
def test_file_that_is_good_is_taken(tmp_path: Path, capsys, broken: str) -> None:
    """Even where the other one lies among the replacements."""
    root = put(tmp_path / "videos", f"a/{NAME}", f"replacement/{NAME}")
    bad = root / "replacement" / NAME
    bad.unlink()
    if broken == "empty":
        bad.touch()
    else:
        bad.symlink_to("nowhere" if broken == "dangling" else NAME)
    assert found_of(root, tmp_path) == f"a/{NAME}"
    assert capsys.readouterr().err.endswith(f"such as a/{NAME}\n")


def test_link_to_a_file_is_that_file(tmp_path: Path, capsys) -> None:
    root = put(tmp_path / "videos", f"a/{NAME}")
    (root / "b").mkdir()
    (root / "b" / NAME).symlink_to(root / "a" / NAME)
    assert found_of(root, tmp_path) in (f"a/{NAME}", f"b/{NAME}")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("names", [("a", "b"), ("replacement_1", "b/replacement"), ("xreplacement", "a")])
def test_two_files_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    root = put(tmp_path / "videos", *(f"{name}/{NAME}" for name in names))
    one, other = sorted(f"{name}/{NAME}" for name in names)
    said = message(lambda: found_of(root, tmp_path))
    assert said == f"{root} has two videos for {NAME!r}: {one} and {other}; remove what is not meant"


def test_files_that_no_annotation_names_may_be_there_twice(tmp_path: Path, capsys) -> None:
    root = put(tmp_path / "videos", f"a/{NAME}", "a/other.mp4", "b/other.mp4")
    assert found_of(root, tmp_path) == f"a/{NAME}"
    assert capsys.readouterr().err == ""


def test_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch) -> None:
    root = put(tmp_path / "videos", "a/b.mp4", "locked/c.mp4")
    scan = os.scandir

    def scan_or_refuse(path: Path):
        if path.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_or_refuse)
    said = message(lambda: in_folder(root))
    assert said == f"cannot list the folder {root / 'locked'}: Permission denied"


# ---- the same for all that have annotations


def test_video_listed_twice_counts_once(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run,x,1,11,train\nrun,x,1,11,train\n")
    assert [v.id for v in list_videos(settings("kinetics400", tmp_path, table))] == ["x_000001_000011"]


def test_two_files_of_one_id_are_an_error(tmp_path: Path) -> None:
    lists = ucf101(tmp_path, "A/a.avi 1\nB/a.mp4 2\n")
    with pytest.raises(ActaError, match=r"two videos have the id 'a': 'A/a\.avi' and 'B/a\.mp4'"):
        write_lists(list_videos(settings("ucf101", tmp_path, lists)), tmp_path / "out", 2)


def test_hidden_file_is_not_taken_for_an_annotated_one(tmp_path: Path) -> None:
    table = kinetics(tmp_path, "run,x,1,11,train\n")
    root = put(tmp_path / "videos", ".part/x_000001_000011.mp4")
    assert [v.size for v in list_videos(settings("kinetics400", root, table))] == [-1]


def test_one_file_more_rewrites_its_list_only(tmp_path: Path) -> None:
    """From the files on disk to the lists: the unit of what reruns."""
    root = put(tmp_path / "videos", *(f"run/{k}.mp4" for k in range(8)))
    lists = tmp_path / "lists"
    assert write_lists(list_videos(settings("folder", root)), lists, 2) == ["0-of-2", "1-of-2"]
    for path in lists.iterdir():
        os.utime(path, (THEN, THEN))
    before = {path.name: path.read_bytes() for path in lists.iterdir()}
    put(root, "run/new.mp4")
    write_lists(list_videos(settings("folder", root)), lists, 2)
    touched = [path.name for path in lists.iterdir() if path.stat().st_mtime_ns != THEN * 10**9]
    changed = [path.name for path in lists.iterdir() if path.read_bytes() != before[path.name]]
    assert touched == changed
    assert len(changed) == 1

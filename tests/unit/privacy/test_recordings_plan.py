"""Which file goes where, what is left out, and what is passed over."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.privacy.recordings_plan import Job, make_plan
from pipeline.runtime.errors import ActaError
from tests.unit.privacy.anonymizing import WHOLE, acta, plan, tree


def test_a_folder_goes_into_a_folder(recordings: Path, tmp_path: Path, short_clip: Path) -> None:
    for name in ("old.avi", "phone.3gp", ".hidden.mp4", ".trash/x.mp4", "notes.txt", "raw.y4m", "no_suffix", "up.MP4"):
        (recordings / name).parent.mkdir(exist_ok=True)
        shutil.copy(short_clip, recordings / name)
    made = plan(recordings, to=tmp_path / "out")
    names = {
        str(job.source.relative_to(recordings)): str(job.output.relative_to(tmp_path / "out")) for job in made.jobs
    }
    assert names == {
        "a.mp4": "a.mp4",
        "b.mp4": "b.mp4",
        "d.png": "d.png",
        "deep/c.mp4": "deep/c.mp4",
        "old.avi": "old.mkv",
        "phone.3gp": "phone.mkv",
        "up.MP4": "up.MP4",
    }
    assert made.unknown == {".txt": 1, ".y4m": 1, "no suffix": 1}
    assert [job.is_photograph for job in made.jobs] == [False, False, True, False, False, False, False]


def test_one_file_goes_into_a_file_or_a_folder(short_clip: Path, tmp_path: Path) -> None:
    assert plan(short_clip, to=tmp_path / "new.mkv").jobs == [Job(short_clip, tmp_path / "new.mkv")]
    assert plan(short_clip, to=tmp_path).jobs == [Job(short_clip, tmp_path / "clip.mp4")]
    assert plan(short_clip, short_clip, to=tmp_path / "new").jobs == [Job(short_clip, tmp_path / "new/clip.mp4")]


def test_the_output_in_an_input_folder_is_no_input(recordings: Path) -> None:
    """Once more with the same words, and nothing is anonymised twice."""
    first = plan(recordings, to=recordings / "anonymised")
    assert acta(recordings, recordings / "anonymised", *WHOLE) == 0
    for _ in range(2):
        again = plan(recordings, to=recordings / "anonymised", skip=True)
        assert (again.jobs, again.skipped, again.left_out) == ([], first.jobs, [])
        assert acta(recordings, recordings / "anonymised", *WHOLE, "--skip-existing") == 0
    assert [name for name in tree(recordings) if "anonymised/anonymised" in name] == []
    assert len(tree(recordings / "anonymised")) == 4


def test_two_inputs_of_one_output_are_named_and_the_others_go_on(tmp_path: Path, short_clip: Path, capsys: Any) -> None:
    for name in ("x/a.mp4", "y/a.mp4", "z/b.mp4"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(short_clip, tmp_path / name)
    assert acta(tmp_path / "x", tmp_path / "y/a.mp4", tmp_path / "z", tmp_path / "out", *WHOLE) == 1
    out, error = capsys.readouterr()
    one, other, target = (str(tmp_path / name) for name in ("x/a.mp4", "y/a.mp4", "out/a.mp4"))
    assert f"error: {one}: its output {target} would also be that of {other}; rename one\n" in error
    assert f"error: {other}: its output {target} would also be that of {one}; rename one\n" in error
    assert out.startswith("1 video done: 3 frames, each hidden whole\n2 left out:\n")
    assert tree(tmp_path / "out") == ["b.mp4"]


@pytest.mark.parametrize("names", [("a.avi", "a.wmv"), ("a.avi", "a.mkv")])
def test_two_inputs_that_become_one_name_are_named(tmp_path: Path, short_clip: Path, names: tuple[str, str]) -> None:
    for name in names:
        shutil.copy(short_clip, tmp_path / name)
    made = plan(*(tmp_path / name for name in names), to=tmp_path / "out")
    assert made.jobs == []
    assert [path.name for path, _ in made.left_out] == list(names)


def test_two_outputs_that_a_linked_folder_makes_one_are_named(tmp_path: Path, short_clip: Path) -> None:
    for name in ("in/x/a.mp4", "in/y/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(short_clip, tmp_path / name)
    (tmp_path / "out/x").mkdir(parents=True)
    (tmp_path / "out/y").symlink_to("x")
    made = plan(tmp_path / "in", to=tmp_path / "out")
    assert (made.jobs, len(made.left_out)) == ([], 2)


def test_a_link_to_a_folder_is_left_out_and_said(recordings: Path, tmp_path: Path) -> None:
    (recordings / "elsewhere").symlink_to(tmp_path)
    made = plan(recordings, to=tmp_path / "out")
    assert made.left_out == [(recordings / "elsewhere", "a link to a folder is not followed; name it as an input")]
    assert len(made.jobs) == 4


def test_a_folder_that_cannot_be_read_is_an_error(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(folder: Path, onerror: Any) -> Iterator[Any]:
        onerror(PermissionError(13, "Permission denied", str(folder / "deep")))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(PermissionError):
        plan(recordings, to=recordings.parent / "out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.mp4", "there is no .*nowhere.mp4"),
        ("empty", r"no videos or photographs in .*empty; known suffixes: \.3gp .*\.jpg .*\.png"),
        ("phone.heic", r"phone\.heic: \.heic is not read; supported photographs are \.png \.jpg"),
        ("cut.AVIF", r"\.AVIF is not read"),
    ],
)
def test_inputs_that_cannot_be_are_refused_before_anything_is_begun(
    tmp_path: Path, short_clip: Path, name: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    for other in ("phone.heic", "cut.AVIF"):
        (tmp_path / other).touch()
    with pytest.raises(ActaError, match=message):
        plan(short_clip, tmp_path / name, to=tmp_path / "out")


def test_what_is_there_is_passed_over(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.mp4").write_text("there")
    (tmp_path / "out/.b.mp4.lock").touch()
    assert acta(recordings, tmp_path / "out", *WHOLE, "--skip-existing") == 0
    assert (tmp_path / "out/b.mp4").read_text() == "there"
    assert capsys.readouterr().out == (
        "2 videos and 1 photograph done: 7 frames, each hidden whole\n1 passed over, as the output was there\n"
    )
    assert acta(recordings, tmp_path / "out", *WHOLE, "--skip-existing") == 0
    out, error = capsys.readouterr()
    assert out == "nothing done\n4 passed over, as the output was there\n"
    assert error == ""
    assert tree(tmp_path / "out") == ["a.mp4", "b.mp4", "d.png", "deep/c.mp4"]


def test_a_folder_in_the_place_of_an_output_is_not_passed_over(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out/b.mp4").mkdir(parents=True)
    (tmp_path / "out/a.mp4").symlink_to("nowhere")
    made = plan(recordings, to=tmp_path / "out", skip=True)
    assert [path.name for path, _ in made.left_out] == ["a.mp4", "b.mp4"]
    assert made.skipped == []


@pytest.mark.parametrize("how", ["link", "hard link", "relative", "folder"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_an_output_is_never_an_input(
    recordings: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, how: str, overwrite: list[str]
) -> None:
    before = {name: (recordings / name).read_bytes() for name in tree(recordings)}
    arguments: list[Path] = [recordings / "a.mp4", recordings.parent / "other.mp4"]
    if how == "link":
        arguments[1].symlink_to(recordings / "a.mp4")
    elif how == "hard link":
        os.link(recordings / "a.mp4", arguments[1])
    elif how == "relative":
        monkeypatch.chdir(recordings)
        arguments = [Path("deep/../b.mp4"), Path("b.mp4")]
    else:
        arguments = [recordings, recordings]
    assert acta(*arguments, *WHOLE, *overwrite) == 1
    assert "is an input; choose another output" in capsys.readouterr().err
    assert {name: (recordings / name).read_bytes() for name in tree(recordings)} == before


@pytest.mark.parametrize("several", [False, True])
def test_a_file_cannot_take_several_outputs(tmp_path, several):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).touch()
    output = tmp_path / "out.mp4"
    output.write_text("precious")
    inputs = [folder / "a.mp4", folder / "b.mp4"] if several else [folder]
    with pytest.raises(ActaError, match=r"out\.mp4 is a file; several inputs, or a folder of them, need a folder"):
        make_plan(inputs, output, overwrite=True, skip_existing=False, preview=False)
    assert output.read_text() == "precious"

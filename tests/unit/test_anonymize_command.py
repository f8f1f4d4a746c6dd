"""`acta anonymize` as a person uses it: many files, what is never overwritten, what is told, how it ends.

Most tests hide every frame whole, for which no detector runs, as it is the files that they are about.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import anonymize_command as command
from pipeline import anonymize_run
from pipeline.anonymize_plan import Job, make_plan
from pipeline.anonymize_run import LeftOut, Moved, Said
from pipeline.cli import command_parser, main
from pipeline.errors import ActaError
from pipeline.media import encode
from pipeline.privacy.anonymize import Anonymized
from pipeline.privacy.instances import DetectionShard
from tests.clips import write_clip

WHOLE = ["--filter", "frame", "--preset", "ultrafast"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=3)


@pytest.fixture
def recordings(tmp_path: Path, clip: Path) -> Path:
    """A folder with three videos, one of them deeper, and a photograph."""
    for name in ("a.mp4", "b.mp4", "deep/c.mp4"):
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / "recordings" / name)
    Image.new("RGB", (64, 48), (90, 90, 90)).save(tmp_path / "recordings/d.png")
    return tmp_path / "recordings"


def acta(*arguments: object) -> int:
    return main(["anonymize", *map(str, arguments)])


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def plan(*inputs: Path, to: Path, overwrite: bool = False, skip: bool = False, preview: bool = False) -> Any:
    return make_plan(list(inputs), to, overwrite=overwrite, skip_existing=skip, preview=preview)


# ---- nothing is overwritten unasked


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_detections_never_replace_a_video(tmp_path: Path, clip: Path, capsys: Any, overwrite: list[str]) -> None:
    """The order of a command line that is one word short."""
    videos = [Path(shutil.copy(clip, tmp_path / name)) for name in ("a.mp4", "b.mp4")]
    assert acta("--keep-detections", *videos, tmp_path / "out/", *overwrite) == 1
    assert f"--keep-detections {videos[0]} must end in .h5" in capsys.readouterr().err
    assert [video.read_bytes() for video in videos] == [clip.read_bytes()] * 2
    assert tree(tmp_path) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link", "pipe"])
@pytest.mark.parametrize("which", ["output", "detections"])
@pytest.mark.parametrize("name", ["clip.mp4", "in.png"])
def test_what_is_there_stays(recordings: Path, tmp_path: Path, capsys: Any, kind: str, which: str, name: str) -> None:
    source = recordings / {"clip.mp4": "a.mp4", "in.png": "d.png"}[name]
    (tmp_path / "out").mkdir()
    there = tmp_path / "out" / source.name if which == "output" else tmp_path / "found.h5"
    (tmp_path / "target").write_text("precious")
    match kind:
        case "file":
            there.write_text("precious")
        case "folder":
            there.mkdir()
        case "link":
            there.symlink_to(tmp_path / "target")
        case "dangling link":
            there.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(there)

    def everything() -> list[tuple[Path, int, int]]:
        return [(path, path.lstat().st_ino, path.lstat().st_size) for path in sorted(tmp_path.rglob("*"))]

    before = everything()
    assert acta(source, tmp_path / "out", *WHOLE, "--keep-detections", tmp_path / "found.h5") == 1
    words = "which is never replaced" if kind in ("folder", "pipe") else "exists; --overwrite replaces it"
    assert f"{there} " in (error := capsys.readouterr().err)
    assert words in error
    assert everything() == before


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


def test_detections_are_no_output_and_no_input(tmp_path: Path, clip: Path, capsys: Any) -> None:
    Path(shutil.copy(clip, tmp_path / "in.h5"))
    assert acta(tmp_path / "in.h5", tmp_path / "out.mp4", "--keep-detections", tmp_path / "in.h5", "--overwrite") == 1
    assert "in.h5 is an input; choose another output" in capsys.readouterr().err
    assert tree(tmp_path) == ["in.h5"]


def test_overwriting_is_done_when_asked_for(tmp_path: Path, clip: Path, capsys: Any) -> None:
    for name in ("out.mp4", "found.h5"):
        (tmp_path / name).write_text("old")
    assert acta(clip, tmp_path / "out.mp4", *WHOLE, "--keep-detections", tmp_path / "found.h5", "--overwrite") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'out.mp4'}: 3 frames, each hidden whole\n"
    assert DetectionShard(tmp_path / "found.h5").ids == ["clip.mp4"]
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_of_two_runs_on_one_output_one_is_refused(tmp_path: Path, clip: Path, capsys: Any) -> None:
    from pipeline.files import atomic

    for overwrite in (False, True):
        with atomic(tmp_path / "out.mp4", overwrite=overwrite) as temporary:
            temporary.write_text("the other's")
            options = ["--overwrite"] if overwrite else []
            assert acta(clip, tmp_path / "out.mp4", *WHOLE, *options) == 1
        assert "is being written by another run" in capsys.readouterr().err
        assert tree(tmp_path) == ["out.mp4"]
        assert (tmp_path / "out.mp4").read_text() == "the other's"


def test_a_damaged_video_leaves_no_detections(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(clip.read_bytes()[:300])
    assert acta(tmp_path / "in.mp4", tmp_path / "out.mp4", *WHOLE, "--keep-detections", tmp_path / "found.h5") == 1
    assert tree(tmp_path) == ["in.mp4"]


# ---- which file goes where


def test_a_folder_goes_into_a_folder(recordings: Path, tmp_path: Path, clip: Path) -> None:
    for name in ("old.avi", "phone.3gp", ".hidden.mp4", ".trash/x.mp4", "notes.txt", "raw.y4m", "no_suffix", "up.MP4"):
        (recordings / name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, recordings / name)
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


def test_one_file_goes_into_a_file_or_a_folder(clip: Path, tmp_path: Path) -> None:
    assert plan(clip, to=tmp_path / "new.mkv").jobs == [Job(clip, tmp_path / "new.mkv")]
    assert plan(clip, to=tmp_path).jobs == [Job(clip, tmp_path / "clip.mp4")]
    assert plan(clip, clip, to=tmp_path / "new").jobs == [Job(clip, tmp_path / "new/clip.mp4")]


def test_the_output_in_an_input_folder_is_no_input(recordings: Path) -> None:
    """Once more with the same words, and nothing is anonymised twice."""
    first = plan(recordings, to=recordings / "anonymised")
    assert acta(recordings, recordings / "anonymised", *WHOLE) == 0
    for _ in range(2):
        again = plan(recordings, to=recordings / "anonymised", skip=True)
        assert (again.jobs, again.there, again.left_out) == ([], first.jobs, [])
        assert acta(recordings, recordings / "anonymised", *WHOLE, "--skip-existing") == 0
    assert [name for name in tree(recordings) if "anonymised/anonymised" in name] == []
    assert len(tree(recordings / "anonymised")) == 4


def test_two_inputs_of_one_output_are_named_and_the_others_go_on(tmp_path: Path, clip: Path, capsys: Any) -> None:
    for name in ("x/a.mp4", "y/a.mp4", "z/b.mp4"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(clip, tmp_path / name)
    assert acta(tmp_path / "x", tmp_path / "y/a.mp4", tmp_path / "z", tmp_path / "out", *WHOLE) == 1
    out, error = capsys.readouterr()
    one, other, target = (str(tmp_path / name) for name in ("x/a.mp4", "y/a.mp4", "out/a.mp4"))
    assert f"error: {one}: its output {target} would also be that of {other}; rename one\n" in error
    assert f"error: {other}: its output {target} would also be that of {one}; rename one\n" in error
    assert out.startswith("1 video done: 3 frames, each hidden whole\n2 left out:\n")
    assert tree(tmp_path / "out") == ["b.mp4"]


@pytest.mark.parametrize("names", [("a.avi", "a.wmv"), ("a.avi", "a.mkv")])
def test_two_inputs_that_become_one_name_are_named(tmp_path: Path, clip: Path, names: tuple[str, str]) -> None:
    for name in names:
        shutil.copy(clip, tmp_path / name)
    made = plan(*(tmp_path / name for name in names), to=tmp_path / "out")
    assert made.jobs == []
    assert [path.name for path, _ in made.left_out] == list(names)


def test_two_outputs_that_a_linked_folder_makes_one_are_named(tmp_path: Path, clip: Path) -> None:
    for name in ("in/x/a.mp4", "in/y/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(clip, tmp_path / name)
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
    tmp_path: Path, clip: Path, name: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    for other in ("phone.heic", "cut.AVIF"):
        (tmp_path / other).touch()
    with pytest.raises(ActaError, match=message):
        plan(clip, tmp_path / name, to=tmp_path / "out")


# ---- containers


@pytest.mark.parametrize("name", ["in.y4m", "in.dv", "in.m3u8", "in.wav"])
def test_another_container_is_named_as_one(tmp_path: Path, capsys: Any, name: str) -> None:
    content = {
        ".y4m": b"YUV4MPEG2 W8 H8 F25:1 C420jpeg\n" + (b"FRAME\n" + bytes(96)) * 3,
        ".dv": bytes([0x1F, 0x07, 0x00, 0x3F]) * 36000,
        ".m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n",
        ".wav": b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data" + bytes(2052),
    }  # fmt: skip
    (tmp_path / name).write_bytes(content[Path(name).suffix])
    assert acta(tmp_path / name, tmp_path / "out.mp4", *WHOLE) == 1
    error = capsys.readouterr().err
    assert f"{name}: cannot be opened: not a supported container" in error
    assert "matroska" in error or "mkv" in error
    assert "Invalid argument" not in error
    assert tree(tmp_path) == [name]


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("clip.mp4", "out.png", "cannot write out.png: choose one of .mp4"),
        ("in.png", "out.mp4", "cannot write out.mp4 from a photograph: choose one of .png"),
    ],
)
def test_a_video_is_no_photograph(
    tmp_path: Path, clip: Path, capsys: Any, source: str, output: str, message: str
) -> None:
    shutil.copy(clip, tmp_path / "clip.mp4")
    Image.new("L", (64, 48)).save(tmp_path / "in.png")
    assert acta(tmp_path / source, tmp_path / output, *WHOLE) == 1
    assert message in capsys.readouterr().err
    assert tree(tmp_path) == ["clip.mp4", "in.png"]


# ---- many files


def test_jobs_do_what_one_process_does(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    (recordings / "bad.mp4").write_text("no video")
    told = []
    for jobs in (1, 3):
        assert acta(recordings, tmp_path / str(jobs), *WHOLE, "--jobs", jobs) == 1
        told.append(capsys.readouterr())
    assert told[0].out == told[1].out
    assert told[0].out.startswith("3 videos and 1 photograph done: 10 frames, each hidden whole\n1 left out:\n")
    assert tree(tmp_path / "1") == tree(tmp_path / "3") == ["a.mp4", "b.mp4", "d.png", "deep/c.mp4"]
    assert all(f"error: {recordings / 'bad.mp4'}: " in each.err for each in told)


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
    assert made.there == []


def test_skipping_and_overwriting_exclude_each_other() -> None:
    with pytest.raises(SystemExit, match="2"):
        command_parser("anonymize").parse_args(["a", "b", "--skip-existing", "--overwrite"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs 0 is below 1"),
        (["--crf", "52"], "--crf 52 is not in 0 to 51"),
        (["--crf", "-1"], "--crf -1 is not in 0 to 51"),
        (["--crf", "0", "--jobs", "1", "--weights", "nowhere.onnx"], "nowhere.onnx"),
        (["--crf", "51", "--jobs", "1", "--weights", "nowhere.onnx"], "nowhere.onnx"),
    ],
)
def test_values_out_of_range_are_named(
    clip: Path, tmp_path: Path, capsys: Any, arguments: list[str], message: str
) -> None:
    assert acta(clip, tmp_path / "out.mp4", *arguments) == 1
    assert message in capsys.readouterr().err


def test_options_reach_the_encoder(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(anonymize_run, "run", lambda jobs, treatment, *rest: seen.append(treatment))
    options = (
        "--crf 18 --preset slow --audio drop --keep chapters --keep subtitles --keep-what-is-whole --shape ellipse"
    )
    assert acta(clip, tmp_path / "out.mp4", *options.split(), "--overwrite", *WHOLE[:2]) == 0
    [treatment] = seen
    assert treatment.encoding == encode.Encoding(
        crf=18, preset="slow", audio="drop", keep=frozenset({"chapters", "subtitles"}), keep_what_is_whole=True
    )
    assert (treatment.obfuscate.shape, treatment.overwrite, treatment.preview) == ("ellipse", True, False)


def test_what_can_be_kept_is_what_the_encoder_can_keep() -> None:
    assert command.KEEPABLE == encode.KEEPABLE


def test_missing_weights_are_one_error_and_not_one_a_file(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    assert acta(recordings, tmp_path / "out", "--weights", "nowhere.onnx") == 1
    assert capsys.readouterr().err.count("nowhere.onnx") == 1
    assert not (tmp_path / "out").exists()


def test_no_detector_is_made_where_none_is_needed(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr("pipeline.privacy.detectors.make_detector", made.append)
    assert acta(recordings / "a.mp4", tmp_path / "out.mp4", *WHOLE) == 0
    assert acta(recordings / "a.mp4", tmp_path / "out.mp4", "--skip-existing") == 0
    assert made == []


def test_no_library_speaks(recordings: Path, tmp_path: Path) -> None:
    """In processes of its own, with the detectors whose runtimes are known to."""
    whole = (recordings / "a.mp4").read_bytes()
    (recordings / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for what in ("faces", "bodies"):
        for jobs in ("1", "2"):
            words = [sys.executable, "-m", "pipeline", "anonymize", str(recordings), str(tmp_path / what / jobs)]
            done = subprocess.run([*words, "--what", what, "--jobs", jobs], capture_output=True, text=True)
            ours = ("error: ", "1/5", "2/5", "3/5", "4/5", "5/5")
            assert [line for line in done.stderr.splitlines() if not line.startswith(ours)] == []
            assert done.returncode == 1


# ---- how far it is


def report(tmp_path: Path, counts: dict[str, int | None], monkeypatch: pytest.MonkeyPatch) -> Any:
    made = plan_of([tmp_path / name for name in counts])
    monkeypatch.setattr(command, "_frame_count", lambda job: counts[job.source.name])
    return command._Report(made, treatment(), debug=False)


def plan_of(sources: list[Path]) -> Any:
    from pipeline.anonymize_plan import Plan

    return Plan(jobs=[Job(source, source.with_suffix(".out.mp4")) for source in sources])


def treatment(what: str = "faces", **changes: Any) -> Any:
    obfuscate = Namespace(filter="blur")
    return Namespace(stage=Namespace(what=what), obfuscate=obfuscate, preview=False, **changes)


def test_progress_is_weighed_by_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that does not say how many it has, the mean of the others is assumed."""
    with report(tmp_path, {"a.mp4": 100, "b.mp4": 300, "c.mkv": None}, monkeypatch) as shown:
        bar = shown._bar
        assert bar._total == 600
        shown(0, Moved(0))
        assert bar._desc == "1/3 a.mp4"
        shown(0, Moved(60))
        shown(1, Moved(0))
        shown(1, Moved(100))
        assert (bar.done, bar._desc) == (160, "2/3 b.mp4")
        shown(0, Moved(150))  # more than it announced
        assert bar.done == 200
        shown(0, Anonymized(150, 7, 0))
        shown(1, LeftOut("damaged"))
        assert bar.done == 400
        shown(2, Moved(0))
        shown(2, Anonymized(90, 1, 2, ("something was lost",)))
        assert (bar.done, bar._desc) == (600, "3/3 c.mkv")


def test_where_no_file_says_how_long_it_is_frames_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with report(tmp_path, {"a.mkv": None}, monkeypatch) as shown:
        shown(0, Moved(0))
        assert (shown._bar._total, shown._bar._desc) == (None, "a.mkv")
        shown(0, Moved(40))
        shown(0, Anonymized(50, 7, 0))
        assert shown._bar.done == 40


def test_long_names_leave_room_for_the_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with report(tmp_path, {"a" * 60 + ".mp4": 1, "b.mp4": 1}, monkeypatch) as shown:
        shown(0, Moved(0))
        assert shown._bar._desc == f"1/2 {'a' * 39}…"


@pytest.mark.parametrize(
    ("codec", "suffix", "frames"),
    [("libx264", ".mp4", 12), ("libx264", ".mkv", 12), ("libx264", ".ts", 12), ("mpeg4", ".avi", 12)],
)
def test_frames_are_counted_as_the_header_says(tmp_path: Path, codec: str, suffix: str, frames: int) -> None:
    path = write_clip(tmp_path / f"in{suffix}", codec=codec)
    assert abs((command._frame_count(Job(path, path)) or 0) - frames) <= 1
    assert command._frame_count(Job(Path("a.png"), path)) == 1
    (tmp_path / "bad.mp4").write_text("no video")
    assert command._frame_count(Job(tmp_path / "bad.mp4", path)) is None


@pytest.mark.parametrize(
    ("count", "shares"),
    [(2, [[0, 2, 4], [1, 3]]), (4, [[0, 4], [1], [2], [3]]), (5, [[0], [1], [2], [3], [4]]), (7, [[0], [1]])],
)
def test_processes_share_the_cores(count: int, shares: list[list[int]]) -> None:
    cores = range(5)
    assert [list(anonymize_run._share(cores, number, count)) for number in range(count)][-len(shares) :] == shares


class Pipe:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, event: Any) -> None:
        self.sent.append(event)


def test_a_worker_tells_how_far_it_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(anonymize_run.time, "monotonic", lambda: now[0])
    pipe = Pipe()
    reporter = anonymize_run._Reporter(pipe)  # type: ignore[arg-type]
    for frames in range(1, 9):
        now[0] += 0.07
        reporter(frames)
    assert pipe.sent == [Moved(3), Moved(6)]


def test_a_worker_sends_whole_lines() -> None:
    pipe = Pipe()
    lines = anonymize_run._Lines(pipe)  # type: ignore[arg-type]
    for text in ("one", " line", "\n", "two\nthree\nhalf"):
        lines.write(text)
    assert pipe.sent == [Said("one line"), Said("two"), Said("three")]


# ---- what is told at the end


def test_the_summary_says_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    shown = report(tmp_path, dict.fromkeys(("a.mp4", "b.jpg", "c.mp4", "d.mp4"), 1), monkeypatch)
    shown._plan.there.append(Job(Path("e.mp4"), Path("e.mp4")))
    shown._plan.unknown.update([".txt", ".y4m", ".txt"])
    with shown:
        shown(0, Anonymized(1000, 2345, 2, ("its sound was converted",)))
        shown(1, Anonymized(1, 1, 0))
        shown(2, Said("detection failed on a frame"))
        shown(2, LeftOut("damaged"))
        shown(3, LeftOut("a bug", "Traceback"))
    assert shown.summary() == 1
    out, error = capsys.readouterr()
    a, c, d = (tmp_path / name for name in ("a.mp4", "c.mp4", "d.mp4"))
    assert out.splitlines() == [
        "1 video and 1 photograph done: 2,346 faces hidden in 1,001 frames; "
        "2 frames hidden whole, as the detector failed",
        "1 passed over, as the output was there",
        "not looked at, as neither videos nor photographs by name: 2 .txt, 1 .y4m",
        "2 left out:",
        f"  {c}: damaged",
        f"  {d}: a bug",
    ]
    lines = error.splitlines()
    assert f"note: {a}: its sound was converted" in lines
    assert f"{c}: detection failed on a frame" in lines
    assert f"error: {c}: damaged" in lines
    assert "Traceback" not in error


@pytest.mark.parametrize(("what", "words"), [("faces", "1 face hidden"), ("bodies", "1 body hidden")])
def test_one_file_has_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, what: str, words: str
) -> None:
    shown = report(tmp_path, {"a.mp4": 1}, monkeypatch)
    shown._treatment.stage.what = what
    with shown:
        shown(0, Anonymized(1, 1, 0))
    assert shown.summary() == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.out.mp4'}: {words} in 1 frame\n"


@pytest.mark.parametrize("other", ["there", "left_out"])
def test_two_files_have_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, other: str) -> None:
    shown = report(tmp_path, {"a.mp4": 1}, monkeypatch)
    job = Job(Path("e.mp4"), Path("e.out.mp4"))
    if other == "there":
        shown._plan.there.append(job)
    else:
        shown._plan.left_out.append((job.source, "it is there"))
        shown._failed = [(job.source, "it is there")]
    with shown:
        shown(0, Anonymized(1, 1, 0))
    assert shown.summary() == (other == "left_out")
    rest = "1 passed over, as the output was there" if other == "there" else "1 left out:\n  e.mp4: it is there"
    assert capsys.readouterr().out == f"1 video done: 1 face hidden in 1 frame\n{rest}\n"


def test_one_file_that_fails_has_one_line(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    assert acta(tmp_path / "bad.mp4", tmp_path / "out.mp4", *WHOLE) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1


def test_a_bug_costs_one_file(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    real = anonymize_run.anonymize_file

    def broken(job: Job, *rest: Any) -> Anonymized:
        problem = {"a.mp4": ZeroDivisionError("by zero"), "b.mp4": MemoryError(), "c.mp4": OSError(5, "Bad", "c.mp4")}
        if job.source.name in problem:
            raise problem[job.source.name]
        return real(job, *rest)

    monkeypatch.setattr(anonymize_run, "anonymize_file", broken)
    assert acta(recordings, tmp_path / "out", *WHOLE) == 1
    error = capsys.readouterr().err
    assert "a.mp4: a bug in acta, not in the file: ZeroDivisionError: by zero (--debug shows where)" in error
    assert "b.mp4: there is not enough memory for it" in error
    assert "c.mp4: c.mp4: Bad" in error
    assert "Traceback" not in error
    assert tree(tmp_path / "out") == ["d.png"]
    main(["--debug", "anonymize", str(recordings), str(tmp_path / "again"), *WHOLE])
    assert "Traceback" in capsys.readouterr().err


# ---- previews


def test_a_preview_is_called_one_and_is_its_owners(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    assert acta(recordings, tmp_path / "out", "--preview") == 0
    assert tree(tmp_path / "out") == ["a.preview.mp4", "b.preview.mp4", "d.preview.png", "deep/c.preview.mp4"]
    modes = {stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in tree(tmp_path / "out")}
    assert modes == {0o600}
    out = capsys.readouterr().out
    assert out.endswith("Previews show faces; they are for your eyes, and only you can read them.\n")
    assert "0 faces drawn in 10 frames" in out
    assert len(plan(recordings, to=tmp_path / "out", skip=True).jobs) == 4  # for anonymised copies they do not pass


@pytest.mark.parametrize("name", ["out.mp4", "preview.mp4", "out.preview"])
def test_a_preview_under_another_name_is_refused(clip: Path, tmp_path: Path, capsys: Any, name: str) -> None:
    assert acta(clip, tmp_path / name, "--preview") == 1
    assert "a preview shows faces, and its name has to say so: call it " in capsys.readouterr().err
    assert tree(tmp_path) == []


# ---- names


@pytest.mark.parametrize("letter", ["a", "é", "漢"])
def test_names_of_250_bytes(tmp_path: Path, clip: Path, letter: str) -> None:
    name = letter * (246 // len(letter.encode())) + ".mp4"
    shutil.copy(clip, tmp_path / name)
    assert acta(tmp_path / name, tmp_path / "out" / name, *WHOLE) == 0
    assert acta(tmp_path, tmp_path / "again", *WHOLE, "--jobs", 2) == 0
    assert name in tree(tmp_path / "again")


# ---- the end


@pytest.fixture
def footage_folder(tmp_path: Path, footage: Path) -> Path:
    for k in range(2):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(footage / "giving_speech/obama_speech.mp4", tmp_path / f"in/{k}.mp4")
    return tmp_path / "in"


def begun(folder: Path, output: Path, jobs: int) -> "subprocess.Popen[str]":
    """The command in a process group of its own, when it has begun to write as many files as it may at a time."""
    words = [sys.executable, "-m", "pipeline", "anonymize", str(folder), str(output), "--jobs", str(jobs)]
    process = subprocess.Popen(
        [*words, "--interval", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and len(list(output.glob(".*.tmp*"))) < jobs:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "everybody"), [(signal.SIGTERM, False), (signal.SIGHUP, True), (signal.SIGINT, True)]
)
def test_a_signal_leaves_nothing_unfinished(
    footage_folder: Path, tmp_path: Path, jobs: int, number: signal.Signals, everybody: bool
) -> None:
    process = begun(footage_folder, tmp_path / "out", jobs)
    (os.killpg if everybody else os.kill)(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert error.splitlines()[-1] == ("interrupted" if number == signal.SIGINT else f"ended by {number.name}")
    assert "Traceback" not in error
    assert tree(tmp_path / "out") == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_kill_the_next_run_goes_on(footage_folder: Path, tmp_path: Path, jobs: int) -> None:
    """Workers end with the process that began them, even where it could not tell them so."""
    process = begun(footage_folder, tmp_path / "out", jobs)
    workers = children(process.pid)
    assert (len(workers) >= 2) == (jobs == 2)
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.01)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
    assert [name for name in tree(tmp_path / "out") if not name.startswith(".")] == []
    assert acta(footage_folder, tmp_path / "out", *WHOLE, "--skip-existing", "--jobs", jobs) == 0
    assert tree(tmp_path / "out") == ["0.mp4", "1.mp4"]


def children(pid: int) -> list[int]:
    """A process's descendants."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [deeper for child in found for deeper in children(child)]


def test_a_worker_that_dies_costs_one_file(footage_folder: Path, tmp_path: Path) -> None:
    process = begun(footage_folder, tmp_path / "out", 2)
    victim = next(path for path in (tmp_path / "out").glob(".*.tmp*"))
    os.kill(int(victim.name.split(".")[4]), signal.SIGKILL)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the process died on it (killed by SIGKILL): a crash in a codec, or out of memory" in error
    assert out.startswith("1 video done: 210 faces hidden in 105 frames\n1 left out:\n")
    assert len(tree(tmp_path / "out")) == 1

"""What is told while files are anonymised, and at the end."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from pipeline.privacy import recordings_report as module
from pipeline.privacy.anonymize import Anonymized
from pipeline.privacy.recordings_plan import Job, Plan
from pipeline.privacy.recordings_report import Outlook, Report, count_frames
from pipeline.privacy.recordings_run import LeftOut, Moved, Said
from pipeline.runtime.progress import Progress
from tests.clips import write_clip
from tests.unit.privacy.anonymizing import WHOLE, acta
from tests.unit.runtime.test_progress import Terminal


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Jobs by name of the file, each with its size in bytes and the frames that it announces."""

    def jobs(**files: tuple[int, int | None]) -> list[Job]:
        counts = {}
        for name, (size, frames) in files.items():
            source = tmp_path / name.replace("_", ".")
            source.write_bytes(bytes(size))
            counts[source] = frames
        monkeypatch.setattr(module, "count_frames", lambda job: counts[job.source])
        return [Job(source, source.with_suffix(f".out{source.suffix}")) for source in counts]

    return jobs


def report(jobs: list[Job], *, what: str = "faces", debug: bool = False, **plan: Any) -> Any:
    obfuscate = Namespace(filter="blur")
    treatment: Any = Namespace(search=Namespace(what=what), obfuscate=obfuscate, preview=False)
    return Report(Plan(jobs, **plan), treatment, Progress(unit="frames", desc=""), debug=debug)


# ---- how far it is


def test_until_a_file_is_begun_its_size_stands_for_its_frames(jobs: Any) -> None:
    shown = report(jobs(a_mp4=(1000, 100), b_mp4=(3000, 330), c_mkv=(2000, None), d_png=(999, 1)))
    bar = shown._bar
    assert bar._total is None
    shown.take(0, Moved(0))
    assert (bar.done, bar._total, bar._desc) == (0, 601, "1/4 a.mp4")  # a tenth of a frame a byte, and a photograph
    shown.take(0, Moved(60))
    shown.take(1, Moved(0))
    # 430 frames in 4,000 bytes, so c.mkv has 215
    assert (bar.done, bar._total, bar._desc) == (60, 646, "2/4 b.mp4")
    shown.take(0, Moved(150))  # more than it announced
    assert (bar.done, bar._total) == (150, 696)
    shown.take(0, Anonymized(150, 7, 0))
    shown.take(2, Moved(0))
    shown.take(2, Moved(40))
    assert (bar.done, bar._total, bar._desc) == (190, 696, "3/4 c.mkv")
    shown.take(2, Anonymized(170, 1, 2, ("something was lost",)))
    assert (bar.done, bar._total) == (320, 651)
    shown.take(1, Moved(30))
    assert (bar.done, bar._total) == (350, 651)
    shown.take(1, LeftOut("damaged"))  # whose frames do not count
    assert (bar.done, bar._total) == (320, 321)
    shown.take(3, Moved(0))
    shown.take(3, Anonymized(1, 0, 0))
    assert (bar.done, bar._total, bar._desc) == (321, 321, "4/4 d.png")


def test_a_file_that_says_nothing_teaches_at_its_end(jobs: Any) -> None:
    outlook = Outlook(jobs(a_mkv=(1000, None), b_mkv=(500, None)))
    outlook.begin(0, None)
    outlook.move(0, 7)
    assert (outlook.done, outlook.total) == (7, None)
    outlook.end(0, 20)
    assert (outlook.done, outlook.total) == (20, 30)
    outlook.begin(1, None)
    assert outlook.total == 30
    outlook.end(1, None)
    assert (outlook.done, outlook.total) == (20, 20)


def test_a_file_that_is_gone_has_no_frames(tmp_path: Path) -> None:
    outlook = Outlook([Job(tmp_path / "gone.mp4", tmp_path / "out.mp4")])
    outlook.begin(0, None)
    outlook.end(0, None)
    assert (outlook.done, outlook.total) == (0, None)


def test_photographs_are_a_frame_each(jobs: Any) -> None:
    outlook = Outlook(jobs(a_png=(10, 1), b_jpg=(9999, 1)))
    assert (outlook.done, outlook.total) == (0, 2)


def test_no_file_is_opened_before_it_is_begun(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = jobs(a_mp4=(5, 1), b_mp4=(5, 1), c_mp4=(5, 1))
    opened = []
    monkeypatch.setattr(module, "count_frames", lambda job: opened.append(job.source.name))
    shown = report(made)
    assert opened == []
    shown.take(1, Moved(0))
    shown.take(1, Moved(1))
    assert opened == ["b.mp4"]


def test_a_bar_learns_its_total(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = report(jobs(a_mp4=(1000, 8), b_mp4=(2000, 9)))
    with shown._bar:
        shown.take(0, Moved(0))
        shown.take(0, Moved(6))
    assert "1/2 a.mp4:  25%|" in terminal.getvalue().split("\r")[-1]
    assert "| 6/24 [" in terminal.getvalue()


def test_one_file_is_not_numbered_and_long_names_leave_room_for_the_bar(jobs: Any) -> None:
    shown = report(jobs(a_mkv=(9, None)))
    shown.take(0, Moved(0))
    assert (shown._bar._total, shown._bar._desc) == (None, "a.mkv")
    shown = report(jobs(**{"a" * 60 + "_mp4": (1, 1), "b" * 36 + "_mp4": (1, 1)}))
    for index, name in enumerate((f"1/2 {'a' * 39}…", f"2/2 {'b' * 36}.mp4")):
        shown.take(index, Moved(0))
        assert shown._bar._desc == name


@pytest.mark.parametrize(
    ("codec", "suffix", "frames"),
    [("libx264", ".mp4", 12), ("libx264", ".mkv", 12), ("libx264", ".ts", 12), ("mpeg4", ".avi", 12)],
)
def test_frames_are_counted_as_the_header_says(tmp_path: Path, codec: str, suffix: str, frames: int) -> None:
    path = write_clip(tmp_path / f"in{suffix}", codec=codec)
    assert abs((count_frames(Job(path, path)) or 0) - frames) <= 1
    assert count_frames(Job(Path("a.png"), path)) == 1
    (tmp_path / "bad.mp4").write_text("no video")
    assert count_frames(Job(tmp_path / "bad.mp4", path)) is None


# ---- what is told at the end


def test_the_summary_says_everything_once(tmp_path: Path, jobs: Any, capsys: Any) -> None:
    made = jobs(**dict.fromkeys(("a_mp4", "b_jpg", "c_mp4", "d_mp4"), (1, 1)))
    skipped = [Job(Path("e.mp4"), Path("e.mp4"))]
    shown = report(made, skipped=skipped, unknown={".txt": 2, ".y4m": 1}, left_out=[(Path("f.mp4"), "it is there")])
    for index in range(4):
        shown.take(index, Moved(0))
    shown.take(0, Anonymized(1000, 2345, 2, ("its sound was converted",)))
    shown.take(1, Anonymized(1, 1, 0))
    shown.take(2, Said("detection failed on a frame"))
    shown.take(2, LeftOut("damaged"))
    shown.take(3, LeftOut("a bug", "Traceback"))
    assert shown.summary() == 1
    out, error = capsys.readouterr()
    a, c, d = (tmp_path / name for name in ("a.mp4", "c.mp4", "d.mp4"))
    assert out.splitlines() == [
        "1 video and 1 photograph done: 2,346 faces hidden in 1,001 frames; "
        "2 frames hidden whole, as the detector failed",
        "1 passed over, as the output was there",
        "not looked at, as neither videos nor photographs by name: 2 .txt, 1 .y4m",
        "3 left out:",
        "  f.mp4: it is there",
        f"  {c}: damaged",
        f"  {d}: a bug",
    ]
    assert error.splitlines() == [
        "error: f.mp4: it is there",
        f"note: {a}: its sound was converted",
        f"{c}: detection failed on a frame",
        f"error: {c}: damaged",
        f"error: {d}: a bug",
    ]


def test_where_a_bug_arose_is_told_on_request(jobs: Any, capsys: Any) -> None:
    shown = report(jobs(a_mp4=(1, 1)), debug=True)
    shown.take(0, Moved(0))
    shown.take(0, LeftOut("a bug", "Traceback"))
    assert capsys.readouterr().err.endswith(": a bug\nTraceback\n")


@pytest.mark.parametrize(("what", "words"), [("faces", "1 face hidden"), ("bodies", "1 body hidden")])
def test_one_file_has_one_line(tmp_path: Path, jobs: Any, capsys: Any, what: str, words: str) -> None:
    shown = report(jobs(a_mp4=(1, 1)), what=what)
    shown.take(0, Moved(0))
    shown.take(0, Anonymized(1, 1, 0))
    assert shown.summary() == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.out.mp4'}: {words} in 1 frame\n"


@pytest.mark.parametrize("other", ["skipped", "left_out"])
def test_two_files_have_a_summary(jobs: Any, capsys: Any, other: str) -> None:
    job = Job(Path("e.mp4"), Path("e.out.mp4"))
    shown = report(jobs(a_mp4=(1, 1)), **{other: [job] if other == "skipped" else [(job.source, "it is there")]})
    shown.take(0, Moved(0))
    shown.take(0, Anonymized(1, 1, 0))
    assert shown.summary() == (other == "left_out")
    rest = "1 passed over, as the output was there" if other == "skipped" else "1 left out:\n  e.mp4: it is there"
    assert capsys.readouterr().out == f"1 video done: 1 face hidden in 1 frame\n{rest}\n"


def test_one_file_that_fails_has_one_line(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    assert acta(tmp_path / "bad.mp4", tmp_path / "out.mp4", *WHOLE) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1

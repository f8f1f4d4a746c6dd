"""Progress of long work: plain lines in a log, a bar on a terminal."""

import io
import sys
from contextlib import suppress

import pytest

from pipeline.runtime import progress as module
from pipeline.runtime.progress import Progress, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: ``clock[0]`` is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_seconds_and_a_last_one(clock, capsys):
    for _ in progress(range(12), total=12, unit="videos", desc="frames"):
        clock[0] += 4
    assert capsys.readouterr().err.splitlines() == [
        "frames  25 %  00:00:36 left  15.0 videos/min",
        "frames  50 %  00:00:24 left  15.0 videos/min",
        "frames  75 %  00:00:12 left  15.0 videos/min",
        "frames  100 %  00:00:00 left  15.0 videos/min",
        "frames  100 %  12 videos in 00:00:48  15.0 videos/min",
    ]


def test_what_an_earlier_run_has_done_does_not_count_as_speed(clock, capsys):
    with Progress(total=4500, done=450, unit="clips", desc="training") as bar:
        clock[0] += 100
        bar.describe("epoch 6/45", "loss 2.345")
        bar.update(90)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "epoch 6/45  12 %  01:13:20 left  54.0 clips/min  loss 2.345"
    assert last == "epoch 6/45  12 %  540 clips in 00:01:40  54.0 clips/min  loss 2.345"


def test_without_a_total_there_is_no_time_left(clock, capsys):
    with Progress(unit="frames", desc="a.mp4") as bar:
        clock[0] += 10
        bar.to(250)
        clock[0] += 3600
        bar.to(251)
    assert capsys.readouterr().err.splitlines() == [
        "a.mp4  250 frames in 00:00:10  25.0 frames/s",
        "a.mp4  251 frames in 01:00:10  4.2 frames/min",
        "a.mp4  251 frames in 01:00:10  4.2 frames/min",
    ]


def test_slow_work_is_counted_by_the_hour(clock, capsys):
    with Progress(total=2, unit="videos", desc="audit") as bar:
        clock[0] += 7200
        bar.update()
    assert "  0.5 videos/h" in capsys.readouterr().err


def test_short_work_has_one_line(clock, capsys):
    assert list(progress("ab", total=2, unit="videos", desc="frames")) == ["a", "b"]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nothing_is_said_of_no_work_of_hidden_work_or_after_an_error(clock, capsys):
    assert list(progress([], total=0, unit="videos", desc="frames")) == []
    with Progress(total=2, unit="videos", desc="frames", shown=False) as bar:
        bar.update(2)
    with suppress(ValueError), Progress(total=2, unit="videos", desc="frames") as bar:
        bar.update()
        raise ValueError
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_speed_and_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(total=4, unit="videos", desc="frames") as bar:
        bar.describe("frames 2", "loss 1.0")
        bar.update(4)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("frames 2: 100%|")
    assert "4/4" in last
    assert " videos/s" in last
    assert "loss 1.0" in last


def test_a_terminal_gets_the_count_where_there_is_no_total(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(unit="frames", desc="a.mp4") as bar:
        bar.to(7)
    assert terminal.getvalue().split("\r")[-1].startswith("a.mp4: 7 frames [")


def test_a_note_is_a_line_of_its_own(clock, capsys, monkeypatch):
    with Progress(total=2, unit="frames", desc="a.mp4") as bar:
        bar.note("note: something")
    assert capsys.readouterr().err == "note: something\n"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(total=2, unit="frames", desc="a.mp4") as bar:
        bar.update(1)
        bar.note("note: something")
    assert "\rnote: something\n" in terminal.getvalue().replace(" ", "").replace("note:", "note: ")

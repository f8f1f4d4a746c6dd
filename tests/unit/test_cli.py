"""The command line: how errors look, signals, pipes, costs."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands.table import OWN_FILES
from pipeline.runtime.ending import Ended
from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS
from tests import PROJECT

ACTA = [sys.executable, "-m", "pipeline"]


@pytest.fixture
def run(monkeypatch, capsys):
    """`acta config check`, with something else in place of what it does; returns status and what was printed."""

    def run(does, *arguments: str, terminal: bool = True) -> tuple[int, str]:
        monkeypatch.setattr("pipeline.commands.config._check", does)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        status = cli.main([*arguments] or ["config", "check"])
        return status, capsys.readouterr().err

    return run


def failing(error: BaseException):
    def does(options: argparse.Namespace) -> None:
        raise error

    return does


@pytest.mark.parametrize(
    ("typed", "meant"), [("hihglights", "highlights"), ("anonymise", "anonymize"), ("evaluate_spots", "evaluate")]
)
def test_the_nearest_command_is_suggested(typed, meant, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([typed, "--help"])
    assert f"invalid choice: {typed!r}; did you mean {meant!r}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"), [("extract_framse", "extract_frames"), ("evaluate-spots", "evaluate_spots")]
)
def test_the_nearest_task_is_suggested(typed, meant, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["task", typed, "--help"])
    assert f"there is no task {typed!r}; did you mean {meant!r}? `acta task` lists them" in capsys.readouterr().err


def test_nothing_is_suggested_in_place_of_what_is_like_no_task(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["task", "xyz"])
    assert "there is no task 'xyz'. `acta task` lists them" in capsys.readouterr().err


def test_without_a_task_they_are_listed_with_one_line_each(capsys):
    assert cli.main(["task"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[name, task.about] for name, task in TASKS.items()]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["task", "--help"])
    assert "\n".join(["tasks:", *lines]) in capsys.readouterr().out


def test_without_a_command_there_is_a_hint(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_mistake_is_one_block_without_a_traceback(run, terminal):
    assert run(failing(ActaError("a.mp4: bad\nb.mp4: worse")), terminal=terminal) == (
        1,
        "error: a.mp4: bad\n  b.mp4: worse\n",
    )


def test_a_missing_file_is_named(run, tmp_path):
    path = tmp_path / "missing"
    assert run(lambda options: path.read_text()) == (1, f"error: {path}: No such file or directory\n")


def test_a_bug_is_said_to_be_one(run):
    status, printed = run(failing(KeyError("frames")))
    assert status == 1
    assert printed.splitlines() == [
        "error: a bug in acta, not in what you gave it:",
        "  KeyError: 'frames'",
        "  The same command with --debug shows where it arose.",
    ]


@pytest.mark.parametrize("arguments", [["--debug", "config", "check"], ["config", "check", "--debug"]])
@pytest.mark.parametrize("error", [ZeroDivisionError("once"), ActaError("mistaken")])
def test_debug_shows_the_traceback(run, arguments, error):
    status, printed = run(failing(error), *arguments)
    assert status == 1
    assert "Traceback (most recent call last)" in printed
    assert "in does" in printed
    assert "error: " in printed.splitlines()[-1] + printed.splitlines()[-2]
    assert "--debug shows" not in printed


def test_a_log_has_the_traceback_of_a_bug_at_once(run):
    status, printed = run(failing(ZeroDivisionError("once")), terminal=False)
    assert status == 1
    assert printed.index("Traceback") < printed.index("error: a bug in acta")


def test_an_interrupted_command_says_so(run):
    assert run(failing(KeyboardInterrupt())) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("SIGINT", 130, "interrupted\n"),
        ("SIGTERM", 143, "ended by SIGTERM\n"),
        ("SIGHUP", 129, "ended by SIGHUP\n"),
    ],
)
def test_a_command_that_a_signal_ends_says_which(run, name, status, words):
    assert run(failing(Ended(getattr(signal, name)))) == (status, words)


@pytest.mark.parametrize(
    ("name", "hears"), [*((name, True) for name in sorted(OWN_FILES)), ("train_classifier", False)]
)
def test_commands_on_own_files_hear_signals(monkeypatch, name, hears):
    """Those of the workflow do not: a training has its own handlers."""
    heard = []
    options = argparse.Namespace(called=[name], costs_log=None, debug=False)
    options.run = lambda options: heard.append(signal.getsignal(signal.SIGHUP))
    monkeypatch.setattr(cli, "parse", lambda arguments: options)
    before = signal.getsignal(signal.SIGHUP)
    assert cli.main() == 0
    assert (heard != [before]) == hears
    assert signal.getsignal(signal.SIGHUP) == before


def test_debug_of_a_submitted_command_is_not_ours():
    options = cli.parse(["submit", "--", "task", "train_classifier", "--debug"])
    assert options.command == ["--", "task", "train_classifier", "--debug"]
    assert not options.debug


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "task extract_frames --help", "task", "config schema"])
def test_a_reader_that_leaves_is_no_error(arguments, unbuffered):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [*ACTA, *arguments.split()],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    os.close(write)
    # argparse, which prints the help, leaves out that nobody reads it.
    assert process.returncode in ((0, 141) if "--help" in arguments else (141,))
    assert process.stderr == b""


def test_a_pipe_to_another_process_that_breaks_is_an_error(run, monkeypatch, tmp_path):
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert run(failing(BrokenPipeError(32, "Broken pipe"))) == (1, "error: [Errno 32] Broken pipe\n")


def test_costs_of_a_command_are_kept_next_to_its_log(run, tmp_path):
    def kept(does) -> dict:
        log = tmp_path / "frames.log"
        run(does, "--costs", str(log), "config", "check")
        return json.loads((tmp_path / "frames.costs.jsonl").read_text().splitlines()[-1])

    assert kept(lambda options: None).items() >= {"command": "config", "finished": True}.items()
    assert kept(lambda options: 1)["finished"] is False
    assert kept(failing(ActaError("mistaken")))["finished"] is False


def test_costs_of_a_task_bear_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.data.build_manifest.build_manifest", lambda **named: None)
    line = f"--costs {tmp_path}/a.log task build_manifest --videos list --root . -o {tmp_path}/out.json"
    assert cli.main(line.split()) == 0
    kept = json.loads((tmp_path / "a.costs.jsonl").read_text().splitlines()[-1])
    assert kept.items() >= {"command": "build_manifest", "finished": True}.items()


def test_a_command_may_have_costs_of_its_own():
    own = "--results results/demo --costs results/demo/report/costs.csv --settings {} -o page.html"
    options = cli.parse(["--costs", "a.log", "task", "report_overview", *own.split()])
    assert options.costs_log == Path("a.log")
    assert options.costs == Path("results/demo/report/costs.csv")

"""The command line: the table of commands, what is imported when, how errors look, completion, costs."""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from pipeline.options import settings_of

from pipeline import cli
from pipeline.commands import classify as classify_command
from pipeline.commands.table import COMMANDS, GROUPS, OWN_FILES
from pipeline.config.classify import BackboneName
from pipeline.config.detect import ActorBackboneName, FeatureName
from pipeline.models.architecture import BASES, OPERATORS
from pipeline.runtime.ending import Ended
from pipeline.runtime.errors import ActaError
from tests import PROJECT

ACTA = [sys.executable, "-m", "pipeline"]
EXAMPLES = [(command.name, example) for command in COMMANDS.values() for example in command.examples]


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


# ---- the table


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_built_by_its_module(name):
    parser = cli.command_parser(name)
    assert parser.prog == f"acta {name}"
    assert parser.description


@pytest.mark.parametrize("where", sorted({command.parser for command in COMMANDS.values()}))
def test_a_module_adds_the_commands_that_the_table_says(where):
    added = cli.add_commands(argparse.ArgumentParser().add_subparsers(), where)
    assert sorted(added) == sorted(name for name, command in COMMANDS.items() if command.parser == where)


def test_every_stage_has_a_command():
    assert set(STAGES) <= set(COMMANDS)


def test_no_command_is_listed_twice():
    assert len(COMMANDS) == sum(map(len, GROUPS.values()))


def test_help_lists_every_command_with_one_line_under_its_heading(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    printed = capsys.readouterr().out.splitlines()
    places = [printed.index(f"{title}:") for title in GROUPS]
    assert places == sorted(places)
    for title, group in GROUPS.items():
        below = printed[printed.index(f"{title}:") + 1 :][: len(group)]
        assert [line.split()[0] for line in below] == [command.name for command in group]
    assert max(map(len, printed)) <= 100


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_a_command_line_that_the_parser_takes(name, example):
    program, *arguments = shlex.split(example)
    assert (program, arguments[0]) == ("acta", name)
    options = cli.parse(arguments)
    given = getattr(options, "settings", None)
    if given is not None and not given.startswith("@"):
        settings_of(options)
    if name == "submit":
        cli.parse(options.command[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_ends_with_its_examples(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    end = capsys.readouterr().out.rpartition("example")[2]
    assert COMMANDS[name].examples
    # A shell reads the lines with their backslashes as it reads the example in one line.
    joined = end.replace("\\\n", "").partition("\n")[2]
    assert shlex.split(joined) == shlex.split(" ".join(COMMANDS[name].examples))


def test_help_of_an_action_shows_its_own_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["weights", "list", "--help"])
    printed = capsys.readouterr().out
    assert printed.endswith("example:\n  acta weights list\n")
    assert "fetch" not in printed


def test_names_that_the_help_repeats_are_those_of_the_settings():
    assert sorted(classify_command.BACKBONES) == sorted(get_args(BackboneName)) == sorted(BASES)
    assert get_args(ActorBackboneName) == classify_command.ACTOR_BACKBONES
    assert get_args(FeatureName) == classify_command.FEATURES
    assert f"of {', '.join(OPERATORS)}," in cli.command_parser("complexity").format_help()


# ---- what is imported


def imported_by(code: str) -> set[str]:
    asked = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split())


def test_parsers_need_no_heavy_package():
    names = imported_by("from pipeline.cli import command_parser, COMMANDS\nfor name in COMMANDS: command_parser(name)")
    assert "pipeline.spotting_stages" in names
    heavy = {
        "numpy",
        "torch",
        "cv2",
        "av",
        "yaml",
        "pydantic",
        "h5py",
        "pandas",
        "matplotlib",
        "scipy",
        "tqdm",
        "shtab",
    }
    assert names & heavy == set()


def test_one_parser_needs_no_other_commands_module():
    names = imported_by("from pipeline.cli import command_parser\ncommand_parser('frames')")
    assert {name for name in names if name.endswith(("_command", "_stages"))} == {"pipeline.video_stages"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["anonymize", "--help"], ["train", "--help"]])
def test_help_is_there_at_once(arguments):
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([*ACTA, *arguments], capture_output=True, check=True, cwd=PROJECT)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.5


# ---- errors


@pytest.mark.parametrize(
    ("typed", "meant"), [("framse", "frames"), ("anonymise", "anonymize"), ("evaluate_spots", "evaluate_spots")]
)
def test_the_nearest_command_is_suggested(typed, meant, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([typed, "--help"])
    assert f"invalid choice: {typed!r}; did you mean {meant!r}?" in capsys.readouterr().err


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


@pytest.mark.parametrize(("name", "hears"), [*((name, True) for name in sorted(OWN_FILES)), ("train", False)])
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


# ---- outputs


@pytest.mark.parametrize(
    "line",
    [
        "manifest {in} --root . -o {in}",
        "manifest {in} --root . -o {link}",
        "obfuscate {other} --detections {in} --settings x -o {link}",
        "obfuscate {in} --detections {other} --settings x -o {in}",
        "evaluate {other} {in} --settings x --predictions {link} -o new.json",
        "evaluate-detection {in} --lists . --label-map {other} --groundtruth x --settings x --detections {link} -o new",
        "predict-spots --lists . --games {in} --shards {other} --model {other} --settings x --about {link} -o new",
        "certify {in} --lists . --certificate {link} --table new.csv",
        "certify {in} --lists . --certificate new.json --table {link}",
        "statistics --lists . --faces {in} --table new.csv --figure {link}",
        "report-costs --logs . --plan {in} -o new.csv --figure {link}",
        "train-detector {other} --lists . --boxes {in} --settings x -o {link}",
        "average-features {other} {in} -o {link}",
        "anonymize {other} {in} --weights {link} --overwrite",
        "anonymize {other} new.mp4 --config {in} --keep-detections {link} --overwrite",
    ],
)
def test_no_output_is_an_input(line, tmp_path, capsys, monkeypatch):
    places = {"in": tmp_path / "in.bin", "other": tmp_path / "other.bin", "link": tmp_path / "link.bin"}
    for name in ("in", "other"):
        places[name].write_text("precious")
    places["link"].symlink_to("in.bin")
    assert cli.main(line.format(**places).split()) == 1
    assert "is an input; choose another output" in capsys.readouterr().err
    assert places["in"].read_text() == "precious"


@pytest.mark.parametrize(
    "line",
    [
        "anonymize {other} blur --filter blur --overwrite",
        "anonymize {other} a.mp4 --detector a.mp4 --overwrite",
        "report-architecture table_6_10 --results . --settings table_6_10 -o table_6_10",
        "train-spotting --lists . --games g --imported table --settings x -o table",
        "statistics --lists . --splits table --table table --figure new.png",
        "manifest list --root . -o old",  # which is rebuilt
    ],
)
def test_a_value_that_is_also_the_name_of_a_file_is_no_input(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("other", "blur", "a.mp4", "table_6_10", "table", "old"):
        (tmp_path / name).write_text("there")
    options = cli.parse(line.format(other="other").split())
    options.run = lambda options: print("run")
    monkeypatch.setattr(cli, "parse", lambda arguments: options)
    assert cli.main() == 0
    assert capsys.readouterr().out == "run\n"


def test_a_folder_that_is_read_and_written_is_no_input(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.commands.detect._convert", lambda options: None)
    assert cli.main(["convert-annotations", "jhmdb21", str(tmp_path), "-o", str(tmp_path)]) == 0


def test_no_two_outputs_are_one_file(tmp_path, capsys):
    assert cli.main(["certify", "a.json", "--certificate", "new.json", "--table", "./new.json"]) == 1
    assert "two outputs are the same file, new.json; choose another for one of them" in capsys.readouterr().err


def test_a_task_makes_its_output_anew(tmp_path, monkeypatch):
    (tmp_path / "out.json").write_text("old")
    monkeypatch.setattr("pipeline.video_stages._manifest", lambda options: None)
    assert cli.main(["manifest", "list", "--root", ".", "-o", str(tmp_path / "out.json")]) == 0


def test_debug_of_a_submitted_command_is_not_ours():
    options = cli.parse(["submit", "--", "train", "--debug"])
    assert options.command == ["--", "train", "--debug"]
    assert not options.debug


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "frames --help", "config schema"])
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


# ---- costs


def test_costs_of_a_command_are_kept_beside_its_log(run, tmp_path):
    def kept(does) -> dict:
        log = tmp_path / "frames.log"
        run(does, "--costs", str(log), "config", "check")
        return json.loads((tmp_path / "frames.costs.jsonl").read_text().splitlines()[-1])

    assert kept(lambda options: None).items() >= {"command": "config", "finished": True}.items()
    assert kept(lambda options: 1)["finished"] is False
    assert kept(failing(ActaError("mistaken")))["finished"] is False


def test_a_command_may_have_costs_of_its_own():
    options = cli.parse(["--costs", "a.log", *shlex.split(COMMANDS["report_overview"].examples[0])[1:]])
    assert options.costs_log == Path("a.log")
    assert options.costs == Path("results/demo/report/costs.csv")


# ---- completion


@pytest.fixture(scope="module")
def completion(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "acta.bash"
    script = subprocess.run([*ACTA, "completion", "bash"], capture_output=True, text=True, check=True, cwd=PROJECT)
    path.write_text(script.stdout)
    return path


def test_the_script_is_bash(completion):
    assert completion.stat().st_size > 10_000
    subprocess.run(["bash", "-n", str(completion)], check=True)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("anon", "anonymize"),
        ("--ver", "--version"),
        ("frames --sett", "--settings"),
        ("weights fe", "fetch"),
        ("complexity --backbone r3", "r3d_18"),
        ("frames mani", "manifest.json"),
        ("train --lists fold", "folder"),
    ],
)
def test_bash_completes(completion, tmp_path, typed, completed):
    (tmp_path / "manifest.json").touch()
    (tmp_path / "folder").mkdir()
    words = f"acta {typed}".split()
    code = (
        f"source {shlex.quote(str(completion))}\n"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "$(complete -p acta | sed 's/.*-F \\([^ ]*\\).*/\\1/') acta\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    found = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (found.stdout.split(), found.stderr) == ([completed], "")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_too(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["", "out.mp4"], ["in.mp4", ""], ["in.mp4", "out.mp4", "--weights", ""]])
def test_an_empty_argument_is_no_path(arguments, capsys):
    with pytest.raises(SystemExit):
        cli.main(["anonymize", *arguments])
    assert f"argument {arguments.index('') + 1} of anonymize is empty" in capsys.readouterr().err

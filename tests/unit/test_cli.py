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

from pipeline import cli
from pipeline.commands.table import COMMANDS, GROUPS, OWN_FILES
from pipeline.config.names import BackboneName
from pipeline.models.architecture import BASES, OPERATORS
from pipeline.runtime.ending import Ended
from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS
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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_module_adds_the_command_that_the_table_says(name):
    commands = argparse.ArgumentParser().add_subparsers()
    assert cli.add_command(commands, name) is commands.choices[name]
    assert list(commands.choices) == [name]


def test_every_module_that_adds_a_command_is_in_the_table():
    adding = {
        path.stem for path in (PROJECT / "pipeline/commands").glob("*.py") if "def add_options" in path.read_text()
    }
    assert adding == {name.replace("-", "_") for name in COMMANDS}


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


def test_names_that_the_help_repeats_are_those_of_the_networks():
    assert sorted(get_args(BackboneName)) == sorted(BASES)
    assert f"of {', '.join(OPERATORS)}," in cli.command_parser("complexity").format_help()


# ---- what is imported


HEAVY = {
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
HELP = [["--help"], ["task", "train_classifier", "--help"], ["anonymize", "--help"]]


def imported_by(code: str) -> set[str]:
    asked = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=PROJECT)
    return set(done.stdout.splitlines()[-1].split())


def commands_among(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("pipeline.commands.")} - {"pipeline.commands.table"}


def test_parsers_need_no_heavy_package():
    names = imported_by("from pipeline.cli import command_parser, COMMANDS\nfor name in COMMANDS: command_parser(name)")
    assert "pipeline.commands.spot" in names
    assert names & HEAVY == set()


def test_parsers_of_tasks_need_no_heavy_package_and_none_of_the_tasks():
    names = imported_by("from pipeline.tasks import TASKS\nfor task in TASKS.values(): task.parser()")
    assert names & (HEAVY | {task.dotted for task in TASKS.values()}) == set()


@pytest.mark.parametrize("arguments", [*HELP, ["task", "--help"], ["task"]])
def test_help_needs_no_heavy_package(arguments):
    names = imported_by(f"from pipeline import cli\ntry: cli.main({arguments})\nexcept SystemExit: print()")
    assert names & HEAVY == set()


def test_one_parser_needs_no_other_commands_module():
    names = imported_by("from pipeline.cli import command_parser\ncommand_parser('spot')")
    assert commands_among(names) == {"pipeline.commands.spot"}
    names = imported_by("from pipeline import cli\ncli.parse('task get_footage --root a'.split())")
    assert commands_among(names) == {"pipeline.commands.task"}


@pytest.mark.parametrize("arguments", [*HELP, ["--version"]])
def test_help_is_there_at_once(arguments):
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([*ACTA, *arguments], capture_output=True, check=True, cwd=PROJECT)
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.5


# ---- errors


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


# ---- outputs


@pytest.mark.parametrize(
    "line",
    [
        "task build_manifest --videos {in} --root . -o {in}",
        "task build_manifest --videos {in} --root . -o {link}",
        "task obfuscate --frames {other} --detections {in} --settings x -o {link}",
        "task obfuscate --frames {in} --detections {other} --settings x -o {in}",
        "task evaluate_classifier --model {other} --shards {in} --listed l --settings x --predictions {link} -o new",
        "task evaluate_stage --shards {in} --label-map {other} --truth x --settings x --detections {link} -o new",
        "task predict_spots --manifests {in} --shards {other} --model {other} --settings x --about {link} -o new",
        "task certify --audits {in} --lists . --certificate {link} --table new.csv",
        "task certify --audits {in} --lists . --certificate new.json --table {link}",
        "task draw_sensitive_information --detections faces={in} --table new.csv --figure {link}",
        "task report_costs --logs . --plan {in} -o new.csv --figure {link}",
        "task train_detector --shards {other} --lists . --boxes {in} --settings x -o {link}",
        "task average_actor_features --one {other} --other {in} -o {link}",
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
        "task draw_architecture --name table_6_10 --results . --settings table_6_10 -o table_6_10",
        "task train_spotter --lists . --manifests g --imported table --settings x -o table",
        "task draw_sensitive_information --detections faces=a --splits table --table table --figure new.png",
        "task build_manifest --videos list --root . -o old",  # which is rebuilt
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
    monkeypatch.setattr("pipeline.commands.convert_annotations._convert", lambda options: None)
    assert cli.main(["convert-annotations", "jhmdb21", str(tmp_path), "-o", str(tmp_path)]) == 0


def test_no_two_outputs_are_one_file(tmp_path, capsys):
    words = ["--audits", "a.json", "--certificate", "new.json", "--table", "./new.json"]
    assert cli.main(["task", "certify", *words]) == 1
    assert "two outputs are the same file, new.json; choose another for one of them" in capsys.readouterr().err


def test_a_task_makes_its_output_anew(tmp_path, monkeypatch):
    (tmp_path / "out.json").write_text("old")
    monkeypatch.setattr("pipeline.data.build_manifest.build_manifest", lambda **named: None)
    assert cli.main(f"task build_manifest --videos list --root . -o {tmp_path}/out.json".split()) == 0


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


# ---- costs


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
        ("task build_man", "build_manifest"),
        ("task extract_frames --sett", "--settings"),
        ("weights fe", "fetch"),
        ("complexity --backbone r3", "r3d_18"),
        ("task extract_frames --manifest mani", "manifest.json"),
        ("task train_classifier --lists fold", "folder"),
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
    assert all(name in printed for name in (*COMMANDS, *TASKS))


@pytest.mark.parametrize("arguments", [["", "out.mp4"], ["in.mp4", ""], ["in.mp4", "out.mp4", "--weights", ""]])
def test_an_empty_argument_is_no_path(arguments, capsys):
    with pytest.raises(SystemExit):
        cli.main(["anonymize", *arguments])
    assert f"argument {arguments.index('') + 1} of anonymize is empty" in capsys.readouterr().err

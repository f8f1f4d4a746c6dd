"""What the command line imports, and when: help is there at once."""

import statistics
import subprocess
import sys
import time

import pytest

from pipeline.tasks import TASKS
from tests import PROJECT

ACTA = [sys.executable, "-m", "pipeline"]


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

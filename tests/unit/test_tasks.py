"""The table of tasks: each has a module, a command and a digest that holds every module its result depends on."""

import ast
from pathlib import Path

import pytest

from pipeline.plan.work import JOBS
from pipeline.runtime.digest import (
    DECIDE_NOTHING,
    DECIDES,
    canonical_source,
    code_digest,
    digest_code,
    imported,
    reached,
)
from pipeline.task import Task
from pipeline.tasks import TASKS, task_of, weight_of
from tests import PROJECT

INERT = tuple(DECIDE_NOTHING)


def file_of(task: Task) -> str:
    return f"{task.dotted.replace('.', '/')}.py"


def all_imported(file: str) -> set[str]:
    """What a module imports at any remove, whether it decides anything or not."""
    seen: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imported(current)
    return seen


REACHED = {name: reached(file_of(task)) for name, task in TASKS.items()}
EVERYTHING = frozenset[str]().union(*REACHED.values())


# ---- rows


def test_no_task_is_missing_in_the_table() -> None:
    """A task is a function that bears the name of its module and has an output."""
    found = set()
    for path in (PROJECT / "pipeline").rglob("*.py"):
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        for function in functions:
            arguments = [*function.args.args, *function.args.kwonlyargs]
            annotations = {ast.unparse(argument.annotation) for argument in arguments if argument.annotation}
            if function.name == path.stem and "Output" in annotations:
                found.add(path.relative_to(PROJECT / "pipeline").with_suffix("").as_posix().replace("/", "."))
    assert len(found) > 30
    assert found <= {task.module for task in TASKS.values()}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_described_whole(name: str) -> None:
    """As help shows it: what it does, and each of its parameters."""
    task = TASKS[name]
    assert task.about
    flat = [part for parameter in task.parameters for part in task._fields(parameter) or (parameter,)]
    assert [parameter.name for parameter in flat if not parameter.about and parameter.name != "workers"] == []
    assert task.parser().prog == f"acta task {name}"


@pytest.mark.parametrize("name", TASKS)
def test_settings_bear_the_name_of_their_task(name: str) -> None:
    settings = TASKS[name].settings
    if settings is not None:
        assert settings.__name__ == "".join(word.title() for word in name.split("_"))
        assert settings.__module__.startswith("pipeline.config.tasks.")


@pytest.mark.parametrize(
    ("rule", "task"),
    [
        ("train_classifier", "train_classifier"),
        ("train_classifier_alone", "train_classifier"),
        ("evaluate_stage_backbone", "evaluate_stage"),
        ("collect_quarantine_detection", "collect_quarantine"),
        ("collect_game_quarantine", "collect_game_quarantine"),
        ("train_classifiers", None),
        ("train", None),
        ("all", None),
    ],
)
def test_a_rule_runs_the_task_whose_name_it_begins_with(rule: str, task: str | None) -> None:
    found = task_of(rule)
    assert (found and found.name) == task


def test_jobs_without_a_weight_are_all_alike() -> None:
    assert weight_of("collect_quarantine") is JOBS
    assert weight_of("train_classifier_alone") is TASKS["train_classifier"].weight
    assert weight_of("all") is None


# ---- digests


@pytest.mark.parametrize("name", TASKS)
def test_digest_is_that_of_all_that_is_imported(name: str) -> None:
    task = TASKS[name]
    assert file_of(task) in REACHED[name]
    assert code_digest(task.dotted) == digest_code(REACHED[name])
    wanted = {file for module in REACHED[name] for file in imported(module)}
    left_out = wanted - REACHED[name]
    assert [file for file in left_out if not file.startswith(INERT) or file in DECIDES] == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("extract_frames", "pipeline/media/decode.py"),
        ("detect_people", "pipeline/privacy/face_detectors.py"),  # imported in a function
        ("detect_people", "pipeline/config/detectors.py"),
        ("obfuscate", "pipeline/privacy/filters.py"),
        ("train_classifier", "pipeline/training/loop.py"),
        ("try_hypothesis", "pipeline/models/architecture.py"),
        ("train_stage", "pipeline/models/stage.py"),
        ("evaluate_spots", "pipeline/metrics/average_map.py"),
        ("draw_classification", "pipeline/report/thesis.yaml"),
    ],
)
def test_some_modules_that_surely_decide(name: str, file: str) -> None:
    assert file in REACHED[name]


@pytest.mark.parametrize("name", TASKS)
def test_no_task_depends_on_the_table(name: str) -> None:
    """Or a change of any row would rerun everything."""
    assert all_imported(file_of(TASKS[name])) & {"pipeline/tasks.py", "pipeline/task.py"} == set()


@pytest.mark.parametrize("place", DECIDE_NOTHING)
def test_what_decides_nothing_is_there_and_would_be_reached(place: str) -> None:
    """An exception that no task needs any more would hide a module that one day decides a result."""
    assert (PROJECT / place).exists()
    assert place.endswith("/") == (PROJECT / place).is_dir()
    assert any(file.startswith(place) for module in EVERYTHING for file in imported(module))
    assert DECIDE_NOTHING[place]


@pytest.mark.parametrize("file", sorted(DECIDES))
def test_what_decides_all_the_same_is_there_and_is_reached(file: str) -> None:
    assert file.startswith(INERT)
    assert file in EVERYTHING


def test_no_import_is_relative() -> None:
    """Those are not followed."""
    modules = (PROJECT / "pipeline").rglob("*.py")
    assert [path for path in modules if "\nfrom ." in path.read_text() or " from ." in path.read_text()] == []


@pytest.mark.parametrize("package", sorted((PROJECT / "pipeline").rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_package_files_hold_no_code(package: Path) -> None:
    """They are imported with every module, and no digest holds them. Neither decides a result."""
    variables = ("PYTHONSAFEPATH", "PYTHONPATH", "ORT_DISABLE_TELEMETRY")
    allowed = ("__version__ = ", "import os\n", *(f'os.environ["{name}"] = ' for name in variables))
    lines = package.read_text().splitlines(keepends=True)
    assert canonical_source("".join(line for line in lines if not line.startswith(allowed))) == "Module()"


def test_tasks_that_do_not_reach_the_same_have_different_digests() -> None:
    assert len({code_digest(task.dotted) for task in TASKS.values()}) == len(set(REACHED.values()))

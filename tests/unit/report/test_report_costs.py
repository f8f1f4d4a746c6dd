"""What a run has cost, compared with what was expected."""

import csv

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS
from tests.unit.plan.made import write_costs
from tests.unit.plan.test_expectation import plan_of, rule_plan


def run(*arguments) -> None:
    options = TASKS["report_costs"].parser().parse_args([*map(str, arguments)])
    options.run(options)


@pytest.fixture
def logs(tmp_path):
    logs = tmp_path / "logs" / "demo"
    write_costs(
        logs, "extract_frames/a", 1800.0, cpu_seconds=3600.0, began="2026-01-02T00:00:00Z", output_bytes=2_000_000
    )
    write_costs(
        logs, "extract_frames/b", 1800.0, cpu_seconds=1800.0, began="2026-01-02T01:00:00Z", peak_memory_mb=250.4
    )
    write_costs(logs, "train_classifier/a", 7200.0, gpu_seconds=7200.0, energy_wh=400.0, began="2026-01-02T02:00:00Z")
    write_costs(logs, "make_actions", 60.0, began="2025-12-31T00:00:00Z", finished=False)
    plan_of(
        logs,
        extract_frames=rule_plan(cpu_hours=3.0, basis="a basis"),
        train_classifier=rule_plan(jobs=4, to_run=4, gpu_jobs=4, cpu_hours=0.0, gpu_hours=4.0),
        make_actions=rule_plan(),
    )
    return logs


def test_the_table(logs, tmp_path):
    output = tmp_path / "costs.csv"
    run("--logs", logs, "--plan", logs / "plan.json", "-o", output, "--figure", tmp_path / "costs.png")
    with output.open() as file:
        rows = {row["rule"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["make_actions", "extract_frames", "train_classifier", "total"]
    frames = rows["extract_frames"]
    assert (frames["jobs"], frames["wall hours"], frames["CPU hours"]) == ("2", "1.0000", "1.5000")
    assert (frames["peak memory MB"], frames["written MB"], frames["energy Wh"]) == ("250", "2.0", "–")
    assert (frames["expected hours"], frames["measured/expected"], frames["expected by"]) == (
        "3.0000",
        "0.50",
        "a basis",
    )
    train = rows["train_classifier"]
    # One of four jobs has run, in two hours of a GPU.
    assert (train["GPU hours"], train["expected hours"], train["measured/expected"]) == ("2.0000", "1.0000", "2.00")
    # It ran before the plan was made.
    assert (rows["make_actions"]["expected hours"], rows["make_actions"]["unfinished"]) == ("–", "1")
    assert (rows["total"]["jobs"], rows["total"]["measured/expected"]) == ("4", "0.88")
    assert output.with_suffix(".md").is_file()
    assert "make_actions" in output.with_suffix(".html").read_text()
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_plan_there_is_what_was_measured(logs, tmp_path):
    run("--logs", logs, "-o", tmp_path / "costs.csv", "--figure", tmp_path / "costs.png")
    with (tmp_path / "costs.csv").open() as file:
        assert {row["expected hours"] for row in csv.DictReader(file)} == {"–"}


def test_no_cost_files_are_an_error(tmp_path):
    with pytest.raises(ActaError, match=r"no cost files: .* run it first"):
        run("--logs", tmp_path, "-o", tmp_path / "costs.csv")


def test_a_run_that_was_not_planned_says_so(logs, tmp_path):
    run("--logs", logs, "--plan", tmp_path / "none.json", "-o", tmp_path / "costs.csv", "--figure", tmp_path / "a.png")
    assert "Nothing was planned before the run" in (tmp_path / "costs.md").read_text()


def test_a_damaged_plan_is_an_error(logs, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(ActaError, match=r"plan.json is no plan of `acta plan`"):
        run("--logs", logs, "--plan", tmp_path / "plan.json", "-o", tmp_path / "costs.csv")

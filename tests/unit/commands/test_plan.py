"""``acta plan`` on a workflow of a few rules: what it prints, keeps, refuses."""

from pathlib import Path

import pytest

from pipeline import cli
from pipeline.plan.expectation import read_reference
from pipeline.plan.outlook import read_plan
from pipeline.runtime.errors import ActaError
from tests.unit.plan.made import write_costs

SNAKEFILE = """
rule all:
    input: "b.txt"
rule certify:
    output: "a.txt"
    shell: "touch {output}"
rule select_hypothesis:
    input: "a.txt"
    output: "b.txt"
    shell: "touch {output}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "no_reference.yaml").write_text("rules: {}")
    monkeypatch.setattr("pipeline.plan.expectation.REFERENCE", tmp_path / "no_reference.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    options = cli.parse(["plan", *arguments])
    status: int = options.run(options)
    return status


def words(line: str) -> list[str]:
    return line.split()


def test_it_prints_and_keeps_the_plan(folder, capsys):
    write_costs(folder / "logs" / "demo", "certify/a", 3600.0, cpu_seconds=5400.0, output_bytes=2_000_000)
    assert run("--jobs", "4") == 0
    lines = capsys.readouterr().out.splitlines()
    assert words(lines[1]) == ["certify", "1", "1.50", "–", "2.0", "MB", "mean", "of", "1", "earlier", "here"]
    assert words(lines[3]) == ["total", "3", "at", "least", "1.50", "–", "at", "least", "2.0", "MB"]
    assert "Longest chain: at least 1.00 hours, one job at a time: certify → select_hypothesis → all" in lines
    assert "With 4 jobs at once, if each takes one core: at least 1.00 hours." in lines
    plan = read_plan(folder / "logs" / "demo" / "plan.json")
    assert plan.rules["certify"].cpu_hours == 1.5
    assert plan.jobs_at_once == 4
    assert not (folder / "b.txt").exists()


def test_what_was_expected_of_rules_that_are_done_stays(folder):
    """Else a plan that is made when all but the report is done would leave nothing to compare with."""
    logs = folder / "logs" / "demo"
    write_costs(logs, "certify/a", 3600.0)
    assert run() == 0
    kept = read_plan(logs / "plan.json")
    done = {rule: each.model_copy(update={"to_run": 0, "cpu_hours": 0.0}) for rule, each in kept.rules.items()}
    later = kept.model_copy(
        update={"rules": done | {"select_hypothesis": kept.rules["select_hypothesis"].model_copy(update={"work": 7.0})}}
    )
    merged = later.over(kept)
    assert merged.rules["certify"] == kept.rules["certify"]
    assert merged.rules["select_hypothesis"].work == 7.0


def test_without_any_results_or_logs(folder, capsys):
    assert run("-o", "elsewhere/plan.json") == 0
    printed = capsys.readouterr().out
    assert "elsewhere/plan.json" in printed
    assert read_plan(folder / "elsewhere" / "plan.json").targets == ()
    assert not (folder / "logs").exists()


def test_a_plan_of_nothing_leaves_the_last_one(folder, capsys):
    assert run() == 0
    kept = (folder / "logs" / "demo" / "plan.json").read_bytes()
    (folder / "a.txt").touch()
    (folder / "b.txt").touch()
    assert run("b.txt") == 0
    assert "Nothing is to run; logs/demo/plan.json is left as it is." in capsys.readouterr().out
    assert (folder / "logs" / "demo" / "plan.json").read_bytes() == kept


def test_what_does_not_fit_is_said(folder, capsys):
    write_costs(folder / "logs" / "demo", "certify/a", 1.0, output_bytes=10**18)
    assert run() == 0
    assert "That does not fit" in capsys.readouterr().out


def test_snakemakes_error_is_shown_as_it_is(folder, capsys):
    assert run("no_such_target") == 1
    error = capsys.readouterr().err
    assert "no_such_target" in error
    assert not error.startswith("error:")


def test_a_wrong_configuration_is_named(folder):
    Path("mine.yaml").write_text("dataset: 3\n")
    with pytest.raises(ActaError, match="dataset"):
        run("--configfile", "mine.yaml")


@pytest.mark.parametrize("option", ["--jobs=0", "--tflops=0", "--tflops=nan"])
def test_numbers_that_make_no_sense_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        run(option)
    assert "is not" in capsys.readouterr().err


def test_a_reference_is_written_from_cost_files(folder, monkeypatch):
    monkeypatch.setattr("pipeline.plan.expectation.REFERENCE", folder / "reference.yaml")
    with pytest.raises(ActaError, match="run the workflow first"):
        run("--write-reference")
    write_costs(folder / "logs" / "demo", "certify/a", 10.0)
    assert run("--write-reference") == 0
    assert read_reference(folder / "reference.yaml")["certify"].seconds == 10.0

"""A run that cannot end well ends at its plan: Snakemake's dry run and `acta plan` say why, and what to do."""

import sys
from pathlib import Path

import pytest

from pipeline import cli
from tests.doomed import DOOMED, write_data, write_doomed
from tests.workflow.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("doomed") / "project")
    write_data(project.folder)
    return project


@pytest.mark.parametrize("name", list(DOOMED)[::5])  # the others too, as a plan is made from a dry run
def test_a_dry_run_says_it(name: str, project: Project) -> None:
    write_doomed(name, project.folder)
    result = project.snakemake("-n", "--configfile", "mine.yaml", "--", DOOMED[name].target, check=False)
    assert result.returncode != 0
    assert DOOMED[name].said in " ".join((result.stdout + result.stderr).split())


@pytest.mark.parametrize("name", DOOMED)
def test_a_plan_says_it(
    name: str, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_doomed(name, project.folder)
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(sys, "executable", str(project.python))
    assert cli.main(["plan", DOOMED[name].target, "--configfile", "mine.yaml"]) == 1
    assert DOOMED[name].said in " ".join(capsys.readouterr().err.split())
    assert not Path("logs/mine/plan.json").exists()

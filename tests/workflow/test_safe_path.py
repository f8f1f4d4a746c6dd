"""Modules that lie in the project's folder, from which Snakemake is run, are run by no job and by no plan."""

from pathlib import Path

import pytest

from tests.planted import Planted
from tests.workflow.project import Project

MANIFESTS = "results/clips/manifest/0-of-2.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("planted"), warm=False)
    project.use_two_classes()
    return project


@pytest.mark.parametrize("elsewhere", [False, True])
def test_jobs_and_workers(project: Project, tmp_path: Path, elsewhere: bool) -> None:
    """From the project's folder, and from another with the Snakefile named."""
    project.configure(data__root=str(project.folder / "videos"))
    planted = Planted(tmp_path if elsewhere else project.folder, tmp_path / "told")
    snakefile = ["--snakefile", project.folder / "Snakefile", "--configfile", project.folder / "config.yaml"]
    done = planted.run("snakemake", *(snakefile if elsewhere else []), "--cores", "2", "--", MANIFESTS)
    assert (done.returncode, planted.ran) == (0, []), done.stderr
    assert (planted.folder / MANIFESTS).is_file()


def test_the_plan(project: Project, tmp_path: Path) -> None:
    planted = Planted(project.folder, tmp_path / "told")
    done = planted.run("acta", "plan", MANIFESTS)
    assert planted.ran == []
    assert done.returncode == 0, done.stderr


def test_jobs_import_the_package_next_to_the_snakefile_and_nothing_else(project: Project) -> None:
    place = project.folder / "workflow" / "python"
    assert [path.name for path in place.iterdir()] == ["pipeline"]
    assert (place / "pipeline").samefile(project.folder / "pipeline")

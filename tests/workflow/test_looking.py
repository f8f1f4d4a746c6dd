"""While one plan runs, looking at another one of the same data set changes nothing that the first one reads."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.project import Project

OTHERS = {"three": {"shards": 3}, "two": {"shards": 2}, "other": {"shards": 2, "root": "other"}}
QUARANTINE = "results/clips/quarantine.tsv"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("looking"))
    project.use_two_classes()
    for kind in ("train/run", "train/walk", "test/run", "test/walk"):
        (project.folder / "other" / kind).mkdir(parents=True)
        (project.folder / "other" / kind / "new.mp4").write_bytes(b"new")
    for name, data in OTHERS.items():
        (project.folder / f"{name}.yaml").write_text(json.dumps({"data": data}))
    project.planned("--", QUARANTINE)
    return project


@pytest.fixture
def running(project: Project) -> Iterator[Project]:
    """What a Snakemake that runs holds."""
    with (project.folder / ".snakemake" / "acta.lists.clips").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield project


def lists(project: Project) -> dict[str, tuple[str, int, int]]:
    return {
        str(path.relative_to(project.folder)): (path.read_text(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted((project.folder / "results" / "clips").rglob("lists/**/*.json"))
    }


@pytest.mark.parametrize(
    ("other", "look"), [("three", ["-n"]), ("other", ["-n"]), ("three", ["--dag", "dot"]), ("three", ["--summary"])]
)
def test_looking_changes_no_list(running: Project, other: str, look: list[str]) -> None:
    before = lists(running)
    assert {path for path in before if path.startswith("results/clips/lists")} == {
        "results/clips/lists/0-of-2.json",
        "results/clips/lists/1-of-2.json",
    }
    running.snakemake("--cores", "2", *look, "--configfile", f"{other}.yaml", "--", QUARANTINE)
    assert lists(running) == before


def test_what_is_looked_at_is_right(running: Project) -> None:
    planned = running.planned("--configfile", "three.yaml", "--", QUARANTINE)
    found = {wildcards["shard"] for rule, wildcards in planned if rule == "build_manifest"}
    assert found == {"0-of-3", "1-of-3", "2-of-3"}


def test_a_run_that_would_change_the_lists_is_refused(running: Project) -> None:
    before = lists(running)
    done = running.snakemake("--cores", "2", "--configfile", "three.yaml", "--", QUARANTINE, check=False)
    assert done.returncode == 1
    assert "another Snakemake reads the lists in results/clips/lists, which this run would change" in done.stderr
    assert lists(running) == before


def test_a_run_with_the_same_lists_goes_on(running: Project) -> None:
    running.snakemake("--cores", "2", "--", "results/clips/manifest/0-of-2.json")
    assert (running.folder / "results/clips/manifest/0-of-2.json").is_file()


def test_where_nothing_runs_the_lists_follow(project: Project) -> None:
    for name, shards in (("three", 3), ("two", 2)):
        project.planned("--configfile", f"{name}.yaml", "--", QUARANTINE)
        names = {path.name for path in (project.folder / "results/clips/lists").iterdir()}
        assert names == {f"{n}-of-{shards}.json" for n in range(shards)}


def test_a_lock_is_held_as_long_as_a_run(project: Project, tmp_path: Path) -> None:
    """By the driver alone: a job that outlives it does not keep others from planning."""
    (project.folder / "hold.smk").write_text(
        'include: "Snakefile"\n'
        "rule hold:\n    output: touch('held')\n"
        '    shell: "! flock --nonblock --exclusive .snakemake/acta.lists.clips true"\n'
    )
    project.snakemake("--cores", "1", "--snakefile", "hold.smk", "--", "held")
    assert (project.folder / "held").is_file()

"""A cache for a group: what comes out of it lies in folders as private as if it were made here."""

import stat
from pathlib import Path

import pytest

from tests.workflow.project import Project

SHARD = "frames/none/0-of-2.h5"


def test_folders_of_original_frames_are_private_also_where_a_cache_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    first = Project(tmp_path / "first")
    first.use_two_classes()
    second = Project(tmp_path / "second")
    second.use_two_classes()
    for project in (first, second):
        project.configure(data__root=str(first.folder / "videos"))
        project.snakemake("--cores", "2", "--cache", "extract_frames", "--", f"results/clips/{SHARD}")
        folder = (project.folder / "results/clips" / SHARD).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / "0-of-2.h5").resolve().parent == cache
    costs = [list((project.folder / "logs/clips/extract_frames").rglob("*.costs.jsonl")) for project in (first, second)]
    assert [len(found) for found in costs] == [1, 0], "the second project takes what is in the cache"


def test_a_cache_that_everybody_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path))
    project = Project(tmp_path / "project")
    project.use_two_classes()
    done = project.snakemake("-n", "--cores", "2", "--cache", "extract_frames", check=False)
    assert f"everybody may enter the cache {tmp_path}, where raw frames would lie" in done.stdout

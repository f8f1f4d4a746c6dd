"""SIGKILL at twenty random moments, then run again: the same files, byte for byte, as an undisturbed run."""

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

from pipeline.privacy.instances import DetectionShard
from tests.clips import write_clip
from tests.workflow.project import Project

KILLS = 20


def make(folder: Path, footage: Path) -> Project:
    project = Project(folder)
    for video in ("run/a.mp4", "run/e.mp4", "walk/c.mp4"):
        write_clip(project.folder / "videos" / video, frames=40, size=(240, 320))
    shutil.copy(footage / "talking_in_car" / "carphone_pristine.mp4", project.folder / "videos" / "walk")
    for path in (project.folder / "videos").rglob("*.mp4"):
        os.utime(path, (1_700_000_000, 1_700_000_000))  # the lists hold modification times
    project.configure(dataset="clips", data__adapter="folder", data__root="videos", data__shards=2, frames__size=128)
    return project


def digests(project: Project) -> dict[str, str]:
    results = project.folder / "results"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file()
    }


def test_killed_twenty_times_then_run_again_gives_the_same_bytes(tmp_path, footage):
    undisturbed, killed = (make(tmp_path / name, footage) for name in ("undisturbed", "killed"))
    undisturbed.run()
    source = random.Random(20)
    cut_short = 0
    for _ in range(4 * KILLS):
        process = killed.start("--cores", "2", "--nolock", "--quiet", "all")
        try:
            process.wait(timeout=source.uniform(0.8, 3))
        except subprocess.TimeoutExpired:
            cut_short += 1
            killed.kill(process)
            if cut_short == KILLS:
                break
        else:  # a fast machine: the workflow was done before it could be killed, so it begins again
            shutil.rmtree(killed.folder / "results")
    assert cut_short == KILLS
    killed.run("--nolock")
    assert digests(killed) == digests(undisturbed)
    shards = (killed.folder / "results/clips/detections/faces").glob("*.h5")
    found = [
        len(frame) for shard in map(DetectionShard, shards) for video in shard.ids for frame in shard.frames(video)
    ]
    assert sum(found) >= 10, "there are faces, and so masks and boxes to be written"
    left = [path for path in (killed.folder / "results").rglob(".*") if path.is_file() or ".tmp" in path.name]
    assert not left, "leftovers of killed jobs"

"""What works on every Python and with every version that the project claims: typed commands, and the real Snakemake.

`.ci/run` runs this module alone on each Python that is there, `make test-lowest` and `make test-newest` with others.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import pipeline.spot.video  # noqa: F401  # cv2 changes the environment when it is imported
from pipeline.plan.outlook import read_plan
from pipeline.runtime.costs import read_costs
from pipeline.runtime.store import FrameShard
from tests.clips import read_number, write_clip
from tests.workflow.project import Project

STUDENT = "results/clips/evaluations/split1/r2plus1d/faces/kd/on_faces/evaluation.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory, footage) -> Project:
    """Six clips of two classes on which the DAG has hidden faces and trained a teacher and its student."""
    project = Project(tmp_path_factory.mktemp("tiny"), warm=False)
    project.use_two_classes()
    project.configure(
        privacy__what=["faces"],
        classify__training__epochs=1,
        classify__recipes__r2plus1d__batch=4,
        classify__recipes__r2plus1d__micro_batch=4,
        classify__recipes__r2plus1d__clip__frames=4,
    )
    acta("plan", STUDENT, "--configfile", "config.yaml", folder=project.folder)
    project.run("--", STUDENT)
    return project


def acta(*arguments: str | Path, folder: Path) -> str:
    """What a command prints; run by this Python, as a person types it."""
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def test_a_face_is_hidden_in_every_frame_and_the_rest_is_kept(footage, project):
    source, output = footage / "talking_in_car" / "carphone_pristine.mp4", project.folder / "hidden.mp4"
    acta("anonymize", source, output, folder=project.folder)
    before, after = pictures(source), pictures(output)
    assert before.shape == after.shape == (120, 144, 176, 3)
    change = np.abs(before - after).mean(axis=-1)
    assert change[:, 40:80, 60:100].mean(axis=(1, 2)).min() > 15, "the man's face, in each frame"
    assert change[:, :16, :16].mean(axis=(1, 2)).max() < 4, "the car, in each frame"


def test_bodies_are_hidden_in_a_folder_by_several_processes(footage, tmp_path):
    """ssdlite in onnxruntime, a photograph by Pillow, and workers that a server forks."""
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in/clip.mp4", frames=3)
    shutil.copy(footage / "astronaut.png", tmp_path / "in/astronaut.png")
    said = acta("anonymize", "in", "out", "--what", "bodies", "--jobs", "2", folder=tmp_path)
    assert said.startswith("1 video and 1 photograph done: ")
    assert said.endswith(" in 4 frames\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["astronaut.png", "clip.mp4"]
    assert [read_number(picture) for picture in pictures(tmp_path / "out/clip.mp4")] == [0, 1, 2]
    before, after = (np.array(Image.open(tmp_path / name / "astronaut.png"), float) for name in ("in", "out"))
    change = np.abs(before - after).mean(axis=-1)
    assert change[100:200, 170:280].mean() > 15, "her face"
    assert change[300:500, 150:350].mean() > 10, "her body"
    assert change[:, 450:].max() == 0, "what is next to her"


def test_a_shard_of_frames_is_stored(project):
    settings = '{"sampling": {"rate": null}, "frames": {"size": 64, "jpeg_quality": 90}}'
    found = {}
    for manifest in sorted((project.folder / "results/clips/manifest").glob("*.json")):
        output = project.folder / "stored" / f"{manifest.stem}.h5"
        acta(
            "task",
            "extract_frames",
            "--manifest",
            manifest,
            "--root",
            "videos",
            "--settings",
            settings,
            "-o",
            output,
            folder=project.folder,
        )
        shard = FrameShard(output)
        for video in shard.ids:
            found[Path(video).stem] = [read_number(image.permute(1, 2, 0).numpy()) for image in shard.clip(video)]
        shard.close()
    assert found == {name: list(range(12 + number)) for number, name in enumerate("abcdef")}


def test_the_workflow_trains_a_student_and_measures_it(project):
    evaluation = json.loads((project.folder / STUDENT).read_text())
    assert evaluation["coverage"]["expected"] == evaluation["coverage"]["evaluated"] == 2
    assert project.planned("--", STUDENT) == [], "nothing is left to do"


def test_what_was_planned_was_written(project):
    """Without an earlier run: frames and people by a sample of the videos, networks by their layers."""
    logs = project.folder / "logs/clips"
    plan, costs = read_plan(logs / "plan.json"), read_costs(logs)
    written = {rule: sum(job.output_bytes or 0 for job in jobs) for rule, jobs in costs.items()}
    told = {rule: planned.bytes for rule, planned in plan.rules.items() if "bytes by" in planned.basis}
    assert told.keys() == {"extract_frames", "detect_people", "obfuscate", "train_classifier"}
    assert told == pytest.approx({rule: written[rule] for rule in told}, rel=0.25)


def test_a_trained_network_names_the_action_of_a_file(project):
    model, *_ = project.folder.glob("results/clips/models/split1/r2plus1d/none/cross_entropy/model.safetensors")
    output = acta("classify", "videos/test/run/e.mp4", "--model", model, folder=project.folder)
    assert "run" in output
    assert "walk" in output

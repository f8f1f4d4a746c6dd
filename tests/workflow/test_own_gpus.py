"""docs/own-gpus.md, followed word for word on real clips in 20 classes, with tiny networks and without a GPU."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from tests import PROJECT
from tests.workflow.test_documentation import Copy, blocks

PAGE = PROJECT / "docs/own-gpus.md"
RESULTS = "results/mine"
TEACHER = "models/split1/r2plus1d/none/cross_entropy"
TESTED = "evaluations/split1/r2plus1d/none/cross_entropy/on_none"
TINY_RUN = "--profile profiles/gpus --configfile mine.yaml tiny.yaml"
# What stands in the way of two cores without a GPU. All else, such as seeds, losses and targets, is as on the page.
TINY = {
    "data": {"shards": 1},
    "sampling": {"rate": 5.0},
    "frames": {"size": [36, 48]},
    "privacy": {"detect": {"faces": {"long_side": 176}}},
    "classify": {
        "test_clips": 1,
        "training": {"epochs": 2, "device": "cpu"},
        "recipes": {
            "r2plus1d": {
                "backbone": {"width": 0.05, "blocks": [1, 1, 1, 1]},
                "clip": {"frames": 2, "view": {"size": [18, 24], "crop": 16}, "train_clips": 2},
                "batch": 32,
                "micro_batch": 16,
                "initial": None,
            }
        },
    },
    "shrink": {"iterations": 1, "epochs": 1, "plans": {"pas": {"operators": ["s", "c"]}, "halving": {"halving": None}}},
}


def write_videos(folder: Path, footage: Path) -> None:
    """Twenty classes out of the demo's real footage, each a part of a clip: two videos train, one tests."""
    for clip in sorted(footage.glob("*/*.mp4")):
        video = cv2.VideoCapture(str(clip))
        pictures = []
        while len(pictures) < 75 and (picture := video.read()[1]) is not None:
            pictures.append(cv2.resize(picture, (176, 144)))
        video.release()
        pictures = [pictures[number % len(pictures)] for number in range(75)]  # one clip is shorter
        for part in range(5):
            for number, split in enumerate(("train", "train", "test")):
                path = folder / split / f"{clip.stem}_{part}" / f"{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                written = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (176, 144))
                for picture in pictures[15 * part + 5 * number :][:5]:
                    written.write(picture)
                written.release()


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Copy:
    """A copy in which everything on the page was done, on a machine with two cores and, so it is told, two GPUs."""
    copy = Copy(tmp_path_factory.mktemp("own") / "acta")
    write_videos(copy.folder / "my_videos", footage)
    (copy.folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    profile = copy.folder / "profiles/gpus/config.yaml"
    text = profile.read_text()
    for theirs, ours in (("gpu: 4}", "gpu: 2}"), ("cores: 16", "cores: 2"), ("&of_a_gpu 4", "&of_a_gpu 1")):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    profile.write_text(text)
    for block in blocks(PAGE):
        if block.language == "bash" and block.marker != "needs a network":
            run(copy, for_two(block.text))
            if "torchrun" in block.text:
                shutil.copytree(copy.folder / RESULTS / TEACHER, copy.folder / "together")
                shutil.copy(copy.folder / RESULTS / TESTED / "evaluation.json", copy.folder / "together")
    return copy


def for_two(text: str) -> str:
    """The page's command for two GPUs and cores, with tiny networks."""
    text = re.sub(r"(gpu=|--nproc-per-node )4", r"\g<1>2", text).replace("train_classifier=16", "train_classifier=2")
    return text.replace("--configfile mine.yaml", "--configfile mine.yaml tiny.yaml")


def run(copy: Copy, text: str) -> None:
    done = copy.bash(text)
    assert done.returncode == 0, f"{text}\n{done.stdout[-6000:]}"


def test_there_is_what_the_page_says(followed: Copy) -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `results/")]
    named = [name for row in rows for name in re.findall(r"`([^`]*)`", row)]
    paths = [name if "/" in name else f"{RESULTS}/tables/{name}" for name in named]
    assert len(paths) == 7
    assert [path for path in paths if not (followed.folder / path).is_file()] == []


def test_the_student_that_was_shrunk_saw_no_original_frame(followed: Copy) -> None:
    selected = json.loads((followed.folder / RESULTS / "shrink/r2plus1d/pas/iteration_1/selected.json").read_text())
    assert (selected["variant"], len(selected["classes"])) == ("faces", 20)
    assert len(selected["selection"]["hypotheses"]) == 2


def test_two_processes_train_the_network_that_one_trains(followed: Copy) -> None:
    log = (followed.folder / "logs/mine/train_classifier/split1/r2plus1d/none/cross_entropy.log").read_text()
    assert "a batch of 32: 2 processes with 1 micro-batches of 16 each" in log
    together = followed.folder / "together"
    run(followed, f"snakemake {TINY_RUN} --forcerun train_classifier -- table_5_1")
    alone = followed.folder / RESULTS / TEACHER
    one, two = (json.loads((place / "metrics.json").read_text()) for place in (alone, together))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert [epoch["loss"] for epoch in one["history"]] == pytest.approx([epoch["loss"] for epoch in two["history"]])
    first, second = (load_file(place / "model.safetensors") for place in (alone, together))
    assert any("running_var" in name for name in first)
    for name in (name for name in first if "num_batches" not in name):
        np.testing.assert_allclose(first[name], second[name], rtol=0, atol=1e-5 * np.abs(first[name]).max())
    found = [
        json.loads((place / "evaluation.json").read_text()) for place in (followed.folder / RESULTS / TESTED, together)
    ]
    assert [found[0][key] for key in ("top1", "top5")] == [found[1][key] for key in ("top1", "top5")]

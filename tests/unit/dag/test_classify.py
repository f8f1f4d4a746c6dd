"""What the rules of action recognition read (Ch. 5)."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.dag import classify
from pipeline.dag.run import Run
from pipeline.runtime.errors import ActaError
from tests.unit.dag.changed import changed, wild

MODELS, EVALUATIONS = "results/demo/models/split1", "results/demo/evaluations/split1"


def test_where_a_network_and_its_evaluation_lie(run: Run) -> None:
    network = ("split1", "r2plus1d", "faces", "kd")
    assert classify.model(run, *network) == f"{MODELS}/r2plus1d/faces/kd/model.safetensors"
    assert classify.evaluation(run, *network, "bodies") == f"{EVALUATIONS}/r2plus1d/faces/kd/on_bodies/evaluation.json"


def test_a_student_reads_its_teacher_and_what_that_sees(run: Run) -> None:
    wildcards = wild(split="split1", recipe="slowfast", variant="faces", strategy="kd_rkd")
    assert classify.teacher(run, wildcards) == f"{MODELS}/slowfast/none/cross_entropy/model.safetensors"
    assert classify.teacher_frames(run, wildcards) == [
        "results/demo/frames/none/0-of-2.h5",
        "results/demo/frames/none/1-of-2.h5",
    ]
    assert classify.teacher_options(run, wildcards) == (
        f"--teacher {MODELS}/slowfast/none/cross_entropy/model.safetensors "
        "--teacher-shards results/demo/frames/none/{shard}.h5"
    )


TRAINED = {"split": "split1", "recipe": "r2plus1d", "variant": "faces", "strategy": "kd"}


def test_frames_where_there_are_videos_enough(run: Run) -> None:
    shards = ["results/demo/frames/faces/0-of-2.h5", "results/demo/frames/faces/1-of-2.h5"]
    for labelled in (None, {"train": 6, "test": 1}):
        assert classify.frames(replace(run, labelled=labelled), wild(**TRAINED), "faces") == shards


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        (
            {"train": 6, "val": 2, "": 4},
            "classify.splits.split1.test is 'test', but the dataset 'demo' has no labelled video of that split "
            "(data.root 'resources/demo'); splits that have some: train (6), val (2)",
        ),
        ({}, "classify.splits.split1.train is 'train', but the dataset 'demo' has no labelled video of that split"),
        (
            {"train": 5, "test": 1},
            "an epoch of 5 videos has 15 clips (clip.train_clips 3 each), fewer than one batch: set "
            "classify.recipes.r2plus1d.batch, which is 16, to at most that, and learning_rate in proportion",
        ),
    ],
)
def test_a_training_without_videos_ends_at_the_plan(run: Run, labelled: dict[str, int], said: str) -> None:
    with pytest.raises(ActaError, match=re.escape(said)):
        classify.frames(replace(run, labelled=labelled), wild(**TRAINED), "faces")


def test_a_network_without_a_teacher_reads_none(run: Run) -> None:
    wildcards = wild(split="split1", recipe="slowfast", variant="faces", strategy="cross_entropy")
    assert classify.teacher(run, wildcards) == []
    assert classify.teacher_frames(run, wildcards) == []
    assert classify.teacher_options(run, wildcards) == ""


def test_a_teacher_that_sees_hidden_faces(run: Run) -> None:
    other = changed(run, classify__strategies__kd__teacher="faces")
    wildcards = wild(split="split1", recipe="r3d", strategy="kd")
    assert classify.teacher(other, wildcards) == f"{MODELS}/r3d/faces/cross_entropy/model.safetensors"
    assert classify.teacher_frames(other, wildcards)[0] == "results/demo/frames/faces/0-of-2.h5"


def test_hash_of_the_weights_to_start_from(run: Run, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    start.write_bytes(b"abc")
    other = changed(run, classify__recipes__r3d__initial=str(start))
    assert classify.initial_weights(other, wild(recipe="r3d")) == hashlib.sha256(b"abc").hexdigest()
    assert classify.initial_weights(other, wild(recipe="r2plus1d")) == ""
    missing = changed(run, classify__recipes__r3d__initial=str(tmp_path / "none.safetensors"))
    assert classify.initial_weights(missing, wild(recipe="r3d")) == "missing"


def test_hash_of_published_weights_is_the_registered_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path))
    whole = {"name": "r3d_18", "width": 1.0, "blocks": None, "dropout": 0.0}
    other = changed(run, classify__recipes__r3d__initial="r3d_18", classify__recipes__r3d__backbone=whole)
    assert classify.initial_weights(other, wild(recipe="r3d")) == "b3b3357e"


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("table_5_1", ["r2plus1d/none/cross_entropy/on_" + tested for tested in ("none", "faces", "bodies")]),
        (
            "table_5_2",
            [
                f"r2plus1d/{variant}/{strategy}/on_{variant}"
                for variant in ("none", "faces", "bodies")
                for strategy in ("cross_entropy", "kd", "kd_rkd")
            ],
        ),
        (
            "table_5_3",
            [
                "slowfast/none/cross_entropy/on_none",
                "slowfast/faces/kd_rkd/on_faces",
                "slowfast/bodies/kd_rkd/on_bodies",
            ],
        ),
        ("figure_5_7", [f"r2plus1d/{variant}/kd_rkd/on_{variant}" for variant in ("none", "faces", "bodies")]),
    ],
)
def test_evaluations_of_a_table(run: Run, name: str, networks: list[str]) -> None:
    assert classify.evaluations_of(run, name) == [f"{EVALUATIONS}/{network}/evaluation.json" for network in networks]


def test_every_split_is_evaluated(run: Run) -> None:
    splits = {"one": {"train": "train", "test": "test"}, "two": {"train": "test", "test": "train"}}
    other = changed(run, classify__splits=splits, privacy__what=["bodies"], shrink__split="one")
    assert classify.evaluations_of(other, "table_5_1") == [
        f"results/demo/evaluations/{split}/r2plus1d/none/cross_entropy/on_{tested}/evaluation.json"
        for tested in ("none", "bodies")
        for split in ("one", "two")
    ]

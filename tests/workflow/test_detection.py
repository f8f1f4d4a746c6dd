"""Chapter 3 in the DAG: one run from videos to pictures, one from published features, and what reruns what."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.demo import get_footage as demo
from pipeline.demo import make_interactions as interactions
from pipeline.demo.make_interactions import make_interactions
from pipeline.detect.features.entities import FeatureShard
from pipeline.report.tables import read_rows
from tests.workflow.project import Project

FEW = {"train": 2, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def annotated(tmp_path_factory, footage) -> Path:
    """Four of the demo's videos with their annotation, as a dataset of a user's."""
    root = tmp_path_factory.mktemp("annotated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "VIDEOS", FEW)
        patch.setattr(interactions, "VIDEOS", FEW)
        make_interactions(footage, root, workers=2)
    return root


def use(project: Project, root: Path) -> None:
    """A short way through everything: one epoch each, one network, one seed."""
    features = "detect__features__i3d"
    project.configure(
        dataset="own",
        detect__data__adapter="ava",
        detect__data__root=str(root / "videos"),
        detect__data__label_map=str(root / "label_map.pbtxt"),
        detect__data__boxes={split: str(root / f"{split}.csv") for split in FEW},
        detect__detector_boxes=str(root / "objects.csv"),
        detect__detector__epochs=1,
        detect__detector__short_side=96,
        detect__objects__person_score=0.0,
        detect__frames__size=[72, 96],
        detect__training__epochs=1,
        detect__seeds=[1],
        detect__tables=["table_3_2", "table_3_10", "figure_3_4", "figure_3_6"],
        **{f"{features}__test_score": 0.0, f"{features}__backbone__training__epochs": 1},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, annotated) -> Project:
    project = Project(tmp_path_factory.mktemp("own"))
    use(project, annotated)
    project.run("detect")
    return project


def test_from_videos_to_tables_and_pictures(finished):
    results = finished.folder / "results/own"
    shards = [FeatureShard(path) for path in sorted((results / "detect/features/i3d").glob("*.h5"))]
    assert sorted(video for shard in shards for video in shard.ids) == ["test_00", "train_00", "train_01", "val_00"]
    assert all(shard.actor_size == 128 and shard.object_size == 256 for shard in shards)
    assert (results / "detect/quarantine.tsv").read_text() == "video\ttask\treason\n"
    table = read_rows(results / "tables/table_3_2.csv")
    assert any(list(row.values())[:2] == ["STAGE", "i3d"] for row in table)
    evaluation = json.loads((results / "detect/evaluations/i3d/stage/seed_1/detected/evaluation.json").read_text())
    assert evaluation["coverage"]["videos"] == 1
    assert evaluation["counts"]["annotated"] > 50
    private = results / "private"
    assert (private.stat().st_mode & 0o777, (results / "detect/frames/none").stat().st_mode & 0o777) == (0o700, 0o700)
    for picture in (private / "figure_3_6.png", results / "figures/figure_3_4.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, {}),
        ({"detect__seeds": [1, 2]}, {"train_stage": 1, "evaluate_stage": 1}),
        ({"detect__networks__stage__dropout": 0.1}, {"train_stage": 1, "evaluate_stage": 1}),
        ({"detect__networks__no_temporal__dropout": 0.1}, {}),
        ({"detect__capacity": 50}, {"train_stage": 1, "evaluate_stage": 1, "evaluate_stage_backbone": 1}),
        (
            {"detect__features__i3d__backbone__boxes__iou": 0.9},
            {"extract_actor_features": 2, "train_stage": 1, "evaluate_stage": 1, "evaluate_stage_backbone": 1},
        ),
        ({"detect__tables": ["table_3_2", "table_3_7"]}, {"train_stage": 3, "evaluate_stage": 3}),
    ],
    ids=str,
)
def test_what_reruns(finished, changes, rules):
    with finished.restored() as project:
        project.configure(**changes)
        planned = project.planned_rules("detect")
    light = ("collect", "draw", "detect", "table")
    heavy = {rule: count for rule, count in planned.items() if not rule.startswith(light)}
    assert heavy == rules


def test_moving_the_videos_reruns_nothing(finished, annotated, tmp_path):
    (tmp_path / "elsewhere").symlink_to(annotated / "videos")
    with finished.restored() as project:
        project.configure(detect__data__root=str(tmp_path / "elsewhere"))
        assert project.planned_rules("detect") == {}


def test_an_unknown_video_costs_itself(finished, annotated, tmp_path):
    """It is listed as missing, with the line that names it; its shard runs again."""
    rows = (annotated / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(rows + "gone,0001,0.1,0.1,0.5,0.5,1,0\n")
    boxes = {split: str(annotated / f"{split}.csv") for split in FEW} | {"train": str(tmp_path / "train.csv")}
    with finished.restored() as project:
        project.configure(detect__data__boxes=boxes)
        assert project.planned_rules("detect")["build_manifest_detection"] == 1
    lists = [json.loads(path.read_text()) for path in (finished.folder / "results/own/detect/lists").glob("*.json")]
    (row,) = [row for rows in lists for row in rows if row[0] == "gone"]
    line = rows.count("\n") + 1
    assert row[1] == f"gone (named by {tmp_path}/train.csv:{line})"
    assert row[4] == -1


def test_published_features_need_no_video(tmp_path):
    """Imports in the layout of one file, then training: nothing else is planned, and the imports run."""
    project = Project(tmp_path / "project")
    random = np.random.default_rng(0)
    rows: dict[str, list[str]] = {"train": [], "val": []}
    for split, count in (("train", 3), ("val", 2)):
        with h5py.File(tmp_path / f"{split}.h5", "w") as file:
            for video in range(count):
                for second in range(902, 906):
                    group = file.create_group(f"{split}{video}_{second}")
                    group["features"] = random.normal(size=(2, 16)).astype(np.float32)
                    group["boxes"] = np.array([[0.1, 0.1, 0.4, 0.9], [0.5, 0.1, 0.9, 0.9]], np.float32)
                    group["labels"] = np.eye(3, dtype=np.float32)[[1, 2]]
                    rows[split].append(f"{split}{video},{second:04d},0.1,0.1,0.4,0.9,1,0")
        (tmp_path / f"{split}.csv").write_text("\n".join(rows[split]) + "\n")
    (tmp_path / "labels.pbtxt").write_text('item { name: "run" id: 1 }\nitem { name: "walk" id: 2 }\n')
    files = {split: str(tmp_path / f"{split}.h5") for split in rows}
    imported = {"layout": "slowfast", "actors": files, "objects": {}, "frame_lists": {}, "half_precision": True}
    own = {
        "compare_with": None,
        "heads": 2,
        "learning_rate": 0.001,
        "test_score": 0.0,
        "backbone": None,
        "average_of": None,
    }
    project.configure(
        dataset="published",
        detect__data__adapter="ava",
        detect__data__root=None,
        detect__data__label_map=str(tmp_path / "labels.pbtxt"),
        detect__data__boxes={split: str(tmp_path / f"{split}.csv") for split in rows},
        detect__splits__test="val",
        detect__detector=None,
        detect__detector_boxes=None,
        detect__objects=None,
        detect__features={"own": own | {"imported": imported}},
        detect__tables=["table_3_5"],
        detect__training__epochs=1,
        detect__seeds=[1],
    )
    assert project.planned_rules("detect") == {
        "import_actor_features": 2,
        "train_stage": 2,
        "evaluate_stage": 2,
        "draw_detection_table": 1,
        "collect_quarantine_detection": 1,
        "detect": 1,
    }
    project.run("detect")
    shards = sorted((project.folder / "results/published/detect/features/own").glob("*.h5"))
    assert sum(len(FeatureShard(path).ids) for path in shards) == 5
    table = (project.folder / "results/published/tables/table_3_5.csv").read_text()
    assert "Linear classifier" in table


def test_the_demos_boxes_do_not_stand_for_ones_own_videos(tmp_path):
    project = Project(tmp_path / "project")
    project.use_two_classes()
    result = project.snakemake("-n", "detect", check=False)
    assert result.returncode != 0
    assert "detect.data still names the demo's videos" in result.stdout + result.stderr

"""What each task of Chapter 3 reads of the configuration: what reruns after a change."""

import copy
import json
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.whole import Config, of_the_thesis
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT
from tests.unit.config.keys import leaves

SHIPPED: dict[str, Any] = json.loads(json.dumps(yaml.safe_load((PROJECT / "config.yaml").read_text())))
FEATURES = SHIPPED["detect"]["features"]["i3d"]
IMPORTED = {"layout": "i3d", "actors": {"train": "actors"}, "objects": {}, "frame_lists": {}, "half_precision": True}
NETWORKS = tuple(SHIPPED["detect"]["networks"])
STAGE, OTHERS = ("train", "stage"), {("train", name) for name in NETWORKS} - {("train", "stage")}
TRAIN = {STAGE, *OTHERS}


def changed(path: str, value: Any) -> Config:
    content = copy.deepcopy(SHIPPED)
    *folders, last = f"detect.{path}".split(".")
    part = content
    for key in folders:
        part = part[key]
    part[last] = value
    return parse(Config, content, "config.yaml")


def texts(config: Config) -> dict[Any, str]:
    """By reader what it reads."""
    found: dict[Any, Any] = {
        "frames": task_settings(config, "extract_frames", chapter="detect"),
        "detector": task_settings(config, "train_detector"),
        "objects": task_settings(config, "detect_objects"),
        "imported objects": task_settings(config, "import_objects"),
        "backbone": task_settings(config, "train_backbone", features="i3d"),
        "features": task_settings(config, "extract_actor_features", features="i3d"),
        "evaluate": task_settings(config, "evaluate_stage", features="i3d"),
        "report": task_settings(config, "draw_detection"),
    }
    for network in NETWORKS:
        found["train", network] = task_settings(config, "train_stage", features="i3d", network=network, seed="1")
    return {reader: canonical(settings) for reader, settings in found.items()}


OBJECTS = {"objects", "imported objects"}
BACKBONE = "features.i3d.backbone"
# Of a training, what a table compares with the thesis's.
RECIPE = {
    "trainable",
    "dropout",
    "flip",
    "epochs",
    "batch",
    "micro_batch",
    "learning_rate",
    "warmup_epochs",
    "schedule",
}
RECIPE |= {"step_epochs", "momentum", "weight_decay", "precision"}
READ_BY: list[tuple[str, Any, set[Any]]] = [
    ("data.adapter", "ava", set()),
    ("data.root", "videos", set()),
    ("data.label_map", "labels.pbtxt", set()),
    ("data.evaluated", "some.pbtxt", set()),
    ("data.boxes.test", "other.csv", set()),
    ("data.excluded", {"test": "excluded.csv"}, set()),
    ("data.proposals", {"test": "people.csv"}, set()),
    ("data.shards", 7, set()),
    ("data.max_bad_fraction", 0.5, set()),
    ("sampling.rate", 5, {"frames"}),
    ("frames.size", 96, {"frames"}),
    ("frames.jpeg_quality", 75, {"frames"}),
    ("keyframes.step", 0.5, {*OBJECTS, "features", "evaluate", *TRAIN}),
    ("keyframes.start", 900, {*OBJECTS, "detector", "backbone", "features", "report"}),
    ("keyframes.first", 902, {*OBJECTS, "features"}),
    ("keyframes.last", 1798, {*OBJECTS, "features"}),
    ("splits.train", ["train", "val"], TRAIN),
    ("splits.validation", "test", TRAIN),
    ("splits.test", "val", {"evaluate"}),
    ("detector_boxes", "mine.csv", set()),
    *(
        (f"detector.{key}", value, {"detector"})
        for key, value in [
            ("initial", "mobilenet.pth"),
            ("classes", ["person"]),
            ("short_side", 300),
            ("feature_size", 64),
            ("epochs", 9),
            ("batch", 8),
            ("learning_rate", 1),
            ("momentum", 0),
            ("weight_decay", 0),
            ("recompute_activations", True),
            ("warmup_epochs", 0),
            ("precision", "float64"),
            ("deterministic", True),
            ("device", "cuda"),
            ("threads", 2),
            ("seed", 2),
        ]
    ),
    ("objects.weights", "mine.safetensors", {"objects"}),
    ("objects.score", 0.9, OBJECTS),
    ("objects.person_score", 0.9, {"objects"}),
    ("objects.max_detections", 3, {"objects"}),
    ("objects.device", "cuda", {"objects"}),
    ("objects.threads", 2, {"objects"}),
    ("mean_over", ["demo", "other"], {"report"}),
    ("features.i3d.compare_with", None, {"report"}),
    ("features.i3d.heads", 2, TRAIN | {"report"}),
    ("features.i3d.learning_rate", 1, TRAIN | {"report"}),
    ("features.i3d.test_score", 0.1, {"evaluate", "report", *TRAIN}),
    (f"{BACKBONE}.network.name", "r101_i3d_nl", {"backbone", "features", "report"}),
    (f"{BACKBONE}.network.width", 1, {"backbone", "features", "report"}),
    (f"{BACKBONE}.network.frames", 16, {"backbone", "features", "report"}),
    (f"{BACKBONE}.rate", 10, {"backbone", "features", "report"}),
    (f"{BACKBONE}.boxes.score", 0.9, {"features", "report", *TRAIN}),
    (f"{BACKBONE}.boxes.iou", 0.9, {"features", "report"}),
    (f"{BACKBONE}.half_precision", False, {"features", "report"}),
    (f"{BACKBONE}.batch", 4, {"features"}),
    (f"{BACKBONE}.precision", "bfloat16", {"features", "report"}),
    (f"{BACKBONE}.device", "cuda", {"features"}),
    (f"{BACKBONE}.threads", 2, {"features"}),
    *(
        (f"{BACKBONE}.training.{key}", value, {"backbone"} | ({"report"} if key in RECIPE else set()))
        for key, value in [
            ("initial", "rgb_imagenet.pt"),
            ("trainable", "mixed_5"),
            ("dropout", 0.5),
            ("flip", False),
            ("epochs", 7),
            ("batch", 16),
            ("micro_batch", 4),
            ("learning_rate", 1),
            ("warmup_epochs", 0),
            ("schedule", "step"),
            ("step_epochs", 5),
            ("momentum", 0),
            ("weight_decay", 0),
            ("recompute_activations", True),
            ("precision", "float64"),
            ("deterministic", True),
            ("device", "cuda"),
            ("threads", 2),
            ("seed", 2),
        ]
    ),
    *(
        (
            f"training.{key}",
            value,
            TRAIN
            | ({"evaluate"} if key in ("clips", "device", "threads") else set())
            | (set() if key in ("deterministic", "device", "threads") else {"report"}),
        )
        for key, value in [
            ("clips", 12),
            ("batch", 2),
            ("epochs", 5),
            ("drop_patience", 2),
            ("stop_patience", 2),
            ("loss", "softmax"),
            ("boxes", "annotated"),
            ("precision", "float64"),
            ("deterministic", True),
            ("device", "cuda"),
            ("threads", 2),
        ]
    ),
    ("seeds", [1, 2], {"report"}),
    *(
        (f"networks.stage.{key}", value, {STAGE, "report"})
        for key, value in [
            ("layers", 3),
            ("heads", 8),
            ("receptive_field", 5),
            ("attention", "dot"),
            ("proximity", "none"),
            ("objects", False),
            ("actor_actor", False),
            ("object_object", False),
            ("dropout", 0.1),
        ]
    ),
    ("capacity", 50, {"evaluate", *TRAIN}),
    ("tables", ["table_3_2"], set()),
]


@pytest.mark.parametrize(("path", "value", "readers"), READ_BY, ids=[row[0] for row in READ_BY])
def test_task_reads_its_own_part_only(config: Config, path: str, value: Any, readers: set[Any]) -> None:
    before, after = texts(config), texts(changed(path, value))
    assert {reader for reader in before if before[reader] != after[reader]} == readers


def test_every_key_is_tried_above() -> None:
    tried = {path for path, _, _ in READ_BY}
    tried |= {"data.boxes.train", "data.boxes.val", "features.i3d.imported", "features.i3d.average_of"}
    tried |= {f"{BACKBONE}.weights", "objects.imported"}  # need other keys to change too
    keys = [key for key in leaves(SHIPPED["detect"]) if not key.startswith("networks.")]
    keys += [f"networks.stage.{key}" for key in SHIPPED["detect"]["networks"]["stage"]]
    assert sorted(set(keys) - tried) == []


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("train_detector", {}),
        ("detect_objects", {}),
        ("import_objects", {}),
        ("train_backbone", {"features": "i3d"}),
        ("extract_actor_features", {"features": "i3d"}),
        ("train_stage", {"features": "i3d", "network": "stage", "seed": "1"}),
        ("evaluate_stage", {"features": "i3d"}),
        ("draw_detection", {}),
    ],
)
def test_task_takes_the_settings_that_the_workflow_gives_it(config: Config, task: str, names: dict[str, str]) -> None:
    given = task_settings(config, task, **names)
    assert parse(TASKS[task].settings, canonical(given)) == given


def test_imported_features_are_read_by_their_import() -> None:
    config = changed("features.i3d", FEATURES | {"backbone": None, "imported": IMPORTED})
    given = task_settings(config, "import_actor_features", features="i3d")
    assert parse(TASKS["import_actor_features"].settings, canonical(given)) == given
    report = json.loads(canonical(task_settings(config, "draw_detection")))
    assert report["without_backbone"] == ["i3d"]


def test_pictures_need_videos() -> None:
    content = copy.deepcopy(SHIPPED)
    content["detect"]["features"] = {"i3d": FEATURES | {"backbone": None, "imported": IMPORTED}}
    content["detect"]["data"]["root"] = None
    with pytest.raises(ActaError, match=r"`tables` has figure_3_5, which shows frames .* `data.root` is null"):
        parse(Config, content, "config.yaml")
    content["detect"]["tables"] = ["table_3_2", "figure_3_4"]
    assert parse(Config, content, "config.yaml").detect.data.root is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("splits.train", ["everything"], "split 'everything' has no `data.boxes`; known: train, val, test"),
        ("features.i3d.imported", IMPORTED, "give one of `backbone`, `imported` and `average_of`"),
        ("features.mean", FEATURES | {"backbone": None, "average_of": ["i3d", "r101"]}, "average 'r101'"),
        ("features.i3d.backbone.weights", "i3d.safetensors", "give one of `weights` and `training`"),
        ("data.root", None, "features 'i3d' need videos, but `data.root` is null"),
        ("objects.imported", {"train": "objects.h5"}, "`objects.imported` finds no people"),
        ("detector", None, "`detector` and `detector_boxes` need each other"),
        ("networks.stage.receptive_field", 2, "`receptive_field` 2 is not odd"),
        ("training.patience", 3, "Known keys here: batch"),
    ],
)
def test_mistakes_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(ActaError) as caught:
        changed(path, value)
    assert message in str(caught.value)


def test_averaged_features_train_on_the_boxes_of_each_of_them() -> None:
    """Their shards hold people from a score of 0.8 on; each backbone's own training has those from 0.9 on."""
    detect = of_the_thesis("ava", "ava_2_2").detect
    assert detect.features["averaged"].average_of == ("slowfast_nl", "slowfast_nl_16x8")
    assert [detect.train_score(name) for name in detect.features] == [0.9, 0.9, 0.9]
    assert of_the_thesis("ava").detect.train_score("i3d") == 0.0
    assert of_the_thesis("jhmdb21").detect.train_score("action_tubes") == 0.0

"""What each task reads of the configuration, and that it reads nothing else."""

from typing import Any

import pytest

from pipeline.config.base import parse
from pipeline.config.whole import Config
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests.unit.config.shipped import SHIPPED, changed, leaves

RECIPES, STRATEGIES = ("r2plus1d", "r3d", "r2plus1d_deep", "slowfast"), ("cross_entropy", "kd", "kd_rkd")
TRAIN = {(r, s): ("train_classifier", f"{r} {s}") for r in RECIPES for s in STRATEGIES}
EVALUATE = {r: ("evaluate_classifier", f"{r} kd") for r in RECIPES}
# tests/unit/config/test_shrink.py has their table.
CH_6 = (
    "try_hypothesis",
    "store_teacher_logits",
    "select_hypothesis",
    "halve_hypotheses",
    "export_network",
    "measure_resources",
    "draw_shrinkage",
)
# tests/unit/config/test_detect.py has theirs.
CH_3 = (
    "train_detector",
    "detect_objects",
    "train_backbone",
    "extract_actor_features",
    "import_actor_features",
    "import_objects",
)
CH_3 += ("train_stage", "evaluate_stage", "draw_detection")
# tests/unit/config/test_spot.py has theirs.
CH_4 = (
    "build_game",
    "extract_game_frames",
    "extract_frame_features",
    "fit_pca",
    "train_spotter",
    "predict_spots",
    "count_votes",
)
CH_4 += ("evaluate_spots", "cut_highlights", "draw_spotting")
# They tell of the whole configuration, or of what the tables' `differs` compares with the thesis.
TELLING = ("report_overview", "draw_classification", "draw_architecture")
BY_NAME = {*TRAIN.values(), *EVALUATE.values()}
OF_PEOPLE = ("detect_people", "obfuscate", "audit")
BEYOND = {*OF_PEOPLE, "train_classifier", "evaluate_classifier", *CH_3, *CH_4, *CH_6, *TELLING}
READERS = [
    *((name, None) for name, task in TASKS.items() if task.settings and name not in BEYOND),
    *((task, what) for task in OF_PEOPLE for what in ("faces", "bodies")),
    *sorted(BY_NAME),
]
FRAMES, SHEETS = ("extract_frames", None), {("draw_contact_sheet", None), ("draw_face_sample", None)}
DETECT = {what: ("detect_people", what) for what in ("faces", "bodies")}
OBFUSCATE = {what: ("obfuscate", what) for what in ("faces", "bodies")}
AUDIT = {what: ("audit", what) for what in ("faces", "bodies")}

READ_BY: list[tuple[str, Any, set[tuple[str, str | None]]]] = [
    ("base", "full", set()),
    ("dataset", "other", set()),
    ("departures", {"sampling.rate": "a reason"}, set()),
    ("data.adapter", "folder", set()),
    ("data.root", "elsewhere", set()),
    ("data.annotations", "lists", set()),
    ("data.shards", 7, set()),
    ("data.max_bad_fraction", 0.5, set()),
    ("sampling.rate", 25, {FRAMES, DETECT["faces"], DETECT["bodies"], *TRAIN.values()}),
    ("frames.size", 96, {FRAMES}),
    ("frames.jpeg_quality", 75, {FRAMES}),
    ("privacy.what", ["bodies"], set()),
    ("contact_sheet.videos", 1, SHEETS),
    ("contact_sheet.frames", 1, SHEETS),
    ("report.targets", ["all"], set()),
    ("report.show_originals", True, set()),
    ("privacy.detect.faces.detector", "onnx", {*DETECT.values()}),
    ("privacy.detect.bodies.detector", "onnx", {DETECT["bodies"]}),
    ("privacy.audit.faces.retinaface", 0.9, {AUDIT["faces"]}),
    ("privacy.audit.bodies.pose", 0.9, {AUDIT["bodies"]}),
    ("privacy.audit.bodies.retinaface", 0.9, {AUDIT["bodies"]}),
    ("classify.splits.split1.train", "train1", BY_NAME),
    ("classify.splits.split1.test", "val", BY_NAME),
    ("classify.classes", "classes.txt", {*TRAIN.values()}),
    ("classify.test_clips", 10, {*EVALUATE.values()}),
    ("classify.recipe", "r3d", set()),
    ("classify.compare", ["r3d"], set()),
    ("classify.strategies.cross_entropy.temperature", 2, {TRAIN[r, "cross_entropy"] for r in RECIPES}),
    *(
        (f"classify.strategies.{name}.{key}", value, {TRAIN[r, name] for r in RECIPES})
        for name in ("kd", "kd_rkd")
        for key, value in [("teacher", "faces"), ("kd", 1), ("rkd", 1), ("temperature", 2)]
    ),
    *(
        (f"classify.training.{key}", value, {*TRAIN.values()} | (both if key in ("device", "threads") else set()))
        for both in [BY_NAME]
        for key, value in [
            ("epochs", 45),
            ("momentum", 0.5),
            ("weight_decay", 0),
            ("precision", "float64"),
            ("deterministic", True),
            ("recompute_activations", True),
            ("device", "cuda"),
            ("threads", 2),
            ("seed", 2),
        ]
    ),
    *(
        (
            f"classify.recipes.{name}.{key}",
            value,
            {TRAIN[name, s] for s in STRATEGIES}
            | ({EVALUATE[name]} if key in ("micro_batch", "clip.short_videos") else set()),
        )
        for name in RECIPES
        for key, value in [
            ("backbone.name", "slowfast_4x16_r50"),
            ("backbone.width", 1),
            ("backbone.blocks", None),
            ("backbone.dropout", 0.5),
            ("clip.frames", 12),
            ("clip.view.short_side", [50, 60]) if name == "slowfast" else ("clip.view.size", [50, 60]),
            ("clip.view.crop", 32),
            ("clip.train_clips", 1),
            ("clip.flip", False),
            ("clip.short_videos", "drop"),
            ("batch", 64),
            ("micro_batch", 4),
            ("learning_rate", 1),
            ("warmup_epochs", 5),
            ("schedule", "step"),
            ("step_epochs", 5),
            ("initial", "model.safetensors"),
        ]
    ),
    *(
        # The search for bodies finds faces too, in frames of its own choice.
        (f"privacy.detect.{what}.{key}", value, {DETECT[what]} | ({DETECT["bodies"]} if shared else set()))
        for what in ("faces", "bodies")
        for key, value, shared in [
            ("weights", "mine.onnx", True),
            ("threshold", 0.9, True),
            ("long_side", 320, True),
            ("device", "cuda", True),
            ("interval", 0.5, False),
            ("search_rotated", True, False),
            ("fill_gap", 0, False),
        ]
    ),
    *(
        (f"privacy.obfuscate.{what}.{key}", value, {OBFUSCATE[what]})
        for what in ("faces", "bodies")
        for key, value in [
            ("filter", "solid"),
            ("shape", "ellipse"),
            ("enlarge", 3),
            ("kernel", 0.5),
            ("blocks", 9),
            ("jpeg_quality", 75),
        ]
    ),
]


def texts(config: Config) -> dict[tuple[str, str | None], str]:
    return {reader: canonical(settings_of(config, reader)) for reader in READERS}


def settings_of(config: Config, reader: tuple[str, Any]) -> Any:
    """What the workflow gives to a reader."""
    task, name = reader
    if name is None:
        return task_settings(config, task)
    if task in OF_PEOPLE:
        return task_settings(config, task, what=name)
    recipe, strategy = name.split()
    names = {"split": "split1", "recipe": recipe, "strategy": strategy}
    return task_settings(config, task, **{asked: names[asked] for asked in TASKS[task].asked if asked in names})


@pytest.mark.parametrize(("path", "value", "readers"), READ_BY, ids=[row[0] for row in READ_BY])
def test_task_reads_its_own_part_only(
    config: Config, path: str, value: Any, readers: set[tuple[str, str | None]]
) -> None:
    before, after = texts(config), texts(parse(Config, changed(path, value)))
    assert {reader for reader in READERS if before[reader] != after[reader]} == readers


def test_every_key_is_tried_above() -> None:
    tried = {path for path, _, _ in READ_BY}
    # Another value of these alone would be a mistake.
    tried |= {f"classify.strategies.cross_entropy.{key}" for key in ("teacher", "kd", "rkd")}
    tried |= {f"classify.recipes.{name}.clip.view.{key}" for name in RECIPES for key in ("size", "short_side")}
    others = ("detect.", "shrink.", "spot.")
    assert [
        p
        for p, _ in leaves(SHIPPED)
        if p not in tried and not any(t.startswith(f"{p}.") for t in tried) and not p.startswith(others)
    ] == []


@pytest.mark.parametrize("reader", READERS, ids=[f"{task}-{what}" for task, what in READERS])
def test_task_takes_the_settings_that_the_workflow_gives_it(config: Config, reader: tuple[str, Any]) -> None:
    text = canonical(settings_of(config, reader))
    settings = parse(TASKS[reader[0]].settings, text)
    assert settings == settings_of(config, reader)
    assert canonical(settings) == text


@pytest.mark.parametrize("task", ["build_manifest", "certify", "draw_sensitive_information"])
def test_task_without_settings_reads_nothing(config: Config, task: str) -> None:
    assert TASKS[task].settings is None
    assert task_settings(config, task) is None


def test_every_task_with_settings_is_tried_here_or_in_the_test_of_its_chapter() -> None:
    tried = {task for task, _ in READERS} | {*CH_3, *CH_4, *CH_6, *TELLING}
    assert {name for name, task in TASKS.items() if task.settings} == tried

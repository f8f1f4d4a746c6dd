"""Invented results of Ch. 3, for the tests of its tables and figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.base import parse
from pipeline.config.tasks.report import DrawDetection
from pipeline.config.whole import load
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.report.thesis_detection import (
    FIGURES,
    TABLES,
    networks_of,
)
from pipeline.runtime.provenance import Provenance
from pipeline.tasks import task_settings
from tests.shards import numbered, stored, write_shard

SEEDS = (0, 1, 2)


ACTIONS = {"stand": "PERSON_MOVEMENT", "talk": "PERSON_INTERACTION"}


ACTIONS |= {f"use {thing}": "OBJECT_MANIPULATION" for thing in ("a", "b", "c", "d", "e", "f")}


# The backbone has 0.40; a network has this at seed 0, 1 and 2.
OF_SEED = {"stage": (0.44, 0.46, 0.48), "no_temporal": (0.44, 0.45, 0.46), "linear": (0.30, 0.31, 0.32)}


BY_SEED = 4.302652729749462  # Student's t, two degrees of freedom, 97.5 %


SHIPPED = task_settings(load(), "draw_detection")


assert isinstance(SHIPPED, DrawDetection)


AS_THE_THESIS = SHIPPED.thesis


def settings(**changes: object) -> DrawDetection:
    content = {"dataset": "ava_2_1", "features": {"mine": "i3d"}, "heads": {"mine": 4}, "seeds": SEEDS, "start": 0.0}
    content |= {"thesis": AS_THE_THESIS, "mean_over": (), "departures": {}} | changes
    features: Any = content["features"]
    recipes = {name: AS_THE_THESIS.get(kind or "", {}) for name, kind in features.items()}
    return parse(DrawDetection, {"recipes": recipes} | content)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def evaluation(precision: float) -> dict[str, object]:
    """Use a gains nothing over the backbone's 0.4, b a sixth of what f gains, and so on."""
    gain = precision - 0.4
    classes = {f"use {name}": 0.4 + gain * place / 5 for place, name in enumerate("abcdef")}
    return {
        "mAP": precision,
        "groups": {"pose": precision + 0.1, "person-person": precision, "person-object": None},
        "classes": classes | {"stand": precision, "talk": None},
    }


def write_results(tmp_path: Path) -> Path:
    """``results/<dataset>/detect`` with everything that any table needs of the features ``mine``."""
    evaluations = tmp_path / "evaluations/mine"
    write(evaluations / "backbone/detected/evaluation.json", evaluation(0.4))
    for network in {each for name in (*TABLES, *FIGURES) for each in networks_of(name)} - {"backbone"}:
        for seed, precision in zip(SEEDS, OF_SEED.get(network, (0.41, 0.42, 0.43)), strict=True):
            write(evaluations / f"{network}/seed_{seed}/detected/evaluation.json", evaluation(precision))
            history = [{"epoch": n} for n in range(10 + seed)]
            metrics = {"seconds": 100.0 + seed, "device": "cpu", "clips": 60, "best_epoch": 4, "history": history}
            write(tmp_path / f"networks/mine/{network}/seed_{seed}/metrics.json", metrics)
    (tmp_path / "features/mine").mkdir(parents=True)
    feature_shard(tmp_path / "features/mine/0-of-1.h5")
    return tmp_path


def feature_shard(path: Path, task: str = "import_actor_features") -> Path:
    """Video v: 2 annotated and 1 detected actor at 0 s, 2 detected ones at 1 s; 4 objects, then 2."""
    times = np.arange(2.0)
    actors, objects = [], []
    for annotated, count in (((1, 1, 0), 4), ((0, 0), 2)):
        n = len(annotated)
        box = np.tile(np.array([0.1, 0.2, 0.4, 0.9], np.float32), (n, 1))
        blank = np.zeros((n, len(ACTIONS)))
        actors.append(Actors(np.ones((n, 6), np.float32), box, np.ones(n), np.array(annotated) > 0, blank, blank))
        corners = np.linspace(0.1, 0.6, count)[:, None] * np.ones(2)
        objects.append(
            Objects(np.ones((count, 8), np.float32), np.hstack([corners, corners + 0.2]), np.linspace(0.9, 0.3, count))
        )
    provenance = Provenance(task=task, settings="{}", code="test", weights={"backbone": "0123456789abcdef"})
    write_features(path, [FeaturedVideo("v", "", "val", times, actors, objects)], list(ACTIONS), [], provenance)
    return path


def label_map(folder: Path) -> Path:
    entries = [
        f'item {{ name: "{name}" id: {number} label_type: {kind} }}'
        for number, (name, kind) in enumerate(ACTIONS.items(), 1)
    ]
    (folder / "label_map.pbtxt").write_text("\n".join(entries))
    return folder / "label_map.pbtxt"


TRUTH = """\
v,0000,0.125,0.25,0.5,0.75,3,0
v,0000,0.125,0.25,0.5,0.75,1,0
v,0000,0.6,0.25,0.9,0.75,4,1
v,0001
w,0001,0.125,0.25,0.5,0.75,1,0
"""


# Overlaps of the first three with the first of those: 1; exactly 1/2 (half as tall); less than 1/2.
FOUND = """\
v,0000,0.125,0.25,0.5,0.75,3,0.9
v,0000,0.125,0.25,0.5,0.5,3,0.8
v,0000,0.125,0.25,0.5,0.49,3,0.95
v,0000,0.125,0.25,0.5,0.75,4,0.7
v,0001,0.125,0.25,0.5,0.75,1,0.6
v,0002,0.125,0.25,0.5,0.75,1,0.99
v,0000,0.125,0.25,0.5,0.75,77,0.99
v,0000,0.6,0.25,0.9,0.75,4,0.3
"""


def write_files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "detections.csv").write_text(FOUND)
    return {
        "detections": tmp_path / "detections.csv",
        "truth": tmp_path / "truth.csv",
        "label_map": label_map(tmp_path),
        "frames": write_shard(tmp_path / "frames.h5", [stored(tmp_path / "s", "v", numbered(20), split="val")]),
        "features": feature_shard(tmp_path / "features.h5"),
    }

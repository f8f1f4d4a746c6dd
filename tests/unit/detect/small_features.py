"""Small feature shards of people who act, and AVA's files of them; how to train STAGE on them and evaluate it."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.detect import NetworkSettings, StageTrainingSettings
from pipeline.config.tasks.detect import EvaluateStage, TrainStage
from pipeline.detect.evaluate_stage import evaluate_stage
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.detect.train_stage import train_stage
from pipeline.runtime.provenance import Provenance

ACTIONS = ("stand", "sit", "talk")
NUMBERS = (1, 3, 20)
SIZE, THINGS = 8, 6
# Of every keyframe: two annotated people, each detected again, and a detected box of nobody's.
BOXES = [[0.1, 0.1, 0.4, 0.9], [0.6, 0.2, 0.9, 0.8], [0.1, 0.1, 0.4, 0.875], [0.6, 0.2, 0.9, 0.775], [0.4, 0, 0.6, 0.1]]
SCORES = [1, 1, 0.9, 0.8, 0.75]


def doing(number: int, second: int, single: bool) -> list[list[int]]:
    """What the two people do: 0 stands or sits; whoever stands may talk as well."""
    random = np.random.default_rng([number, second])
    found = []
    for _ in range(2):
        first = int(random.integers(3 if single else 2))
        found.append([first] if single or first or random.random() < 0.5 else [0, 2])
    return found


def keyframe(number: int, second: int, single: bool = False, objects: int = THINGS) -> tuple[Actors, Objects]:
    random = np.random.default_rng([number, second, 1])
    actions = np.zeros((5, 3), bool)
    for person, does in enumerate(doing(number, second, single)):
        actions[[[person], [person + 2]], does] = True
    feature = random.normal(0, 0.3, (5, SIZE))
    feature[:, :3] += 2 * actions
    feature[4, 3] += 2
    baseline = np.clip(0.6 * actions + random.uniform(0.05, 0.35, (5, 3)), 0, 1)
    annotated = np.arange(5) < 2
    box, score = np.array(BOXES, np.float32), np.array(SCORES, np.float32)
    actors = Actors(feature.astype(np.float32), box, score, annotated, actions, baseline.astype(np.float32))
    count = second % 3 if objects else 0
    thing = random.normal(size=(count, objects)).astype(np.float16)
    return actors, Objects(thing, np.tile(box[:1], (count, 1)), np.full(count, 0.5, np.float32))


def a_video(name: str, number: int, split: str, seconds: int = 12, **options: Any) -> FeaturedVideo:
    both = [keyframe(number, second, **options) for second in range(seconds)]
    times = 902.0 + np.arange(seconds)
    return FeaturedVideo(name, "", split, times, [a for a, _ in both], [o for _, o in both])


def nobody(video: FeaturedVideo) -> FeaturedVideo:
    none = np.zeros(5, bool)
    return replace(video, actors=[Actors(*(column[none] for column in vars(a).values())) for a in video.actors])


def written(path: Path, videos: Sequence[FeaturedVideo], actions: Sequence[str] = ACTIONS) -> Path:
    write_features(path, videos, actions, [], Provenance("test", "{}", path.stem))
    return path


class Data:
    """Two feature shards with train, val and test videos, and AVA's files of them."""

    def __init__(self, folder: Path, *, single: bool = False, objects: int = THINGS):
        self.folder = folder
        options: dict[str, Any] = {"single": single, "objects": objects}
        train = [a_video(f"t{n}", n, "train", **options) for n in range(3)]
        empty = nobody(a_video("nobody", 9, "train", 6, **options))
        val = [a_video(f"v{n}", 100 + n, "val", 8, **options) for n in range(2)]
        val[1] = replace(val[1], split="val test")
        self.shards = [written(folder / "0.h5", [*train, val[0]]), written(folder / "1.h5", [empty, val[1]])]
        self.labels = self.map("labels.pbtxt", dict(zip(ACTIONS, NUMBERS, strict=True)))
        self.truth = folder / "val.csv"
        self.truth.write_text("".join(self._rows(video) for video in val))

    def map(self, name: str, actions: dict[str, int]) -> Path:
        entries = (f'item {{ name: "{action}" id: {number} }}\n' for action, number in actions.items())
        (self.folder / name).write_text("".join(entries))
        return self.folder / name

    @staticmethod
    def _rows(video: FeaturedVideo) -> str:
        return "".join(
            f"{video.id},{second:04.0f},{','.join(f'{value:.3f}' for value in actors.box[person])},{NUMBERS[action]}\n"
            for second, actors in zip(video.times, video.actors, strict=True)
            for person in (0, 1)
            for action in np.flatnonzero(actors.actions[person])
        )

    def train(self, output: Path, settings: TrainStage, **options: Any) -> dict[str, Any]:
        files = {"label_map": self.labels, "truth": self.truth} | options
        train_stage(files.pop("shards", self.shards), output, settings, **files)
        return json.loads(output.with_name("metrics.json").read_text())

    def evaluate(self, model: Path | None, folder: Path, **options: Any) -> tuple[dict[str, Any], list[list[str]]]:
        """The JSON, and the rows of detections."""
        changes = {key: options.pop(key) for key in list(options) if key in EvaluateStage.model_fields}
        files = {"label_map": self.labels, "truth": self.truth} | options
        folder.mkdir(exist_ok=True)
        output, found = folder / "evaluation.json", folder / "detections.csv"
        settings = EVALUATE.model_copy(update=changes)
        evaluate_stage(model, files.pop("shards", self.shards), output, found, settings, **files)
        with found.open(newline="") as file:
            return json.loads(output.read_text()), list(csv.reader(file))


EVALUATE = EvaluateStage(
    test="val", boxes="detected", step=1.0, clips=6, score=0.7, iou=0.5, capacity=0, device="cpu", threads=1
)


def settings(**changes: Any) -> TrainStage:
    """Small; changes by name, of the network as ``network__layers=2`` and of its training as ``training__epochs=2``."""
    network: dict[str, Any] = {
        "layers": 1,
        "heads": None,
        "receptive_field": 3,
        "attention": "additive",
        "proximity": "boxes",
        "objects": True,
        "actor_actor": True,
        "object_object": True,
        "dropout": 0.2,
    }
    training: dict[str, Any] = {
        "clips": 6,
        "batch": 2,
        "epochs": 12,
        "drop_patience": 50,
        "stop_patience": 5,
        "loss": "sigmoid",
        "boxes": "all",
        "precision": "float32",
        "deterministic": False,
        "device": "cpu",
        "threads": 1,
    }
    values: dict[str, Any] = {
        "train": ("train",),
        "validation": "val",
        "step": 1.0,
        "train_score": 0.0,
        "test_score": 0.7,
        "heads": 2,
        "learning_rate": 0.01,
        "capacity": 0,
        "seed": 1,
    }
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        {"network": network, "training": training, "": values}[part][key] = value
    return TrainStage(**values, network=NetworkSettings(**network), training=StageTrainingSettings(**training))


def metrics_of(model: Path) -> dict[str, Any]:
    return json.loads(model.with_name("metrics.json").read_text())

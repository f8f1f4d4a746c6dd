"""Small videos of people as a frame shard, their annotation and detected objects; how to extract their features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.config.detect_features import ActorBackboneSettings, BoxSettings, KeyframeSettings
from pipeline.config.tasks.detect import ExtractActorFeatures
from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.features.extract_actor_features import extract_actor_features
from pipeline.detect.features.objects import Detected, SearchedVideo, write_objects
from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, save_actor_backbone
from pipeline.runtime.provenance import Provenance
from tests.shards import numbered, stored, write_shard

ACTIONS = ["stand", "sit", "talk"]
BACKBONE = ActorBackbone("i3d", len(ACTIONS), 0.0625, 5)
LEFT, RIGHT, WHOLE = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]
ROWS = """v,0,0,0,.5,1,1
v,1,0,0,.5,1,1
v,1,.5,0,1,1,20
v,1,.5,0,1,1,3
v,2
v,2.9,0,0,1,1,3
w,1,0,0,1,1,1
"""
SETTINGS = ExtractActorFeatures(
    network=ActorBackboneSettings(name="i3d", width=0.0625, frames=5),
    keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
    boxes=BoxSettings(score=0.5, iou=0.5),
    rate=10.0,
    half_precision=False,
    batch=2,
    precision="float32",
    device="cpu",
    threads=1,
)
Things = Sequence[tuple[str, list[float], float]]
# On the keyframes of v at 0, 1, 2 and 2.9 s: what it is, where, how sure.
FOUND: list[Things] = [
    [("person", [0.0, 0.0, 0.5, 0.875], 0.75), ("ball", [0.25, 0.25, 0.5, 0.5], 0.375)],
    [
        ("ball", [0.5, 0.5, 0.75, 0.75], 0.5),
        ("person", WHOLE, 0.625),
        ("person", [0.5, 0.0, 1.0, 0.4375], 0.5),
        ("person", RIGHT, 0.25),
    ],
    [("ball", WHOLE, 0.875)],
    [],
]


def detected(things: Things) -> Detected:
    return Detected(
        np.array([[score, 2 * score] for _, _, score in things], np.float16).reshape(-1, 2),
        np.array([box for _, box, _ in things], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in things], np.float32),
        np.array([["ball", "person"].index(name) for name, _, _ in things], np.int32),
    )


class Filmed:
    """A frame shard of videos v (3 s), w (2 s, split val) and u (nobody names it), with all that goes with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        entries = zip(ACTIONS, (1, 3, 20), strict=True)
        self.labels = folder / "labels.pbtxt"
        self.labels.write_text("".join(f'item {{ name: "{name}" id: {number} }}\n' for name, number in entries))
        (folder / "train.csv").write_text(ROWS)
        videos = [
            stored(folder / "s", "v", numbered(30)),
            stored(folder / "s", "w", numbered(20, 100), split="val"),
            stored(folder / "s", "u", numbered(5)),
        ]
        self.frames = write_shard(folder / "frames.h5", videos)
        self.model = self.backbone("model", ACTIONS)

    def backbone(self, name: str, actions: list[str]) -> Path:
        a = ActorBackbone("i3d", len(actions), BACKBONE.width, BACKBONE.frames)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_actor_backbone(self.folder / f"{name}.safetensors", build_actor_backbone(a), a, actions, {})
        return self.folder / f"{name}.safetensors"

    def objects(self, times: Sequence[float] = (0, 1, 2, 2.9), videos: Sequence[str] = ("v", "w", "u")) -> Path:
        found = [SearchedVideo("v", "", "train", np.array(times, float), [detected(f) for f in FOUND[: len(times)]])]
        found += [SearchedVideo("w", "", "val", np.zeros(0), []), SearchedVideo("u", "", "train", np.zeros(0), [])]
        there = [video for video in found if video.id in videos]
        write_objects(self.folder / "o.h5", there, ["ball", "person"], [], Provenance("test", "{}", ""))
        return self.folder / "o.h5"

    def read(self, objects: Path | None = None, proposals: str = "", name: str = "out.h5", **options: Any):
        settings = SETTINGS.model_copy(update=options.pop("settings", {}))
        (self.folder / "people.csv").write_text(proposals)
        people = dict.fromkeys(("train", "val"), self.folder / "people.csv") if proposals else {}
        model, boxes = options.pop("model", self.model), options.pop("boxes", {"train": self.folder / "train.csv"})
        output = self.folder / name
        extract_actor_features(self.frames, output, settings, model, self.labels, boxes, people, objects, **options)
        return FeatureShard(output)

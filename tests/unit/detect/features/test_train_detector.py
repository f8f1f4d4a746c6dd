"""A detector's training: its pictures with their boxes, the same bytes after a stop, and what cannot be trained."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.config.detect_features import DetectorTrainingSettings
from pipeline.config.tasks.detect import TrainDetector
from pipeline.detect.features import train_detector as training
from pipeline.detect.features.train_detector import Pictures, collate, read_named_boxes, train_detector
from pipeline.models.object_detector import load_detector
from pipeline.runtime.errors import ActaError
from pipeline.runtime.store import FrameShard
from tests.detectors import CLASSES, SMALL, write_imagenet
from tests.unit.detect.features.drawn import BOXES


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> Path:
    return write_imagenet(tmp_path_factory.mktemp("imagenet") / "mobilenet_v2.pth")


def names(tmp_path: Path, extra: str = "") -> Path:
    rows = [f"{v},{time},{','.join(map(str, box))},person\n" for v in ("v", "w", "lost") for time, box in BOXES.items()]
    (tmp_path / "objects.csv").write_text("".join(rows) + extra)
    return tmp_path / "objects.csv"


def pictures_of(tmp_path: Path, shards: list[Path], extra: str = "") -> Pictures:
    path = names(tmp_path, extra)
    return Pictures([FrameShard(shard) for shard in shards], read_named_boxes(path, CLASSES), path, 1)


def test_pictures_come_with_their_boxes_mirrored_or_not(tmp_path, shards):
    found = pictures_of(tmp_path, shards, "v,0,0,0,1,1,ball\n")
    assert len(found) == 6
    sides = set()
    for epoch in range(6):
        for number in range(6):
            item = found[epoch, number]
            assert item["kind"].tolist() == ([1, 0] if number == 0 else [1])
            light = item["picture"].float().mean(0) > 125
            x1, y1, x2, y2 = item["box"][0].round().int().tolist()
            inside = torch.zeros_like(light)
            inside[y1:y2, x1:x2] = True
            assert (inside != light).float().mean() < 0.03, "but for what the compression blurs"
            sides.add((number, x1))
    assert len(sides) == 12, "each picture is seen both ways"


def test_pictures_of_two_sizes_in_one_batch(tmp_path, shards):
    found = pictures_of(tmp_path, shards)
    batch = collate([found[0, 0], found[0, 3]])
    assert batch["pictures"].shape == (2, 3, 60, 60)
    assert batch["sizes"].tolist() == [[40, 60], [60, 40]]
    assert batch["owner"].tolist() == [0, 1]


def test_boxes_beyond_the_end_of_a_video(tmp_path, shards):
    with pytest.raises(ActaError, match=r"objects.csv has boxes of 'u' at 1.5 s, but its last frame is at 0.3 s"):
        pictures_of(tmp_path, shards, "u,1.5,0,0,1,1,ball\n")
    assert len(pictures_of(tmp_path, shards, "u,0.7,0,0,1,1,ball\n")) == 7


# ---- training


def settings(imagenet: Path, **changes: Any) -> TrainDetector:
    values: dict[str, Any] = {
        "initial": str(imagenet),
        "classes": CLASSES,
        "short_side": 40,
        "feature_size": 16,
        "epochs": 3,
        "batch": 3,
        "learning_rate": 0.02,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "warmup_epochs": 0.5,
        "precision": "float32",
        "deterministic": False,
        "recompute_activations": False,
        "device": "cpu",
        "threads": 1,
        "seed": 1,
    }
    return TrainDetector(detector=DetectorTrainingSettings(**values | changes), start=0.0)


def test_a_stopped_training_ends_with_the_same_bytes(tmp_path, shards, imagenet, monkeypatch):
    boxes, calm, shot = names(tmp_path), tmp_path / "calm" / "model.safetensors", tmp_path / "shot" / "m.safetensors"
    train_detector(shards, boxes, calm, settings(imagenet))
    metrics = json.loads(calm.with_name("metrics.json").read_text())
    assert [epoch["epoch"] for epoch in metrics["history"]] == [1, 2, 3]
    parts = ("classifier", "box_reg", "objectness", "rpn_box_reg")
    assert metrics["history"][0]["loss"] == pytest.approx(sum(metrics["history"][0][part] for part in parts), rel=1e-5)
    plain, calls = training.detector_losses, []

    def ask(model, batch):
        calls.append(None)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(training, "detector_losses", ask)
        with pytest.raises(SystemExit) as stopped:
            train_detector(shards, boxes, shot, settings(imagenet))
    assert (stopped.value.code, len(calls)) == (128 + signal.SIGTERM, 3)
    assert shot.with_name("last.ckpt").exists()
    assert not shot.exists()
    train_detector(shards, boxes, shot, settings(imagenet), workers=1)
    assert shot.read_bytes() == calm.read_bytes()
    assert shot.with_suffix(".json").read_bytes() == calm.with_suffix(".json").read_bytes()
    assert not shot.with_name("last.ckpt").exists()
    assert load_detector(shot)[1] == replace(SMALL, short_side=40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("person",)}, "objects.csv:1: .* one of the classes person"),
        ({"classes": ("ball", "figure")}, "a detector must find a 'person'; this one finds ball, figure"),
        ({"batch": 8}, "an epoch has 6 clips, fewer than one batch of 8"),
        ({"initial": "none.pth"}, "cannot read the checkpoint none.pth: No such file or directory"),
        ({"precision": "bfloat16"}, "precision 'bfloat16' needs device 'cuda'"),
    ],
)
def test_trainings_that_cannot_be(tmp_path, shards, imagenet, changes, message):
    boxes = names(tmp_path)
    if "classes" in changes:
        boxes.write_text(boxes.read_text().replace("person", "ball"))
    with pytest.raises(ActaError, match=message):
        train_detector(shards, boxes, tmp_path / "m.safetensors", settings(imagenet, **changes))
    assert not (tmp_path / "m.safetensors").exists()


def test_no_picture_is_among_the_videos(tmp_path, shards, imagenet):
    (tmp_path / "o.csv").write_text("lost,0,0,0,1,1,person\n")
    with pytest.raises(ActaError, match=r"none of the 1 pictures of .*o.csv is among the videos"):
        train_detector(shards, tmp_path / "o.csv", tmp_path / "m.safetensors", settings(imagenet))

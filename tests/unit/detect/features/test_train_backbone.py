"""The backbone's own training on annotated people: its clips, what it leaves as it was, and what cannot be trained."""

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.config.detect_features import ActorBackboneSettings, BackboneTrainingSettings
from pipeline.config.tasks.detect import TrainBackbone
from pipeline.detect.annotation.people import Annotation
from pipeline.detect.features.keyframes import TimedFrames
from pipeline.detect.features.train_backbone import Clips, collate, train_backbone
from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, load_actor_backbone
from pipeline.runtime.errors import ActaError
from tests.unit.detect.features.filmed import ACTIONS, BACKBONE, LEFT, RIGHT


def training(**changes: Any) -> TrainBackbone:
    values: dict[str, Any] = {
        "initial": None,
        "trainable": "all",
        "dropout": 0.0,
        "flip": False,
        "epochs": 2,
        "batch": 2,
        "micro_batch": 1,
        "learning_rate": 0.05,
        "warmup_epochs": 0.0,
        "schedule": "cosine",
        "step_epochs": 1.0,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "precision": "float32",
        "deterministic": False,
        "recompute_activations": False,
        "device": "cpu",
        "threads": 1,
        "seed": 1,
    }
    network = ActorBackboneSettings(name="i3d", width=BACKBONE.width, frames=BACKBONE.frames)
    training = BackboneTrainingSettings(**values | changes)
    return TrainBackbone(backbone=network, rate=10.0, start=0.0, training=training)


def test_clips_with_annotated_people_mirrored_or_not(filmed):
    annotation = Annotation(filmed.folder / "train.csv", filmed.labels)
    plain, turned = (
        Clips([TimedFrames(filmed.frames, 0.0)], [annotation], BACKBONE, training(flip=flip)) for flip in (False, True)
    )
    assert len(plain) == len(turned) == 4, "v at 0, 1 and 2.9 s, and w at 1 s"
    seen = set()
    for epoch in range(8):
        one, other = plain[epoch, 1], turned[epoch, 1]
        assert one["box"].tolist() == [LEFT, RIGHT]
        assert one["actions"].int().tolist() == other["actions"].int().tolist() == [[1, 0, 0], [0, 1, 1]]
        mirrored = other["box"].tolist() == [RIGHT, LEFT]
        assert torch.equal(other["clip"], one["clip"].flip(3) if mirrored else one["clip"])
        seen.add(mirrored)
    assert seen == {True, False}
    batch = collate([plain[0, 0], plain[0, 1]])
    assert (batch["clips"].shape, batch["counts"].tolist()) == ((2, 5, 3, 32, 64), [1, 2])
    assert batch["box"].tolist() == [LEFT, LEFT, RIGHT]
    small = {"clip": torch.zeros(5, 3, 8, 8), "box": torch.zeros(1, 4), "actions": torch.zeros(1, 3)}
    with pytest.raises(ActaError, match=r"clips of different sizes .* in one batch; set an exact `size` of the frames"):
        collate([plain[0, 0], small])


def test_fine_tuning_trains_what_follows_mixed_4f_and_drops_out(filmed, tmp_path):
    """From weights for other classes, as those of ImageNet and Kinetics are."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        published = build_actor_backbone(ActorBackbone("i3d", 7, BACKBONE.width, BACKBONE.frames)).network.state_dict()
    torch.save(published, tmp_path / "rgb_imagenet.pt")
    boxes, losses = {"train": filmed.folder / "train.csv"}, {}
    for dropout in (0.0, 0.5):
        changed = training(initial=str(tmp_path / "rgb_imagenet.pt"), trainable="mixed_5", dropout=dropout)
        output = tmp_path / str(dropout) / "model.safetensors"
        train_backbone([filmed.frames], output, changed, filmed.labels, boxes)
        tuned = load_file(output)
        trunk = [name for name in published if not name.startswith(("Mixed_5", "logits")) and "tracked" not in name]
        assert all(torch.equal(tuned[name], published[name]) for name in trunk)
        assert not torch.equal(tuned["Mixed_5b.b0.conv3d.weight"], published["Mixed_5b.b0.conv3d.weight"])
        metrics = json.loads(output.with_name("metrics.json").read_text())
        assert metrics["keyframes"] == 4
        losses[dropout] = metrics["history"][0]["loss"]
        _, about, actions = load_actor_backbone(output)
        assert (about, actions) == (BACKBONE, ACTIONS)
        assert not output.with_name("last.ckpt").exists()
    assert losses[0.0] != losses[0.5], "dropout counts with initial weights, too"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("lost,1,0,0,1,1,1\n", r"train.csv annotate no box in the videos of the frame shards"),
        ("v,1\n", r"train.csv annotate no box"),
        (None, "no annotated boxes are given; a backbone is trained on them"),
        ("v,1,0,0,1,1,2\n", r"train.csv:1: the action is not one of"),
    ],
)
def test_trainings_that_cannot_be(filmed, tmp_path, rows, message):
    boxes = {} if rows is None else {"train": tmp_path / "train.csv"}
    (tmp_path / "train.csv").write_text(rows or "")
    with pytest.raises(ActaError, match=message):
        train_backbone([filmed.frames], tmp_path / "model.safetensors", training(), filmed.labels, boxes)

"""Features of people by a backbone: who is an actor with which labels, what the backbone sees, and its own training."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.config.detect import ActorBackboneSettings, BackboneTrainingSettings, BoxSettings, KeyframeSettings
from pipeline.config.tasks.detect import ExtractActorFeatures, TrainBackbone
from pipeline.detect.annotation.people import Annotation
from pipeline.detect.features.actor_clips import clip_at
from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.features.extract_actor_features import extract_actor_features
from pipeline.detect.features.objects import Detected, SearchedVideo, write_objects
from pipeline.detect.features.timed import TimedFrames
from pipeline.detect.features.train_backbone import Clips, collate, train_backbone
from pipeline.models.actor_backbones import (
    ActorBackbone,
    build_actor_backbone,
    load_actor_backbone,
    save_actor_backbone,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import FrameShard
from tests.clips import read_number
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
STAGE = ExtractActorFeatures(
    network=ActorBackboneSettings(name="i3d", width=0.0625, frames=5),
    keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
    boxes=BoxSettings(score=0.5, iou=0.5),
    rate=10.0,
    half=False,
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


class Made:
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
        stage = STAGE.model_copy(update=options.pop("stage", {}))
        (self.folder / "people.csv").write_text(proposals)
        people = dict.fromkeys(("train", "val"), self.folder / "people.csv") if proposals else {}
        model, boxes = options.pop("model", self.model), options.pop("boxes", {"train": self.folder / "train.csv"})
        output = self.folder / name
        extract_actor_features(self.frames, output, stage, model, self.labels, boxes, people, objects, **options)
        return FeatureShard(output)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return Made(tmp_path_factory.mktemp("actors"))


@pytest.fixture(scope="module")
def shard(made) -> FeatureShard:
    return made.read(made.objects(), name="module.h5")


def test_annotated_people_first_then_sure_ones_with_labels_by_overlap(shard):
    """The whole picture overlaps each half by one half; the upper right by 0.4375 of its half, which is too little."""
    found = shard.keyframes("v")
    assert found.times.tolist() == [0, 1, 2, 2.9]
    assert found.actor_keyframe.tolist() == [0, 0, 1, 1, 1, 1, 3]
    expected = [LEFT, [0, 0, 0.5, 0.875], LEFT, RIGHT, WHOLE, [0.5, 0, 1, 0.4375], WHOLE]
    assert found.actors.box.tolist() == expected
    assert found.actors.annotated.tolist() == [True, False, True, True, False, False, True]
    assert found.actors.score.tolist() == [1, 0.75, 1, 1, 0.625, 0.5, 1]
    labels = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]]
    assert found.actors.actions.astype(int).tolist() == labels


def test_objects_are_all_that_are_no_people(shard):
    found = shard.keyframes("v")
    assert found.object_keyframe.tolist() == [0, 1, 2]
    assert found.objects.box.tolist() == [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 0.75, 0.75], WHOLE]
    assert found.objects.score.tolist() == [0.375, 0.5, 0.875]
    assert found.objects.feature.tolist() == [[0.375, 0.75], [0.5, 1], [0.875, 1.75]]


def test_what_the_backbone_says_of_the_clip_around_each_keyframe(made, shard):
    """At both ends of the video, too, where its first and last frame are repeated."""
    network, _, _ = load_actor_backbone(made.model)
    found, frames = shard.keyframes("v"), FrameShard(made.frames)
    for number, middle in enumerate([0, 10, 20, 29]):
        clip = clip_at(frames, "v", found.times[number], 5, 10.0)
        seen = [read_number(frame.permute(1, 2, 0).numpy()) for frame in clip]
        assert seen == [min(max(middle + k, 0), 29) for k in range(-2, 3)]
        mine = found.actor_keyframe == number
        box = torch.from_numpy(found.actors.box[mine])
        with torch.inference_mode():
            feature, logits = network.eval()(clip[None], [box])
        assert found.actors.feature[mine] == pytest.approx(feature.numpy(), rel=1e-4, abs=1e-5)
        assert found.actors.baseline[mine] == pytest.approx(logits.sigmoid().numpy(), rel=1e-4, abs=1e-5)
    assert shard.actor_size == BACKBONE.feature_size


def test_videos_without_keyframes_are_there_without_any(shard):
    assert (shard.ids, shard.splits) == (["v", "w", "u"], ["train", "val", "train"])
    assert shard.keyframes("w").times.tolist() == shard.keyframes("u").times.tolist() == []
    assert not shard.quarantine


def test_each_video_has_its_own_clips(made, shard):
    both = dict.fromkeys(("train", "val"), made.folder / "train.csv")
    found = made.read(None, "v,1,.5,0,1,1,,.4\n", boxes=both)
    assert found.keyframes("v").actors.feature[[0, 1, 2, 3]] == pytest.approx(
        shard.keyframes("v").actors.feature[[0, 2, 3, 6]], rel=1e-4, abs=1e-5
    )
    network, _, _ = load_actor_backbone(made.model)
    clip = clip_at(FrameShard(made.frames), "w", 1.0, 5, 10.0)
    with torch.inference_mode():
        feature, _ = network.eval()(clip[None], [torch.tensor([WHOLE])])
    assert found.keyframes("w").times.tolist() == [1]
    assert found.keyframes("w").actors.feature == pytest.approx(feature.numpy(), rel=1e-4, abs=1e-5)


def test_people_of_proposals_and_objects_of_the_detector(made):
    people = "v,1,.5,0,1,1,,.9\nv,1,0,0,.25,1,,.4\nv,0,0,0,1,1,,.5\n"
    found = made.read(made.objects(), people).keyframes("v")
    assert found.actor_keyframe.tolist() == [0, 0, 1, 1, 1, 3]
    assert found.actors.box[[1, 4]].tolist() == [WHOLE, RIGHT]
    assert found.actors.score == pytest.approx([1, 0.5, 1, 1, 0.9, 1])
    assert found.object_keyframe.tolist() == [0, 1, 2]


def test_without_objects_there_are_only_people(made):
    found = made.read(None, "v,2,.5,0,1,1,,.9\n")
    assert found.object_size == 0
    assert found.keyframes("v").actor_keyframe.tolist() == [0, 1, 1, 2, 3]
    assert found.keyframes("v").object_keyframe.tolist() == []


def test_a_classifier_of_other_classes_is_no_baseline(made, shard):
    other = made.read(made.objects(), model=made.backbone("kinetics", ["run", "ride"]))
    assert other.actions == ACTIONS
    assert other.keyframes("v").actors.baseline.shape == (7, 0)
    turned = made.read(made.objects(), model=made.backbone("turned", ACTIONS[::-1]))
    assert turned.keyframes("v").actors.baseline.shape == (7, 0)
    assert shard.keyframes("v").actors.baseline.shape == (7, 3)


def test_workers_do_not_change_a_byte(made):
    made.read(made.objects(), name="alone.h5").close()
    made.read(made.objects(), name="helped.h5", workers=1).close()
    assert (made.folder / "helped.h5").read_bytes() == (made.folder / "alone.h5").read_bytes()


def test_half_precision_and_the_published_rate(made, shard):
    found = made.read(made.objects(), stage={"half": True}).keyframes("v").actors.feature
    assert found.dtype == np.float16
    assert found.astype(float) == pytest.approx(shard.keyframes("v").actors.feature, rel=1e-3, abs=1e-3)
    faster = made.read(made.objects(), stage={"rate": None}).keyframes("v").actors.feature
    assert not np.allclose(faster, shard.keyframes("v").actors.feature), "25 frames a second, not 10"


def test_a_shard_of_objects_that_does_not_fit(made):
    with pytest.raises(ActaError, match=r"frames.h5 holds 'acta-frames-1', but 'acta-objects-1' is needed"):
        made.read(made.frames)
    (bad,) = made.read(made.objects(times=(0, 1, 2))).quarantine
    assert (bad.id, bad.stage) == ("v", "extract_actor_features")
    assert "its keyframes are not those of" in bad.reason
    (bad,) = made.read(made.objects(videos=("v", "u"))).quarantine
    assert bad.id == "w"
    assert "'w' is not in" in bad.reason
    with pytest.raises(ActaError, match="actor-features: 2 of the first 2 videos"):
        made.read(made.objects(videos=("u",)), max_bad_fraction=0.1)


def test_people_from_nowhere(made):
    with pytest.raises(ActaError, match="an object shard that knows them; neither is given"):
        made.read()


def test_an_annotated_keyframe_beyond_the_end(tmp_path):
    made = Made(tmp_path)
    (tmp_path / "train.csv").write_text(ROWS + "u,5,0,0,1,1,1\n")
    found = made.read(made.objects())
    assert found.ids == ["v", "w"]
    assert f"{tmp_path}/train.csv:8 annotates it at 5 s" in found.quarantine[0].reason


# ---- the backbone's own training


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
        "device": "cpu",
        "threads": 1,
        "seed": 1,
    }
    network = ActorBackboneSettings(name="i3d", width=BACKBONE.width, frames=BACKBONE.frames)
    training = BackboneTrainingSettings(**values | changes)
    return TrainBackbone(backbone=network, rate=10.0, start=0.0, training=training)


def test_clips_with_annotated_people_mirrored_or_not(made):
    annotation = Annotation(made.folder / "train.csv", made.labels)
    plain, turned = (
        Clips([FrameShard(made.frames)], [annotation], BACKBONE, training(flip=flip)) for flip in (False, True)
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


def test_fine_tuning_trains_what_follows_mixed_4f_and_drops_out(made, tmp_path):
    """From weights for other classes, as those of ImageNet and Kinetics are."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        published = build_actor_backbone(ActorBackbone("i3d", 7, BACKBONE.width, BACKBONE.frames)).network.state_dict()
    torch.save(published, tmp_path / "rgb_imagenet.pt")
    boxes, losses = {"train": made.folder / "train.csv"}, {}
    for dropout in (0.0, 0.5):
        changed = training(initial=str(tmp_path / "rgb_imagenet.pt"), trainable="mixed_5", dropout=dropout)
        output = tmp_path / str(dropout) / "model.safetensors"
        train_backbone([made.frames], output, changed, made.labels, boxes)
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
def test_trainings_that_cannot_be(made, tmp_path, rows, message):
    boxes = {} if rows is None else {"train": tmp_path / "train.csv"}
    (tmp_path / "train.csv").write_text(rows or "")
    with pytest.raises(ActaError, match=message):
        train_backbone([made.frames], tmp_path / "model.safetensors", training(), made.labels, boxes)


def test_videos_that_were_cut_begin_later_in_the_annotations_time(tmp_path):
    """AVA's second 902 is the cut video's second 2."""
    shard = write_shard(tmp_path / "frames.h5", [stored(tmp_path / "jpegs", "v", numbered(30))])
    cut = TimedFrames(shard, 900.0)
    assert cut.times("v")[[0, -1]].tolist() == [900.0, pytest.approx(902.9)]
    assert read_number(cut.clip_at("v", [902.0])[0].permute(1, 2, 0).numpy()) == 20
    again = pickle.loads(pickle.dumps(cut))
    assert again.times("v")[0] == 900.0

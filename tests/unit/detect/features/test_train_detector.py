"""Detectors of people and objects: their files, what they find with which features, and their training."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from pipeline.config.detect import DetectorTrainingSettings, KeyframeSettings, ObjectSettings
from pipeline.config.tasks.detect import DetectObjects, TrainDetector
from pipeline.detect.annotation.named_boxes import read_named_boxes
from pipeline.detect.features import train_detector as training
from pipeline.detect.features.detect_objects import detect_objects
from pipeline.detect.features.objects import Detected, ObjectShard, SearchedVideo, write_objects
from pipeline.detect.features.train_detector import Pictures, collate, train_detector
from pipeline.models.object_detector import (
    ObjectDetector,
    build_detector,
    coco_classes,
    find,
    load_detector,
    save_detector,
    start_from_imagenet,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.seals import sealed
from pipeline.runtime.store import FrameShard
from tests.shards import stored, write_shard

CLASSES = ("ball", "person")
SMALL = ObjectDetector("mobilenet_v2_fpn", CLASSES, 64, 16)


def a_detector(seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_detector(SMALL).eval()


def some_pictures(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "model.safetensors"
    save_detector(path, a_detector(), SMALL, {"stage": "test"})
    return path


# ---- files


def test_a_saved_detector_comes_back(saved):
    model, about = load_detector(saved)
    assert about == SMALL
    assert not model.training
    for name, value in a_detector().state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert json.loads(saved.with_suffix(".json").read_text())["provenance"] == {"stage": "test"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "acta-stage-1"}, "model.json holds 'acta-stage-1', but 'acta-object-detector-1' is needed"),
        (
            {"detector": {"name": "mobilenet_v2_fpn"}},
            "json does not describe a model: 'detector.classes': field",
        ),
        (
            {"detector": {"name": "mobilenet_v2_fpn", "classes": ["person"]}},
            "'detector.short_side': field",
        ),
        (
            {"detector": {"name": "mobilenet_v2_fpn", "classes": ["person"], "short_side": 64, "feature_size": 16}},
            r"model.safetensors holds the weights of another .*: 'roi_heads.* has the shape \[12\] instead of \[8\]",
        ),
        (
            {"detector": {"name": "mobilenet_v2_fpn", "classes": ["cat"], "short_side": 64}},
            "a detector must find a 'person'; .* cat",
        ),
    ],
)
def test_descriptions_that_do_not_fit(saved, tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.read_bytes())
    content = json.loads(saved.with_suffix(".json").read_text()) | change
    path.with_suffix(".json").write_text(json.dumps(sealed(content)))
    with pytest.raises(ActaError, match=message):
        load_detector(path)


def test_files_that_are_not_there_or_damaged(saved, tmp_path):
    with pytest.raises(ActaError, match=r"cannot read the model's description .*none.json"):
        load_detector(tmp_path / "none.safetensors")
    (tmp_path / "none.json").write_bytes(saved.with_suffix(".json").read_bytes())
    with pytest.raises(ActaError, match=r"there is no model file .*none.safetensors"):
        load_detector(tmp_path / "none.safetensors")
    (tmp_path / "coco.pth").write_bytes(b"half")
    with pytest.raises(ActaError, match=r"coco.pth is no checkpoint"):
        load_detector(tmp_path / "coco.pth")
    with pytest.raises(ActaError, match=r"coco.pth is no checkpoint"):
        start_from_imagenet(build_detector(SMALL), tmp_path / "coco.pth")


def test_the_published_detector_has_the_numbers_of_coco():
    classes = coco_classes()
    assert (len(classes), classes[0], classes[-1]) == (90, "person", "toothbrush")
    with torch.device("meta"):
        model = build_detector(ObjectDetector("resnet50_fpn_v2", classes, 800))
    assert model.roi_heads.box_predictor.cls_score.weight.shape == (91, 1024)


# ---- finding


def test_what_is_found_has_the_box_head_s_features_of_its_box():
    model = a_detector()
    pictures = some_pictures((48, 64), (80, 40), (64, 64))
    results = find(model, pictures, 0.0, 7)
    assert len(results) == 3
    for picture, found in zip(pictures, results, strict=True):
        assert 0 < len(found.box) <= 7
        assert (found.box >= 0).all()
        assert (found.box <= 1).all()
        assert (found.box[:, 2:] > found.box[:, :2]).all()
        assert set(found.kind.tolist()) <= {0, 1}
        assert (found.score.diff() <= 0).all()
        images, _ = model.transform([picture.float() / 255])
        height, width = images.image_sizes[0]
        # The picture is padded to the largest of a batch, but a region away from the padding sees the same.
        box = found.box * torch.tensor([width, height, width, height])
        with torch.no_grad():
            padded = torch.zeros(1, 3, 128, 96)
            padded[:, :, :height, :width] = images.tensors[:, :, :height, :width]
            maps = model.backbone(padded)
            expected = model.roi_heads.box_head(model.roi_heads.box_roi_pool(maps, [box], [(height, width)]))
        assert found.feature.shape == (len(box), 16)
        assert torch.allclose(found.feature, expected, atol=1e-3)


def test_scores_below_the_threshold_are_not_found():
    model = a_detector()
    (every,) = find(model, some_pictures((48, 64)), 0.0, 100)
    middle = float(every.score.median())
    (some,) = find(model, some_pictures((48, 64)), middle, 100)
    assert torch.equal(some.score, every.score[every.score > middle])
    assert torch.equal(some.box, every.box[every.score > middle])


def test_a_picture_without_anything():
    for found in find(a_detector(), some_pictures((48, 64), (32, 32)), 1.0, 10):
        assert found.box.shape == (0, 4)
        assert found.feature.shape == (0, 16)
        assert found.score.shape == found.kind.shape == (0,)


# ---- drawn pictures

BOXES = {0.0: [0.1, 0.2, 0.4, 0.9], 0.1: [0.5, 0.0, 0.75, 0.5], 0.2: [0.6, 0.4, 1.0, 0.8]}


def drawn(size: tuple[int, int] = (40, 60)) -> list[np.ndarray]:
    """A dark picture for each of `BOXES` in which its box alone is light, and one with nothing."""
    images = []
    for x1, y1, x2, y2 in [*BOXES.values(), [0, 0, 0, 0]]:
        image = np.full((*size, 3), 20, np.uint8)
        image[round(y1 * size[0]) : round(y2 * size[0]), round(x1 * size[1]) : round(x2 * size[1])] = 230
        images.append(image)
    return images


@pytest.fixture
def shards(tmp_path) -> list[Path]:
    """Two shards; videos v and w are drawn, nobody has named a box of u."""
    videos = [stored(tmp_path / "s", name, drawn(size)) for name, size in (("v", (40, 60)), ("u", (40, 60)))]
    other = [stored(tmp_path / "s", "w", drawn((60, 40)))]
    return [write_shard(tmp_path / "0.h5", videos), write_shard(tmp_path / "1.h5", other)]


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


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> Path:
    """What torchvision publishes, but random."""
    path = tmp_path_factory.mktemp("imagenet") / "mobilenet_v2.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(mobilenet_v2(weights=None).state_dict(), path)
    return path


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
        "device": "cpu",
        "threads": 1,
        "seed": 1,
    }
    return TrainDetector(detector=DetectorTrainingSettings(**values | changes), start=0.0)


def test_the_backbone_starts_from_imagenet(imagenet):
    model = build_detector(SMALL)
    start_from_imagenet(model, imagenet)
    published = torch.load(imagenet, weights_only=True)
    for name in ("0.0.weight", "3.conv.1.1.running_var", "13.conv.2.weight"):
        assert torch.equal(model.backbone.body.state_dict()[name], published[f"features.{name}"]), name


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


# ---- object shards


def test_an_object_shard_comes_back(tmp_path):
    def some(count: int) -> Detected:
        random = np.random.default_rng(count)
        return Detected(
            random.random((count, 3)).astype(np.float16),
            random.random((count, 4)).astype(np.float32),
            random.random(count).astype(np.float32),
            random.integers(0, 2, count).astype(np.int32),
        )

    videos = [
        SearchedVideo("v", "", "train", np.array([1.0, 2.0, 3.0]), [some(2), some(0), some(3)]),
        SearchedVideo("none", "", "train", np.zeros(0), []),
        SearchedVideo("w", "", "val", np.array([7.0]), [some(1)]),
    ]
    write_objects(tmp_path / "o.h5", videos, CLASSES, [], Provenance("test", "{}", ""))
    shard = ObjectShard(tmp_path / "o.h5")
    assert (shard.classes, shard.feature_size) == (list(CLASSES), 3)
    for video in videos:
        assert shard.times(video.id).tolist() == video.times.tolist()
        for place, each in enumerate(video.found):
            for name, column in vars(shard.at(video.id, place)).items():
                assert np.array_equal(column, getattr(each, name))
    with pytest.raises(IndexError, match="keyframe 3 of 'v', which has 3"):
        shard.at("v", 3)
    write_objects(tmp_path / "none.h5", [], CLASSES, [], Provenance("test", "{}", ""))
    assert ObjectShard(tmp_path / "none.h5").ids == []


def search(tmp_path: Path, shard: Path, detector: Path, rows: str, **changes: Any) -> ObjectShard:
    (tmp_path / "labels.pbtxt").write_text('item { name: "stand" id: 1 }')
    (tmp_path / "boxes.csv").write_text(rows)
    values: dict[str, Any] = {"imported": {}, "weights": None, "score": 0, "person_score": 0, "most": 99}
    values |= {"device": "cpu", "threads": 1}
    stage = DetectObjects(
        keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
        objects=ObjectSettings(**values | changes),
    )
    files = {"train": tmp_path / "boxes.csv"}
    detect_objects(shard, tmp_path / "objects.h5", stage, detector, tmp_path / "labels.pbtxt", files, {})
    return ObjectShard(tmp_path / "objects.h5")


def test_people_and_objects_on_keyframes_each_with_its_own_threshold(tmp_path, shards, saved):
    rows = "v,0.2,0,0,1,1,1\nv,0.0,0,0,1,1,1\nv,0.1\nu,90,0,0,1,1,1\n"
    model, _ = load_detector(saved)
    frames = FrameShard(shards[0])
    every = [find(model, [frames.clip_at("v", [time])[0]], 0.0, 99)[0] for time in (0.0, 0.1, 0.2)]
    shard = search(tmp_path, shards[0], saved, rows)
    assert shard.times("v").tolist() == [0.0, 0.1, 0.2]
    assert shard.classes == list(CLASSES)
    for place, expected in enumerate(every):
        found = shard.at("v", place)
        assert found.kind.tolist() == expected.kind.tolist()
        assert found.box == pytest.approx(expected.box.numpy(), abs=1e-4)
        assert found.score == pytest.approx(expected.score.numpy(), abs=1e-4)
        assert found.feature.astype(float) == pytest.approx(expected.feature.numpy(), rel=1e-2, abs=1e-2)
        assert found.feature.dtype == np.float16
    (bad,) = shard.quarantine
    assert (bad.id, bad.stage) == ("u", "detect_objects")
    assert "boxes.csv:4 annotates it at 90 s" in bad.reason
    digest = shard.digest
    shard.close()

    person = float(np.median([score for each in every for score in each.score[each.kind == 1].tolist()]))
    other = search(tmp_path, shards[0], saved, rows, person_score=person)
    assert other.digest != digest
    for place, expected in enumerate(every):
        kept = (expected.kind == 0) | (expected.score >= person)
        assert other.at("v", place).kind.tolist() == expected.kind[kept].tolist()
        assert 0 < (~kept).sum() < len(kept)
    other.close()

    assert len(search(tmp_path, shards[0], saved, rows, score=1.0, person_score=1.0).at("v", 0).box) == 0


def test_a_video_without_keyframes(tmp_path, shards, saved):
    shard = search(tmp_path, shards[0], saved, "v,0.1,0,0,1,1,1\n", most=2)
    assert shard.times("u").tolist() == []
    assert len(shard.at("v", 0).box) == 2


def test_proposals_name_keyframes_and_are_an_input(tmp_path, shards, saved):
    shard = search(tmp_path, shards[0], saved, "v,0.1,0,0,1,1,1\n", most=2)
    digest = shard.digest
    shard.close()
    people = tmp_path / "people.csv"
    people.write_text("v,0.3,0,0,1,1,,0.5\n")
    stage = DetectObjects(
        keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
        objects=ObjectSettings(imported={}, weights=None, score=0, person_score=0, most=2, device="cpu", threads=1),
    )
    labels, boxes = tmp_path / "labels.pbtxt", {"train": tmp_path / "boxes.csv"}
    detect_objects(shards[0], tmp_path / "p.h5", stage, saved, labels, boxes, {"train": people})
    found = ObjectShard(tmp_path / "p.h5")
    assert found.times("v").tolist() == [0.1, 0.3]
    assert found.digest != digest

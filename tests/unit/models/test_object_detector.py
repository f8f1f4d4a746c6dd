"""Detectors of people and objects: their files, and what they find with which features."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.models.object_detector import (
    ObjectDetector,
    build_detector,
    coco_classes,
    find,
    load_detector,
    start_from_imagenet,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed
from tests.detectors import SMALL, a_detector, write_detector, write_imagenet


def some_pictures(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector") / "model.safetensors")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory) -> Path:
    return write_imagenet(tmp_path_factory.mktemp("imagenet") / "mobilenet_v2.pth")


# ---- files


def test_a_saved_detector_comes_back(saved):
    model, about = load_detector(saved)
    assert about == SMALL
    assert not model.training
    for name, value in a_detector().state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    assert json.loads(saved.with_suffix(".json").read_text())["provenance"] == {"task": "test"}


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


def test_the_backbone_starts_from_imagenet(imagenet):
    model = build_detector(SMALL)
    start_from_imagenet(model, imagenet)
    published = torch.load(imagenet, weights_only=True)
    for name in ("0.0.weight", "3.conv.1.1.running_var", "13.conv.2.weight"):
        assert torch.equal(model.backbone.body.state_dict()[name], published[f"features.{name}"]), name


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

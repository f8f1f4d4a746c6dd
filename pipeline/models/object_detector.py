"""Detectors of people and objects: torchvision's Faster R-CNN, with the features of its box head.

As published (COCO), or a small one for `acta task train_detector`, whose backbone is MobileNetV2 (ImageNet).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import mobilenet_backbone
from torchvision.models.detection.faster_rcnn import FasterRCNN_ResNet50_FPN_V2_Weights, FastRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from pipeline.config.detect_features import DetectorName
from pipeline.models.bounds import STRICT, Count
from pipeline.models.checkpoints import read_state
from pipeline.models.described import ModelFile, loaded
from pipeline.models.opened import Opened, opened
from pipeline.models.state import load_state
from pipeline.runtime.errors import ActaError

PERSON = "person"
_LEVELS = 3


@dataclass(frozen=True)
class ObjectDetector:
    """Which detector.

    Args:
        name: ``resnet50_fpn_v2`` (torchvision's Faster R-CNN v2) or ``mobilenet_v2_fpn``.
        classes: What it finds, including ``person``; the background is not named.
        short_side: The side that pictures are scaled to, in pixels.
        feature_size: Of the box head; 1024 as published.
    """

    __pydantic_config__ = STRICT

    name: DetectorName
    classes: tuple[str, ...]
    short_side: Annotated[int, Field(ge=1, le=8192)]
    feature_size: Count = 1024

    def __post_init__(self) -> None:
        if PERSON not in self.classes:
            raise ActaError(f"a detector must find a {PERSON!r}; this one finds {', '.join(self.classes)}")


class Found(NamedTuple):
    """What is on one picture: ``box`` (n, 4) in [0, 1], ``score`` (n,), ``kind`` (n,), ``feature`` (n, d)."""

    box: Tensor
    score: Tensor
    kind: Tensor
    feature: Tensor


def coco_classes() -> tuple[str, ...]:
    """What torchvision's weights find, in the order of their numbers from 1."""
    return tuple(FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"][1:])


def build_detector(detector: ObjectDetector) -> FasterRCNN:
    """A network with random weights."""
    count = len(detector.classes) + 1
    sizes = {"min_size": detector.short_side, "max_size": 4 * detector.short_side}
    if detector.name == "resnet50_fpn_v2":
        return fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=count, **sizes)
    backbone = mobilenet_backbone(
        backbone_name="mobilenet_v2", weights=None, fpn=True, trainable_layers=6, returned_layers=[2, 3, 4]
    )
    anchors = AnchorGenerator(((16, 24), (32, 48), (64, 96), (128, 256)), ((0.5, 1.0, 2.0),) * (_LEVELS + 1))
    align = MultiScaleRoIAlign([str(level) for level in range(_LEVELS)], 7, 2)
    size = detector.feature_size
    head = nn.Sequential(nn.Flatten(1), nn.Linear(256 * 49, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU())
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=anchors,
        box_roi_pool=align,
        box_head=head,
        box_predictor=FastRCNNPredictor(size, count),
        rpn_batch_size_per_image=64,
        rpn_pre_nms_top_n_train=200,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_train=100,
        rpn_post_nms_top_n_test=50,
        box_batch_size_per_image=32,
        **sizes,
    )


def start_from_imagenet(model: FasterRCNN, source: Path | Opened) -> None:
    """Load torchvision's MobileNetV2 weights into the backbone; its classifier is left out.

    Raises:
        ActaError: the file cannot be read, or a weight is missing or of another shape.
    """
    file = opened(source)
    state = read_state(file)
    features = {name.removeprefix("features."): v for name, v in state.items() if name.startswith("features.")}
    body = model.backbone.body
    assert isinstance(body, nn.Module)
    there = body.state_dict()
    load_state(body, {name: value for name, value in features.items() if name in there}, str(file.path))


def find(model: FasterRCNN, pictures: Sequence[Tensor], score: float, most: int) -> list[Found]:
    """The ``most`` things with at least that score on each picture; the model must be in evaluation mode.

    Pictures are uint8 RGB (3, height, width), on the model's device.
    """
    heads = model.roi_heads
    heads.score_thresh, heads.detections_per_img = score, most
    with torch.inference_mode():
        images, _ = model.transform([picture.float() / 255 for picture in pictures])
        maps = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, maps)
        detections, _ = heads(maps, proposals, images.image_sizes)
        pooled = heads.box_roi_pool(maps, [found["boxes"] for found in detections], images.image_sizes)
        features = heads.box_head(pooled).split([len(found["boxes"]) for found in detections])
    results = []
    for found, feature, (height, width) in zip(detections, features, images.image_sizes, strict=True):
        scale = torch.tensor([width, height, width, height], device=feature.device)
        box = (found["boxes"] / scale).clamp(0, 1)
        results.append(Found(box, found["scores"], found["labels"] - 1, feature))
    return results


@dataclass(frozen=True)
class _Description:
    """The content of the JSON."""

    __pydantic_config__ = STRICT

    detector: ObjectDetector
    provenance: dict[str, Any]


_FILE = ModelFile("acta-object-detector-1", _Description)


def save_detector(path: Path, model: FasterRCNN, detector: ObjectDetector, provenance: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors) and the JSON next to it."""
    _FILE.save(path, model, _Description(detector, provenance))


def load_detector(source: Path | Opened) -> tuple[FasterRCNN, ObjectDetector]:
    """A detector on the CPU in evaluation mode: one of `save_detector`, or torchvision's COCO weights (``.pth``)."""
    path = source.path if isinstance(source, Opened) else source
    if path.suffix == ".pth":
        detector = ObjectDetector("resnet50_fpn_v2", coco_classes(), 800)
        return loaded(lambda: build_detector(detector), read_state(source), str(path)).eval(), detector
    model, about = _FILE.load(source, lambda said: build_detector(said.detector))
    return model.eval(), about.detector

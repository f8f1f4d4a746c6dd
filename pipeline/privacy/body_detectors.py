"""Body detectors with masks: Mask R-CNN (the thesis's choice) and MediaPipe's selfie segmentation."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.models.litert import LiteModel
from pipeline.models.opened import Opened, opened
from pipeline.privacy.instances import Detector, Instances

_PERSON = 1  # COCO's index
_MASK_GRID = 64  # cells along a stored mask's longer side


class MaskRCNN(Detector):
    """torchvision's Mask R-CNN ResNet-50 FPN v2; person instances only, masks cut at 0.5 (He et al., ICCV 2017)."""

    def __init__(self, weights: Path | Opened, threshold: float, device: str = "cpu"):
        import torch
        from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

        from pipeline.models.checkpoints import read_state
        from pipeline.models.state import load_state
        from pipeline.runtime.device import check_device

        check_device(device)
        if device == "cpu":
            torch.set_num_threads(1)
        model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, box_score_thresh=threshold)
        file = opened(weights, "the weights")
        load_state(model, read_state(file), str(file.path))
        self._torch = torch
        self._model = model.eval().to(device)
        self._device = device

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        tensor = self._torch.from_numpy(image.transpose(2, 0, 1).copy()).to(self._device).float() / 255
        with self._torch.inference_mode():
            outputs = {name: value.cpu().numpy() for name, value in self._model([tensor])[0].items()}
        people = np.flatnonzero(outputs["labels"] == _PERSON)
        boxes = outputs["boxes"][people]
        masks = [_crop(outputs["masks"][i, 0] > 0.5, box) for i, box in zip(people, boxes, strict=True)]
        return Instances.of(boxes / [width, height, width, height], outputs["scores"][people], masks)


class Selfie(Detector):
    """MediaPipe's selfie segmentation: one soft mask of everybody near the camera, split into connected regions.

    Regions under 0.2 % of the frame are dropped as noise. Input 256 x 256, values in [0, 1].
    """

    _SIDE = 256
    _MIN_AREA = 0.002

    def __init__(self, weights: Path | Opened, threshold: float, device: str = "cpu"):
        self._model = LiteModel(weights)
        self._threshold = threshold

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return self._SIDE, self._SIDE

    def __call__(self, image: np.ndarray) -> Instances:
        (probability,) = self._model.run(image[None].astype(np.float32) / 255)
        probability = probability[0, ..., 0]
        if np.isnan(probability).any():
            raise ValueError("the network gave probabilities that are not numbers")
        count, regions, stats, _ = cv2.connectedComponentsWithStats((probability > self._threshold).astype(np.uint8))
        boxes, scores, masks = [], [], []
        for region in range(1, count):
            x, y, width, height, area = stats[region]
            if area < self._MIN_AREA * self._SIDE**2:
                continue
            window = regions[y : y + height, x : x + width] == region
            boxes.append((x, y, x + width, y + height))
            scores.append(float(probability[y : y + height, x : x + width][window].mean()))
            masks.append(window)
        return Instances.of(np.array(boxes, np.float32) / self._SIDE, np.array(scores), masks)


def _crop(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of a full-frame mask inside its box, at most `_MASK_GRID` cells a side; a touched cell counts."""
    height, width = mask.shape
    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    x2, y2 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    window = mask[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)].astype(np.float32)
    rows, columns = min(_MASK_GRID, window.shape[0]), min(_MASK_GRID, window.shape[1])
    return cv2.resize(window, (columns, rows), interpolation=cv2.INTER_AREA) > 0

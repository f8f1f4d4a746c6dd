"""Body detectors: Mask R-CNN (the thesis's choice), MediaPipe's selfie segmentation, and BlazePose for the audit."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.errors import ActaError
from pipeline.privacy.instances import Instances, above

_PERSON = 1  # COCO's index
_MASK_GRID = 64  # cells along a stored mask's longer side


class MaskRCNN:
    """torchvision's Mask R-CNN ResNet-50 FPN v2; person instances only, masks cut at 0.5 (He et al., ICCV 2017)."""

    def __init__(self, weights: Path, threshold: float, device: str = "cpu"):
        import torch
        from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

        from pipeline.device import check_device

        check_device(device)
        if device == "cpu":
            torch.set_num_threads(1)
        model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, box_score_thresh=threshold)
        try:
            model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many kinds for a file that is no state dict
            raise ActaError(f"{weights} is no state dict of maskrcnn_resnet50_fpn_v2: {error}") from None
        self._torch = torch
        self._model = model.eval().to(device)
        self._device = device

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        tensor = self._torch.from_numpy(image.transpose(2, 0, 1).copy()).to(self._device).float() / 255
        with self._torch.inference_mode():
            found = {name: value.cpu().numpy() for name, value in self._model([tensor])[0].items()}
        people = np.flatnonzero(found["labels"] == _PERSON)
        boxes = found["boxes"][people]
        masks = [_crop(found["masks"][i, 0] > 0.5, box) for i, box in zip(people, boxes, strict=True)]
        return Instances.of(boxes / [width, height, width, height], found["scores"][people], masks)


class Selfie:
    """MediaPipe's selfie segmentation: one soft mask of everybody near the camera, parted into connected regions.

    Regions under 0.2 % of the frame are dropped as noise. Input 256 x 256, values in [0, 1].
    """

    _SIDE = 256
    _MIN_AREA = 0.002

    def __init__(self, weights: Path, threshold: float, device: str = "cpu"):
        self._interpreters = _PerThread(weights)
        self._threshold = threshold

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return self._SIDE, self._SIDE

    def __call__(self, image: np.ndarray) -> Instances:
        (probability,) = self._interpreters.run(image[None].astype(np.float32) / 255)
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


class Pose:
    """BlazePose's person detector (Bazarevsky et al., 2020): single-shot, 224 x 224, boxes around the upper body.

    It was trained apart from the selfie segmentation and serves to audit anonymised bodies. The image is letterboxed.
    """

    _SIDE = 224
    # (stride, anchors a cell): MediaPipe's SSD layout with two anchors a layer, its three stride-32 layers merged.
    _LAYERS = ((8, 2), (16, 2), (32, 6))

    def __init__(self, weights: Path, threshold: float, device: str = "cpu"):
        self._interpreters = _PerThread(weights)
        self._threshold = threshold
        parts = []
        for stride, count in self._LAYERS:
            ys, xs = np.mgrid[0 : self._SIDE // stride, 0 : self._SIDE // stride]
            centers = (np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride
            parts.append(np.repeat(centers, count, axis=0))
        self._centers = np.concatenate(parts).astype(np.float32)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        scale = self._SIDE / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        square = np.zeros((1, self._SIDE, self._SIDE, 3), np.float32)
        square[0, :height, :width] = image.astype(np.float32) / 127.5 - 1
        outputs = {output.shape[-1]: output[0] for output in self._interpreters.run(square)}
        scores = 1 / (1 + np.exp(-np.clip(outputs[1][:, 0], -60, 60)))
        (keep,) = above(scores, self._threshold)
        centers = self._centers[keep] + outputs[12][keep, :2]
        sides = outputs[12][keep, 2:4]
        boxes = np.concatenate([centers - sides / 2, sides], axis=1)
        chosen = np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), scores[keep].tolist(), 0.0, 0.3), np.int64).reshape(-1)
        boxes = np.concatenate([boxes[chosen, :2], boxes[chosen, :2] + boxes[chosen, 2:]], axis=1)
        return Instances.of(boxes / [width, height, width, height], scores[keep][chosen])


class _PerThread:
    """A LiteRT model with one single-threaded interpreter for each calling thread (an interpreter is not shareable)."""

    def __init__(self, weights: Path):
        self._content = weights.read_bytes()
        self._local = threading.local()

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        interpreter: Any = getattr(self._local, "interpreter", None)
        if interpreter is None:
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            self._local.interpreter = interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


def _crop(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of a full-frame mask inside its box, at most `_MASK_GRID` cells a side; a touched cell counts."""
    height, width = mask.shape
    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    x2, y2 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    window = mask[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)].astype(np.float32)
    rows, columns = min(_MASK_GRID, window.shape[0]), min(_MASK_GRID, window.shape[1])
    return cv2.resize(window, (columns, rows), interpolation=cv2.INTER_AREA) > 0

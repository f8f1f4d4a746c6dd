"""SSDLite on MobileNetV2 (Sandler et al., CVPR 2018), trained to find pedestrians: boxes of people in onnxruntime.

As published, the network sees the whole picture stretched to 300 x 300 pixels, where people far away are a few pixels
high. So it sees the picture once more at its own size. There only the finest feature map counts: the people of the
coarser ones are found in the first pass, and in the second these maps find much that is nothing.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.models.frozen_graph import onnx_of_frozen_graph
from pipeline.models.onnx_session import start_session
from pipeline.models.opened import Opened, opened
from pipeline.privacy.boxes import suppress
from pipeline.privacy.instances import Detector, Instances, above

_INPUT = "Preprocessor/sub"  # pixels from -1 to 1
_SIDE = 300
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)  # of the anchors, as shares of that side; a feature map each
_RATIOS = (1, 2, 1 / 2, 3, 1 / 3)  # width to height
_FINEST = ((0.1, 1), (0.2, 2), (0.2, 1 / 2))  # (scale, ratio) of the first feature map
_CENTER_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_OVERLAP = 0.5


class SSDLite(Detector):
    """People near and far, as boxes; see the module."""

    def __init__(self, weights: Path | Opened, threshold: float, device: str = "cpu"):
        names = [f"BoxPredictor_{k}/{part}Predictor/BiasAdd" for k in range(6) for part in ("BoxEncoding", "Class")]
        weights = opened(weights, "the weights")
        self._whole = start_session(onnx_of_frozen_graph(weights, _INPUT, names).SerializeToString())
        self._finest = start_session(onnx_of_frozen_graph(weights, _INPUT, names[:2]).SerializeToString())
        self._threshold = threshold

    def __call__(self, image: np.ndarray) -> Instances:
        large = max(image.shape[:2]) > _SIDE
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if large else cv2.INTER_LINEAR)
        found = [self._find(self._whole, small)]
        if large:
            found.append(self._find(self._finest, image))
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        best = suppress(boxes, scores, _OVERLAP)
        return Instances.of(boxes[best], scores[best])

    def _find(self, session: Any, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Relative boxes (n, 4) over the threshold with their scores (n,), before suppression."""
        height, width = image.shape[:2]
        blob = image.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        outputs = session.run(None, {_INPUT: blob})
        boxes, scores = [], []
        for k, (offsets, logits) in enumerate(zip(outputs[::2], outputs[1::2], strict=True)):
            shapes = _shapes(k)
            rows, columns = offsets.shape[2:]
            offsets = offsets.reshape(len(shapes), 4, rows, columns)
            logits = logits.reshape(len(shapes), 2, rows, columns)[:, 1]
            score = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
            kind, row, column = above(score, self._threshold)
            down, right, tall, wide = offsets[kind, :, row, column].T
            sides = shapes[kind]
            center_x = (column + 0.5) / columns * width + right * _CENTER_VARIANCE * sides[:, 0]
            center_y = (row + 0.5) / rows * height + down * _CENTER_VARIANCE * sides[:, 1]
            half_x = np.exp(wide * _SIZE_VARIANCE) * sides[:, 0] / 2
            half_y = np.exp(tall * _SIZE_VARIANCE) * sides[:, 1] / 2
            corners = [center_x - half_x, center_y - half_y, center_x + half_x, center_y + half_y]
            boxes.append(np.stack(corners, axis=1) / [width, height, width, height])
            scores.append(score[kind, row, column])
        return np.concatenate(boxes), np.concatenate(scores)


def _shapes(level: int) -> np.ndarray:
    """Width and height in pixels of the anchors in each cell of a feature map: (n, 2)."""
    kinds = list(_FINEST)
    if level:
        kinds = [(_SCALES[level], ratio) for ratio in _RATIOS]
        kinds.append((float(np.sqrt(_SCALES[level] * _SCALES[level + 1])), 1))
    return np.array([(_SIDE * scale * np.sqrt(ratio), _SIDE * scale / np.sqrt(ratio)) for scale, ratio in kinds])

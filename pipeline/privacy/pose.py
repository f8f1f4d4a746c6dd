"""BlazePose (Bazarevsky et al., 2020): a detector that proposes people and a landmark network that confirms them.

Trained apart from the detectors of faces and bodies, it serves to audit anonymised bodies.
"""

from pathlib import Path

import cv2
import numpy as np

from pipeline.models.litert import LiteModel
from pipeline.models.opened import Opened
from pipeline.privacy.boxes import suppress
from pipeline.privacy.instances import Detector, Instances, above

# (stride, anchors a cell): MediaPipe's SSD layout with two anchors a layer, its three stride-32 layers merged.
_LAYERS = ((8, 2), (16, 2), (32, 6))
_DETECTOR_SIDE, _LANDMARK_SIDE = 224, 256
_PROPOSAL_SCORE = 0.5  # MediaPipe's own
_OVERLAP = 0.3
_MARGIN = 1.25  # MediaPipe's enlargement of the crop that the landmark network sees


class Pose(Detector):
    """People that the landmark network recognises as such: the score is its presence, the box a square about the hips.

    The detector sees the image letterboxed, the landmark network a square around the hips that reaches to the farthest
    end of the body and is turned so that the person stands upright. ``weights`` are those of the landmark network
    (``pose_landmark_full.tflite``), ``proposals`` those of the detector (``pose_detection.tflite``).
    """

    def __init__(self, weights: Path | Opened, threshold: float, proposals: Path | Opened):
        self._detector, self._landmarks = LiteModel(proposals), LiteModel(weights)
        self._threshold = threshold
        parts = []
        for stride, count in _LAYERS:
            ys, xs = np.mgrid[0 : _DETECTOR_SIDE // stride, 0 : _DETECTOR_SIDE // stride]
            centers = (np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride
            parts.append(np.repeat(centers, count, axis=0))
        self._centers = np.concatenate(parts).astype(np.float32)

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        hips, ends = self._propose(image)
        presence = np.array([self._presence(image, *points) for points in zip(hips, ends, strict=True)], np.float32)
        (keep,) = above(presence, self._threshold)
        reach = np.linalg.norm(ends - hips, axis=1, keepdims=True)[keep]
        boxes = np.concatenate([hips[keep] - reach, hips[keep] + reach], axis=1) / [width, height, width, height]
        return Instances.of(np.clip(boxes, 0, 1), presence[keep])

    def _propose(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mid-hip points (n, 2) and the farthest ends of the bodies (n, 2), in pixels of the image."""
        scale = _DETECTOR_SIDE / max(image.shape[:2])
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        square = np.zeros((1, _DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.float32)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        square[0, :height, :width] = small.astype(np.float32) / 127.5 - 1
        outputs = {output.shape[-1]: output[0] for output in self._detector.run(square)}
        scores = 1 / (1 + np.exp(-np.clip(outputs[1][:, 0], -60, 60)))
        (keep,) = above(scores, _PROPOSAL_SCORE)
        centers, places = self._centers[keep], outputs[12][keep]
        # The boxes are of one size, whatever the person's: they mark the head. Points tell how large somebody is.
        middles, halves = centers + places[:, :2], places[:, 2:4] / 2
        heads = np.concatenate([middles - halves, middles + halves], axis=1)
        proposed = suppress(heads, scores[keep], _OVERLAP)
        points = centers[proposed, None] + places[proposed, 4:8].reshape(-1, 2, 2)
        return points[:, 0] / scale, points[:, 1] / scale

    def _presence(self, image: np.ndarray, hips: np.ndarray, end: np.ndarray) -> float:
        """Whether a person is there, from 0 to 1."""
        up = (end - hips) * _MARGIN
        right = np.array([-up[1], up[0]])
        source = np.stack([hips + up - right, hips + up + right, hips - up - right]).astype(np.float32)
        target = np.array([[0, 0], [1, 0], [0, 1]], np.float32) * _LANDMARK_SIDE
        turn = cv2.getAffineTransform(source, target)
        crop = cv2.warpAffine(image, turn, (_LANDMARK_SIDE, _LANDMARK_SIDE), flags=cv2.INTER_LINEAR)
        outputs = {output.shape[1:]: output for output in self._landmarks.run(crop[None].astype(np.float32) / 255)}
        return float(outputs[(1,)][0, 0])

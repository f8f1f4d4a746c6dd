"""Face detectors in onnxruntime: RetinaFace, CenterFace, and any ONNX file that keeps to a simple contract."""

from pathlib import Path

import numpy as np

from pipeline.models.onnx_session import read_onnx, session_of_any_size, start_session
from pipeline.models.opened import Opened, opened
from pipeline.privacy.boxes import suppress
from pipeline.privacy.instances import Detector, Instances, above
from pipeline.runtime.errors import ActaError

_STRIDES = (8, 16, 32)
_ANCHOR_SIDES = ((16, 32), (64, 128), (256, 512))
_CENTER_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_RETINAFACE_MEAN_BGR = np.array([104, 117, 123], np.float32)


class _FaceNetwork(Detector):
    """A published network that is shown pictures of any size."""

    local = True

    def __init__(self, weights: Path | Opened, threshold: float, device: str = "cpu"):
        self._session = session_of_any_size(weights, device)
        self._input = self._session.get_inputs()[0].name
        self._threshold = threshold


class RetinaFace(_FaceNetwork):
    """RetinaFace with a MobileNet-0.25 backbone (Deng et al., CVPR 2020).

    The image is padded to a multiple of 32 rather than stretched, so that faces keep their shape.
    """

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        padded_height, padded_width = _round_up(height), _round_up(width)
        blob = np.zeros((1, 3, padded_height, padded_width), np.float32)
        blob[0, :, :height, :width] = (image[..., ::-1].astype(np.float32) - _RETINAFACE_MEAN_BGR).transpose(2, 0, 1)
        offsets, scores = self._session.run(None, {self._input: blob})[:2]
        (keep,) = above(scores[0, :, 1], self._threshold)
        anchors = _anchors(padded_height, padded_width)[keep]
        offsets, scores = offsets[0, keep], scores[0, keep, 1]
        centers = anchors[:, :2] + offsets[:, :2] * _CENTER_VARIANCE * anchors[:, 2:]
        sides = anchors[:, 2:] * np.exp(offsets[:, 2:] * _SIZE_VARIANCE)
        boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
        best = suppress(boxes, scores, 0.4)
        return Instances.of(boxes[best] / [width, height, width, height], scores[best])


class CenterFace(_FaceNetwork):
    """CenterFace (Xu et al., 2019): a heat map of face centres with a size and an offset at every place, stride 4."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return _round_up(height), _round_up(width)

    def __call__(self, image: np.ndarray) -> Instances:
        height, width = image.shape[:2]
        blob = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
        heat, size, offset = self._session.run(None, {self._input: blob})[:3]
        rows, columns = above(heat[0, 0], self._threshold)
        sides = np.exp(size[0, ::-1, rows, columns]) * 4
        centers = np.stack([columns, rows], axis=1) + offset[0, ::-1, rows, columns] + 0.5
        low = np.clip(centers * 4 - sides / 2, 0, [width, height])
        boxes = np.concatenate([low, np.minimum(low + sides, [width, height])], axis=1)
        scores = heat[0, 0, rows, columns]
        best = suppress(boxes, scores, 0.3)
        return Instances.of(boxes[best] / [width, height, width, height], scores[best])


class OnnxModel(Detector):
    """Any detector in an ONNX file of this contract.

    Input: float32 (1, 3, height, width), RGB, 0 to 255; a fixed height and width in the file is respected.
    Outputs: ``boxes`` float32 (n, 4), relative x1, y1, x2, y2; ``scores`` float32 (n,); and optionally ``masks``
    float32 (n, h, w), probabilities on a grid over each box, cut at 0.5.
    """

    def __init__(self, weights: Path | Opened, threshold: float, device: str = "cpu"):
        file = opened(weights, "the weights")
        read_onnx(file)
        try:
            self._session = start_session(file.content, device)
        except ActaError:
            raise
        except Exception as error:  # onnxruntime's own errors share no base class
            raise ActaError(f"{file.path} cannot be loaded as ONNX: {error}") from None
        self._outputs = [output.name for output in self._session.get_outputs()]
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or not {"boxes", "scores"} <= set(self._outputs):
            raise ActaError(
                f"{file.path} has inputs {[i.name for i in inputs]} and outputs {self._outputs}; "
                "one image in, `boxes` and `scores` (and maybe `masks`) out are needed"
            )
        self._input = inputs[0].name
        self._shape = inputs[0].shape[2:]
        self._threshold = threshold

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        fixed = [side if isinstance(side, int) else None for side in self._shape]
        return fixed[0] or height, fixed[1] or width

    def __call__(self, image: np.ndarray) -> Instances:
        blob = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
        outputs = dict(zip(self._outputs, self._session.run(None, {self._input: blob}), strict=True))
        (keep,) = above(outputs["scores"], self._threshold)
        masks = [mask > 0.5 for mask in outputs["masks"][keep]] if "masks" in outputs else None
        return Instances.of(outputs["boxes"][keep], outputs["scores"][keep], masks)


def _anchors(height: int, width: int) -> np.ndarray:
    """Anchor boxes as (center x, center y, width, height) in pixels: per stride, row by row, small before large."""
    parts = []
    for stride, sides in zip(_STRIDES, _ANCHOR_SIDES, strict=True):
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        centers = (np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride
        centers = np.repeat(centers, len(sides), axis=0)
        squares = np.tile(np.array(sides, np.float32)[:, None], (len(centers) // len(sides), 2))
        parts.append(np.concatenate([centers, squares], axis=1))
    return np.concatenate(parts).astype(np.float32)


def _round_up(side: int) -> int:
    return -(-side // 32) * 32

"""The registry of detectors and how they are run on a video's frames.

A detector sees one upright RGB image and returns `Instances` in relative coordinates. It is cheap to call from several
threads at once and uses one thread itself, so its result does not depend on how many cores there are.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.config.privacy import DetectSettings
from pipeline.errors import ActaError
from pipeline.models.weights import weights_path
from pipeline.privacy.body_detectors import MaskRCNN, Pose, Selfie
from pipeline.privacy.face_detectors import CenterFace, OnnxModel, RetinaFace
from pipeline.privacy.instances import Instances


class Detector(Protocol):
    """What every detector is."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image that the detector wants to be given for a frame of that size."""

    def __call__(self, image: np.ndarray) -> Instances:
        """Find instances in an RGB image, uint8 (height, width, 3)."""


# What each name needs: (class, default threshold). `onnx` is a local file only (docs/weights.md).
_FACTORIES: dict[str, tuple[Callable[[Path, float, str], Detector], float]] = {
    "retinaface": (RetinaFace, 0.4),
    "centerface": (CenterFace, 0.2),
    "onnx": (OnnxModel, 0.5),
    "maskrcnn": (MaskRCNN, 0.5),
    "selfie": (Selfie, 0.3),
    "pose": (Pose, 0.5),
}


def make_detector(settings: DetectSettings) -> Detector:
    """The detector that the settings describe; made once per process.

    Raises:
        ActaError: its weights are missing, and how to get them.
    """
    return _make(settings.detector, settings.threshold, settings.weights, settings.device)


def make_auditor(name: str, threshold: float) -> Detector:
    """A registered detector with its registered weights at a threshold."""
    return _make(name, threshold, None, "cpu")


_lock = threading.Lock()


def _make(name: str, threshold: float | None, weights: str | None, device: str) -> Detector:
    with _lock:
        return _make_once(name, threshold, weights, device)


@lru_cache(maxsize=4)
def _make_once(name: str, threshold: float | None, weights: str | None, device: str) -> Detector:
    factory, default = _FACTORIES[name]
    if device != "cpu" and name != "maskrcnn":
        raise ActaError(f"detector {name!r} runs on the cpu, not on {device!r}")
    if weights is None and name == "onnx":
        raise ActaError("detector 'onnx' needs `weights`: the path of the ONNX file")
    path = Path(weights) if weights is not None else weights_path(name)
    if not path.is_file():
        raise ActaError(f"the weights {str(path)!r} of detector {name!r} are not there")
    return factory(path, default if threshold is None else threshold, device)

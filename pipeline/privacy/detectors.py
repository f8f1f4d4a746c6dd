"""The registry of detectors and how they are run on a video's frames.

A detector sees one upright RGB image and returns `Instances` in relative coordinates. It is cheap to call from several
threads at once and uses one thread itself, so its result does not depend on how many cores there are.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.config.privacy import DetectSettings, SearchSettings
from pipeline.errors import ActaError
from pipeline.models.weights import weights_path
from pipeline.privacy.body_detectors import MaskRCNN, Selfie
from pipeline.privacy.face_detectors import CenterFace, OnnxModel, RetinaFace
from pipeline.privacy.instances import Instances
from pipeline.privacy.people import People
from pipeline.privacy.pose import Pose
from pipeline.privacy.ssdlite import SSDLite


class Detector(Protocol):
    """What every detector is."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image that the detector wants to be given for a frame of that size."""

    def __call__(self, image: np.ndarray) -> Instances:
        """Find instances in an RGB image, uint8 (height, width, 3)."""


def _pose(proposals: Path, threshold: float, device: str) -> Detector:
    return Pose(weights_path("pose_landmarks"), threshold, proposals)


@dataclass(frozen=True)
class _Kind:
    make: Callable[[Path, float, str], Detector]
    threshold: float
    packages: tuple[str, ...]


# What each name stands for. `onnx` is a local file only (docs/weights.md).
_KINDS = {
    "retinaface": _Kind(RetinaFace, 0.4, ("onnxruntime",)),
    "centerface": _Kind(CenterFace, 0.2, ("onnxruntime",)),
    "onnx": _Kind(OnnxModel, 0.5, ("onnxruntime",)),
    "maskrcnn": _Kind(MaskRCNN, 0.5, ("torch", "torchvision")),
    "ssdlite": _Kind(SSDLite, 0.2, ("onnxruntime",)),
    "selfie": _Kind(Selfie, 0.3, ("ai-edge-litert",)),
    "pose": _Kind(_pose, 0.5, ("ai-edge-litert",)),
}


_ON_A_GPU = ("maskrcnn", "retinaface", "centerface", "onnx")


def make_detector(settings: DetectSettings) -> Detector:
    """The detector that the settings describe; its networks are made once per process.

    Raises:
        ActaError: weights are missing, and how to get them.
    """
    found = _make(settings.detector, settings.threshold, settings.weights, settings.device)
    if not isinstance(settings, SearchSettings) or settings.faces is None:
        return found
    faces = settings.faces
    network = _make(faces.detector, faces.threshold, faces.weights, faces.device)
    return People(found, settings.long_side, network, faces.long_side)


def runtimes(settings: SearchSettings) -> tuple[str, ...]:
    """Packages that run the networks of a search."""
    names = [settings.detector, *([settings.faces.detector] if settings.faces else [])]
    return tuple(dict.fromkeys(package for name in names for package in _KINDS[name].packages))


def make_auditor(name: str, threshold: float) -> Detector:
    """A registered detector with its registered weights at a threshold."""
    return _make(name, threshold, None, "cpu")


_lock = threading.Lock()


def _make(name: str, threshold: float | None, weights: str | None, device: str) -> Detector:
    with _lock:
        return _make_once(name, threshold, weights, device)


@lru_cache(maxsize=4)
def _make_once(name: str, threshold: float | None, weights: str | None, device: str) -> Detector:
    kind = _KINDS[name]
    if device != "cpu" and name not in _ON_A_GPU:
        raise ActaError(f"detector {name!r} runs on the cpu, not on {device!r}")
    if weights is None and name == "onnx":
        raise ActaError("detector 'onnx' needs `weights`: the path of the ONNX file")
    path = Path(weights) if weights is not None else weights_path(name)
    if not path.is_file():
        raise ActaError(f"the weights {str(path)!r} of detector {name!r} are not there")
    return kind.make(path, kind.threshold if threshold is None else threshold, device)

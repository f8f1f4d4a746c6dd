"""The registry of detectors and how they are run on a video's frames.

A detector sees one upright RGB image and returns `Instances` in relative coordinates. It is cheap to call from several
threads at once and uses one thread itself, so its result does not depend on how many cores there are.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from pipeline.config.detectors import DETECTORS
from pipeline.config.privacy import SearchSettings
from pipeline.models.opened import Opened
from pipeline.models.weights import local_weights, named_networks, open_weights
from pipeline.privacy.body_detectors import MaskRCNN, Selfie
from pipeline.privacy.face_detectors import CenterFace, OnnxModel, RetinaFace
from pipeline.privacy.instances import Detector
from pipeline.privacy.people import People
from pipeline.privacy.pose import Pose
from pipeline.privacy.ssdlite import SSDLite
from pipeline.runtime.errors import ActaError

# The code behind each name; `DETECTORS` has the rest.
_CODE: dict[str, Callable[[Opened, float, str], Detector]] = {
    "retinaface": RetinaFace,
    "centerface": CenterFace,
    "maskrcnn": MaskRCNN,
    "ssdlite": SSDLite,
    "selfie": Selfie,
    "onnx": OnnxModel,
    "pose": lambda proposals, threshold, device: Pose(open_weights("pose_landmarks"), threshold, proposals),
}


def make_detector(settings: SearchSettings, weights: Mapping[str, str] | None = None) -> Detector:
    """The detector that finds all that a variant hides; its networks are made once per process.

    Args:
        settings: Which networks.
        weights: The hashes that the provenance will state, if any (`detector_digests`): what was loaded must have them.

    Raises:
        ActaError: weights are missing, and how to get them; or they have changed since they were hashed.
    """
    made = []
    for name, network in named_networks(settings.networks):
        detector, stated = _make(network.detector, network.threshold, network.weights, network.device)
        if weights is not None and weights[name] != stated:
            raise ActaError(f"the weights of {name!r} were changed during the run; start it again")
        made.append(detector)
    if settings.faces is None:
        return made[0]
    return People(made[0], settings.long_side, made[1], settings.faces.long_side)


def runtimes(names: Iterable[str]) -> tuple[str, ...]:
    """Packages that run these detectors."""
    return tuple(dict.fromkeys(package for name in names for package in DETECTORS[name].packages))


def make_auditor(name: str, threshold: float) -> Detector:
    """A registered detector with its registered weights at a threshold."""
    return _make(name, threshold, None, "cpu")[0]


_lock = threading.Lock()


def _make(name: str, threshold: float | None, weights: str | None, device: str) -> tuple[Detector, str]:
    with _lock:
        return _make_once(name, threshold, weights, device)


@lru_cache(maxsize=4)
def _make_once(name: str, threshold: float | None, weights: str | None, device: str) -> tuple[Detector, str]:
    """A detector, and the hash of its weights as a provenance states it."""
    kind = DETECTORS[name]
    if device != "cpu" and not kind.on_gpu:
        raise ActaError(f"detector {name!r} runs on the cpu, not on {device!r}")
    path = local_weights(name, weights)
    file = Opened(path, "the weights") if path else open_weights(name)
    return _CODE[name](file, kind.threshold if threshold is None else threshold, device), file.stated

"""Do settings find and hide what they are to hide? They are tried on a photograph of one person first.

What fails is refused by an `ActaError` that says which settings to look at.

``probe.jpg`` is NASA's portrait of the astronaut Eileen Collins, which is in the public domain, at half the size at
which scikit-image ships it (``skimage.data.astronaut``). It lies in the package, so that nothing has to be fetched.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.config.base import What
from pipeline.config.detectors import DETECTORS
from pipeline.config.privacy import Auditor, ObfuscateSettings, SearchSettings
from pipeline.privacy.boxes import iou
from pipeline.privacy.detectors import make_auditor, make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import Detector, Instances
from pipeline.privacy.people import shown_to
from pipeline.runtime.errors import ActaError

_SHA256 = "bc6ef569305122c932e8952e68d8773a9313bf51ea36dab8f84e288d1a0ee9f6"
# Relative boxes on the photograph: the face from brow to chin, and what it shows of the body.
_PLACES = {
    "faces": np.array([[0.36, 0.13, 0.53, 0.34]], np.float32),
    "bodies": np.array([[0.0, 0.05, 0.85, 1.0]], np.float32),
}
_NAMES = {"faces": "face", "bodies": "person"}
_FOUND = 0.3  # lowest IoU
# Measured with dlib's recogniser, which takes distances below 0.6 for the same person: blurred or in mosaic, this face
# comes that near from a correlation of 0.73 on; below 0.4 it is as far as other people, 0.66 and more.
_LEFT = 0.4
_UNTOUCHED = 0.1  # share of the face whose pixels may stay as they were
_SIDE, _DETAIL = 48, 6.0  # pixels: to which the face is scaled, and the sigma that separates detail from shading


def check_search(what: What, detect: SearchSettings) -> None:
    """Refuse settings with which a network does not find what is on the probe."""
    for kind, network in zip((what, "faces"), detect.networks, strict=False):
        alone = SearchSettings(**(detect.model_dump() | network.model_dump() | {"faces": None}))
        instances = _search(alone)
        if not _is_found(instances, kind):
            threshold, side = network.threshold, network.long_side
            own = f"its own score of {DETECTORS[network.detector].threshold:g}"
            score = own if threshold is None else f"a score of {threshold:g}"
            size = "" if side is None else f", in pictures of at most {side} pixels"
            raise ActaError(
                f"{network.detector}, from {score} on{size}, does not find the {_NAMES[kind]} on a clear "
                f"photograph{f' ({instances.reason})' if instances.reason else ''}, so it would hide nothing; lower "
                "its `threshold`, raise its `long_side`, or choose another detector"
            )


def check_hiding(what: What, detect: SearchSettings, obfuscate: ObfuscateSettings) -> None:
    """Refuse settings that do not find the face on the probe, or leave it recognisable.

    Bodies, too, have faces to be hidden; the filter ``frame`` hides them without a search.
    """
    instances = Instances()
    if obfuscate.filter != "frame":
        check_search(what, detect)
        instances = _search(detect)
    image = _photograph()
    hidden = image.copy()
    hide([hidden], image.shape[:2], instances, obfuscate, black=[0])
    untouched = _untouched(image, hidden)
    if untouched > _UNTOUCHED:
        raise ActaError(
            f"what is found of the face on a clear photograph does not cover it: {100 * untouched:.0f} % of it stay as "
            "they were; raise `enlarge`, or choose another detector"
        )
    left = _correlation(image, hidden)
    if left > _LEFT:
        value = "blocks" if obfuscate.filter == "pixelate" else "kernel"
        raise ActaError(
            f"{obfuscate.filter} with enlarge {obfuscate.enlarge:g}, kernel {obfuscate.kernel:g} and blocks "
            f"{obfuscate.blocks} leaves the face on a clear photograph recognisable (correlation {left:.2f} of its "
            f"detail, at most {_LEFT:g} may stay); raise `enlarge`, or change `{value}`"
        )


def check_auditors(auditors: Mapping[Auditor, float]) -> None:
    """Refuse auditors, given with their lowest scores, that miss what is plain to see: their silence says nothing."""
    for name, threshold in auditors.items():
        kind: What = "faces" if "faces" in DETECTORS[name].finds else "bodies"
        if not _is_found(_seen(make_auditor(name, threshold), None), kind):
            raise ActaError(
                f"the auditor {name}, from a score of {threshold:g} on, does not find the {_NAMES[kind]} on a clear "
                "photograph, so that its finding nothing says nothing; lower its score (`privacy.audit`)"
            )


@cache
def _photograph() -> np.ndarray:
    """The probe: uint8 (256, 256, 3), RGB."""
    content = Path(__file__).with_name("probe.jpg").read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise ActaError("pipeline/privacy/probe.jpg is another photograph than it was: install acta again")
    image = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB))
    image.setflags(write=False)
    return image


def _search(detect: SearchSettings) -> Instances:
    return _seen(make_detector(detect), detect.picture_side)


def _seen(detector: Detector, side: int | None) -> Instances:
    """What a detector finds on the probe in a picture of at most ``side`` pixels; it may fail."""
    try:
        return detector(np.ascontiguousarray(shown_to(_photograph(), detector, side)))
    except (ActaError, MemoryError):
        raise
    except Exception as error:  # whatever a runtime raises
        return Instances(failed=True, reason=" ".join(str(error).split()) or type(error).__name__)


def _is_found(instances: Instances, kind: str) -> bool:
    return bool(iou(instances.boxes, _PLACES[kind]).max(initial=0) >= _FOUND)


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Of the detail of the probe's face before and after; 0 where nothing is left of it, 1 where all is."""
    first, second = _detail(before), _detail(after)
    return float((first * second).sum() / max(1e-6, np.sqrt((first**2).sum() * (second**2).sum())))


def _untouched(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the probe's face whose pixels are as they were."""
    return float(np.mean((_face(before) == _face(after)).all(axis=2)))


def _face(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = np.rint(_PLACES["faces"][0] * [width, height, width, height]).astype(int)
    return image[y1:y2, x1:x2]


def _detail(image: np.ndarray) -> np.ndarray:
    """What distinguishes the probe's face apart from its shading: grey, float32 (48, 48)."""
    grey = cv2.cvtColor(_face(image), cv2.COLOR_RGB2GRAY).astype(np.float32)
    scaled = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return scaled - cv2.GaussianBlur(scaled, (0, 0), _DETAIL)

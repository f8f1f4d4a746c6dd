"""The table of detectors: what each finds and what runs it. Their code is in `pipeline.privacy.detectors`."""

from dataclasses import dataclass

from pipeline.config.base import What


@dataclass(frozen=True)
class DetectorKind:
    """A detector by name.

    Args:
        finds: The variants that it can be the detector of; none: it only audits.
        threshold: Lowest score that counts where the settings say none.
        packages: Python packages that run it.
        weights: The registered models that it consists of (`pipeline.models.weights`); none: it needs a local file.
        on_gpu: Whether it can run on a GPU.
    """

    finds: tuple[What, ...]
    threshold: float
    packages: tuple[str, ...]
    weights: tuple[str, ...]
    on_gpu: bool = False


DETECTORS = {
    "retinaface": DetectorKind(("faces",), 0.4, ("onnxruntime",), ("retinaface",), on_gpu=True),
    "centerface": DetectorKind(("faces",), 0.2, ("onnxruntime",), ("centerface",), on_gpu=True),
    "maskrcnn": DetectorKind(("bodies",), 0.5, ("torch", "torchvision"), ("maskrcnn",), on_gpu=True),
    "ssdlite": DetectorKind(("bodies",), 0.2, ("onnxruntime",), ("ssdlite",)),
    "selfie": DetectorKind(("bodies",), 0.3, ("ai-edge-litert",), ("selfie",)),
    "onnx": DetectorKind(("faces", "bodies"), 0.5, ("onnxruntime",), (), on_gpu=True),
    "pose": DetectorKind((), 0.5, ("ai-edge-litert",), ("pose", "pose_landmarks")),
}


def detectors_of(what: What) -> tuple[str, ...]:
    """Names of the detectors that find what a variant hides."""
    return tuple(name for name, kind in DETECTORS.items() if what in kind.finds)

"""A tiny detector of people and balls that was never trained, and weights to begin with."""

from pathlib import Path

import torch
from torchvision.models import mobilenet_v2
from torchvision.models.detection import FasterRCNN

from pipeline.models.object_detector import ObjectDetector, build_detector, save_detector

CLASSES = ("ball", "person")
SMALL = ObjectDetector("mobilenet_v2_fpn", CLASSES, 64, 16)


def a_detector(seed: int = 0) -> FasterRCNN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_detector(SMALL).eval()


def write_detector(path: Path) -> Path:
    """Its model file."""
    save_detector(path, a_detector(), SMALL, {"task": "test"})
    return path


def write_imagenet(path: Path) -> Path:
    """What torchvision publishes, but random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(mobilenet_v2(weights=None).state_dict(), path)
    return path

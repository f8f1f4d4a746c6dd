"""Published checkpoints as model files: torchvision's and PySlowFast's state dicts, and PySlowFast's Caffe2 files.

torchvision and PySlowFast name their weights as the networks here do. The Caffe2 files are pickles of numpy arrays
under names of their own.
"""

from pathlib import Path
from typing import get_args

from torch import Tensor

from pipeline.config.classify import ViewSettings
from pipeline.config.detect import ActorBackboneName
from pipeline.data.ava import read_label_map
from pipeline.data.classes import read_classes
from pipeline.errors import ActaError
from pipeline.models.actor_backbones import ActorBackbone, load_published, save_actor_backbone
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.caffe2 import caffe2_name
from pipeline.models.pickles import read_blobs, read_state
from pipeline.models.saved import Description, save_model
from pipeline.models.state import load_state
from pipeline.wheels import file_sha256


def convert_checkpoint(source: Path, output: Path, backbone: str, classes: Path) -> None:
    """Write a published checkpoint as a model file.

    Args:
        source: ``.pth`` (torchvision), ``.pyth`` (PySlowFast) or ``.pkl`` (PySlowFast, Caffe2).
        output: The model file (.safetensors); a .json comes beside it.
        backbone: Which network it is, one for clips or one for actors (`pipeline.models.actor_backbones`).
        classes: Text file with one class a line, in the order of the outputs, or a label map (pbtxt).

    Raises:
        ActaError: the file cannot be read, or a weight is missing, unknown or of another shape.
    """
    labels = _labels(classes)
    provenance = {"converted_from": source.name, "sha256": file_sha256(source)}
    if backbone in get_args(ActorBackboneName):
        actor = ActorBackbone(backbone, len(labels))  # type: ignore[arg-type]
        network, known = load_published(source, actor)
        if not known:
            raise ActaError(f"{source} has no classifier for {len(labels)} classes; `acta train-backbone` makes one")
        save_actor_backbone(output, network, actor, labels, provenance)
        return
    architecture = Architecture(backbone, len(labels))
    model = build(architecture)
    load_state(model, read_checkpoint(source), str(source))
    if architecture.is_slowfast:
        view = ViewSettings(size=None, short_side=(256, 320), crop=224)
    else:
        view = ViewSettings(size=(128, 171), short_side=None, crop=112)
    save_model(output, model, Description(architecture, labels, "none", None, view, provenance))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Weights by the names that they have here.

    Raises:
        ActaError: the file is missing, damaged, or holds what is not weights.
    """
    if path.suffix != ".pkl":
        return read_state(path)
    blobs = read_blobs(path)
    try:
        state = {caffe2_name(name): blob for name, blob in blobs.items()}
    except ActaError as error:
        raise ActaError(f"{path}: {error}") from None
    return {name: value.flatten(1) if name == "head.projection.weight" else value for name, value in state.items()}


def _labels(path: Path) -> list[str]:
    if path.suffix == ".pbtxt":
        names = read_label_map(path).names
        return [names[number] for number in sorted(names)]
    return read_classes(path)

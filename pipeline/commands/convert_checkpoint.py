"""Published checkpoints as model files: torchvision's and PySlowFast's state dicts, and PySlowFast's Caffe2 files.

torchvision and PySlowFast name their weights as the networks here do; the Caffe2 files have names of their own.
"""

from pathlib import Path
from typing import get_args

from torch import Tensor

from pipeline.classify.classes import read_classes
from pipeline.config.classify import ViewSettings
from pipeline.config.names import ActorBackboneName
from pipeline.detect.annotation.ava import read_label_map
from pipeline.models import checkpoints
from pipeline.models.actor_backbones import ActorBackbone, load_published, save_actor_backbone
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.caffe2 import caffe2_name, renamed
from pipeline.models.classifier_file import Description, save_model
from pipeline.models.opened import Opened, opened
from pipeline.models.state import load_state
from pipeline.runtime.errors import ActaError


def convert_checkpoint(source: Path, output: Path, backbone: str, classes: Path) -> None:
    """Write a published checkpoint as a model file.

    Args:
        source: A file of torch.save or safetensors (torchvision, PySlowFast), or a Caffe2 file (PySlowFast); its
            content says which, not its name (`pipeline.models.checkpoints`).
        output: The model file (.safetensors); a .json is written next to it.
        backbone: Which network it is, one for clips or one for actors (`pipeline.models.actor_backbones`).
        classes: Text file with one class a line, in the order of the outputs, or a label map (pbtxt).

    Raises:
        ActaError: the file cannot be read, or a weight is missing, unknown or of another shape.
    """
    labels = _labels(classes)
    file = Opened(source)
    provenance = {"converted_from": source.name, "sha256": file.sha256}
    if backbone in get_args(ActorBackboneName):
        actor = ActorBackbone(backbone, len(labels))  # type: ignore[arg-type]
        network, known = load_published(file, actor)
        if not known:
            raise ActaError(
                f"{source} has no classifier for {len(labels)} classes; `acta task train_backbone` makes one"
            )
        save_actor_backbone(output, network, actor, labels, provenance)
        return
    architecture = Architecture(backbone, len(labels))
    model = build(architecture)
    load_state(model, read_checkpoint(file), str(source))
    if architecture.is_slowfast:
        view = ViewSettings(size=None, short_side=(256, 320), crop=224)
    else:
        view = ViewSettings(size=(128, 171), short_side=None, crop=112)
    save_model(output, model, Description(architecture, labels, "none", None, view, provenance))


def read_checkpoint(source: Path | Opened) -> dict[str, Tensor]:
    """Weights by the names that they have here.

    Raises:
        ActaError: the file is missing, damaged, or holds what is not weights.
    """
    state, caffe2 = checkpoints.read_checkpoint(source)
    return renamed(state, caffe2_name, str(opened(source).path)) if caffe2 else state


def _labels(path: Path) -> list[str]:
    if path.suffix == ".pbtxt":
        names = read_label_map(path).names
        return [names[number] for number in sorted(names)]
    return read_classes(path)

"""Published checkpoints as model files: torchvision's and PySlowFast's state dicts, and PySlowFast's Caffe2 files.

torchvision and PySlowFast name their weights as the networks here do. The Caffe2 files are pickles of numpy arrays
under names of their own.
"""

from pathlib import Path

from torch import Tensor

from pipeline.config.classify import ViewSettings
from pipeline.errors import ActaError
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
        backbone: Which network it is.
        classes: Text file with one class a line, in the order of the outputs.

    Raises:
        ActaError: the file cannot be read, or a weight is missing, unknown or of another shape.
    """
    try:
        labels = [line.strip() for line in classes.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ActaError(f"cannot read the classes {classes}: {error}") from None
    architecture = Architecture(backbone, len(labels))
    model = build(architecture)
    load_state(model, read_checkpoint(source), str(source))
    if architecture.is_slowfast:
        view = ViewSettings(size=None, short_side=(256, 320), crop=224)
    else:
        view = ViewSettings(size=(128, 171), short_side=None, crop=112)
    provenance = {"converted_from": source.name, "sha256": file_sha256(source)}
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

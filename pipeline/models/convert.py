"""Published checkpoints as model files: torchvision's and PySlowFast's state dicts, and PySlowFast's Caffe2 files.

torchvision and PySlowFast name their weights as the networks here do. The Caffe2 files are pickles of numpy arrays
under names of their own; they are read by an unpickler that admits numbers, texts, containers and numpy arrays only.
"""

import codecs
import collections
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.config.classify import ViewSettings
from pipeline.errors import ActaError
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.saved import Description, load_state, save_model
from pipeline.wheels import file_sha256

_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
    # numpy's own functions that build an array and a number, under the names of both its generations.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): np.float32(1).__reduce__()[0] for core in ("core", "_core")},
}
_TAILS = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}
_SKIPPED = re.compile(r".*_momentum|lr|model_iter")


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
    try:
        if path.suffix == ".pkl":
            with path.open("rb") as file:
                blobs = _Unpickler(file, encoding="latin1").load()["blobs"]
            return _from_caffe2(blobs)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ActaError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    except ActaError as error:
        raise ActaError(f"{path}: {error}") from None
    except Exception as error:  # whatever pickle and torch raise on damaged files
        raise ActaError(f"{path} is no checkpoint: {error}") from None
    return content.get("model_state", content)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise ActaError(f"it asks for {module}.{name}, which is no part of a table of weights; it is not opened")
        return found


def _from_caffe2(blobs: dict[str, np.ndarray]) -> dict[str, Tensor]:
    state = {}
    for name, blob in blobs.items():
        if not _SKIPPED.fullmatch(name):
            state[caffe2_name(name)] = torch.from_numpy(np.array(blob, np.float32))
    return {name: value.flatten(1) if name == "head.projection.weight" else value for name, value in state.items()}


def caffe2_name(name: str) -> str:
    """The name here of a weight in PySlowFast's Caffe2 files.

    Raises:
        ActaError: no weight of SlowFast has that name.
    """
    stem, _, tail = name.rpartition("_")
    norm = stem.endswith("_bn")
    stem = stem.removesuffix("_bn")
    fast = stem.startswith("t_")
    plain = stem.removeprefix("t_")
    pathway = f"pathway{int(fast)}"
    end = _TAILS.get(tail, tail)
    if plain in ("conv1", "res_conv1"):
        return f"s1.{pathway}_stem.{'bn' if norm else 'conv'}.{end}"
    if plain == "pred":
        return f"head.projection.{end}"
    if found := re.fullmatch(r"(?:pool(1)|res(\d)_\d+_branch2c_bn)_subsample", plain):
        return f"s{found[1] or found[2]}_fuse.{'bn' if norm else 'conv_f2s'}.{end}"
    if found := re.fullmatch(r"res(\d)_(\d+)_branch(1|2)([abc]?)", plain):
        stage, block, branch, letter = found.groups()
        layer = f"branch{branch}" + (f".{letter}" if letter else "")
        return f"s{stage}.{pathway}_res{block}.{layer}{'_bn' if norm else ''}.{end}"
    raise ActaError(f"{name!r} is no weight of SlowFast")

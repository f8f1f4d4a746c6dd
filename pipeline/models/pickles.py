"""Files of weights that are pickles: torch's own, and tables of numpy arrays as Caffe2 wrote them.

The latter are read by an unpickler that admits numbers, texts, containers and numpy arrays only.
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

from pipeline.errors import ActaError

_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
    # numpy's own functions that build an array and a number, under the names of both its generations.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): np.float32(1).__reduce__()[0] for core in ("core", "_core")},
}
_SKIPPED = re.compile(r".*_momentum|lr|model_iter|epoch")
# How torch's files begin: a zip archive, and before torch 1.6 a pickle of the number that torch recognises them by.
_TORCH = (b"PK\x03\x04", pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2))


def read_pickle(path: Path) -> Any:
    """What a pickle of plain values and numpy arrays holds; texts of Python 2 are read as Latin-1.

    Raises:
        ActaError: the file is missing, damaged, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except OSError as error:
        raise ActaError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    except ActaError as error:
        raise ActaError(f"{path}: {error}") from None
    except Exception as error:  # whatever pickle raises on damaged files
        raise ActaError(f"{path} is no checkpoint: {error}") from None


def read_blobs(path: Path) -> dict[str, Tensor]:
    """The weights of a Caffe2 file by their names there, as float32; what the optimiser kept is left out.

    Raises:
        ActaError: the file is missing, damaged, or holds what is not weights.
    """
    content = read_pickle(path)
    try:
        blobs = {name: blob for name, blob in content["blobs"].items() if not _SKIPPED.fullmatch(name)}
        return {name: torch.from_numpy(np.array(blob, np.float32)) for name, blob in blobs.items()}
    except Exception as error:  # a pickle of something else
        raise ActaError(f"{path} is no checkpoint: {error}") from None


def is_torch_file(path: Path) -> bool:
    """Whether ``torch.save`` wrote a file, whatever its name: PySlowFast's own checkpoints are called .pkl, too."""
    try:
        with path.open("rb") as file:
            return file.read(max(map(len, _TORCH))).startswith(_TORCH)
    except OSError:
        return False


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights of a file that ``torch.save`` wrote: a state dict, or PySlowFast's under ``model_state``.

    Raises:
        ActaError: the file is missing, damaged, or holds what is not weights.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = content.get("model_state", content)
        foreign = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    except OSError as error:
        raise ActaError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    except Exception as error:  # whatever torch raises on damaged files
        raise ActaError(f"{path} is no checkpoint: {error}") from None
    if foreign is not None:
        raise ActaError(f"{path} is no checkpoint: {foreign!r} is no tensor")
    return state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise ActaError(f"it asks for {module}.{name}, which is no part of a table of weights; it is not opened")
        return found

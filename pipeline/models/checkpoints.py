"""Checkpoints from elsewhere: the weights by name, whatever they are wrapped in, or an error that says what it is."""

import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from pipeline.models.opened import Opened, opened, refuse_known
from pipeline.models.pickles import Unpickler, unpickle
from pipeline.models.torch_files import LEGACY, ZIP, Foreign, read_torch
from pipeline.runtime.errors import ActaError

# The names of the weights among epochs and optimisers: those that were trained, and their running averages.
_WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "network", "net", "module", "weights", "params")
_AVERAGED = ("ema_state_dict", "model_ema", "state_dict_ema", "ema_model", "params_ema", "model_averaged", "ema")
# What DDP, torch.compile, Lightning and the like put before the names of a network's weights.
_PREFIXES = ("module.", "model.", "net.", "network.")
_COMPILED = "_orig_mod."
# What comes with averaged weights: how many networks went into them.
_COUNTERS = ("n_averaged", "steps", "num_updates", "decay")
_OF_OPTIMISER = re.compile(r".*_momentum|lr|model_iter|epoch")  # in Caffe2's files
_NESTED = 4


class Checkpoint(NamedTuple):
    """Weights by name; ``caffe2``: the names are those of a Caffe2 file, and all are float32."""

    state: dict[str, Tensor]
    caffe2: bool


def read_state(source: Path | Opened) -> dict[str, Tensor]:
    """The weights of a checkpoint by the names that PyTorch has for them, as `read_checkpoint`.

    Raises:
        ActaError: as there, or it is a Caffe2 file.
    """
    file = opened(source)
    content = read_checkpoint(file)
    if content.caffe2:
        raise ActaError(f"{file.path} is a Caffe2 file; this network is not published as one")
    return content.state


def read_checkpoint(source: Path | Opened) -> Checkpoint:
    """The weights of a checkpoint, out of whatever wraps them; the content decides what it is, not the file's name.

    It reads files of ``torch.save``, safetensors, and pickles of arrays (Caffe2, Detectron2). Weights under a name
    (``state_dict``, ``model_state``, ``model``, …) are taken out, prefixes (``module.``, ``_orig_mod.``) taken off.
    Where trained weights and their running average are both there, the former are taken, with a line on stderr.

    Raises:
        ActaError: the file is missing or damaged, or does not hold one network's weights; and what to do.
    """
    file = opened(source)
    try:
        return _read(file)
    except ActaError as error:
        raise ActaError(f"{file.path} is no checkpoint: {error}") from None
    except zipfile.BadZipFile:
        raise ActaError(f"{file.path} is no checkpoint: its archive is cut off; copy or fetch it again") from None
    except Exception as error:  # whatever torch, zipfile and pickle raise on damaged files
        said = str(error).splitlines() or [type(error).__name__]
        raise ActaError(f"{file.path} is no checkpoint: {said[0][:200]}") from None


def _read(file: Opened) -> Checkpoint:
    content = file.content
    refuse_known(content)
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):
        return Checkpoint(_unwrapped(load(content), file.path), caffe2=False)
    tree = read_torch(file) if content.startswith((ZIP, LEGACY)) else _plain(content)
    if isinstance(tree, Foreign):
        raise ActaError(f"it is {_pickled(tree)}")
    if not isinstance(tree, Mapping):
        raise ActaError(f"it holds a {type(tree).__name__}, not weights by name")
    if isinstance(blobs := tree.get("blobs"), Mapping):
        state = {str(name): blob for name, blob in blobs.items() if not _OF_OPTIMISER.fullmatch(str(name))}
        return Checkpoint(_tensors(state, torch.float32), caffe2=True)
    return Checkpoint(_tensors(_unwrapped(tree, file.path)), caffe2=False)


def _plain(content: bytes) -> Any:
    try:
        return unpickle(content, Unpickler)[0]
    except ActaError:
        raise
    except Exception as error:
        if content[:1] == b"\x80":
            raise
        raise ActaError(
            f"it is neither a file of torch.save nor safetensors nor a pickle; it begins with {content[:16]!r}"
        ) from error


def _unwrapped(tree: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """The state dict inside, with names as a bare network has them."""
    for _ in range(_NESTED):
        if _is_state(tree):
            return _bare({name: value for name, value in tree.items() if value is not None})
        tree = _inner(tree, path)
    raise ActaError(f"its weights are wrapped more than {_NESTED} times; save them alone: torch.save(state, path)")


def _is_state(tree: Mapping[Any, Any]) -> bool:
    """Whether these are weights: tensors with the dotted names of layers, or tensors only, not all of them counters."""
    weights = {name: value for name, value in tree.items() if isinstance(value, Tensor | np.ndarray)}
    if not all(isinstance(name, str) for name in tree):
        return False
    if any("." in name for name in weights):
        return True
    return len(weights) == len(tree) and any(
        value.is_floating_point() if isinstance(value, Tensor) else value.dtype.kind == "f"
        for value in weights.values()
    )


def _inner(tree: Mapping[Any, Any], path: Path) -> Mapping[Any, Any]:
    inside = {name: value for name, value in tree.items() if isinstance(value, Mapping) and _holds_state(value)}
    for known, other in ((_WRAPPERS, _AVERAGED), (_AVERAGED, ())):
        key = next((name for name in known if name in inside), None)
        if key is None:
            continue
        left = next((name for name in other if name in inside), None)
        if left is not None:
            print(f"{path} holds {key!r} and, averaged, {left!r}; {key!r} is taken", file=sys.stderr)
        return inside[key]
    if len(inside) == 1:
        return next(iter(inside.values()))
    if inside:
        names = ", ".join(repr(name) for name in inside)
        raise ActaError(
            f"it holds several networks, {names}; save one alone: "
            f"torch.save(torch.load(path)[{next(iter(inside))!r}], path)"
        )
    foreign = next(((name, value) for name, value in tree.items() if isinstance(value, Foreign)), None)
    if foreign is not None:
        raise ActaError(f"{foreign[0]!r} is {_pickled(foreign[1])}")
    raise ActaError(f"it holds {', '.join(repr(name) for name in list(tree)[:5]) or 'nothing'}, but no weights")


def _pickled(value: Foreign) -> str:
    if value.named.startswith("torch._utils."):
        return f"no plain tensor ({value.named}), as only such are read"
    return (
        f"a pickled object, {value.named}, which is code to be run; where that is trusted, save its weights alone: "
        "torch.save(model.state_dict(), path)"
    )


def _holds_state(tree: Mapping[Any, Any], left: int = _NESTED) -> bool:
    if _is_state(tree):
        return True
    if not left or not all(isinstance(name, str) for name in tree):  # an optimiser's state has numbers for names
        return False
    return any(isinstance(value, Mapping) and _holds_state(value, left - 1) for value in tree.values())


def _bare(state: dict[Any, Any]) -> dict[str, Any]:
    """Weights without what DDP, compilation, averaging and training frameworks put before their names."""
    named = {str(name).replace(_COMPILED, ""): value for name, value in state.items()}
    while True:
        weights = [name for name in named if name not in _COUNTERS]
        prefix = next((p for p in _PREFIXES if weights and all(name.startswith(p) for name in weights)), None)
        if prefix is None:
            return named
        named = {name.removeprefix(prefix): named[name] for name in weights}


def _tensors(state: Mapping[str, Any], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    tensors = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray | np.number):
            array = np.asarray(value)
            value = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        if not isinstance(value, Tensor):
            said = value.named if isinstance(value, Foreign) else type(value).__name__
            raise ActaError(f"{name!r} is no tensor, but a {said}")
        tensors[name] = value if dtype is None else value.to(dtype)
    return tensors

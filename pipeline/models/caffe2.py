"""Names of weights in the Caffe2 files that PySlowFast has inherited."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from pipeline.runtime.errors import ActaError

TAILS = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}


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
    end = TAILS.get(tail, tail)
    if plain in ("conv1", "res_conv1"):
        return f"s1.{pathway}_stem.{'bn' if norm else 'conv'}.{end}"
    if plain == "pred":
        return f"head.projection.{end}"
    if match := re.fullmatch(r"(?:pool(1)|res(\d)_\d+_branch2c_bn)_subsample", plain):
        return f"s{match[1] or match[2]}_fuse.{'bn' if norm else 'conv_f2s'}.{end}"
    if match := re.fullmatch(r"res(\d)_(\d+)_branch(1|2)([abc]?)", plain):
        stage, block, branch, letter = match.groups()
        layer = f"branch{branch}" + (f".{letter}" if letter else "")
        return f"s{stage}.{pathway}_res{block}.{layer}{'_bn' if norm else ''}.{end}"
    raise ActaError(f"{name!r} is no weight of SlowFast")


def renamed(blobs: Mapping[str, Tensor], rename: Callable[[str], str], source: str) -> dict[str, Tensor]:
    """The weights of the Caffe2 file ``source`` under the names that they have here.

    Raises:
        ActaError: ``rename`` raises one, as it does not know a weight.
    """
    try:
        state = {rename(name): blob for name, blob in blobs.items()}
    except ActaError as error:
        raise ActaError(f"{source}: {error}") from None
    if (weight := state.get("head.projection.weight")) is not None:
        state["head.projection.weight"] = weight.flatten(1)  # a convolution in some files
    return state

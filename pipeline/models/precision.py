"""Precisions by their names in the settings: the type of weights, and in which one an autocast computes."""

import torch

# Mixed precision keeps weights in float32.
DTYPES = dict.fromkeys(("float32", "bfloat16", "float16"), torch.float32) | {"float64": torch.float64}
_MIXED = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def mixed(device: str, precision: str) -> torch.autocast:
    """A block whose convolutions and products are computed in half precision, if the precision has them so.

    Args:
        device: cpu or cuda.
        precision: float32, bfloat16, float16 or float64.
    """
    return torch.autocast(device, _MIXED.get(precision, torch.bfloat16), enabled=precision in _MIXED)

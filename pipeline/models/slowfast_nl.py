"""SlowFast on the actors of AVA, with non-local blocks on the Slow pathway and PySlowFast's head and names.

It is the SlowFast of `pipeline.models.slowfast` as the configurations of PySlowFast's AVA checkpoints
(`configs/AVA/c2`) change it: res5 keeps the resolution of res4 and is dilated by two; on ResNet-101 only the first six
blocks of res4 convolve over time (its name there ends in ``R101_50_50``), and three non-local blocks follow its blocks
6, 13 and 20 (dot product, pool 2 x 2 x 2). The networks on ResNet-50 have no non-local blocks.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models import caffe2
from pipeline.models.architecture import Architecture
from pipeline.models.nonlocal_block import NonLocal
from pipeline.models.r101_i3d_nl import region_maxima
from pipeline.models.slowfast import BLOCKS, SlowFast, stage_5

_ATTENDING = {"slowfast_8x8_r50": (), "slowfast_8x8_r101": (6, 13, 20)}  # blocks of res4 before a non-local block
_TEMPORAL = 6  # blocks of res4 that convolve over time
_ALPHA = 4  # frames of Fast for each frame of Slow


class SlowFastNL(nn.Module):
    """The backbone with its head for actors; ``dropout`` precedes the classifier, with 0.5 in the published training.

    Both 8x8 and 16x8 have the architecture ``slowfast_8x8_…``, with 64 and 128 frames: pathways of strides 8 and 2.
    """

    def __init__(self, architecture: Architecture, dropout: float = 0.0):
        super().__init__()
        for name, child in SlowFast(architecture, dropout).named_children():
            self.add_module(name, child)
        channels = architecture.channels(1024)
        self.s4 = _Res4(self.get_submodule("s4"), _ATTENDING[architecture.backbone], channels)
        for name, module in self.get_submodule("s5").named_modules():
            if isinstance(module, nn.Conv3d):
                module.stride = (1, 1, 1)
                if name.endswith("branch2.b"):
                    module.padding, module.dilation = (0, 2, 2), (1, 2, 2)

    def blocks(self) -> list[nn.Module]:
        """See `pipeline.models.recompute`."""
        return [module for module in self.modules() if isinstance(module, (*BLOCKS, NonLocal))]

    def forward(self, pathways: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features of actors, both pathways' `region_maxima` (Σ n_i, channels), and logits (Σ n_i, classes).

        Slow and Fast are (b, 3, t, height, width), normalised; boxes are those of `actor_backbones.ActorNetwork`.
        """
        size = pathways[0].shape[-2:]
        features = torch.cat([region_maxima(x, boxes, *size) for x in stage_5(self, pathways)], 1)
        dropped = self.get_submodule("head.dropout")(features)
        return features, self.get_submodule("head.projection")(dropped)


class _Res4(nn.Module):
    """Res4 of SlowFast, its blocks by their names, with non-local blocks on the Slow pathway after some of them."""

    def __init__(self, stage: nn.Module, attending: Sequence[int], channels: int):
        super().__init__()
        for name, child in stage.named_children():
            self.add_module(name, child)
            pathway, _, block = name.partition("_res")
            if int(block) >= _TEMPORAL:
                branch = child.get_submodule("branch2")
                temporal = branch.get_parameter("a.weight")
                spatial = nn.Conv3d(temporal.shape[1], temporal.shape[0], 1, bias=False)
                nn.init.kaiming_normal_(spatial.weight, mode="fan_out", nonlinearity="relu")
                branch.add_module("a", spatial)
            if pathway == "pathway0" and int(block) in attending:
                norm = nn.BatchNorm3d(channels)
                nn.init.zeros_(norm.weight)  # PySlowFast's initialisation: a new block passes its input on
                self.add_module(f"pathway0_nonlocal{block}", NonLocal(channels, norm, (2, 2, 2), softmax=False))

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        for name, child in self.named_children():
            if name.startswith("pathway0"):
                slow = child(slow)
            else:
                fast = child(fast)
        return slow, fast


def slow_positions(fast: int) -> list[int]:
    """Which frames of the Fast pathway the Slow one sees.

    PySlowFast spreads them evenly from the first frame to the last, so this is no plain stride. Its own call is used
    because it cuts off fractions in float32.
    """
    return torch.linspace(0, fast - 1, fast // _ALPHA, device="cpu").long().tolist()


def caffe2_name(name: str) -> str:
    """The name here of a weight in PySlowFast's Caffe2 files.

    Raises:
        ActaError: no weight of the network has that name.
    """
    if match := re.fullmatch(r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out|bn)_([a-z]+)", name):
        stage, block, layer, tail = match.groups()
        module = layer if layer == "bn" else f"conv_{layer}"
        return f"s{stage}.pathway0_nonlocal{block}.{module}.{caffe2.TAILS.get(tail, tail)}"
    return caffe2.caffe2_name(name)

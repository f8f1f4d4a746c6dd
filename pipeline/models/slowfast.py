"""SlowFast (Feichtenhofer et al., ICCV 2019), with parameters named as in PySlowFast, whose weights it loads."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models.architecture import Architecture
from pipeline.models.backbone_layers import Bottleneck, SlowFastStage, slowfast_layers
from pipeline.models.layers import Convolution
from pipeline.models.modules import conv3d, initialise, linear


class SlowFast(nn.Module):
    """Two pathways of bottleneck ResNets with lateral connections from Fast to Slow: a ``slowfast_…`` backbone.

    ``dropout`` precedes the classifier; the thesis uses 0.5 (Sec. 6.2.2).
    """

    def __init__(self, architecture: Architecture, dropout: float = 0.0):
        super().__init__()
        layers = slowfast_layers(architecture)
        slow, fast = layers.stems
        self.s1 = nn.ModuleDict({"pathway0_stem": _Stem(slow), "pathway1_stem": _Stem(fast)})
        for number, (fusion, stage) in enumerate(zip(layers.fusions, layers.stages, strict=True), 1):
            self.add_module(f"s{number}_fuse", _Fuse(fusion))
            self.add_module(f"s{number + 1}", _Stage(stage))
        self._pooled = layers.pooled
        projection = linear(layers.classifier)
        self.head = nn.ModuleDict({"dropout": nn.Dropout(dropout), "projection": projection})
        initialise(self, projection)

    def joined_inputs(self) -> dict[str, tuple[int, ...]]:
        """By the name of a weight whose input channels are a concatenation: how many channels each part has."""
        found: dict[str, tuple[int, ...]] = {"head.projection.weight": self._pooled}
        for name, module in self.named_modules():
            if isinstance(module, _Bottleneck) and module.joined:
                found |= {f"{name}.branch1.weight": module.joined, f"{name}.branch2.a.weight": module.joined}
        return found

    def blocks(self) -> list[nn.Module]:
        """See `pipeline.models.recompute`."""
        return [module for module in self.modules() if isinstance(module, BLOCKS)]

    def forward(self, pathways: Sequence[Tensor]) -> Tensor:
        """Logits (n, classes) of the Slow and the Fast clip, each (n, 3, t, height, width), normalised RGB."""
        slow, fast = stage_5(self, pathways)
        pooled = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1)
        return self.head["projection"](self.head["dropout"](pooled))


def stage_5(network: nn.Module, pathways: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The maps of the Slow and the Fast clip after stage 5 of a `SlowFast`, or of a network with its modules."""
    slow, fast = (network.get_submodule(f"s1.pathway{i}_stem")(clip) for i, clip in enumerate(pathways))
    for number in range(1, 5):
        slow = network.get_submodule(f"s{number}_fuse")(slow, fast)
        slow, fast = network.get_submodule(f"s{number + 1}")(slow, fast)
    return slow, fast


class _Stem(nn.Module):
    def __init__(self, layer: Convolution):
        super().__init__()
        self.conv = conv3d(layer)
        self.bn = nn.BatchNorm3d(layer.after)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.bn(self.conv(x)).relu_())


class _Fuse(nn.Module):
    """Lateral connection: a strided convolution over time brings the Fast pathway to the Slow one's rate."""

    def __init__(self, layer: Convolution):
        super().__init__()
        self.conv_f2s = conv3d(layer)
        self.bn = nn.BatchNorm3d(layer.after)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, self.bn(self.conv_f2s(fast)).relu_()], 1)


class _Stage(nn.Module):
    """The blocks of one stage in both pathways."""

    def __init__(self, stage: SlowFastStage):
        super().__init__()
        self._count = len(stage.slow)
        for pathway, blocks in enumerate((stage.slow, stage.fast)):
            for block, layers in enumerate(blocks):
                bottleneck = _Bottleneck(layers)
                if pathway == block == 0:
                    bottleneck.joined = stage.joined
                self.add_module(f"pathway{pathway}_res{block}", bottleneck)

    def forward(self, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
        for block in range(self._count):
            slow = self.get_submodule(f"pathway0_res{block}")(slow)
            fast = self.get_submodule(f"pathway1_res{block}")(fast)
        return slow, fast


class _Bottleneck(nn.Module):
    """Convolutions over time (a), space (b) and channels (c), with a projected shortcut where the shape changes.

    ``joined``: of how many channels each the parts are that its input was concatenated from; None: it is one.
    """

    joined: tuple[int, ...] | None = None

    def __init__(self, layers: Bottleneck):
        super().__init__()
        if layers.shortcut is not None:
            self.branch1 = conv3d(layers.shortcut)
            self.branch1_bn = nn.BatchNorm3d(layers.shortcut.after)
        self.branch2 = nn.ModuleDict()
        for name, layer in (("a", layers.a), ("b", layers.b), ("c", layers.c)):
            self.branch2[name] = conv3d(layer)
            self.branch2[f"{name}_bn"] = nn.BatchNorm3d(layer.after)
        # PySlowFast's initialisation: a new block passes its input on.
        nn.init.zeros_(self.branch2.get_parameter("c_bn.weight"))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch2
        y = branch["a_bn"](branch["a"](x)).relu_()
        y = branch["b_bn"](branch["b"](y)).relu_()
        y = branch["c_bn"](branch["c"](y))
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return (y + shortcut).relu_()


BLOCKS = (_Stem, _Fuse, _Bottleneck)

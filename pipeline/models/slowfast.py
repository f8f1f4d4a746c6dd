"""SlowFast (Feichtenhofer et al., ICCV 2019), with parameters named as in PySlowFast, whose weights it loads."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models.architecture import Architecture

_WIDTH, _BETA = 64, 8  # channels of the Slow stem; how many times fewer the Fast pathway has
_FUSION = 2  # lateral connections give twice the Fast pathway's channels
# Temporal kernels of the stem and the four stages: Slow, Fast.
_TIME = ((1, 5), (1, 3), (1, 3), (3, 3), (3, 3))
# Of the published networks, 8x8 on ResNet-50 alone has lateral kernels of 7 frames.
_LATERAL = {"slowfast_8x8_r50": 7}


class SlowFast(nn.Module):
    """Two pathways of bottleneck ResNets with lateral connections from Fast to Slow.

    Args:
        architecture: One of the ``slowfast_…`` backbones with its width, depth and input.
        dropout: Before the classifier; the thesis uses 0.5 (Sec. 6.2.2).
    """

    def __init__(self, architecture: Architecture, dropout: float = 0.0):
        super().__init__()
        channels = architecture.channels
        slow_stride, fast_stride = architecture.strides
        alpha = slow_stride // fast_stride
        lateral = _LATERAL.get(architecture.backbone, 5)
        self.s1 = nn.ModuleDict(
            {
                "pathway0_stem": _Stem(channels(_WIDTH), _TIME[0][0]),
                "pathway1_stem": _Stem(channels(_WIDTH // _BETA), _TIME[0][1]),
            }
        )
        self.s1_fuse = _Fuse(architecture, _WIDTH // _BETA, alpha, lateral)
        self.s2 = _Stage(architecture, 0, _WIDTH)
        self.s2_fuse = _Fuse(architecture, 4 * _WIDTH // _BETA, alpha, lateral)
        self.s3 = _Stage(architecture, 1, 4 * _WIDTH)
        self.s3_fuse = _Fuse(architecture, 8 * _WIDTH // _BETA, alpha, lateral)
        self.s4 = _Stage(architecture, 2, 8 * _WIDTH)
        self.s4_fuse = _Fuse(architecture, 16 * _WIDTH // _BETA, alpha, lateral)
        self.s5 = _Stage(architecture, 3, 16 * _WIDTH)
        self._pooled = (channels(32 * _WIDTH), channels(32 * _WIDTH // _BETA))
        projection = nn.Linear(sum(self._pooled), architecture.classes)
        self.head = nn.ModuleDict({"dropout": nn.Dropout(dropout), "projection": projection})
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, _Bottleneck):
                module.start_as_shortcut()
        nn.init.normal_(projection.weight, 0, 0.01)
        nn.init.zeros_(projection.bias)

    def joined_inputs(self) -> dict[str, tuple[int, ...]]:
        """By the name of a weight whose input channels are a concatenation: how many channels each part has."""
        found: dict[str, tuple[int, ...]] = {"head.projection.weight": self._pooled}
        for name, module in self.named_modules():
            if isinstance(module, _Bottleneck) and module.joined:
                found |= {f"{name}.branch1.weight": module.joined, f"{name}.branch2.a.weight": module.joined}
        return found

    def forward(self, pathways: Sequence[Tensor]) -> Tensor:
        """Logits (n, classes) of the Slow and the Fast clip, each (n, 3, t, height, width), normalised RGB."""
        slow, fast = pathways
        slow, fast = self.s1["pathway0_stem"](slow), self.s1["pathway1_stem"](fast)
        slow = self.s1_fuse(slow, fast)
        slow, fast = self.s2(slow, fast)
        slow = self.s2_fuse(slow, fast)
        slow, fast = self.s3(slow, fast)
        slow = self.s3_fuse(slow, fast)
        slow, fast = self.s4(slow, fast)
        slow = self.s4_fuse(slow, fast)
        slow, fast = self.s5(slow, fast)
        pooled = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1)
        return self.head["projection"](self.head["dropout"](pooled))


class _Stem(nn.Module):
    def __init__(self, channels: int, time: int):
        super().__init__()
        self.conv = nn.Conv3d(3, channels, (time, 7, 7), (1, 2, 2), (time // 2, 3, 3), bias=False)
        self.bn = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.bn(self.conv(x)).relu_())


class _Fuse(nn.Module):
    """Lateral connection: a strided convolution over time brings the Fast pathway to the Slow one's rate."""

    def __init__(self, architecture: Architecture, fast: int, alpha: int, kernel: int):
        super().__init__()
        before, after = architecture.channels(fast), architecture.channels(fast * _FUSION)
        self.conv_f2s = nn.Conv3d(before, after, (kernel, 1, 1), (alpha, 1, 1), (kernel // 2, 0, 0), bias=False)
        self.bn = nn.BatchNorm3d(after)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, self.bn(self.conv_f2s(fast)).relu_()], 1)


class _Stage(nn.Module):
    """The blocks of one stage in both pathways; ``before`` is the published width of the Slow pathway so far."""

    def __init__(self, architecture: Architecture, stage: int, before: int):
        super().__init__()
        channels = architecture.channels
        inner = _WIDTH << stage
        self._count = architecture.stage_blocks[stage]
        widths = (
            (channels(before) + channels(before // _BETA * _FUSION), channels(inner), channels(4 * inner)),
            (channels(before // _BETA), channels(inner // _BETA), channels(4 * inner // _BETA)),
        )
        for pathway, (enter, middle, leave) in enumerate(widths):
            for block in range(self._count):
                stride = 2 if stage > 0 and block == 0 else 1
                bottleneck = _Bottleneck(leave if block else enter, middle, leave, _TIME[stage + 1][pathway], stride)
                if pathway == block == 0:
                    bottleneck.joined = (channels(before), channels(before // _BETA * _FUSION))
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

    def __init__(self, before: int, inner: int, after: int, time: int, stride: int):
        super().__init__()
        if before != after or stride != 1:
            self.branch1 = nn.Conv3d(before, after, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(after)
        self.branch2 = nn.ModuleDict(
            {
                "a": nn.Conv3d(before, inner, (time, 1, 1), 1, (time // 2, 0, 0), bias=False),
                "a_bn": nn.BatchNorm3d(inner),
                "b": nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
                "b_bn": nn.BatchNorm3d(inner),
                "c": nn.Conv3d(inner, after, 1, bias=False),
                "c_bn": nn.BatchNorm3d(after),
            }
        )

    def start_as_shortcut(self) -> None:
        """Zero the last batch norm's scale, so that a new block passes its input on (PySlowFast's initialisation)."""
        nn.init.zeros_(self.branch2.get_parameter("c_bn.weight"))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch2
        y = branch["a_bn"](branch["a"](x)).relu_()
        y = branch["b_bn"](branch["b"](y)).relu_()
        y = branch["c_bn"](branch["c"](y))
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return (y + shortcut).relu_()

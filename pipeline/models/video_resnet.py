"""R(2+1)D and R3D (Tran et al., CVPR 2018), with parameters named as in torchvision, whose weights they load."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from pipeline.models.architecture import Architecture

_STEM, _STAGES = 64, (64, 128, 256, 512)
_STEM_MIDDLE = 45

# (channels in, out, middle, stride) to a 3 x 3 x 3 convolution or what stands for it.
_Convolution = Callable[[int, int, int, int], nn.Module]


class VideoResNet(nn.Module):
    """A ResNet of basic blocks over space and time.

    Args:
        architecture: ``r2plus1d_18`` or ``r3d_18`` with its width, depth and input.
        dropout: Before the classifier.
    """

    def __init__(self, architecture: Architecture, dropout: float = 0.0):
        super().__init__()
        factorised = architecture.backbone.startswith("r2plus1d")
        channels = architecture.channels
        self.stem = _factorised_stem(architecture) if factorised else _stem(architecture)
        convolution: _Convolution = _Conv2Plus1D if factorised else _conv3d
        before = _STEM
        for stage, (after, count) in enumerate(zip(_STAGES, architecture.stage_blocks, strict=True)):
            blocks = []
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                middle = channels(before * after * 27 // (before * 9 + 3 * after))
                blocks.append(_BasicBlock(channels(before), channels(after), middle, stride, convolution))
                before = after
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels(_STAGES[-1]), architecture.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, pathways: Sequence[Tensor]) -> Tensor:
        """Logits (n, classes) of one pathway (n, 3, t, height, width), normalised RGB."""
        (x,) = pathways
        x = self.stem(x)
        for stage in range(4):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


class _BasicBlock(nn.Module):
    def __init__(self, before: int, after: int, middle: int, stride: int, convolution: _Convolution):
        super().__init__()
        self.conv1 = nn.Sequential(
            convolution(before, after, middle, stride), nn.BatchNorm3d(after), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(convolution(after, after, middle, 1), nn.BatchNorm3d(after))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv3d(before, after, 1, stride=stride, bias=False), nn.BatchNorm3d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class _Conv2Plus1D(nn.Sequential):
    """A convolution over space, then one over time."""

    def __init__(self, before: int, after: int, middle: int, stride: int):
        super().__init__(
            nn.Conv3d(before, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            nn.Conv3d(middle, after, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


def _conv3d(before: int, after: int, middle: int, stride: int) -> nn.Module:
    return nn.Conv3d(before, after, 3, stride, 1, bias=False)


def _stem(architecture: Architecture) -> nn.Sequential:
    channels = architecture.channels(_STEM)
    return nn.Sequential(
        nn.Conv3d(3, channels, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


def _factorised_stem(architecture: Architecture) -> nn.Sequential:
    middle, channels = architecture.channels(_STEM_MIDDLE), architecture.channels(_STEM)
    return nn.Sequential(
        nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, channels, (3, 1, 1), (1, 1, 1), (1, 0, 0), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )

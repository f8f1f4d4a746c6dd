"""R(2+1)D and R3D (Tran et al., CVPR 2018), with parameters named as in torchvision, whose weights they load."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pipeline.models.architecture import Architecture
from pipeline.models.backbone_layers import BasicBlock, video_resnet_layers
from pipeline.models.layers import Convolution
from pipeline.models.modules import conv3d, initialise, linear


class VideoResNet(nn.Module):
    """A ResNet of basic blocks over space and time, ``r2plus1d_18`` or ``r3d_18``; dropout precedes its classifier."""

    def __init__(self, architecture: Architecture, dropout: float = 0.0):
        super().__init__()
        layers = video_resnet_layers(architecture)
        self.stem = nn.Sequential(
            *_convolutions(layers.stem), nn.BatchNorm3d(layers.stem[-1].after), nn.ReLU(inplace=True)
        )
        for stage, blocks in enumerate(layers.stages):
            self.add_module(f"layer{stage + 1}", nn.Sequential(*map(_BasicBlock, blocks)))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = linear(layers.classifier)
        initialise(self, self.fc)

    def blocks(self) -> list[nn.Module]:
        """See `pipeline.models.recompute`."""
        return [self.stem, *(module for module in self.modules() if isinstance(module, _BasicBlock))]

    def forward(self, pathways: Sequence[Tensor]) -> Tensor:
        """Logits (n, classes) of one pathway (n, 3, t, height, width), normalised RGB."""
        (x,) = pathways
        x = self.stem(x)
        for stage in range(4):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


class _BasicBlock(nn.Module):
    def __init__(self, block: BasicBlock):
        super().__init__()
        self.conv1 = nn.Sequential(
            _convolution(block.conv1), nn.BatchNorm3d(block.conv1[-1].after), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(_convolution(block.conv2), nn.BatchNorm3d(block.conv2[-1].after))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if block.downsample is not None:
            self.downsample = nn.Sequential(conv3d(block.downsample), nn.BatchNorm3d(block.downsample.after))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


def _convolution(layers: Sequence[Convolution]) -> nn.Module:
    return conv3d(layers[0]) if len(layers) == 1 else nn.Sequential(*_convolutions(layers))


def _convolutions(layers: Sequence[Convolution]) -> list[nn.Module]:
    """Convolutions with batch norm and ReLU between them."""
    modules: list[nn.Module] = [conv3d(layers[0])]
    for previous, layer in pairwise(layers):
        modules += [nn.BatchNorm3d(previous.after), nn.ReLU(inplace=True), conv3d(layer)]
    return modules

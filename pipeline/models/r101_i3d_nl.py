"""R101-I3D-NL (Wu et al., CVPR 2019, "Long-Term Feature Banks"): the 3D CNN of their AVA experiments.

ResNet-101 inflated over time, with non-local blocks in res3 and res4 (`configs/ava_r101_baseline.yaml` of
facebookresearch/video-long-term-feature-banks). While it was fine-tuned on AVA its batch norms were folded into a fixed
scale and bias for each channel (Caffe2's AffineNd, whose gradient reaches its input only), and so they are published.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from pipeline.models.layers import scaled
from pipeline.models.nonlocal_block import NonLocal
from pipeline.runtime.errors import ActaError

_REGION, _STRIDE = 7, 16  # positions of a region along a side; pixels of the picture that one of res5 stands for
_GROUP = 4  # frames among which res3 attends; res4 does among all
# By stage: blocks, after which of them non-local blocks come, temporal kernels (repeated), spatial stride, dilation.
_STAGES: dict[int, tuple[int, tuple[int, ...], tuple[int, ...], int, int]] = {
    2: (3, (), (3,), 1, 1),
    3: (4, (1, 3), (3, 1), 2, 1),
    4: (23, (6, 13, 20), (3, 1), 2, 1),
    5: (3, (), (1, 3), 1, 2),
}


class R101I3DNL(nn.Module):
    """The backbone with its head for actors.

    ``width`` is a factor on every number of channels of the published network; ``dropout`` precedes the classifier,
    with 0.3 in the published training.
    """

    def __init__(self, classes: int, width: float = 1.0, dropout: float = 0.0):
        super().__init__()
        before = scaled(64, width)
        self.conv1 = nn.Conv3d(3, before, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.conv1_bn = Affine(before)
        for stage, (blocks, attending, kernels, stride, dilation) in _STAGES.items():
            inner, after = scaled(16 << stage, width), scaled(64 << stage, width)
            layers: list[nn.Module] = []
            for index in range(blocks):
                time = kernels[index % len(kernels)]
                layers.append(_Bottleneck(before, inner, after, time, stride if index == 0 else 1, dilation))
                before = after
            self.add_module(f"res{stage}", nn.ModuleList(layers))
            self.add_module(f"nonlocal{stage}", nn.ModuleDict({str(index): _attend(after) for index in attending}))
        projection = nn.Linear(before, classes)
        self.head = nn.ModuleDict({"dropout": nn.Dropout(dropout), "projection": projection})
        nn.init.normal_(projection.weight, 0, 0.01)
        nn.init.zeros_(projection.bias)

    def blocks(self) -> list[nn.Module]:
        """See `pipeline.models.recompute`."""
        return [module for module in self.modules() if isinstance(module, _Bottleneck | NonLocal)]

    def forward(self, pathways: Sequence[Tensor], boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features of actors, res5's `region_maxima` (Σ n_i, channels), and logits (Σ n_i, classes).

        The only pathway is (b, 3, t, height, width), normalised; boxes are those of `actor_backbones.ActorNetwork`.
        """
        (clips,) = pathways
        x = self.conv1_bn(self.conv1(clips)).relu_()
        x = self._stage(2, F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1)))
        x = self._stage(3, F.max_pool3d(x, (2, 1, 1), (2, 1, 1)))
        x = self._stage(5, self._stage(4, x))
        features = region_maxima(x, boxes, clips.shape[-2], clips.shape[-1])
        return features, self.head["projection"](self.head["dropout"](features))

    def _stage(self, stage: int, x: Tensor) -> Tensor:
        attending = dict(self.get_submodule(f"nonlocal{stage}").named_children())
        for index, block in self.get_submodule(f"res{stage}").named_children():
            x = block(x)
            if attend := attending.get(index):
                groups = x.split(_GROUP, 2) if stage == 3 else [x]
                x = torch.cat([attend(group) for group in groups], 2)
        return x


class Affine(nn.Module):
    """A fixed scale and bias for each channel, as a batch norm with fixed statistics and weights has."""

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int, scale: float = 1.0):
        super().__init__()
        self.register_buffer("weight", torch.full((channels,), scale))
        self.register_buffer("bias", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias.view(-1, 1, 1, 1), x, self.weight.view(-1, 1, 1, 1))


def region_maxima(features: Tensor, boxes: Sequence[Tensor], height: int, width: int) -> Tensor:
    """Facebook's head for actors: mean over time, RoIAlign to 7 x 7, maximum over space.

    The mean of the regions of a box replicated in time is the region of the mean, as RoIAlign is linear. As both
    published networks were trained and tested, a box ends at the last pixel of the picture, and RoIAlign is the
    first version, without the half-pixel shift (PySlowFast: ``DETECTION.ALIGNED: False`` of `configs/AVA/c2`).

    Args:
        features: (b, c, t, h, w), one position for 16 pixels.
        boxes: b tensors (n_i, 4): x1, y1, x2, y2 in [0, 1] of the picture.
        height, width: Of the clips, in pixels.

    Returns:
        (Σ n_i, c).
    """
    # Under autocast the maps may have half precision, too little for coordinates.
    dtype = torch.promote_types(features.dtype, torch.float32)
    scale = torch.tensor([width, height, width, height], dtype=dtype, device=features.device)
    pixels = [(found.to(scale) * scale).clamp(min=torch.zeros_like(scale), max=scale - 1) for found in boxes]
    return roi_align(features.to(dtype).mean(2), pixels, _REGION, 1 / _STRIDE, aligned=False).amax((2, 3))


def feature_size(width: float = 1.0) -> int:
    """Channels of res5: 2048 in the published network."""
    return scaled(2048, width)


def caffe2_name(name: str) -> str:
    """The name here of a weight in the published Caffe2 file.

    Raises:
        ActaError: no weight of the network has that name.
    """
    ends = {"w": "weight", "b": "bias", "s": "weight"}
    if match := re.fullmatch(r"(?:res_)?(conv1(?:_bn)?)_([wsb])", name):
        return f"{match[1]}.{ends[match[2]]}"
    if match := re.fullmatch(r"pred_([wb])", name):
        return f"head.projection.{ends[match[1]]}"
    if match := re.fullmatch(r"res(\d)_(\d+)_(branch(?:1|2[abc])(?:_bn)?)_([wsb])", name):
        return f"res{match[1]}.{match[2]}.{match[3]}.{ends[match[4]]}"
    if match := re.fullmatch(r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out|bn)_([wsb])", name):
        layer = match[3] if match[3] == "bn" else f"conv_{match[3]}"
        return f"nonlocal{match[1]}.{match[2]}.{layer}.{ends[match[4]]}"
    raise ActaError(f"{name!r} is no weight of R101-I3D-NL")


def _attend(channels: int) -> NonLocal:
    """A block that passes its input on until it is trained."""
    block = NonLocal(channels, Affine(channels), (1, 2, 2), softmax=True)
    nn.init.zeros_(block.conv_out.weight)
    return block


class _Bottleneck(nn.Module):
    """Convolutions over time (a), space (b) and channels (c), with a projected shortcut where the shape changes."""

    def __init__(self, before: int, inner: int, after: int, time: int, stride: int, dilation: int):
        super().__init__()
        self.branch2a = nn.Conv3d(before, inner, (time, 1, 1), 1, (time // 2, 0, 0), bias=False)
        self.branch2a_bn = Affine(inner)
        self.branch2b = nn.Conv3d(
            inner, inner, (1, 3, 3), (1, stride, stride), (0, dilation, dilation), (1, dilation, dilation), bias=False
        )
        self.branch2b_bn = Affine(inner)
        self.branch2c = nn.Conv3d(inner, after, 1, bias=False)
        # Nothing normalises a network with random weights: small steps keep its 33 blocks from growing beyond bounds.
        self.branch2c_bn = Affine(after, 0.1)
        if before != after or stride != 1:
            self.branch1 = nn.Conv3d(before, after, 1, (1, stride, stride), bias=False)
            self.branch1_bn = Affine(after)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch2a_bn(self.branch2a(x)).relu_()
        y = self.branch2b_bn(self.branch2b(y)).relu_()
        y = self.branch2c_bn(self.branch2c(y))
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return (y + shortcut).relu_()

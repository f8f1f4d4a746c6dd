"""Modules of torch made from the layers that describe a network; their first weights, and the clips that they see."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models.layers import Convolution, Linear


def conv3d(layer: Convolution) -> nn.Conv3d:
    """A convolution over frames, height and width."""
    return nn.Conv3d(layer.before, layer.after, layer.kernel, layer.stride, layer.padding, bias=False)


def linear(layer: Linear) -> nn.Linear:
    """A linear layer."""
    return nn.Linear(layer.before, layer.after, layer.bias)


def initialise(network: nn.Module, classifier: nn.Linear) -> None:
    """Random weights of the convolutions (He et al., ICCV 2015), and small ones of the classifier."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    nn.init.normal_(classifier.weight, 0, 0.01)
    nn.init.zeros_(classifier.bias)


def normalised(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Frames (n, t, 3, height, width), from 0 to 255, as a clip (n, 3, t, height, width) less ``mean``, over ``std``.

    Both are those of pixels in [0, 1], by channel.
    """
    centre, scale = (frames.new_tensor(values).view(3, 1, 1, 1) * 255 for values in (mean, std))
    return frames.transpose(1, 2).sub(centre).div_(scale).contiguous(memory_format=torch.channels_last_3d)

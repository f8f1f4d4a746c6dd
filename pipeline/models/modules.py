"""Modules of torch made from the layers that describe a network."""

from torch import nn

from pipeline.models.layers import Convolution, Linear


def conv3d(layer: Convolution) -> nn.Conv3d:
    """A convolution over frames, height and width."""
    return nn.Conv3d(layer.before, layer.after, layer.kernel, layer.stride, layer.padding, bias=False)


def linear(layer: Linear) -> nn.Linear:
    """A linear layer."""
    return nn.Linear(layer.before, layer.after, layer.bias)

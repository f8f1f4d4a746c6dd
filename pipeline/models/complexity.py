"""What a network costs per view, without data, weights or torch: multiply-adds, parameters, peak activation.

The layers are those that the network is built from. Its activations are followed in the order in which torch makes and
frees them; a test compares all three numbers with those that torch counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.models.architecture import BASES, Architecture
from pipeline.models.backbone_layers import (
    BasicBlock,
    Bottleneck,
    SlowFastLayers,
    SlowFastStage,
    VideoResNetLayers,
    slowfast_layers,
    video_resnet_layers,
)
from pipeline.models.layers import Convolution, Linear, Sides

_FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Complexity:
    """Cost of one view.

    Args:
        gflops: Multiply-adds in units of 10⁹, as the thesis counts (Table 6.1); a fused multiply-add is one.
        parameters: Trainable numbers.
        peak_activation_mb: Largest total of activations alive at once, float32, batch 1, inference, in 10⁶ bytes; the
            input counts, the weights don't.
    """

    gflops: float
    parameters: int
    peak_activation_mb: float


def complexity(architecture: Architecture, size: int | None = None) -> Complexity:
    """Cost of a network on a square view.

    Args:
        architecture: The network; its operator s applies to ``size`` too.
        size: Side of the base network's crop in pixels; None: the published test crop.
    """
    side = architecture.pixels(size or BASES[architecture.backbone].size)
    count = _Count()
    clips = [count.make(3, (len(frames), side, side)) for frames in architecture.pathways]
    if architecture.is_slowfast:
        _slowfast(count, slowfast_layers(architecture), clips)
    else:
        _video_resnet(count, video_resnet_layers(architecture), clips)
    return Complexity(
        gflops=count.multiply_adds / 1e9,
        parameters=count.parameters,
        peak_activation_mb=_FLOAT32 * count.peak / 1e6,
    )


@dataclass(frozen=True)
class _Activation:
    channels: int
    sides: Sides

    @property
    def numbers(self) -> int:
        return self.channels * math.prod(self.sides)


class _Count:
    """Multiply-adds and parameters of what was computed, and the most numbers that were alive at once.

    What is computed is alive until it is freed; no operation frees what it is given.
    """

    def __init__(self) -> None:
        self.multiply_adds = self.parameters = self.peak = self._alive = 0

    def make(self, channels: int, sides: Sides, *, meanwhile: int = 0) -> _Activation:
        """A new activation; ``meanwhile``: numbers that are alive with it only as long as it is computed."""
        made = _Activation(channels, sides)
        self._alive += made.numbers
        self.peak = max(self.peak, self._alive + meanwhile)
        return made

    def free(self, *activations: _Activation) -> None:
        self._alive -= sum(activation.numbers for activation in activations)

    def convolve(self, layer: Convolution, x: _Activation) -> _Activation:
        frames, height, width = (_strided(side, step) for side, step in zip(x.sides, layer.stride, strict=True))
        made = self.make(layer.after, (frames, height, width))
        weights = layer.before * layer.after * math.prod(layer.kernel)
        self.parameters += weights
        self.multiply_adds += weights * frames * height * width
        return made

    def normalise(self, x: _Activation) -> _Activation:
        """Batch norm; torch also returns room for a mean and a deviation of each channel."""
        self.parameters += 2 * x.channels
        return self.make(x.channels, x.sides, meanwhile=2 * x.channels)

    def convolve_normalise(self, layer: Convolution, x: _Activation) -> _Activation:
        """A convolution and its batch norm; a ReLU after them works in place."""
        convolved = self.convolve(layer, x)
        made = self.normalise(convolved)
        self.free(convolved)
        return made

    def pool(self, x: _Activation) -> _Activation:
        """The maxima of 3 x 3 pixels with a stride of 2; torch also returns where each was, as an int64."""
        frames, height, width = x.sides
        sides = (frames, _strided(height, 2), _strided(width, 2))
        return self.make(x.channels, sides, meanwhile=2 * _Activation(x.channels, sides).numbers)

    def classify(self, layer: Linear) -> None:
        self.parameters += layer.parameters
        self.multiply_adds += layer.before * layer.after
        self.make(layer.after, (1, 1, 1))


def _strided(side: int, stride: int) -> int:
    """What is left of a side padded by half the odd kernel."""
    return (side - 1) // stride + 1


# The networks, as their modules compute (`pipeline.models.video_resnet`, `pipeline.models.slowfast`). What a module is
# given stays alive until the module is done.


def _video_resnet(count: _Count, layers: VideoResNetLayers, clips: Sequence[_Activation]) -> None:
    (clip,) = clips
    x = _in_sequence(count, layers.stem, clip)
    for stage in layers.stages:
        y = x
        for block in stage:
            y = _basic_block(count, block, y, kept=x)
        count.free(x)
        x = y
    count.make(x.channels, (1, 1, 1))  # their average
    count.classify(layers.classifier)


def _basic_block(count: _Count, block: BasicBlock, x: _Activation, kept: _Activation) -> _Activation:
    shortcut = x if block.downsample is None else count.convolve_normalise(block.downsample, x)
    y = _in_sequence(count, block.conv1, x)
    z = _in_sequence(count, block.conv2, y)
    count.free(y)
    return _add(count, x, shortcut, z, kept)


def _in_sequence(count: _Count, layers: Sequence[Convolution], x: _Activation) -> _Activation:
    """Convolutions with their batch norms, where a convolution's input is freed before its output is normalised."""
    y = count.convolve_normalise(layers[0], x)
    for layer in layers[1:]:
        convolved = count.convolve(layer, y)
        count.free(y)
        y = count.normalise(convolved)
        count.free(convolved)
    return y


def _add(count: _Count, x: _Activation, shortcut: _Activation, branch: _Activation, kept: _Activation) -> _Activation:
    """The end of a block, whose input is freed unless it is to be ``kept``."""
    made = count.make(branch.channels, branch.sides)
    count.free(branch)
    if shortcut is not x:
        count.free(shortcut)
    if x is not kept:
        count.free(x)
    return made


def _slowfast(count: _Count, layers: SlowFastLayers, clips: Sequence[_Activation]) -> None:
    slow, fast = (_stem(count, stem, clip) for stem, clip in zip(layers.stems, clips, strict=True))
    for fusion, stage in zip(layers.fusions, layers.stages, strict=True):
        lateral = count.convolve_normalise(fusion, fast)
        joined = count.make(slow.channels + lateral.channels, slow.sides)
        count.free(slow, lateral)
        slow, fast = _stage(count, stage, joined, fast)
    pooled = [count.make(x.channels, (1, 1, 1)) for x in (slow, fast)]  # their averages
    count.make(sum(x.channels for x in pooled), (1, 1, 1))
    count.free(*pooled)
    count.classify(layers.classifier)


def _stem(count: _Count, stem: Convolution, clip: _Activation) -> _Activation:
    x = count.convolve_normalise(stem, clip)
    pooled = count.pool(x)
    count.free(x)
    return pooled


def _stage(
    count: _Count, stage: SlowFastStage, slow: _Activation, fast: _Activation
) -> tuple[_Activation, _Activation]:
    """A block of each pathway by turns."""
    x, y = slow, fast
    for of_slow, of_fast in zip(stage.slow, stage.fast, strict=True):
        x, y = _bottleneck(count, of_slow, x, kept=slow), _bottleneck(count, of_fast, y, kept=fast)
    count.free(slow, fast)
    return x, y


def _bottleneck(count: _Count, block: Bottleneck, x: _Activation, kept: _Activation) -> _Activation:
    y = count.convolve_normalise(block.a, x)
    for layer in (block.b, block.c):
        z = count.convolve_normalise(layer, y)
        count.free(y)
        y = z
    shortcut = x if block.shortcut is None else count.convolve_normalise(block.shortcut, x)
    return _add(count, x, shortcut, y, kept)

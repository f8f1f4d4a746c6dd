"""The layers of each video backbone: the network is built from them, and its cost is counted on them."""

from dataclasses import dataclass

from pipeline.models.architecture import Architecture
from pipeline.models.layers import Convolution, Linear

# R(2+1)D and R3D. Their published numbers of channels: the stem, the middle of a factorised one, the four stages.
_STEM, _STEM_MIDDLE, _STAGES = 64, 45, (64, 128, 256, 512)


@dataclass(frozen=True)
class BasicBlock:
    """Two convolutions, or two pairs over space and time, and a shortcut; ``downsample``: None: the input as it is."""

    conv1: tuple[Convolution, ...]
    conv2: tuple[Convolution, ...]
    downsample: Convolution | None


@dataclass(frozen=True)
class VideoResNetLayers:
    """A ResNet of basic blocks over space and time, stage by stage."""

    stem: tuple[Convolution, ...]
    stages: tuple[tuple[BasicBlock, ...], ...]
    classifier: Linear


def video_resnet_layers(architecture: Architecture) -> VideoResNetLayers:
    """The layers of ``r2plus1d_18`` or ``r3d_18``."""
    factorised, channels = architecture.backbone.startswith("r2plus1d"), architecture.channels
    before = _STEM
    stages = []
    for stage, (after, count) in enumerate(zip(_STAGES, architecture.stage_blocks, strict=True)):
        blocks = []
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            middle = channels(before * after * 27 // (before * 9 + 3 * after)) if factorised else None
            blocks.append(_basic_block(channels(before), channels(after), middle, stride))
            before = after
        stages.append(tuple(blocks))
    stem = _over_space_and_time(
        3, channels(_STEM), channels(_STEM_MIDDLE) if factorised else None, side=7, strides=(1, 2)
    )
    return VideoResNetLayers(stem, tuple(stages), Linear(channels(_STAGES[-1]), architecture.classes))


def _basic_block(before: int, after: int, middle: int | None, stride: int) -> BasicBlock:
    return BasicBlock(
        _over_space_and_time(before, after, middle, side=3, strides=(stride, stride)),
        _over_space_and_time(after, after, middle, side=3, strides=(1, 1)),
        Convolution(before, after, (1, 1, 1), (stride,) * 3) if stride != 1 or before != after else None,
    )


def _over_space_and_time(
    before: int, after: int, middle: int | None, *, side: int, strides: tuple[int, int]
) -> tuple[Convolution, ...]:
    """One convolution of 3 frames; with ``middle`` channels one over space, then one over time.

    ``strides``: over time and over space.
    """
    over_time, over_space = strides
    if middle is None:
        return (Convolution(before, after, (3, side, side), (over_time, over_space, over_space)),)
    return (
        Convolution(before, middle, (1, side, side), (1, over_space, over_space)),
        Convolution(middle, after, (3, 1, 1), (over_time, 1, 1)),
    )


# SlowFast. Channels of the Slow stem, how many times fewer the Fast pathway has, and how many times the Fast pathway's
# channels a lateral connection gives.
_WIDTH, _BETA, _FUSION = 64, 8, 2
# Temporal kernels of the stem and the four stages: Slow, Fast.
_TIME = ((1, 5), (1, 3), (1, 3), (3, 3), (3, 3))
# Of the published networks, 8x8 on ResNet-50 alone has lateral kernels of 7 frames.
_LATERAL = {"slowfast_8x8_r50": 7}


@dataclass(frozen=True)
class Bottleneck:
    """Convolutions over time (a), space (b) and channels (c), and a shortcut; None: the input as it is."""

    shortcut: Convolution | None
    a: Convolution
    b: Convolution
    c: Convolution


@dataclass(frozen=True)
class SlowFastStage:
    """The blocks of one stage in both pathways, as many in each.

    ``joined``: channels of the two parts that the Slow pathway's input was concatenated from.
    """

    slow: tuple[Bottleneck, ...]
    fast: tuple[Bottleneck, ...]
    joined: tuple[int, int]


@dataclass(frozen=True)
class SlowFastLayers:
    """Two pathways, Slow first, with a lateral connection (``fusions``) before each stage.

    ``pooled``: channels that each pathway gives to the classifier.
    """

    stems: tuple[Convolution, Convolution]
    fusions: tuple[Convolution, ...]
    stages: tuple[SlowFastStage, ...]
    pooled: tuple[int, int]
    classifier: Linear


def slowfast_layers(architecture: Architecture) -> SlowFastLayers:
    """The layers of one of the ``slowfast_…`` backbones."""
    channels = architecture.channels
    slow_stride, fast_stride = architecture.strides
    alpha, kernel = slow_stride // fast_stride, _LATERAL.get(architecture.backbone, 5)
    before = (_WIDTH, 4 * _WIDTH, 8 * _WIDTH, 16 * _WIDTH)  # published channels of the Slow pathway before each stage
    pooled = (channels(32 * _WIDTH), channels(32 * _WIDTH // _BETA))
    slow, fast = (
        Convolution(3, channels(width), (time, 7, 7), (1, 2, 2))
        for width, time in zip((_WIDTH, _WIDTH // _BETA), _TIME[0], strict=True)
    )
    return SlowFastLayers(
        (slow, fast),
        tuple(
            Convolution(channels(n // _BETA), channels(n // _BETA * _FUSION), (kernel, 1, 1), (alpha, 1, 1))
            for n in before
        ),
        tuple(_slowfast_stage(architecture, stage, n) for stage, n in enumerate(before)),
        pooled,
        Linear(sum(pooled), architecture.classes),
    )


def _slowfast_stage(architecture: Architecture, stage: int, before: int) -> SlowFastStage:
    channels, inner, count = architecture.channels, _WIDTH << stage, architecture.stage_blocks[stage]
    joined = (channels(before), channels(before // _BETA * _FUSION))
    widths = (
        (sum(joined), channels(inner), channels(4 * inner)),
        (channels(before // _BETA), channels(inner // _BETA), channels(4 * inner // _BETA)),
    )
    slow, fast = (
        tuple(
            _bottleneck(leave if block else enter, middle, leave, time, 2 if stage > 0 and block == 0 else 1)
            for block in range(count)
        )
        for (enter, middle, leave), time in zip(widths, _TIME[stage + 1], strict=True)
    )
    return SlowFastStage(slow, fast, joined)


def _bottleneck(before: int, inner: int, after: int, time: int, stride: int) -> Bottleneck:
    return Bottleneck(
        Convolution(before, after, (1, 1, 1), (1, stride, stride)) if before != after or stride != 1 else None,
        Convolution(before, inner, (time, 1, 1)),
        Convolution(inner, inner, (1, 3, 3), (1, stride, stride)),
        Convolution(inner, after, (1, 1, 1)),
    )

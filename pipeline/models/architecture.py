"""The description of a video backbone, without the network: its numbers of channels, blocks, frames and pixels.

A reduced architecture is the base one under the operators of Sec. 6.1.1: s (spatial resolution), t (length of the
clip), f (frame rate), c (channels), l (layers). Their factors are accumulated per axis, applied to the base network's
own numbers and then truncated, never below one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple, get_args

from pydantic import Field

from pipeline.config.classify import Blocks
from pipeline.config.names import BackboneName
from pipeline.models.bounds import STRICT, Count, Frames, Width
from pipeline.runtime.errors import ActaError

# Sec. 6.2.2: each operator about halves the multiply-adds.
FACTORS = {"s": 1.4, "t": 2.0, "f": 2.0, "c": 1.4, "l": 2.0}
OPERATORS = tuple(FACTORS)

Factor = Annotated[float, Field(ge=1, le=1000)]


class Reduction(NamedTuple):
    """An operator of Sec. 6.1.1 with its factor γ."""

    operator: str
    factor: Factor


class _Base(NamedTuple):
    """A backbone as its authors publish it: clip length, test crop, blocks per stage, pixel mean and deviation."""

    frames: int
    size: int
    blocks: tuple[int, int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_RESNET_50, _RESNET_101 = (3, 4, 6, 3), (3, 4, 23, 3)
# Pixel statistics in [0, 1]: torchvision's Kinetics weights and PySlowFast's configuration.
_TORCHVISION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
_PYSLOWFAST = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
BASES = {
    "r2plus1d_18": _Base(16, 112, (2, 2, 2, 2), *_TORCHVISION),
    "r3d_18": _Base(16, 112, (2, 2, 2, 2), *_TORCHVISION),
    "slowfast_4x16_r50": _Base(64, 256, _RESNET_50, *_PYSLOWFAST),
    "slowfast_8x8_r50": _Base(64, 256, _RESNET_50, *_PYSLOWFAST),
    "slowfast_8x8_r101": _Base(64, 256, _RESNET_101, *_PYSLOWFAST),
}
assert set(BASES) == set(get_args(BackboneName))


@dataclass(frozen=True)
class Architecture:
    """A backbone of the family.

    Args:
        backbone: Its name.
        classes: Outputs.
        width: Factor on every number of channels of the published network.
        blocks: Residual blocks in each of the four stages; None: the published ones.
        frames: Consecutive frames of the raw clip; None: the published number.
        reductions: What was done to the published network, in any order (`parse_reductions`).
    """

    __pydantic_config__ = STRICT

    backbone: str
    classes: Count
    width: Width = 1.0
    blocks: tuple[Blocks, Blocks, Blocks, Blocks] | None = None
    frames: Frames | None = None
    reductions: Annotated[tuple[Reduction, ...], Field(max_length=100)] = ()

    def __post_init__(self) -> None:
        if self.backbone not in BASES:
            raise ActaError(f"there is no backbone {self.backbone!r}; choose one of {', '.join(BASES)}")
        for operator, factor in self.reductions:
            _check_operator(operator)
            if factor < 1:
                raise ActaError(f"reduction {operator!r} has the factor {factor}; at least 1 is needed")
        if not self._reduced_clip():
            raise ActaError(
                f"{self.backbone}: reductions {','.join(r.operator for r in self.reductions)} leave nothing of a clip "
                f"of {self.raw_frames} frames"
            )
        if self.is_slowfast:
            self._check_lateral()

    def _check_lateral(self) -> None:
        (slow, fast), (slow_stride, fast_stride) = map(len, self.pathways), self.strides
        lateral = math.ceil(fast * fast_stride / slow_stride)
        if lateral != slow:
            raise ActaError(
                f"{self.backbone}: of a clip of {len(self._reduced_clip())} frames the Slow pathway sees {slow}, and "
                f"lateral connections bring it {lateral} of the Fast pathway; a multiple of {slow_stride} frames fits"
            )

    @property
    def raw_frames(self) -> int:
        """Consecutive frames that a clip covers before any reduction."""
        return self.frames or BASES[self.backbone].frames

    def channels(self, base: int) -> int:
        """A published number of channels after width and reductions."""
        return max(1, int(base * self.width / self._factor("c")))

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Residual blocks of each stage."""
        return tuple(max(1, int(n / self._factor("l"))) for n in self.blocks or BASES[self.backbone].blocks)

    def pixels(self, base: int) -> int:
        """A side of the base network's input, in pixels, after reductions."""
        return max(1, int(base / self._factor("s")))

    @property
    def pathways(self) -> tuple[tuple[int, ...], ...]:
        """For each pathway of the network, the frames that it sees, as positions in the raw clip.

        Operator t keeps the first frames, f every second one; SlowFast's pathways then sample the reduced clip with
        their strides (Slow first), and one frame is left of a clip shorter than a stride.
        """
        clip = self._reduced_clip()
        return tuple(tuple(clip[::stride][: max(1, len(clip) // stride)]) for stride in self.strides)

    @property
    def strides(self) -> tuple[int, ...]:
        """Temporal sampling stride of each pathway: (1,) of a ResNet, (16, 2) of SlowFast 4x16."""
        if not self.is_slowfast:
            return (1,)
        return (16, 2) if "_4x16_" in self.backbone else (8, 2)

    @property
    def is_slowfast(self) -> bool:
        return self.backbone.startswith("slowfast")

    @property
    def span(self) -> int:
        """Consecutive frames of a video that the network's own clip covers: operator t shortens it, f does not."""
        return int(self.raw_frames / self._factor("t"))

    def reduced(self, reductions: Sequence[Reduction], size: int) -> "Architecture":
        """This network after further reductions.

        Args:
            reductions: At least one.
            size: Side of the base network's crop in pixels.

        Raises:
            ActaError: an axis cannot shrink further; the message names the operator and what is left of its axis.
        """
        network = self
        for reduction in reductions:
            smaller = replace(network, reductions=(*network.reductions, reduction))
            if smaller._shape(size) == network._shape(size):
                operator = reduction.operator
                raise ActaError(
                    f"operator {operator} (factor {reduction.factor:g}) leaves {self.backbone} as it is: "
                    + {
                        "s": f"its side is {network.pixels(size)} pixels",
                        "c": f"its stem has {network.channels(64)} channels",
                        "l": f"its stages have {network.stage_blocks} blocks",
                    }.get(operator, f"it sees {[len(pathway) for pathway in network.pathways]} frames")
                )
            network = smaller
        return network

    def _shape(self, size: int) -> tuple[object, ...]:
        """Everything that determines what the network computes."""
        channels = tuple(self.channels(8 << power) for power in range(9))
        return (self.pixels(size), channels, self.stage_blocks, self.pathways)

    def _reduced_clip(self) -> list[int]:
        step = int(self._factor("f"))
        return list(range(0, self.span, step))[: int(self.span / self._factor("f"))]

    def _factor(self, operator: str) -> float:
        return math.prod(r.factor for r in self.reductions if r.operator == operator)


def parse_reductions(text: str) -> tuple[Reduction, ...]:
    """Operators with the thesis's factors from a text such as ``c,f,t``; an empty text is none.

    Raises:
        ActaError: an operator is not known.
    """
    operators = [part.strip() for part in text.split(",") if part.strip()]
    for operator in operators:
        _check_operator(operator)
    return tuple(Reduction(operator, FACTORS[operator]) for operator in operators)


def _check_operator(operator: str) -> None:
    if operator not in OPERATORS:
        raise ActaError(f"there is no reduction {operator!r}; choose from {', '.join(OPERATORS)}")


def frames_needed(architectures: Sequence[Architecture]) -> list[int]:
    """Positions in the raw clip that at least one of the networks sees, in ascending order."""
    return sorted({position for a in architectures for pathway in a.pathways for position in pathway})

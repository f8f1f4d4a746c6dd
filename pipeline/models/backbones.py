"""The family of video backbones: building one, and showing it clips."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.architecture import BASES, Architecture
from pipeline.models.modules import normalised
from pipeline.models.slowfast import SlowFast
from pipeline.models.video_resnet import VideoResNet


def build(architecture: Architecture, dropout: float = 0.0) -> nn.Module:
    """A network with random weights; it takes a list of pathways, each (n, 3, t, height, width), and gives logits."""
    network = (SlowFast if architecture.is_slowfast else VideoResNet)(architecture, dropout)
    return network.to(memory_format=torch.channels_last_3d)  # a training step is 1.3 to 2 times as fast (CPU)


def pathways(
    clips: Tensor, positions: Sequence[int], architecture: Architecture, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """For each pathway of a network its clips (n, 3, its frames, its side, its side), normalised.

    Args:
        clips: uint8 RGB (n, t, 3, side, side).
        positions: For each of the t frames its position in the raw clip (`frames_needed`).
        architecture: The network; where it is spatially reduced, the square is resized (operator s, Sec. 6.1.1).
        dtype: Of the result.
    """
    base = BASES[architecture.backbone]
    order = {position: index for index, position in enumerate(positions)}
    side, reduced = clips.shape[-1], architecture.pixels(clips.shape[-1])
    views = []
    for wanted in architecture.pathways:
        frames = clips[:, [order[position] for position in wanted]].to(dtype)
        if reduced != side:
            small = F.interpolate(frames.flatten(0, 1), (reduced, reduced), mode="bilinear", antialias=True)
            frames = small.unflatten(0, frames.shape[:2])
        views.append(normalised(frames, base.mean, base.std))
    return views

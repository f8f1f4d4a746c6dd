"""What the backbones of actors cost per clip, as torch counts it on networks without weights (Table 3.10)."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.actor_backbones import ActorBackbone, ActorNetwork, build_actor_backbone, show


@dataclass(frozen=True)
class ActorComplexity:
    """Cost of a square clip with one actor: ``gflops`` (10⁹ multiply-adds) and trainable ``parameters``."""

    gflops: float
    parameters: int


def actor_complexity(backbone: ActorBackbone, size: int) -> ActorComplexity:
    """Cost of a clip of ``size`` × ``size`` pixels: convolutions, linear layers and attention, RoIAlign left out."""
    with torch.device("meta"):
        network = build_actor_backbone(backbone).eval()
    return count(network, size)


def count(network: ActorNetwork, size: int) -> ActorComplexity:
    """Cost of a network on torch's device ``meta``, which computes nothing."""
    clips = torch.empty(1, network.backbone.span, 3, size, size, device="meta")
    shown = [torch.empty_like(pathway, device="meta") for pathway in show(clips, network.backbone)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.network(shown, [torch.empty(1, 4, device="meta")])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ActorComplexity(counter.get_total_flops() / 2e9, parameters)  # torch counts two per multiply-add

"""What the backbones of actors cost, and why some of it differs from what was published (Table 3.10)."""

import pytest
import torch
from torch import nn

from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone
from pipeline.models.actor_complexity import actor_complexity, count
from pipeline.models.slowfast import SlowFast

PUBLISHED = ActorBackbone("slowfast_nl_16x8_r101", 400)


def test_a_convolution_costs_what_it_multiplies() -> None:
    """Width and clip so small that the difference of one class is seen."""
    one, two = (actor_complexity(ActorBackbone("i3d", classes, 0.1, 8), 32) for classes in (1, 2))
    size = ActorBackbone("i3d", 1, 0.1).feature_size
    assert two.parameters - one.parameters == size + 1
    assert 1e9 * (two.gflops - one.gflops) == pytest.approx(size)


def test_slowfast_as_a_classifier_costs_what_was_published() -> None:
    """With res5's published stride and 400 classes: 234 GFLOPs and 59.9 M parameters."""
    with torch.device("meta"):
        network = build_actor_backbone(PUBLISHED).eval()
        published = dict(SlowFast(PUBLISHED.slowfast).named_modules())
    for name, module in network.network.named_modules():
        if name.startswith("s5.") and isinstance(module, nn.Conv3d):
            theirs = published[name]
            module.stride, module.padding, module.dilation = theirs.stride, theirs.padding, theirs.dilation
    cost = count(network, 256)
    assert cost.gflops == pytest.approx(234, abs=0.1)
    assert cost.parameters == pytest.approx(60.1e6, rel=0.001)
    assert actor_complexity(PUBLISHED, 256).gflops > 1.25 * cost.gflops

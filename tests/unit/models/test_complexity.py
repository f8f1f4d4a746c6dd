"""What a network costs is what the thesis says, what is counted by hand, and what torch counts as it computes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.activations import peak_activations
from pipeline.models.architecture import BASES, Architecture, parse_reductions
from pipeline.models.backbones import build
from pipeline.models.complexity import Complexity, complexity


@pytest.mark.parametrize(
    ("name", "reduce", "gflops", "tolerance"),
    [
        # The thesis's figures (Table 6.1); a printed digit is rounded, so half of its unit is allowed too.
        ("r2plus1d_18", "", 40.8, 0.01),
        ("r2plus1d_18", "c", 20.4, 0.015),
        ("r2plus1d_18", "c,f", 10.2, 0.015),
        ("r2plus1d_18", "c,f,t", 5.4, 0.015),
        ("r2plus1d_18", "c,f,t,t", 3.2, 0.015),
        ("r2plus1d_18", "c,f,t,t,t", 2.5, 0.015),
        ("slowfast_4x16_r50", "", 36.6, 0.02),
        ("slowfast_4x16_r50", "c", 18.9, 0.03),
        ("slowfast_4x16_r50", "c,s", 10.2, 0.03),
        ("slowfast_4x16_r50", "c,s,t", 5.1, 0.03),
        ("slowfast_4x16_r50", "c,s,t,s", 2.9, 0.03),
        ("slowfast_4x16_r50", "c,s,t,s,f", 1.4, 0.03),
    ],
)
def test_multiply_adds_are_the_thesis_s(name: str, reduce: str, gflops: float, tolerance: float) -> None:
    found = complexity(Architecture(name, 400, reductions=parse_reductions(reduce))).gflops
    assert abs(found - gflops) <= tolerance * gflops + 0.05 * bool(reduce)


def test_multiply_adds_and_memory_by_hand() -> None:
    """One convolution of the stem and the classifier, counted by hand, are what the width leaves of the rest."""
    small = complexity(Architecture("r3d_18", 10, width=0.02, blocks=(1, 1, 1, 1), frames=2), size=16)
    # Channels 1, 2, 5, 10; stem 3 x 7 x 7 on 2 x 8 x 8 places, then 27 weights a place and pair of channels.
    stem = 3 * 147 * 2 * 64
    first = 2 * 27 * 2 * 64
    second = (27 * 2 + 27 * 4 + 2) * 16
    third = (27 * 10 + 27 * 25 + 10) * 4
    fourth = (27 * 50 + 27 * 100 + 50) * 1
    assert small.gflops == pytest.approx((stem + first + second + third + fourth + 100) / 1e9)
    assert small.peak_activation_mb >= 4 * (3 * 2 * 16 * 16 + 2 * 64) / 1e6


def counted(architecture: Architecture, size: int) -> Complexity:
    """As torch counts while the network computes on tensors without numbers."""
    side = architecture.pixels(size)
    with torch.device("meta"), torch.no_grad():
        model = build(architecture).eval()
        with FlopCounterMode(display=False) as counter:
            peak = peak_activations(
                lambda: model([torch.empty(1, 3, len(frames), side, side) for frames in architecture.pathways])
            )
    return Complexity(
        gflops=counter.get_total_flops() / 2 / 1e9,  # two operations are one multiply-add
        parameters=sum(p.numel() for p in model.parameters()),
        peak_activation_mb=peak / 1e6,
    )


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("reduce", ["", "s", "t", "f", "c", "l", "c,f,t", "c,s,t,s,f", "s,t,f,c,l", "c,f,t,t", "l,l"])
def test_published_networks_cost_what_torch_counts(name: str, reduce: str) -> None:
    architecture = Architecture(name, 400, reductions=parse_reductions(reduce))
    assert complexity(architecture) == counted(architecture, BASES[name].size)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize(
    ("width", "blocks", "frames", "reduce", "classes", "size"),
    [
        (0.3, (1, 1, 1, 1), None, "", 5, 64),
        (1.7, (1, 2, 3, 4), 32, "c,f", 3, 97),
        (0.01, (3, 1, 2, 1), 5, "", 1000, 1),  # one channel, one pixel
        (0.1, (1, 1, 1, 1), 1, "c,s", 400, 17),  # most of what it holds are the classifier's weights
        (0.5, (2, 2, 2, 2), 33, "s,t,t,l", 51, 112),
    ],
)
def test_other_networks_cost_what_torch_counts(
    name: str,
    width: float,
    blocks: tuple[int, int, int, int],
    frames: int | None,
    reduce: str,
    classes: int,
    size: int,
) -> None:
    architecture = Architecture(name, classes, width, blocks, frames, parse_reductions(reduce))
    assert complexity(architecture, size) == counted(architecture, size)

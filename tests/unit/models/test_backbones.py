"""The networks are those that torchvision and PySlowFast publish, to the last weight; their cost is the thesis's."""

import hashlib
import json

import pytest
import torch
from torchvision.models import video

from pipeline.cli import main
from pipeline.models.architecture import Architecture, frames_needed, parse_reductions
from pipeline.models.backbones import build, pathways
from pipeline.models.complexity import complexity

TINY = {"width": 0.1, "blocks": (1, 1, 1, 1)}


@pytest.mark.parametrize("name", ["r2plus1d_18", "r3d_18"])
def test_torchvision_state_dicts_load_and_give_the_same_logits(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = getattr(video, name)().eval()
        clip = torch.randn(1, 3, 8, 32, 32)
    ours = build(Architecture(name, 400)).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        assert torch.allclose(ours([clip]), theirs(clip), atol=1e-5)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize(
    ("name", "count", "parameters", "digest"),
    [
        # sha256 over the sorted lines "name shape" of the state dicts that PySlowFast's own builder makes.
        ("slowfast_4x16_r50", 662, 34_480_216, "2fe7d7315ded65736777f04eabdf9e47576dad6fcd5da26e811fae59e42897eb"),
        ("slowfast_8x8_r50", 662, 34_566_488, "c830092d92a9ad5e72ed3691fa4566c59dd2e2ec8c0cc2f6dcb756116f00aa7c"),
        ("slowfast_8x8_r101", 1274, 62_826_968, "3689e47446d823fc456c3a85e171010721e5c83e031c1f7ef072a4d5f3895f03"),
    ],
)
def test_names_and_shapes_are_pyslowfasts(name: str, count: int, parameters: int, digest: str) -> None:
    with torch.device("meta"):
        model = build(Architecture(name, 400))
    lines = "\n".join(f"{key} {list(value.shape)}" for key, value in sorted(model.state_dict().items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == digest
    assert (len(model.state_dict()), sum(p.numel() for p in model.parameters())) == (count, parameters)


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


@pytest.mark.parametrize("name", ["r2plus1d_18", "r3d_18", "slowfast_4x16_r50", "slowfast_8x8_r50"])
@pytest.mark.parametrize("reduce", ["", "s", "t", "f", "c", "l", "s,t,f,c,l"])
def test_every_reduction_can_be_trained(name: str, reduce: str) -> None:
    architecture = Architecture(name, 3, **TINY, reductions=parse_reductions(reduce))
    model = build(architecture)
    positions = frames_needed([architecture])
    clips = torch.zeros(2, len(positions), 3, 32, 32, dtype=torch.uint8)
    logits = model(pathways(clips, positions, architecture))
    logits.sum().backward()
    assert logits.shape == (2, 3)
    assert all(p.grad is not None for p in model.parameters())


def test_pathways_pick_normalise_and_resize() -> None:
    architecture = Architecture("slowfast_4x16_r50", 2, frames=32)
    positions = list(range(0, 32, 2))
    clips = torch.arange(16, dtype=torch.uint8).view(1, 16, 1, 1, 1).expand(1, 16, 3, 8, 8)
    slow, fast = pathways(clips, positions, architecture)
    assert slow.shape == (1, 3, 2, 8, 8)
    assert fast.shape == (1, 3, 16, 8, 8)
    values = (torch.tensor([0.0, 8.0]) / 255 - 0.45) / 0.225
    assert torch.allclose(slow[0, 0, :, 0, 0], values)
    assert torch.allclose(fast[0, :, 1, 0, 0], torch.full((3,), (1 / 255 - 0.45) / 0.225))
    smaller = pathways(
        clips, positions, Architecture("slowfast_4x16_r50", 2, frames=32, reductions=parse_reductions("s"))
    )
    assert smaller[0].shape == (1, 3, 2, 5, 5)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "--backbone", "r2plus1d_18", "--reduce", "c,f", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["gflops"] == pytest.approx(10.2, rel=0.001)
    assert printed["parameters"] == 16_052_170
    assert main(["complexity", "--backbone", "slowfast_4x16_r50"]) == 0
    assert "4 and 32 frames of 256 x 256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reduce", "c,x"], "there is no reduction 'x'"),
        (["--reduce", "t,t,t,t,t"], "leave nothing of a clip of 16 frames"),
        (["--size", "0"], "must be positive"),
    ],
)
def test_command_errors(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "--backbone", "r3d_18", *options]) == 1
    assert message in capsys.readouterr().err

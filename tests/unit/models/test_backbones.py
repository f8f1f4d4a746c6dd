"""The networks are those that torchvision and PySlowFast publish, to the last weight."""

import hashlib

import pytest
import torch
from torchvision.models import video

from pipeline.models.architecture import Architecture, frames_needed, parse_reductions
from pipeline.models.backbones import build, pathways

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

"""I3D is the published network to the last weight, and its actors are regions of Mixed_4f."""

import hashlib
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import torch

from pipeline.models.i3d import I3D, feature_size

Network = TypeVar("Network", bound=torch.nn.Module)
WIDTH = 0.125
BOXES = [torch.tensor([[0.1, 0.2, 0.55, 0.9], [0.0, 0.0, 1.0, 1.0]]), torch.tensor([[0.3, 0.1, 0.8, 0.6]])]


def randomise(network: Network) -> Network:
    """Norms and biases that a wrong order or a missing layer would show."""
    generator = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():
        if value.dim() == 1:
            low, high = (0.5, 1.5) if name.endswith(("running_var", "bn.weight")) else (-0.2, 0.2)
            if name.endswith("c_bn.weight") or "nonlocal" in name:
                low, high = 0.1, 0.3  # nothing grows beyond bounds from block to block
            value.uniform_(low, high, generator=generator)
    return network.eval()


def slow_roi_align(features: np.ndarray, box: list[float], side: int, shift: float) -> np.ndarray:
    """RoIAlign (He et al. 2017) of one box by its definition, a sample after the other.

    Args:
        features: (c, h, w).
        box: x1, y1, x2, y2 in cells.
        side: Positions along each side of the result (c, side, side).
        shift: Taken off the coordinates: half a cell, or nothing in the first version.
    """
    _, height, width = features.shape
    x1, y1, x2, y2 = (value - shift for value in box)
    bins = [max(y2 - y1, 0 if shift else 1) / side, max(x2 - x1, 0 if shift else 1) / side]
    counts = [math.ceil(size) for size in bins]

    def sample(y: float, x: float) -> np.ndarray:
        if not (-1 <= y <= height and -1 <= x <= width):
            return np.zeros(len(features))
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        dy, dx = y - top, x - left
        upper = features[:, top, left] * (1 - dx) + features[:, top, right] * dx
        lower = features[:, bottom, left] * (1 - dx) + features[:, bottom, right] * dx
        return upper * (1 - dy) + lower * dy

    result = np.zeros((len(features), side, side))
    for row in range(side):
        for column in range(side):
            samples = [
                sample(
                    y1 + (row + (i + 0.5) / counts[0]) * bins[0],
                    x1 + (column + (j + 0.5) / counts[1]) * bins[1],
                )
                for i in range(counts[0])
                for j in range(counts[1])
            ]
            result[:, row, column] = np.mean(samples, 0)
    return result


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = I3D(400)
    state = network.state_dict()
    lines = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    # sha256 over the sorted lines "name shape" of the state dict that piergiaj/pytorch-i3d's own class makes.
    digest = "e478222be240be6354fb52106c552bf25393919a93ac3ff472c670e1b8a2724e"
    assert hashlib.sha256(lines.encode()).hexdigest() == digest
    assert sum(p.numel() for p in network.parameters()) == 12_697_264
    assert feature_size() == 1024


def test_padding_is_tensorflows() -> None:
    """Along one axis: 'SAME' puts an odd zero at the end, so a stride of two starts at different places."""
    network = randomise(I3D(2, WIDTH))
    unit = network.get_submodule("Conv3d_1a_7x7")
    weight, norm = unit.get_parameter("conv3d.weight"), unit.get_submodule("bn")
    for frames in (5, 6):
        x = torch.rand(1, 3, frames, 9, 12)
        before = [(max((-(-size // 2) - 1) * 2 + 7 - size, 0)) // 2 for size in (frames, 9, 12)]
        wide = torch.zeros(1, 3, frames + 12, 21, 24)
        wide[:, :, before[0] : before[0] + frames, before[1] : before[1] + 9, before[2] : before[2] + 12] = x
        places = [range(0, -(-size // 2) * 2, 2) for size in (frames, 9, 12)]
        wanted = torch.stack(
            [(weight * wide[0, :, t : t + 7, y : y + 7, c : c + 7]).sum((1, 2, 3, 4)) for t in places[0]
             for y in places[1] for c in places[2]], 1
        ).view(1, -1, *map(len, places))  # fmt: skip
        assert torch.allclose(unit(x), norm(wanted).relu(), atol=1e-5)


def test_features_are_the_tail_on_regions_of_mixed_4f() -> None:
    network = randomise(I3D(3, WIDTH)).double()
    clips = torch.rand(2, 3, 8, 48, 80, dtype=torch.float64) * 2 - 1
    with torch.inference_mode():
        features, logits = network([clips], BOXES)
        maps = network.trunk(clips)
        assert maps.shape[2:] == (2, 3, 5)
        box = [x * size / 16 for x, size in zip(BOXES[0][0].tolist(), (80, 48, 80, 48), strict=True)]
        region = np.stack([slow_roi_align(maps[0, :, t].numpy(), box, 14, 0.5) for t in range(2)], 1)
        tail = network.tail(torch.from_numpy(region)[None])
        assert tail.shape[2:] == (1, 7, 7)
        wanted = tail.mean((2, 3, 4))
        weight, bias = network.state_dict()["logits.conv3d.weight"], network.state_dict()["logits.conv3d.bias"]
    assert torch.allclose(features[:1], wanted, rtol=1e-5)
    assert torch.allclose(logits[:1], wanted @ weight.flatten(1).T + bias, rtol=1e-5)


@pytest.mark.parametrize(
    "change", [lambda boxes: boxes[:, [2, 1, 0, 3]].mul(torch.tensor([-1, 1, -1, 1])).add(torch.tensor([1, 0, 1, 0]))]
)
def test_mirrored_boxes_give_other_features(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network = randomise(I3D(3, WIDTH))
    clips = torch.rand(2, 3, 4, 48, 80)
    with torch.inference_mode():
        one, other = network([clips], BOXES)[0], network([clips], [change(boxes) for boxes in BOXES])[0]
    differs = (one - other).abs().amax(1) > 1e-4
    assert differs.tolist() == [True, False, True]  # the second box is the whole picture


def test_freezing_leaves_the_tail_and_no_statistics() -> None:
    network = I3D(3, WIDTH)
    network.freeze_trunk()
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1.0)
    network([torch.rand(2, 3, 4, 32, 32)], BOXES)[1].square().sum().backward()
    optimiser.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("Mixed_5b.", "Mixed_5c.", "logits.")) for name in changed)
    assert not any("running" in name or "tracked" in name for name in changed)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {name for name in dict(network.named_parameters()) if name.startswith(("Mixed_5", "logits"))}

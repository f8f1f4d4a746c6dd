"""Losses on activations (Table 6.7), by hand."""

import pytest
import torch
from torch.autograd import gradcheck

from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.runtime.errors import ActaError
from pipeline.training.features import FeatureLoss, margin_relu, mean_squares


def activations(*values: float) -> torch.Tensor:
    """One channel of one sample."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, 1, -1)


def test_mean_squares_sees_what_the_relu_lets_through() -> None:
    assert mean_squares(activations(1, -5, 2), activations(3, -1, -4)).item() == pytest.approx((4 + 0 + 4) / 3)


def test_margin_relu_by_hand() -> None:
    """The teacher's negatives, -2 and -4, count as -3: 1 + (student below -3: nothing) + (2 + 3)²."""
    student, teacher = activations(2, -6, 2), activations(3, -2, -4)
    assert margin_relu(student, teacher).item() == pytest.approx((1 + 0 + 25) / 3)


def test_margins_are_by_channel() -> None:
    teacher = torch.tensor([[-1.0], [-3.0]], dtype=torch.float64).view(1, 2, 1, 1, 1)
    assert margin_relu(torch.zeros_like(teacher), teacher).item() == pytest.approx((1 + 9) / 2)


def test_without_negative_activations_it_is_the_squared_distance() -> None:
    assert margin_relu(activations(1, -1), activations(2, 3)).item() == pytest.approx((1 + 16) / 2)


@pytest.mark.parametrize("loss", [mean_squares, margin_relu])
def test_gradients(loss) -> None:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    teacher = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64, generator=generator)
    assert gradcheck(lambda x: loss(x, teacher), (student,))


def test_equal_networks_lose_nothing_under_mse() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(Architecture("r2plus1d_18", 2, 0.05, (1, 1, 1, 1), 4))
        clip = torch.randn(2, 3, 4, 16, 16)
    loss = FeatureLoss("mse", network, network, 1.0)
    network([clip])
    assert loss().item() == 0


def test_slowfast_has_no_such_stages() -> None:
    network = build(Architecture("slowfast_4x16_r50", 2, 0.05, (1, 1, 1, 1), 32))
    with pytest.raises(ActaError, match=r"features: mse needs an R\(2\+1\)D or R3D, not a SlowFast"):
        FeatureLoss("mse", network, network, 1.0)

"""Learning rates of Sec. 5.3.1."""

from typing import Any

import pytest

from pipeline.training.schedule import learning_rate

R2PLUS1D: dict[str, Any] = {"base": 0.96, "epochs": 45, "warmup": 10, "schedule": "step", "step_epochs": 10}
SLOWFAST: dict[str, Any] = {"base": 1.6, "epochs": 45, "warmup": 5, "schedule": "cosine", "step_epochs": 10}


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0.5, 0.048), (5, 0.48), (10, 0.96), (19.9, 0.96), (20, 0.096), (29.9, 0.096), (30, 0.0096), (40, 0.00096)],
)
def test_warm_up_then_a_tenth_every_ten_epochs(epoch: float, rate: float) -> None:
    assert learning_rate(epoch, **R2PLUS1D) == pytest.approx(rate)


@pytest.mark.parametrize(("epoch", "rate"), [(2.5, 0.8), (5, 1.6), (25, 0.8), (45, 0.0)])
def test_warm_up_then_half_a_cosine(epoch: float, rate: float) -> None:
    assert learning_rate(epoch, **SLOWFAST) == pytest.approx(rate, abs=1e-9)


def test_without_warm_up() -> None:
    assert learning_rate(0.1, **(SLOWFAST | {"warmup": 0})) == pytest.approx(1.6, rel=1e-4)
    assert learning_rate(45, **(SLOWFAST | {"warmup": 45})) == pytest.approx(1.6)

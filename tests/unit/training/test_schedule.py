"""Learning rates of Secs. 5.3.1 and 3.2.2, and when a training ends."""

from typing import Any

import pytest

from pipeline.training.schedule import is_enough, learning_rate, plateau_rate
from pipeline.training.steering import SCORE, AdamPlateau

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


# ---- where validation no longer improves

RISE, FLAT = [0.1, 0.2, 0.3], [0.3] * 40
AVA: dict[str, Any] = {"base": 1.0, "patience": 10}


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        ([], 1),
        (RISE, 1),
        ([*RISE, *FLAT[:9]], 1),
        ([*RISE, *FLAT[:10]], 0.1),  # exactly ten epochs no better than the third
        ([*RISE, *FLAT[:19]], 0.1),
        ([*RISE, *FLAT[:20]], 0.01),
        ([*RISE, *FLAT[:9], 0.31, *FLAT[:9]], 1),  # a better one in time: counted again
        ([*RISE, *FLAT[:9], 0.31, *FLAT[:10]], 0.1),
        ([*RISE, *FLAT[:10], 0.31, *FLAT[:9]], 0.1),  # improving does not bring the rate back
        ([0.3, *[0.2] * 9, 0.3], 0.1),  # as good is not better
        ([0.3, *[0.2] * 9, 0.3000001], 1),  # however little it is
        ([0.0] * 11, 0.1),
    ],
)
def test_a_tenth_after_ten_epochs_without_a_better_score(scores: list[float], rate: float) -> None:
    assert plateau_rate(scores, **AVA) == pytest.approx(rate)


def test_small_rates_fall_as_well() -> None:
    """The thesis starts at 10⁻⁵; PyTorch would leave differences below 10⁻⁸ out."""
    assert plateau_rate([0.5] * 41, base=1e-5, patience=10) == pytest.approx(1e-9, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("scores", "enough"),
    [
        ([], False),
        ([0.3], False),
        ([*RISE, *FLAT[:9]], False),  # more than five without a better score, but no drop yet
        ([*RISE, *FLAT[:10]], False),  # the drop
        ([*RISE, *FLAT[:14]], False),
        ([*RISE, *FLAT[:15]], True),  # five epochs at the lower rate
        ([*RISE, *FLAT[:12], 0.31, *FLAT[:4]], False),  # a better one after the drop: counted again
        ([*RISE, *FLAT[:12], 0.31, *FLAT[:5]], True),
        ([*RISE, *FLAT[:12], *[0.31] * 6], True),  # as good is not better
        ([*RISE, *FLAT[:14], 0.31, 0.32, 0.33, 0.34, 0.35, 0.36], False),
        ([*RISE, *FLAT[:9], 0.31, *FLAT[:9]], False),
    ],
)
def test_it_ends_five_epochs_after_the_first_drop_or_the_best_score(scores: list[float], enough: bool) -> None:
    assert is_enough(scores, drop_patience=10, stop_patience=5) is enough


def test_what_steers_is_the_history_alone() -> None:
    steering = AdamPlateau(1e-5, 10, 5, lambda model: 0.0)
    history = [{SCORE: score} for score in [*RISE, *FLAT[:15]]]
    assert steering.rate(0.5, history[:12]) == pytest.approx(1e-5)
    assert steering.rate(0.5, history[:13]) == pytest.approx(1e-6)
    assert not steering.enough(history[:17])
    assert steering.enough(history)

"""Gains and means of what was measured in Ch. 3."""

import pytest

from pipeline.report.detection_results import gains
from pipeline.report.intervals import mean_of
from tests.unit.report.small_detection import BY_SEED


def test_mean_and_interval() -> None:
    """Of 1, 2 and 3: a deviation of 1, so 2 ± t / √3."""
    mean = mean_of([1.0, 2.0, 3.0])
    assert mean.value == 2
    assert mean.high == pytest.approx(2 + BY_SEED / 3**0.5, abs=1e-9)
    assert mean.low == pytest.approx(2 - BY_SEED / 3**0.5, abs=1e-9)
    assert mean_of([5.0]) == (5.0, None, None)
    assert mean_of([]) == (None, None, None)


def test_gains_are_paired() -> None:
    assert gains([3.0, 5.0], [1.0, 2.0]) == [2.0, 3.0]
    assert gains([3.0, 5.0], [1.0]) == [2.0, 4.0]
    assert gains([1.0], [3.0, 5.0]) == [-2.0, -4.0]
    assert gains([3.0], []) == []

"""The weight of a distillation, plain or per class."""

import pytest

from pipeline.config.base import parse
from pipeline.config.classify import StrategySettings
from pipeline.config.distillation import times, weight_for
from pipeline.config.whole import of_the_thesis
from pipeline.runtime.errors import ActaError


def strategy(kd: object) -> StrategySettings:
    return parse(StrategySettings, {"teacher": "none", "kd": kd, "rkd": 0.0, "temperature": 5.0})


@pytest.mark.parametrize(("kd", "weight"), [(12_500.0, 12_500.0), (625, 625.0), ("31.25 per class", 625.0)])
def test_of_twenty_classes(kd: object, weight: float) -> None:
    assert weight_for(strategy(kd).kd, 20) == weight


def test_alpha_times_the_square_of_the_temperature() -> None:
    """At 400 classes the thesis's two figures, 12,500 and 500 at t = 5, are those per class."""
    thesis = of_the_thesis("kinetics400")
    assert weight_for("31.25 per class", 400) == thesis.classify.strategies["kd"].kd
    assert weight_for(times("1.25 per class", 5.0**2), 400) == times(thesis.shrink.alpha, 5.0**2) == 12_500


@pytest.mark.parametrize(
    "kd", ["31.25", "per class", "31.25 per clip", "-1 per class", "1.2.3 per class", ". per class"]
)
def test_what_is_no_weight(kd: str) -> None:
    with pytest.raises(ActaError, match=r"write a number, or one for each class, such as 31\.25 per class"):
        strategy(kd)


@pytest.mark.parametrize("kd", [0.0, "0 per class"])
def test_a_teacher_without_a_weight(kd: object) -> None:
    with pytest.raises(ActaError, match="a teacher and a weight"):
        strategy(kd)

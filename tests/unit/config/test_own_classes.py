"""config/own_classes.yaml: the thesis's recipe for a batch that a few GPUs compute, from published weights."""

import pytest

from pipeline.config.distillation import weight_for
from pipeline.config.whole import Config, load_over, of_the_thesis
from tests import PROJECT

FILE = PROJECT / "config/own_classes.yaml"


@pytest.fixture(scope="module")
def own() -> Config:
    return load_over([FILE])


def test_the_learning_rate_is_the_thesis_s_for_this_batch_in_fine_tuning(own: Config) -> None:
    ours, thesis = own.classify.recipes["r2plus1d"], of_the_thesis("kinetics400").classify.recipes["r2plus1d"]
    tuned = of_the_thesis("ucf101").classify.recipes["r2plus1d"]  # Sec. 6.2.4
    assert ours.learning_rate == pytest.approx(tuned.learning_rate / thesis.batch * ours.batch)
    assert tuned.learning_rate == pytest.approx(thesis.learning_rate / 10)
    assert ours.initial == ours.backbone.name
    assert (ours.backbone, ours.clip, ours.micro_batch) == (thesis.backbone, thesis.clip, thesis.micro_batch)


@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_so_many_gpus_share_a_batch(own: Config, gpus: int) -> None:
    recipe = own.classify.recipes["r2plus1d"]
    assert recipe.batch // recipe.micro_batch % gpus == 0


def test_twenty_classes_are_distilled_as_four_hundred(own: Config) -> None:
    assert weight_for(own.classify.strategies["kd"].kd, 20) == 12_500 / 20
    assert weight_for(own.shrink.alpha, 20) == 500 / 20


def test_the_private_student_is_shrunk(own: Config) -> None:
    assert (own.shrink.base.variant, own.shrink.base.strategy) == ("faces", "kd")
    assert own.privacy.what == ("faces",)
    assert own.shrink.plans["pas"].inherit_weights
    assert own.shrink.epochs == own.classify.training.epochs

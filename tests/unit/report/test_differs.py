"""Every setting that decides a result of Ch. 5 and 6 is compared with the thesis's."""

from typing import Any

import pytest

from pipeline.config.base import Settings
from pipeline.config.tasks.report import DrawClassification, DrawShrinkage, decisive
from pipeline.config.whole import of_the_thesis
from pipeline.report.differs import differences, privacy_differences, recipe_differences, strategy_differences
from pipeline.tasks import task_settings


def changed(settings: Any, key: str) -> Any:
    """The same settings with another value at a key."""
    name, _, rest = key.partition(".")
    value = changed(getattr(settings, name), rest) if rest else ("another",)
    return settings.model_copy(update={name: value})


def recognition() -> DrawClassification:
    settings = task_settings(of_the_thesis("kinetics400"), "draw_classification")
    assert isinstance(settings, DrawClassification)
    return settings


def compared(settings: Settings) -> list[str]:
    return [key for key in decisive(settings) if not key.endswith("backbone.name")]


@pytest.mark.parametrize("recipe", ["r2plus1d", "r3d", "slowfast"])
def test_each_key_of_a_recipe_and_its_training(recipe: str) -> None:
    own = recognition()
    thesis = own.thesis
    assert list(recipe_differences(own, own.recipes[recipe], thesis)) == []
    for key in compared(own.recipes[recipe]):
        (note,) = recipe_differences(own, changed(own.recipes[recipe], key), thesis)
        assert note.startswith(f"{key} another, thesis ")
    for key in compared(own.training):
        other = own.model_copy(update={"training": changed(own.training, key)})
        (note,) = recipe_differences(other, own.recipes[recipe], thesis)
        assert note.startswith(f"{key} another, thesis ")
    for key, name in (("test_clips", "test_clips"), ("rate", "sampling.rate")):
        (note,) = recipe_differences(own.model_copy(update={key: 7}), own.recipes[recipe], thesis)
        assert note.startswith(f"{name} 7, thesis ")


def test_each_key_of_a_strategy_and_of_privacy() -> None:
    own = recognition()
    for key in compared(own.strategies["kd_rkd"]):
        strategies = own.strategies | {"kd_rkd": changed(own.strategies["kd_rkd"], key)}
        (note,) = strategy_differences(own.model_copy(update={"strategies": strategies}), own.thesis, "kd_rkd")
        assert note.startswith(f"{key} another, thesis ")
    assert list(privacy_differences(own, own.thesis, ["none", "faces", "bodies"])) == []
    for what in ("faces", "bodies"):
        for part in ("detect", "obfuscate"):
            values = getattr(own, part)
            for key in compared(values[what]):
                other = own.model_copy(update={part: values | {what: changed(values[what], key)}})
                (note,) = privacy_differences(other, own.thesis, ["none", what])
                assert note.startswith(f"{what}: {key} another, thesis ")


def test_each_key_of_shrinking() -> None:
    own = task_settings(of_the_thesis("kinetics400"), "draw_shrinkage")
    assert isinstance(own, DrawShrinkage)
    assert list(differences(decisive(own), decisive(own.thesis))) == []
    for key in compared(own.thesis):
        (note,) = differences(decisive(changed(own, key)), decisive(own.thesis), "shrink.")
        assert note.startswith(f"shrink.{key} another, thesis ")

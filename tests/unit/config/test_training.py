"""What the settings of all trainings share."""

import json

import pytest

from pipeline.config.base import Settings, parse
from pipeline.config.classify import RecipeSettings, TrainingSettings
from pipeline.config.detect import BackboneTrainingSettings, DetectorTrainingSettings, StageTrainingSettings
from pipeline.config.spot import SpotTrainingSettings
from pipeline.config.training import BatchSettings, CommonTrainingSettings, WarmupSettings
from pipeline.config.whole import Config
from pipeline.runtime.errors import ActaError


def shipped(config: Config) -> dict[type[Settings], Settings]:
    """A value of each class of settings of a training."""
    backbones = [features.backbone for features in config.detect.features.values() if features.backbone]
    found = [
        config.classify.training,
        config.classify.recipes["r3d"],
        config.detect.training,
        config.detect.detector,
        next(backbone.training for backbone in backbones if backbone.training),
        config.spot.network.training,
    ]
    return {type(each): each for each in found if each is not None}


COMMON = [
    (TrainingSettings, {CommonTrainingSettings}),
    (StageTrainingSettings, {CommonTrainingSettings}),
    (DetectorTrainingSettings, {CommonTrainingSettings, WarmupSettings}),
    (BackboneTrainingSettings, {CommonTrainingSettings, WarmupSettings, BatchSettings}),
    (SpotTrainingSettings, {CommonTrainingSettings, WarmupSettings, BatchSettings}),
    (RecipeSettings, {WarmupSettings, BatchSettings}),
]


@pytest.mark.parametrize(("kind", "parts"), COMMON, ids=[kind.__name__ for kind, _ in COMMON])
@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        (CommonTrainingSettings, "epochs", 0, "'epochs' is 0: input should be greater than or equal to 1"),
        (CommonTrainingSettings, "epochs", 10_001, "input should be less than or equal to 10000"),
        (CommonTrainingSettings, "precision", "float8", "'precision' is \"float8\""),
        (WarmupSettings, "learning_rate", 0, "'learning_rate' is 0: input should be greater than 0"),
        (WarmupSettings, "warmup_epochs", -1, "'warmup_epochs' is -1: input should be greater than or equal to 0"),
        (BatchSettings, "batch", 0, "'batch' is 0: input should be greater than or equal to 1"),
        (BatchSettings, "micro_batch", 0, "'micro_batch' is 0: input should be greater than or equal to 1"),
        (BatchSettings, "micro_batch", 3, "is not a multiple of `micro_batch` 3"),
    ],
)
def test_bounds_hold_in_every_training(config, kind, parts, part, key, value, message):
    if part not in parts:
        assert not issubclass(kind, part)
        return
    content = shipped(config)[kind].model_dump(mode="json")
    assert parse(kind, content) == shipped(config)[kind]
    with pytest.raises(ActaError) as caught:
        parse(kind, json.dumps(content | {key: value}))
    assert message in str(caught.value)


WHOLE = {"name": "r3d_18", "width": 1.0, "blocks": None, "dropout": 0.0}


@pytest.mark.parametrize("initial", [None, "r3d_18", "models/mine.safetensors"])
def test_where_a_recipe_may_start(config: Config, initial: str | None) -> None:
    recipe = config.classify.recipes["r3d"].model_dump(mode="json") | {"backbone": WHOLE, "initial": initial}
    assert parse(RecipeSettings, recipe).initial == initial


@pytest.mark.parametrize(
    ("initial", "backbone", "said"),
    [
        ("r3d", WHOLE, "`initial` 'r3d' is neither a .safetensors file nor one of r2plus1d_18, r3d_18"),
        ("model.pth", WHOLE, "`initial` 'model.pth' is neither a .safetensors file"),
        ("r2plus1d_18", WHOLE, "`backbone` needs that name, width 1 and blocks null, and is 'r3d_18', 1 and None"),
        ("r3d_18", WHOLE | {"width": 0.5, "blocks": [1, 1, 1, 1]}, "and is 'r3d_18', 0.5 and [1, 1, 1, 1]"),
    ],
)
def test_where_a_recipe_cannot_start(config: Config, initial: str, backbone: dict[str, object], said: str) -> None:
    recipe = config.classify.recipes["r3d"].model_dump(mode="json") | {"backbone": backbone, "initial": initial}
    with pytest.raises(ActaError) as caught:
        parse(RecipeSettings, recipe)
    assert said in str(caught.value)

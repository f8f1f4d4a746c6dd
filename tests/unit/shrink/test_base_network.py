"""The base network must be one of the frames, classes and recipe that hypotheses are made for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.base import parse
from pipeline.config.classify import ViewSettings
from pipeline.config.tasks.shrink import StoreTeacherLogits
from pipeline.config.whole import Config
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.classifier_file import Description, save_model
from pipeline.runtime.errors import ActaError
from pipeline.shrink.base_network import read_base
from pipeline.shrink.store_teacher_logits import store_teacher_logits
from tests.networks import LABELS, train_settings, write_dataset

BASE = Description(
    Architecture("r3d_18", len(LABELS), 0.05, (1, 1, 1, 1), 4),
    list(LABELS),
    "faces",
    5.0,
    ViewSettings(size=(18, 24), short_side=None, crop=16),
    {},
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_dataset(tmp_path_factory.mktemp("faces"), train=2, test=1, hidden=True)


@pytest.fixture
def settings(config: Config) -> StoreTeacherLogits:
    small = train_settings(config).model_dump(mode="json")
    values = {name: small[name] for name in ("sampling", "split", "recipe", "training")}
    return parse(StoreTeacherLogits, values | {"variant": "faces", "mode": "train"})


def saved(path: Path, **changes: Any) -> Path:
    said = replace(BASE, **changes)
    said = replace(said, architecture=replace(said.architecture, classes=len(said.classes)))
    save_model(path, build(said.architecture), said)
    return path


def test_it_fits(settings: StoreTeacherLogits, shards: list[Path], tmp_path: Path) -> None:
    assert read_base(saved(tmp_path / "b.safetensors"), shards, settings).classes == list(LABELS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variant": "none"}, "of the variant 'none', but shrink.base.variant is 'faces'"),
        (
            {"classes": ["dark", "left", "up"]},
            "has 3 classes, the training videos 3; they differ, such as 'right'. Fine",
        ),
        ({"classes": [*LABELS, "jump"]}, "has 4 classes, the training videos 3; they differ, such as 'jump'"),
        ({"architecture": Architecture("r2plus1d_18", 3, 0.05, (1, 1, 1, 1), 4)}, "backbone.name is r2plus1d_18 there"),
        ({"architecture": Architecture("r3d_18", 3, 0.1, (1, 1, 1, 1), 4)}, "width is 0.1 there and 0.05 here"),
        (
            {"architecture": Architecture("r3d_18", 3, 0.05, None, 4)},
            "blocks is (2, 2, 2, 2) there and (1, 1, 1, 1) here",
        ),
        ({"architecture": Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 8)}, "clip.frames is 8 there and 4 here"),
        ({"view": ViewSettings(size=(20, 24), short_side=None, crop=16)}, "clip.view is size=(20, 24)"),
        ({"rate": None}, "sampling.rate is null there and 5.0 here; set it to that, or shrink another network"),
    ],
)
def test_it_does_not_fit(
    settings: StoreTeacherLogits, shards: list[Path], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    base = saved(tmp_path / "b.safetensors", **changes)
    with pytest.raises(ActaError) as caught:
        read_base(base, shards, settings)
    assert said in str(caught.value)
    with pytest.raises(ActaError) as again:
        store_teacher_logits(base, shards, tmp_path / "logits.h5", settings)
    assert str(again.value) == str(caught.value)

"""What is refused before anything runs, where tests/doomed.py has no whole configuration of it; and what is not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.dag import refusals
from pipeline.dag.run import Run
from pipeline.report.catalogue import names
from pipeline.runtime.errors import ActaError
from tests.unit.dag.changed import changed

IMPORTED = {
    "layout": "i3d",
    "actors": {"train": "a", "val": "b", "test": "c"},
    "frame_lists": {},
    "half_precision": True,
}


def without(run: Run, chapter: str, section: str, *removed: str) -> Run:
    """The run without some of a chapter's plans or networks."""
    values = run.config.model_dump(mode="json")[chapter][section]
    return changed(run, **{f"{chapter}__{section}": {k: v for k, v in values.items() if k not in removed}})


@pytest.mark.parametrize("name", [name for name in names() if name not in ("table_6_6", "figure_4_6")])
def test_the_demo_can_make_all(run: Run, name: str) -> None:
    """But for Table 6.6, of other data, and Figure 4.6, whose networks it does not have."""
    refusals.item(changed(run, classify__compare=["r3d"]), name)


@pytest.mark.parametrize(
    ("name", "removed", "said"),
    [
        (
            "table_6_4",
            ("without_kd", "without_fine_tuning"),
            "the plans without_kd, without_fine_tuning, which shrink.",
        ),
        ("table_6_7", ("mse",), "table_6_7 needs the plans mse, which shrink.plans does not have; take them from"),
        ("table_6_8", ("teacher_eval",), "table_6_8 needs the plans teacher_eval"),
        ("shrink_beyond", ("pairs",), "shrink_beyond needs the plans pairs"),
    ],
)
def test_a_table_of_plans_that_are_not_there(run: Run, name: str, removed: tuple[str, ...], said: str) -> None:
    with pytest.raises(ActaError, match=re.escape(said)):
        refusals.item(without(run, "shrink", "plans", *removed), name)
    refusals.item(without(run, "shrink", "plans", *removed), "table_6_1")


def test_a_table_of_networks_that_are_not_there(run: Run) -> None:
    lacking = without(run, "detect", "networks", "no_temporal", "transformer")
    with pytest.raises(
        ActaError, match=re.escape("table_3_8 needs no_temporal, transformer in detect.networks; take them from")
    ):
        refusals.item(lacking, "table_3_8")
    refusals.item(lacking, "table_3_2")


def test_networks_to_fine_tune(run: Run, tmp_path: Path) -> None:
    """They are there, or this run makes them."""
    for place in (str(tmp_path), "results/demo/k"):
        transfer = {
            "base": f"{place}/{{recipe}}.safetensors",
            "reduced": f"{place}/{{recipe}}_{{iteration}}.safetensors",
        }
        other = changed(run, shrink__transfer=transfer, shrink__iterations=1, shrink__recipes=["r2plus1d"])
        if place == str(tmp_path):
            for stem in ("r2plus1d", "r2plus1d_1"):
                (tmp_path / f"{stem}.safetensors").touch()
                with pytest.raises(refusals.MissingError, match=rf"{stem}\.json, which is not there"):
                    refusals.item(other, "table_6_6")
                (tmp_path / f"{stem}.json").touch()
        refusals.item(other, "table_6_6")


def averaged(run: Run, objects: dict[str, str], detector: Any = None) -> Run:
    """Two published features and their mean; the first has objects."""
    features = run.config.model_dump(mode="json")["detect"]["features"]
    like = next(iter(features.values())) | {"backbone": None, "average_of": None}
    made = {
        "one": like | {"imported": IMPORTED | {"objects": objects}},
        "other": like | {"imported": IMPORTED | {"objects": {}}},
        "mean": like | {"imported": None, "average_of": ["one", "other"]},
    }
    return changed(
        run, detect__features=made, detect__objects=detector, detect__detector=None, detect__detector_boxes=None
    )


def test_averaged_features_have_the_objects_of_the_first(run: Run) -> None:
    refusals.stage(averaged(run, {"train": "o"}), "mean", "stage")
    with pytest.raises(
        ActaError, match=re.escape("detect.features.mean have no objects: name their source in detect.features.one")
    ):
        refusals.stage(averaged(run, {}), "mean", "stage")
    refusals.stage(averaged(run, {}), "mean", "stage_actors")


def test_objects_that_are_imported_for_some_splits(run: Run) -> None:
    """They find no people, who are then proposed."""
    objects = run.config.model_dump(mode="json")["detect"]["objects"]
    changes: dict[str, Any] = {"detect__detector": None, "detect__detector_boxes": None}
    changes["detect__data__proposals"] = {"train": "p", "val": "p", "test": "p"}
    with pytest.raises(
        ActaError, match=re.escape("detect.objects.imported has no file for the split 'test'; it has train, val")
    ):
        refusals.actors(
            changed(run, detect__objects=objects | {"imported": {"train": "o", "val": "o"}}, **changes), "i3d"
        )
    whole = objects | {"imported": {"train": "o", "val": "o", "test": "o"}}
    refusals.actors(changed(run, detect__objects=whole, **changes), "i3d")
    changes["detect__data__proposals"] = {"train": "p", "val": "p"}
    with pytest.raises(ActaError, match=re.escape("nothing finds people for detect.features.i3d in the split 'test'")):
        refusals.actors(changed(run, detect__objects=whole, **changes), "i3d")


def test_splits_with_videos_and_games(run: Run) -> None:
    refusals.annotated(run)
    refusals.annotated(replace(run, annotated={"train": 1, "val": 1, "test": 1}))
    with pytest.raises(ActaError, match=re.escape("detect.splits.train has 'train', but detect.data.boxes.train")):
        refusals.annotated(replace(run, annotated={"val": 1, "test": 1}))
    refusals.games(run, ["train", "test"])
    refusals.games(replace(run, games={}), ["train"])  # in a job, and where the games are not known
    with pytest.raises(ActaError, match=re.escape("spot.splits.test is 'test'")):
        refusals.games(replace(run, games={"train": ["a"], "valid": ["b"], "test": []}), ["train", "test"])

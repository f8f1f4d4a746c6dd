"""What each task of Ch. 6 reads of the configuration: this decides what a change reruns."""

import json
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.whole import Config
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import canonical
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT

SHIPPED = yaml.safe_load((PROJECT / "config.yaml").read_text())
PLANS = SHIPPED["shrink"]["plans"]
HYPOTHESES = {(plan, operators) for plan, settings in PLANS.items() for operators in settings["operators"]}
STORED = {"store_teacher_logits"}
RECIPE = "classify.recipes.r2plus1d_deep"


def changed(path: str, value: Any) -> Config:
    settings = json.loads(json.dumps(SHIPPED))
    *parents, key = path.split(".")
    place = settings
    for parent in parents:
        place = place[parent]
    place[key] = value
    return parse(Config, settings)


def texts(config: Config) -> dict[Any, str]:
    """By reader what it reads; a hypothesis is a reader by (plan, operators)."""
    recipe = "r2plus1d_deep"
    found: dict[Any, Any] = {
        (plan, operators): task_settings(config, "try_hypothesis", plan=plan, operators=operators, recipe=recipe)
        for plan, operators in HYPOTHESES
    }
    found["store_teacher_logits"] = task_settings(config, "store_teacher_logits", plan="stored", recipe=recipe)
    for use in ("alone", "transferred"):
        found[use] = task_settings(config, "train_classifier", split="split1", recipe=recipe, use=use)
    found["halve"] = task_settings(config, "halve_hypotheses", plan="halving")
    found["select"] = task_settings(config, "select_hypothesis", plan="pas")
    found["measure"] = task_settings(config, "measure_resources", recipe=recipe)
    found["export"] = task_settings(config, "export_network")
    return {key: canonical(settings) for key, settings in found.items()}


def of(**wanted: bool) -> set[Any]:
    """Hypotheses by what they are: ``previous`` (start from the winner's weights), ``taught``, ``features``."""
    found = set()
    for plan, operators in HYPOTHESES:
        settings = PLANS[plan]
        is_ = {
            "previous": settings["fine_tuning"] and set(operators) <= set("stf"),
            "taught": settings["teacher"] is not None,
            "features": settings["features"] is not None,
        }
        if all(is_[name] == value for name, value in wanted.items()):
            found.add((plan, operators))
    return found


@pytest.mark.parametrize(
    ("path", "value", "readers"),
    [
        ("shrink.recipes", ["r3d"], set()),
        ("shrink.base.variant", "faces", HYPOTHESES | STORED),
        ("shrink.base.strategy", "kd", set()),
        ("shrink.base", {"variant": "none", "strategy": None, "model": "a.safetensors"}, set()),
        ("sampling.rate", 9, HYPOTHESES | STORED | {"alone", "transferred"}),
        ("shrink.iterations", 6, set()),
        *((f"shrink.factors.{letter}", 3, {key for key in HYPOTHESES if letter in key[1]}) for letter in "scl"),
        *((f"shrink.factors.{o}", 3, {key for key in HYPOTHESES if o in key[1]} | {"select"}) for o in "tf"),
        ("shrink.alpha", 3, of(taught=True)),
        ("shrink.temperature", 3, HYPOTHESES),
        ("shrink.epochs", 9, HYPOTHESES | STORED | {"alone"}),
        ("shrink.fine_tuning_rate", 0.5, of(previous=True)),
        ("shrink.feature_weight", 9, of(features=True)),
        ("shrink.transfer", {"base": "a", "reduced": "b"}, set()),
        ("shrink.plans.pas.operators", ["s", "t", "f", "c", "l", "sc"], {"select"}),
        ("shrink.plans.halving.halving.keep", 3, {"halve"}),
        ("shrink.plans.inherit.inherit_weights", False, {("inherit", "c"), ("inherit", "l")}),
        ("shrink.plans.stored.teacher", "eval", STORED | {("stored", o) for o in "stfcl"}),
        ("shrink.plans.stored.store_logits", False, set()),
        ("shrink.plans.mse.features", "margin_relu", {("mse", "l")}),
        ("shrink.plans.pas.fine_tuning", False, {("pas", o) for o in "stf"}),
        ("classify.training.epochs", 99, {"transferred"}),
        (f"{RECIPE}.clip.short_videos", "drop", HYPOTHESES | STORED | {"alone", "transferred", "measure"}),
        (f"{RECIPE}.learning_rate", 1, HYPOTHESES | STORED | {"alone", "transferred"}),
        (f"{RECIPE}.initial", "model.safetensors", set()),
        ("classify.recipes.r2plus1d.learning_rate", 1, set()),
    ],
)
def test_a_task_reads_its_own_part_only(config, path, value, readers):
    before, after = texts(config), texts(changed(path, value))
    assert {reader for reader in before if before[reader] != after.get(reader)} == readers


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("try_hypothesis", {"recipe": "r2plus1d_deep", "plan": "halving", "operators": "s"}),
        ("store_teacher_logits", {"recipe": "r2plus1d_deep", "plan": "halving"}),
        ("select_hypothesis", {"plan": "halving"}),
        ("halve_hypotheses", {"plan": "halving"}),
        ("export_network", {}),
        ("measure_resources", {"recipe": "r2plus1d_deep"}),
        ("draw_shrinkage", {}),
    ],
)
def test_a_task_takes_the_settings_that_the_workflow_gives_it(config, task, names):
    settings = task_settings(config, task, **names)
    assert parse(TASKS[task].settings, canonical(settings)) == settings


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("shrink.recipes", ["r9d"], "shrink.recipes has 'r9d', which is not among classify.recipes"),
        (
            "shrink.base.strategy",
            "kdd",
            "shrink.base.strategy 'kdd' is not among classify.strategies: cross_entropy, kd",
        ),
        ("shrink.base.strategy", None, "give one of `strategy` and `model`"),
        ("shrink.base.model", "a.safetensors", "give one of `strategy` and `model`, and null for the other"),
        ("shrink.split", "split9", "shrink.split 'split9' is not among classify.splits"),
        ("shrink.plans.pas.operators", ["s", "s"], "`operators` names a hypothesis twice"),
        ("shrink.plans.pas.operators", ["x"], "should match pattern"),
        ("shrink.plans.pas.start_from", "nobody", "plan 'pas' follows 'nobody'; known: pas"),
        ("shrink.plans.mse.start_from", "without_kd", "which has no winners of its own"),
        ("shrink.plans.mse.operators", ["c"], "`features` needs `operators` .l.: the others change the shapes"),
        ("shrink.plans.mse.teacher", None, "`store_logits` and `features` need a `teacher`"),
        ("shrink.plans.mse.store_logits", True, "`features` needs the live teacher"),
        ("shrink.plans.halving.halving.keep", 5, "`halving` keeps 5 of 5 hypotheses: nothing stops"),
        ("shrink.plans.halving.halving.epochs", 3, "plan 'halving' halves after 3 of 3 epochs"),
        ("shrink.alpha", 0, "plan 'mse' has `features`, which need a teacher, but `alpha` is 0"),
        ("shrink.factors.f", 1, "greater than 1"),
        ("shrink.factors.f", 1.5, "valid integer"),
    ],
)
def test_plans_that_cannot_be(path, value, message):
    with pytest.raises(ActaError, match=message):
        changed(path, value)


def test_a_base_on_frames_that_are_not_made():
    settings = json.loads(json.dumps(SHIPPED))
    settings["privacy"]["what"] = ["faces"]
    settings["shrink"]["base"]["variant"] = "bodies"
    with pytest.raises(ActaError, match=r"shrink\.base\.variant 'bodies' is not among privacy\.what: \['faces'\]"):
        parse(Config, settings)


def test_pas_is_needed():
    with pytest.raises(ActaError, match="plan 'pas' is missing"):
        changed("shrink.plans", {"other": PLANS["without_kd"] | {"start_from": None}})

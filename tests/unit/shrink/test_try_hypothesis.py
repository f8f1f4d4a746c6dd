"""Stage `hypothesis` on a tiny labelled dataset: where weights come from, who teaches, stopping and going on."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.classify.evaluate_classifier import evaluate_classifier
from pipeline.classify.fitting import _losses
from pipeline.classify.teaching import as_teacher
from pipeline.classify.train_classifier import train_classifier
from pipeline.config.base import parse
from pipeline.config.classify import StrategySettings
from pipeline.config.tasks.classify import EvaluateClassifier
from pipeline.config.tasks.shrink import SelectHypothesis, StoreTeacherLogits, TryHypothesis
from pipeline.models.architecture import Architecture, frames_needed, parse_reductions
from pipeline.models.backbones import build, pathways
from pipeline.models.classifier_file import load_model, read_description
from pipeline.runtime.errors import ActaError
from pipeline.runtime.sealed import create_sealed
from pipeline.shrink.select_hypothesis import select_hypothesis
from pipeline.shrink.store_teacher_logits import store_teacher_logits
from pipeline.shrink.try_hypothesis import inherit_part, try_hypothesis
from pipeline.training.losses import distillation
from tests.networks import finish, start, train_settings, write_dataset, write_lists_of


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    return write_dataset(tmp_path_factory.mktemp("none"), train=6)


@pytest.fixture(scope="module")
def base(config, shards, tmp_path_factory) -> Path:
    """A base network with two blocks a stage, so that there are layers to take away."""
    path = tmp_path_factory.mktemp("base") / "model.safetensors"
    train_classifier(shards, path, train_settings(config, **DEEP, training__epochs=10))
    return path


DEEP = {"recipe__backbone__blocks": [2, 2, 2, 2], "recipe__micro_batch": 8, "recipe__learning_rate": 0.1}


def settings(config, operators: str, **changes) -> TryHypothesis:
    small = train_settings(config, **DEEP).model_dump(mode="json")
    start = "previous" if set(operators) <= set("stf") else "random"
    values = {
        "variant": "none",
        "sampling": small["sampling"],
        "split": small["split"],
        "recipe": small["recipe"] | {"initial": None},
        "training": small["training"],
        "reductions": [[r.operator, r.factor] for r in parse_reductions(",".join(operators))],
        "start": start,
        "strategy": {"teacher": "none", "kd": 100.0, "rkd": 0.0, "temperature": 5.0},
        "teacher_mode": "train",
        "features": None,
        "feature_weight": 0.0,
    }
    for name, value in changes.items():
        *parents, key = name.split("__")
        place = values
        for parent in parents:
            place = place[parent]
        place[key] = value
    return parse(TryHypothesis, values)


def attempt(base, shards, folder: Path, chosen: TryHypothesis, previous: Path | None = None, **options) -> Path:
    output = folder / "model.safetensors"
    try_hypothesis(base, previous or base, shards, output, chosen, **options)
    return output


def metrics(model: Path):
    return json.loads(model.with_name("metrics.json").read_text())


NO_STEP = {"recipe__learning_rate": 1e-30, "training__weight_decay": 0.0}


@pytest.mark.parametrize("operator", ["s", "t", "f"])
def test_input_operators_start_from_the_previous_weights(config, base, shards, tmp_path, operator):
    model = attempt(base, shards, tmp_path, settings(config, operator, **NO_STEP))
    before, after = load_file(base), load_file(model)
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    assert read_description(model).architecture.reductions == parse_reductions(operator)
    found = metrics(model)
    assert found["gflops"] < 0.75 * found["previous_gflops"]
    assert found["device_seconds"] == pytest.approx(found["seconds"])
    assert not (tmp_path / "last.ckpt").exists()


@pytest.mark.parametrize("operator", ["c", "l"])
def test_weight_operators_start_from_random_weights(config, base, shards, tmp_path, operator):
    model = attempt(base, shards, tmp_path, settings(config, operator, **NO_STEP))
    chosen = settings(config, operator)
    with torch.random.fork_rng():
        torch.manual_seed(chosen.training.seed)
        expected = build(read_description(model).architecture).state_dict()
    after = load_file(model)
    assert all(torch.equal(expected[name], after[name]) for name in expected if name.endswith("weight"))
    assert metrics(model)["parameters"] < sum(p.numel() for p in load_model(base)[0].parameters())


def test_operators_add_up_from_winner_to_winner(config, base, shards, tmp_path):
    first = attempt(base, shards, tmp_path / "1", settings(config, "c"))
    second = attempt(base, shards, tmp_path / "2", settings(config, "t"), previous=first)
    assert read_description(second).architecture.reductions == parse_reductions("c,t")
    assert read_description(second).architecture.raw_frames == 4
    both = attempt(base, shards, tmp_path / "3", settings(config, "ct"))
    assert read_description(both).architecture == read_description(second).architecture


def test_part_of_the_weights_is_inherited(config, base, shards, tmp_path):
    fewer = attempt(base, shards, tmp_path / "c", settings(config, "c", start="part", **NO_STEP))
    before, after = load_file(base), load_file(fewer)
    name = "layer2.0.conv1.0.weight"
    a, b = after[name].shape[:2]
    assert a < before[name].shape[0]
    assert torch.equal(after[name], before[name][:a, :b])
    shallower = load_file(attempt(base, shards, tmp_path / "l", settings(config, "l", start="part", **NO_STEP)))
    assert "layer1.1.conv1.0.weight" not in shallower
    assert torch.equal(shallower["layer1.0.conv1.0.weight"], before["layer1.0.conv1.0.weight"])


def test_nothing_to_inherit_from_a_smaller_network():
    small, large = (build(Architecture("r3d_18", 2, width)) for width in (0.05, 0.1))
    with pytest.raises(ActaError, match=r"cannot inherit 'stem.0.weight' of shape \[6, 3, .*it is of shape \[3, 3, "):
        inherit_part(large, small.state_dict(), Architecture("r3d_18", 2, 0.05))


def test_joined_pathways_are_inherited_part_by_part():
    """The first Slow channels stay Slow, the first lateral ones lateral, and so in the classifier."""
    before = Architecture("slowfast_4x16_r50", 2, 0.25, (1, 1, 1, 1), 32)
    larger, smaller = build(before), build(before.reduced(parse_reductions("c"), 64))
    state = larger.state_dict()
    inherit_part(smaller, state, before)
    name = "s2.pathway0_res0.branch2.a.weight"
    slow, lateral = smaller.joined_inputs()[name]
    assert larger.joined_inputs()[name] == (16, 4)
    assert (slow, lateral) == (11, 2)
    mine, theirs = smaller.state_dict()[name], state[name]
    rows = mine.shape[0]
    assert torch.equal(mine[:, :11], theirs[:rows, :11])
    assert torch.equal(mine[:, 11:], theirs[:rows, 16:18])
    for network in (larger, smaller):
        weights = network.state_dict()
        assert {n: weights[n].shape[1] for n in network.joined_inputs()} == {
            n: sum(parts) for n, parts in network.joined_inputs().items()
        }


def test_an_infeasible_hypothesis_is_written_as_such_and_the_selection_goes_on(config, base, shards, tmp_path):
    folders = [tmp_path / name for name in ("t", "s")]
    shortest = settings(config, "t", reductions=[["t", 8.0]])
    absent = attempt(base, shards, folders[0], shortest)
    assert metrics(absent)["status"] == "infeasible"
    assert "leave nothing of a clip of 4 frames" in metrics(absent)["reason"]
    with pytest.raises(ActaError, match="holds no network: infeasible: r3d_18: reductions t leave nothing"):
        load_model(absent)
    attempt(base, shards, folders[1], settings(config, "s"))
    lists = write_lists_of(tmp_path / "lists", shards)
    for folder in (base.parent, *folders):
        evaluate_classifier(
            folder / "model.safetensors",
            shards,
            sorted(lists.glob("*.json")),
            folder / "evaluation.json",
            folder / "predictions.tsv",
            EVALUATE,
        )
    output = tmp_path / "selected.safetensors"
    select_hypothesis(
        base, base.parent / "evaluation.json", folders, output, SelectHypothesis(operators=("t", "s"), t=2, f=2)
    )
    assert output.read_bytes() == (folders[1] / "model.safetensors").read_bytes()
    selection = json.loads(output.with_suffix(".json").read_text())["selection"]
    assert selection["operators"] == "s"
    assert [one["status"] for one in selection["hypotheses"]] == ["infeasible", "trained"]
    # What was selected is a model file like any other.
    assert load_model(output)[1].architecture.reductions == parse_reductions("s")


EVALUATE = EvaluateClassifier.model_validate(
    {
        "split": {"train": "train", "test": "test"},
        "short_videos": "repeat",
        "test_clips": 2,
        "micro_batch": 4,
        "device": "cpu",
        "threads": 1,
    }
)


# ---- who teaches


def test_teacher_modes_give_other_losses_from_the_same_start(config, base, shards, tmp_path):
    losses = {
        mode: metrics(attempt(base, shards, tmp_path / mode, settings(config, "s", teacher_mode=mode)))["history"][0]
        for mode in ("train", "eval")
    }
    assert losses["train"]["kd"] != losses["eval"]["kd"]


def test_the_teacher_sees_the_whole_clip_and_the_student_its_part():
    """Eq. 6.7 with the base network on four frames of 16 pixels, the student on two of 11."""
    whole = Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 4)
    part = whole.reduced(parse_reductions("t,s"), 16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student, teacher = build(part), build(whole)
        clips = torch.randint(0, 256, (4, 4, 3, 16, 16), dtype=torch.uint8)
    positions = frames_needed([part, whole])
    assert positions == [0, 1, 2, 3]
    strategy = StrategySettings(teacher="none", kd=500 * 5**2, rkd=0.0, temperature=5.0)
    taught = as_teacher((teacher, whole), "train", torch.device("cpu"), torch.float32)
    losses = _losses(strategy, part, positions, torch.float32, taught, None)
    total, figures = losses(student, {"student": clips, "teacher": clips, "label": torch.tensor([0, 1, 2, 0])})
    (seen,) = pathways(clips[:, :2], [0, 1], part)
    assert seen.shape == (4, 3, 2, 11, 11)
    expected = distillation(student([seen]), teacher(pathways(clips, positions, whole)), 5.0)
    assert figures["kd"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert total.item() == pytest.approx((figures["cross_entropy"] + 12_500 * figures["kd"]).item(), rel=1e-5)


def test_without_distillation(config, base, shards, tmp_path):
    alone = settings(config, "s", strategy={"teacher": None, "kd": 0.0, "rkd": 0.0, "temperature": 5.0})
    assert "kd" not in metrics(attempt(base, shards, tmp_path, alone))["history"][0]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_stored_logits_give_the_same_bytes_as_the_live_teacher(config, base, shards, tmp_path, mode):
    chosen = settings(config, "f", teacher_mode=mode)
    asked = StoreTeacherLogits.taken(chosen, mode=mode)
    logits = tmp_path / "logits.h5"
    store_teacher_logits(base, shards, logits, asked)
    live = attempt(base, shards, tmp_path / "live", chosen)
    stored = attempt(base, shards, tmp_path / "stored", chosen, stored=logits)
    assert live.read_bytes() == stored.read_bytes()
    history = [
        [{k: v for k, v in epoch.items() if "seconds" not in k} for epoch in metrics(model)["history"]]
        for model in (live, stored)
    ]
    assert history[0] == history[1]
    # A hypothesis at another learning rate is shown the same clips.
    attempt(base, shards, tmp_path / "c", settings(config, "c", teacher_mode=mode), stored=logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training__seed": 9}, "holds the logits of another teacher, other clips or other batches"),
        ({"recipe__clip__flip": True}, "holds the logits of another teacher, other clips or other batches"),
        ({"teacher_mode": "eval"}, "holds the logits of another teacher, other clips or other batches"),
        ({"training__epochs": 3}, "holds 2 epochs of 36 clips; wanted: 3 of 36"),
    ],
)
def test_stored_logits_of_another_training_are_refused(config, base, shards, tmp_path, changes, message):
    made = settings(config, "f")
    asked = StoreTeacherLogits.taken(made, mode="train")
    store_teacher_logits(base, shards, tmp_path / "logits.h5", asked)
    with pytest.raises(ActaError, match=message):
        attempt(base, shards, tmp_path, settings(config, "f", **changes), stored=tmp_path / "logits.h5")


def test_a_damaged_file_of_logits_is_named(config, base, shards, tmp_path):
    (tmp_path / "logits.h5").write_bytes(b"not HDF5")
    with pytest.raises(ActaError, match=r"cannot read .*logits.h5: it is no HDF5 file"):
        attempt(base, shards, tmp_path, settings(config, "f"), stored=tmp_path / "logits.h5")
    with create_sealed(tmp_path / "logits.h5", 0):
        pass
    with pytest.raises(ActaError, match=r"logits.h5 has no attribute key; make it again"):
        attempt(base, shards, tmp_path, settings(config, "f"), stored=tmp_path / "logits.h5")


@pytest.mark.parametrize("features", ["mse", "margin_relu"])
def test_a_loss_on_activations(config, base, shards, tmp_path, features):
    chosen = settings(config, "l", features=features, feature_weight=2.0)
    epoch = metrics(attempt(base, shards, tmp_path, chosen))["history"][0]
    assert epoch["features"] > 0
    assert epoch["loss"] == pytest.approx(epoch["cross_entropy"] + 100 * epoch["kd"] + 2 * epoch["features"])


def test_activations_of_other_shapes_are_an_error(config, base, shards, tmp_path):
    chosen = settings(config, "c", features="mse", feature_weight=1.0)
    with pytest.raises(ActaError, match=r"the activations of layer1 are .*: only operator l keeps them alike"):
        attempt(base, shards, tmp_path, chosen)


# ---- stopping and going on


def test_halving_ends_with_the_bytes_of_an_unbroken_training(config, base, shards, tmp_path):
    chosen = settings(config, "s", training__epochs=3)
    whole = attempt(base, shards, tmp_path / "whole", chosen)
    started = attempt(base, shards, tmp_path / "started", chosen, until=1)
    assert len(metrics(started)["history"]) == 1
    state = tmp_path / "started" / "state.ckpt"
    survivors = tmp_path / "survivors.json"
    survivors.write_text(json.dumps({"survivors": ["s"]}))
    going = attempt(base, shards, tmp_path / "going", chosen, started=state, survivors=survivors)
    assert going.read_bytes() == whole.read_bytes()
    assert len(metrics(going)["history"]) == 3
    survivors.write_text(json.dumps({"survivors": ["t"]}))
    stopped = attempt(base, shards, tmp_path / "stopped", chosen, started=state, survivors=survivors)
    assert metrics(stopped)["status"] == "stopped"


def test_an_infeasible_hypothesis_has_a_state_too(config, base, shards, tmp_path):
    attempt(base, shards, tmp_path, settings(config, "t", reductions=[["t", 8.0]]), until=1)
    assert (tmp_path / "state.ckpt").read_bytes() == b""


def test_killed_and_run_again_gives_the_same_bytes(config, base, shards, tmp_path):
    chosen = settings(config, "s", training__epochs=15)
    whole = attempt(base, shards, tmp_path / "whole", chosen)
    output = tmp_path / "killed" / "model.safetensors"
    command = [
        sys.executable,
        *("-m", "pipeline", "task", "try_hypothesis", "--base", str(base), "--previous", str(base)),
        *("--shards", *map(str, shards)),
        *("--settings", chosen.model_dump_json(), "--save-every", "0", "-o", str(output)),
    ]
    (process,) = start(command)
    deadline = time.monotonic() + 120
    while not output.with_name("last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not output.exists()
    (printed,) = finish(start(command))
    assert "resumed at step" in printed
    assert output.read_bytes() == whole.read_bytes()


def test_two_processes_train_a_hypothesis(config, base, shards, tmp_path):
    chosen = settings(config, "c", recipe__micro_batch=4)
    alone = attempt(base, shards, tmp_path / "alone", chosen)
    output = tmp_path / "two" / "model.safetensors"
    command = [
        sys.executable,
        *("-m", "pipeline", "task", "try_hypothesis", "--base", str(base), "--previous", str(base)),
        *("--shards", *map(str, shards)),
        *("--settings", chosen.model_dump_json(), "-o", str(output)),
    ]
    finish(start(command, world=2))
    one, two = load_file(alone), load_file(output)
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one if name.endswith("weight"))
    found = metrics(output)
    assert found["processes"] == 2
    assert found["device_seconds"] == pytest.approx(2 * found["seconds"])


# ---- the winner's architecture alone, and on other data


def test_the_same_architecture_without_pas(config, base, shards, tmp_path):
    reduced = attempt(base, shards, tmp_path / "r", settings(config, "t"))
    output = tmp_path / "alone" / "model.safetensors"
    train_classifier(shards, output, train_settings(config, **(DEEP | NO_STEP)), like=reduced)
    assert read_description(output).architecture == read_description(reduced).architecture
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = build(read_description(output).architecture).state_dict()
    assert torch.equal(load_file(output)["layer3.0.conv1.0.weight"], expected["layer3.0.conv1.0.weight"])


def test_transfer_keeps_the_weights_and_makes_a_new_classifier(config, base, shards, tmp_path):
    reduced = attempt(base, shards, tmp_path / "r", settings(config, "c"))
    output = tmp_path / "transferred" / "model.safetensors"
    other = write_dataset(tmp_path / "other", train=6, labels=("left", "right"))
    chosen = train_settings(config, **(DEEP | NO_STEP))
    train_classifier(other, output, chosen, like=reduced, keep_weights=True)
    before, after = load_file(reduced), load_file(output)
    assert after["fc.weight"].shape == (2, before["fc.weight"].shape[1])
    assert torch.equal(before["layer3.0.conv1.0.weight"], after["layer3.0.conv1.0.weight"])
    assert read_description(output).architecture.reductions == parse_reductions("c")


def test_a_network_without_teacher_needs_its_own_span_only(config, base, shards, tmp_path):
    """After operator t half the clip is enough, so videos of three frames are not short."""
    reduced = attempt(base, shards, tmp_path / "r", settings(config, "t"))
    short = write_dataset(tmp_path / "short", train=6, frames=3)
    chosen = train_settings(config, **DEEP)
    for name, options, count in (("whole", {}, 18), ("half", {"like": reduced}, 0)):
        train_classifier(short, tmp_path / name / "model.safetensors", chosen, **options)
        assert metrics(tmp_path / name / "model.safetensors")["short_videos"] == count

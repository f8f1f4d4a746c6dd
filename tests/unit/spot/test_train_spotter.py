"""Training a spotter on games: what is learnt, kept, resumed and refused."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import get_model

from pipeline.config.base import parse
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import write_frames
from pipeline.spot import train_spotter as train
from pipeline.spot.events import Spot
from pipeline.spot.games import read_games
from pipeline.spot.sources import Inputs, open_source
from pipeline.spot.spotter_file import load_spotter
from pipeline.spot.train_spotter import validation
from pipeline.training.distributed import Group
from tests.networks import finish, start
from tests.shards import stored
from tests.unit.spot.small_games import (
    CHANNELS,
    CLIP,
    EVENTS,
    FEW,
    NAMES,
    PREDICT,
    RATE,
    SMALL,
    command,
    metrics_of,
    settings,
    with_bad,
)


def test_it_learns_and_says_what_it_is(trained, data, tmp_path):
    metrics = metrics_of(trained)
    scores = [epoch["validation"] for epoch in metrics["history"]]
    assert max(scores) > 0.9
    assert metrics["validation_mAP"] == max(scores)
    assert metrics["best_epoch"] == 1 + scores.index(max(scores))
    assert len(scores) == min(16, metrics["best_epoch"] + 4)
    assert metrics["history"][-1]["loss"] < 0.6 * metrics["history"][0]["loss"]
    assert (metrics["games"], metrics["clips"], metrics["processes"], metrics["device"]) == (3, 256, 1, "cpu")
    assert metrics["parameters"] == sum(tensor.numel() for tensor in load_file(trained).values())
    assert not trained.with_name("last.ckpt").exists()
    _, about = load_spotter(trained)
    assert (about.version, about.rate, about.input, about.frames) == (1, RATE, "resnet", None)
    assert (about.architecture.classes, about.architecture.features, about.architecture.clip) == (3, CHANNELS, CLIP)
    assert about.provenance["task"] == "train_spotter"
    assert about.provenance["inputs"].keys() == {"games", "frames"}

    untrained = tmp_path / "model.safetensors"
    data.train(untrained, settings(network__training__learning_rate=1e-9, network__training__epochs=1, **SMALL))
    found = []
    for model, name in ((trained, "trained"), (untrained, "untrained")):
        data.predict(model, tmp_path / name)
        found.append(data.evaluate(tmp_path / name)["loose"]["a_mAP"])
    assert found[0] > 0.8, "on games that it has not seen"
    assert found[1] < 0.5


def test_the_score_is_that_of_the_weights_that_are_kept(trained, data):
    games = read_games(data.manifests, ["valid"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    network, _ = load_spotter(trained)
    score = validation(source, games, settings(), Group(0, 1, torch.device("cpu")))(network)
    assert score == metrics_of(trained)["validation_mAP"]


def scripted(scores: Sequence[float], states: list[dict[str, torch.Tensor]]) -> Callable[..., Any]:
    """In place of `validation`: given scores, and the weights after each epoch."""

    def validate(model: nn.Module) -> float:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return scores[len(states) - 1]

    return lambda *_: validate


def test_patience_ends_it_and_the_best_epoch_s_weights_are_kept(data, tmp_path, monkeypatch):
    """Epoch 4 is as good as 2, not better; three such epochs end it."""
    states: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(train, "validation", scripted([0.2, 0.5, 0.3, 0.5, 0.1, 0.9], states))
    changed = settings(network__training__epochs=6, network__training__patience=3, **SMALL)
    metrics = data.train(tmp_path / "model.safetensors", changed)
    assert [epoch["validation"] for epoch in metrics["history"]] == [0.2, 0.5, 0.3, 0.5, 0.1]
    assert (metrics["best_epoch"], metrics["validation_mAP"]) == (2, 0.5)
    kept = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in states[1].items())
    assert not torch.equal(kept["classify.weight"], states[3]["classify.weight"])


def test_without_patience_nothing_is_validated_and_the_last_weights_stay(data, tmp_path, monkeypatch):
    """The same ones as of a validated training whose last epoch is the best."""
    last, validated = tmp_path / "last" / "model.safetensors", tmp_path / "validated" / "model.safetensors"
    metrics = data.train(last, settings(network__training__patience=None, validation="nothing", **FEW))
    assert metrics.keys().isdisjoint({"best_epoch", "validation_mAP"})
    assert len(metrics["history"]) == 2
    assert not any("validation" in epoch for epoch in metrics["history"])
    monkeypatch.setattr(train, "validation", scripted([0.1, 0.2], []))
    data.train(validated, settings(**FEW))
    assert last.read_bytes() == validated.read_bytes()


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(few, data, tmp_path):
    again, other = tmp_path / "again" / "model.safetensors", tmp_path / "other" / "model.safetensors"
    data.train(again, settings(**FEW))
    data.train(other, settings(seed=2, **FEW))
    assert again.read_bytes() == few.read_bytes()
    assert again.with_suffix(".json").read_bytes() == few.with_suffix(".json").read_bytes()
    assert other.read_bytes() != few.read_bytes()
    names = [name for name in load_file(few) if name.endswith("weight")]
    assert not any(torch.equal(load_file(other)[name], load_file(few)[name]) for name in names)
    begun = [train._random_network(settings(seed=seed), CHANNELS).classify.weight for seed in (1, 1, 2)]
    assert torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[0], begun[2]), "not only other clips"


def test_a_killed_training_ends_with_the_same_bytes(data, tmp_path):
    """Asked to stop in the middle, then again without a process that loads data; dropout and masking included."""
    changed = settings(network__training__epochs=40, network__training__patience=40, network__dropout=0.5, **SMALL)
    calm, shot = tmp_path / "calm" / "model.safetensors", tmp_path / "shot" / "model.safetensors"
    data.train(calm, changed)
    arguments = command(data, "train_spotter", shot, changed, "--cores", "2", "--save-every", "0")
    checkpoint = shot.with_name("last.ckpt")
    (process,) = start([sys.executable, "-m", "pipeline", *arguments])
    while process.poll() is None and not (checkpoint.exists() and step_of(checkpoint) > 5):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM, printed
    assert not shot.exists()
    assert 5 < step_of(checkpoint) < 2 * 40
    metrics = data.train(shot, changed)
    assert shot.read_bytes() == calm.read_bytes()
    assert shot.with_suffix(".json").read_bytes() == calm.with_suffix(".json").read_bytes()
    assert [e["validation"] for e in metrics["history"]] == [e["validation"] for e in metrics_of(calm)["history"]]
    assert not checkpoint.exists()


def step_of(checkpoint: Path) -> int:
    step: int = torch.load(checkpoint, weights_only=True)["step"]
    return step


def test_two_processes_equal_one_that_accumulates_two(data, tmp_path):
    """Same micro-batches, float64: weights to 1e-12 after four steps."""
    changed = settings(network__training__precision="float64", network__training__micro_batch=8, **FEW)
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    arguments = command(data, "train_spotter", two, changed)
    finish(start([sys.executable, "-m", "pipeline", *arguments], 2))
    data.train(one, changed)
    alone, together = load_file(one), load_file(two)
    for name, value in alone.items():
        assert np.allclose(value, together[name], rtol=0, atol=1e-12), name
    metrics = metrics_of(one), metrics_of(two)
    assert [each["processes"] for each in metrics] == [1, 2]
    for key in ("loss", "regression", "validation"):
        values = [[epoch[key] for epoch in each["history"]] for each in metrics]
        assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_processes_share_the_validation(trained, data, tmp_path):
    """Of two each reads every other half; the score is that of the evaluation, of what both have found."""
    inference = {"stride": 3, "nms": 4.0}
    data.predict(trained, tmp_path / "spots", split="train", inference=parse(type(PREDICT.inference), inference))
    evaluated = data.evaluate(tmp_path / "spots", "train")["loose"]["a_mAP"]
    network, _ = load_spotter(trained)
    games = read_games(data.manifests, ["train"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    read: list[set[int]] = [set(), set()]
    found: list[list[tuple[str, list[Spot]]]] = [[], []]
    for rank in (0, 1):

        def spy(half: int, start: int, stop: int, rank: int = rank) -> torch.Tensor:
            read[rank].add(half)
            return source.read(half, start, stop)

        def gather(mine: list[Any], rank: int = rank) -> list[Any]:
            found[rank] = mine
            return found[0] + found[1]

        seen = SimpleNamespace(read=spy, halves=source.halves, channels=source.channels)
        group = SimpleNamespace(rank=rank, world=2, device=torch.device("cpu"), gather=gather)
        validate = validation(seen, games, settings(network__inference=inference), group)  # type: ignore[arg-type]
        score = validate(network)
    assert read == [{0, 2, 4}, {1, 3, 5}]
    assert score == evaluated > 0.5


@pytest.mark.parametrize("included", [True, False])
def test_substitutions_at_half_time_train_only_if_asked_for(data, tmp_path, included):
    """By events, each event has a clip: the first game has one more."""
    sampling = {"foreground": None, "background": 16, "halftime_substitutions": included}
    changes = {f"network__sampling__{name}": value for name, value in sampling.items()}
    metrics = data.train(tmp_path / "model.safetensors", settings(**FEW | changes))
    assert metrics["clips"] == 16 + 3 * 2 * EVENTS + included


# ---- end to end


def test_end_to_end_only_the_end_of_the_backbone_trains(data, tmp_path):
    """Its batch norm stays as it was, parameters and statistics."""
    random, shards = np.random.default_rng(0), []
    for game in ("Train 0", "Train 1", "Valid"):
        images = list(random.integers(0, 255, (60, 32, 32, 3), np.uint8))
        videos = [stored(tmp_path / "spooled", f"{NAMES[game]}/{half}", images) for half in (1, 2)]
        shards.append(tmp_path / f"{game}.h5")
        write_frames(shards[-1], videos, [], Provenance("extract_game_frames", "{}", game))
    weights = get_model("mobilenet_v2", weights=None).state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    backbone = {"name": "mobilenet_v2", "weights": None, "trainable": "last_block", "frames_at_once": 16}
    changed = settings(
        frames={"convert": None, "rate": RATE, "stored": {"size": [32, 32], "jpeg_quality": 95}},
        network__input="frames",
        network__backbone=backbone,
        network__clip=5,
        network__sampling__foreground=6,
        network__sampling__background=2,
        network__training__batch=4,
        network__training__micro_batch=2,
        network__training__epochs=1,
    )
    manifests = [path for path in data.manifests if path.stem in ("Train 0", "Train 1", "Valid")]
    shown: dict[str, Any] = {"manifests": manifests, "inputs": Inputs(tuple(shards))}
    model = tmp_path / "model.safetensors"
    metrics = data.train(model, changed, weights=tmp_path / "weights.pth", **shown)
    assert (metrics["games"], metrics["clips"], metrics["best_epoch"]) == (2, 8, 1)
    trained = load_file(model)
    for name, before in weights.items():
        if name.startswith("features"):
            _, block, *_ = name.split(".")
            same = torch.equal(before, trained[name.replace("features", "backbone.network", 1)])
            trains = int(block) >= 17 and name.endswith(("weight", "bias"))  # not batch norm's running statistics
            assert same != trains, name
    network, about = load_spotter(model)
    start_of = train._random_network(changed, 3).state_dict()
    others = [name for name in trained if not name.startswith("backbone")]
    assert {name.split(".")[0] for name in others} == {"project", "convolutions", "hidden", "classify", "regress"}
    assert not any(torch.equal(trained[name], start_of[name]) for name in others)
    assert metrics["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert (about.input, about.frames) == ("frames", changed.model_dump(mode="json")["frames"])
    assert about.provenance["weights"].keys() == {"backbone"}
    assert data.predict(model, tmp_path / "spots", split="valid", **shown)["games"] == [NAMES["Valid"]]
    with pytest.raises(ActaError, match=r"trained on 'frames' with 3 channels, but is shown 8"):
        data.predict(model, tmp_path / "others", inputs=data.shards)


# ---- what does not train


def test_a_bad_game_does_not_train(data, tmp_path, capsys):
    manifests = with_bad(data, tmp_path, "Train 1")
    metrics = data.train(tmp_path / "model.safetensors", settings(**FEW), manifests=manifests)
    assert metrics["games"] == 2
    assert f"left out: {NAMES['Train 1']}: Labels.json: missing" in capsys.readouterr().err
    manifests = with_bad(data, tmp_path, "Train 1", "Train 2")
    with pytest.raises(ActaError, match=r"2 of the 3 games of train are bad, more than .*max_bad_fraction = 0.1"):
        data.train(tmp_path / "m.safetensors", settings(), manifests=manifests, max_bad_fraction=0.1)
    with pytest.raises(ActaError, match="the split 'valid' has no game that is not bad"):
        data.train(tmp_path / "m.safetensors", settings(), manifests=with_bad(data, tmp_path, "Valid"))
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ["train", "other"]}, "the split 'other' has no game"),
        ({"validation": "other"}, "the split 'other' has no game"),
        ({"train": ["challenge"]}, "the training games have no event"),
        ({"network__clip": 41}, "the training games have no background"),
        ({"network__training__batch": 512}, "an epoch has 256 clips, fewer than one batch of 512"),
        ({"network__training__learning_rate": 1e9}, "the loss is (nan|inf) at step"),
        ({"network__training__precision": "bfloat16"}, "precision 'bfloat16' needs device 'cuda'"),
    ],
)
def test_what_cannot_be_trained(data, tmp_path, changes, message):
    with pytest.raises(ActaError, match=message):
        data.train(tmp_path / "model.safetensors", settings(**changes))
    assert not (tmp_path / "model.safetensors").exists()
